"""Forecasts as tables, and files that are whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import made_frame

from forecast import Columns, Panel
from forecast.errors import ConfigError
from forecast.files import write_whole
from forecast.frames import FORECAST, forecast_frame, history_frame, level_name, level_names

LEVELS = (0.1, 0.5, 0.975)


@pytest.mark.parametrize(("level", "name"), [(0.1, "q0.1"), (0.5, "q0.5"), (0.025, "q0.025"), (0.975, "q0.975")])
def test_a_level_names_its_column(level: float, name: str) -> None:
    assert level_name(level) == name


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ([0.5, 0.1, 0.1000001], "levels 0.1 and 0.1000001 share the column 'q0.1'"),
        ([0.1, "high"], "a quantile level is a number, got 'high'"),
        ([True], "a quantile level is a number, got True"),
    ],
)
def test_levels_that_share_a_column_or_are_no_numbers_are_refused(levels: list, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        level_names(levels)


@pytest.mark.parametrize("freq", ["D", "MS", "h", "W-SUN", "1"])
def test_a_forecast_frame_follows_each_series(freq: str) -> None:
    table = made_frame(series=3, rows=20, freq=freq)
    panel = Panel.from_frame(table[table.groupby("unique_id").cumcount() < 16])
    series, ends = np.array([2, 0]), np.array([16, 12])
    values = np.arange(2 * 4 * 4, dtype=float).reshape(2, 4, 1, 4)
    frame = forecast_frame(panel, series, ends, values, LEVELS)
    assert list(frame) == ["unique_id", "ds", FORECAST, "q0.1", "q0.5", "q0.975"]
    for row, (number, end) in enumerate(zip(series, ends, strict=True)):
        own = frame[frame["unique_id"] == f"s{number}"]
        truth = table[table["unique_id"] == f"s{number}"]["ds"].iloc[end : end + 4]
        assert own["ds"].tolist() == truth.tolist()
        np.testing.assert_array_equal(own.iloc[:, 2:], values[row, :, 0])
    assert frame["ds"].dtype == table["ds"].dtype


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Vienna"])
def test_times_keep_their_unit_and_zone(unit: str, zone: str | None) -> None:
    table = made_frame(series=1, rows=20)
    table["ds"] = table["ds"].dt.as_unit(unit).dt.tz_localize(zone)
    panel = Panel.from_frame(table)
    frame = forecast_frame(panel, np.array([0]), np.array([20]), np.zeros((1, 2, 1, 1)), ())
    assert frame["ds"].dtype == table["ds"].dtype == history_frame(panel)["ds"].dtype
    expected = pd.date_range("2024-01-21", periods=2, freq="D", tz=zone)
    assert frame["ds"].tolist() == expected.tolist()


def test_no_series_give_an_empty_frame_with_all_columns() -> None:
    panel = Panel.from_frame(made_frame())
    none = np.zeros(0, np.int64)
    frame = forecast_frame(panel, none, none, np.zeros((0, 3, 1, 2)), (0.5,))
    assert list(frame) == ["unique_id", "ds", FORECAST, "q0.5"] and len(frame) == 0


def test_several_targets_are_named_and_one_never_observed_has_no_rows() -> None:
    columns = Columns(target=("y", "z"))
    panel = Panel.from_frame(made_frame(rows=10).assign(z=1.0), columns)
    values = np.arange(2 * 3 * 2 * 2, dtype=float).reshape(2, 3, 2, 2)
    values[1, :, 0] = np.nan
    frame = forecast_frame(panel, np.array([0, 1]), np.array([10, 10]), values, (0.5,))
    assert list(frame) == ["unique_id", "ds", "target", FORECAST, "q0.5"]
    assert frame["target"].tolist() == ["y"] * 3 + ["z"] * 6
    assert frame["unique_id"].tolist() == ["s0"] * 6 + ["s1"] * 3
    np.testing.assert_array_equal(frame[FORECAST], [*values[0, :, 0, 0], *values[0, :, 1, 0], *values[1, :, 1, 0]])
    assert list(history_frame(panel)) == ["unique_id", "ds", "y", "z"]


def test_the_history_is_the_table_on_its_grid() -> None:
    columns = Columns(id="shop", time="day", target="sold")
    table = made_frame(rows=30).rename(columns={"unique_id": "shop", "ds": "day", "y": "sold"})
    gaps = table.drop(index=[4, 5, 33]).sample(frac=1, random_state=0)
    expected = table.assign(sold=table["sold"].where(~table.index.isin([4, 5, 33])))
    history = history_frame(Panel.from_frame(gaps, columns))
    ordered = history.sort_values(["shop", "day"], ignore_index=True)
    pd.testing.assert_frame_equal(ordered, expected, check_dtype=False)


def test_a_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    assert write_whole(path, "grün") == path
    assert write_whole(path, b"\x00\x01") == path
    assert path.read_bytes() == b"\x00\x01"
    assert os.listdir(path.parent) == ["a.txt"]
