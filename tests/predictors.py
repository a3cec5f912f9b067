"""The one helper that forecasts without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from forecast import Columns
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.predictor import Predictor, Table


class Last(Predictor):
    """The last value in the context plus one, and what it was fitted on.

    Parameters
    ----------
    horizon, context_length : int
        Steps to forecast, and to read.
    columns : Columns
        Roles of the table's columns.
    fits : list
        The span of every fit is added to it, also by copies.
    """

    freq = None
    encoding = Encoding((), {}, {})

    def __init__(
        self, *, horizon: int = 2, context_length: int = 4, columns: Columns | None = None, fits: Any = None
    ) -> None:
        self.horizon, self.context_length, self.columns, self.fits = horizon, context_length, columns, fits

    def fit(self, frame: Table, *, warm_start: bool = False, folder: Path | None = None, logger: Any = None) -> Self:
        panel = self.as_panel(frame, freq=None)
        if self.fits is not None:
            self.fits.add(panel, folder)
        self.horizon_, self.context_length_ = self.horizon, self.context_length
        self.seasonality_, self.freq_, self.history_ = 1, panel.freq.name, pd.DataFrame()
        self.panel_ = panel.tail(self.context_length)
        return self

    def covers(self, level: float) -> bool:
        return True

    def own_levels(self) -> tuple[float, ...]:
        return (0.1, 0.5, 0.9)

    def save(self, path: str | Path) -> Path:
        raise NotImplementedError

    def _values(self, panel: Panel, series: np.ndarray, ends: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        values = np.full((len(series), self.horizon_, len(panel.columns.targets), 1 + len(levels)), np.nan)
        for row, (number, end) in enumerate(zip(series, ends, strict=True)):
            context = pd.DataFrame(panel.series(number)[max(end - self.context_length_, 0) : end])
            values[row] = context.ffill().iloc[-1].to_numpy()[:, None] + 1
        return values + np.append(0, np.array(levels) - 0.5)


class Fits:
    """Remembers spans and folders of fits; copies of estimators share it."""

    def __init__(self) -> None:
        self.panels: list[Panel] = []
        self.folders: list[Path | None] = []

    def add(self, panel: Panel, folder: Path | None) -> None:
        self.panels.append(panel)
        self.folders.append(folder)

    def __deepcopy__(self, memo: dict) -> Fits:
        return self
