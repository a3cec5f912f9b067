"""Models of other libraries: anything with `fit` and `predict` that takes a table and gives one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from numbers import Integral
from typing import Any, Protocol

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from forecast.comparison.describing import described
from forecast.comparison.entry import Entry, Fitted
from forecast.comparison.protocols import Part, Task
from forecast.data.encoding import counted
from forecast.data.panel import Panel
from forecast.errors import DataError
from forecast.evaluation.origins import Origins
from forecast.frames import FORECAST, TARGET, forecast_frame, history_frame, level_name


class Adapter(Protocol):
    """What a model of another library has to do to be compared.

    It is copied, and fitted anew at every fold: nothing is known of how it would take newer history. For
    ``processes`` above 1 it has to be importable, from a module rather than a prompt.
    """

    def fit(self, frame: pd.DataFrame) -> Any:
        """Learn from a table up to the origin.

        Parameters
        ----------
        frame : DataFrame
            A row for each series and step up to the last known one, under the user's column names: id, time, targets
            (NaN where not observed), and covariates, in single precision. What is known ahead is not handed over.
        """

    def predict(self, horizon: int) -> pd.DataFrame:
        """Forecast the steps after the end of each series of the last fit.

        Returns
        -------
        DataFrame with id, time, ``forecast`` and, if it likes, quantiles (``q0.1`` ... ``q0.9``, ``q0.025``,
        ``q0.975``); with several targets a column ``target``. A row for each series and step. Where the rows are the
        grid (``gaps="rows"``), times are those that the frequency lays after the last row, such as weekdays.
        """


class AdapterEntry(Entry):
    """A model of another library. Its attribute ``seed``, or ``random_state``, is set where that is None or whole."""

    def __init__(self, name: str, model: Adapter) -> None:
        super().__init__(name)
        self.model = model
        self.is_seeded = _seed_name(model) is not None

    def settings(self, task: Task, *, seed: int) -> dict[str, Any]:
        """Return its class, the source of that, and what it holds."""
        return described(self._made(seed))

    def fit(self, task: Task, part: Part, *, seed: int) -> Fitted:
        """Fit it at each origin when that is forecast."""
        return _Refitted(self, task, seed)

    def _made(self, seed: int) -> Any:
        made = clone(self.model) if isinstance(self.model, BaseEstimator) else deepcopy(self.model)
        name = _seed_name(made)
        if name is not None:
            setattr(made, name, (getattr(made, name) or 0) + seed)
        return made

    def forecast(self, task: Task, origins: Origins, *, seed: int) -> tuple[np.ndarray, list[float], float]:
        """Return forecasts of origins of one fold (N, H, C, 1 + Q), their levels, and the seconds of the fit."""
        known = task.panel.until(task.ends[origins.window[0]])
        model, began = self._made(seed), time.perf_counter()
        model.fit(_frame(known))
        seconds = time.perf_counter() - began
        given = model.predict(task.horizon)
        values, levels = _values(given, task.panel, origins, counts=task.counts(origins), horizon=task.horizon)
        return values, levels, seconds


class _Refitted:
    """An adapter that is fitted at each fold of the origins that it forecasts."""

    def __init__(self, entry: AdapterEntry, task: Task, seed: int) -> None:
        self.entry, self.task, self.seed = entry, task, seed
        self.levels: Sequence[float] = ()
        self.parameters, self.refit_seconds = 0, 0.0

    def forecasts(self, origins: Origins) -> np.ndarray:
        """Fit and forecast fold by fold, all of whose origins have to be among those given."""
        parts: list[np.ndarray] = []
        places: list[np.ndarray] = []
        for window in np.unique(origins.window):
            own = np.flatnonzero(origins.window == window)
            values, levels, seconds = self.entry.forecast(self.task, origins.taken(own), seed=self.seed)
            self.refit_seconds += seconds
            if parts and list(self.levels) != levels:
                raise DataError(f"{self.entry.name} gives other quantiles at another fold. Give the same.")
            self.levels = levels
            parts.append(values)
            places.append(own)
        return np.concatenate(parts)[np.argsort(np.concatenate(places), kind="stable")]


def _seed_name(model: Any) -> str | None:
    """Return the attribute that takes a seed: one that is there, and is a whole number or None."""
    for name in ("seed", "random_state"):
        value = getattr(model, name, False)
        if value is None or (isinstance(value, Integral) and not isinstance(value, bool)):
            return name
    return None


def _frame(panel: Panel) -> pd.DataFrame:
    """Return what a panel holds up to its ends, covariates too, under the names of its columns."""
    frame = history_frame(panel)
    series, steps = np.repeat(np.arange(len(panel.ids)), panel.ends), counted(panel.ends)
    at = panel.offsets[series] + steps
    for covariate in (*panel.past, *panel.known):
        frame[covariate.name] = _decoded(covariate.values[at], covariate.categories)
    for covariate in panel.static:
        frame[covariate.name] = _decoded(covariate.values[series], covariate.categories)
    return frame


def _decoded(values: np.ndarray, categories: tuple[str, ...] | None) -> np.ndarray:
    return values if categories is None else np.array([*categories, None], object)[values]  # -1 is missing


def _values(
    given: Any, panel: Panel, origins: Origins, *, counts: np.ndarray, horizon: int
) -> tuple[np.ndarray, list[float]]:
    """Return forecasts (N, H, C, 1 + Q) of a table, row by row at its place, and their levels.

    Raises
    ------
    DataError
        If it is no such table, lacks a series or a time, has one twice, or a forecast is not finite.
    """
    columns = panel.columns
    levels = _levels(given)
    empty = np.where(counts[:, None, :, None], 0.0, np.nan) * np.ones((1, horizon, 1, 1 + len(levels)))
    wanted = forecast_frame(panel, origins.series, origins.ends, empty, levels)
    if panel.freq.rows:
        wanted[columns.time] = _laid_ahead(panel, origins, counts=counts, horizon=horizon)
    keys = [columns.id, columns.time, *([TARGET] if TARGET in wanted else [])]
    absent = [name for name in (*keys, FORECAST) if name not in given]
    if absent:
        raise DataError(f"predict gives no column {absent[0]!r}, only {list(map(str, given.columns))}.")
    if given.duplicated(keys).any():
        raise DataError(f"predict gives a row twice: {given.loc[given.duplicated(keys), keys].iloc[0].to_dict()}.")
    found = wanted[keys].merge(given, on=keys, how="left", indicator="_found")
    lacking = (found.pop("_found") != "both").to_numpy()
    if lacking.any():
        first = wanted.loc[lacking.argmax(), keys].to_dict()
        raise DataError(
            f"predict lacks {lacking.sum()} of {len(wanted)} rows, first {first}. Give each series and step after its "
            "origin, ids and times as in the table."
        )
    numbers = found[[FORECAST, *map(level_name, levels)]].to_numpy(np.float64)
    if not np.isfinite(numbers).all():
        row = wanted.loc[int((~np.isfinite(numbers)).any(axis=1).argmax()), keys].to_dict()
        raise DataError(f"predict gives a value that is not finite, first at {row}. Give a number for each row.")
    values = np.full(empty.shape, np.nan)
    origin, channel = np.nonzero(counts)
    values[origin, :, channel] = numbers.reshape(len(origin), horizon, -1)
    return values, levels


def _laid_ahead(panel: Panel, origins: Origins, *, counts: np.ndarray, horizon: int) -> pd.Series:
    """Return the times after each origin as they look from there, row by row: which rows come nobody knows yet."""
    origin, _ = np.nonzero(counts)
    last = panel.stamps(origins.series[origin], origins.ends[origin] - 1)
    return panel.stamp_column(panel.freq.shift(last[:, None], np.arange(1, horizon + 1)).reshape(-1))


def _levels(given: Any) -> list[float]:
    if not isinstance(given, pd.DataFrame):
        raise DataError(f"predict gives a {type(given).__name__}, not a DataFrame of id, time and forecast.")
    names = [str(name)[1:] for name in given if str(name).startswith("q0.")]
    return sorted(float(name) for name in names)
