"""Several targets in one table: joint or each by itself, in any unit, some of them missing."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from batches import made_batch
from frames import made_frame, made_roles

from forecast import Columns, Forecaster, Panel, Training
from forecast.batch import Sizes
from forecast.config import build, names, networks
from forecast.networks.channels import ByChannel
from forecast.networks.recurrent import Recurrent

HORIZON, CONTEXT = 3, 14
TARGETS = ("y", "z")
SMALL = partial(Recurrent, hidden_size=4)


def _table(rows: int = 50) -> pd.DataFrame:
    """Two series of y, and of z in a unit a thousand times as large, half a season apart."""
    frame = made_frame(rows=rows)
    return frame.assign(z=1000 * frame.groupby("unique_id")["y"].shift(3).bfill())


def _forecaster(*, joint: bool = True, model: object = SMALL, **settings: object) -> Forecaster:
    roles = {"target": TARGETS, "joint": joint, **settings.pop("roles", {})}  # type: ignore[dict-item]
    options = {"training": Training(steps=4, batch_size=8), "accelerator": "cpu", "progress": False, **settings}
    return Forecaster(model, horizon=HORIZON, context_length=CONTEXT, columns=Columns(**roles), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "by channel"])
@pytest.mark.parametrize("model", names("model"))
def test_every_network_forecasts_every_target_in_its_own_unit(model: str, joint: bool) -> None:
    forecast = _forecaster(model=model, joint=joint, training=Training(steps=60, batch_size=16)).fit(_table()).predict()
    assert list(forecast)[:4] == ["unique_id", "ds", "target", "forecast"]
    assert forecast["target"].tolist() == ["y"] * 3 + ["z"] * 3 + ["y"] * 3 + ["z"] * 3
    level = forecast.groupby(["unique_id", "target"])["forecast"].mean()
    expected = {("s0", "y"): 10, ("s0", "z"): 1e4, ("s1", "y"): 20, ("s1", "z"): 2e4}
    for pair, value in expected.items():
        assert abs(level[pair] / value - 1) < 0.3


@pytest.mark.parametrize("scaling", names("scaling"))
@pytest.mark.parametrize("loss", ["quantile", "mae"])
def test_every_scaling_and_loss_takes_several_targets(scaling: str, loss: str) -> None:
    forecast = _forecaster(scaling=scaling, loss=loss).fit(_table()).predict(levels=[0.1, 0.9])
    assert np.isfinite(forecast[["forecast", "q0.1", "q0.9"]]).all(axis=None) and len(forecast) == 12


@pytest.mark.parametrize("model", networks())
def test_channel_by_channel_is_the_network_on_each_target_alone(model: str) -> None:
    sizes = Sizes(
        context_length=6, horizon=HORIZON, targets=2, past=1, known=1, static=1, known_cardinalities=(3,), outputs=2
    )
    network = ByChannel(lambda own: build("model", model, own), sizes).eval()
    inputs, _ = made_batch(sizes)
    inputs = inputs._replace(target=inputs.target.float())
    raw = network(inputs)
    assert raw.shape == (5, HORIZON, 2, 2)
    for channel in range(2):
        code = torch.full((5, 1), channel + 1)
        alone = inputs._replace(
            target=inputs.target[..., [channel]],
            observed=inputs.observed[..., [channel]],
            static_codes=torch.cat([inputs.static_codes, code], dim=1),
            scale=inputs.scale[:, [channel]],
        )
        torch.testing.assert_close(network.network(alone), raw[:, :, [channel]])


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "by channel"])
def test_only_a_joint_network_reads_the_other_target(joint: bool) -> None:
    table = _table()
    forecaster = _forecaster(joint=joint, scaling="window").fit(table)
    other = table.assign(z=table["z"] + 500 * np.sin(np.arange(len(table))))
    before, after = (forecaster.predict(frame).query("target == 'y'")["forecast"] for frame in (table, other))
    assert np.array_equal(before, after) != joint


def test_a_target_with_gaps_is_forecast_and_one_never_observed_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    table = _table()
    table.loc[(table["unique_id"] == "s1"), "z"] = np.nan
    table.loc[table.index % 5 == 0, "y"] = np.nan
    with caplog.at_level(logging.WARNING, logger="forecast"):
        forecast = _forecaster().fit(table).predict()
    assert forecast.groupby(["unique_id", "target"]).size().to_dict() == {
        ("s0", "y"): 3,
        ("s0", "z"): 3,
        ("s1", "y"): 3,
    }
    assert np.isfinite(forecast["forecast"]).all()
    assert "'z' of series 's1'" in caplog.text


def test_a_series_without_any_target_is_refused_by_name() -> None:
    table = _table()
    table.loc[table["unique_id"] == "s1", list(TARGETS)] = np.nan
    with pytest.raises(ValueError, match="series 's1' has no observed value in column 'y' or 'z'"):
        _forecaster().fit(table)


def test_a_missing_value_of_one_target_moves_no_other_target_by_channel() -> None:
    table = _table()
    forecaster = _forecaster(joint=False).fit(table)
    gaps = table.copy()
    gaps.loc[gaps.index % 50 > 44, "z"] = np.nan
    before, after = (forecaster.predict(frame).set_index("target")["forecast"] for frame in (table, gaps))
    np.testing.assert_allclose(before["y"], after["y"])
    assert not np.allclose(before["z"], after["z"])


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "by channel"])
@pytest.mark.parametrize("poison", [np.nan, 1e9])
def test_what_comes_after_an_origin_changes_no_target(joint: bool, poison: float) -> None:
    frame = made_frame(rows=50, covariates=True).assign(z=lambda table: 1000 * table["y"])
    forecaster = _forecaster(joint=joint, roles=made_roles())
    panel = Panel.from_frame(frame, forecaster.columns)
    forecaster.fit(panel)
    ends = np.array([30, 41])
    target = panel.target.copy()
    for offset, end, length in zip(panel.offsets, ends, panel.lengths, strict=False):
        target[offset + end : offset + length] = poison
    origins = {"series": np.array([0, 1]), "ends": ends, "levels": [0.1, 0.9]}
    expected = forecaster.predict_origins(panel, **origins)  # type: ignore[arg-type]
    assert expected.shape == (2, HORIZON, 2, 3) and np.isfinite(expected).all()
    np.testing.assert_array_equal(forecaster.predict_origins(replace(panel, target=target), **origins), expected)  # type: ignore[arg-type]


def test_each_target_keeps_its_own_minimum() -> None:
    table = _table().assign(z=lambda frame: (frame.index % 4 == 0) * 1.0)
    forecast = _forecaster(roles={"minimum": [None, 0]}).fit(table).predict(levels=[0.1, 0.9])
    free = _forecaster().fit(table).predict(levels=[0.1, 0.9])
    is_z = forecast["target"] == "z"
    values = ["forecast", "q0.1", "q0.9"]
    assert (free.loc[is_z, values] < 0).any(axis=None)
    pd.testing.assert_frame_equal(forecast.loc[is_z, values], free.loc[is_z, values].clip(lower=0))
    pd.testing.assert_frame_equal(forecast[~is_z], free[~is_z])


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "by channel"])
def test_a_forecaster_of_several_targets_is_saved_and_loaded(joint: bool, tmp_path: Path) -> None:
    forecaster = _forecaster(joint=joint, model="gru").fit(_table())
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    assert loaded.columns == forecaster.columns
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict())


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "by channel"])
@pytest.mark.parametrize("loss", ["mse", "quantile"])
def test_a_target_unobserved_in_a_context_teaches_nothing(joint: bool, loss: str) -> None:
    """Nothing scales it there: its values, of any size, must not reach the loss, nor the intervals."""
    late = _table(rows=80).assign(z=lambda frame: frame["z"] * 1e6)
    late.loc[late.groupby("unique_id").cumcount() < 60, "z"] = np.nan
    forecaster = _forecaster(joint=joint, loss=loss, training=Training(steps=30, batch_size=16)).fit(late)
    assert forecaster.history_["train_loss"].max() < 1e5  # 1e10 and more where they do
    forecast = forecaster.predict(levels=[0.1, 0.9])
    assert (forecast["q0.9"] - forecast["q0.1"] < forecast["forecast"].abs()).all()


def test_a_table_with_other_targets_is_refused() -> None:
    forecaster = _forecaster().fit(_table())
    panel = Panel.from_frame(_table(), Columns(target="y"))
    with pytest.raises(ValueError, match=r"with targets \('y', 'z'\), and this panel has \('y',\)"):
        forecaster.predict(panel)
