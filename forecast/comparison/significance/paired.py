"""Two models over many series: who is better on how many, by how much, and whether that may be chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from forecast.errors import DataError
from forecast.evaluation.bootstrap import ENDS, FEWEST, resampled_means

Array = NDArray[np.float64]

ALIKE = 1e-6  # relative difference of two errors that single precision could make: a tie


class WinRate(NamedTuple):
    """The share of series on which one model is better, half of each tie counted, and its 95 % interval."""

    rate: float
    low: float
    high: float


def tied(errors: ArrayLike) -> Array:
    """Return errors (N, M) in which those of a row that are alike but for rounding are the same number."""
    values = np.array(errors, np.float64)
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    apart = np.diff(ordered, axis=1) > ALIKE * np.abs(ordered[:, 1:])
    first = np.where(np.pad(apart, ((0, 0), (1, 0)), constant_values=True), np.arange(values.shape[1]), 0)
    level = np.take_along_axis(ordered, np.maximum.accumulate(first, axis=1), axis=1)
    np.put_along_axis(values, order, level, axis=1)
    return values


def wilcoxon(errors: ArrayLike, others: ArrayLike) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test: whether differences of errors (N,) lie around 0.

    Ties take part in the ranking and then drop out (Pratt's way), so that many equal forecasts are no evidence of a
    difference; errors that are equal everywhere give p = 1. Exact up to 50 series without ties.

    Raises
    ------
    DataError
        If the errors are not paired.

    References
    ----------
    Wilcoxon (1945), Individual comparisons by ranking methods, Biometrics Bulletin 1, 80-83.
    Pratt (1959), Remarks on zeros and ties in the Wilcoxon signed rank procedures, JASA 54, 655-667.
    """
    own, other = _paired(errors, others)
    if (own == other).all():
        return 1.0
    return float(stats.wilcoxon(own, other, zero_method="pratt").pvalue)


def smallest_p(count: int) -> float:
    """Return the smallest two-sided p-value that Wilcoxon's test can give so many series: one of the 2^N signings."""
    return min(1.0, 2.0 ** (1 - count))


def win_rate(errors: ArrayLike, others: ArrayLike, *, level: float = 0.95) -> WinRate:
    """Return on what share of series the first model has the lower error, with the exact binomial interval.

    References
    ----------
    Clopper and Pearson (1934), The use of confidence or fiducial limits illustrated in the case of the binomial,
    Biometrika 26, 404-413.
    """
    own, other = _paired(errors, others)
    won = float((own < other).sum() + (own == other).sum() / 2)
    count, tail = len(own), (1 - level) / 2
    low = stats.beta.ppf(tail, won, count - won + 1) if won > 0 else 0.0
    high = stats.beta.ppf(1 - tail, won + 1, count - won) if won < count else 1.0
    return WinRate(won / count, float(low), float(high))


def skills(errors: Array) -> Array:
    """Return 1 - mean error of i / mean error of j for models of (N, M): (M, M), NaN where j has no error at all."""
    return _skill(errors.mean(axis=0))


def skill_intervals(errors: Array, *, overlap: int = 1, seed: int = 0) -> tuple[Array, Array]:
    """Return the ends (M, M) of the 95 % interval of `skills`, by a bootstrap that draws the same rows for every model.

    Parameters
    ----------
    errors : Array (N, M)
        Rows are series, or windows in order of time.
    overlap : int
        Rows in a row that are drawn together, since they have steps in common.
    seed : int
        Draws the rows.

    Returns
    -------
    NaN throughout where there are fewer than ten blocks.
    """
    count = errors.shape[1]
    if len(errors) < FEWEST * overlap:
        return np.full((count, count), np.nan), np.full((count, count), np.nan)
    means = resampled_means(errors, length=overlap, seed=seed)
    # One row of models at a time: all at once would be resamples x M x M.
    ends = [np.percentile(_ratio(means[:, [model]], means), ENDS, axis=0) for model in range(count)]
    low, high = np.stack(ends, axis=1)
    return low, high


def _skill(means: Array) -> Array:
    return _ratio(means[:, None], means[None, :])


def _ratio(own: Array, other: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(other > 0, 1 - own / other, np.nan)


def _paired(errors: ArrayLike, others: ArrayLike) -> tuple[Array, Array]:
    own, other = np.asarray(errors, np.float64), np.asarray(others, np.float64)
    if own.shape != other.shape or own.ndim != 1 or not len(own):
        raise DataError(
            f"errors of the same series are compared, one value a series; got shapes {own.shape} and {other.shape}."
        )
    return own, other
