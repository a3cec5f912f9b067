"""Checkpoints of a training: they resume the run that wrote them, bit-equal, and nothing else."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from forecast.data.panel import Panel
from forecast.files import write_whole

log = logging.getLogger("forecast")
FILE = "last.ckpt"


class Checkpoints(Callback):
    """Write the state of a training every so many steps, and at its end: tensors and plain values only.

    Batches, dropout and schedule are functions of the step, so the step, the weights, the optimiser's moments
    and what the other callbacks have seen are all there is to a state.

    Parameters
    ----------
    folder : Path
        Where the one file goes; it is replaced whole.
    fingerprint : str
        Of data and settings. A checkpoint with another one is left alone.
    every : int
        Steps between two checkpoints.
    """

    def __init__(self, folder: Path, fingerprint: str, *, every: int) -> None:
        self.path, self.fingerprint, self.every = folder / FILE, fingerprint, every

    def read(self) -> dict[str, Any] | None:
        """Return the last state of this run, None where there is none."""
        if not self.path.is_file():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
            log.warning("%s cannot be read (%s); training starts anew.", self.path, error)
            return None
        if not isinstance(state, dict) or state.get("fingerprint") != self.fingerprint:
            log.warning("%s belongs to other data or settings; training starts anew.", self.path)
            return None
        return state

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Write before a step, when the validation after the last one is done."""
        if pl_module.done > pl_module.start and pl_module.done % self.every == 0:
            self._write(trainer, pl_module, finished=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Write the end, so that a finished training is not repeated."""
        self._write(trainer, pl_module, finished=True)

    def _write(self, trainer: pl.Trainer, module: Any, *, finished: bool) -> None:
        if not torch.isfinite(module.losses[-1]):
            return  # the last good state stays
        state = {
            "fingerprint": self.fingerprint,
            "finished": finished,
            "step": module.done,
            "model": module.model.state_dict(),
            "optimizer": trainer.optimizers[0].state_dict()["state"],
            "losses": torch.stack(module.losses).cpu(),
            "valid_losses": module.valid_losses,
            "learning_rate": float(module.learning_rate),
            "callbacks": {
                type(callback).__name__: callback.state_dict()
                for callback in trainer.callbacks  # type: ignore[attr-defined]
                if callback.state_dict()
            },
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_whole(self.path, buffer.getvalue())


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
