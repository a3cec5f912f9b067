"""What forecasters are made of, whether they are alone, together or calibrated; torch loads with the first question."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forecast.forecaster import Forecaster
    from forecast.predictor import Predictor


def networks_of(predictor: Predictor) -> list[Forecaster]:
    """Return the networks whose settings are those of the next fit."""
    from forecast.calibrated import Calibrated
    from forecast.ensemble import Ensemble
    from forecast.forecaster import Forecaster

    if isinstance(predictor, Calibrated):
        return networks_of(predictor.predictor)
    if isinstance(predictor, Ensemble):
        return list(predictor.members)
    assert isinstance(predictor, Forecaster)
    return [predictor]
