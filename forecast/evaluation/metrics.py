"""Accuracy of points and intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

METRICS = (
    "mae", "rmse", "mse", "mape", "smape", "mase", "rmsse", "mse_scaled", "mae_scaled", "bias", "crps", "wql",
    "msis", "coverage", "width", "msis_95", "coverage_95", "width_95",
)  # fmt: skip


def mae(y: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    """Mean absolute error over the observed steps of the last axis."""
    return _mean(np.abs(_array(y) - _array(forecast)), y)


def rmse(y: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    """Root mean squared error over the observed steps of the last axis."""
    return np.sqrt(_mean((_array(y) - _array(forecast)) ** 2, y))


def mse(y: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    """Mean squared error over the observed steps of the last axis."""
    return _mean((_array(y) - _array(forecast)) ** 2, y)


def bias(y: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    """Mean of forecast minus truth over the observed steps of the last axis: above 0 where forecasts are too high."""
    return _mean(_array(forecast) - _array(y), y)


def mape(y: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    """Mean absolute error in percent of the truth, over the observed steps of the last axis where the truth is not 0.

    Steps where it is 0 are left out, as many as `zero_steps` counts; scikit-learn divides them by the smallest number
    there is. What is left flatters forecasts that are too low, and near 0 a single step outweighs the others.

    References
    ----------
    Hyndman and Koehler (2006), "Another look at measures of forecast accuracy", section 2.2.
    """
    truth = _array(y)
    return _mean(absolute_percent(truth, _array(forecast)), np.where(truth == 0, np.nan, truth))


def zero_steps(y: ArrayLike) -> NDArray[np.int64]:
    """How many observed steps of the last axis are 0, which `mape` leaves out."""
    return np.sum(_array(y) == 0, axis=-1)


def smape(y: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    """Symmetric mean absolute percentage error as in M4, in percent from 0 to 200; 0 where both are zero.

    References
    ----------
    Makridakis, Spiliotis and Assimakopoulos (2020), "The M4 Competition", section 2.3.
    """
    return _mean(symmetric_percent(_array(y), _array(forecast)), y)


def mase(y: ArrayLike, forecast: ArrayLike, *, scale: ArrayLike) -> NDArray[np.float64]:
    """Mean absolute error over `scale`, which is that of `mase_scale`; NaN where the scale is undefined.

    References
    ----------
    Hyndman and Koehler (2006), "Another look at measures of forecast accuracy".
    """
    return mae(y, forecast) / _positive(scale)


def mase_scale(history: ArrayLike, *, seasonality: int) -> NDArray[np.float64]:
    """Mean absolute seasonal difference over the pairs of which both values were observed.

    Parameters
    ----------
    history : array (..., T)
        Values up to the cutoff, oldest first; NaN is unobserved.
    seasonality : int
        Steps between the two values of a pair.

    Returns
    -------
    Array (...), NaN for a constant series and where no pair was observed.
    """
    if seasonality < 1:
        raise ValueError(f"seasonality must be at least 1, got {seasonality}.")
    values = _array(history)
    differences = np.abs(values[..., seasonality:] - values[..., :-seasonality])
    return _positive(_mean(differences, differences))


def rmsse(y: ArrayLike, forecast: ArrayLike, *, scale: ArrayLike) -> NDArray[np.float64]:
    """Root of the mean squared error over `scale`, which is that of `rmsse_scale`; NaN where it is undefined.

    References
    ----------
    Makridakis, Spiliotis and Assimakopoulos (2022), "M5 accuracy competition", section 3.1.
    """
    return np.sqrt(mse(y, forecast) / _positive(scale))


def rmsse_scale(history: ArrayLike) -> NDArray[np.float64]:
    """Mean squared difference of one step to the next, whatever the season, over the pairs that were observed.

    M5 begins at the first sale that is not 0: let what lies before a product is on sale be unobserved.

    Parameters
    ----------
    history : array (..., T)
        Values up to the cutoff, oldest first; NaN is unobserved.

    Returns
    -------
    Array (...), NaN for a constant series and where no pair was observed.
    """
    squares = np.diff(_array(history)) ** 2
    return _positive(_mean(squares, squares))


def deviation(history: ArrayLike) -> NDArray[np.float64]:
    """Standard deviation of the observed values of the last axis, the scale of z-scores; NaN where it is 0.

    Errors over it are those of series z-scored by their training span, as benchmarks of long horizons tell them.

    References
    ----------
    Zhou et al. (2021), "Informer", section 5.1, whose code takes scikit-learn's StandardScaler.
    """
    values = _array(history)
    centred = values - np.asarray(_mean(values, values))[..., None]
    found = np.sqrt(_mean(centred**2, values))
    size = np.max(np.abs(values), axis=-1, where=~np.isnan(values), initial=0)
    return _positive(np.where(found > 1e-10 * size, found, 0))  # a constant deviates by its rounding


def quantile_score(y: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> NDArray[np.float64]:
    """Twice the pinball loss of each step, averaged over levels: of the nine deciles an approximation of the CRPS.

    Parameters
    ----------
    y : array (...)
    quantiles : array (..., Q)
    levels : sequence of float (Q,)

    References
    ----------
    Laio and Tamea (2007), "Verification tools for probabilistic forecasts": the CRPS is the integral of twice the
    pinball loss over levels; Gneiting and Raftery (2007), "Strictly proper scoring rules", section 4.2.
    """
    error, level = _array(y)[..., None] - _array(quantiles), np.asarray(levels, np.float64)
    return 2 * np.maximum(level * error, (level - 1) * error).mean(axis=-1)


def crps(y: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> NDArray[np.float64]:
    """Continuous ranked probability score over the observed steps of the last axis, from quantiles (..., Q)."""
    return _mean(quantile_score(y, quantiles, levels), y)


def weighted_quantile_loss(y: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> np.float64:
    """Twice the pinball loss over all observed steps, averaged over levels, over the sum of their sizes.

    References
    ----------
    Aksu et al. (2024), "GIFT-Eval", appendix: mean weighted quantile loss over the levels 0.1 to 0.9.
    """
    size = np.abs(_array(y))
    return np.float64(np.nansum(quantile_score(y, quantiles, levels)) / np.nansum(size))


def msis(y: ArrayLike, lower: ArrayLike, upper: ArrayLike, *, share: float, scale: ArrayLike) -> NDArray[np.float64]:
    """Mean scaled interval score over the observed steps of the last axis; `share` is what the interval should hold.

    References
    ----------
    Gneiting and Raftery (2007), section 6.2; Makridakis, Spiliotis and Assimakopoulos (2020), "The M4 Competition".
    """
    return _mean(interval_score(_array(y), _array(lower), _array(upper), share=share), y) / _positive(scale)


def coverage(y: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> NDArray[np.float64]:
    """Share of the observed steps of the last axis that lie within the bounds, both included."""
    return _mean(inside(_array(y), _array(lower), _array(upper)), y)


def width(y: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> NDArray[np.float64]:
    """Mean distance between the bounds over the observed steps of the last axis."""
    return _mean(_array(upper) - _array(lower), y)


def owa(smape: float, mase: float, smape_naive2: float, mase_naive2: float) -> float:
    """Overall weighted average of M4: mean of sMAPE and MASE, each relative to that of Naive2."""
    return (smape / smape_naive2 + mase / mase_naive2) / 2


def symmetric_percent(y: NDArray[np.float64], forecast: NDArray[np.float64]) -> NDArray[np.float64]:
    """Absolute error of each step in percent of the mean size of truth and forecast; 0 where both are zero."""
    size = np.abs(y) + np.abs(forecast)
    return 200 * np.abs(y - forecast) / np.where(size == 0, 1, size)


def absolute_percent(y: NDArray[np.float64], forecast: NDArray[np.float64]) -> NDArray[np.float64]:
    """Absolute error of each step in percent of the truth; NaN where that is 0."""
    return 100 * np.abs(y - forecast) / np.where(y == 0, np.nan, np.abs(y))


def inside(y: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for each step within the bounds, both included, 0 outside them; NaN where one of the three is."""
    within = ((lower <= y) & (y <= upper)).astype(np.float64)
    return np.where(np.isnan(y + lower + upper), np.nan, within)


def interval_score(
    y: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64], *, share: float
) -> NDArray[np.float64]:
    """Width of each interval, and what lies outside of it times 2 / (1 - share)."""
    outside = np.maximum(lower - y, 0) + np.maximum(y - upper, 0)
    return upper - lower + 2 / (1 - share) * outside


def _array(values: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _mean(errors: NDArray[np.float64], truth: ArrayLike) -> NDArray[np.float64]:
    # Not nanmean: a NaN that a model forecast must show, only unobserved truth is skipped.
    observed = np.broadcast_to(~np.isnan(_array(truth)), errors.shape)
    count = observed.sum(axis=-1)
    return np.where(count > 0, errors.sum(axis=-1, where=observed) / np.maximum(count, 1), np.nan)[()]


def _positive(scale: ArrayLike) -> NDArray[np.float64]:
    values = _array(scale)
    return np.where(values > 0, values, np.nan)[()]
