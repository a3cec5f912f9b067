"""The held-back score: the same origins for everybody, nothing read beyond them, and a sentence that is true."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import pandas as pd
import pytest
from frames import made_frame, made_roles

from forecast import Columns, Forecaster, Panel, Training
from forecast.data.windows import split_ends
from forecast.errors import ConfigError, DataError
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.holdout import Scores, check_baselines, evaluate, interval_note, scored_origins, verdict
from forecast.evaluation.metrics import mase_scale
from forecast.losses import Quantile

HORIZON, WINDOWS = 4, 3


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel.from_frame(made_frame(series=3))


@pytest.fixture(scope="module")
def ends(panel: Panel) -> np.ndarray:
    return split_ends(panel, horizon=HORIZON, windows=WINDOWS, split="calendar")


@pytest.fixture(scope="module")
def forecaster(panel: Panel, ends: np.ndarray) -> Forecaster:
    return _forecaster().fit(panel.until(ends[0]))


@pytest.fixture(scope="module")
def scores(forecaster: Forecaster, panel: Panel, ends: np.ndarray) -> Scores:
    return _evaluated(forecaster, panel, ends)


def test_every_model_is_scored_on_the_same_origins_and_truth(scores: Scores, panel: Panel) -> None:
    keys = ["unique_id", "cutoff", "ds", "y"]
    rows = {name: part[keys].reset_index(drop=True) for name, part in scores.forecasts.groupby("model")}
    assert set(rows) == {"network", *BASELINES}
    for own in rows.values():
        pd.testing.assert_frame_equal(own, rows["network"])
    ours = rows["network"]
    assert len(ours) == 3 * WINDOWS * HORIZON and not ours.duplicated(["unique_id", "ds"]).any()
    assert (ours["ds"] > ours["cutoff"]).all()
    assert ours["ds"].max() == made_frame()["ds"].max()


def test_truth_is_that_of_the_table(scores: Scores) -> None:
    table = made_frame(series=3).rename(columns={"y": "truth"})
    met = scores.forecasts.merge(table, on=["unique_id", "ds"], validate="many_to_one")
    assert (met["y"] == met["truth"]).all()


def test_naive_repeats_the_last_value_before_each_cutoff(scores: Scores) -> None:
    naive = scores.forecasts[scores.forecasts["model"] == "naive"]
    table = made_frame(series=3).set_index(["unique_id", "ds"])["y"]
    for row in naive.itertuples():
        assert row.forecast == table[row.unique_id, row.cutoff]


def test_values_after_an_origin_move_no_forecast(
    forecaster: Forecaster, panel: Panel, ends: np.ndarray, scores: Scores
) -> None:
    for window in range(WINDOWS):
        table = made_frame(series=3)
        later = table.groupby("unique_id").cumcount() >= int(ends[window, 0])
        table.loc[later, "y"] = 1e6
        poisoned = _evaluated(forecaster, Panel.from_frame(table), ends).forecasts
        same = poisoned["cutoff"] <= sorted(poisoned["cutoff"].unique())[window]
        pd.testing.assert_frame_equal(
            poisoned[same].drop(columns="y"), scores.forecasts[same].drop(columns="y"), check_exact=True
        )


def test_the_summary_is_the_mean_of_a_plain_loop(scores: Scores) -> None:
    table = made_frame(series=3)
    for row in scores.summary.itertuples():
        own = scores.forecasts[scores.forecasts["model"] == row.model]
        maes, mases = [], []
        for name, part in own.groupby("unique_id"):
            before = table[(table["unique_id"] == name) & (table["ds"] <= own["cutoff"].min())]["y"]
            maes.append(float((part["y"] - part["forecast"]).abs().mean()))
            mases.append(maes[-1] / float(mase_scale(before.to_numpy(), seasonality=7)))
        assert row.mae == pytest.approx(np.mean(maes)) and row.mase == pytest.approx(np.mean(mases))


def test_intervals_of_the_simple_methods_hold_the_point_and_never_cross(scores: Scores) -> None:
    simple = scores.forecasts[scores.forecasts["model"] != "network"]
    levels = simple.filter(like="q0.").to_numpy()
    assert (np.diff(levels, axis=1) >= 0).all()
    np.testing.assert_allclose(simple["q0.5"], simple["forecast"])


def test_a_series_without_history_is_left_out_with_a_warning(
    forecaster: Forecaster, caplog: pytest.LogCaptureFixture
) -> None:
    table = made_frame(series=3)
    late = (table["unique_id"] == "s1") & (table.groupby("unique_id").cumcount() < 58)
    panel = Panel.from_frame(table[~late])
    origins = split_ends(panel, horizon=HORIZON, windows=WINDOWS, split="calendar")
    with caplog.at_level(logging.WARNING, "forecast"):
        found = _evaluated(forecaster, panel, origins)
    assert set(found.forecasts["unique_id"]) == {"s0", "s2"}
    assert "1 series" in caplog.text and "not scored" in caplog.text
    assert (found.summary["series"] == 2).all()


def test_a_constant_series_has_no_mase_and_is_counted(forecaster: Forecaster, ends: np.ndarray) -> None:
    table = made_frame(series=3)
    table.loc[table["unique_id"] == "s2", "y"] = 5.0
    found = _evaluated(forecaster, Panel.from_frame(table), ends)
    assert (found.summary["constant"] == 1).all() and found.summary["mase"].notna().all()


def test_splits_by_series_end_score_every_series_at_its_own_end(forecaster: Forecaster) -> None:
    table = made_frame(series=3)
    short = (table["unique_id"] == "s0") & (table.groupby("unique_id").cumcount() >= 40)
    panel = Panel.from_frame(table[~short])
    origins = split_ends(panel, horizon=HORIZON, windows=1, split="series_end")
    found = _evaluated(forecaster, panel, origins).forecasts
    last = found.groupby("unique_id")["ds"].max()
    assert last["s0"] == pd.Timestamp("2024-02-09") and last["s1"] == pd.Timestamp("2024-02-29")
    assert found["y"].notna().all()


def test_cutoffs_keep_the_time_zone() -> None:
    table = made_frame()
    table["ds"] = table["ds"].dt.tz_localize("Europe/Vienna")
    panel = Panel.from_frame(table)
    origins = split_ends(panel, horizon=HORIZON, windows=1, split="calendar")
    found = _evaluated(_forecaster().fit(panel.until(origins[0])), panel, origins)
    assert found.forecasts["cutoff"].dtype == found.forecasts["ds"].dtype == table["ds"].dtype


def test_nothing_to_score_is_refused(forecaster: Forecaster, panel: Panel) -> None:
    with pytest.raises(DataError, match="test.windows"):
        _evaluated(forecaster, panel, np.zeros((1, 3), np.int64))


def test_windows_without_their_known_covariates_are_left_out_for_every_model(caplog: pytest.LogCaptureFixture) -> None:
    panel = _ragged_panel()
    origins = split_ends(panel, horizon=HORIZON, windows=WINDOWS, split="calendar")
    forecaster = _forecaster().set_params(columns=panel.columns).fit(panel.until(origins[0]))
    with caplog.at_level(logging.WARNING, "forecast"):
        found = _evaluated(forecaster, panel, origins).forecasts
    assert "1 held-back windows lack a known covariate" in caplog.text
    cutoffs = found.groupby(["model", "unique_id"])["cutoff"].nunique().unstack()
    assert (cutoffs["s0"] == WINDOWS - 2).all() and (cutoffs[["s1", "s2"]] == WINDOWS).all().all()
    assert set(cutoffs.index) == {"network", *BASELINES}


def test_no_window_with_its_known_covariates_is_refused_with_the_way_out() -> None:
    panel = _ragged_panel()
    with pytest.raises(DataError, match="no held-back window has price, promo over its whole horizon.*series_end"):
        scored_origins(panel, np.array([[52, 58, 58]]), horizon=HORIZON)


@pytest.mark.parametrize(("levels", "columns"), [((0.5,), ["q0.5"]), ((0.2, 0.9), ["q0.2", "q0.5", "q0.9"])])
def test_an_interval_that_the_loss_cannot_give_is_nan_for_all(
    panel: Panel, ends: np.ndarray, levels: tuple[float, ...], columns: list[str]
) -> None:
    forecaster = _forecaster().set_params(loss=partial(Quantile, levels=levels)).fit(panel.until(ends[0]))
    found = _evaluated(forecaster, panel, ends)
    assert list(found.forecasts.filter(like="q0.")) == columns
    assert found.summary[["coverage", "width"]].isna().all().all() and found.summary["mae"].notna().all()


def test_the_interval_is_asked_for_beside_wider_levels(panel: Panel, ends: np.ndarray) -> None:
    forecaster = _forecaster().set_params(loss=partial(Quantile, levels=(0.05, 0.95))).fit(panel.until(ends[0]))
    found = _evaluated(forecaster, panel, ends)
    assert list(found.forecasts.filter(like="q0.")) == ["q0.05", "q0.1", "q0.5", "q0.9", "q0.95"]
    assert found.summary[["coverage", "width"]].notna().all().all()


def test_an_unknown_baseline_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'naiv'. Choose one of: naive"):
        check_baselines(["ridge", "naiv"])


@pytest.mark.parametrize(
    ("ours", "told"),
    [
        (
            [0.5, 0.7],
            "network wins: MASE 0.6, 40% below the best simple method, naive (1); network is better on 2 of 2 series.",
        ),
        (
            [0.9, 1.5],
            "naive wins: MASE 1; network (1.2) is 20% above it; network is better on 1 of 2 series. "
            "On these windows naive is the safer choice.",
        ),
        (
            [0.8, 1.2],
            "network and naive are level (MASE 1 and 1); network is better on 1 of 2 series. "
            "The simple method will do.",
        ),
    ],
)
def test_the_sentence_says_who_won(ours: list[float], told: str) -> None:
    summary, per_series = _made_scores({"network": ours, "drift": [3.0, 3.0], "naive": [1.0, 1.0]})
    assert verdict(summary, per_series, name="network", columns_id="unique_id") == told


def test_a_note_tells_intervals_that_are_too_narrow_or_too_wide() -> None:
    for held, told in ((0.57, "hold 57% of the truth: too narrow"), (0.97, "too wide"), (0.78, ""), (np.nan, "")):
        note = interval_note(pd.DataFrame({"model": ["network"], "coverage": [held]}), name="network")
        assert told in note and bool(note) == bool(told)


def test_the_sentence_falls_back_on_mae_where_nobody_has_a_mase() -> None:
    summary, per_series = _made_scores({"network": [0.5, 0.7], "naive": [1.0, 1.0]})
    summary["mase"] = per_series["mase"] = np.nan
    told = verdict(summary, per_series, name="network", columns_id="unique_id")
    assert told.startswith("network wins: MAE 6, 40% below")


def test_the_sentence_tells_small_units_apart() -> None:
    summary, per_series = _made_scores({"network": [2e-6, 2e-6], "naive": [4e-6, 4e-6]})
    told = verdict(summary, per_series, name="network", columns_id="unique_id")
    assert told.startswith("network wins: MASE 2e-06, 50% below the best simple method, naive (4e-06)")


def test_the_sentence_does_without_baselines() -> None:
    summary, per_series = _made_scores({"network": [0.5, 0.7]})
    told = verdict(summary, per_series, name="network", columns_id="unique_id")
    assert told == "network has a MASE of 0.6; no baseline was asked for."


def test_the_sentence_bears_a_perfect_rival() -> None:
    summary, per_series = _made_scores({"network": [0.5, 0.7], "naive": [0.0, 0.0]})
    told = verdict(summary, per_series, name="network", columns_id="unique_id")
    assert told.startswith("naive wins: MASE 0; network (0.6) is far above it")


def _ragged_panel() -> Panel:
    """Three series with known covariates, the first six steps shorter than the others."""
    table = made_frame(series=3, covariates=True)
    short = (table["unique_id"] == "s0") & (table.groupby("unique_id").cumcount() >= 54)
    return Panel.from_frame(table[~short], Columns(known=made_roles()["known"]))


def _forecaster() -> Forecaster:
    training = Training(steps=3, batch_size=8)
    return Forecaster("rnn", horizon=HORIZON, context_length=8, training=training, accelerator="cpu", progress=False)


def _evaluated(forecaster: Forecaster, panel: Panel, ends: np.ndarray) -> Scores:
    return evaluate(forecaster, panel, ends, name="network", baselines=list(BASELINES))


def _made_scores(mases: dict[str, list[float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = [
        {"model": model, "unique_id": f"s{number}", "mase": mase, "mae": 10 * mase}
        for model, values in mases.items()
        for number, mase in enumerate(values)
    ]
    per_series = pd.DataFrame(rows)
    means = per_series.groupby("model", sort=False)[["mase", "mae"]].mean().reset_index()
    return means, per_series
