"""Recurrent neural networks for time-series forecasting.

The public names are imported when they are first used: ``import forecast`` alone loads no other library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecast.calibrated import Calibrated, load
    from forecast.comparison.compare import compare
    from forecast.data.catalogue import DataSet, load_data
    from forecast.data.codes import make_codes
    from forecast.data.columns import Columns
    from forecast.data.generator import make_sales
    from forecast.data.panel import Panel
    from forecast.diagnosis.diagnosis import diagnose
    from forecast.ensemble import Ensemble
    from forecast.evaluation.backtest import backtest
    from forecast.evaluation.importance import permutation_importance
    from forecast.evaluation.shuffling import Shuffling
    from forecast.forecaster import Forecaster
    from forecast.training.settings import Training
    from forecast.tuning.tuning import tune

__version__ = "0.1.0"
__all__ = [
    "Calibrated",
    "Columns",
    "DataSet",
    "Ensemble",
    "Forecaster",
    "Panel",
    "Shuffling",
    "Training",
    "backtest",
    "compare",
    "diagnose",
    "load",
    "load_data",
    "make_codes",
    "make_sales",
    "permutation_importance",
    "tune",
]

_HOMES = {
    "Calibrated": "forecast.calibrated",
    "Columns": "forecast.data.columns",
    "DataSet": "forecast.data.catalogue",
    "Ensemble": "forecast.ensemble",
    "Forecaster": "forecast.forecaster",
    "Panel": "forecast.data.panel",
    "Shuffling": "forecast.evaluation.shuffling",
    "Training": "forecast.training.settings",
    "backtest": "forecast.evaluation.backtest",
    "compare": "forecast.comparison.compare",
    "diagnose": "forecast.diagnosis.diagnosis",
    "load": "forecast.calibrated",
    "load_data": "forecast.data.catalogue",
    "make_codes": "forecast.data.codes",
    "make_sales": "forecast.data.generator",
    "permutation_importance": "forecast.evaluation.importance",
    "tune": "forecast.tuning.tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'forecast' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
