"""Metrics against scikit-learn, plain loops, values worked out by hand and the figures of M4."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from forecast.evaluation import metrics
from forecast.evaluation.baselines import BASELINES

NAN = np.nan

# M4 competition workbook "Evaluation and Ranks": sMAPE, MASE, OWA.
M4_FIGURES = {
    ("hourly", "naive2"): (18.383, 2.395, 1.000),
    ("hourly", "seasonal_naive"): (13.912, 1.193, 0.6275),  # 0.627503: tables round it either way
    ("weekly", "naive2"): (9.161, 2.777, 1.000),
    ("weekly", "seasonal_naive"): (9.161, 2.777, 1.000),
    ("weekly", "naive"): (9.161, 2.777, 1.000),
}
M4_LENGTHS = {"hourly": {"horizon": 48, "seasonality": 24}, "weekly": {"horizon": 13, "seasonality": 1}}


def scored_frame(
    *, models: tuple[str, ...] = ("gru", "naive"), ids: tuple[str, ...] = ("A", "B"), horizon: int = 3
) -> pd.DataFrame:
    """Two cutoffs a series; the truth is shared, the forecasts are random."""
    generator = np.random.default_rng(0)
    truth = {key: generator.normal(10, 1, horizon) for key in ((i, c) for i in ids for c in (0, 3))}
    rows = []
    for model in models:
        for (series, cutoff), y in truth.items():
            point = y + generator.normal(size=horizon)
            rows.append(
                pd.DataFrame(
                    {
                        "unique_id": series,
                        "ds": cutoff + 1 + np.arange(horizon),
                        "forecast": point,
                        "q0.1": point - 1,
                        "q0.9": point + 1,
                        "cutoff": cutoff,
                        "model": model,
                        "y": y,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def score(scored: pd.DataFrame, **overrides: object) -> pd.DataFrame:
    scale = pd.Series({series: 2.0 for series in scored["unique_id"].unique()})
    return metrics.score(scored, **{"columns_id": "unique_id", "scale": scale, **overrides})


def test_mae_and_rmse_match_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    y, forecast = generator.normal(size=(2, 5, 7))
    rows = list(zip(y, forecast, strict=True))
    assert metrics.mae(y, forecast) == pytest.approx([mean_absolute_error(*row) for row in rows])
    assert metrics.rmse(y, forecast) == pytest.approx([root_mean_squared_error(*row) for row in rows])


def test_unobserved_truth_is_skipped() -> None:
    y, forecast = [1.0, NAN, 4.0], [2.0, 100.0, 1.0]
    assert metrics.mae(y, forecast) == 2.0
    assert metrics.rmse(y, forecast) == pytest.approx(np.sqrt(5))
    assert metrics.smape(y, forecast) == pytest.approx((200 / 3 + 120) / 2)
    assert metrics.mase(y, forecast, scale=4.0) == 0.5
    assert metrics.coverage(y, [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]) == 0.5
    assert metrics.width(y, [0.0, 0.0, 0.0], [1.0, 100.0, 3.0]) == 2.0
    assert np.isnan(metrics.mae([NAN, NAN], [1.0, 2.0]))


def test_missing_forecast_is_never_skipped() -> None:
    assert np.isnan(metrics.mae([1.0, 2.0], [NAN, 2.0]))
    assert np.isnan(metrics.coverage([1.0, 2.0], [NAN, 0.0], [2.0, 3.0]))


def test_smape_lies_between_0_and_200_and_is_0_where_both_are_zero() -> None:
    assert metrics.smape([0.0, 5.0], [0.0, 0.0]) == 100.0
    assert metrics.smape([1.0, -1.0], [-1.0, 1.0]) == 200.0


def test_mase_scale_is_the_mean_seasonal_difference_over_observed_pairs() -> None:
    history = np.array([1.0, 5.0, 3.0, NAN, 4.0, 9.0])
    assert metrics.mase_scale(history, seasonality=2) == 1.5  # |3 - 1|, |4 - 3|
    assert metrics.mase_scale(history, seasonality=1) == pytest.approx((4 + 2 + 5) / 3)
    pairs = np.random.default_rng(2).normal(size=(3, 40))
    loop = [np.mean([abs(row[t] - row[t - 7]) for t in range(7, 40)]) for row in pairs]
    assert metrics.mase_scale(pairs, seasonality=7) == pytest.approx(loop)


@pytest.mark.parametrize("history", [[3.0, 3.0, 3.0], [3.0], [], [1.0, NAN, 2.0, NAN]])
def test_mase_scale_is_undefined_for_constant_series_and_without_pairs(history: list[float]) -> None:
    assert np.isnan(metrics.mase_scale(history, seasonality=1))


def test_mase_over_an_undefined_scale_is_nan() -> None:
    result = metrics.mase([[1.0, 2.0], [1.0, 2.0]], [[2.0, 3.0], [2.0, 3.0]], scale=[0.0, 2.0])
    assert result == pytest.approx([NAN, 0.5], nan_ok=True)


def test_bounds_count_as_covered() -> None:
    assert metrics.coverage([1.0, 2.0, 3.0, 4.0], [1.0] * 4, [3.0] * 4) == 0.75
    assert metrics.width([1.0, 2.0], [1.0, 2.0], [2.0, 5.0]) == 2.0


def test_owa_of_the_m4_winner() -> None:
    assert metrics.owa(9.328, 0.893, 18.383, 2.395) == pytest.approx(0.440, abs=5e-4)


def test_score_matches_the_metrics_of_each_series() -> None:
    scored = scored_frame()
    scored.loc[scored["ds"] == 2, ["y", "q0.9"]] = NAN, 1e6
    scale = pd.Series({"B": NAN, "A": 0.5})
    table = score(scored, scale=scale)
    assert list(table.columns) == ["model", "unique_id", *metrics.METRICS]
    assert (table["model"] + table["unique_id"]).tolist() == ["gruA", "gruB", "naiveA", "naiveB"]
    for row in table.itertuples():
        part = scored[(scored["model"] == row.model) & (scored["unique_id"] == row.unique_id)]
        y, forecast = part["y"], part["forecast"]
        expected = [
            metrics.mae(y, forecast),
            metrics.rmse(y, forecast),
            metrics.smape(y, forecast),
            metrics.mase(y, forecast, scale=scale[row.unique_id]),
            metrics.coverage(y, part["q0.1"], part["q0.9"]),
            metrics.width(y, part["q0.1"], part["q0.9"]),
        ]
        assert list(row[3:]) == pytest.approx(expected, nan_ok=True)


def test_score_does_not_depend_on_the_order_of_rows_or_their_index() -> None:
    scored = scored_frame()
    shuffled = scored.sample(frac=1, random_state=0)
    order = ["model", "unique_id"]
    pd.testing.assert_frame_equal(
        score(shuffled).sort_values(order, ignore_index=True),
        score(scored).sort_values(order, ignore_index=True),
    )
    doubled_index = scored.set_axis(np.zeros(len(scored), dtype=int), axis=0)
    pd.testing.assert_frame_equal(score(doubled_index), score(scored))


def test_score_reads_the_levels_of_the_interval() -> None:
    scored = scored_frame().assign(**{"q0.2": 0.0, "q0.8": 100.0})
    table = score(scored, interval=0.6)
    assert (table["coverage"] == 1).all() and (table["width"] == 100).all()
    with pytest.raises(ValueError, match=r"q0.25.*q0.75.*there are \['q0.1', 'q0.9'"):
        score(scored, interval=0.5)


def test_models_scored_on_different_rows_are_refused_by_name() -> None:
    scored = scored_frame()
    with pytest.raises(ValueError, match=r"'naive' lacks 1 of 12 rows.*'ds': 3"):
        score(scored.drop(index=scored.index[(scored["model"] == "naive") & (scored["ds"] == 3)][:1]))
    other_cutoff = (scored["model"] == "gru") & (scored["cutoff"] == 3)
    with pytest.raises(ValueError, match="'gru' lacks 6 of 18 rows"):
        score(scored.assign(cutoff=scored["cutoff"] + other_cutoff))
    with pytest.raises(ValueError, match="'naive' lacks"):
        metrics.by_step(scored[:-1], columns_id="unique_id")


def test_models_scored_against_different_truth_are_refused_by_name() -> None:
    scored = scored_frame()
    for value in (0.0, NAN):
        changed = scored.copy()
        changed.loc[changed.index[-1], "y"] = value
        with pytest.raises(ValueError, match="'naive' was scored against another truth"):
            score(changed)


def test_doubled_rows_and_absent_forecasts_are_refused() -> None:
    scored = scored_frame()
    with pytest.raises(ValueError, match="'gru' has several rows"):
        score(pd.concat([scored, scored[:1]]))
    with pytest.raises(ValueError, match="'gru' has rows without a forecast"):
        score(scored.assign(forecast=scored["forecast"].where(scored.index > 0)))


def test_absent_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale lacks 1 series, first 'B'"):
        score(scored_frame(), scale=pd.Series({"A": 1.0}))


def test_time_column_is_found_or_named() -> None:
    scored = scored_frame().rename(columns={"ds": "day", "unique_id": "shop"})
    scale = pd.Series({"A": 1.0, "B": 1.0})
    found = metrics.score(scored, columns_id="shop", scale=scale)
    more = scored.assign(price=1.0)
    with pytest.raises(ValueError, match="columns_time"):
        metrics.score(more, columns_id="shop", scale=scale)
    pd.testing.assert_frame_equal(metrics.score(more, columns_id="shop", scale=scale, columns_time="day"), found)


def test_summary_averages_over_series_and_counts_undefined_scales() -> None:
    scored = scored_frame(models=("z", "a"), ids=("A", "B", "C", "D"))
    scored.loc[scored["unique_id"] == "D", "y"] = NAN
    per_series = score(scored, scale=pd.Series({"A": 1.0, "B": NAN, "C": 2.0, "D": 1.0}))
    table = metrics.summary(per_series)
    assert list(table["model"]) == ["z", "a"]
    assert list(table.columns) == ["model", "series", "constant", *metrics.METRICS]
    assert list(table["series"]) == [3, 3] and list(table["constant"]) == [1, 1]
    first = per_series[per_series["model"] == "z"].set_index("unique_id")
    assert table.loc[0, "mae"] == pytest.approx(first.loc[["A", "B", "C"], "mae"].mean())
    assert table.loc[0, "mase"] == pytest.approx(first.loc[["A", "C"], "mase"].mean())


def test_errors_by_step_follow_the_time_within_each_window() -> None:
    scored = scored_frame(models=("z", "a")).assign(forecast=lambda frame: frame["y"])
    scored["ds"] = pd.Timestamp("2024-01-01", tz="Europe/Berlin") + pd.to_timedelta(scored["ds"], unit="D")
    step = np.tile([1, 2, 3], len(scored) // 3)
    scored["forecast"] += step * np.where(scored["model"] == "z", 1, -10)
    shuffled = scored.sample(frac=1, random_state=1).sort_values("model", ascending=False)
    table = metrics.by_step(shuffled, columns_id="unique_id")
    assert table["model"].tolist() == ["z"] * 3 + ["a"] * 3
    assert table["step"].tolist() == [1, 2, 3] * 2
    assert table["mae"].tolist() == pytest.approx([1, 2, 3, 10, 20, 30])


@pytest.fixture(scope="module")
def m4() -> dict[tuple[str, str], tuple[float, float]]:
    """Average sMAPE and MASE of each baseline on M4's own test span."""
    folder = os.environ.get("FORECAST_DATASETS")
    if not folder:
        pytest.skip("FORECAST_DATASETS does not name a folder with the M4 series")
    found = {}
    for name, lengths in M4_LENGTHS.items():
        histories, truth = (
            [values.to_numpy() for _, values in pd.read_parquet(file).groupby("unique_id", sort=True)["y"]]
            for file in (Path(folder, f"m4_{name}_{part}.parquet") for part in ("train", "test"))
        )
        scale = [metrics.mase_scale(history, seasonality=lengths["seasonality"]) for history in histories]
        for model in ("naive", "naive2", "seasonal_naive"):
            point = BASELINES[model]().fit(histories, **lengths).predict(histories).point
            errors = metrics.smape(truth, point), metrics.mase(truth, point, scale=scale)
            found[name, model] = tuple(float(error.mean()) for error in errors)
    return found


@pytest.mark.parametrize(("name", "model"), M4_FIGURES)
def test_published_figures_of_m4_come_out_to_the_third_decimal(
    m4: dict[tuple[str, str], tuple[float, float]], name: str, model: str
) -> None:
    smape, mase = m4[name, model]
    found = (smape, mase, metrics.owa(smape, mase, *m4[name, "naive2"]))
    assert found == pytest.approx(M4_FIGURES[name, model], abs=5e-4)


def test_naive_on_m4_weekly_is_naive2(m4: dict[tuple[str, str], tuple[float, float]]) -> None:
    assert m4["weekly", "naive"] == m4["weekly", "naive2"]
