"""Forecasts as tables."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np
import pandas as pd

from forecast.data.panel import Panel
from forecast.errors import ConfigError

FORECAST = "forecast"


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
    values : ndarray (N, H, 1 + Q)
        The point, then a quantile for each level.
    levels : sequence of float (Q,)
        Quantile levels.

    Returns
    -------
    DataFrame with id, time, forecast and the levels; N · H rows, ids and times as they came into the panel.
    """
    count, horizon, width = values.shape
    stamps = panel.stamps(np.repeat(series, horizon), (ends[:, None] + np.arange(horizon)).reshape(-1))
    flat = values.reshape(count * horizon, width)
    columns = [FORECAST, *level_names(levels)]
    return pd.DataFrame(
        {
            panel.columns.id: panel.ids[np.repeat(series, horizon)],
            panel.columns.time: panel.stamp_column(stamps),
            **{name: flat[:, number] for number, name in enumerate(columns)},
        }
    )


def history_frame(panel: Panel) -> pd.DataFrame:
    """Return what a panel holds up to its ends as a long table: id, time, target (NaN where not observed)."""
    series = np.repeat(np.arange(len(panel.ids)), panel.ends)
    steps = np.arange(len(series)) - np.repeat(np.cumsum(panel.ends) - panel.ends, panel.ends)
    return pd.DataFrame(
        {
            panel.columns.id: panel.ids[series],
            panel.columns.time: panel.stamp_column(panel.stamps(series, steps)),
            panel.columns.target: panel.target[panel.offsets[series] + steps],
        }
    )
