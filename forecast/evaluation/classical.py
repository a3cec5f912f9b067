"""Classical methods of statsforecast: exponential smoothing, ARIMA, Theta, and methods of demand that is often zero.

Each history is fitted anew at each origin, and learns nothing from the others; what takes seconds a series takes hours
from many origins. Gaps take the last known value, and what lies before the first observation is left out. A spread is
that of the method's own 80 % interval, taken for normal: so it is exact of additive models, and of others about right.
Methods of intermittent demand tell no interval, and their spread is NaN.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from statistics import NormalDist
from typing import Any, Self

import numpy as np

from forecast.errors import ConfigError, DataError, ExtraError
from forecast.evaluation.histories import Array, Prediction, check_lengths, checked, filled, from_first_observed

EXTRA = "pip install 'recurrent-forecast[classical]'"
_SHARE = 80  # percent, of the interval that spreads are taken from
_REACH = NormalDist().inv_cdf(0.9)  # deviations from the middle of that interval to its bounds


def is_installed() -> bool:
    """Return whether statsforecast is there, which all of these methods need."""
    return find_spec("statsforecast") is not None


class _Classical(ABC):
    """A method that is fitted to one history and forecasts what follows it."""

    name: str
    levels: tuple[int, ...] = (_SHARE,)  # none where a method tells no interval

    def fit(self, histories: Sequence[Array], *, horizon: int, seasonality: int) -> Self:
        check_lengths(horizon=horizon, seasonality=seasonality)
        if not is_installed():
            raise ExtraError(f"{self.name} needs statsforecast. Install it: {EXTRA}, or leave {self.name} out.")
        self.horizon_ = horizon
        self.seasonality_ = seasonality
        return self

    def predict(self, histories: Sequence[Array]) -> Prediction:
        arrays = checked(histories)
        point, spread = (np.full((len(arrays), self.horizon_), np.nan) for _ in Prediction._fields)
        for row, history in enumerate(arrays):
            told = self._forecast(history, row)
            point[row] = told["mean"]
            if self.levels:
                spread[row] = (told[f"hi-{_SHARE}"] - told[f"lo-{_SHARE}"]) / (2 * _REACH)
        spread[~np.isfinite(spread)] = np.nan  # as wide as that an interval says nothing
        return Prediction(point, spread)

    def _forecast(self, history: Array, row: int) -> dict[str, Array]:
        known = self._read(history, row)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of models that were tried and not taken
                told: dict[str, Array] = self._model().forecast(
                    y=known, h=self.horizon_, **({"level": list(self.levels)} if self.levels else {})
                )
        except Exception as error:  # it raises of any kind, a bare Exception too
            raise DataError(self._refusal(known, row, str(error))) from error
        if not np.isfinite(told["mean"]).all():
            raise DataError(self._refusal(known, row, "its forecast is not finite"))
        return told

    def _read(self, history: Array, row: int) -> Array:
        """Return what the method reads of a history."""
        return filled(from_first_observed(history))

    def _refusal(self, known: Array, row: int, reason: str) -> str:
        return (
            f"{self.name} cannot forecast history {row} of {len(known)} steps: {reason}. Leave out the method or the "
            "series."
        )

    @abstractmethod
    def _model(self) -> Any:
        """Return a model of statsforecast."""


class AutoETS(_Classical):
    """Exponential smoothing, its form chosen by corrected AIC. A season above 24 steps is left out, as in R.

    References
    ----------
    Hyndman, Koehler, Ord and Snyder (2008), "Forecasting with Exponential Smoothing"; R's `forecast::ets`.
    """

    name = "auto_ets"

    def _model(self) -> Any:
        return _models().AutoETS(season_length=self.seasonality_)


class AutoARIMA(_Classical):
    """Seasonal ARIMA, its orders chosen stepwise by corrected AIC, with R's approximation where R takes it.

    Parameters
    ----------
    longest : int, optional
        Latest steps of a history that are read; by default seven seasons, 200 at least. The time grows with the
        season and with each step: seconds to minutes a series of 24 steps a season.

    References
    ----------
    Hyndman and Khandakar (2008), "Automatic time series forecasting: the forecast package for R".
    """

    name = "auto_arima"

    def __init__(self, longest: int | None = None) -> None:
        check_lengths(longest=longest)
        self.longest = longest

    def _read(self, history: Array, row: int) -> Array:
        longest = max(7 * self.seasonality_, 200) if self.longest is None else self.longest
        return super()._read(history, row)[-longest:]

    def _model(self) -> Any:
        return _models().AutoARIMA(season_length=self.seasonality_, approximation=None)


class AutoTheta(_Classical):
    """The best of four Theta methods by mean squared error; a season that passes a test is divided out first.

    References
    ----------
    Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler (2016), "Models for optimising the theta method".
    """

    name = "auto_theta"

    def _model(self) -> Any:
        return _models().AutoTheta(season_length=self.seasonality_)


class _Intermittent(_Classical):
    """A rate of demand that is often zero; constant over the horizon."""

    levels = ()

    def _read(self, history: Array, row: int) -> Array:
        known = super()._read(history, row)
        if known.min() < 0:
            raise DataError(self._refusal(known, row, f"a demand is 0 or more, the least value is {known.min():g}"))
        return known


class Croston(_Intermittent):
    """Croston's method: smoothed size of a demand over the smoothed time between two, both with a weight of 0.1.

    References
    ----------
    Croston (1972), "Forecasting and stock control for intermittent demands".
    """

    name = "croston"

    def _model(self) -> Any:
        return _models().CrostonClassic()


class CrostonSBA(_Intermittent):
    """Croston's method times 0.95, which takes out most of its bias.

    References
    ----------
    Syntetos and Boylan (2005), "The accuracy of intermittent demand estimates".
    """

    name = "croston_sba"

    def _model(self) -> Any:
        return _models().CrostonSBA()


class TSB(_Intermittent):
    """Smoothed size of a demand times its smoothed probability, which falls while there is none.

    Parameters
    ----------
    alpha : float
        Weight of the latest demand in its size, and of the latest step in its probability; above 0, at most 1.

    References
    ----------
    Teunter, Syntetos and Babai (2011), "Intermittent demand: linking forecasting to inventory obsolescence".
    """

    name = "tsb"

    def __init__(self, alpha: float = 0.1) -> None:
        if not 0 < alpha <= 1:
            raise ConfigError(f"alpha lies above 0 and is at most 1, got {alpha!r}.")
        self.alpha = alpha

    def _model(self) -> Any:
        return _models().TSB(alpha_d=self.alpha, alpha_p=self.alpha)


class ADIDA(_Intermittent):
    """Demand summed over the mean time between two, smoothed, and shared out again.

    References
    ----------
    Nikolopoulos, Syntetos, Boylan, Petropoulos and Assimakopoulos (2011), "An aggregate-disaggregate intermittent
    demand approach (ADIDA) to forecasting".
    """

    name = "adida"

    def _model(self) -> Any:
        return _models().ADIDA()


class IMAPA(_Intermittent):
    """The mean of ADIDA over every length of summing, up to the mean time between two demands.

    References
    ----------
    Petropoulos and Kourentzes (2015), "Forecast combinations for intermittent demand".
    """

    name = "imapa"

    def _model(self) -> Any:
        return _models().IMAPA()


CLASSICAL: dict[str, type[_Classical]] = {
    method.name: method for method in (AutoETS, AutoARIMA, AutoTheta, Croston, CrostonSBA, TSB, ADIDA, IMAPA)
}


def _models() -> Any:
    return import_module("statsforecast.models")  # takes seconds: it loads a compiler
