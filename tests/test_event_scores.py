"""Scores of probabilities, with intervals, and the verdict on them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from eventful import event_forecaster, event_forecasts
from frames import made_frame
from sklearn import metrics

from forecast import Columns, backtest
from forecast.errors import ConfigError
from forecast.evaluation import bootstrap
from forecast.evaluation.event_verdict import event_verdict
from forecast.evaluation.events import tabulated_events
from forecast.evaluation.verdict import conclusion
from forecast.report.calibration import reliability


def test_scores_equal_those_of_scikit_learn_in_every_group() -> None:
    forecasts = event_forecasts()
    scored = tabulated_events(forecasts, columns=Columns(), event="is 1")
    tables = {"scores": [], "per_fold": ["fold"], "per_series": ["unique_id"]}
    for table, by in tables.items():
        for _, row in getattr(scored, table).iterrows():
            own = forecasts[(forecasts[["model", *by]] == row[["model", *by]]).all(axis=1)].dropna(subset="y")
            y, p = own.y.to_numpy(), own.forecast.to_numpy()
            assert (row.steps, row.events) == (len(y), y.sum())
            assert row.log_loss == pytest.approx(metrics.log_loss(y, p))
            assert row.brier == pytest.approx(metrics.brier_score_loss(y, p))
            assert row.auc == pytest.approx(metrics.roc_auc_score(y, p))
            assert row.accuracy == pytest.approx(metrics.accuracy_score(y, p > 0.5))
    assert scored.scores["series"].tolist() == [3, 3] and scored.per_step["step"].max() == 4
    assert scored.event == "is 1" and list(scored.scores["model"]) == ["net", "base_rate"]


def test_calibration_is_the_mean_distance_over_bins_of_equal_width_by_hand() -> None:
    forecasts = event_forecasts(windows=250)
    own = forecasts[forecasts.model == "net"].dropna(subset="y")
    edges = np.linspace(own.forecast.min(), own.forecast.max(), 11)
    place = np.minimum(np.searchsorted(edges, own.forecast, side="right"), 10)
    parts = [own[place == one] for one in range(1, 11)]
    expected = sum(abs(part.y.sum() - part.forecast.sum()) for part in parts) / len(own)
    got = tabulated_events(forecasts, columns=Columns(), event="is 1").scores
    assert got.calibration[0] == pytest.approx(expected, abs=1e-3)
    constant = forecasts[forecasts.model == "base_rate"].dropna(subset="y")
    assert got.calibration[1] == pytest.approx(abs(constant.y.mean() - constant.forecast.mean()))
    table = reliability(own)
    assert table["count"].sum() == len(own) and len(table) == 10
    assert ((table.low < table.y) & (table.y < table.high) & (table.high <= 1) & (table.low >= 0)).all()


def test_steps_that_are_alike_have_no_area_and_certainties_that_fail_a_finite_loss() -> None:
    forecasts = event_forecasts().assign(y=1.0)
    forecasts.loc[forecasts.model == "net", "forecast"] = 0.0
    scored = tabulated_events(forecasts, columns=Columns(), event="is 1")
    assert scored.scores.auc.isna().all() and np.isfinite(scored.scores.log_loss).all()
    assert event_verdict(scored, name="net").startswith("On each of the")
    nothing = tabulated_events(forecasts.assign(y=np.nan), columns=Columns(), event="is 1")
    assert event_verdict(nothing, name="net").startswith("Nothing is known")


def test_models_on_other_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="not scored on the same rows"):
        tabulated_events(event_forecasts().iloc[:-1], columns=Columns(), event="is 1")


def test_intervals_resample_blocks_of_origins_that_overlap_and_are_the_same_again() -> None:
    rows = _rows(folds=60, horizon=5, step=2)
    by = bootstrap.clusters(rows)
    assert by is not None and by.counts.shape == (bootstrap.RESAMPLES, 60)
    assert (by.counts.sum(axis=1) == 60).all()
    runs = np.diff(np.flatnonzero(by.counts[0] == 0))
    assert runs.max() > 1 and np.array_equal(by.counts, bootstrap.clusters(rows).counts)
    assert bootstrap._overlap(rows) == 3  # of steps 1 to 5, those that begin 2 and 4 later share some
    assert bootstrap.clusters(_rows(folds=29, horizon=5, step=2)) is None
    many = bootstrap.clusters(_rows(folds=2, horizon=5, step=5, pairs=40))
    assert many is not None and many.counts.shape[1] == 40


def test_intervals_are_those_of_a_plain_loop_and_hold_what_they_should() -> None:
    rows, draw = _rows(folds=40, horizon=2, step=2), np.random.default_rng(3)
    p = np.round(draw.random(len(rows)), 1)
    y = (draw.random(len(rows)) < p).astype(float)
    by = bootstrap.clusters(rows)
    assert by is not None
    repeated = [np.repeat(np.arange(len(rows)), counts[by.of_row].astype(int)) for counts in by.counts[:300]]
    short = by._replace(counts=by.counts[:300])
    areas = [metrics.roc_auc_score(y[one], p[one]) for one in repeated]
    np.testing.assert_allclose(bootstrap.auc_interval(y, p, short), np.percentile(areas, bootstrap.ENDS))
    means = [p[one].mean() for one in repeated]
    np.testing.assert_allclose(bootstrap.mean_interval(p, short), np.percentile(means, bootstrap.ENDS))
    skills = [1 - p[one].mean() / y[one].mean() for one in repeated]
    np.testing.assert_allclose(bootstrap.skill_interval(p, y, short), np.percentile(skills, bootstrap.ENDS))


def test_a_random_walk_is_told_no_better_than_a_coin_and_a_wave_better() -> None:
    steps = np.arange(400)
    waves = np.concatenate([np.sin(2 * np.pi * steps / 12 + phase) for phase in (0, 1, 2)])
    walks = np.random.default_rng(5).normal(size=1200).reshape(3, 400).cumsum(axis=1).ravel()
    told = {}
    for label, values in {"walk": walks, "wave": waves}.items():
        frame = made_frame(series=3, rows=400).assign(y=values + 50)
        scored = backtest(event_forecaster("direction", steps=60), frame, folds=40, name="net")
        told[label] = conclusion(scored, name="net", columns=Columns())
    assert "no better than" in told["walk"] or "worse than" in told["walk"]
    assert "No better than a coin: right on" in told["walk"]
    assert told["wave"].startswith("net tells whether y is above its last value better than the best simple method")
    assert "Better than a coin" in told["wave"]


def test_few_windows_are_said_to_be_few() -> None:
    scored = backtest(event_forecaster("direction"), made_frame(), folds=3, name="net")
    assert list(scored.scores["model"]) == ["net", "base_rate", "persistence"]
    assert "Too few windows for an interval" in event_verdict(scored, name="net")
    assert scored.intervals["low"].isna().all() and scored.per_fold["fold"].nunique() == 3


def test_truth_of_a_backtest_is_the_direction_from_each_cutoff() -> None:
    frame = made_frame()
    found = backtest(event_forecaster("direction"), frame, folds=4, name="net").forecasts
    values = frame.set_index(["unique_id", "ds"])["y"]
    assert len(found) == 3 * 2 * 4 * 3
    for row in found.itertuples():
        assert row.y == float(values[row.unique_id, row.ds] > values[row.unique_id, row.cutoff])


def test_baselines_of_the_other_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="'ridge' does not forecast probabilities.*base_rate, persistence"):
        backtest(event_forecaster("direction"), made_frame(), baselines=["ridge"])
    with pytest.raises(ConfigError, match="'base_rate' does not forecast values.*naive"):
        backtest(event_forecaster(None), made_frame(), baselines=["base_rate"])


def _rows(*, folds: int, horizon: int, step: int, pairs: int = 2) -> pd.DataFrame:
    pair, fold, ahead = (part.ravel() for part in np.mgrid[:pairs, :folds, :horizon])
    return pd.DataFrame({"pair": pair, "fold": fold + 1, "time": fold * step + ahead})
