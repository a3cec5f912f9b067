"""Simple methods that a network has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

from forecast.evaluation.boosting import GradientBoosting
from forecast.evaluation.classical import CLASSICAL
from forecast.evaluation.histories import Array, Prediction
from forecast.evaluation.local import Drift, Naive, Naive2, SeasonalNaive, WindowAverage
from forecast.evaluation.ridge import Ridge


class Baseline(Protocol):
    """What every baseline can do."""

    def fit(self, histories: Sequence[Array], *, horizon: int, seasonality: int) -> Self: ...

    def predict(self, histories: Sequence[Array]) -> Prediction: ...


# Beside a network where none are named. They take no time, and a table of six rows is read at a glance; a window
# average tells little that naive and seasonal naive do not, and trees take longer than a small network.
USUAL: dict[str, type[Baseline]] = {
    "naive": Naive,
    "seasonal_naive": SeasonalNaive,
    "drift": Drift,
    "naive2": Naive2,
    "ridge": Ridge,
}

BASELINES: dict[str, type[Baseline]] = {
    **USUAL,
    "window_average": WindowAverage,
    "gradient_boosting": GradientBoosting,
    **CLASSICAL,  # which need the extra of that name
}
