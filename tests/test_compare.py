"""compare(): the same windows for all, tables that agree with a backtest, and models that fail alone."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from comparing import SMALL, TINY, LastValue, Spoiled
from frames import made_frame

from forecast import Columns, Forecaster, Training, backtest, compare
from forecast.comparison.comparison import Comparison
from forecast.comparison.entries import Shared, entries_of
from forecast.comparison.protocols import Contested, task_of
from forecast.comparison.settings import Protocol
from forecast.comparison.significance.pairs import PAIRS
from forecast.config import read
from forecast.errors import ConfigError, DataError, KindError
from forecast.evaluation.metrics import METRICS
from forecast.report.comparison.page import comparison_page

PLAN = Protocol(folds=3, step=2)
KEYS = ["data", "horizon", "model", "seed"]


@pytest.fixture(scope="module")
def compared() -> Comparison:
    """Two horizons, a network with two seeds, simple methods and an adapter."""
    models = {**SMALL, "naive2": "naive2", "last": LastValue(width=1.0)}
    return compare(made_frame(), models, horizons=[4, 6], seeds=2, protocol=PLAN, shared=TINY)


def test_every_frame_has_the_promised_columns(compared: Comparison) -> None:
    costs = ["fit_seconds", "predict_seconds", "peak_memory_mb", "parameters"]
    metrics = list(METRICS)
    expected = {
        "cells": [*KEYS, "fold", "status", "reason", *costs, "hash"],
        "scores": [*KEYS, "series_count", *metrics, "owa", *costs],
        "per_series": [*KEYS, "series", *metrics],
        "per_window": [*KEYS, "series", "fold", "cutoff", "n", *metrics],
        "per_step": [*KEYS, "step", *metrics],
        "forecasts": [
            *KEYS, "series", "fold", "cutoff", "time", "forecast", "q0.025", "q0.1", "q0.9", "q0.975", "y",
        ],
        "history": ["data", "series", "time", "y"],
        "calibration": [*KEYS[:3], "level", "share"],
        "leaderboard": [
            *KEYS[:3], "seeds", *metrics, "mase_sd", "owa", "skill", "skill_low", "skill_high", "rank", "wins", *costs,
        ],
        "pairs": [*KEYS[:2], *PAIRS],
        "against": [*KEYS[:2], *PAIRS],
    }  # fmt: skip
    for name, columns in expected.items():
        assert sorted(getattr(compared, name).columns) == sorted(columns), name
    assert set(compared.leaderboard["model"]) == {"small", "naive2", "last", "naive", "seasonal_naive"}
    assert len(compared.per_window) == 2 * (2 + 4) * 2 * 3
    assert len(compared.per_step) == (2 + 4) * (4 + 6)


def test_scores_are_those_of_a_backtest(compared: Comparison) -> None:
    forecaster = Forecaster(
        {**read("model", "gru"), "hidden_size": 4},
        horizon=4, training=Training(steps=2, batch_size=16), accelerator="cpu", progress=False, seed=1,
    )  # fmt: skip
    scored = backtest(forecaster, made_frame(), folds=3, step=2, baselines=["naive", "naive2"], name="small")
    ours = compared.scores[(compared.scores["horizon"] == 4)]
    for model, seed in (("small", 1), ("naive", 0), ("naive2", 0)):
        row = ours[(ours["model"] == model) & (ours["seed"] == seed)].iloc[0]
        theirs = scored.scores.set_index("model").loc[model]
        for metric in ("mae", "rmse", "smape", "mase", "crps", "wql", "msis", "coverage", "width"):
            assert row[metric] == pytest.approx(theirs[metric], rel=1e-6), (model, metric)


def test_an_adapter_is_fitted_at_every_origin_and_gives_what_naive_gives(compared: Comparison) -> None:
    table = compared.per_window.set_index("model")
    keys = ["horizon", "series", "fold"]
    ours, naive = (table.loc[model].sort_values(keys)["mae"].to_numpy() for model in ("last", "naive"))
    np.testing.assert_allclose(ours, naive)
    assert table.loc["last", "width"].to_numpy() == pytest.approx(2.0)


def test_metrics_are_those_of_a_plain_loop(compared: Comparison) -> None:
    rows = compared.forecasts.query("horizon == 4 and model == 'naive' and series == 's1' and fold == 2")
    error = (rows["forecast"] - rows["y"]).to_numpy()
    found = compared.per_window.query("horizon == 4 and model == 'naive' and series == 's1' and fold == 2").iloc[0]
    frame = made_frame()
    history = frame.loc[frame[Columns().id] == "s1", "y"].to_numpy()[: 60 - 4 - 2 * 2]
    assert found["cutoff"] == rows["cutoff"].iloc[0] == "2024-02-23"
    assert found["bias"] == pytest.approx(error.mean())
    assert found["mse_scaled"] == pytest.approx((error**2).mean() / history.var())
    assert found["mae_scaled"] == pytest.approx(np.abs(error).mean() / history.std())
    assert found["rmsse"] == pytest.approx(np.sqrt((error**2).mean() / np.mean(np.diff(history) ** 2)))
    assert found["mape"] == pytest.approx(100 * np.mean(np.abs(error) / rows["y"].abs()))


def test_the_leaderboard_ranks_by_mean_rank_over_series_with_skill_against_seasonal_naive(compared: Comparison) -> None:
    errors = compared.per_series.query("horizon == 6").groupby(["model", "series"])["mase"].mean().unstack()
    board = compared.leaderboard.query("horizon == 6").set_index("model")
    assert list(board.index) == list(board["rank"].sort_values(kind="stable").index)
    for model in board.index:
        assert board["rank"][model] == pytest.approx(errors.rank()[errors.columns].loc[model].mean())
        expected = 1 - errors.loc[model].mean() / errors.loc["seasonal_naive"].mean()
        assert board["skill"][model] == pytest.approx(expected)
    assert board["owa"]["naive2"] == pytest.approx(1)
    assert board["seeds"]["small"] == 2 and np.isnan(board["mase_sd"]["last"])


def test_a_comparison_says_in_short_what_it_found(compared: Comparison) -> None:
    assert repr(compared).startswith("Comparison of 12 cells:\n")
    assert compared.sentences and compared.settings["protocol"]["folds"] == 3


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda table: table[table[Columns().id] != "s1"], "predict lacks 4 of 8 rows"),
        (lambda table: table.assign(ds=table[Columns().time] + pd.Timedelta("1D")), "predict lacks 2 of 8 rows"),
        (lambda table: table.assign(forecast=np.nan), "a value that is not finite"),
        (lambda table: pd.concat([table, table]), "gives a row twice"),
        (lambda table: table.drop(columns="forecast"), "no column 'forecast'"),
        (lambda table: table["forecast"], "a Series, not a DataFrame"),
        (lambda table: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_an_adapter_that_gives_something_else_fails_alone_with_its_reason(spoil: Any, reason: str) -> None:
    found = compare(made_frame(), {"spoiled": Spoiled(spoil)}, horizons=4, protocol=Protocol(folds=1))
    assert set(found.leaderboard["model"]) == {"naive", "seasonal_naive"}
    failed = found.cells[found.cells["status"] == "failed"]
    assert list(failed["model"]) == ["spoiled"] and reason in failed["reason"].iloc[0]
    assert "1 failed" in repr(found)


def test_an_adapter_on_trading_days_gives_weekdays_and_is_scored_on_the_days_that_came() -> None:
    class Business(LastValue):
        def predict(self, horizon: int) -> pd.DataFrame:
            days = {name: pd.bdate_range(last, periods=horizon + 1)[1:] for name, last in self.time_.items()}
            parts = [
                pd.DataFrame({"unique_id": name, "ds": days[name], "forecast": value})
                for name, value in self.last_.items()
            ]
            return pd.concat(parts)

    frame = made_frame(rows=80, freq="B")
    frame = frame[~frame["ds"].isin(pd.to_datetime(["2024-02-19", "2024-04-12", "2024-04-16"]))]
    columns, plan = Columns(gaps="rows"), Protocol(folds=3, step=2)
    found = compare(frame, {"business": Business()}, horizons=4, protocol=plan, columns=columns)
    mae = found.leaderboard.set_index("model")["mae"]
    assert mae["business"] == pytest.approx(mae["naive"])


def test_an_adapter_gets_the_table_with_its_covariates_up_to_the_origin() -> None:
    seen: list[pd.DataFrame] = []

    class Watching(LastValue):
        def fit(self, frame: pd.DataFrame) -> LastValue:
            seen.append(frame)
            return super().fit(frame)

    frame = made_frame(covariates=True)
    columns = Columns(past=("temp", "mood"), known=("price",), static=("region",))
    compare(frame, {"watching": Watching()}, horizons=4, protocol=Protocol(folds=2, step=3), columns=columns)
    for given, cutoff in zip(seen, ("2024-02-22", "2024-02-25"), strict=True):
        expected = frame[frame[columns.time] <= cutoff].reset_index(drop=True)
        for name in (columns.id, columns.time, "y", "temp", "mood", "price", "region"):
            if name in ("temp", "price"):  # a panel keeps covariates in single precision
                np.testing.assert_allclose(given[name], expected[name], rtol=1e-6)
            else:
                np.testing.assert_array_equal(given[name].astype(expected[name].dtype), expected[name], err_msg=name)


@pytest.mark.parametrize("poison", [np.nan, 1e9])
def test_no_entry_reads_what_comes_after_an_origin(poison: float) -> None:
    """Only the values of the steps that are forecast change: the same forecasts, other truth."""
    frame = made_frame()
    last = frame[Columns().time].max()  # stays, or there would be nothing to score
    later = (frame[Columns().time] > "2024-02-25") & (frame[Columns().time] < last)
    poisoned = frame.assign(y=frame["y"].mask(later & (frame[Columns().id] == "s0"), poison))
    poisoned["y"] = poisoned["y"].mask(later, poison if np.isfinite(poison) else poisoned["y"])
    models = [SMALL, "ridge", "naive2", LastValue()]
    found = [
        compare(one, models, horizons=4, protocol=Protocol(folds=1), shared=TINY).forecasts for one in (frame, poisoned)
    ]
    assert not found[0]["y"].equals(found[1]["y"])
    pd.testing.assert_frame_equal(*(one.drop(columns="y") for one in found), check_exact=True)


def test_the_same_call_gives_the_same_tables() -> None:
    found = [compare(made_frame(), [SMALL, "ridge"], horizons=4, protocol=Protocol(folds=2), shared=TINY) for _ in "ab"]
    for name, table in found[0].frames().items():
        other = found[1].frames()[name]
        costs = [column for column in table if column.endswith(("_seconds", "_mb"))]
        pd.testing.assert_frame_equal(table.drop(columns=costs), other.drop(columns=costs), check_exact=True)


def test_every_window_of_a_test_span_is_scored_on_the_z_scored_axis() -> None:
    plan = Protocol(train=30, validation=10, test=12, standardised=True)
    found = compare(made_frame(), "naive", horizons=5, protocol=plan)
    windows = found.per_window[found.per_window["model"] == "naive"]
    assert sorted(windows["fold"].unique()) == list(range(1, 12 - 5 + 2))
    frame = made_frame()
    errors = []
    for _, own in frame.groupby(Columns().id):
        y = own["y"].to_numpy()
        y = (y - y[:30].mean()) / y[:30].std()
        errors += [np.mean((y[end : end + 5] - y[end - 1]) ** 2) for end in range(40, 48)]
    score = found.scores[found.scores["model"] == "naive"].iloc[0]
    assert score["mse"] == pytest.approx(np.mean(errors)) == pytest.approx(score["mse_scaled"])


def test_training_never_reaches_into_validation_and_test() -> None:
    frame = made_frame()
    later = frame.groupby(Columns().id).cumcount() >= 30
    noisy = frame.assign(y=frame["y"].where(~later, -frame["y"]))
    plan = Protocol(train=30, validation=10, test=12)
    tasks = [task_of(Contested("made", one), horizon=5, protocol=plan) for one in (frame, noisy)]
    entry = entries_of(["linear"], shared=TINY)[0]
    weights = [
        entry.fit(task, task.parts[0], seed=0).fitted.model_.state_dict()
        for task in tasks  # type: ignore[attr-defined]
    ]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


def test_several_targets_are_pairs_and_have_no_means_over_other_units() -> None:
    frame = made_frame(covariates=True)
    found = compare(frame, "naive", horizons=4, columns=Columns(target=("y", "temp")), protocol=Protocol(folds=2))
    assert set(found.per_series["series"]) == {"s0 / y", "s0 / temp", "s1 / y", "s1 / temp"}
    assert found.scores["mae"].isna().all() and found.scores["mase"].notna().all()
    assert found.per_series["mae"].notna().all()


def test_windows_after_a_silence_count_for_no_model(caplog: pytest.LogCaptureFixture) -> None:
    frame = made_frame(rows=120)
    silent = (frame[Columns().id] == "s1") & (frame[Columns().time] >= "2024-03-01")
    last = frame[Columns().time] == frame[Columns().time].max()
    frame = frame.assign(y=frame["y"].mask(silent & ~last))
    with caplog.at_level(logging.WARNING, "forecast"):
        found = compare(frame, ["drift"], horizons=4, protocol=Protocol(folds=1))
    assert set(found.per_window["series"]) == {"s0"}
    assert "1 windows have, or follow, a span without an observation: left out for all models" in caplog.text


def test_a_series_that_ended_long_ago_is_no_failure_of_a_network() -> None:
    frame = made_frame(rows=120)
    ended = (frame[Columns().id] == "s1") & (frame[Columns().time] >= "2024-03-20")  # the rows go on, empty
    frame = frame.assign(y=frame["y"].mask(ended))
    found = compare(frame, SMALL, horizons=4, protocol=Protocol(folds=1), shared=replace(TINY, context_length=8))
    assert set(found.cells["status"]) == {"done"} and set(found.per_window["series"]) == {"s0"}


def test_a_record_of_a_data_set_brings_its_own_horizon_season_and_name() -> None:
    record = SimpleNamespace(**{**vars(Contested("daily", made_frame(), horizon=5, seasonality=3)), "licence": "none"})
    found = compare([record, Contested("same", made_frame())], "drift", horizons=4, protocol=Protocol(folds=1))
    assert set(found.leaderboard["data"]) == {"daily", "same"}
    alone = compare(record, "drift", protocol=Protocol(folds=1))
    assert set(alone.leaderboard["horizon"]) == {5} and alone.settings["models"]["drift"]["seasonality"] == 3


def test_a_table_that_names_no_horizon_is_compared_at_that_of_its_frequency(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "forecast"):
        found = compare(made_frame(), "drift", protocol=Protocol(folds=1))
    assert set(found.leaderboard["horizon"]) == {14}
    assert "no horizon given for 'table': 14 steps, as M4 has for daily series; horizons=[...] sets" in caplog.text


@pytest.mark.parametrize(
    ("frames", "models", "options", "error", "message"),
    [
        (None, {"a": Forecaster("gru", horizon=4), "b": Forecaster("gru", horizon=5)}, {}, ConfigError, "have 4 and 5"),
        (None, "gruu", {"horizons": 4}, ConfigError, "there is no model 'gruu'. Choose one of: gru"),
        (
            None,
            [{"gru": {"layer": 2}}],
            {"horizons": 4},
            ConfigError,
            "there is no setting 'layer'",
        ),
        (None, ["gru", "gru"], {"horizons": 4}, ConfigError, "names 'gru' twice"),
        (None, [3], {"horizons": 4}, ConfigError, "models has 3, a whole number; give names"),
        (None, 3, {"horizons": 4}, ConfigError, "models is 3, a whole number; give a list of names"),
        (None, [LastValue], {"horizons": 4}, ConfigError, "models has LastValue, a class and no object of it; give"),
        (None, "naive", {"horizons": 0}, ConfigError, "horizons are whole numbers"),
        (None, "naive", {"horizons": 4, "seeds": 0}, ConfigError, "seeds is a whole number"),
        (None, "naive", {"horizons": 4, "processes": 0}, ConfigError, "processes is a whole number"),
        (None, "naive", {"horizons": 4, "protocol": "m5"}, ConfigError, "there is no protocol 'm5'"),
        (None, "naive", {"horizons": 4, "protocol": Protocol(test=5)}, ConfigError, "go together"),
        (None, "naive", {"horizons": 4, "protocol": Protocol(train=60, test=9)}, DataError, "need series of 69 steps"),
        ({}, "naive", {"horizons": 4}, ConfigError, "frames is empty"),
        (
            [1],
            "naive",
            {"horizons": 4},
            KindError,
            "frames is a name, a DataFrame, or several by name, got 1, a whole n",
        ),
        (["sales"] * 2, "naive", {"horizons": 4}, ConfigError, "called 'sales'. Name each once; in Python a dict"),
        (None, [Forecaster("gru", horizon=4, loss="direction")], {}, ConfigError, "probability of an event"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(
    frames: Any, models: Any, options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message.replace("(", r"\(")):
        compare(made_frame() if frames is None else frames, models, store=tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()


def test_a_model_is_named_after_its_changes_and_has_its_own_loss_and_training() -> None:
    shared = Shared(Training(steps=7))
    mine = {"own": {"model": "gru", "loss": "mae", "training": {"steps": 9}}}
    entries = entries_of(["deepar", {"gru": {"layers": 2}}, mine], shared=shared)
    assert [entry.name for entry in entries] == ["deepar", "gru layers=2", "own"]
    task = task_of(Contested("made", made_frame()), horizon=4, protocol=Protocol(folds=1))
    deepar, deep, own = (entry.settings(task, seed=0) for entry in entries)
    assert deepar["loss"]["_target_"].endswith("StudentT") and deepar["training"]["steps"] == 7
    assert deep["model"]["layers"] == 2 and deep["loss"]["_target_"].endswith("Quantile")
    assert own["loss"]["_target_"].endswith("MAE") and own["training"]["steps"] == 9


def test_where_it_computes_counts_the_same_by_name_and_written_out() -> None:
    task = task_of(Contested("made", made_frame()), horizon=4, protocol=PLAN)
    training = Training(steps=2)
    given = [Shared(training, accelerator=one) for one in ("cpu", read("accelerator", "cpu"))]
    named, written = (entries_of("linear", shared=one)[0].settings(task, seed=0) for one in given)
    assert named == written and named["accelerator"]["accelerator"] == "cpu"


@pytest.mark.parametrize("freq", ["h", "500ms"])
def test_all_times_of_a_table_are_written_in_one_form(freq: str) -> None:
    """Forecasts that all begin at midnight, or at a full second, are told as finely as the history before them."""
    step = {"h": 24, "500ms": 2}[freq]
    frame = made_frame(series=1, rows=6 * step * 24 + 1, freq=freq)
    found = compare(frame, "naive", horizons=1, protocol=Protocol(folds=4, step=step))
    texts = pd.concat([found.forecasts["time"], found.forecasts["cutoff"], found.history["time"]])
    assert texts.str.len().nunique() == 1
    assert (pd.to_datetime(found.forecasts["time"]) == pd.to_datetime(found.forecasts["time"]).dt.floor("s")).all()
    assert comparison_page(found)


def test_days_are_written_without_an_hour(compared: Comparison) -> None:
    assert (compared.per_window["cutoff"].str.len() == len("2024-01-01")).all()
    assert (compared.history["time"].str.len() == len("2024-01-01")).all()


def test_targets_of_several_units_without_a_mase_are_not_tested() -> None:
    frame = made_frame(rows=13).assign(wind=lambda rows: 1000 * rows["y"])
    columns = Columns(target=("y", "wind"))
    found = compare(frame, ["naive", "window_average"], columns=columns, horizons=2, protocol=Protocol(folds=2))
    assert found.pairs.empty and found.leaderboard[["mae", "skill", "rank"]].isna().all(axis=None)
    assert found.sentences == ["Nothing is tested: mae is in several units, and MASE is undefined."]
    assert comparison_page(found) and repr(found)


def test_a_span_that_is_constant_but_for_rounding_has_no_z_scores() -> None:
    frame = made_frame(series=1, rows=100).assign(y=lambda rows: rows["y"].where(rows.index >= 70, 0.1))
    plan = Protocol(train=60, validation=10, test=20, standardised=True)
    with pytest.raises(DataError, match="series 's0' is constant in its training span"):
        compare(frame, "naive", horizons=4, protocol=plan)


def test_lengths_may_be_numbers_of_numpy() -> None:
    given = Contested("mine", made_frame(), horizon=np.int64(4), seasonality=np.int64(7))
    assert set(compare(given, "naive", protocol=Protocol(folds=2)).cells["status"]) == {"done"}


def test_a_key_that_is_zero_is_a_name() -> None:
    found = compare({0: made_frame(), 1: made_frame(seed=1)}, "naive", horizons=4, protocol=Protocol(folds=2))
    assert set(found.scores["data"]) == {"0", "1"}
