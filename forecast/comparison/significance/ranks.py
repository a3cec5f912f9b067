"""Many models over many series: mean ranks, Friedman's test, and how far ranks must lie apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from forecast.errors import DataError

Array = NDArray[np.float64]


class Friedman(NamedTuple):
    """Friedman's statistic with its p-value, and that of Iman and Davenport, which is less conservative."""

    chi_squared: float
    p: float
    f: float
    f_p: float


def mean_ranks(errors: ArrayLike) -> Array:
    """Return mean ranks over series of models (N, M): (M,). The lowest error has rank 1, equal ones share a rank."""
    return np.asarray(stats.rankdata(_checked(errors, fewest=2), axis=1).mean(axis=0))


def friedman(errors: ArrayLike) -> Friedman:
    """Test whether any of at least three models differs from the rest, by ranks within each series.

    Parameters
    ----------
    errors : array-like (N, M)
        Errors of M models on N series, none of them NaN.

    Raises
    ------
    DataError
        If there are fewer than three models or two series, or an error is NaN.

    References
    ----------
    Friedman (1937), The use of ranks to avoid the assumption of normality implicit in the analysis of variance, JASA
    32, 675-701.
    Iman and Davenport (1980), Approximations of the critical region of the Friedman statistic, Communications in
    Statistics 9, 571-595.
    """
    values = _checked(errors, fewest=3)
    series, models = values.shape
    if series < 2:
        raise DataError(f"Friedman's test needs two series at least; got {series}.")
    if (values == values[:, :1]).all():
        return Friedman(0.0, 1.0, 0.0, 1.0)
    chi_squared, p = (float(value) for value in stats.friedmanchisquare(*values.T))
    room = series * (models - 1) - chi_squared
    f = (series - 1) * chi_squared / room if room > 1e-9 else np.inf
    return Friedman(chi_squared, p, float(f), float(stats.f.sf(f, models - 1, (models - 1) * (series - 1))))


def critical_difference(*, models: int, series: int, alpha: float = 0.05) -> float:
    """Return how far two mean ranks lie apart at least where models differ, all pairs considered.

    It is q * sqrt(M (M + 1) / (6 N)), q the quantile of the studentized range of M groups over sqrt(2).

    References
    ----------
    Nemenyi (1963), Distribution-free multiple comparisons, PhD thesis, Princeton.
    Demšar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7, 1-30, section 3.2.2.
    """
    q = stats.studentized_range.ppf(1 - alpha, models, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(models * (models + 1) / (6 * series)))


def groups(ranks: ArrayLike, *, apart: float) -> list[list[int]]:
    """Return the largest sets of models whose mean ranks (M,) all lie closer than that, the best set first.

    A set holds positions in `ranks`, the best model first. Every model is in one at least; sets may share models.
    """
    values = np.asarray(ranks, np.float64)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    # A distance of just `apart` is a difference; NaN tells nobody apart.
    ends = [int((~(ordered - low >= apart)).nonzero()[0].max()) for low in ordered]
    return [order[begin : end + 1].tolist() for begin, end in enumerate(ends) if begin == 0 or end > ends[begin - 1]]


def _checked(errors: ArrayLike, *, fewest: int) -> Array:
    values = np.asarray(errors, np.float64)
    if values.ndim != 2 or values.shape[1] < fewest or not len(values):
        raise DataError(f"ranks need errors of series by {fewest} models or more; got shape {values.shape}.")
    if np.isnan(values).any():
        raise DataError("an error is NaN. Leave out the series that a model has no error of.")
    return values
