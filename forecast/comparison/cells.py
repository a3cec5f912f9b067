"""Cells: a model on a data set at a horizon, with a seed, fitted before a fold; what tells it apart, and running it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch

from forecast.comparison.describing import reason_untold, untold
from forecast.comparison.entry import Entry, Fitted
from forecast.comparison.hashing import array_digest, digest
from forecast.comparison.joining import PAIR, joined
from forecast.comparison.measured import peak_memory
from forecast.comparison.protocols import Part, Task
from forecast.errors import DataError, ExtraError, ForecastError, named
from forecast.evaluation.origins import Origins
from forecast.evaluation.step_errors import DECILES, INTERVALS, Scales
from forecast.evaluation.window_errors import window_errors
from forecast.frames import FORECAST, level_name

RESULTS = 3  # raised whenever the same settings come to give other results
NUMBERS = 4_000_000  # of forecasts that are made in one go
DRAWN_SERIES, DRAWN_FOLDS = 24, 8  # whose forecasts are kept for a person to look at, spread evenly
DRAWN_LEVELS = tuple(sorted(sum(INTERVALS.values(), ())))
TABLES = ("windows", "steps", "calibration", "forecasts")
KEYS = ("data", "horizon", "model", "seed", "fold")
REFUSED = "refused"  # in place of settings


@dataclass(frozen=True, eq=False)
class Cell:
    """One fit, and every origin that is forecast with it.

    ``fold`` is the first fold that the fit serves: with ``refit=false`` one cell has all folds, with ``refit=true``
    each has its own.
    """

    task: Task
    entry: Entry
    seed: int
    part: Part

    @property
    def key(self) -> dict[str, Any]:
        """What it is called in tables."""
        values = (self.task.data, self.task.horizon, self.entry.name, self.seed, self.part.fold)
        return dict(zip(KEYS, values, strict=True))

    @cached_property
    def model(self) -> dict[str, Any]:
        """The settings of its entry; where they cannot be told, the reason, which ends the cell and no other."""
        try:
            return self.entry.settings(self.task, seed=self.seed)
        except Exception as error:  # of a model of the user's own, or of settings that make no sense
            return {REFUSED: reason_of(error), **untold(reason_of(error))}

    @property
    def reason_not_kept(self) -> str:
        """Why its model cannot be told from others, so that its results are not kept; "" where it can."""
        return reason_untold(self.model)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Everything that its results depend on, as plain values; names of data sets and entries do not count."""
        origins = self.part.origins
        return {
            "results": RESULTS,
            "data": self.task.digest,
            "horizon": self.task.horizon,
            "seasonality": self.task.season,
            "scales": array_digest(*self.task.scales),
            "known": array_digest(self.part.known),
            "origins": array_digest(origins.window - self.part.fold + 1, origins.series, origins.ends),
            "drawn": array_digest(drawn(self.task)),
            "model": self.model,
            "seed": self.seed,
        }

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of `config`."""
        return digest(self.config)


@dataclass(frozen=True, eq=False)
class Result:
    """What a cell came to: tables by name, or the reason for none; and what it took.

    ``is_passing`` is true of a failure that lies in the machine rather than in the cell: no memory, no room, a package
    that is not installed. The next call may find it otherwise. ``parameters`` is None where a model does not tell.
    """

    tables: dict[str, pd.DataFrame]
    reason: str = ""
    is_passing: bool = False
    fit_seconds: float = np.nan
    predict_seconds: float = np.nan
    peak_memory_mb: float = np.nan
    parameters: int | None = None


def run(cell: Cell) -> Result:
    """Fit and score a cell; what it raises becomes the reason of its failure."""
    import forecast.training.fitting  # noqa: F401  the import of lightning is nobody's training time

    if REFUSED in cell.model:
        return Result({}, cell.model[REFUSED])
    try:
        return _run(cell)
    except (Exception, SystemExit) as error:  # one model that fails is a row of the table, and no end of the others
        return Result({}, reason_of(error), is_passing=_is_passing(error))


def reason_of(error: BaseException) -> str:
    """Return the reason of a failure, one line."""
    first = str(error).strip().partition("\n")[0]
    return first if first and isinstance(error, ForecastError) else f"{type(error).__name__}: {first}"


def _is_passing(error: BaseException | None) -> bool:
    if isinstance(error, ExtraError | ImportError | MemoryError | OSError | torch.OutOfMemoryError):
        return True
    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):  # torch's, on the CPU
        return True
    return error is not None and _is_passing(error.__cause__)


def drawn(task: Task) -> np.ndarray:
    """Return the numbers of the series whose forecasts are kept."""
    count = len(task.panel.ids)
    return np.unique(np.linspace(0, count - 1, min(count, DRAWN_SERIES)).round().astype(np.int64))


def _run(cell: Cell) -> Result:
    task, origins = cell.task, cell.part.origins
    with peak_memory() as peak:
        began = time.perf_counter()
        fitted = cell.entry.fit(task, cell.part, seed=cell.seed)
        fit_seconds, predict_seconds = time.perf_counter() - began, 0.0
        parts: list[dict[str, pd.DataFrame]] = []
        for own in _chunks(origins, task):
            began = time.perf_counter()
            values = fitted.forecasts(own)
            predict_seconds += time.perf_counter() - began
            parts.append(_scored(cell, own, values, fitted))
        return Result(
            _together(parts),
            fit_seconds=fit_seconds + fitted.refit_seconds,
            predict_seconds=predict_seconds - fitted.refit_seconds,
            peak_memory_mb=peak(),
            parameters=fitted.parameters,
        )


def _chunks(origins: Origins, task: Task) -> Iterator[Origins]:
    """Give origins by whole folds, as many at a time as memory is to hold."""
    most = max(NUMBERS // (task.horizon * task.panel.target.shape[1] * (len(DECILES) + 3)), 1)
    _, window, counts = np.unique(origins.window, return_inverse=True, return_counts=True)
    chunk = ((np.cumsum(counts) - 1) // most)[window]
    for number in np.unique(chunk):
        yield origins.taken(chunk == number)


def _scored(cell: Cell, origins: Origins, values: np.ndarray, fitted: Fitted) -> dict[str, pd.DataFrame]:
    task, truth = cell.task, cell.task.truth(origins)
    _refuse_absent(cell, origins, truth, values)
    scales = Scales(*(np.asarray(scale)[origins.series] for scale in task.scales))
    errors = window_errors(truth, values, series=origins.series, levels=fitted.levels, scales=scales)
    windows = errors.per_window[errors.per_window["n"] > 0].reset_index(drop=True)
    places = windows.pop("origin").to_numpy()
    windows.insert(0, "window", origins.window[places] - cell.part.fold + 1)
    windows.insert(1, "cutoff", task.cutoffs(origins)[places])
    return {
        "windows": windows,
        "steps": errors.per_step[errors.per_step["n"] > 0],
        "calibration": _calibration(truth, values, fitted.levels),
        "forecasts": _forecasts(cell, origins, truth, values, fitted.levels),
    }


def _refuse_absent(cell: Cell, origins: Origins, truth: np.ndarray, values: np.ndarray) -> None:
    """Refuse points that are no numbers where the truth was observed: every model is scored on the same steps."""
    absent = ~np.isfinite(values[..., 0]) & ~np.isnan(truth)
    if absent.any():
        row = int(np.argwhere(absent)[0][0])
        name = named(cell.task.panel.ids[origins.series[row]])
        raise DataError(
            f"{cell.entry.name} has no finite forecast of series {name} after "
            f"{cell.task.cutoffs(origins)[row]} ({absent.any(axis=(1, 2)).sum()} such windows)."
        )


def _calibration(truth: np.ndarray, values: np.ndarray, levels: Any) -> pd.DataFrame:
    """Return how many observed steps lie at or below the quantiles of the deciles, and of how many that is told."""
    at = {level_name(level): 1 + place for place, level in enumerate(levels)}
    held = [(level, values[..., at[level_name(level)]]) for level in DECILES if level_name(level) in at]
    rows = [(level, int((truth <= own).sum()), int((~np.isnan(truth + own)).sum())) for level, own in held]
    return pd.DataFrame(rows, columns=["level", "below", "n"]).astype({"level": float})


def _forecasts(cell: Cell, origins: Origins, truth: np.ndarray, values: np.ndarray, levels: Any) -> pd.DataFrame:
    """Return the forecasts of some series at some folds, step by step, beside the truth."""
    task, windows = cell.task, np.unique(cell.part.origins.window)
    folds = windows[np.unique(np.linspace(0, len(windows) - 1, min(len(windows), DRAWN_FOLDS)).round().astype(int))]
    own = np.flatnonzero(np.isin(origins.series, drawn(task)) & np.isin(origins.window, folds))
    places = {level_name(level): 1 + place for place, level in enumerate(levels)}
    origin, channel = np.nonzero(task.counts(origins.taken(own)))
    origin = own[origin]
    steps = np.arange(task.horizon)
    number = np.repeat(origins.series[origin], task.horizon)
    stamps = task.panel.stamps(number, (origins.ends[origin][:, None] + steps).reshape(-1))
    columns: dict[str, Any] = {FORECAST: values[origin, :, channel, 0].reshape(-1)}
    for name in map(level_name, DRAWN_LEVELS):
        place = places.get(name)
        columns[name] = np.nan if place is None else values[origin, :, channel, place].reshape(-1)
    return pd.DataFrame(
        {
            "series": number,
            "channel": np.repeat(channel, task.horizon),
            "window": np.repeat(origins.window[origin] - cell.part.fold + 1, task.horizon),
            "cutoff": np.repeat(task.cutoffs(origins)[origin], task.horizon),
            "time": task.panel.stamp_texts(stamps),
            **columns,
            "y": truth[origin, :, channel].reshape(-1),
        }
    )


def _together(parts: list[dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Return the tables of all chunks as one of each."""
    tables = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in TABLES}
    tables["steps"] = joined([tables["steps"]], [*PAIR, "step"])
    tables["calibration"] = tables["calibration"].groupby("level", as_index=False).sum()
    return tables
