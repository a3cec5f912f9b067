"""How far the quantiles of a forecaster have to move, learned on horizons that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecast.calibration import GRID, Shifts, refuse_few
from forecast.choice import is_auto
from forecast.config import USUAL, build, usual
from forecast.data.panel import Panel
from forecast.data.splits import split_ends, usual_split
from forecast.data.windows import observed_origins
from forecast.ensemble import Ensemble
from forecast.errors import ConfigError, DataError
from forecast.forecaster import Forecaster
from forecast.losses import LEVELS
from forecast.predictor import Predictor

MOST_ORIGINS = 20_000  # that are forecast to calibrate; of more, some drawn at random


def calibration_ends(panel: Panel, *, horizon: int, windows: int, step: int) -> np.ndarray:
    """Return where the known part of each series ends at each origin held back (W, n).

    Raises
    ------
    DataError
        If nothing is left to train on.
    """
    count = 1 + (windows - 1) * horizon // step
    ends = split_ends(panel, horizon=horizon, windows=count, split=usual_split(panel), step=step)
    if (ends[0] <= horizon).all():
        raise DataError(
            f"calibration.windows={windows} holds back {windows} horizons of {horizon} steps, which "
            f"leaves nothing to train on; the longest series has {panel.ends.max()} steps. Lower it, or give "
            "longer series."
        )
    return ends


def calibration_origins(
    panel: Panel, ends: np.ndarray, *, context_length: int, horizon: int, step: int, levels: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return series and ends (N,) of what is held back with an observation around; enough for the levels."""
    window, series, origins = observed_origins(panel, ends, context_length=context_length, horizon=horizon)
    apart = window % -(-horizon // step) == 0
    refuse_few(int(apart.sum()), levels)
    if len(series) <= MOST_ORIGINS:
        return series, origins
    chosen = np.sort(np.random.default_rng(0).choice(len(series), MOST_ORIGINS, replace=False))
    return series[chosen], origins[chosen]


def shifts_after(
    fitted: Forecaster | Ensemble, panel: Panel, ends: np.ndarray, *, horizon: int, step: int
) -> tuple[Shifts, int]:
    """Return the shifts learned from the origins `ends` (W, n), which a fitted one has not seen, and how many."""
    context = fitted.context_length_
    series, origins = calibration_origins(
        panel, ends, context_length=context, horizon=horizon, step=step, levels=fitted.own_levels()
    )
    levels = sorted({*GRID, *fitted.own_levels()})
    bases = _bases(fitted, levels)
    _, quantiles = based(fitted, panel, series, origins, bases)
    yardstick = fitted.yardstick(panel, series, origins)
    steps = panel.offsets[series][:, None] + origins[:, None] + np.arange(horizon)
    seen = panel.observed_targets(series, origins - context, origins)  # nothing else is forecast
    truth = yardstick.scaled(np.where(seen[:, None], panel.target[steps], np.nan)[..., None])[..., 0]
    return Shifts.fit(truth, yardstick.scaled(quantiles), levels=levels, bases=bases), len(series)


def based(
    fitted: Predictor, panel: Panel, series: np.ndarray, ends: np.ndarray, bases: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return forecasts of a fitted predictor (N, H, C, 1 + U), and of them its quantiles at bases (N, H, C, T)."""
    different = sorted(set(bases))
    values = fitted._values(panel, series, ends, different)
    return values, values[..., [1 + different.index(base) for base in bases]]


def planned_levels(predictor: Forecaster | Ensemble) -> tuple[float, ...]:
    """Return the levels that a predictor will have when it is fitted."""
    first = predictor.members[0] if isinstance(predictor, Ensemble) else predictor
    loss = first.loss or (USUAL["loss"] if is_auto(first.model) else usual("loss", first.model))
    return tuple(getattr(build("loss", loss), "levels", LEVELS))


def _bases(fitted: Predictor, levels: Sequence[float]) -> list[float]:
    """Return for each level the nearest that a model can give: there it begins."""
    found = np.array([level for level in levels if fitted.covers(level)])
    if not len(found):
        raise ConfigError("this model gives no quantiles, so there is nothing to calibrate. Set calibration.windows=0.")
    return [float(found[np.abs(found - level).argmin()]) for level in levels]
