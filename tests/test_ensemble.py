"""Ensembles forecast the combination of their members, weighed honestly."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from forecasters import Far, fitted_ensemble, made_forecaster
from frames import made_frame, made_roles, made_two_targets
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from forecast import Columns, Forecaster, Panel, Training
from forecast.ensemble import Ensemble
from forecast.errors import ConfigError, DataError, TrainingError

HORIZON, ROWS = 3, 60
LEVELS = [f"q0.{tenth}" for tenth in range(1, 10)]

NUMBERS = ["forecast", *LEVELS]


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    return fitted_ensemble()


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
    same = made_forecaster(seed=1).fit(made_frame()).predict()
    pd.testing.assert_frame_equal(fitted.members_[0].predict(), same, check_exact=True)


def test_what_is_fitted_is_that_of_the_members(fitted: Ensemble) -> None:
    assert (fitted.horizon_, fitted.freq_, fitted.seasonality_) == (HORIZON, "1D", 7)
    assert fitted.context_length_ == 6 and len(fitted.panel_.target) == 2 * 9
    assert fitted.history_.groupby("member").size().tolist() == [10, 10, 10]
    np.testing.assert_array_equal(
        fitted.history_.train_loss[fitted.history_.member == 2], fitted.members_[2].history_.train_loss
    )


def test_several_targets_are_missing_only_where_a_member_cannot_see_them() -> None:
    frame = made_two_targets()
    late = frame.groupby("unique_id").cumcount() >= ROWS - 6
    frame.loc[late & (frame.unique_id == "s0"), "wind"] = np.nan
    columns = Columns(target=("y", "wind"))
    short, long = (made_forecaster(columns=columns, context_length=length) for length in (6, 9))
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
    low = [made_forecaster(partial(Far, by=-20.0), columns=columns, seed=seed) for seed in range(2)]
    ensemble = Ensemble([*low, made_forecaster(columns=columns)]).fit(made_frame())
    assert (ensemble.predict().loc[:2, NUMBERS] == 8.5).all(axis=None)
    parts = [member.predict()[NUMBERS] for member in ensemble.members_]
    ensemble.set_params(combine="mean")
    np.testing.assert_allclose(ensemble.predict()[NUMBERS], np.mean(parts, axis=0), rtol=1e-12)


def test_levels_are_those_that_every_member_can_give() -> None:
    wide = {"_target_": "forecast.losses.quantile.Quantile", "levels": [0.05, 0.95]}
    frame = made_frame()
    ensemble = Ensemble([made_forecaster(loss=wide, steps=1), made_forecaster(steps=1)]).fit(frame)
    assert ensemble.levels() == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert ensemble.covers(0.1) and not ensemble.covers(0.05)
    with pytest.raises(ConfigError, match=r"member 1 \(gru, seed 0\): level 0\.05 lies outside"):
        ensemble.predict(levels=[0.05])
    ensemble = Ensemble([made_forecaster(loss=wide, steps=1), made_forecaster(loss="gaussian", steps=1)]).fit(frame)
    assert ensemble.levels() == (0.05, 0.5, 0.95)
    assert list(ensemble.predict(levels=[0.9, 0.25]).columns[2:]) == ["forecast", "q0.25", "q0.9"]


def test_weights_find_the_better_member() -> None:
    members = [made_forecaster(partial(Far, by=50.0)), made_forecaster(steps=30)]
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
    members = [made_forecaster(), made_forecaster("linear")]
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
        members = [made_forecaster(columns=panel.columns), made_forecaster("linear", columns=panel.columns)]
        poisoned = replace(known, target=target, past=past)
        ensemble = Ensemble(members, weights="validation").fit(poisoned)
        weights.append(ensemble.weights_)
        forecasts.append(ensemble.predict_origins(poisoned, np.arange(2), known.ends, levels=[0.1, 0.9]))
    np.testing.assert_array_equal(*weights)
    np.testing.assert_array_equal(*forecasts)
    assert np.isfinite(forecasts[0]).all()


def test_a_span_too_short_to_hold_back_is_refused() -> None:
    with pytest.raises(DataError, match=r"validation=20 horizons of 3 steps.*longest series has 60.*Lower validation"):
        Ensemble([made_forecaster()], weights="validation", validation=20).fit(made_frame())


def test_a_held_back_span_without_an_observation_is_refused() -> None:
    frame = made_frame()
    frame.loc[frame.groupby("unique_id").cumcount() >= ROWS - HORIZON, "y"] = np.nan
    with pytest.raises(DataError, match="leaves nothing to train on or to score"):
        Ensemble([made_forecaster()], weights="validation").fit(frame)


def test_series_that_are_constant_weigh_nothing(caplog: pytest.LogCaptureFixture) -> None:
    frame = made_frame().assign(y=3.0)
    with caplog.at_level(logging.WARNING, logger="forecast"):
        ensemble = Ensemble([made_forecaster(), made_forecaster("linear")], weights="validation").fit(frame)
    assert ensemble.weights_.tolist() == [0.5, 0.5] and "every series is constant" in caplog.text


def test_a_clone_has_the_settings_and_forecasts_the_same(fitted: Ensemble) -> None:
    copy = clone(fitted)
    assert copy.get_params().keys() == {"members", "combine", "weights", "validation", "processes"}
    assert not hasattr(copy, "members_") and copy.members[0] is not fitted.members[0]
    assert (copy.horizon, copy.columns) == (HORIZON, None)
    with pytest.raises(NotFittedError):
        copy.predict()
    pd.testing.assert_frame_equal(copy.fit(made_frame()).predict(), fitted.predict(), check_exact=True)
    assert copy.set_params(combine="mean", processes=2).get_params()["processes"] == 2


def test_checkpoints_of_members_lie_apart(tmp_path: Path) -> None:
    Ensemble([made_forecaster(), made_forecaster("linear")], weights="validation").fit(made_frame(), folder=tmp_path)
    found = {path.relative_to(tmp_path).parent.as_posix() for path in tmp_path.rglob("*.safetensors")}
    assert found == {"member-0", "member-1", "validation/member-0", "validation/member-1"}


def test_a_logger_gets_the_losses_of_each_member(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(tmp_path, name="", version="")
    ensemble = Ensemble([made_forecaster(), made_forecaster("linear")]).fit(made_frame(), logger=logger)
    logged = pd.read_csv(tmp_path / "metrics.csv")
    for number, member in enumerate(ensemble.members_):
        losses = logged[f"member-{number}/train_loss"].dropna()
        assert losses.tolist() == pytest.approx([member.history_.train_loss.iloc[-1]])


def test_a_warm_start_goes_on_with_each_member_and_keeps_the_weights() -> None:
    frame = made_frame()
    ensemble = Ensemble([made_forecaster(), made_forecaster("linear")], weights="validation").fit(frame)
    weights, before = ensemble.weights_, ensemble.members_
    for member in ensemble.members:
        member.set_params(training=Training(steps=4, batch_size=8, learning_rate=1e-3))
    ensemble.fit(frame, warm_start=True)
    assert ensemble.weights_ is weights
    assert ensemble.history_.groupby("member").size().tolist() == [4, 4]
    alone = before[0].set_params(training=ensemble.members[0].training).fit(frame, warm_start=True)
    pd.testing.assert_frame_equal(ensemble.members_[0].predict(), alone.predict(), check_exact=True)


def test_a_warm_start_may_learn_new_series() -> None:
    ensemble = Ensemble([made_forecaster(), made_forecaster("linear")]).fit(made_frame())
    ensemble.fit(made_frame(series=3), warm_start=True)
    assert all(len(member.encoding_.ids) == 2 for member in ensemble.members_)
    ensemble.fit(made_frame(series=3), warm_start=True, update_statistics=True)
    assert all(len(member.encoding_.ids) == 3 for member in ensemble.members_)


def test_a_warm_start_that_fails_loses_nothing() -> None:
    ensemble = Ensemble([made_forecaster(), made_forecaster("linear", loss="mse")]).fit(made_frame())
    before = ensemble.predict()
    wild = Training(steps=5, learning_rate=1e30, gradient_clip=0, schedule="constant")
    ensemble.members[1].set_params(training=wild)
    with pytest.raises(TrainingError, match="member 1"):
        ensemble.fit(made_frame(), warm_start=True)
    pd.testing.assert_frame_equal(ensemble.predict(), before, check_exact=True)
    ensemble.members.append(made_forecaster())
    with pytest.raises(ConfigError, match="3 members and 2 were trained"):
        ensemble.fit(made_frame(), warm_start=True)
    with pytest.raises(NotFittedError):
        clone(ensemble).fit(made_frame(), warm_start=True)


def _refitted(ensemble: Ensemble, **settings: Any) -> Ensemble:
    return clone(ensemble).set_params(**settings).fit(made_frame())
