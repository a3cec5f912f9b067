"""What lies after an origin reaches no forecast, no statistic and no window; known covariates alone may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from frames import made_frame, made_roles

from forecast import Columns, Forecaster, Panel, Training
from forecast.config import names
from forecast.data.grid import Covariate

HORIZON, CONTEXT, ROWS = 3, 8, 40
ENDS = np.array([20, 33])
POISONS = {
    "NaN": lambda values, random: np.full_like(values, np.nan),
    "huge": lambda values, random: np.full_like(values, 1e9),
    "noise": lambda values, random: random.normal(size=values.shape).astype(values.dtype),
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
@pytest.mark.parametrize(
    ("model", "scaling"),
    [*((model, "window") for model in names("model")), *(("gru", scaling) for scaling in names("scaling"))],
)
def test_what_comes_after_an_origin_changes_no_bit_of_its_forecast(model: str, scaling: str, poison: Any) -> None:
    forecaster, panel = _fitted(model, scaling)
    random = np.random.default_rng(1)
    later = np.ones(len(panel.target), bool)
    for offset, end in zip(panel.offsets, ENDS, strict=False):
        later[offset : offset + end] = False
    poisoned = replace(
        panel,
        target=np.where(later[:, None], poison(panel.target, random), panel.target),
        past=tuple(_poisoned(covariate, later, poison, random) for covariate in panel.past),
    )
    series = np.arange(2)
    expected = forecaster.predict_origins(panel, series, ENDS, levels=[0.1, 0.9])
    got = forecaster.predict_origins(poisoned, series, ENDS, levels=[0.1, 0.9])
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("model", names("model"))
def test_known_covariates_ahead_do_change_a_forecast(model: str) -> None:
    forecaster, panel = _fitted(model, "window")
    ahead = panel.offsets[0] + ENDS[0]
    price = panel.known[0].values.copy()
    price[ahead : ahead + HORIZON] += 1
    changed = replace(panel, known=(replace(panel.known[0], values=price), *panel.known[1:]))
    origin = {"series": np.array([0]), "ends": ENDS[:1], "levels": [0.5]}
    assert not np.array_equal(
        forecaster.predict_origins(changed, **origin), forecaster.predict_origins(panel, **origin)
    )


@pytest.mark.parametrize("scaling", names("scaling"))
def test_a_span_held_back_moves_neither_statistics_nor_training(scaling: str) -> None:
    """Training with early stopping sees the held-back span in its validation loss alone."""
    frame = made_frame(series=2, rows=ROWS, covariates=True)
    held_back = frame.groupby("unique_id").cumcount() >= ROWS - 2 * HORIZON
    poisoned = frame.copy()
    poisoned.loc[held_back, "y"] = frame.y[held_back] * 100
    poisoned.loc[held_back, ["temp", "price"]] = 1e6
    poisoned.loc[held_back, "mood"] = "never before"
    training = Training(steps=4, batch_size=8, validation=2, check_every=2, refit=False)
    clean, other = (_forecaster("gru", scaling, training).fit(table) for table in (frame, poisoned))
    assert other.encoding_ == clean.encoding_
    # Statistics are buffers; what is learned is that of the best step, which the held-back span may choose.
    statistics = dict(other.model_.scaler.named_buffers())
    for label, value in clean.model_.scaler.named_buffers():
        torch.testing.assert_close(statistics[label], value, rtol=0, atol=0, equal_nan=True)
    np.testing.assert_array_equal(other.history_.train_loss, clean.history_.train_loss)
    assert not np.array_equal(other.history_.valid_loss.dropna(), clean.history_.valid_loss.dropna())


def _fitted(model: str, scaling: str) -> tuple[Forecaster, Panel]:
    key = (model, scaling)
    if key not in _FITTED:
        frame = made_frame(series=2, rows=ROWS, covariates=True)
        panel = Panel.from_frame(frame, Columns(**made_roles()))
        _FITTED[key] = _forecaster(model, scaling, Training(steps=2, batch_size=8)).fit(panel), panel
    return _FITTED[key]


_FITTED: dict[tuple[str, str], tuple[Forecaster, Panel]] = {}


def _forecaster(model: str, scaling: str, training: Training) -> Forecaster:
    return Forecaster(
        model,
        horizon=HORIZON,
        context_length=CONTEXT,
        columns=Columns(**made_roles()),
        scaling=scaling,
        training=training,
        accelerator="cpu",
        progress=False,
    )


def _poisoned(covariate: Covariate, later: np.ndarray, poison: Any, random: np.random.Generator) -> Covariate:
    values = covariate.values
    other = poison(values, random) if covariate.categories is None else np.where(values == 0, 1, 0).astype(values.dtype)
    return replace(covariate, values=np.where(later, other, values))
