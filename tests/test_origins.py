"""Origins that some model cannot be scored from are left out for every model, and counted in a warning."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from frames import made_frame, made_roles
from predictors import Last

from forecast import Columns, Panel, backtest
from forecast.errors import DataError
from forecast.evaluation.backtest import evaluate
from forecast.evaluation.baselines import USUAL
from forecast.evaluation.origins import scored_origins
from forecast.evaluation.tables import Backtest


def _cutoffs(scored: Backtest) -> pd.DataFrame:
    """Return how many cutoffs each series has, a row for each model."""
    return scored.forecasts.groupby(["model", "unique_id"])["cutoff"].nunique().unstack(fill_value=0)


def test_a_series_without_history_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    frame = made_frame(series=3)
    late = (frame["unique_id"] == "s1") & (frame.groupby("unique_id").cumcount() < 58)
    with caplog.at_level(logging.WARNING, "forecast"):
        found = backtest(Last(), frame[~late], folds=3)
    assert list(_cutoffs(found)) == ["s0", "s2"] and set(_cutoffs(found).index) == {"last", *USUAL}
    told = "series without history before, or a step after, any held-back origin are not scored: 's1'. Where they end"
    assert told in caplog.text and "data.split=series_end" in caplog.text
    assert (found.scores["series"] == 2).all()


def test_a_series_that_begins_between_the_cutoffs_is_scored_from_the_later_ones() -> None:
    frame = made_frame(series=2, rows=30)
    late = (frame["unique_id"] == "s1") & (frame.groupby("unique_id").cumcount() < 25)
    found = backtest(Last(), frame[~late], folds=3)
    counts = _cutoffs(found)
    assert (counts["s0"] == 3).all() and (counts["s1"] == 2).all()
    assert found.per_fold.loc[found.per_fold["model"] == "last", "series"].tolist() == [1, 2, 2]


def test_an_origin_with_nothing_observed_in_the_context_is_left_out_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frame = made_frame(series=2, rows=30)
    step = frame.groupby("unique_id").cumcount()
    frame.loc[(frame["unique_id"] == "s0") & (step >= 18) & (step < 24), "y"] = np.nan
    with caplog.at_level(logging.WARNING, "forecast"):
        found = backtest(Last(context_length=4), frame, folds=5)  # s0 is known up to 20, 22, 24, 26 and 28
    assert "2 held-back windows have nothing observed in their context" in caplog.text
    assert (_cutoffs(found)["s0"] == 3).all() and (_cutoffs(found)["s1"] == 5).all()


def test_no_observed_context_at_all_is_refused() -> None:
    frame = made_frame(series=1, rows=30)
    frame.loc[frame.groupby("unique_id").cumcount() >= 15, "y"] = np.nan
    with pytest.raises(DataError, match="no held-back window has an observed value in its context"):
        backtest(Last(), frame, folds=2)


def test_several_targets_leave_out_the_one_that_a_series_lacks(caplog: pytest.LogCaptureFixture) -> None:
    frame = made_frame(series=3, rows=30)
    frame["z"] = np.where(frame["unique_id"] == "s1", np.nan, 1000 * frame["y"])
    gone = (frame["unique_id"] == "s2") & (frame.groupby("unique_id").cumcount() >= 20)
    frame.loc[gone, "z"] = np.nan  # s2 is known up to 24, 26 and 28, and 4 steps of it are read
    with caplog.at_level(logging.WARNING, "forecast"):
        found = backtest(Last(columns=Columns(target=("y", "z"))), frame, folds=3)
    assert "6 held-back windows have nothing observed in their context" in caplog.text
    pairs = found.per_series.loc[found.per_series["model"] == "naive", ["unique_id", "target"]]
    assert pairs.to_numpy().tolist() == [["s0", "y"], ["s0", "z"], ["s1", "y"], ["s2", "y"]]
    keys = ["unique_id", "ds", "target", "cutoff", "fold", "y"]
    blocks = {name: part[keys].reset_index(drop=True) for name, part in found.forecasts.groupby("model")}
    assert set(blocks) == {"last", *USUAL} and len(blocks["last"]) == 4 * 3 * 2
    for block in blocks.values():
        pd.testing.assert_frame_equal(block, blocks["last"])
    assert found.forecasts["forecast"].notna().all()


def test_baselines_forecast_each_target_from_its_own_history() -> None:
    frame = made_frame(series=2, rows=30)
    frame["z"] = 5 - 1000 * frame["y"]
    both = backtest(Last(columns=Columns(target=("y", "z"))), frame, folds=3)
    for target in ("y", "z"):
        alone = backtest(Last(columns=Columns(target=target)), frame, folds=3)
        own = both.forecasts[both.forecasts["target"] == target].drop(columns="target").reset_index(drop=True)
        order = ["model", "fold", "unique_id", "ds"]
        pd.testing.assert_frame_equal(
            own.sort_values(order, ignore_index=True), alone.forecasts.sort_values(order, ignore_index=True)
        )
        scores = both.per_target[both.per_target["target"] == target].drop(columns="target")  # type: ignore[index]
        pd.testing.assert_frame_equal(scores.reset_index(drop=True), alone.scores)


def test_windows_without_their_known_covariates_are_left_out_for_every_model(caplog: pytest.LogCaptureFixture) -> None:
    panel = _ragged_panel()  # the last of s0's 54 steps are known up to 48, 52 and 54
    with caplog.at_level(logging.WARNING, "forecast"):
        found = backtest(Last(horizon=4, columns=panel.columns), panel, folds=3)
    assert "1 held-back windows lack a known covariate" in caplog.text
    assert (_cutoffs(found)["s0"] == 1).all() and (_cutoffs(found)[["s1", "s2"]] == 3).all().all()


def test_no_window_with_its_known_covariates_is_refused_with_the_way_out() -> None:
    panel = _ragged_panel()
    with pytest.raises(DataError, match="no held-back window has price, promo over its whole horizon.*series_end"):
        scored_origins(panel, np.array([[52, 58, 58]]), horizon=4)


def test_a_gap_inside_a_series_needs_no_known_covariates() -> None:
    frame = made_frame(series=2, rows=40, covariates=True)
    step = frame.groupby("unique_id").cumcount()
    gap = (frame["unique_id"] == "s0") & step.isin([10, 35, 37])
    columns = Columns(known=("price", "promo"))
    found = backtest(Last(horizon=4, columns=columns), frame[~gap], folds=3, baselines=["naive"])
    assert (_cutoffs(found) == 3).all(axis=None)
    unobserved = found.forecasts[found.forecasts["y"].isna()]
    assert len(unobserved) == 2 * 2 and set(unobserved["unique_id"]) == {"s0"}
    assert (found.scores["series"] == 2).all() and found.scores["mae"].notna().all()


def test_rows_of_the_future_with_known_covariates_are_no_truth() -> None:
    frame = made_frame(series=1, rows=40, covariates=True)
    known, ahead = frame[:36], frame[36:].drop(columns="y")
    panel = Panel.from_frame(known, Columns(known=("price",)), future=ahead)
    found = backtest(Last(columns=panel.columns), panel, folds=2, baselines=["naive"]).forecasts
    assert found["ds"].max() == known["ds"].max()
    origins = scored_origins(panel, np.array([[35], [36]]), horizon=4)
    assert origins.ends.tolist() == [35]  # one step of truth, and three with covariates; after 36 there is no truth


def test_nothing_to_score_is_refused() -> None:
    panel = Panel.from_frame(made_frame(rows=30))
    fitted = Last().fit(panel)
    with pytest.raises(DataError, match="test.windows, folds"):
        evaluate(fitted, panel, np.zeros((1, 2), np.int64), name="last", baselines=[])


def test_a_constant_series_has_no_mase_and_is_counted() -> None:
    frame = made_frame(series=3)
    frame.loc[frame["unique_id"] == "s2", "y"] = 5.0
    found = backtest(Last(), frame, folds=2)
    assert (found.scores["constant"] == 1).all() and found.scores["mase"].notna().all()
    assert np.isnan(found.per_series.set_index(["model", "unique_id"]).loc[("naive", "s2"), "mase"])


def _ragged_panel() -> Panel:
    """Three series with known covariates, the first six steps shorter than the others."""
    frame = made_frame(series=3, covariates=True)
    short = (frame["unique_id"] == "s0") & (frame.groupby("unique_id").cumcount() >= 54)
    return Panel.from_frame(frame[~short], Columns(known=made_roles()["known"]))
