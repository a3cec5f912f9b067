"""Forecasts as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecast.data.panel import Panel

FORECAST = "forecast"


def level_name(level: float) -> str:
    """Return the column of a quantile level: ``q0.1``."""
    return f"q{level:g}"


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
    count, horizon, _ = values.shape
    stamps = panel.stamps(np.repeat(series, horizon), (ends[:, None] + np.arange(horizon)).reshape(-1))
    flat = values.reshape(count * horizon, -1)
    columns = [FORECAST, *(level_name(level) for level in levels)]
    return pd.DataFrame(
        {
            panel.columns.id: panel.ids[np.repeat(series, horizon)],
            panel.columns.time: panel.stamp_column(stamps),
            **{name: flat[:, number] for number, name in enumerate(columns)},
        }
    )
