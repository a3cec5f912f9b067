"""Progress of training, as a bar on a terminal or in a notebook."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressBar(Callback):
    """One line: what is trained, steps done, loss, time left. Where nobody watches, nothing is written.

    Parameters
    ----------
    label : str
        What is trained.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self._bar: Progress | None = None
        self._next = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the empty bar."""
        console = Console(stderr=True)
        if not (console.is_terminal or console.is_jupyter):
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps  loss {task.fields[loss]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task(self.label, total=trainer.max_steps, loss="  ...")
        self._bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, a few times a second."""
        if self._bar is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.2
            self._show(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave a full bar, also where training stopped early."""
        if self._bar is not None:
            self._bar.update(self._task, total=trainer.global_step)
            self._show(trainer, pl_module)
            self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Give the terminal back."""
        self._close()

    def _show(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = f"{float(pl_module.losses[-1]):.4f}"  # type: ignore[index]
        assert self._bar is not None
        self._bar.update(self._task, completed=trainer.global_step, loss=loss)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
