"""Two models on one series: the test of Diebold and Mariano, with the correction of Harvey, Leybourne and Newbold."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from forecast.errors import DataError

Array = NDArray[np.float64]
Alternative = Literal["two-sided", "less", "greater"]

FEWEST_ORIGINS = 8


class DieboldMariano(NamedTuple):
    """A statistic, negative where the first model is better, its p-value, and how many autocovariances went into it."""

    statistic: float
    p: float
    lags: int


def diebold_mariano(
    loss: ArrayLike, other: ArrayLike, *, steps_overlap: int = 1, alternative: Alternative = "two-sided"
) -> DieboldMariano:
    """Test whether two models have the same expected loss.

    With d = loss - other over T origins, autocovariances g_k = sum of (d_t - mean)(d_(t-k) - mean) / T and an overlap
    of h, the statistic is mean / sqrt((g_0 + 2 (g_1 + ... + g_(h-1))) / T), times the small-sample correction
    sqrt((T + 1 - 2 h + h (h - 1) / T) / T), held against Student's t with T - 1 degrees of freedom. Where that variance
    is not positive, the test is that of h = 1, as in `dm.test` of R's package forecast. Losses that are equal
    everywhere give 0 and p = 1.

    Parameters
    ----------
    loss, other : array-like (T,)
        Losses of the two models at the same origins, in order of time.
    steps_overlap : int
        How many origins in a row have a step in common with the first of them: horizon / step, rounded up.
    alternative : {"two-sided", "less", "greater"}
        That the first model's loss is another one, lower, or higher.

    Raises
    ------
    DataError
        If there are fewer than eight origins or no more than overlap, if a loss is not finite, or if the two differ by
        the same amount at every origin, which leaves no variance to hold the difference against.

    References
    ----------
    Diebold and Mariano (1995), Comparing predictive accuracy, Journal of Business & Economic Statistics 13, 253-263.
    Harvey, Leybourne and Newbold (1997), Testing the equality of prediction mean squared errors, International Journal
    of Forecasting 13, 281-291.
    """
    difference = _difference(loss, other, overlap=steps_overlap)
    if not difference.any():
        return DieboldMariano(0.0, 1.0, 0)
    size = len(difference)
    covariances = _autocovariances(difference, lags=steps_overlap)
    overlap, spread = steps_overlap, covariances[0] + 2 * covariances[1:].sum()
    if spread <= 0:
        overlap, spread = 1, covariances[0]
    if spread <= np.finfo(np.float64).eps * np.square(difference).mean():
        raise DataError("the two losses differ by the same amount at every origin: there is no variance to test with.")
    correction = (size + 1 - 2 * overlap + overlap * (overlap - 1) / size) / size
    statistic = float(difference.mean() / np.sqrt(spread / size) * np.sqrt(correction))
    return DieboldMariano(statistic, _p(statistic, freedom=size - 1, alternative=alternative), overlap - 1)


def overlap(*, horizon: int, step: int) -> int:
    """Return how many windows in a row have a step in common with the first, where one begins every `step` steps."""
    return -(-horizon // step)


def _difference(loss: ArrayLike, other: ArrayLike, *, overlap: int) -> Array:
    own, others = np.asarray(loss, np.float64), np.asarray(other, np.float64)
    if own.shape != others.shape or own.ndim != 1:
        raise DataError(
            f"losses of the same origins are compared, a value an origin; got shapes {own.shape} and {others.shape}."
        )
    if not (np.isfinite(own) & np.isfinite(others)).all():
        raise DataError("a loss is not finite. Leave out the origins that have no loss.")
    if len(own) < FEWEST_ORIGINS:
        raise DataError(f"{len(own)} origins are too few for a test. Take more folds: {FEWEST_ORIGINS} at least.")
    if not 1 <= overlap < len(own):
        raise DataError(f"steps_overlap={overlap} must be from 1 to {len(own) - 1}, below the number of origins.")
    return own - others


def _autocovariances(values: Array, *, lags: int) -> Array:
    """Return the autocovariances of (T,) at lags 0 to `lags` - 1, each divided by T."""
    centred = values - values.mean()
    return np.array([centred[lag:] @ centred[: len(centred) - lag] for lag in range(lags)]) / len(centred)


def _p(statistic: float, *, freedom: int, alternative: Alternative) -> float:
    if alternative == "two-sided":
        return float(2 * stats.t.sf(abs(statistic), freedom))
    return float(stats.t.cdf(statistic, freedom) if alternative == "less" else stats.t.sf(statistic, freedom))
