"""Several forecasts of the same steps made one: their mean or median, and weights that were worth it.

Letters: M members, N origins, H horizon, C targets, Q levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Real

import numpy as np
from scipy.optimize import minimize

from forecast.errors import ConfigError, unknown_name

HALF = 1e-9  # share of the weight up to which two halves are even


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean over members; quantiles that do not cross stay so, to the last bit.

    Parameters
    ----------
    values : ndarray (M, ...)
        NaN where any member has NaN.
    weights : ndarray (M,)
        Not negative, 1 in all.
    """
    total = np.zeros_like(values[0])
    for value, weight in zip(values, weights, strict=True):  # one order of rounding for every element
        total += weight * value
    return total


def median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted median over members: half the weight lies on either side.

    Where two members share the middle it is halfway between them, as for an even number of equal weights.

    Parameters
    ----------
    values : ndarray (M, ...)
        NaN where any member has NaN.
    weights : ndarray (M,)
        Not negative, 1 in all.
    """
    order = np.argsort(values, axis=0)  # NaN last
    ordered = np.take_along_axis(values, order, axis=0)
    below = np.cumsum(weights[order], axis=0)
    low = np.argmax(below >= 0.5 - HALF, axis=0)[None]
    high = np.argmax(below > 0.5 + HALF, axis=0)[None]
    middle = sum(np.take_along_axis(ordered, at, axis=0)[0] for at in (low, high)) / 2
    return np.where(np.isnan(ordered[-1]), np.nan, middle)


COMBINATIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"median": median, "mean": mean}


def combination(name: object) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the combination of a name."""
    if not isinstance(name, str) or name not in COMBINATIONS:
        raise ConfigError(unknown_name("combination", name, COMBINATIONS))
    return COMBINATIONS[name]


def given_weights(weights: object, members: int) -> np.ndarray:
    """Return weights (M,) that sum to 1: those given, or all alike.

    Raises
    ------
    ConfigError
        If they are no weights.
    """
    if weights is None:
        return np.full(members, 1 / members)
    what = f"weights is 'validation' or {members} numbers of 0 or more, one a member"
    if isinstance(weights, str) or not isinstance(weights, Iterable):
        raise ConfigError(f"{what}, got {weights!r}.")
    numbers = list(weights)
    are_numbers = all(isinstance(one, Real) and not isinstance(one, bool) for one in numbers)
    values = np.asarray(numbers if are_numbers else [], np.float64)
    if len(values) != members or not ((values >= 0) & np.isfinite(values)).all() or not values.any():
        raise ConfigError(f"{what} and not all 0, got {weights!r}.")
    return values / values.sum()


def best_weights(values: np.ndarray, truth: np.ndarray, scale: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return the weights whose weighted mean has the least pinball loss, averaged over levels and observed steps.

    The problem is convex; weights are not negative and sum to 1.

    Parameters
    ----------
    values : ndarray (M, N, H, C, Q)
        A quantile for each level, NaN where a member has none.
    truth : ndarray (N, H, C)
        NaN where not observed.
    scale : ndarray (N, C)
        What losses are divided by, NaN where they do not count.
    levels : sequence of float (Q,)
        Quantile levels.

    Returns
    -------
    float64 (M,). All alike where nothing counts.
    """
    members = len(values)
    scaled = truth / scale[:, None]
    parts = values / scale[:, None, :, None]
    counts = np.isfinite(scaled) & np.isfinite(parts).all(axis=(0, -1))
    equal = np.full(members, 1 / members)
    if members == 1 or not counts.any():
        return equal
    quantiles, observed, wanted = parts[:, counts], scaled[counts][:, None], np.asarray(levels)

    def loss(weights: np.ndarray) -> float:
        error = observed - np.tensordot(weights, quantiles, 1)
        return float(np.maximum(wanted * error, (wanted - 1) * error).mean())

    def slope(weights: np.ndarray) -> np.ndarray:
        above = observed > np.tensordot(weights, quantiles, 1)
        return -(quantiles * (wanted - ~above)).mean(axis=(1, 2))

    found = minimize(
        loss,
        equal,
        jac=slope,
        method="SLSQP",
        bounds=[(0, 1)] * members,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-9, "maxiter": 300},
    )
    weights = np.clip(found.x, 0, None)
    weights = np.where(weights < 1e-6, 0, weights) / weights[weights >= 1e-6].sum()
    candidates = [equal, *np.eye(members), weights]  # where the loss has kinks the search may stop short of a corner
    return min(reversed(candidates), key=loss)


def spread_of(history: np.ndarray, *, seasonality: int) -> np.ndarray:
    """Return what MASE divides by: the mean absolute seasonal difference of each target, (C,).

    Parameters
    ----------
    history : ndarray (T, C)
        Values before what is scored; NaN is unobserved.
    seasonality : int
        Steps between the two values of a pair. Where no pair was observed, or none differs, neighbours count
        instead; NaN where they do not differ either.
    """
    spread = np.full(history.shape[1], np.nan)
    for lag in (seasonality, 1):
        apart = np.abs(history[lag:] - history[:-lag])
        seen = np.isfinite(apart)
        means = np.where(seen, apart, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        spread = np.where(np.isnan(spread) & (means > 0), means, spread)
    return spread
