"""Errors by hour, weekday and month: as a plain loop finds them, in the zone of the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frames import made_frame
from predictors import Last

from forecast import Columns, backtest
from forecast.data.freq import Freq
from forecast.evaluation.clock import units_of
from forecast.evaluation.tables import Backtest
from forecast.report.figures import time_error_figure, told_by_time


def _scored(freq: str, *, rows: int = 200, folds: int = 20, series: int = 2, **more: str) -> Backtest:
    frame = made_frame(series, rows, freq)
    if more:
        frame["ds"] = frame["ds"].dt.tz_localize(more["zone"])
    return backtest(Last(), frame, folds=folds, baselines=["naive"], name="last")


def test_every_row_is_that_of_a_plain_loop() -> None:
    scored = _scored("6h", folds=40)
    forecasts, table = scored.forecasts, scored.per_time
    assert table is not None and table["unit"].unique().tolist() == ["hour", "weekday", "month"]
    per_series = scored.per_series.set_index(["model", "unique_id"])
    scale = per_series["mae"] / per_series["mase"]
    clock = {
        "hour": forecasts["ds"].dt.hour,
        "weekday": forecasts["ds"].dt.strftime("%u").astype(int),
        "month": forecasts["ds"].dt.month,
    }
    for row in table.itertuples():
        own = forecasts[(forecasts["model"] == row.model) & (clock[row.unit] == row.value)]
        errors = (own["y"] - own["forecast"]).abs().groupby(own["unique_id"])
        assert row.mae == pytest.approx(errors.mean().mean())
        assert row.rmse == pytest.approx(np.mean([np.sqrt((one**2).mean()) for _, one in errors]))
        assert row.mase == pytest.approx(np.mean([one.mean() / scale[row.model, name] for name, one in errors]))
        assert row.steps == len(own) and row.series == own["unique_id"].nunique()
    assert table.groupby(["model", "unit"])["steps"].sum().tolist() == [len(forecasts) // 2] * 6


def test_steps_that_were_not_observed_do_not_count() -> None:
    frame = made_frame(series=1, rows=60)
    frame.loc[frame.index[-3:], "y"] = np.nan
    frame.loc[frame.index[-1], "y"] = 10.0
    table = backtest(Last(), frame, folds=5, baselines=[], name="last").per_time
    assert table is not None and table.loc[table["unit"] == "weekday", "steps"].sum() == 8


def test_hours_are_those_of_the_zone_of_the_data() -> None:
    table = _scored("6h", zone="Asia/Tokyo").per_time
    assert table is not None
    assert set(table.loc[table["unit"] == "hour", "value"]) == {0, 6, 12, 18}


@pytest.mark.parametrize(
    ("freq", "units"),
    [
        ("h", ["hour", "weekday", "month"]),
        ("D", ["weekday", "month"]),
        ("B", ["weekday", "month"]),
        ("W-SUN", ["month"]),
        ("MS", ["month"]),
        ("ME", ["month"]),
        ("QS", ["month"]),
        ("YS", []),
    ],
)
def test_the_frequency_says_by_which_units(freq: str, units: list[str]) -> None:
    times = pd.Series(pd.date_range("2024-01-01", periods=1500 if freq == "h" else 60, freq=freq))
    assert list(units_of(times, Freq.parse(freq))) == units


def test_a_span_within_one_month_or_day_tells_nothing_of_it() -> None:
    assert list(units_of(pd.Series(pd.date_range("2024-01-01", periods=5, freq="h")), Freq.parse("h"))) == ["hour"]
    assert list(units_of(pd.Series(pd.date_range("2024-01-01", periods=5)), Freq.parse("D"))) == ["weekday"]


def test_whole_numbers_have_no_clock() -> None:
    assert _scored("1").per_time is None
    assert units_of(pd.Series([1, 2, 3]), Freq.parse("1")) == {}


def _table(**steps: list[int]) -> pd.DataFrame:
    """Return errors of two models by the units given, with so many steps at each value, from 1 on."""
    rows = [
        {"model": model, "unit": unit, "value": number + 1, "mase": 1.0 + number, "steps": count}
        for unit, counts in steps.items()
        for model in ("net", "naive")
        for number, count in enumerate(counts)
    ]
    return pd.DataFrame(rows)


def test_the_figure_has_a_panel_for_each_unit_and_a_line_for_each_model() -> None:
    table = _table(hour=[30] * 12, weekday=[30] * 7, month=[30] * 12)
    figure = time_error_figure(table, model="net", rival="naive")
    hour, weekday, month = figure.axes
    assert [axis.get_title(loc="left") for axis in figure.axes] == [
        "hour of the day", "day of the week", "month of the year",
    ]  # fmt: skip
    assert hour.get_ylabel() == "MASE"
    assert [label.get_text() for label in weekday.get_xticklabels()] == ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
    assert "".join(label.get_text() for label in month.get_xticklabels()) == "JFMAMJJASOND"
    assert [line.get_label() for line in hour.lines] == ["net", "naive"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["net", "naive"]


def test_what_has_too_few_steps_is_left_out_and_interrupts_the_line() -> None:
    table = _table(weekday=[30, 9, 30, 30, 10, 30, 30], month=[30, 5])
    assert set(told_by_time(table, metric="mase")["unit"]) == {"weekday"}
    figure = time_error_figure(table, model="net", rival="naive")
    [axis] = figure.axes
    heights = axis.lines[0].get_ydata()
    assert np.isnan(heights[1]) and np.isfinite(np.delete(heights, 1)).all()
    note = "left out, with fewer than 10 steps: 1 of 7 weekdays, 2 of 2 months"
    assert figure.legends[0].get_title().get_text() == note
    with pytest.raises(ValueError, match="fewer than two hours, days or months have 10 steps"):
        time_error_figure(_table(month=[30, 5]), model="net")


def test_values_that_lie_apart_by_nature_are_joined() -> None:
    table = _table(month=[30] * 4).assign(value=lambda rows: 3 * rows["value"] - 2)
    [axis] = time_error_figure(table, model="net").axes
    assert axis.lines[0].get_xdata().tolist() == [1, 4, 7, 10]


def test_the_columns_are_those_of_the_other_tables() -> None:
    scored = backtest(Last(columns=Columns(target=("y", "z"))), _two_targets(), folds=20, baselines=[], name="last")
    assert scored.per_time is not None
    assert set(scored.scores.columns) | {"unit", "value", "steps"} == set(scored.per_time.columns)
    assert scored.per_time["mae"].isna().all() and scored.per_time["mase"].notna().all()  # units that do not compare


def _two_targets() -> pd.DataFrame:
    return made_frame().assign(z=lambda rows: 1000 + rows["y"])
