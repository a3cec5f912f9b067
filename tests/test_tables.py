"""The tables of a backtest: worked out by hand, and refused where the models were not scored on equal rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from forecast import Columns
from forecast.evaluation import metrics
from forecast.evaluation.tables import DECILES as LEVELS
from forecast.evaluation.tables import Backtest, tabulated

NAN = np.nan
DECILES = [f"q{level:g}" for level in LEVELS]
SEVERAL = Columns(target=("warm", "wet"), unit=("°C", "mm"))


def _forecasts(*, models: tuple[str, ...] = ("net", "naive"), ids: tuple[str, ...] = ("A", "B")) -> pd.DataFrame:
    """Two folds of three steps a series; the truth is shared, the forecasts are random."""
    random = np.random.default_rng(0)
    truth = {key: random.normal(10, 1, 3) for key in ((name, fold) for name in ids for fold in (1, 2))}
    rows = []
    for model in models:
        for (series, fold), y in truth.items():
            point = y + random.normal(size=3)
            times = 3 * fold - 2 + np.arange(3)
            about = {"unique_id": series, "ds": times, "cutoff": times[0] - 1, "fold": fold, "model": model}
            quantiles = {f"q{level:g}": point + ndtri(level) for level in (0.025, *LEVELS, 0.975)}
            values = {"forecast": point, **quantiles, "y": y}
            rows.append(pd.DataFrame({**about, **values}))
    return pd.concat(rows, ignore_index=True)


def _tables(forecasts: pd.DataFrame, *, columns: Columns | None = None, scale: dict | None = None) -> Backtest:
    mase = pd.Series(scale or dict.fromkeys(forecasts["unique_id"].unique(), 2.0))
    return tabulated(forecasts, columns=columns or Columns(), scales=_scales(mase))


def _scales(mase: pd.Series) -> pd.DataFrame:
    """Return scales of which the others are made of MASE's."""
    return pd.DataFrame({"mase": mase, "rmsse": mase + 1, "deviation": mase + 2})


def test_every_table_is_that_of_a_small_example_by_hand() -> None:
    forecasts = pd.DataFrame(
        {
            "unique_id": list("AAAABB"),
            "ds": [1, 2, 3, 4, 3, 4],
            "cutoff": [0, 0, 2, 2, 2, 2],
            "fold": [1, 1, 2, 2, 2, 2],
            "model": "naive",
            "forecast": [10.0, 10.0, 14.0, 14.0, 5.0, 5.0],
            "q0.1": [9.0, 8.0, 13.0, 12.0, 4.0, 3.0],
            "q0.9": [11.0, 12.0, 15.0, 16.0, 6.0, 7.0],
            "y": [12.0, 11.0, 14.0, NAN, 5.0, 9.0],
        }
    )
    tables = _tables(forecasts, scale={"A": 2.0, "B": 4.0})
    by_series = tables.per_series.set_index("unique_id")
    assert by_series["mae"].to_dict() == {"A": 1.0, "B": 2.0}  # (2 + 1 + 0) / 3, (0 + 4) / 2
    assert by_series["mase"].to_dict() == {"A": 0.5, "B": 0.5}
    assert by_series["rmse"].tolist() == pytest.approx([(5 / 3) ** 0.5, 8**0.5])
    assert by_series["coverage"].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert by_series["width"].tolist() == pytest.approx([(2 + 4 + 2) / 3, 3.0])
    scores = tables.scores.iloc[0]
    assert (scores["series"], scores["mae"], scores["mase"]) == (2, 1.5, 0.5)
    folds = tables.per_fold.set_index("fold")
    assert folds["cutoff"].tolist() == [0, 2] and folds["series"].tolist() == [1, 2]
    assert folds["mae"].tolist() == [1.5, 1.0]  # A alone; the mean of 0 and 2
    steps = tables.per_step.set_index("step")
    assert steps["mae"].tolist() == [0.5, 2.5]  # A: (2 + 0) / 2, 1; B: 0, 4
    assert tables.per_target is None


def test_metrics_by_series_are_those_of_each_series_alone() -> None:
    forecasts = _forecasts()
    forecasts.loc[forecasts["ds"] == 2, ["y", "q0.9"]] = NAN, 1e6
    forecasts.loc[forecasts["ds"] == 4, "y"] = 0.0
    scale = {"B": NAN, "A": 0.5}
    table = _tables(forecasts, scale=scale).per_series
    assert list(table.columns) == ["model", "unique_id", *metrics.METRICS]
    assert (table["model"] + table["unique_id"]).tolist() == ["netA", "netB", "naiveA", "naiveB"]
    for row in table.itertuples():
        part = forecasts[(forecasts["model"] == row.model) & (forecasts["unique_id"] == row.unique_id)]
        y, forecast, own = part["y"], part["forecast"], scale[row.unique_id]
        expected = [
            metrics.mae(y, forecast),
            metrics.rmse(y, forecast),
            metrics.mse(y, forecast),
            metrics.mape(y, forecast),
            metrics.smape(y, forecast),
            metrics.mase(y, forecast, scale=own),
            metrics.rmsse(y, forecast, scale=own + 1),
            metrics.mse(y / (own + 2), forecast / (own + 2)),
            metrics.mae(y / (own + 2), forecast / (own + 2)),
            metrics.bias(y, forecast),
            metrics.crps(y, part[DECILES], LEVELS),
            metrics.weighted_quantile_loss(y, part[DECILES], LEVELS),
            metrics.msis(y, part["q0.1"], part["q0.9"], share=0.8, scale=own),
            metrics.coverage(y, part["q0.1"], part["q0.9"]),
            metrics.width(y, part["q0.1"], part["q0.9"]),
            metrics.msis(y, part["q0.025"], part["q0.975"], share=0.95, scale=own),
            metrics.coverage(y, part["q0.025"], part["q0.975"]),
            metrics.width(y, part["q0.025"], part["q0.975"]),
        ]
        assert list(row[3:]) == pytest.approx(expected, nan_ok=True)


def test_the_weighted_quantile_loss_is_pooled_over_series_and_the_others_are_means() -> None:
    forecasts = _forecasts()
    forecasts.loc[forecasts["unique_id"] == "B", ["y", "forecast", *DECILES]] *= 100
    forecasts.loc[forecasts["ds"] == 2, "y"] = NAN
    tables = _tables(forecasts)
    for model in ("net", "naive"):
        part = forecasts[forecasts["model"] == model]
        scores = tables.scores.set_index("model").loc[model]
        pooled = metrics.weighted_quantile_loss(part["y"], part[DECILES], LEVELS)
        assert scores["wql"] == pytest.approx(pooled)
        own = tables.per_series[tables.per_series["model"] == model]
        assert scores["crps"] == pytest.approx(own["crps"].mean())
        by_fold = tables.per_fold[tables.per_fold["model"] == model].set_index("fold")["wql"]
        first = part[part["fold"] == 1]
        assert by_fold[1] == pytest.approx(metrics.weighted_quantile_loss(first["y"], first[DECILES], LEVELS))


def test_neither_the_order_of_rows_nor_their_index_matters() -> None:
    forecasts = _forecasts()
    first = _tables(forecasts)
    shuffled = _tables(forecasts.sample(frac=1, random_state=0))
    for name, order in {"scores": ["model"], "per_fold": ["model", "fold"], "per_step": ["model", "step"]}.items():
        one, other = (getattr(tables, name).sort_values(order, ignore_index=True) for tables in (first, shuffled))
        pd.testing.assert_frame_equal(one, other)
    same_index = _tables(forecasts.set_axis(np.zeros(len(forecasts), dtype=int), axis=0))
    pd.testing.assert_frame_equal(same_index.per_series, first.per_series)


def test_models_keep_the_order_in_which_they_come_and_undefined_scales_are_counted() -> None:
    forecasts = _forecasts(models=("z", "a"), ids=("A", "B", "C", "D"))
    forecasts.loc[forecasts["unique_id"] == "D", "y"] = NAN
    tables = _tables(forecasts, scale={"A": 1.0, "B": NAN, "C": 2.0, "D": 1.0})
    assert list(tables.scores.columns) == ["model", "series", "constant", *metrics.METRICS]
    assert tables.scores["model"].tolist() == ["z", "a"]
    assert tables.scores["series"].tolist() == [3, 3] and tables.scores["constant"].tolist() == [1, 1]
    own = tables.per_series[tables.per_series["model"] == "z"].set_index("unique_id")
    assert tables.scores.loc[0, "mae"] == pytest.approx(own.loc[["A", "B", "C"], "mae"].mean())
    assert tables.scores.loc[0, "mase"] == pytest.approx(own.loc[["A", "C"], "mase"].mean())


def test_steps_follow_the_time_within_each_fold() -> None:
    forecasts = _forecasts(models=("z", "a"))
    forecasts["ds"] = pd.Timestamp("2024-01-01", tz="Europe/Berlin") + pd.to_timedelta(forecasts["ds"], unit="D")
    step = np.tile([1, 2, 3], len(forecasts) // 3)
    forecasts["forecast"] = forecasts["y"] + step * np.where(forecasts["model"] == "z", 1, -10)
    table = _tables(forecasts.sample(frac=1, random_state=1).sort_values("model", ascending=False)).per_step
    assert table["model"].tolist() == ["z"] * 3 + ["a"] * 3
    assert table["step"].tolist() == [1, 2, 3] * 2
    assert table["mae"].tolist() == pytest.approx([1, 2, 3, 10, 20, 30])


@pytest.mark.parametrize("units", [("°C", "mm"), ("", ""), ("mm", "mm")])
def test_units_that_differ_are_not_averaged(units: tuple[str, str]) -> None:
    warm, wet = (_forecasts(ids=("A",)).assign(target=name) for name in ("warm", "wet"))
    both = pd.concat([warm, wet.assign(forecast=wet["forecast"] + 100)], ignore_index=True)
    columns = replace(SEVERAL, unit=units)
    tables = _tables(both, columns=columns, scale={("A", "warm"): 1.0, ("A", "wet"): 10.0})
    alike = units == ("mm", "mm")
    for table in (tables.scores, tables.per_fold, tables.per_step):
        assert table[["mae", "rmse", "mse", "bias", "width"]].notna().all(axis=None) == alike
        assert table[["mase", "smape", "coverage"]].notna().all(axis=None)
    assert tables.scores["series"].tolist() == [2, 2]
    assert tables.per_target is not None
    by_target = tables.per_target.set_index(["model", "target"])
    assert by_target.loc[("net", "warm"), "mae"] == pytest.approx(
        _tables(warm.drop(columns="target")).scores.loc[0, "mae"]
    )
    assert by_target["mae"].notna().all()
    assert list(tables.per_series.columns[:3]) == ["model", "unique_id", "target"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda frame: frame.drop(index=frame.index[-1]), "'naive' was not scored on the same rows.*: 1 are there"),
        (lambda frame: frame.assign(y=frame["y"].where(frame.index < 23, 0.0)), "'naive' has another truth"),
        (lambda frame: frame.assign(y=frame["y"].where(frame.index < 23)), "'naive' has another truth"),
        (lambda frame: pd.concat([frame, frame[:1]], ignore_index=True), "a row is there twice.*'unique_id': 'A'"),
        (lambda frame: frame.assign(forecast=frame["forecast"].where(frame.index > 0)), "a row has no forecast"),
    ],
    ids=["row missing", "other truth", "truth missing", "twice", "no forecast"],
)
def test_models_that_cannot_be_compared_are_refused(change: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        _tables(change(_forecasts()))


def test_a_series_without_a_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scales lack 1 series, first 'B'"):
        _tables(_forecasts(), scale={"A": 1.0})


@pytest.mark.parametrize("name", ["pair", "series", "step"])
def test_an_id_may_have_the_name_of_a_column_inside(name: str) -> None:
    forecasts = _forecasts().rename(columns={"unique_id": name})
    scales = _scales(pd.Series({"A": 2.0, "B": 2.0}))
    table = tabulated(forecasts, columns=Columns(id=name), scales=scales).per_series
    pd.testing.assert_frame_equal(table.rename(columns={name: "unique_id"}), _tables(_forecasts()).per_series)
