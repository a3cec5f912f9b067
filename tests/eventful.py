"""Helpers that build series with events, and what forecasts them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from frames import made_frame

from forecast import Forecaster, Training
from forecast.batch import Sizes
from forecast.config import build, names
from forecast.losses import EventLoss
from forecast.model import Model

EVENTS = [name for name in names("loss") if build("loss", name).is_event]


def event_model(loss: EventLoss, scaling: str, sizes: Sizes, *, network: Any = "gru") -> Model:
    scaler = build("scaling", scaling)
    loss.prepare(sizes), scaler.prepare(sizes)
    return Model(build("model", network, sizes), scaler, loss)


def event_forecaster(loss: str | None, *, horizon: int = 3, steps: int = 3, **options: Any) -> Forecaster:
    options = {"context_length": 8, "accelerator": "cpu", "progress": False, **options}
    return Forecaster("gru", horizon=horizon, loss=loss, training=Training(steps=steps), **options)


def events_frame() -> pd.DataFrame:
    """Two series of 0 and 1 that last a while."""
    draw = np.random.default_rng(2)
    return made_frame().assign(y=np.repeat(draw.random(40) < 0.4, 3).astype(float))


def walk_with_gaps() -> np.ndarray:
    """Two series of whole numbers (40, 2), so that there are ties, with gaps, the first of them at the start."""
    draw = np.random.default_rng(0)
    values = draw.integers(-1, 2, (40, 2)).cumsum(axis=0).astype(float)
    values[draw.random((40, 2)) < 0.15] = np.nan
    values[:3, 1] = np.nan
    return values


def event_forecasts(windows: int = 30) -> pd.DataFrame:
    """Forecasts of two models for three series, four steps a fold, a tenth of them unobserved."""
    draw, size = np.random.default_rng(1), 3 * windows * 4
    fold, step = np.divmod(np.tile(np.arange(windows * 4), 3), 4)
    own = draw.random(size).round(3)
    frame = pd.DataFrame(
        {"unique_id": np.repeat(["a", "b", "c"], windows * 4), "ds": 10 + 4 * fold + step, "cutoff": 9 + 4 * fold}
    )
    frame = frame.assign(fold=fold + 1, model="net", forecast=own, y=(draw.random(size) < own).astype(float))
    frame.loc[draw.random(size) < 0.1, "y"] = np.nan
    return pd.concat([frame, frame.assign(model="base_rate", forecast=0.4)], ignore_index=True)
