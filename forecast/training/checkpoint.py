"""Checkpoints of a training: they resume the run that wrote them, bit-equal, and nothing else."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import nn

from forecast.data.panel import Panel
from forecast.files import write_whole
from forecast.training.divergence import Diverged
from forecast.training.interrupts import Interrupted
from forecast.training.snapshot import dumped, loaded
from forecast.training.state import State, fits, taken

log = logging.getLogger("forecast")
LAST, STOPPED = "last.safetensors", "stopped.safetensors"


class Checkpoints(Callback):
    """Keep the state of a training every so many steps and at its end, and where a signal or a bad loss stops it.

    What is kept on the way is what a training that diverges goes back to. Where it stopped lies in a file of its own,
    so that neither the run that goes on from there nor one that never stopped goes back to another state.

    Parameters
    ----------
    folder : Path, optional
        Where the two files go, each replaced whole. Without one, the last state kept on the way is held in memory.
    fingerprint : str
        Of data and settings. A checkpoint with another one is left alone.
    every : int
        Steps between two checkpoints.
    """

    def __init__(self, folder: Path | None, fingerprint: str, *, every: int) -> None:
        self.folder, self.fingerprint, self.every = folder, fingerprint, every
        self._held: State | None = None

    def newest(self, trainer: pl.Trainer, module: Any) -> State | None:
        """Return the state to resume from, None where there is none."""
        states = [self._read(name, trainer, module) for name in (LAST, STOPPED)]
        found = [state for state in states if state is not None]
        return max(found, key=lambda state: (state["finished"], state["lowered"], state["step"]), default=None)

    def last(self, trainer: pl.Trainer, module: Any) -> State | None:
        """Return the last state that was kept on the way, None where there is none."""
        return self._held if self.folder is None else self._read(LAST, trainer, module)

    def keep(self, state: State | None) -> None:
        """Let this be the last state kept on the way; None leaves nothing but the start."""
        if self.folder is None:
            self._held = state
            return
        if state is None:
            (self.folder / LAST).unlink(missing_ok=True)
        else:
            self._write(LAST, state)
        (self.folder / STOPPED).unlink(missing_ok=True)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Keep the state before a step, when the validation after the last one is done."""
        if pl_module.done > pl_module.start and pl_module.done % self.every == 0:
            self.keep(taken(trainer, pl_module, finished=False))

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Keep the end, so that a finished training is not repeated."""
        self.keep(taken(trainer, pl_module, finished=True))

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Write where training stopped, if it did after a whole step."""
        is_whole = isinstance(exception, Diverged | Interrupted) and exception.is_whole
        if is_whole and self.folder is not None and pl_module.done > pl_module.start:
            self._write(STOPPED, taken(trainer, pl_module, finished=False))

    def _write(self, name: str, state: State) -> None:
        assert self.folder is not None
        write_whole(self.folder / name, dumped({**state, "fingerprint": self.fingerprint}))

    def _read(self, name: str, trainer: pl.Trainer, module: Any) -> State | None:
        """Return the state of a file, None where it cannot be used for this training."""
        path = None if self.folder is None else self.folder / name
        if path is None or not path.is_file():
            return None
        try:
            state = loaded(path.read_bytes())
            known = state.pop("fingerprint", None) if isinstance(state, dict) else None
            if known == self.fingerprint and not fits(state, trainer, module):
                raise ValueError("what it holds does not fit this training")
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read (%s); training starts anew.", path, error)
            return None
        if known != self.fingerprint:
            log.warning("%s belongs to other data or settings; training starts anew.", path)
            return None
        return state


def fingerprint(about: list[object], panel: Panel, start: nn.Module | None) -> str:
    """Return what tells a training from any other.

    Parameters
    ----------
    about : list
        Every setting that moves a weight; its text counts.
    panel : Panel
        The data, its times and what is known of its columns.
    start : nn.Module, optional
        What training goes on from.
    """
    columns = replace(panel.columns, unit="")  # a label moves no weight
    known = [*about, list(panel.ids), panel.starts.tolist(), columns, panel.freq, str(panel.zone)]
    digest = hashlib.sha256(repr(known).encode())
    for values in (panel.target, panel.offsets, panel.ends, panel.times):
        digest.update(b"" if values is None else values.tobytes())
    for covariate in (*panel.past, *panel.known, *panel.static):
        digest.update(repr((covariate.name, covariate.categories)).encode() + covariate.values.tobytes())
    for weights in () if start is None else start.state_dict().values():
        digest.update(weights.cpu().numpy().tobytes())
    return digest.hexdigest()
