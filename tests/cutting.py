"""Helpers that cut windows out of small panels, and compare batches of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from frames import made_frame

from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.data.windows import Windows


def ragged_frame(seed: int = 0, *, covariates: bool = True, freq: str = "D") -> pd.DataFrame:
    """Return three series of 30, 9 and 21 rows with gaps, missing values and an unseen category."""
    random = np.random.default_rng(seed)
    frame = made_frame(series=3, rows=30, seed=seed, covariates=covariates, freq=freq)
    number, step = frame["unique_id"].str[1:].astype(int), frame.groupby("unique_id").cumcount()
    frame = frame[step < np.array([30, 9, 21])[number]]
    present = (random.random(len(frame)) > 0.15) | (step.reindex(frame.index) == 0)
    if covariates:  # known ones need all rows
        frame.loc[~present, ["y", "temp", "mood"]] = None
    else:
        frame = frame[present]
    frame.loc[random.random(len(frame)) < 0.1, "y"] = np.nan
    if covariates:
        frame.loc[random.random(len(frame)) < 0.1, "temp"] = np.nan
        frame.loc[random.random(len(frame)) < 0.1, "mood"] = None
    return frame


def windows_of(panel: Panel, *, context: int, horizon: int, encoding: Encoding | None = None) -> Windows:
    return Windows(panel, encoding or Encoding.fit(panel), context_length=context, horizon=horizon)


def assert_equal(found: tuple[torch.Tensor, ...], wanted: tuple) -> None:
    for name, one, other in zip(found._fields, found, wanted, strict=True):  # type: ignore[attr-defined]
        assert tuple(one.shape) == tuple(other.shape), name
        np.testing.assert_array_equal(one.numpy(), np.asarray(other), err_msg=name)
