"""The trainer around a training: Lightning's, silent, with what it is to keep of the weights and to log."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger, Logger
from torch import Tensor

from forecast.errors import ConfigError
from forecast.training.settings import Training

VALID = "valid_loss"


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
        with quiet():
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
        """Return what a checkpoint keeps, nothing before there is any."""
        return {"loss": self.loss, "step": self.step, "state": self.state} if self.state else {}

    def pattern(self, module: Any) -> dict[str, Any]:
        """Return what a checkpoint of this training looks like."""
        return {"loss": 0.0, "step": 0, "state": module.model.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.loss, self.step, self.state = (state_dict[name] for name in ("loss", "step", "state"))


class Averaging(EMAWeightAveraging):
    """Lightning's moving average of the weights, with a state that a checkpoint keeps."""

    _kept: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights, none before training."""
        return {} if self._average_model is None else {"average": self._average_model.state_dict()}

    def pattern(self, module: pl.LightningModule) -> dict[str, Any]:
        """Return what a checkpoint of this training looks like."""
        weights = {f"module.{name}": value for name, value in module.state_dict().items()}
        return {"average": {"n_averaged": torch.tensor(0), **weights}}

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
        self._has_begun = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Give a CSV logger the steps before a resumption again: it begins its file anew."""
        if isinstance(trainer.logger, CSVLogger) and not self._has_begun:
            for step in range(1, pl_module.start + 1):
                if step % self.every == 0:
                    self._tell(trainer.logger, pl_module, step)
                if step in pl_module.valid_losses:
                    trainer.logger.log_metrics({VALID: pl_module.valid_losses[step]}, step)
        self._has_begun = True

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the last loss."""
        if trainer.logger is not None and pl_module.done % self.every == 0:
            self._tell(trainer.logger, pl_module, pl_module.done)

    def _tell(self, logger: Logger, module: Any, step: int) -> None:
        metrics = {
            "train_loss": float(module.losses[step - 1]),
            "learning_rate": module.rate_at(step),
            "gradient_norm": float(module.norms[step - 1][0]),
        }
        logger.log_metrics(metrics, step)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
        # What a resumed run had logged before is written anew, by `TrainingLog`.
        warnings.filterwarnings("ignore", ".*Experiment logs directory .* exists and is not empty.*")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def cuda_devices() -> list[int]:
    """Return the CUDA devices whose random state is to be given back."""
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
