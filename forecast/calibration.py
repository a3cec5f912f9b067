"""Conformal calibration: how far each quantile has to be moved so that it holds what it says.

Letters: N origins, H horizon, C targets, T levels, Q levels asked for, n draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from forecast.errors import DataError
from forecast.losses.loss import interpolated

GRID = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995,
)  # fmt: skip


def least_origins(level: float) -> int:
    """Return how many scores a level takes: with fewer, its quantile would lie beyond all of them."""
    return math.ceil(1 / min(level, 1 - level) - 1e-9) - 1


def refuse_few(origins: int, levels: Sequence[float]) -> None:
    """Refuse levels that so few origins tell nothing of.

    Raises
    ------
    DataError
        Names the level and the least number of origins.
    """
    furthest = max(levels, key=least_origins)
    if least_origins(furthest) > origins:
        raise DataError(
            f"calibrating level {furthest:g} takes {least_origins(furthest)} origins a horizon apart, over all series, "
            f"and there are {origins} in what is held back. Raise calibration.windows, or leave the level out "
            "(loss.levels=[...])."
        )


@dataclass(frozen=True)
class Shifts:
    """What is added to a quantile on the scaled axis, for each step, target and level.

    For each level, scores say how far the truth lay above the quantile; the shift is their empirical quantile of the
    same level, rounded away from the middle as a finite sample asks for. A level that a model cannot give is calibrated
    from the nearest that it can.

    Parameters
    ----------
    levels : tuple of float (T,)
        Ascending.
    bases : tuple of float (T,)
        Of the model: what each level is moved from.
    values : ndarray (H, C, T)

    References
    ----------
    Vovk, Gammerman and Shafer (2005), Algorithmic learning in a random world; Romano, Patterson and Candès (2019),
    Conformalized quantile regression; Stankevičiūtė, Alaa and van der Schaar (2021), Conformal time-series
    forecasting, for steps of a horizon.
    """

    levels: tuple[float, ...]
    bases: tuple[float, ...]
    values: np.ndarray

    @classmethod
    def fit(
        cls, truth: np.ndarray, quantiles: np.ndarray, *, levels: Sequence[float], bases: Sequence[float]
    ) -> Shifts:
        """Learn from origins that training has not seen.

        Parameters
        ----------
        truth : ndarray (N, H, C)
            On the scaled axis, NaN where not observed.
        quantiles : ndarray (N, H, C, T)
            Of the model at the bases, on the scaled axis.
        levels, bases : sequence of float (T,)
            Levels that too few observed scores tell of are left out. A step or target that has fewer than others
            takes the outermost of its scores.
        """
        scores = np.sort(truth[..., None] - quantiles, axis=0)  # NaN last
        counts = np.isfinite(scores[..., 0]).sum(axis=0)  # (H, C)
        kept = [place for place, level in enumerate(levels) if least_origins(level) <= counts.max(initial=0)]
        values = np.zeros((*counts.shape, len(kept)))
        for at, place in enumerate(kept):
            level = levels[place]
            exact = (counts + 1) * level
            rank = np.ceil(exact - 1e-9) if level >= 0.5 else np.floor(exact + 1e-9)
            order = np.clip(rank - 1, 0, np.maximum(counts - 1, 0)).astype(np.int64)
            found = np.take_along_axis(scores[..., place], order[None], axis=0)[0]
            values[..., at] = np.where(counts > 0, found, 0.0)  # a step never observed stays as it is
        return cls(tuple(levels[place] for place in kept), tuple(bases[place] for place in kept), values)

    def moved(self, quantiles: np.ndarray, wanted: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return calibrated quantiles on the scaled axis: (N, H, C, Q).

        Parameters
        ----------
        quantiles : ndarray (N, H, C, T)
            Of the model at the bases.
        wanted : sequence of float (Q,)
            Levels; between those calibrated lie straight lines, beyond them normal tails.

        References
        ----------
        Chernozhukov, Fernández-Val and Galichon (2010), Quantile and probability curves without crossing: sorted.
        """
        calibrated = torch.as_tensor(np.sort(quantiles + self.values, axis=-1))
        grid = torch.tensor(self.levels, dtype=calibrated.dtype)
        return interpolated(calibrated, grid, torch.as_tensor(np.asarray(wanted, np.float64))).numpy()


def reordered(values: np.ndarray, like: np.ndarray, *, seed: int) -> np.ndarray:
    """Return values (..., n), ascending, in the order that other draws (..., n) have: ensemble copula coupling.

    Ties among the others are broken at random, or equal draws would follow one another at every step.

    References
    ----------
    Schefzik, Thorarinsdottir and Gneiting (2013), Uncertainty quantification in complex simulation models using
    ensemble copula coupling.
    """
    order = np.lexsort((np.random.default_rng(seed).random(like.shape), like), axis=-1)
    placed = np.empty_like(values)
    np.put_along_axis(placed, order, values, axis=-1)
    return placed
