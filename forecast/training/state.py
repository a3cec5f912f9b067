"""The state of a training after a step: taken, checked, and given to a training that goes on from it.

Batches, dropout and schedule are functions of the step, so the step, the weights, the optimiser's moments and what the
callbacks have seen are all there is to it.
"""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch

from forecast.training.snapshot import alike, copied

State = dict[str, Any]


def taken(trainer: pl.Trainer, module: Any, *, finished: bool) -> State:
    """Return the state after the last whole step."""
    callbacks = {type(callback).__name__: callback.state_dict() for callback in trainer.callbacks}  # type: ignore[attr-defined]
    return copied(
        {
            **_beginning(module),
            "finished": finished,
            "step": module.done,
            "model": module.model.state_dict(),
            "optimizer": trainer.optimizers[0].state_dict()["state"],
            "losses": torch.stack(module.losses[: module.done]).float(),
            "norms": torch.stack(module.norms[: module.done]).float(),
            "valid_losses": {step: loss for step, loss in module.valid_losses.items() if step <= module.done},
            "callbacks": {name: own for name, own in callbacks.items() if own},
        }
    )


def start_of(module: Any) -> State:
    """Return the state before the first step."""
    return copied({**_beginning(module), "model": module.model.state_dict()})


def fits(state: Any, trainer: pl.Trainer, module: Any) -> bool:
    """Return whether a state, wherever it comes from, can be given to this training: kinds, keys, shapes, weights."""
    if not isinstance(state, dict) or type(state.get("step")) is not int:
        return False
    if not 0 < state["step"] <= module.training_settings.steps:
        return False
    weights = module.model.state_dict()
    kinds = {
        **_beginning(module),
        "step": 0,
        "model": weights,
        "losses": torch.zeros(state["step"]),
        "norms": torch.zeros(state["step"], 2),
        "optimizer": _some(module.first_moments(), state.get("optimizer")),
        "valid_losses": _by_step(state.get("valid_losses")),
        "peaks": _by_step(state.get("peaks")),
        "callbacks": _some(_patterns(trainer, module), state.get("callbacks")),
    }
    if not alike(state, kinds) or not state["peaks"]:
        return False
    return all(state["model"][name].isfinite().all() for name, _ in module.model.named_parameters())


def given(state: State, trainer: pl.Trainer, module: Any) -> None:
    """Let a training that has not begun go on from a state."""
    module.start = state["step"]
    module.model.load_state_dict(state["model"])
    module.losses, module.norms = (list(state[name].to(trainer.strategy.root_device)) for name in ("losses", "norms"))
    module.valid_losses, module.peaks = dict(state["valid_losses"]), dict(state["peaks"])
    module.lowered, module.moments = state["lowered"], state["optimizer"]
    loop = trainer.fit_loop.epoch_loop
    loop.max_steps = module.training_settings.steps - module.start
    loop.batch_progress.total.ready = module.start  # by which Lightning counts from one validation to the next
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if type(callback).__name__ in state["callbacks"]:
            callback.load_state_dict(copied(state["callbacks"][type(callback).__name__]))


def _beginning(module: Any) -> State:
    """Return a state in which nothing has happened, without its weights.

    `peaks` are the peaks of the learning rate by the step from which they hold, `lowered` is how often it was
    lowered, and a state that training has gone back to once is `tried`.
    """
    return {
        "finished": False,
        "step": 0,
        "optimizer": {},
        "losses": torch.zeros(0),
        "norms": torch.zeros(0, 2),
        "valid_losses": {},
        "peaks": module.peaks,
        "lowered": module.lowered,
        "tried": False,
        "callbacks": {},
    }


def _patterns(trainer: pl.Trainer, module: Any) -> dict[str, Any]:
    """Return what the state of each callback looks like."""
    return {
        type(callback).__name__: callback.pattern(module) if hasattr(callback, "pattern") else callback.state_dict()
        for callback in trainer.callbacks  # type: ignore[attr-defined]
    }


def _some(patterns: dict[Any, Any], own: Any) -> dict[Any, Any]:
    return {key: pattern for key, pattern in patterns.items() if isinstance(own, dict) and key in own}


def _by_step(own: Any) -> dict[int, float]:
    return {key: 0.0 for key in own if type(key) is int} if isinstance(own, dict) else {}
