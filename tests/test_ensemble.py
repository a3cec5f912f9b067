"""Ensembles: combined by hand, weighed honestly, saved whole, and the same in one process or several."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from frames import made_frame, made_roles
from scipy.optimize import linprog
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from forecast import Columns, Forecaster, Panel, Training
from forecast.batch import Inputs, Sizes
from forecast.calibrated import load
from forecast.combination import best_weights, mean, median, spread_of
from forecast.ensemble import Ensemble
from forecast.errors import ArtifactError, ConfigError, DataError, ForecastError, TrainingError
from forecast.saved import artifact

HORIZON, ROWS = 3, 60
LEVELS = [f"q0.{tenth}" for tenth in range(1, 10)]
NUMBERS = ["forecast", *LEVELS]


class Far(nn.Module):
    """A network that is always wrong by many deviations."""

    def __init__(self, sizes: Sizes, *, by: float = 50.0) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.full((sizes.horizon, sizes.targets, sizes.outputs), by))

    def forward(self, inputs: Inputs, teacher: Any = None, feedback: Any = None) -> Tensor:
        return self.steps.expand(len(inputs.target), *self.steps.shape)


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    """Three members of two models, the contexts of which differ."""
    members = [_member(seed=1), _member("linear", seed=2), _member(seed=3, context_length=9)]
    return Ensemble(members).fit(made_frame())


@pytest.fixture
def saved(fitted: Ensemble, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model")


# Combination


@pytest.mark.parametrize(
    ("values", "weights", "expected"),
    [
        ([1, 5, 2], [1 / 3, 1 / 3, 1 / 3], (8 / 3, 2)),
        ([1, 5, 2, 4], [0.25, 0.25, 0.25, 0.25], (3, 3)),
        ([1, 5, 2], [0.6, 0.2, 0.2], (2, 1)),
        ([1, 5, 2], [0.2, 0.5, 0.3], (3.3, 3.5)),
        ([1, 5, 2], [0.0, 1.0, 0.0], (5, 5)),
        ([7], [1.0], (7, 7)),
    ],
)
def test_mean_and_median_are_those_worked_out_by_hand(values: list, weights: list, expected: tuple) -> None:
    stacked, shares = np.array(values, float)[:, None], np.array(weights)
    assert (mean(stacked, shares).item(), median(stacked, shares).item()) == pytest.approx(expected)


@pytest.mark.parametrize("members", [1, 2, 3, 4, 9])
def test_equal_weights_give_what_numpy_gives(members: int) -> None:
    values = np.random.default_rng(members).normal(size=(members, 40, 3))
    equal = np.full(members, 1 / members)
    np.testing.assert_allclose(median(values, equal), np.median(values, axis=0), rtol=1e-15)
    np.testing.assert_allclose(mean(values, equal), values.mean(axis=0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("combine", [mean, median])
def test_combined_quantiles_do_not_cross_where_no_member_crosses(combine: Any) -> None:
    random = np.random.default_rng(0)
    for members in range(2, 9):
        values = np.sort(random.normal(size=(members, 200, 9)).round(1), axis=-1)  # rounded: many are alike
        weights = random.integers(0, 4, members) + 1e-3
        assert (np.diff(combine(values, weights / weights.sum()), axis=-1) >= 0).all()


@pytest.mark.parametrize("combine", [mean, median])
def test_where_one_member_has_no_forecast_there_is_none(combine: Any) -> None:
    values = np.array([[1.0, 2.0], [np.nan, 4.0], [5.0, 6.0]])
    assert np.isnan(combine(values, np.full(3, 1 / 3))).tolist() == [True, False]


@pytest.mark.parametrize("combine", ["mean", "median"])
def test_an_ensemble_forecasts_the_combination_of_its_members(fitted: Ensemble, combine: str) -> None:
    ensemble = _refitted(fitted, combine=combine)
    parts = [member.predict() for member in fitted.members_]
    got = ensemble.predict()
    expected = getattr(np, combine)([part[NUMBERS] for part in parts], axis=0)
    np.testing.assert_allclose(got[NUMBERS], expected, rtol=1e-12)
    pd.testing.assert_frame_equal(got[["unique_id", "ds"]], parts[0][["unique_id", "ds"]])
    assert (np.diff(got[LEVELS], axis=1) >= 0).all()
    assert not np.allclose(parts[0].forecast, parts[2].forecast)  # seeds differ


def test_given_weights_count_in_proportion(fitted: Ensemble) -> None:
    ensemble = Ensemble(fitted.members, combine="mean", weights=(2, 0, 6)).fit(made_frame())
    assert ensemble.weights_.tolist() == [0.25, 0, 0.75]
    first, _, third = (member.predict()[NUMBERS] for member in ensemble.members_)
    np.testing.assert_allclose(ensemble.predict()[NUMBERS], 0.25 * first + 0.75 * third, rtol=1e-12)


def test_members_stay_as_they_were_given(fitted: Ensemble) -> None:
    assert not any(hasattr(member, "model_") for member in fitted.members)
    assert all(member.seed == own.seed for member, own in zip(fitted.members, fitted.members_, strict=True))
    same = _member(seed=1).fit(made_frame()).predict()
    pd.testing.assert_frame_equal(fitted.members_[0].predict(), same, check_exact=True)


def test_what_is_fitted_is_that_of_the_members(fitted: Ensemble) -> None:
    assert (fitted.horizon_, fitted.freq_, fitted.seasonality_) == (HORIZON, "1D", 7)
    assert fitted.context_length_ == 6 and len(fitted.panel_.target) == 2 * 9
    assert fitted.history_.groupby("member").size().tolist() == [10, 10, 10]
    np.testing.assert_array_equal(
        fitted.history_.train_loss[fitted.history_.member == 2], fitted.members_[2].history_.train_loss
    )


def test_several_targets_are_missing_only_where_a_member_cannot_see_them() -> None:
    frame = _two_targets()
    late = frame.groupby("unique_id").cumcount() >= ROWS - 6
    frame.loc[late & (frame.unique_id == "s0"), "wind"] = np.nan
    columns = Columns(target=("y", "wind"))
    short, long = (_member(columns=columns, context_length=length) for length in (6, 9))
    ensemble = Ensemble([long, short]).fit(frame)
    assert np.isfinite(ensemble.members_[0].predict()[NUMBERS]).all(axis=None)
    origins = ensemble.predict_origins(ensemble.panel_, np.arange(2), ensemble.panel_.ends, levels=[0.5])
    assert origins.shape == (2, HORIZON, 2, 2)
    assert np.isnan(origins).all(axis=(1, 3)).tolist() == [[False, True], [False, False]]
    got = ensemble.predict()
    assert got.groupby(["unique_id", "target"]).size().to_dict() == {("s0", "y"): 3, ("s1", "wind"): 3, ("s1", "y"): 3}
    assert np.isfinite(got[NUMBERS]).all(axis=None)


def test_no_forecast_lies_below_the_minimum() -> None:
    columns = Columns(minimum=8.5)
    low = [_member(partial(Far, by=-20.0), columns=columns, seed=seed) for seed in range(2)]
    ensemble = Ensemble([*low, _member(columns=columns)]).fit(made_frame())
    assert (ensemble.predict().loc[:2, NUMBERS] == 8.5).all(axis=None)
    parts = [member.predict()[NUMBERS] for member in ensemble.members_]
    ensemble.set_params(combine="mean")
    np.testing.assert_allclose(ensemble.predict()[NUMBERS], np.mean(parts, axis=0), rtol=1e-12)


# Levels


def test_levels_are_those_that_every_member_can_give() -> None:
    wide = {"_target_": "forecast.losses.quantile.Quantile", "levels": [0.05, 0.95]}
    frame = made_frame()
    ensemble = Ensemble([_member(loss=wide, steps=1), _member(steps=1)]).fit(frame)
    assert ensemble.levels() == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert ensemble.covers(0.1) and not ensemble.covers(0.05)
    with pytest.raises(ConfigError, match=r"member 1 \(gru, seed 0\): level 0\.05 lies outside"):
        ensemble.predict(levels=[0.05])
    ensemble = Ensemble([_member(loss=wide, steps=1), _member(loss="gaussian", steps=1)]).fit(frame)
    assert ensemble.levels() == (0.05, 0.5, 0.95)
    assert list(ensemble.predict(levels=[0.9, 0.25]).columns[2:]) == ["forecast", "q0.25", "q0.9"]


# Weights


def test_best_weights_are_those_of_a_linear_programme() -> None:
    random = np.random.default_rng(0)
    for members in (2, 3, 5):
        truth = random.normal(size=12)
        levels = np.array([0.1, 0.5, 0.9])
        centre = truth + random.normal(size=(members, 12)) * np.linspace(0.5, 1.5, members)[:, None]
        values = centre[..., None] + np.array([-1, 0, 1])
        weights = best_weights(values[:, :, None, None], truth[:, None, None], np.ones((12, 1)), levels)
        assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
        assert _pinball(weights, values, truth, levels) == pytest.approx(_least(values, truth, levels), rel=1e-3)


def test_best_weights_leave_out_what_was_not_observed_or_has_no_scale() -> None:
    truth = np.array([[[1.0]], [[np.nan]], [[5.0]]])
    values = np.array([[1.0, 7.0, 0.0], [3.0, 7.0, 5.0]])[:, :, None, None, None]
    scale = np.array([[1.0], [1.0], [np.nan]])
    np.testing.assert_allclose(best_weights(values, truth, scale, [0.5]), [1, 0], atol=1e-6)
    nothing = np.full_like(scale, np.nan)
    assert best_weights(values, truth, nothing, [0.5]).tolist() == [0.5, 0.5]


def test_no_series_dominates_the_weights_by_its_unit() -> None:
    """The second member is right of the series with large numbers, the first of the two others."""
    truth = np.array([1.0, 1.0, 1e6])[:, None, None]
    values = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1e6]])[:, :, None, None, None]
    np.testing.assert_allclose(best_weights(values, truth, np.array([[1.0], [1.0], [1e6]]), [0.5]), [1, 0], atol=1e-6)
    np.testing.assert_allclose(best_weights(values, truth, np.ones((3, 1)), [0.5]), [0, 1], atol=1e-6)


def test_the_scale_is_that_of_seasonal_differences_or_of_neighbours() -> None:
    history = np.array([[1, 4, 5, 5], [3, np.nan, 5, 6], [2, np.nan, 5, 5], [6, np.nan, 5, 6]], float)
    got = spread_of(history, seasonality=2)
    np.testing.assert_array_equal(got, [2, np.nan, np.nan, 1])  # |2 - 1|, |6 - 3|; neighbours for the last


def test_weights_find_the_better_member() -> None:
    members = [_member(partial(Far, by=50.0)), _member(steps=30)]
    ensemble = Ensemble(members, combine="mean", weights="validation", validation=2).fit(made_frame())
    np.testing.assert_allclose(ensemble.weights_, [0, 1], atol=1e-3)
    np.testing.assert_allclose(ensemble.predict().forecast, ensemble.members_[1].predict().forecast, rtol=1e-2)


@pytest.mark.parametrize("freq", ["D", "1"])
def test_weights_come_from_members_that_have_not_seen_what_is_held_back(
    freq: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = []
    fit = Forecaster.fit
    monkeypatch.setattr(Forecaster, "fit", lambda self, panel, **kw: (spans.append(panel), fit(self, panel, **kw))[1])
    members = [_member(), _member("linear")]
    ensemble = Ensemble(members, weights="validation", validation=2).fit(made_frame(freq=freq))
    assert [panel.ends.tolist() for panel in spans] == 2 * [[54, 54]] + 2 * [[60, 60]]
    assert all(len(panel.target) == panel.ends.sum() for panel in spans)
    assert ensemble.weights_.sum() == pytest.approx(1)


def test_what_comes_after_the_known_span_changes_no_bit() -> None:
    panel = Panel.from_frame(made_frame(covariates=True), Columns(**made_roles()))
    known = replace(panel, ends=panel.ends - 5)
    later = np.concatenate([np.arange(length) >= end for length, end in zip(panel.lengths, known.ends, strict=True)])
    forecasts, weights = [], []
    for poison in (np.nan, 1e9):
        target = np.where(later[:, None], poison, panel.target)
        past = tuple(
            replace(one, values=np.where(later, poison, one.values)) if one.categories is None else one
            for one in panel.past
        )
        members = [_member(columns=panel.columns), _member("linear", columns=panel.columns)]
        poisoned = replace(known, target=target, past=past)
        ensemble = Ensemble(members, weights="validation").fit(poisoned)
        weights.append(ensemble.weights_)
        forecasts.append(ensemble.predict_origins(poisoned, np.arange(2), known.ends, levels=[0.1, 0.9]))
    np.testing.assert_array_equal(*weights)
    np.testing.assert_array_equal(*forecasts)
    assert np.isfinite(forecasts[0]).all()


def test_a_span_too_short_to_hold_back_is_refused() -> None:
    with pytest.raises(DataError, match=r"validation=20 horizons of 3 steps.*longest series has 60.*Lower validation"):
        Ensemble([_member()], weights="validation", validation=20).fit(made_frame())


def test_a_held_back_span_without_an_observation_is_refused() -> None:
    frame = made_frame()
    frame.loc[frame.groupby("unique_id").cumcount() >= ROWS - HORIZON, "y"] = np.nan
    with pytest.raises(DataError, match="leaves nothing to train on or to score"):
        Ensemble([_member()], weights="validation").fit(frame)


def test_series_that_are_constant_weigh_nothing(caplog: pytest.LogCaptureFixture) -> None:
    frame = made_frame().assign(y=3.0)
    with caplog.at_level(logging.WARNING, logger="forecast"):
        ensemble = Ensemble([_member(), _member("linear")], weights="validation").fit(frame)
    assert ensemble.weights_.tolist() == [0.5, 0.5] and "every series is constant" in caplog.text


# Settings


def test_a_clone_has_the_settings_and_forecasts_the_same(fitted: Ensemble) -> None:
    copy = clone(fitted)
    assert copy.get_params().keys() == {"members", "combine", "weights", "validation", "processes"}
    assert not hasattr(copy, "members_") and copy.members[0] is not fitted.members[0]
    assert (copy.horizon, copy.columns) == (HORIZON, None)
    with pytest.raises(NotFittedError):
        copy.predict()
    pd.testing.assert_frame_equal(copy.fit(made_frame()).predict(), fitted.predict(), check_exact=True)
    assert copy.set_params(combine="mean", processes=2).get_params()["processes"] == 2


@pytest.mark.parametrize(
    ("name", "other"), [("horizon", 4), ("freq", "D"), ("seasonality", 5), ("columns", Columns(gaps="rows"))]
)
def test_members_that_disagree_are_refused_by_name(name: str, other: Any) -> None:
    with pytest.raises(ConfigError, match=rf"member 0 \(gru, seed 0\) has {name}=.*member 1 \(linear, seed 0\) has"):
        Ensemble([_member(), _member("linear", **{name: other})]).fit(made_frame())


def test_default_columns_are_those_not_given() -> None:
    Ensemble([_member(steps=1), _member(steps=1, columns=Columns())]).fit(made_frame())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": []}, "members is a list of one Forecaster or more"),
        ({"members": [3]}, "members is a list of one Forecaster or more"),
        ({"combine": "medain"}, "no combination 'medain'. Choose one of: median, mean"),
        ({"weights": "validatoin"}, "weights is 'validation' or 2 numbers"),
        ({"weights": [1]}, "weights is 'validation' or 2 numbers"),
        ({"weights": [1, -1]}, "weights is 'validation' or 2 numbers"),
        ({"weights": [0, 0]}, "not all 0"),
        ({"weights": [1, np.nan]}, "weights is 'validation' or 2 numbers"),
        ({"weights": "validation", "validation": 0}, "validation is a whole number of 1 or more, got 0"),
        ({"processes": 0}, "processes is a whole number of 1 or more, got 0"),
        ({"processes": True}, "processes is a whole number of 1 or more, got True"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Ensemble(**{"members": [_member(), _member("linear")], **settings}).fit(made_frame())


def test_an_error_names_its_member_and_leaves_nothing_fitted() -> None:
    wild = Training(steps=5, learning_rate=1e30, gradient_clip=0, schedule="constant")
    ensemble = Ensemble([_member(), _member("lstm", seed=4, training=wild, loss="mse")])
    with pytest.raises(TrainingError, match=r"^member 1 \(lstm, seed 4\): the loss is not finite at step"):
        ensemble.fit(made_frame())
    with pytest.raises(NotFittedError):
        ensemble.predict()


def test_what_a_member_refuses_is_refused_before_any_is_trained(tmp_path: Path) -> None:
    frame = made_frame()
    frame.loc[frame.index[5], "y"] = 0.0
    ensemble = Ensemble([_member(), _member("lstm", seed=4, scaling="smoothing")])
    with pytest.raises(
        DataError, match=r"^member 1 \(lstm, seed 4\): .*scaling=smoothing.* takes positive values only"
    ):
        ensemble.fit(frame, folder=tmp_path)
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"training": Training(steps=5, freeze=("hed",))}, "no part of the network to freeze 'hed'"),
        ({"training": Training(steps=5, validation=50)}, "training.validation=50 holds back"),
        ({"training": Training(steps=5, optimizer={"_target_": "torch.optim.Adamm"})}, "Adamm"),
        ({"accelerator": "gpuu"}, "there is no accelerator 'gpuu'"),
        ({"context_length": 500}, "context_length=500 is longer than every series"),
    ],
)
def test_settings_of_a_later_member_are_refused_before_any_is_trained(
    settings: dict[str, Any], told: str, tmp_path: Path
) -> None:
    ensemble = Ensemble([_member(), _member("segrnn", seed=4, **settings)])
    with pytest.raises(ForecastError, match=told):
        ensemble.fit(made_frame(), folder=tmp_path)
    assert not list(tmp_path.rglob("*"))


def test_checkpoints_of_members_lie_apart(tmp_path: Path) -> None:
    Ensemble([_member(), _member("linear")], weights="validation").fit(made_frame(), folder=tmp_path)
    found = {path.relative_to(tmp_path).parent.as_posix() for path in tmp_path.rglob("*.safetensors")}
    assert found == {"member-0", "member-1", "validation/member-0", "validation/member-1"}


def test_a_logger_gets_the_losses_of_each_member(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(tmp_path, name="", version="")
    ensemble = Ensemble([_member(), _member("linear")]).fit(made_frame(), logger=logger)
    logged = pd.read_csv(tmp_path / "metrics.csv")
    for number, member in enumerate(ensemble.members_):
        losses = logged[f"member-{number}/train_loss"].dropna()
        assert losses.tolist() == pytest.approx([member.history_.train_loss.iloc[-1]])


# Warm start


def test_a_warm_start_goes_on_with_each_member_and_keeps_the_weights() -> None:
    frame = made_frame()
    ensemble = Ensemble([_member(), _member("linear")], weights="validation").fit(frame)
    weights, before = ensemble.weights_, ensemble.members_
    for member in ensemble.members:
        member.set_params(training=Training(steps=4, batch_size=8, learning_rate=1e-3))
    ensemble.fit(frame, warm_start=True)
    assert ensemble.weights_ is weights
    assert ensemble.history_.groupby("member").size().tolist() == [4, 4]
    alone = before[0].set_params(training=ensemble.members[0].training).fit(frame, warm_start=True)
    pd.testing.assert_frame_equal(ensemble.members_[0].predict(), alone.predict(), check_exact=True)


def test_a_warm_start_may_learn_new_series() -> None:
    ensemble = Ensemble([_member(), _member("linear")]).fit(made_frame())
    ensemble.fit(made_frame(series=3), warm_start=True)
    assert all(len(member.encoding_.ids) == 2 for member in ensemble.members_)
    ensemble.fit(made_frame(series=3), warm_start=True, update_statistics=True)
    assert all(len(member.encoding_.ids) == 3 for member in ensemble.members_)


def test_a_warm_start_that_fails_loses_nothing() -> None:
    ensemble = Ensemble([_member(), _member("linear", loss="mse")]).fit(made_frame())
    before = ensemble.predict()
    wild = Training(steps=5, learning_rate=1e30, gradient_clip=0, schedule="constant")
    ensemble.members[1].set_params(training=wild)
    with pytest.raises(TrainingError, match="member 1"):
        ensemble.fit(made_frame(), warm_start=True)
    pd.testing.assert_frame_equal(ensemble.predict(), before, check_exact=True)
    ensemble.members.append(_member())
    with pytest.raises(ConfigError, match="3 members and 2 were trained"):
        ensemble.fit(made_frame(), warm_start=True)
    with pytest.raises(NotFittedError):
        clone(ensemble).fit(made_frame(), warm_start=True)


# Saved


@pytest.mark.parametrize("joint", [True, False])
def test_what_is_loaded_forecasts_bit_equal(joint: bool, tmp_path: Path) -> None:
    columns = Columns(target=("y", "wind"), joint=joint, past=("temp", "mood"), static=("region",))
    members = [_member(columns=columns, context_length=9), _member("linear", columns=columns)]
    ensemble = Ensemble(members, combine="mean", weights="validation", validation=2).fit(_two_targets())
    loaded = load(ensemble.save(tmp_path / "model"))
    assert isinstance(loaded, Ensemble)
    pd.testing.assert_frame_equal(loaded.predict(), ensemble.predict(), check_exact=True)
    newer = _two_targets(seed=1)
    pd.testing.assert_frame_equal(loaded.predict(newer), ensemble.predict(newer), check_exact=True)
    np.testing.assert_array_equal(loaded.weights_, ensemble.weights_)
    for name in ("combine", "weights", "validation", "processes", "horizon", "columns"):
        assert getattr(loaded, name) == getattr(ensemble, name), name
    again = clone(loaded).fit(_two_targets())
    pd.testing.assert_frame_equal(again.predict(), ensemble.predict(), check_exact=True)


def test_a_folder_is_read_as_what_it_holds(fitted: Ensemble, saved: Path, tmp_path: Path) -> None:
    alone = fitted.members_[0].save(tmp_path / "alone")
    assert isinstance(load(str(alone)), Forecaster) and isinstance(load(str(saved)), Ensemble)
    with pytest.raises(ArtifactError, match=r"holds an ensemble. Read it with forecast\.ensemble\.load"):
        Forecaster.load(saved)
    with pytest.raises(FileNotFoundError, match=r"no saved ensemble in .*alone"):
        Ensemble.load(alone)
    with pytest.raises(FileNotFoundError, match="no saved forecaster"):
        load(tmp_path / "nowhere")
    assert isinstance(Forecaster.load(saved / "members" / "1"), Forecaster)


def test_networks_of_ones_own_load_only_where_they_are_allowed(tmp_path: Path) -> None:
    ensemble = Ensemble([_member(partial(Far, by=1.0)), _member()]).fit(made_frame())
    ensemble.save(tmp_path / "model")
    loaded = Ensemble.load(tmp_path / "model", allow=(one for one in [Far]))
    pd.testing.assert_frame_equal(loaded.predict(), ensemble.predict(), check_exact=True)
    with pytest.raises(ConfigError, match="Far"):
        load(tmp_path / "model")


def test_a_newer_format_is_refused(saved: Path) -> None:
    newer = artifact.FORMAT + 1
    _forge(saved, format=newer)
    with pytest.raises(ArtifactError, match=f"format {newer}.*reads 1 to {newer - 1}.*Upgrade"):
        load(saved)


@pytest.mark.parametrize("place", ["ensemble.yaml", "checksums.json", "members/1/checksums.json"])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_damage_is_found(saved: Path, place: str, how: str) -> None:
    if how == "missing" and place != "ensemble.yaml":
        (saved / place).unlink()
    else:
        content = bytearray((saved / place).read_bytes())
        content[len(content) // 2] ^= 1
        (saved / place).write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged|not whole"):
        load(saved)


def test_a_member_of_another_ensemble_is_found(saved: Path) -> None:
    shutil.rmtree(saved / "members" / "0")
    shutil.copytree(saved / "members" / "1", saved / "members" / "0")
    with pytest.raises(ArtifactError, match=r"members/0/checksums\.json' is damaged"):
        load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"members": 4},
        {"members": "../../etc"},
        {"members": 10**12},
        {"members": -1},
        {"members": 0, "fitted": {"weights": []}},
        {"class": "os.system"},
        {"fitted": {"weights": [1.0]}},
        {"fitted": {"weights": [0.5, 0.5, float("nan")]}},
        {"fitted": {"weights": ["one", "two", "three"]}},
        {"fitted": None},
        {"combine": "os.system"},
        {"weights": {"_target_": "os.system"}},
    ],
)
def test_settings_that_do_not_fit_are_refused(saved: Path, changes: dict[str, Any]) -> None:
    _forge(saved, **changes)
    with pytest.raises((ArtifactError, ConfigError)):
        load(saved)


@pytest.mark.parametrize("fails", ["second member", "move"])
def test_saving_is_whole_or_not_at_all(
    saved: Path, fitted: Ensemble, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Ensemble([_member("linear", seed=7), _member(seed=8)]).fit(made_frame())
    save, rename = Forecaster.save, Path.rename

    def refuse_second(self: Forecaster, path: Path) -> Path:
        if Path(path).name == "1":
            raise OSError("disk full")
        return save(self, path)

    def refuse_last(self: Path, target: Path) -> Path:
        if Path(target) == saved and self.name.endswith(".part"):
            raise OSError("disk full")
        return rename(self, target)

    if fails == "move":
        monkeypatch.setattr(Path, "rename", refuse_last)
    else:
        monkeypatch.setattr(Forecaster, "save", refuse_second)
    with pytest.raises(OSError, match="disk full"):
        other.save(saved)
    monkeypatch.undo()
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    pd.testing.assert_frame_equal(load(saved).predict(), fitted.predict(), check_exact=True)
    other.save(saved)
    assert sorted(path.name for path in (saved / "members").iterdir()) == ["0", "1"]
    pd.testing.assert_frame_equal(load(saved).predict(), other.predict(), check_exact=True)


def test_nothing_else_is_replaced(saved: Path, fitted: Ensemble, tmp_path: Path) -> None:
    (saved / "members" / "1" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"holds 'members/1/notes\.txt' beside the saved ensemble"):
        fitted.save(saved)
    alone = fitted.members_[0].save(tmp_path / "alone")
    with pytest.raises(ArtifactError, match="is no saved ensemble"):
        fitted.save(alone)
    with pytest.raises(ArtifactError, match="is no saved forecaster"):
        fitted.members_[0].save(saved)
    assert (saved / "members" / "1" / "notes.txt").read_text(encoding="utf-8") == "mine"


# Processes


@pytest.mark.slow
def test_several_processes_change_no_bit(
    fitted: Ensemble, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        members = [*fitted.members, _member(partial(Far, by=1.0), seed=4, progress=True)]
        alone = Ensemble(members).fit(made_frame())
        with caplog.at_level(logging.INFO, logger="forecast"):
            ensemble = Ensemble(members, processes=2).fit(made_frame(), folder=tmp_path)
    finally:
        torch.set_num_threads(threads)
    pd.testing.assert_frame_equal(ensemble.predict(), alone.predict(), check_exact=True)
    pd.testing.assert_frame_equal(ensemble.history_, alone.history_, check_exact=True)
    assert caplog.text.count("of 4 is trained.") == 4
    assert capfd.readouterr() == ("", "")
    assert len(list(tmp_path.glob("member-?/*.safetensors"))) == 4
    for ours, theirs in zip(ensemble.members_, alone.members_, strict=True):
        assert (ours.progress, repr(ours.model)) == (theirs.progress, repr(theirs.model))
        for file in sorted(path.name for path in ours.save(tmp_path / "ours").iterdir()):
            assert (tmp_path / "ours" / file).read_bytes() == (theirs.save(tmp_path / "theirs") / file).read_bytes()


@pytest.mark.slow
def test_an_error_in_a_process_names_its_member_and_ends_the_others() -> None:
    wild = Training(steps=5, learning_rate=1e30, gradient_clip=0, schedule="constant")
    members = [_member(steps=10**6), _member("linear", training=wild, loss="mse")]
    began = time.monotonic()
    with pytest.raises(TrainingError, match=r"^member 1 \(linear, seed 0\): the loss is not finite at step"):
        Ensemble(members, processes=2).fit(made_frame())
    assert time.monotonic() - began < 120


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends the signal of a terminal")
def test_an_interrupt_ends_every_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from frames import made_frame\n"
        "from forecast import Forecaster, Training\n"
        "from forecast.ensemble import Ensemble\n"
        "if __name__ == '__main__':\n"
        "    endless = Training(steps=10**7, batch_size=8, checkpoint_every=10)\n"
        "    members = [Forecaster('gru', horizon=3, training=endless, seed=seed) for seed in (0, 1)]\n"
        "    Ensemble(members, processes=2).fit(made_frame(), folder=__import__('pathlib').Path('made'))\n",
        encoding="utf-8",
    )
    command = [sys.executable, str(script)]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 240
        while len(list(tmp_path.glob("made/member-?/*.safetensors"))) < 2:  # both train
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=60)  # the end of standard error: every process has let go of it
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == -signal.SIGINT and said.count("KeyboardInterrupt") == 1


def _member(model: Any = "gru", *, steps: int = 10, **settings: Any) -> Forecaster:
    """Return a small forecaster, not fitted."""
    training = Training(steps=steps, batch_size=8)
    quick = {"horizon": HORIZON, "context_length": 6, "training": training, "accelerator": "cpu", "progress": False}
    return Forecaster(model, **{**quick, **settings})


def _refitted(ensemble: Ensemble, **settings: Any) -> Ensemble:
    return clone(ensemble).set_params(**settings).fit(made_frame())


def _two_targets(seed: int = 0) -> pd.DataFrame:
    frame = made_frame(rows=ROWS, covariates=True, seed=seed)
    return frame.assign(wind=1000 + 50 * np.cos(np.arange(len(frame))))


def _pinball(weights: np.ndarray, values: np.ndarray, truth: np.ndarray, levels: np.ndarray) -> float:
    total = 0.0
    for row in range(len(truth)):
        for at, level in enumerate(levels):
            error = truth[row] - sum(weight * value[row, at] for weight, value in zip(weights, values, strict=True))
            total += max(level * error, (level - 1) * error)
    return total / truth.size / len(levels)


def _least(values: np.ndarray, truth: np.ndarray, levels: np.ndarray) -> float:
    """Return the least pinball loss, by a linear programme in weights and errors above and below."""
    members, rows = len(values), truth.size * len(levels)
    above = np.tile(levels, truth.size)
    cost = np.concatenate([np.zeros(members), above, 1 - above]) / rows
    errors = np.hstack([values.reshape(members, -1).T, np.eye(rows), -np.eye(rows)])
    total = np.concatenate([np.ones(members), np.zeros(2 * rows)])
    right = np.append(np.repeat(truth, len(levels)), 1)
    return linprog(cost, A_eq=np.vstack([errors, total]), b_eq=right).fun


def _forge(folder: Path, **changes: Any) -> None:
    """Change the settings and make the checksum fit, as an attacker would."""
    from hashlib import sha256

    head = yaml.safe_load((folder / "ensemble.yaml").read_text(encoding="utf-8"))
    (folder / "ensemble.yaml").write_text(yaml.safe_dump({**head, **changes}), encoding="utf-8")
    sums = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))
    sums["ensemble.yaml"] = sha256((folder / "ensemble.yaml").read_bytes()).hexdigest()
    (folder / "checksums.json").write_text(json.dumps(sums), encoding="utf-8")
