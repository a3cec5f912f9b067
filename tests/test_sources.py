"""Tables of every usual kind become one long table, and wrong ones are refused with column and row."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import made_frame, made_roles

from forecast.data.cells import numbers
from forecast.data.columns import Columns
from forecast.data.panel import Panel
from forecast.data.sources import SINGLE, long_frame, read_table
from forecast.errors import DataError, KindError

NAMES = Columns(id="shop", time="when", target="sold")


def _wide(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.pivot(index="ds", columns="unique_id", values="y")


def _same(one: Panel, other: Panel) -> None:
    assert list(one.ids) == list(other.ids)
    assert one.freq == other.freq
    np.testing.assert_array_equal(one.offsets, other.offsets)
    np.testing.assert_array_equal(one.starts, other.starts)
    np.testing.assert_array_equal(one.target, other.target)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "CSV", "parquet", "feather", "arrow"])
@pytest.mark.parametrize("wide", [False, True])
def test_files_of_every_kind_give_the_same_panel(tmp_path: Path, ending: str, wide: bool) -> None:
    frame = made_frame(rows=10)
    table = _wide(frame).reset_index() if wide else frame
    path = tmp_path / f"table.{ending}"
    if "csv" in ending.lower():
        table.to_csv(path, index=False)
    elif ending == "parquet":
        table.to_parquet(path)
    else:
        table.to_feather(path)
    read = Panel.from_frame(read_table(path), Columns(wide=wide))
    _same(read, Panel.from_frame(frame))


def test_the_shape_of_a_table_does_not_matter() -> None:
    frame = made_frame(rows=10)
    panel = Panel.from_frame(frame)
    renamed = frame.set_axis(["shop", "when", "sold"], axis=1)
    for table, columns in [
        (renamed, NAMES),
        (renamed.assign(other="text"), NAMES),
        (frame.set_index("ds"), Columns()),
        (frame.set_index("ds").rename_axis(None), Columns()),
        (frame.set_index(["unique_id", "ds"]), Columns()),
        (frame.set_index("unique_id"), Columns()),
        (_wide(frame), Columns(wide=True)),
        (_wide(frame).reset_index(), Columns(wide=True)),
        (_wide(frame).to_period("D"), Columns(wide=True)),
        (frame.iloc[::-1].sort_values("unique_id", kind="stable"), Columns()),
    ]:
        _same(Panel.from_frame(table, columns), panel)


def test_one_series_needs_no_id() -> None:
    frame = made_frame(series=1, rows=10)
    series = frame.set_index("ds")["y"]
    panel = Panel.from_frame(frame.drop(columns="unique_id"))
    assert list(panel.ids) == [SINGLE]
    _same(Panel.from_frame(series), panel)
    _same(Panel.from_frame(series.rename_axis(None).rename("price")), panel)
    _same(Panel.from_frame(series.to_period("D")), panel)


def test_wide_series_keep_their_names_whatever_they_are() -> None:
    table = pd.DataFrame(
        {"ds": pd.date_range("2024-01-01", periods=3), "y": 1.0, "unique_id": 2, 7: [3.0, np.nan, 5.0]}
    )
    panel = Panel.from_frame(table, Columns(wide=True))
    assert list(panel.ids) == ["y", "unique_id", 7]
    np.testing.assert_array_equal(panel.target[:, 0], [1, 1, 1, 2, 2, 2, 3, np.nan, 5])


def test_steps_too_large_for_a_small_integer_are_not_wrapped() -> None:
    panel = Panel.from_frame(pd.DataFrame({"ds": np.arange(120, 128, dtype=np.int8), "y": 1.0}))
    assert panel.stamp_column(panel.stamps(np.zeros(3, int), np.array([7, 8, 9]))).tolist() == [127, 128, 129]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32", "int8", "object", "category", "bool"])
def test_numbers_of_every_dtype_are_floats(dtype: str) -> None:
    np.testing.assert_array_equal(numbers(pd.Series([1, 0, 1]).astype(dtype)), [1.0, 0.0, 1.0])
    if dtype in ("Int64", "Float64", "object"):
        np.testing.assert_array_equal(numbers(pd.Series([1, None, 3]).astype(dtype)), [1.0, np.nan, 3.0])


@pytest.mark.parametrize("dtype", ["category", "object", "string", "int64", "Int64"])
def test_ids_stay_as_they_came(dtype: str) -> None:
    names = ["7", "3"] if dtype in ("category", "object", "string") else [7, 3]
    frame = made_frame(rows=5)
    frame["unique_id"] = pd.Series(np.repeat(names, 5)).astype(dtype)
    panel = Panel.from_frame(frame)
    assert list(panel.ids) == names
    assert panel.ids.dtype == frame["unique_id"].dtype


def test_the_frame_given_is_left_as_it_is() -> None:
    frame = made_frame(covariates=True).sample(frac=1, random_state=0)
    before = frame.copy(deep=True)
    future = frame.groupby("unique_id").tail(1).assign(ds=frame["ds"].max() + pd.Timedelta(days=1))
    future_before = future.copy(deep=True)
    Panel.from_frame(frame, Columns(**made_roles()), future=future)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(future, future_before)
    wide = _wide(made_frame())
    before = wide.copy(deep=True)
    Panel.from_frame(wide, Columns(wide=True))
    pd.testing.assert_frame_equal(wide, before)


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file .*none.csv"):
        read_table(tmp_path / "none.csv")
    contents = {
        "table.xlsx": (b"x", "'table.xlsx' is not a table.*save its sheet as CSV"),
        "table.txt": (b"x", "'table.txt' is not a table.*there is no reader for '.txt'.*csv"),
        "empty.csv": (b"", "is empty .0 bytes."),
        "header.csv": (b"unique_id,ds,y\n", "has no rows"),
        "torn.csv": (b'a,b\n1,2\n"3,4', "has 1 cell in line 3"),
        "not.parquet": (b"unique_id,ds,y\n", "cannot be read as .parquet"),
        "not.feather": (b"unique_id,ds,y\n", "cannot be read as .feather"),
        "plain.csv.gz": (b"unique_id,ds,y\n", "cannot be read as .csv.gz"),
        "torn.csv.gz": (gzip.compress(b"ds,y\n" + b"1,2\n" * 99)[:-12], "cannot be read as .csv.gz"),
        "latin.csv": ("ds,y\n1,\xe9".encode("latin-1"), "is not utf-8: byte 0xe9 at offset 7, in line 2"),
    }
    for name, (content, message) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_table(tmp_path / name)


def _with(name: str, row: int, cell: object) -> pd.DataFrame:
    frame = made_frame(rows=5)
    frame[name] = frame[name].astype(object)
    frame.loc[row, name] = cell
    return frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            _with("y", 3, "n/a?"),
            "column 'y' holds 'n/a[?]' in row 3 .series 's0', 2024-01-04 00:00:00., which is not a number",
        ),
        (_with("y", 4, np.inf), "column 'y' is infinite in row 4 .series 's0', 2024-01-05 00:00:00."),
        (_with("y", 4, -np.inf), "column 'y' is infinite in row 4 .series 's0', 2024-01-05 00:00:00."),
        (_with("ds", 2, None), "column 'ds' has no time in row 2"),
        (
            _with("ds", 2, "soon").astype({"ds": str}),
            "column 'ds' holds 'soon' in row 2, which is not a time",
        ),
        (_with("ds", 2, "").astype({"ds": str}), "column 'ds' holds '' in row 2, which is not a time"),
        (_with("unique_id", 6, None), "column 'unique_id' is empty in row 6"),
        (_with("ds", 1, pd.Timestamp("2024-01-01")), "series 's0' has 2024-01-01 00:00:00 twice"),
        (made_frame(rows=5).assign(y=pd.Timestamp("2024")), "column 'y' holds datetime64.*not numbers"),
        (made_frame(rows=5).assign(ds=1.5), "column 'ds' holds float64 as times"),
        (made_frame(rows=5).assign(ds=True), "column 'ds' holds bool as times"),
        (made_frame(rows=5).iloc[:0], "the table has no rows"),
        (
            made_frame(rows=5).drop(columns="ds"),
            "no column 'ds'. Choose one of: unique_id, y. It is columns.time",
        ),
        (made_frame(rows=5).rename(columns={"y": "Y1"}), "no column 'y'. Choose .*columns.target"),
        (made_frame(rows=5).drop(columns="unique_id"), "series 'series' has .* twice.*columns.id"),
        (
            made_frame(rows=5).assign(z=1.0).set_axis(["unique_id", "ds", "y", "y"], axis=1),
            "several columns 'y'",
        ),
    ],
)
def test_a_wrong_cell_is_named_with_column_and_row(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Panel.from_frame(frame)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (Columns(id="shop"), "no column 'shop'.*columns.id"),
        (Columns(target="sise"), "no column 'sise'. Choose one of: size, "),
        (Columns(known=("prise",)), "no column 'prise'. Choose one of: price, "),
        (Columns(wide=True, known=("price",)), "a wide table has no covariates"),
        (Columns(wide=True), "column 'unique_id' holds 's0' in row 0, which is not a number"),
    ],
)
def test_a_missing_column_lists_the_nearest_names(columns: Columns, message: str) -> None:
    with pytest.raises(DataError, match=message):
        long_frame(made_frame(rows=5, covariates=True), columns)


def test_only_frames_and_series_are_tables() -> None:
    with pytest.raises(TypeError, match="got dict"):
        long_frame({"y": [1.0]}, Columns())  # type: ignore[arg-type]


def test_a_name_of_roles_is_reported_once_for_the_command_line() -> None:
    with pytest.raises(DataError, match=r"It is columns.target. Name another: data.columns.target=NAME;"):
        long_frame(made_frame(rows=3).drop(columns="y"), Columns())


def test_a_missing_column_is_answered_with_those_of_the_table_alone() -> None:
    table = pd.DataFrame({"ds": [1, 2], "price": [1.0, 2.0]})
    with pytest.raises(DataError, match="Choose one of: price, ds. It is columns.target"):
        long_frame(table, Columns(target="prize"))


@pytest.mark.parametrize(
    ("columns", "first", "others"),
    [
        (Columns(), "'ds'", "'unique_id' (columns.id) or 'y' (columns.target)"),
        (Columns(id="store"), "'store'", "'ds' (columns.time) or 'y' (columns.target)"),
        (Columns(time="day"), "'y'", ""),
        (Columns(id="shop", target="sales"), "'ds'", ""),
    ],
)
def test_all_roles_are_named_where_several_columns_are_missing(columns: Columns, first: str, others: str) -> None:
    table = pd.DataFrame({"shop": ["a", "a"], "day": [1, 2], "sales": [1.0, 2.0]})
    with pytest.raises(DataError) as refused:
        long_frame(table, columns)
    told = str(refused.value)
    assert told.startswith(f"there is no column {first}. Choose one of: ") and "In training" not in told
    assert all(name in told for name in table)
    roles = [f"data.columns.{role}=NAME" in told for role in ("id", "time", "target")]
    assert (f"Nor is there {others}." in told and all(roles)) if others else ("Nor" not in told and sum(roles) == 1)


def test_row_numbers_that_were_written_too_are_no_series(tmp_path: Path) -> None:
    frame = made_frame(rows=5)
    _wide(frame).reset_index().to_csv(tmp_path / "wide.csv")
    panel = Panel.from_frame(read_table(tmp_path / "wide.csv"), Columns(wide=True))
    _same(panel, Panel.from_frame(frame))
    frame.to_csv(tmp_path / "long.csv")
    _same(Panel.from_frame(read_table(tmp_path / "long.csv")), Panel.from_frame(frame))
    _wide(frame).rename_axis(None).to_csv(tmp_path / "dates.csv")  # the first column has no name, and holds the times
    _same(Panel.from_frame(read_table(tmp_path / "dates.csv"), Columns(wide=True, time="Unnamed: 0")), panel)


def test_roles_that_are_no_columns_are_refused() -> None:
    with pytest.raises(KindError, match="columns is a Columns, such as"):
        Panel.from_frame(made_frame(), {"id": "unique_id"})  # type: ignore[arg-type]
