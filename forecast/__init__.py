"""Recurrent neural networks for time-series forecasting.

The public names are imported when they are first used: ``import forecast`` alone loads no other library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecast.data.codes import make_codes
    from forecast.data.columns import Columns
    from forecast.data.generator import make_sales
    from forecast.data.panel import Panel
    from forecast.ensemble import Ensemble, load
    from forecast.evaluation.backtest import backtest
    from forecast.forecaster import Forecaster
    from forecast.training.settings import Training

__version__ = "0.1.0"
__all__ = ["Columns", "Ensemble", "Forecaster", "Panel", "Training", "backtest", "load", "make_codes", "make_sales"]

_HOMES = {
    "Columns": "forecast.data.columns",
    "Ensemble": "forecast.ensemble",
    "Forecaster": "forecast.forecaster",
    "Panel": "forecast.data.panel",
    "Training": "forecast.training.settings",
    "backtest": "forecast.evaluation.backtest",
    "load": "forecast.ensemble",
    "make_codes": "forecast.data.codes",
    "make_sales": "forecast.data.generator",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'forecast' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
