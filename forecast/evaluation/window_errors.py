"""Errors of arrays of forecasts, by window, by series and by step: many windows, with bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from forecast.evaluation.averages import metrics_of
from forecast.evaluation.step_errors import TERMS, Array, Scales, step_errors
from forecast.frames import told

_NUMBERS = 2_000_000  # of forecasts in a chunk: about 60 MB with all that is made of them


class WindowErrors(NamedTuple):
    """Tables of errors; each row is a cell with the columns of `averages.CELL` behind its keys.

    `averaged(table, by)` takes means over series. A window of which nothing was observed has `n` 0 and no metric.
    """

    per_window: pd.DataFrame  # by `origin` (its row in the arrays), `series`, `channel`
    per_series: pd.DataFrame  # by `series`, `channel`: over all steps of all its windows
    per_step: pd.DataFrame  # by `series`, `channel`, `step` (from 1): over all its windows


class _Sums(NamedTuple):
    """Sums of `TERMS` over cells, and how many steps each is of."""

    totals: Array  # (T, ...)
    counts: NDArray[np.int64]  # (T, ...)


def window_errors(
    truth: Array, values: Array, *, series: ArrayLike, levels: Sequence[float], scales: Scales
) -> WindowErrors:
    """Score forecasts from many origins, over the steps whose truth was observed.

    Windows that are NaN throughout were not forecast, and are left out, as in a backtest.

    Parameters
    ----------
    truth : ndarray (N, H, C)
        What came; NaN where not observed.
    values : ndarray (N, H, C, 1 + Q)
        Points, then quantiles.
    series : array of int (N,)
        Number of the series of each origin.
    levels : sequence of float (Q,)
        Of the quantiles.
    scales : Scales
        Each (N, C), or what broadcasts to it: of the series of each origin, from its training span.

    Raises
    ------
    ValueError
        If shapes do not agree, or a window lacks some of its points where the truth was observed.
    """
    numbers = np.asarray(series)
    _check_shapes(truth, values, numbers, levels)
    order = np.argsort(numbers, kind="stable")
    origin, channel = told(values)
    forecast = np.zeros((len(truth), truth.shape[2]), bool)
    forecast[origin, channel] = True
    whole = [np.broadcast_to(np.asarray(scale, np.float64), forecast.shape) for scale in scales]
    names, codes = np.unique(numbers, return_inverse=True)
    count, steps, channels = truth.shape
    windows = _Sums(np.full((len(TERMS), count, channels), np.nan), np.zeros((len(TERMS), count, channels), np.int64))
    shape = (len(TERMS), len(names), steps, channels)
    grouped = _Sums(np.zeros(shape), np.zeros(shape, np.int64))
    chunk = max(1, _NUMBERS // max(1, steps * channels * values.shape[-1]))
    for at in range(0, count, chunk):
        rows = order[at : at + chunk]
        y = np.where(forecast[rows, None], truth[rows], np.nan)
        _refuse_holes(y, values[rows], rows)
        own = Scales(*(scale[rows, None] for scale in whole))
        terms = step_errors(y, values[rows, ..., 0], values[rows, ..., 1:], levels=levels, scales=own)
        _add(terms, rows, codes[rows], windows=windows, grouped=grouped)
    places = np.nonzero(forecast)
    by_series = _Sums(grouped.totals.sum(axis=2), grouped.counts.sum(axis=2))
    held = np.zeros((len(names), channels), bool)
    held[codes[places[0]], places[1]] = True
    pairs = np.nonzero(held)
    stepwise = np.nonzero(np.broadcast_to(held[:, None], shape[1:]))
    return WindowErrors(
        _table(windows, places, {"origin": places[0], "series": numbers[places[0]], "channel": places[1]}),
        _table(by_series, pairs, {"series": names[pairs[0]], "channel": pairs[1]}),
        _table(
            grouped, stepwise, {"series": names[stepwise[0]], "channel": stepwise[2], "step": stepwise[1] + 1}
        ).sort_values(["series", "channel", "step"], ignore_index=True),
    )


def _add(
    terms: dict[str, Array], rows: NDArray[np.int64], codes: NDArray[np.int64], *, windows: _Sums, grouped: _Sums
) -> None:
    """Add the terms (B, H, C) of a chunk, its rows sorted by series, to the sums of windows and of series by step."""
    begins = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    for number, name in enumerate(TERMS):
        known = ~np.isnan(terms[name])
        term = np.where(known, terms[name], 0.0)
        windows.totals[number, rows] = term.sum(axis=1)
        windows.counts[number, rows] = known.sum(axis=1)
        grouped.totals[number, codes[begins]] += np.add.reduceat(term, begins, axis=0)
        grouped.counts[number, codes[begins]] += np.add.reduceat(known, begins, axis=0, dtype=np.int64)


def _table(sums: _Sums, places: tuple[NDArray[np.int64], ...], keys: dict[str, NDArray]) -> pd.DataFrame:
    """Return the metrics of the cells at some places, with their keys in front."""
    flat = np.ravel_multi_index(places, sums.counts.shape[1:])
    totals, counts = (part.reshape(len(TERMS), -1)[:, flat] for part in sums)  # (T, M)
    known = np.where(counts > 0, totals, np.nan)
    means = pd.DataFrame(dict(zip(TERMS, known / np.maximum(counts, 1), strict=True)))
    about = dict(zip(TERMS, known, strict=True))
    count, nonzero = (counts[TERMS.index(name)] for name in ("mae", "mape"))
    cells = metrics_of(means, count=count, nonzero=nonzero, loss=about["crps"], size=about["size"])
    return pd.concat([pd.DataFrame(keys), cells], axis=1)


def _check_shapes(truth: Array, values: Array, series: NDArray, levels: Sequence[float]) -> None:
    if truth.ndim != 3 or values.shape != (*truth.shape, 1 + len(levels)) or series.shape != truth.shape[:1]:
        raise ValueError(
            f"truth {truth.shape}, values {values.shape}, series {series.shape} and {len(levels)} levels do not agree. "
            "Give truth (N, H, C), values (N, H, C, 1 + Q), series (N,) and Q levels."
        )


def _refuse_holes(y: Array, values: Array, rows: NDArray[np.int64]) -> None:
    """Refuse windows that lack a point where the truth was observed."""
    holes = np.isnan(values[..., 0]) & ~np.isnan(y)
    if holes.any():
        row, step, channel = np.argwhere(holes)[0]
        raise ValueError(
            f"origin {rows[row]}, step {step + 1}, channel {channel} has no forecast, though the truth was observed. "
            "Forecast each window whole, or not at all."
        )
