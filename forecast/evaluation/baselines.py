"""Simple methods that a network has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

from forecast.evaluation.histories import Array, Prediction
from forecast.evaluation.local import Drift, Naive, Naive2, SeasonalNaive
from forecast.evaluation.ridge import Ridge


class Baseline(Protocol):
    """What every baseline can do."""

    def fit(self, histories: Sequence[Array], *, horizon: int, seasonality: int) -> Self: ...

    def predict(self, histories: Sequence[Array]) -> Prediction: ...


BASELINES: dict[str, type[Baseline]] = {
    "naive": Naive,
    "seasonal_naive": SeasonalNaive,
    "drift": Drift,
    "naive2": Naive2,
    "ridge": Ridge,
}
