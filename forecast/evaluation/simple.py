"""What simple methods forecast for origins of a panel, target by target, and at which levels forecasts are scored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from forecast.data.panel import Panel
from forecast.evaluation.baselines import Baseline
from forecast.evaluation.origins import Origins
from forecast.evaluation.tables import DECILES, INTERVALS
from forecast.frames import level_name, raised_to_minima
from forecast.predictor import Predictor

SCORED = tuple(sorted({*DECILES, *sum(INTERVALS.values(), ())}))  # levels that scores are made of


class SimpleForecasts:
    """A simple method, fitted to each target of what is known.

    Parameters
    ----------
    kind : type of Baseline
        The method.
    known : Panel
        What it learns from, if it learns.
    horizon, seasonality : int
        Steps to forecast, and the period.
    """

    def __init__(self, kind: type[Baseline], known: Panel, *, horizon: int, seasonality: int) -> None:
        self.horizon = horizon
        self.methods = [
            kind().fit(
                [known.series(number)[:, target] for number in range(len(known.ids))],
                horizon=horizon,
                seasonality=seasonality,
            )
            for target in range(known.target.shape[1])
        ]

    def forecasts(self, panel: Panel, origins: Origins, *, levels: Sequence[float], where: np.ndarray) -> np.ndarray:
        """Return forecasts (N, H, C, 1 + Q), normal about their points, of the targets `where` (N, C), else NaN."""
        values = np.full((len(where), self.horizon, where.shape[1], 1 + len(levels)), np.nan)
        for target, method in enumerate(self.methods):
            own = np.flatnonzero(where[:, target])
            histories = [
                panel.series(series)[:end, target]
                for series, end in zip(origins.series[own], origins.ends[own], strict=True)
            ]
            point, spread = method.predict(histories)
            values[own, :, target] = point[..., None] + spread[..., None] * np.append(0, ndtri(np.asarray(levels)))
            values[own, :, target, 0] = point  # also where the spread is unknown
        return raised_to_minima(values, panel.columns)


def scored_levels(fitted: Predictor) -> list[float]:
    """Return the levels of a forecaster and those that scores are made of, as far as it can give these."""
    own = fitted.levels()
    given = {level_name(level): level for level in (*SCORED, *own) if level in own or fitted.covers(level)}
    return sorted(given.values())
