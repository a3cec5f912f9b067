"""Forecasts as tables."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.data.encoding import counted
from forecast.data.panel import Panel
from forecast.errors import ConfigError

FORECAST, TARGET, SCENARIO = "forecast", "target", "scenario"
AHEAD, BACK, WEIGHT, SAMPLE = "ahead", "back", "weight", "sample"


def level_name(level: float) -> str:
    """Return the column of a quantile level: ``q0.1``."""
    return f"q{level:g}"


def level_names(levels: Sequence[float]) -> list[str]:
    """Return the columns of quantile levels.

    Raises
    ------
    ConfigError
        If a level is not a number, or two of them have the same column.
    """
    wrong = [level for level in levels if isinstance(level, bool) or not isinstance(level, Real)]
    if wrong:
        raise ConfigError(f"a quantile level is a number, got {wrong[0]!r}.")
    named: dict[str, float] = {}
    for level in levels:
        other = named.setdefault(level_name(level), level)
        if other != level:
            raise ConfigError(f"levels {other!r} and {level!r} share the column {level_name(level)!r}. Leave one out.")
    return list(named)


def forecast_frame(
    panel: Panel, series: np.ndarray, ends: np.ndarray, values: np.ndarray, levels: Sequence[float]
) -> pd.DataFrame:
    """Return forecasts as a long table.

    Parameters
    ----------
    panel : Panel
        Whose series were forecast.
    series, ends : ndarray of int64 (N,)
        Number of the series, and how many of its steps were known.
    values : ndarray (N, H, C, 1 + Q)
        The point, then a quantile for each level. A target that is NaN throughout, of which nothing was observed,
        has no rows.
    levels : sequence of float (Q,)
        Quantile levels.

    Returns
    -------
    DataFrame with id, time, forecast and the levels, and where there are several targets the name of the target
    after the time; rows by origin, target and step; ids and times as they came into the panel.
    """
    horizon, targets = values.shape[1], panel.columns.targets
    origin, channel = told(values)
    whole = values[:, :, 0] if len(targets) == 1 and len(origin) == len(values) else values[origin, :, channel]
    flat = whole.reshape(len(origin) * horizon, values.shape[3])
    number = np.repeat(series[origin], horizon)
    stamps = panel.stamps(number, (ends[origin][:, None] + np.arange(horizon)).reshape(-1))
    table = pd.DataFrame(flat, columns=[FORECAST, *level_names(levels)], copy=False)
    keys: dict[str, Any] = {panel.columns.id: panel.ids[number], panel.columns.time: panel.stamp_column(stamps)}
    if len(targets) > 1:
        keys[TARGET] = pd.Index(targets)[np.repeat(channel, horizon)]
    for place, (name, column) in enumerate(keys.items()):
        table.insert(place, name, column)
    return table


def attention_frame(panel: Panel, series: np.ndarray, ends: np.ndarray, weights: np.ndarray) -> pd.DataFrame:
    """Return what each step ahead looked at as a long table.

    Parameters
    ----------
    panel : Panel
        Whose series were forecast.
    series, ends : ndarray of int64 (N,)
        Number of the series, and how many of its steps were known.
    weights : ndarray (N, C, H, L)
        C is 1 where one network forecasts all targets together.

    Returns
    -------
    DataFrame with id, `ahead` (the step of the horizon, from 1), time of the step of the context, `back` (how many
    steps it lies before the last), `weight`, and the name of the target after the id where C is above 1; rows by
    origin, target and steps. Steps before the start of a series, whose weight is 0, have no rows.
    """
    back = np.arange(weights.shape[3])[::-1]
    steps = ends[:, None] - 1 - back  # (N, L)
    origin, channel, ahead, place = np.nonzero(np.broadcast_to((steps >= 0)[:, None, None], weights.shape))
    number = series[origin]
    keys: dict[str, Any] = {panel.columns.id: panel.ids[number]}
    if weights.shape[1] > 1:
        keys[TARGET] = pd.Index(panel.columns.targets)[channel]
    keys[AHEAD] = ahead + 1
    keys[panel.columns.time] = panel.stamp_column(panel.stamps(number, steps[origin, place]))
    return pd.DataFrame({**keys, BACK: back[place], WEIGHT: weights[origin, channel, ahead, place]})


def sample_frame(panel: Panel, series: np.ndarray, ends: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    """Return sample paths (N, H, C, n) as a long table: id, time, target where there are several, sample, forecast.

    Rows go by origin, sample, target and step; see `forecast_frame`.
    """
    count, horizon = values.shape[3], values.shape[1]
    each = np.moveaxis(values, 3, 1).reshape(-1, *values.shape[1:3], 1)  # (N n, H, C, 1)
    table = forecast_frame(panel, np.repeat(series, count), np.repeat(ends, count), each, ())
    table.insert(list(table.columns).index(FORECAST), SAMPLE, np.repeat(told(each)[0] % count, horizon))
    return table


def told(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return origin and target (M,) of every forecast in values (N, H, C, 1 + Q) that is not NaN throughout."""
    empty = np.isnan(values[:, 0, :, 0])  # (N, C): what is NaN throughout is so in its first cell
    if empty.any():
        empty = np.isnan(values).all(axis=(1, 3))
    origin, channel = np.nonzero(~empty)
    return origin, channel


def raised_to_minima(values: np.ndarray, columns: Columns) -> np.ndarray:
    """Return forecasts (N, H, C, 1 + Q) that are nowhere below the minimum of their target; NaN stays NaN."""
    if all(minimum is None for minimum in columns.minima):
        return values
    lowest = np.array([-np.inf if minimum is None else minimum for minimum in columns.minima])
    return np.maximum(values, lowest[:, None])


def history_frame(panel: Panel) -> pd.DataFrame:
    """Return what a panel holds up to its ends as a table: id, time, a column a target (NaN where not observed)."""
    series, steps = np.repeat(np.arange(len(panel.ids)), panel.ends), counted(panel.ends)
    known = panel.target[panel.offsets[series] + steps]
    return pd.DataFrame(
        {
            panel.columns.id: panel.ids[series],
            panel.columns.time: panel.stamp_column(panel.stamps(series, steps)),
            **{name: known[:, channel] for channel, name in enumerate(panel.columns.targets)},
        }
    )
