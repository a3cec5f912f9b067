"""What a fit has around it: trainers, as many as it takes, and checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from forecast.data.panel import Panel
from forecast.training.around import Around
from forecast.training.checkpoint import Checkpoints, fingerprint
from forecast.training.progress import ProgressBar
from forecast.training.settings import Training
from forecast.training.trainer import TrainingLog, trainer_for
from forecast.training.warm_start import Start


def trainers_for(
    training: Training,
    accelerator: dict[str, Any],
    around: Around,
    *,
    shown: str | None,
    validates: bool,
) -> Callable[[], Trainer]:
    """Return what makes trainers: a training that goes back needs another. `shown` names a progress bar."""
    own = [TrainingLog(), *([] if shown is None else [ProgressBar(shown)]), *around.callbacks]
    about: dict[str, Any] = {"validates": validates, "callbacks": own, "logger": around.logger, "folder": around.folder}
    return partial(trainer_for, training, accelerator, **about)


def checkpoints_for(
    training: Training, known: list[object], panel: Panel, start: Start | None, *, folder: Path | None
) -> Checkpoints | None:
    """Return where the states of a training are kept, None where nothing reads them.

    Parameters
    ----------
    known : list
        Every setting that moves a weight.
    """
    if not training.checkpoint_every or (folder is None and training.on_divergence == "stop"):
        return None
    if folder is None:
        return Checkpoints(None, "", every=training.checkpoint_every)
    known = known if start is None else [*known, start.encoding, start.update]
    told = fingerprint(known, panel, None if start is None else start.model)
    return Checkpoints(folder, told, every=training.checkpoint_every)
