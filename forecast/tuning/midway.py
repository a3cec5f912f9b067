"""A look at a training on its way, so that one without hope can be given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

SHARES = (0.5, 0.75)  # of the steps, after which is looked: earlier the learning rate is still at its peak


class Midway(Callback):
    """Calls a function after set shares of the steps of a training, and leaves the training as it was.

    Parameters
    ----------
    look : callable
        Is given the share done in percent; what it raises ends the training.
    """

    def __init__(self, look: Callable[[int], None]) -> None:
        self.look = look

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Look where a share is done; dropout is off meanwhile."""
        steps = pl_module.training_settings.steps
        passed = [share for share in SHARES if pl_module.done == max(round(share * steps), 1)]
        if passed and pl_module.done < steps:
            try:
                self.look(round(100 * passed[-1]))
            finally:
                pl_module.train()
