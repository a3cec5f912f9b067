"""Models that the tests of comparisons enter, importable by the processes that run them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from forecast import Columns, Training
from forecast.comparison.entries import Shared

TINY = Shared(Training(steps=2, batch_size=16), accelerator="cpu")
SMALL = {"small": {"model": "gru", "hidden_size": 4}}


class LastValue:
    """An adapter: the last observed value of each series, for days."""

    def __init__(self, columns: Columns | None = None, width: float | None = None) -> None:
        self.columns, self.width = columns or Columns(), width

    def fit(self, frame: pd.DataFrame) -> LastValue:
        self.last_ = frame.groupby(self.columns.id)[self.columns.targets[0]].last()
        self.time_ = frame.groupby(self.columns.id)[self.columns.time].last()
        return self

    def predict(self, horizon: int) -> pd.DataFrame:
        steps = np.arange(1, horizon + 1)
        parts = [
            pd.DataFrame(
                {
                    self.columns.id: name,
                    self.columns.time: self.time_[name] + pd.to_timedelta(steps, "D"),
                    "forecast": value,
                    **({} if self.width is None else {"q0.1": value - self.width, "q0.9": value + self.width}),
                }
            )
            for name, value in self.last_.items()
        ]
        return pd.concat(parts, ignore_index=True)


class Spoiled(LastValue):
    """The same, with something wrong about the table."""

    def __init__(self, spoil: Any) -> None:
        super().__init__()
        self.spoil = spoil

    def predict(self, horizon: int) -> pd.DataFrame:
        return self.spoil(super().predict(horizon))


class Updated(LastValue):
    """The last value halfway to the mean of what it was fitted to, which newer history leaves as it is."""

    def fit(self, frame: pd.DataFrame) -> LastValue:
        self.mean_ = frame.groupby(self.columns.id)[self.columns.targets[0]].mean()
        return super().fit(frame)

    def update(self, frame: pd.DataFrame) -> LastValue:
        return super().fit(frame)

    def predict(self, horizon: int) -> pd.DataFrame:
        given = super().predict(horizon)
        mean = given[self.columns.id].map(self.mean_)
        return given.assign(forecast=(given["forecast"] + mean) / 2)
