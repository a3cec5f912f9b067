"""What every entry of a comparison can do, whatever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from forecast.comparison.protocols import Part, Task
from forecast.evaluation.origins import Origins


class Fitted(Protocol):
    """What forecasts origins."""

    levels: Sequence[float]
    parameters: int | None  # None where it does not tell
    refit_seconds: float  # that were spent on fitting again while it forecast

    def forecasts(self, origins: Origins) -> np.ndarray:
        """Return points and quantiles (N, H, C, 1 + Q), NaN for targets that do not count."""


class Entry(ABC):
    """What is compared: a name, settings that tell it from others, and how it is fitted.

    Parameters
    ----------
    name : str
        In tables.
    """

    is_seeded = True  # whether a seed changes what it forecasts

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def settings(self, task: Task, *, seed: int) -> dict[str, Any]:
        """Return everything that moves a forecast, as plain values."""

    @abstractmethod
    def fit(self, task: Task, part: Part, *, seed: int) -> Fitted:
        """Learn from what lies before the first origin of a part, and nothing else."""
