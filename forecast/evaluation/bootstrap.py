"""How far scores of events might be by chance: intervals by resampling series, or blocks of origins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
MANY = 30  # series, from which on these are resampled
FEWEST = 10  # blocks of origins, below which an interval would be guesswork
RESAMPLES = 1000
CELLS = 2**22  # counts that are held at once
ENDS = (2.5, 97.5)  # percentiles


class Clusters(NamedTuple):
    """What is drawn together: the cluster of each row, and how often each cluster is drawn in each resample."""

    of_row: NDArray[np.int64]  # (N,)
    counts: Array  # (R, G)


def clusters(rows: pd.DataFrame, *, seed: int = 0) -> Clusters | None:
    """Return what to resample; None where there is too little of it.

    Series where there are many. Else origins, all series together, in blocks whose steps reach as far as a horizon, for
    steps of neighbouring horizons overlap and what moves one series moves others.

    Parameters
    ----------
    rows : DataFrame (N)
        `pair`, `fold` and `time`, whole numbers in order of time.
    seed : int
        Draws them.

    References
    ----------
    Künsch (1989), The jackknife and the bootstrap for general stationary observations; Politis and Romano (1992), A
    circular block-resampling procedure for stationary data, for the blocks that go round.
    """
    draw = np.random.default_rng(seed)
    numbers, of_row = np.unique(rows["pair"], return_inverse=True)
    if len(numbers) >= MANY:
        return Clusters(of_row, _blocks(draw, len(numbers)))
    folds, of_row = np.unique(rows["fold"], return_inverse=True)
    length = _overlap(rows)
    if len(folds) < FEWEST * length:
        return None
    return Clusters(of_row, _blocks(draw, len(folds), length=length))


def resampled_means(values: Array, *, length: int = 1, seed: int = 0) -> Array:
    """Return the mean of each column of (N, M) in each resample of the rows, drawn in blocks that go round: (R, M)."""
    draw, size = np.random.default_rng(seed), len(values)
    most = max(1, CELLS // size)
    parts = [min(most, RESAMPLES - begin) for begin in range(0, RESAMPLES, most)]
    return np.concatenate([_blocks(draw, size, length=length, resamples=part) @ values for part in parts]) / size


def mean_interval(errors: Array, by: Clusters) -> tuple[float, float]:
    """Return the interval of the mean of (N,)."""
    sums, sizes = _summed(errors, by), _summed(np.ones_like(errors), by)
    return _ends(sums / sizes)


def skill_interval(errors: Array, others: Array, by: Clusters) -> tuple[float, float]:
    """Return the interval of 1 minus the ratio of the means of two errors (N,)."""
    return _ends(1 - _summed(errors, by) / _summed(others, by))


def auc_interval(y: Array, forecast: Array, by: Clusters) -> tuple[float, float]:
    """Return the interval of the area under the curve of y (N,), 0 or 1, by forecasts (N,)."""
    order = np.argsort(forecast, kind="stable")
    ordered, truth, of_row = forecast[order], y[order], by.of_row[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))  # of what is tied
    areas = np.empty(len(by.counts))
    for number, counts in enumerate(by.counts):
        weights = counts[of_row]
        events = np.add.reduceat(weights * truth, begins)
        others = np.add.reduceat(weights * (1 - truth), begins)
        pairs = events.sum() * others.sum()
        won = (events * (others.cumsum() - others / 2)).sum()
        areas[number] = won / pairs if pairs else np.nan
    return _ends(areas)


def _overlap(rows: pd.DataFrame) -> int:
    """Return how many origins in a row have a step in common with the first of them."""
    own = rows.loc[rows["pair"] == rows["pair"].mode().iloc[0]].groupby("fold")["time"]
    begins, ends = own.min().to_numpy(), own.max().to_numpy()
    return max(1, int((np.searchsorted(begins, ends, side="right") - np.arange(len(begins))).max()))


def _blocks(draw: np.random.Generator, size: int, *, length: int = 1, resamples: int = RESAMPLES) -> Array:
    """Return how often each of so many is drawn in each resample, in blocks that go round: (R, size)."""
    begins = draw.integers(0, size, (resamples, -(-size // length)))
    drawn = (begins[..., None] + np.arange(length)).reshape(resamples, -1)[:, :size] % size
    return _counted(drawn, size)


def _counted(drawn: NDArray[np.int64], size: int) -> Array:
    """Return how often each of so many is among those drawn (R, G): (R, size)."""
    rows = np.arange(len(drawn))[:, None] * size
    return np.bincount((drawn + rows).ravel(), minlength=len(drawn) * size).reshape(-1, size).astype(np.float64)


def _summed(values: Array, by: Clusters) -> Array:
    """Return the sum of (N,) in each resample: (R,)."""
    return by.counts @ np.bincount(by.of_row, weights=values, minlength=by.counts.shape[1])


def _ends(values: Array) -> tuple[float, float]:
    low, high = np.nanpercentile(values, ENDS) if np.isfinite(values).any() else (np.nan, np.nan)
    return float(low), float(high)
