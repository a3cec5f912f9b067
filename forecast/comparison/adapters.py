"""Models of other libraries: anything with `fit` and `predict` that takes a table and gives one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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

    It is copied, and fitted anew at every fold, unless it has ``update`` (`Updating`). An attribute ``parameters`` is
    read after a fit, and is how many numbers that set. For ``processes`` above 1 it has to be importable, from a module
    rather than a prompt.
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
        """Forecast the steps after the end of each series of the last fit or update.

        Returns
        -------
        DataFrame with id, time, ``forecast`` and, if it likes, quantiles (``q0.1`` ... ``q0.9``, ``q0.025``,
        ``q0.975``); with several targets a column ``target``. A row for each series and step. Where the rows are the
        grid (``gaps="rows"``), times are those that the frequency lays after the last row, such as weekdays.
        """


class Updating(Adapter, Protocol):
    """An adapter that takes newer history without training again.

    It is fitted once, on what networks learn from: with ``refit=false`` all before the first fold.
    """

    def update(self, frame: pd.DataFrame) -> Any:
        """Forecast from another origin from now on, with what the fit has learned.

        Parameters
        ----------
        frame : DataFrame
            The whole table up to that origin, as `fit` takes it. Series that began since the fit are in it too.
        """


class AdapterEntry(Entry):
    """A model of another library. Its attribute ``seed``, or ``random_state``, is set where that is None or whole."""

    def __init__(self, name: str, model: Adapter) -> None:
        super().__init__(name)
        self.model = model
        self.is_seeded = _seed_name(model) is not None
        self.is_updating = callable(getattr(model, "update", None))

    def settings(self, task: Task, *, seed: int) -> dict[str, Any]:
        """Return its class, the source of that, and what it holds."""
        told = described(self._made(seed))
        return {"updating": told} if self.is_updating else told  # stores have cells of such models, fitted at each fold

    def fit(self, task: Task, part: Part, *, seed: int) -> Fitted:
        """Fit it where it takes newer history; else it is fitted at each origin when that is forecast."""
        return _Updated(self, task, part, seed=seed) if self.is_updating else _Refitted(self, task, seed=seed)

    def fitted(self, task: Task, ends: np.ndarray, *, seed: int) -> tuple[Any, int | None]:
        """Return a copy that has learned from the first steps of each series (n,), and how many parameters it tells."""
        model = self._made(seed)
        model.fit(_frame(task.panel.until(ends)))
        return model, _parameters(model)

    def _made(self, seed: int) -> Any:
        made = clone(self.model) if isinstance(self.model, BaseEstimator) else deepcopy(self.model)
        name = _seed_name(made)
        if name is not None:
            setattr(made, name, (getattr(made, name) or 0) + seed)
        return made


class _Refitted:
    """An adapter that is fitted at each fold of the origins that it forecasts."""

    def __init__(self, entry: AdapterEntry, task: Task, *, seed: int) -> None:
        self.entry, self.task, self.seed = entry, task, seed
        self.levels: Sequence[float] = ()
        self.parameters: int | None = None
        self.refit_seconds = 0.0

    def forecasts(self, origins: Origins) -> np.ndarray:
        """Forecast fold by fold, all of whose origins have to be among those given."""
        parts: list[np.ndarray] = []
        places: list[np.ndarray] = []
        task = self.task
        for window in np.unique(origins.window):
            place = np.flatnonzero(origins.window == window)
            own = origins.taken(place)
            given = self._model(task.ends[window]).predict(task.horizon)
            values, levels = _values(given, task.panel, own, counts=task.counts(own), horizon=task.horizon)
            if parts and list(self.levels) != levels:
                raise DataError(f"{self.entry.name} gives other quantiles at another fold. Give the same.")
            self.levels = levels
            parts.append(values)
            places.append(place)
        return np.concatenate(parts)[np.argsort(np.concatenate(places), kind="stable")]

    def _model(self, ends: np.ndarray) -> Any:
        """Return the model as it forecasts after so many steps of each series (n,)."""
        began = time.perf_counter()
        model, self.parameters = self.entry.fitted(self.task, ends, seed=self.seed)
        self.refit_seconds += time.perf_counter() - began
        return model


class _Updated(_Refitted):
    """An adapter that is fitted once, and takes the history of each fold."""

    def __init__(self, entry: AdapterEntry, task: Task, part: Part, *, seed: int) -> None:
        super().__init__(entry, task, seed=seed)
        self.model, self.parameters = entry.fitted(task, part.known, seed=seed)
        self.known = part.known

    def _model(self, ends: np.ndarray) -> Any:
        if (ends != self.known).any():
            self.model.update(_frame(self.task.panel.until(ends)))
            self.known = ends
        return self.model


def _parameters(model: Any) -> int | None:
    """Return how many parameters a fitted model tells; None where that name is of something else."""
    told = getattr(model, "parameters", None)
    if told is None or callable(told) or isinstance(told, Mapping):
        return None
    if not isinstance(told, Integral) or isinstance(told, bool) or told < 0:
        raise DataError(f"parameters is a whole number of 0 or more, got {told!r}. Give their number, or None.")
    return int(told)


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
