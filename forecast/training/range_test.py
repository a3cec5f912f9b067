"""A range test: which learning rate a model can take."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.tuner import Tuner

from forecast.data.windows import TrainingWindows
from forecast.model import Model
from forecast.training.interrupts import between_steps
from forecast.training.module import ForecastModule
from forecast.training.settings import Training
from forecast.training.trainer import cuda_devices, quiet, trainer_for

log = logging.getLogger("forecast")
SKIPPED = 10  # steps at the start of a range test, whose smoothed loss says little
DESCENT = 0.95  # share of its first loss that a range test must come down to before its lowest point is believed


def found_rate(model: Model, windows: TrainingWindows, training: Training, *, seed: int) -> float:
    """Return a tenth of the rate at which the loss is lowest in a range test on a copy of the model."""
    probe = deepcopy(training)
    probe.learning_rate, probe.schedule, probe.steps = 1e-5, "constant", 100
    draws = TrainingWindows(windows.windows, batch_size=windows.batch_size, seed=seed, steps=100)
    module = _Probe(deepcopy(model), probe, seed=seed)
    with (
        quiet(),
        contextlib.redirect_stderr(io.StringIO()),  # the finder's own bar
        torch.random.fork_rng(devices=cuda_devices()),
        tempfile.TemporaryDirectory() as folder,
    ):
        device = {"accelerator": windows.windows.device.type, "devices": 1}
        trainer = trainer_for(probe, device, validates=False, callbacks=[], logger=None, folder=Path(folder))
        with between_steps(trainer):
            finder = Tuner(trainer).lr_find(module, draws, min_lr=1e-5, max_lr=0.3, num_training=100, update_attr=False)
    # Lightning's own suggestion is the steepest slope by the rate itself, which the smallest rates win on noise.
    rates, losses = (np.asarray(finder.results[name]) for name in ("lr", "loss")) if finder else (np.zeros(0),) * 2
    losses = np.where(np.isfinite(losses), losses, np.inf)[SKIPPED:]
    if not len(losses) or losses.min() > DESCENT * losses[0]:
        log.warning("the learning-rate range test found no clear descent; %g is used", Training.learning_rate)
        return float(Training.learning_rate)
    return float(rates[SKIPPED + losses.argmin()] / 10)


class _Probe(ForecastModule):
    """Goes on where the loss is not finite: a range test goes up to rates that are too high."""

    configure_gradient_clipping = LightningModule.configure_gradient_clipping
