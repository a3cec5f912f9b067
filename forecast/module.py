"""Training: the one LightningModule, and the trainer around it."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import signal
import tempfile
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging
from lightning.pytorch.loggers import Logger
from lightning.pytorch.tuner import Tuner
from torch import Tensor
from torch.utils.data import DataLoader

from forecast.batch import Batch
from forecast.checkpoint import Checkpoints
from forecast.config import build
from forecast.data.windows import TrainingWindows, step_seed
from forecast.errors import ConfigError, TrainingError
from forecast.model import Model
from forecast.training import Training

log = logging.getLogger("forecast")
VALID = "valid_loss"
SKIPPED = 10  # steps at the start of a range test, whose smoothed loss says little
DESCENT = 0.95  # share of its first loss that a range test must come down to before its lowest point is believed


class Trained(NamedTuple):
    """How a training went: a row a step (step, train_loss, valid_loss, learning_rate), best step, peak rate."""

    history: pd.DataFrame
    best_step: int
    learning_rate: float


class ForecastModule(pl.LightningModule):
    """Trains any `Model`: each step's loss, schedule and random numbers are functions of seed and step.

    Parameters
    ----------
    model : Model
        Scaler, network and loss.
    training : Training
        Settings; its learning rate is a number here.
    seed : int
        Draws dropout.
    """

    def __init__(self, model: Model, training: Training, *, seed: int) -> None:
        super().__init__()
        self.model, self.training_settings, self.seed = model, training, seed
        self.learning_rate = training.learning_rate
        self.losses: list[Tensor] = []
        self.valid_losses: dict[int, float] = {}
        self.start = 0
        self._moments: dict[int, Any] = {}

    @property
    def done(self) -> int:
        """Steps done, those before a resumption included."""
        return self.start + self.global_step

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self.start = state["step"]
        self.model.load_state_dict(state["model"])
        self.losses = list(state["losses"])
        self.valid_losses = dict(state["valid_losses"])
        self.learning_rate = state["learning_rate"]
        self._moments = state["optimizer"]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what is random in this step, such as dropout."""
        seed = step_seed(self.seed, self.done)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed formats a stack trace for each absent device
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif self.device.type == "mps":
            torch.mps.manual_seed(seed)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Return the batch as it is: windows are cut on the device where the panel lies."""
        return batch

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss = self.model.training_loss(*batch)
        self.losses.append(loss.detach())  # left on the device: reading it each step would wait for the device
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the loss over what a held-back batch observed."""
        loss = self.model.training_loss(*batch)
        self.log(VALID, loss, batch_size=int(batch[1].observed.sum()), logger=False)

    def on_validation_epoch_end(self) -> None:
        """Note the validation loss of this step, and hand it to the logger."""
        self.valid_losses[self.done] = float(self.trainer.callback_metrics[VALID])
        if self.trainer.logger is not None:
            self.trainer.logger.log_metrics({VALID: self.valid_losses[self.done]}, self.done)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and the schedule, which moves each step."""
        settings = self.training_settings
        trained = [weights for weights in self.model.parameters() if weights.requires_grad]
        optimizer = build("optimizer", settings.optimizer, trained, lr=self.learning_rate)
        if self._moments:
            optimizer.load_state_dict({**optimizer.state_dict(), "state": self._moments})
        factor, start = FACTORS[settings.schedule], self.start
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor((start + step) / settings.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


FACTORS = {  # share of the peak learning rate, by the share of the steps done
    "constant": lambda done: 1.0,
    "cosine": lambda done: _cosine(1.0, 0.001, done),
    "one_cycle": lambda done: _cosine(0.04, 1.0, done / 0.2) if done < 0.2 else _cosine(1.0, 0.001, (done - 0.2) / 0.8),
}


def _cosine(first: float, last: float, done: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * min(done, 1.0))) / 2


def train(
    model: Model,
    windows: TrainingWindows,
    training: Training,
    *,
    trainer: pl.Trainer,
    seed: int,
    validation: list[Batch] | None = None,
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
    trainer : Trainer
        From `trainer_for`. Where it has checkpoints of this run, training goes on from the last.
    seed : int
        Draws dropout.
    validation : list of (Inputs, Outcome)
        Windows for early stopping.
    """
    with model.frozen(training.freeze):
        return _train(model, windows, training, trainer=trainer, seed=seed, validation=validation)


def _train(
    model: Model,
    windows: TrainingWindows,
    training: Training,
    *,
    trainer: pl.Trainer,
    seed: int,
    validation: list[Batch] | None,
) -> Trained:
    module = ForecastModule(model, training, seed=seed)
    state = next((c.read() for c in trainer.callbacks if isinstance(c, Checkpoints)), None)  # type: ignore[attr-defined]
    if state is not None:
        module.resume(state)
        windows.start = module.start
        trainer.fit_loop.epoch_loop.max_steps = training.steps - module.start
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if type(callback).__name__ in state["callbacks"]:
                callback.load_state_dict(state["callbacks"][type(callback).__name__])
        log.info("training goes on from step %d of %d", module.start, training.steps)
    elif training.learning_rate == "find":
        module.learning_rate = _found_rate(model, windows, training, seed=seed)
        log.info("learning rate: %.2g", module.learning_rate)
    if state is None or not state["finished"]:
        with _quiet(), torch.random.fork_rng(devices=_cuda()):
            held_back: Any = DataLoader(validation, batch_size=None) if validation else None  # type: ignore[arg-type]
            _fit(trainer, module, windows, held_back)
    _refuse_divergence(module)
    best = next((c for c in trainer.callbacks if isinstance(c, BestWeights)), None)  # type: ignore[attr-defined]
    if best is not None:
        model.load_state_dict(best.state)
    model.eval()
    best_step = best.step if best is not None else len(module.losses)
    return Trained(_history(module, training), best_step, module.learning_rate)


def _refuse_divergence(module: ForecastModule) -> None:
    finite = torch.isfinite(torch.stack(module.losses))
    if not finite.all():
        raise TrainingError(
            f"the loss is not finite from step {int((~finite).int().argmax()) + 1} on, so nothing was learned. "
            f"Lower training.learning_rate (it is {module.learning_rate:g}), or keep training.gradient_clip above 0."
        )


def _fit(trainer: pl.Trainer, module: ForecastModule, windows: TrainingWindows, held_back: Any) -> None:
    """Fit; an interrupt stays a KeyboardInterrupt, where Lightning leaves the interpreter and the signal ignored."""
    before = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, windows, held_back)
    except SystemExit as stop:
        signal.signal(signal.SIGINT, before)
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def _history(module: ForecastModule, training: Training) -> pd.DataFrame:
    steps, factor = len(module.losses), FACTORS[training.schedule]
    return pd.DataFrame(
        {
            "step": range(1, steps + 1),
            "train_loss": torch.stack(module.losses).float().cpu().numpy(),
            VALID: [module.valid_losses.get(step, float("nan")) for step in range(1, steps + 1)],
            "learning_rate": [module.learning_rate * factor(step / training.steps) for step in range(steps)],
        }
    )


def trainer_for(
    training: Training,
    accelerator: dict[str, Any],
    *,
    validates: bool,
    callbacks: list[Callback],
    logger: Logger | None,
    folder: Path | None,
) -> pl.Trainer:
    """Return a Lightning trainer that writes nothing of its own and says nothing of itself."""
    # Best weights are taken while averaged ones are in place; the last checkpoint is written when they stay there.
    if training.weight_averaging:
        callbacks = [Averaging(decay=training.weight_averaging, use_buffers=False), *callbacks]
    if validates:
        callbacks = [BestWeights(), EarlyStopping(VALID, patience=training.patience), *callbacks]
    try:
        with _quiet():
            return pl.Trainer(
                **accelerator,
                max_steps=training.steps,
                gradient_clip_val=training.gradient_clip or None,
                val_check_interval=min(training.check_every, training.steps) if validates else None,
                limit_val_batches=1.0 if validates else 0,
                check_val_every_n_epoch=None,
                num_sanity_val_steps=0,
                log_every_n_steps=1,
                callbacks=callbacks,
                logger=logger or False,
                default_root_dir=folder or tempfile.gettempdir(),
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
    except MisconfigurationException as error:
        raise ConfigError(f"accelerator {accelerator.get('accelerator')!r} cannot be used here: {error}") from error


class BestWeights(Callback):
    """Keep the weights of the lowest validation loss in memory."""

    def __init__(self) -> None:
        self.loss, self.step, self.state = float("inf"), 0, dict[str, Tensor]()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Copy the weights where they are better than any before; averaged ones leave after this hook."""
        loss = float(trainer.callback_metrics[VALID])
        if loss < self.loss:
            self.loss, self.step = loss, pl_module.done
            self.state = deepcopy(pl_module.model.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"loss": self.loss, "step": self.step, "state": self.state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.loss, self.step, self.state = (state_dict[name] for name in ("loss", "step", "state"))


class Averaging(EMAWeightAveraging):
    """Lightning's moving average of the weights, with a state that a checkpoint keeps."""

    _kept: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights, none before training."""
        return {} if self._average_model is None else {"average": self._average_model.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep a checkpoint's averaged weights until there is a model for them."""
        self._kept = state_dict["average"]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Make the averaged model, and fill it where a training goes on."""
        super().setup(trainer, pl_module, stage)
        if self._kept is not None and self._average_model is not None:
            self._average_model.load_state_dict(self._kept)


class TrainingLog(Callback):
    """Hand losses to a Lightning logger now and then."""

    def __init__(self, every: int = 10) -> None:
        self.every = every

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the last loss."""
        if trainer.logger is None or pl_module.done % self.every:
            return
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        metrics = {"train_loss": float(pl_module.losses[-1]), "learning_rate": rate}
        trainer.logger.log_metrics(metrics, pl_module.done)


def _found_rate(model: Model, windows: TrainingWindows, training: Training, *, seed: int) -> float:
    """Return a tenth of the rate at which the loss is lowest in a range test on a copy of the model."""
    probe = deepcopy(training)
    probe.learning_rate, probe.schedule, probe.steps = 1e-5, "constant", 100
    draws = TrainingWindows(windows.windows, batch_size=windows.batch_size, seed=seed, steps=100)
    module = ForecastModule(deepcopy(model), probe, seed=seed)
    with (
        _quiet(),
        contextlib.redirect_stderr(io.StringIO()),  # the finder's own bar
        torch.random.fork_rng(devices=_cuda()),
        tempfile.TemporaryDirectory() as folder,
    ):
        device = {"accelerator": windows.windows.device.type, "devices": 1}
        trainer = trainer_for(probe, device, validates=False, callbacks=[], logger=None, folder=Path(folder))
        finder = Tuner(trainer).lr_find(module, draws, min_lr=1e-5, max_lr=0.3, num_training=100, update_attr=False)
    # Lightning's own suggestion is the steepest slope by the rate itself, which the smallest rates win on noise.
    rates, losses = (np.asarray(finder.results[name]) for name in ("lr", "loss")) if finder else (np.zeros(0),) * 2
    losses = np.where(np.isfinite(losses), losses, np.inf)[SKIPPED:]
    if not len(losses) or losses.min() > DESCENT * losses[0]:
        log.warning("the learning-rate range test found no clear descent; %g is used", Training.learning_rate)
        return float(Training.learning_rate)
    return float(rates[SKIPPED + losses.argmin()] / 10)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Lightning says of itself: its banners, and advice that does not fit batches made in memory."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        # Batches are gathered in one step from memory: worker processes would only slow them.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        # Our batches name no batch size, and the loss is averaged over observed steps, not over windows.
        warnings.filterwarnings("ignore", ".*Trying to infer the `batch_size`.*")
        # Early stopping is a choice; without it there is nothing to validate on.
        warnings.filterwarnings("ignore", ".*have no `val_dataloader`.*")
        # Lightning 2.6 asks torch 2.13 in a way that torch will drop; nothing of ours is concerned.
        warnings.filterwarnings("ignore", ".*LeafSpec.*")
        # A GPU that is not asked for is the user's choice.
        warnings.filterwarnings("ignore", ".*available but not used.*")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _cuda() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
