"""Backtests: the same origins for everybody, nothing read beyond them, and fits exactly where they are asked for."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import made_frame
from predictors import Fits, Last

import forecast
from forecast import Columns, Forecaster, Panel, Training, backtest
from forecast.data.splits import split_ends
from forecast.ensemble import Ensemble
from forecast.errors import ConfigError, DataError
from forecast.evaluation.backtest import evaluate
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.metrics import mase_scale
from forecast.evaluation.plan import check_baselines
from forecast.evaluation.tables import Backtest
from forecast.losses import Quantile

HORIZON, FOLDS = 4, 3


def _forecaster(**settings: Any) -> Forecaster:
    training = Training(steps=3, batch_size=8)
    given = {"horizon": HORIZON, "context_length": 8, "training": training, "accelerator": "cpu", "progress": False}
    return Forecaster("rnn", **{**given, **settings})


@pytest.fixture(scope="module")
def scored() -> Backtest:
    return backtest(_forecaster(), made_frame(series=3), folds=FOLDS)


def test_every_model_is_scored_on_the_same_rows_and_truth(scored: Backtest) -> None:
    keys = ["unique_id", "ds", "cutoff", "fold", "y"]
    rows = {name: part[keys].reset_index(drop=True) for name, part in scored.forecasts.groupby("model")}
    assert list(scored.forecasts["model"].unique()) == ["rnn", *BASELINES] == list(scored.scores["model"])
    for own in rows.values():
        pd.testing.assert_frame_equal(own, rows["rnn"])
    ours = rows["rnn"]
    assert len(ours) == 3 * FOLDS * HORIZON and not ours.duplicated(["unique_id", "ds"]).any()
    assert (ours["ds"] > ours["cutoff"]).all() and ours["ds"].max() == made_frame()["ds"].max()
    table = made_frame(series=3).rename(columns={"y": "truth"})
    met = ours.merge(table, on=["unique_id", "ds"], validate="many_to_one")
    assert (met["y"] == met["truth"]).all()


def test_columns_of_the_forecasts_have_one_order(scored: Backtest) -> None:
    levels = [f"q0.{number}" for number in range(1, 10)]
    assert list(scored.forecasts) == ["unique_id", "ds", "cutoff", "fold", "model", "forecast", *levels, "y"]


def test_naive_repeats_the_last_value_before_each_cutoff(scored: Backtest) -> None:
    naive = scored.forecasts[scored.forecasts["model"] == "naive"]
    table = made_frame(series=3).set_index(["unique_id", "ds"])["y"]
    for row in naive.itertuples():
        assert row.forecast == table[row.unique_id, row.cutoff]


@pytest.mark.parametrize("refit", [False, True, 2])
def test_what_comes_after_a_cutoff_moves_no_forecast_of_its_fold_or_an_earlier_one(refit: bool | int) -> None:
    columns = Columns(past=("temp", "mood"), static=("size",))
    plan: dict[str, Any] = {"folds": FOLDS, "step": 3, "refit": refit}
    frame = made_frame(series=2, covariates=True)
    clean = backtest(_forecaster(columns=columns), frame, **plan).forecasts
    for fold, cutoff in clean.groupby("fold")["cutoff"].first().items():
        later = frame["ds"] > cutoff
        poisoned = frame.copy()
        poisoned.loc[later, ["y", "temp"]] = 1e6
        poisoned.loc[later, "mood"] = "never before"
        found = backtest(_forecaster(columns=columns), poisoned, **plan).forecasts
        same = clean["fold"] <= fold
        pd.testing.assert_frame_equal(found[same].drop(columns="y"), clean[same].drop(columns="y"), check_exact=True)
        assert not found[same]["y"].equals(clean[same]["y"])


def test_a_refit_does_see_what_came_before_its_cutoff() -> None:
    """Otherwise the test of leakage above would hold for a backtest that never fits again."""
    frame = made_frame(series=2)
    once, each = (backtest(_forecaster(), frame, folds=2, refit=refit).forecasts for refit in (False, True))
    for model, differs in (("rnn", True), ("ridge", True), ("naive", False)):
        for fold in (1, 2):
            values = [part.loc[(part["model"] == model) & (part["fold"] == fold), "forecast"] for part in (once, each)]
            assert np.allclose(*values, rtol=1e-6, atol=0) != (differs and fold == 2)


@pytest.mark.parametrize("refit", [False, True])
def test_origins_in_one_pass_equal_forecasts_of_the_table_cut_at_each_cutoff(refit: bool) -> None:
    frame = made_frame(series=3)
    found = backtest(_forecaster(), frame, folds=4, step=3, refit=refit, baselines=()).forecasts
    cutoffs = found["cutoff"].unique()
    fitted = _forecaster().fit(frame[frame["ds"] <= cutoffs[0]])
    for cutoff, part in found.groupby("cutoff"):
        known = frame[frame["ds"] <= cutoff]
        by_hand = (_forecaster().fit(known) if refit else fitted).predict(known)
        together = part.drop(columns=["cutoff", "fold", "model", "y"]).reset_index(drop=True)
        pd.testing.assert_frame_equal(together, by_hand, rtol=1e-6, atol=0)


def test_all_origins_between_two_fits_are_forecast_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    forecast_from = Last.predict_origins

    def counted(self: Last, panel: Panel, series: np.ndarray, ends: np.ndarray, **options: Any) -> np.ndarray:
        asked.append(len(series))
        return forecast_from(self, panel, series, ends, **options)

    monkeypatch.setattr(Last, "predict_origins", counted)
    backtest(Last(), made_frame(series=3, rows=40), folds=5, refit=2)
    assert asked == [6, 6, 3]


@pytest.mark.parametrize(
    ("refit", "fitted"), [(False, [1]), (True, [1, 2, 3, 4, 5]), (1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (9, [1])]
)
def test_a_fit_precedes_every_kth_fold_and_ends_at_its_cutoff(
    refit: bool | int, fitted: list[int], tmp_path: Path
) -> None:
    fits = Fits()
    backtest(Last(fits=fits), made_frame(series=2, rows=30), folds=5, step=3, refit=refit, folder=tmp_path)
    assert fits.folders == [tmp_path / f"fold-{fold}" for fold in fitted]
    assert [panel.ends.tolist() for panel in fits.panels] == [[28 - 3 * (5 - fold)] * 2 for fold in fitted]


def test_the_forecaster_given_stays_as_it_was() -> None:
    fresh, fitted = Last(), Last().fit(made_frame(rows=20))
    before = dict(vars(fitted))
    for given in (fresh, fitted):
        backtest(given, made_frame(rows=30), folds=2, refit=True)
    assert set(vars(fresh)) == {"horizon", "context_length", "columns", "fits"}
    assert vars(fitted) == before


def test_an_interrupted_backtest_goes_on_from_its_checkpoints(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(steps=6, batch_size=8, checkpoint_every=2)
    forecaster, plan = _forecaster(training=training), {"folds": 2, "refit": True, "folder": tmp_path}
    frame = made_frame(series=2)
    predict_origins = Forecaster.predict_origins

    def stopped(self: Forecaster, panel: Panel, series: np.ndarray, ends: np.ndarray, **options: Any) -> np.ndarray:
        if (tmp_path / "fold-2").is_dir():
            raise KeyboardInterrupt
        return predict_origins(self, panel, series, ends, **options)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Forecaster, "predict_origins", stopped)
        backtest(forecaster, frame, **plan)
    assert all((tmp_path / f"fold-{fold}" / "last.safetensors").is_file() for fold in (1, 2))
    with caplog.at_level(logging.INFO, "forecast"):
        found = backtest(forecaster, frame, **plan)
    assert caplog.text.count("training goes on from step 6 of 6") == 2
    whole = backtest(forecaster, frame, folds=2, refit=True)
    pd.testing.assert_frame_equal(found.forecasts, whole.forecasts, check_exact=True)


def test_folds_overlap_where_steps_are_shorter_than_the_horizon() -> None:
    found = backtest(Last(horizon=4), made_frame(series=2, rows=30), folds=3, step=1, baselines=["naive"])
    ours = found.forecasts[(found.forecasts["model"] == "last") & (found.forecasts["unique_id"] == "s0")]
    days = ours["ds"].dt.day_of_year.to_numpy().reshape(3, 4)
    np.testing.assert_array_equal(days, [[25, 26, 27, 28], [26, 27, 28, 29], [27, 28, 29, 30]])
    assert ours["fold"].tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert found.per_fold["fold"].tolist() == [1, 2, 3] * 2
    assert found.per_step["step"].tolist() == [1, 2, 3, 4] * 2


def test_folds_of_whole_number_times_are_counted_from_each_end_and_of_stamps_from_the_last() -> None:
    for freq, cutoffs in (("1", {"s0": [15, 17], "s1": [25, 27]}), ("D", {"s1": [25, 27]})):
        frame = made_frame(rows=30, freq=freq)
        short = (frame["unique_id"] == "s0") & (frame.groupby("unique_id").cumcount() >= 20)
        found = backtest(Last(), frame[~short], folds=2, baselines=()).forecasts
        assert set(found["unique_id"]) == set(cutoffs)
        for name, expected in cutoffs.items():
            own = found.loc[found["unique_id"] == name, "cutoff"].unique()
            assert [int(one if freq == "1" else pd.Timestamp(one).day_of_year - 1) for one in own] == expected
    by_end = backtest(Last(), frame[~short], folds=2, baselines=(), split="series_end").per_fold
    assert by_end["series"].tolist() == [2, 2]
    assert by_end["cutoff"].tolist() == [pd.Timestamp("2024-01-26"), pd.Timestamp("2024-01-28")]  # the latest


def test_scores_are_those_of_a_plain_loop_with_a_scale_from_before_the_first_cutoff(scored: Backtest) -> None:
    table = made_frame(series=3)
    for row in scored.scores.itertuples():
        own = scored.forecasts[scored.forecasts["model"] == row.model]
        maes, mases = [], []
        for name, part in own.groupby("unique_id"):
            before = table[(table["unique_id"] == name) & (table["ds"] <= own["cutoff"].min())]["y"]
            maes.append(float((part["y"] - part["forecast"]).abs().mean()))
            mases.append(maes[-1] / float(mase_scale(before.to_numpy(), seasonality=7)))
        assert row.mae == pytest.approx(np.mean(maes)) and row.mase == pytest.approx(np.mean(mases))


def test_mase_season_sets_the_period_of_the_scale() -> None:
    frame = made_frame(series=1, rows=30)
    for season in (1, 7):
        found = backtest(Last(), frame, folds=1, baselines=(), mase_season=season).scores.iloc[0]
        scale = mase_scale(frame["y"].to_numpy()[:28], seasonality=season)
        assert found["mase"] == pytest.approx(found["mae"] / scale)


def test_ridge_learns_from_what_the_forecaster_was_fitted_on_alone() -> None:
    """A series that starts between the cutoffs must not teach the ridge what happened after the first."""
    frame = made_frame(series=3, rows=60)
    late = (frame["unique_id"] == "s2") & (frame.groupby("unique_id").cumcount() < 50)
    other = frame.copy()
    other.loc[frame["unique_id"] == "s2", "y"] *= -3
    known = [backtest(Last(), table[~late], folds=4, step=3, baselines=["ridge"]).forecasts for table in (frame, other)]
    first, second = (part[(part["model"] == "ridge") & (part["unique_id"] != "s2")] for part in known)
    assert "s2" in set(known[0]["unique_id"])
    np.testing.assert_array_equal(first["forecast"], second["forecast"])


def test_intervals_of_the_simple_methods_hold_the_point_and_never_cross(scored: Backtest) -> None:
    simple = scored.forecasts[scored.forecasts["model"] != "rnn"]
    levels = simple.filter(like="q0.").to_numpy()
    assert (np.diff(levels, axis=1) >= 0).all()
    np.testing.assert_allclose(simple["q0.5"], simple["forecast"])


def test_no_forecast_of_any_model_lies_below_the_minimum() -> None:
    frame = made_frame(series=2, rows=40)
    frame["y"] = (20 - 0.6 * np.tile(np.arange(40), 2)).clip(0) + 0.01 * frame["y"]
    free, raised = (
        backtest(_forecaster(columns=Columns(minimum=minimum)), frame, folds=3).forecasts for minimum in (None, 0.0)
    )
    values = ["forecast", *free.filter(like="q0.")]
    below = free.groupby("model")[values].min().min(axis=1) < 0
    assert below.all(), "the test shows nothing for a model that forecasts nothing below zero"
    np.testing.assert_array_equal(raised[values], np.maximum(free[values], 0))


@pytest.mark.parametrize(
    ("levels", "columns"), [((0.5,), ["q0.5"]), ((0.2, 0.9), [f"q0.{decile}" for decile in range(2, 10)])]
)
def test_an_interval_that_the_loss_cannot_give_is_nan_for_all(levels: tuple[float, ...], columns: list[str]) -> None:
    found = backtest(_forecaster(loss=partial(Quantile, levels=levels)), made_frame(), folds=2)
    assert list(found.forecasts.filter(like="q0.")) == columns
    assert found.scores[["coverage", "width"]].isna().all().all() and found.scores["mae"].notna().all()


def test_the_interval_is_asked_for_beside_wider_levels() -> None:
    found = backtest(_forecaster(loss=partial(Quantile, levels=(0.05, 0.95))), made_frame(), folds=2)
    assert list(found.forecasts.filter(like="q0.")) == ["q0.05", *(f"q0.{decile}" for decile in range(1, 10)), "q0.95"]
    assert found.scores[["coverage", "width"]].notna().all().all()


def test_cutoffs_keep_the_time_zone() -> None:
    frame = made_frame()
    frame["ds"] = frame["ds"].dt.tz_localize("Europe/Vienna")
    found = backtest(Last(), frame, folds=2)
    assert found.forecasts["cutoff"].dtype == found.per_fold["cutoff"].dtype == frame["ds"].dtype


def test_evaluate_scores_what_is_fitted_already() -> None:
    panel = Panel.from_frame(made_frame(series=3))
    ends = split_ends(panel, horizon=HORIZON, windows=FOLDS, split="calendar")
    fitted = _forecaster().fit(panel.until(ends[0]))
    found = evaluate(fitted, panel, ends, name="rnn", baselines=list(BASELINES))
    expected = backtest(_forecaster(), panel, folds=FOLDS)
    for table in ("forecasts", "scores", "per_fold", "per_step", "per_series"):
        pd.testing.assert_frame_equal(getattr(found, table), getattr(expected, table))


def test_an_ensemble_is_backtested_as_a_forecaster_is(tmp_path: Path) -> None:
    ensemble = Ensemble([_forecaster(seed=0), _forecaster(seed=1, context_length=12)], combine="mean")
    frame = made_frame(series=2)
    found = backtest(ensemble, frame, folds=2, baselines=(), folder=tmp_path).forecasts
    alone = [backtest(member, frame, folds=2, baselines=()).forecasts["forecast"] for member in ensemble.members]
    np.testing.assert_allclose(found["forecast"], (alone[0] + alone[1]) / 2)
    assert set(found["model"]) == {"ensemble"} and (tmp_path / "fold-1" / "member-1").is_dir()


def test_names_come_from_the_model_or_the_class_or_are_given() -> None:
    frame = made_frame(rows=30)
    for options, name in (({}, "last"), ({"name": "mine"}, "mine")):
        assert backtest(Last(), frame, folds=1, baselines=["naive"], **options).scores["model"].tolist()[0] == name
    assert forecast.backtest is backtest
    with pytest.raises(ConfigError, match="named 'naive', as a baseline is"):
        backtest(Last(), frame, name="naive")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"folds": 0}, "folds is a whole number of 1 or more, got 0"),
        ({"folds": True}, "folds is a whole number"),
        ({"folds": 2.5}, "folds is a whole number of 1 or more, got 2.5"),
        ({"step": 0}, "step is a whole number of 1 or more, got 0"),
        ({"step": -3}, "step is a whole number of 1 or more, got -3"),
        ({"mase_season": 0}, "mase_season is a whole number of 1 or more, got 0"),
        ({"refit": 0}, "refit is False, True, or every how many folds.*got 0"),
        ({"refit": -1}, "refit is False, True.*got -1"),
        ({"refit": "yes"}, "refit is False, True.*got 'yes'"),
        ({"refit": None}, "refit is False, True.*got None"),
        ({"split": "random"}, "split is calendar or series_end, got 'random'"),
        ({"baselines": ["naiv"]}, "'naiv'. Choose one of: naive"),
        ({"baselines": "naive"}, r"baselines is a list of names, got 'naive'. Write \[naive\]"),
        ({"baselines": ["naive", "drift", "naive"]}, "'naive' is named twice"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_any_fit(options: dict[str, Any], told: str) -> None:
    fits = Fits()
    with pytest.raises(ConfigError, match=told):
        backtest(Last(fits=fits), made_frame(rows=30), **options)
    assert not fits.panels


def test_a_horizon_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="horizon is a whole number of 1 or more, got 0"):
        backtest(Last(horizon=0), made_frame(rows=30))


@pytest.mark.parametrize(
    ("rows", "plan", "told"),
    [
        (20, {"folds": 9}, "9 folds, each 2 steps after the one before, leave at most 2 steps.*needs 3.*At most 8 fit"),
        (20, {"folds": 8, "step": 3}, "8 folds, each 3 steps after.*leave at most 0 steps.*At most 6 fit"),
        (4, {"folds": 1}, "leave at most 2 steps of any series to train on.*Shorten the horizon"),
    ],
)
def test_series_too_short_are_refused_with_the_number_of_folds_that_fit(
    rows: int, plan: dict[str, int], told: str
) -> None:
    with pytest.raises(DataError, match=told) as refused:
        backtest(Last(), made_frame(rows=rows), **plan)
    if "At most" in str(refused.value):
        fitting = int(str(refused.value).split("At most ")[1].split()[0])
        assert len(backtest(Last(), made_frame(rows=rows), **{**plan, "folds": fitting}).per_fold) == 6 * fitting


def test_folds_before_which_nothing_was_observed_are_refused() -> None:
    frame = made_frame(rows=30)
    frame.loc[frame.groupby("unique_id").cumcount() < 24, "y"] = np.nan
    with pytest.raises(DataError, match="a value observed among them. At most 2 fit"):
        backtest(Last(), frame, folds=4)


def test_a_baseline_whose_forecast_is_not_finite_is_left_out_and_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    predict = BASELINES["drift"].predict

    def overflowing(method: Any, histories: Any) -> Any:
        point, spread = predict(method, histories)
        return type(predict(method, histories))(np.where(point > 15, np.inf, point), spread)

    monkeypatch.setattr(BASELINES["drift"], "predict", overflowing)
    scored = backtest(_forecaster(), made_frame(), folds=2, refit=True, baselines=["naive", "drift"])
    assert scored.scores["model"].tolist() == ["rnn", "naive"]
    assert "baseline drift is left out: its forecast of series 's1' is not finite (1 such windows)" in caplog.text


def test_an_unknown_baseline_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'naiv'. Choose one of: naive"):
        check_baselines(["ridge", "naiv"])


def test_sample_paths_of_each_fold_are_those_from_its_cutoff() -> None:
    frame = made_frame(series=2)
    found = backtest(_forecaster(), frame, folds=2, refit=True, paths=3).paths
    assert found is not None
    assert list(found) == ["unique_id", "ds", "cutoff", "fold", "sample", "forecast"]
    assert len(found) == 2 * 2 * 3 * HORIZON and (found["ds"] > found["cutoff"]).all()
    for (_, cutoff), own in found.groupby(["fold", "cutoff"]):
        known = frame[frame["ds"] <= cutoff]
        expected = _forecaster().fit(known).sample(paths=3)
        pd.testing.assert_frame_equal(own.drop(columns=["cutoff", "fold"]).reset_index(drop=True), expected)
    assert found["fold"].unique().tolist() == [1, 2]


def test_paths_keep_to_their_origins_where_some_lack_a_target() -> None:
    frame = made_frame(series=2).assign(z=lambda rows: rows["y"] + 100)
    frame.loc[(frame["unique_id"] == frame["unique_id"].iloc[0]), "z"] = np.nan
    found = backtest(_forecaster(columns=Columns(target=("y", "z"))), frame, folds=2, paths=2).paths
    assert found is not None
    assert (found["ds"] > found["cutoff"]).all()
    assert (found.groupby(["unique_id", "target", "fold", "sample"]).size() == HORIZON).all()


def test_nothing_is_drawn_unless_it_is_asked_for(scored: Backtest) -> None:
    assert scored.paths is None
    with pytest.raises(ConfigError, match="paths is a whole number of 0 or more, got -1"):
        backtest(_forecaster(), made_frame(), paths=-1)
