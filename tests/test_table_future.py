"""A future fits the table that it follows, or is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import made_frame, made_roles

from forecast.data.columns import Columns
from forecast.data.panel import Panel
from forecast.data.sources import read_table
from forecast.errors import DataError


def test_a_future_names_its_series_as_text_or_as_numbers() -> None:
    frame = made_frame(rows=6, covariates=True)
    ahead = frame.groupby("unique_id").tail(1).assign(ds=pd.Timestamp("2024-01-07"))
    numbered = frame.assign(unique_id=np.repeat([1, 2], 6))
    roles = Columns(**made_roles())
    panels = [Panel.from_frame(numbered, roles, future=ahead.assign(unique_id=names)) for names in ([1, 2], ["1", "2"])]
    assert panels[0].ids.tolist() == panels[1].ids.tolist() == [1, 2]
    assert panels[1].lengths.tolist() == [7, 7]


def test_a_future_has_its_times_in_the_form_of_the_table() -> None:
    days = pd.date_range("2024-01-13", periods=64).strftime("%d/%m/%Y")
    frame = pd.DataFrame({"unique_id": "a", "ds": days, "y": 1.0, "price": 2.0})
    panel = Panel.from_frame(frame[:59], Columns(known=("price",)), future=frame[59:].drop(columns="y"))
    assert (panel.ends.tolist(), panel.lengths.tolist()) == ([59], [64])


def test_a_table_with_an_index_of_its_own_takes_a_future() -> None:
    frame = made_frame(series=1, covariates=True)[["unique_id", "ds", "y", "price"]].assign(a=1, b=2)
    panel = Panel.from_frame(frame[:50].set_index(["a", "b"]), Columns(known=("price",)), future=frame[50:])
    assert (panel.ends.tolist(), panel.lengths.tolist()) == ([50], [60])


def test_ids_of_a_future_may_be_written_as_decimals() -> None:
    frame = pd.DataFrame({"unique_id": 1, "ds": range(10), "y": 1.0, "price": 2.0})
    future = frame[8:].drop(columns="y").astype({"unique_id": float})
    assert Panel.from_frame(frame[:8], Columns(known=("price",)), future=future).lengths.tolist() == [10]


def test_a_row_of_a_future_is_not_named_as_a_line_of_the_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    frame = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2024-01-01", periods=12), "y": 1.0, "price": 2.0})
    frame[:10].to_csv(path, index=False)
    late = frame[10:].drop(columns="y").assign(ds=pd.to_datetime(["2024-01-11 00:00", "2024-01-12 05:00"]))
    late.to_csv(tmp_path / "b.csv", index=False)
    both = [read_table(one).assign(ds=lambda table: pd.to_datetime(table["ds"])) for one in (path, tmp_path / "b.csv")]
    with pytest.raises(DataError, match=r"2024-01-12 05:00:00 in column 'ds' \(the future\), which lies off the grid"):
        Panel.from_frame(both[0], Columns(known=("price",)), future=both[1])


def test_a_short_future_is_read_by_the_dates_of_its_table() -> None:
    days = pd.date_range("2024-01-10", periods=33).strftime("%m/%d/%Y")
    frame = pd.DataFrame({"unique_id": "a", "ds": days, "y": 1.0, "price": 2.0})
    panel = Panel.from_frame(frame[:25], Columns(known=("price",)), future=frame[25:].drop(columns="y"))
    assert panel.lengths.tolist() == [33]
