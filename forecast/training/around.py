"""What a fit may have around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback
    from lightning.pytorch.loggers import Logger


class Around(NamedTuple):
    """Where checkpoints go, what is given the losses, and Lightning's callbacks beside those of the package."""

    folder: Path | None
    logger: Logger | None = None
    callbacks: Sequence[Callback] = ()
