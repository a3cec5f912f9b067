"""Errors of forecasts from many origins by window and by step, and how such tables are joined and averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from forecast.evaluation.metrics import inside, interval_score, mase_scale, quantile_score, symmetric_percent
from forecast.evaluation.tables import DECILES, INTERVALS
from forecast.frames import level_name

Array = NDArray[np.float64]
METRICS = (
    "mae", "rmse", "mse", "mape", "smape", "mase", "rmsse", "mse_scaled", "mae_scaled", "bias", "crps", "wql",
    "msis", "coverage", "width", "msis_95", "coverage_95", "width_95",
)  # fmt: skip
IN_UNITS = ("mae", "rmse", "mse", "bias", "crps", "wql", "width", "width_95")
ROOTS = {"rmse": "mse", "rmsse": "rmsse"}  # metrics that are roots of a mean over steps
PAIR = ["series", "channel"]


class Scales(NamedTuple):
    """What errors are divided by, each of a shape that broadcasts against (N, C); NaN where undefined."""

    mase: ArrayLike
    rmsse: ArrayLike
    deviation: ArrayLike


def training_scales(history: ArrayLike, *, seasonality: int) -> Scales:
    """Return the scales of a training span (T,), oldest first, NaN where not observed."""
    values = np.asarray(history, np.float64)
    squares = np.diff(values) ** 2
    known, seen = squares[~np.isnan(squares)], values[~np.isnan(values)]
    return Scales(
        mase_scale(values, seasonality=seasonality),
        known.mean() if len(known) and known.any() else np.nan,
        seen.std() if len(seen) and np.ptp(seen) > 0 else np.nan,
    )


def cell_scores(
    truth: Array, values: Array, *, series: NDArray[np.int64], levels: Sequence[float], scales: Scales
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score forecasts over the steps whose truth was observed.

    Parameters
    ----------
    truth : ndarray (N, H, C)
        NaN where not observed.
    values : ndarray (N, H, C, 1 + Q)
        Points, then quantiles.
    series : ndarray of int (N,)
        Number of the series of each origin.
    levels : sequence of float (Q,)
        Of the quantiles.
    scales : Scales
        Of the series of each origin.

    Returns
    -------
    Tables by `origin` (row of the arrays), `series` and `channel`, and by `series`, `channel` and `step` (from 1), each
    with `n` (steps observed), the metrics, and `loss` and `size`, of which `wql` is the ratio.
    """
    terms = _terms(truth, values, levels=levels, scales=scales)
    seen = ~np.isnan(truth)
    origin, channel = np.nonzero(seen.any(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = {name: _mean(term, axis=1)[origin, channel] for name, term in terms.items()}
    keys = {"origin": origin, "series": series[origin], "channel": channel}
    windows = _table(keys, means, n=seen.sum(axis=1)[origin, channel])
    place = np.nonzero(seen)
    rows = pd.DataFrame({"series": series[place[0]], "channel": place[2], "step": place[1] + 1})
    rows = rows.assign(**{name: term[place] for name, term in terms.items()})
    grouped = rows.groupby([*PAIR, "step"])
    steps = grouped.mean().reset_index()
    return windows, _table({name: steps[name] for name in (*PAIR, "step")}, steps, n=grouped.size().to_numpy())


def joined(tables: Sequence[pd.DataFrame], by: list[str]) -> pd.DataFrame:
    """Return the metrics of cells that are parted over tables or rows, over all their observed steps."""
    table = pd.concat(tables, ignore_index=True)
    steps = table["n"].to_numpy(np.float64)[:, None]
    terms = [name for name in METRICS if name not in ("rmse", "wql")]
    values = table[terms].assign(rmsse=table["rmsse"] ** 2)
    known = values.notna()
    sums = (values * steps).assign(**{name: table[name] for name in by}).groupby(by, sort=False)[terms].sum()
    weights = (known * steps).assign(**{name: table[name] for name in by}).groupby(by, sort=False)[terms].sum()
    means = sums / weights.where(weights > 0)
    extra = table.groupby(by, sort=False)[["n", "loss", "size"]].sum(min_count=1)
    means = means.assign(rmsse=np.sqrt(means["rmsse"]), rmse=np.sqrt(means["mse"]), **extra)
    return means.assign(wql=_pooled(means))[["n", *METRICS, "loss", "size"]].reset_index()


def averaged(table: pd.DataFrame, by: list[str], *, hidden: Sequence[str] = ()) -> pd.DataFrame:
    """Return the mean of each metric over the series that have it, `wql` over all at once; `hidden` ones are NaN."""
    grouped = table.groupby(by, sort=False)
    means = grouped[list(METRICS)].mean()
    means["wql"] = _pooled(grouped[["loss", "size"]].sum(min_count=1))
    means.insert(0, "series_count", grouped["mae"].count())
    return means.assign(**dict.fromkeys(hidden, np.nan)).reset_index()


def _terms(truth: Array, values: Array, *, levels: Sequence[float], scales: Scales) -> dict[str, Array]:
    """Return what each step adds to each metric (N, H, C), NaN where the truth is."""
    at = {level_name(level): 1 + place for place, level in enumerate(levels)}
    mase, rmsse, deviation = (np.asarray(scale, np.float64)[:, None] for scale in scales)
    error = values[..., 0] - truth
    absolute, square = np.abs(error), error**2
    terms = {
        "mae": absolute,
        "mse": square,
        "mape": 100 * absolute / np.where(truth == 0, np.nan, np.abs(truth)),
        "smape": symmetric_percent(truth, values[..., 0]),
        "mase": absolute / mase,
        "rmsse": square / rmsse,
        "mse_scaled": square / deviation**2,
        "mae_scaled": absolute / deviation,
        "bias": error,
    }
    absent = np.full(truth.shape, np.nan)
    deciles = [at[level_name(level)] for level in DECILES if level_name(level) in at]
    has_all = len(deciles) == len(DECILES)
    terms["crps"] = quantile_score(truth, values[..., deciles], DECILES) if has_all else absent
    terms["size"] = np.where(np.isnan(terms["crps"]), np.nan, np.abs(truth))
    for end, bounds in INTERVALS.items():
        places = [at.get(level_name(level)) for level in bounds]
        lower, upper = (absent if place is None else values[..., place] for place in places)
        terms[f"msis{end}"] = interval_score(truth, lower, upper, share=bounds[1] - bounds[0]) / mase
        terms[f"coverage{end}"] = inside(truth, lower, upper)
        terms[f"width{end}"] = np.where(np.isnan(truth), np.nan, upper - lower)
    return terms


def _table(keys: Mapping[str, Any], means: Mapping[str, Any] | pd.DataFrame, *, n: Any) -> pd.DataFrame:
    """Return keys, `n`, the metrics, and the sums that `wql` is made of."""
    table = pd.DataFrame({**keys, "n": n, **{str(name): np.asarray(own) for name, own in means.items()}})
    for root, of in ROOTS.items():
        table[root] = np.sqrt(table[of])
    table = table.assign(loss=table["crps"] * n, size=table["size"] * n)
    table = table.assign(wql=_pooled(table))
    return table[[*keys, "n", *METRICS, "loss", "size"]]


def _mean(values: Array, *, axis: int) -> Array:
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=axis) / np.maximum(count, 1), np.nan)


def _pooled(sums: pd.DataFrame) -> pd.Series:
    return sums["loss"] / sums["size"].where(sums["size"] > 0)
