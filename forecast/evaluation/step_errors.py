"""What each forecast step adds to each metric: the one place that defines the errors that tables are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecast.evaluation.metrics import (
    absolute_percent,
    deviation,
    inside,
    interval_score,
    mase_scale,
    quantile_score,
    rmsse_scale,
    symmetric_percent,
)
from forecast.frames import level_name

Array = NDArray[np.float64]

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # that a CRPS is made of
INTERVALS = {"": (0.1, 0.9), "_95": (0.025, 0.975)}  # whose score, coverage and width are told, by what they end in

# What is averaged over steps. Of `rmsse` it is the square, and `size` is what losses are divided by, pooled, for `wql`.
TERMS = (
    "mae", "mse", "mape", "smape", "mase", "rmsse", "mse_scaled", "mae_scaled", "bias", "crps", "size",
    *(f"{metric}{end}" for end in INTERVALS for metric in ("msis", "coverage", "width")),
)  # fmt: skip

FEWEST_PAIRS = 8  # of values a season apart, both observed, that a scale is the mean difference of


class Scales(NamedTuple):
    """What errors are divided by: numbers of the training span, each of any shape that broadcasts against the truth.

    NaN where undefined: a constant series has none of them, one with fewer than eight differences only the last.
    """

    mase: ArrayLike  # see `mase_scale`
    rmsse: ArrayLike  # see `rmsse_scale`
    deviation: ArrayLike  # of z-scores, see `deviation`


def training_scales(history: ArrayLike, *, seasonality: int) -> Scales:
    """Return the scales of training spans (..., T), oldest first, NaN where not observed; each is (...).

    Differences that are too few to tell how a series moves make none: where the only two values that were observed
    happen to be alike, one such series would outweigh all others in a mean.
    """
    values = np.asarray(history, np.float64)
    mase = np.where(_pairs(values, seasonality) >= FEWEST_PAIRS, mase_scale(values, seasonality=seasonality), np.nan)
    rmsse = np.where(_pairs(values, 1) >= FEWEST_PAIRS, rmsse_scale(values), np.nan)
    return Scales(mase[()], rmsse[()], deviation(values))


def step_errors(
    y: Array, forecast: Array, quantiles: Array, *, levels: Sequence[float], scales: Scales
) -> dict[str, Array]:
    """Return what each step adds to each metric, NaN where the truth is or the model does not tell.

    Parameters
    ----------
    y, forecast : ndarray (...)
        Truth, NaN where not observed, and points.
    quantiles : ndarray (..., Q)
    levels : sequence of float (Q,)
        Of the quantiles. Where a decile is absent there is no CRPS, and no score of an interval without its bounds.
    scales : Scales
        Of the series of each step.

    Returns
    -------
    `TERMS` by name, each (...); the mean over steps is the metric, except that `rmsse` and the root of `mse` are to be
    taken after it.
    """
    at = {level_name(level): place for place, level in enumerate(levels)}
    error = forecast - y
    absolute, square = np.abs(error), error**2
    mase, rmsse, spread = (_positive(scale) for scale in scales)
    terms = {
        "mae": absolute,
        "mse": square,
        "mape": absolute_percent(y, forecast),
        "smape": symmetric_percent(y, forecast),
        "mase": absolute / mase,
        "rmsse": square / rmsse,
        "mse_scaled": square / spread**2,
        "mae_scaled": absolute / spread,
        "bias": error,
    }
    absent = np.full(y.shape, np.nan)
    if all(level_name(level) in at for level in DECILES):
        terms["crps"] = quantile_score(y, quantiles[..., [at[level_name(level)] for level in DECILES]], DECILES)
        terms["size"] = np.where(np.isnan(terms["crps"]), np.nan, np.abs(y))
    for end, levels_ in INTERVALS.items():
        if not all(level_name(level) in at for level in levels_):
            continue
        lower, upper = (quantiles[..., at[level_name(level)]] for level in levels_)
        terms[f"msis{end}"] = interval_score(y, lower, upper, share=levels_[1] - levels_[0]) / mase
        terms[f"coverage{end}"] = inside(y, lower, upper)
        terms[f"width{end}"] = np.where(np.isnan(y), np.nan, upper - lower)
    return {name: terms.get(name, absent) for name in TERMS}


def _positive(scale: ArrayLike) -> Array:
    values = np.asarray(scale, np.float64)
    return np.where(values > 0, values, np.nan)


def _pairs(values: Array, lag: int) -> Array:
    """Return how many values (..., T) were observed together with that of `lag` steps before: (...)."""
    return np.isfinite(values[..., lag:] - values[..., :-lag]).sum(axis=-1)
