"""A training from its first step, or from where it stopped, to its end; back and on again where it diverges."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightning.pytorch as pl
import pandas as pd
import torch
from torch.utils.data import DataLoader

from forecast.batch import joined
from forecast.data.windows import HeldBack, TrainingWindows
from forecast.model import Model
from forecast.training.checkpoint import Checkpoints
from forecast.training.divergence import Diverged, divergence
from forecast.training.interrupts import Interrupted, between_steps
from forecast.training.module import ForecastModule
from forecast.training.range_test import found_rate
from forecast.training.settings import Training
from forecast.training.state import State, given, start_of
from forecast.training.trainer import VALID, BestWeights, cuda_devices, quiet

log = logging.getLogger("forecast")
CALIBRATION_BATCHES = 8  # batches of training windows whose errors tell how steps go together, and of points the spread
LOWERINGS = 3  # of the learning rate, before a training that still diverges is given up
SHARE = 0.1  # of the learning rate that a lowering leaves


class Trained(NamedTuple):
    """How a training went, a row a step (losses, learning rate, norms of gradient and weights), best step, peak rate.

    `stopped` is what a signal asked for, to be raised when all is in its place.
    """

    history: pd.DataFrame
    best_step: int
    learning_rate: float
    stopped: BaseException | None


def train(
    model: Model,
    windows: TrainingWindows,
    training: Training,
    *,
    trainers: Callable[[], pl.Trainer],
    seed: int,
    validation: HeldBack | None = None,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train a model in place, but for its frozen parts; with validation windows it ends with its best weights.

    Parameters
    ----------
    model : Model
        Changed in place.
    windows : TrainingWindows
        Batches, one a step.
    training : Training
        Settings.
    trainers : callable
        Returns a new trainer, as `trainer_for` does.
    seed : int
        Draws dropout.
    validation : HeldBack
        Windows for early stopping.
    checkpoints : Checkpoints
        Where they have a state of this training, it goes on from there.

    Raises
    ------
    Diverged
        If loss or gradient are not finite, however often the rate was lowered.
    KeyboardInterrupt, SystemExit
        If a signal came before the first step was done; after it, it is returned.
    """
    course = _Course(model, windows, training, trainers, seed, validation, checkpoints)
    with model.frozen(training.freeze):
        try:
            module, trainer, stopped = course.run()
        except Interrupted as stop:
            raise stop.error() from None
    best = next((c for c in trainer.callbacks if isinstance(c, BestWeights) and c.state), None)  # type: ignore[attr-defined]
    if best is not None:
        model.load_state_dict(best.state)
    model.eval()
    if not getattr(model.network, "paths", 0):  # paths that are fed back go together as they are drawn
        _calibrate(module, windows)
    best_step = best.step if best is not None else len(module.losses)
    return Trained(_history(module), best_step, module.learning_rate, stopped)


@dataclass
class _Course:
    """What stays the same while a training goes on, back and on again."""

    model: Model
    windows: TrainingWindows
    training: Training
    trainers: Callable[[], pl.Trainer]
    seed: int
    validation: HeldBack | None
    checkpoints: Checkpoints | None

    def run(self) -> tuple[ForecastModule, pl.Trainer, BaseException | None]:
        """Train to the end, or to a signal that comes after a step."""
        module, trainer = self._new()
        begun = start_of(module) if self.training.on_divergence == "lower_rate" else None
        state = None if self.checkpoints is None else self.checkpoints.newest(trainer, module)
        if state is not None:
            log.info("training goes on from step %d of %d", state["step"], self.training.steps)
        elif self.training.learning_rate == "find":
            module.peaks = {0: found_rate(self.model, self.windows, self.training, seed=self.seed)}
            log.info("learning rate: %.2g", module.learning_rate)
        while True:
            try:
                self._fit(module, trainer, state)
                return module, trainer, None
            except Interrupted as stop:
                if not module.done:
                    raise
                del module.losses[module.done :], module.norms[module.done :]  # of a step that was cut off
                return module, trainer, stop.error()
            except Diverged as error:
                if begun is None or module.lowered == LOWERINGS:
                    raise
                state = self._lowered(module, trainer, begun)
                log.warning(
                    "%s. Going back to step %d, and on at a learning rate of %g.",
                    error.what, state["step"], state["peaks"][state["step"]],
                )  # fmt: skip
                module, trainer = self._new()

    def _new(self) -> tuple[ForecastModule, pl.Trainer]:
        trainer = self.trainers()
        if self.checkpoints is not None:
            trainer.callbacks.append(self.checkpoints)  # type: ignore[attr-defined]
        return ForecastModule(self.model, self.training, seed=self.seed, ids=self.windows.windows.encoding.ids), trainer

    def _fit(self, module: ForecastModule, trainer: pl.Trainer, state: State | None) -> None:
        if state is not None:
            given(state, trainer, module)
            self.windows.start = module.start
            if state["finished"]:
                return
        held_back: Any = None if self.validation is None else DataLoader(self.validation, batch_size=None)  # type: ignore[arg-type]
        with quiet(), between_steps(trainer), torch.random.fork_rng(devices=cuda_devices()):
            trainer.fit(module, self.windows, held_back)

    def _lowered(self, module: ForecastModule, trainer: pl.Trainer, begun: State) -> State:
        """Return what to go back to: the last state kept, or the start where that did not help; at a lower rate."""
        kept = None if self.checkpoints is None else self.checkpoints.last(trainer, module)
        state = {**begun, "peaks": {}} if kept is None or kept["tried"] else kept
        peaks = {**state["peaks"], state["step"]: module.learning_rate * SHARE}
        state = {**state, "peaks": peaks, "lowered": module.lowered + 1, "tried": True}
        if self.checkpoints is not None:
            self.checkpoints.keep(state if state["step"] else None)
        return state


def _calibrate(module: ForecastModule, windows: TrainingWindows) -> None:
    """Let the loss learn from training windows what training did not."""
    batch = joined([windows.draw(-1 - number) for number in range(CALIBRATION_BATCHES)])
    if not bool(module.model.judged(*batch)[0].all()):
        raise divergence(module, batch, place="on the windows that intervals are taken from", is_whole=False)
    module.model.calibrate(*batch)


def _history(module: ForecastModule) -> pd.DataFrame:
    steps = range(1, len(module.losses) + 1)
    norms = torch.stack(module.norms).float().cpu().numpy()
    return pd.DataFrame(
        {
            "step": steps,
            "train_loss": torch.stack(module.losses).float().cpu().numpy(),
            VALID: [module.valid_losses.get(step, float("nan")) for step in steps],
            "learning_rate": [module.rate_at(step) for step in steps],
            "gradient_norm": norms[:, 0],
            "weight_norm": norms[:, 1],
        }
    )
