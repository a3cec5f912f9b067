"""Tables of every usual kind become one long table, and wrong ones are refused with column and row."""

from __future__ import annotations

import gzip
from pathlib import Path

import dateutil.tz
import numpy as np
import pandas as pd
import pytest
from frames import made_frame, made_roles

from forecast.data.columns import Columns
from forecast.data.panel import Panel
from forecast.data.sources import SINGLE, long_frame, numbers, read_table, stamps
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


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2024-01-01", periods=6, unit="s"),
        pd.date_range("2024-01-01", periods=6, unit="ms"),
        pd.date_range("2024-01-01", periods=6, unit="us"),
        pd.date_range("2024-01-01", periods=6, unit="ns"),
        pd.date_range("2024-01-01", periods=6, unit="ns", tz="Europe/Berlin"),
        pd.date_range("2024-01-01", periods=6, freq="h", unit="s", tz="America/New_York"),
        pd.date_range("2024-01-01", periods=6, freq="D", tz="+02:00"),
        pd.period_range("2024-01", periods=6, freq="M"),
        pd.period_range("2024-01-01", periods=6, freq="W-SUN"),
        pd.period_range("2024Q1", periods=6, freq="Q"),
        pd.Index(np.arange(3, 9)),
        pd.Index(np.arange(3, 9), dtype="int16"),
        pd.Index(np.arange(3, 9), dtype="Int64"),
    ],
    ids=lambda times: str(times.dtype),
)
def test_times_come_back_in_the_dtype_they_came_in(times: pd.Index) -> None:
    frame = pd.DataFrame({"ds": pd.Series(times[:4]), "y": 1.0})
    panel = Panel.from_frame(frame)
    ahead = panel.stamp_column(panel.stamps(np.zeros(6, int), np.arange(6)))
    assert ahead.dtype == frame["ds"].dtype
    pd.testing.assert_series_equal(ahead, pd.Series(times), check_names=False)


def test_times_of_arrow_are_times() -> None:
    pytest.importorskip("pyarrow")
    times = pd.date_range("2024-01-01", periods=6, tz="Europe/Berlin")
    frame = pd.DataFrame({"ds": pd.Series(times).astype("timestamp[us, tz=Europe/Berlin][pyarrow]"), "y": 1.0})
    panel = Panel.from_frame(frame)
    ahead = panel.stamp_column(panel.stamps(np.zeros(6, int), np.arange(6)))
    assert ahead.dtype == frame["ds"].dtype
    assert ahead.tolist() == times.tolist()


def test_steps_too_large_for_a_small_integer_are_not_wrapped() -> None:
    panel = Panel.from_frame(pd.DataFrame({"ds": np.arange(120, 128, dtype=np.int8), "y": 1.0}))
    assert panel.stamp_column(panel.stamps(np.zeros(3, int), np.array([7, 8, 9]))).tolist() == [127, 128, 129]


@pytest.mark.parametrize(
    "text",
    [
        ["2024-01-31", "2024-02-01", "2024-02-02"],
        ["2024-01-31 00:00", "2024-02-01 00:00:00", "2024-02-02"],
        ["1/31/2024", "2/1/2024", "2/2/2024"],
        ["20240131", "20240201", "20240202"],
    ],
)
@pytest.mark.parametrize("dtype", ["str", "object", "string", "category"])
def test_text_is_read_as_time(text: list[str], dtype: str) -> None:
    found, zone = stamps(pd.Series(text, name="ds").astype(dtype))
    assert zone is None
    assert found.astype("datetime64[D]").astype(str).tolist() == ["2024-01-31", "2024-02-01", "2024-02-02"]


def test_text_of_one_offset_is_zoned() -> None:
    found, zone = stamps(pd.Series(["2024-01-01T00:00+02:00", "2024-01-01T01:00+02:00"]))
    assert found.astype("datetime64[h]").astype(str).tolist() == ["2023-12-31T22", "2023-12-31T23"]
    assert zone is not None


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


def test_an_id_that_is_a_number_in_some_rows_alone_stays_text(tmp_path: Path) -> None:
    rows = [f"{name},{row},1.0" for name in ("1", "x") for row in range(200_000)]
    (tmp_path / "table.csv").write_text("\n".join(["unique_id,ds,y", *rows]), encoding="utf-8")
    assert list(read_table(tmp_path / "table.csv")["unique_id"].unique()) == ["1", "x"]


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


def test_times_of_several_offsets_in_another_form_are_refused_by_row() -> None:
    cells = ["1 Jan 2024 00:00 +0100", "2 Jan 2024 00:00 +0200", "x"]
    with pytest.raises(DataError, match="'1 Jan 2024 00:00 \\+0100' in row 0, which is not a time as the others are"):
        Panel.from_frame(pd.DataFrame({"unique_id": "a", "ds": cells, "y": [1.0, 2.0, 3.0]}))


def test_text_of_several_offsets_says_how_to_convert() -> None:
    text = pd.Series(["2024-01-01T00:00+01:00", "2024-07-01T00:00+02:00"], name="when")
    with pytest.raises(DataError, match="column 'when' mixes several offsets from UTC.*utc=True"):
        stamps(text)


def test_dates_written_as_numbers_are_refused() -> None:
    frame = pd.DataFrame({"ds": [20240130, 20240131, 20240201], "y": 1.0})
    with pytest.raises(DataError, match="look like dates .20240130."):
        Panel.from_frame(frame)


def test_seconds_since_1970_do_not_become_a_grid_of_seconds() -> None:
    frame = pd.DataFrame({"ds": 1_700_000_000 + 3600 * np.arange(200), "y": 1.0})
    with pytest.raises(DataError, match="spans 716401 steps of freq '1', and only 200 of them have a row"):
        Panel.from_frame(frame)


def test_a_time_zone_without_a_name_is_refused() -> None:
    times = pd.Series(pd.date_range("2024-01-01", periods=3, tz=dateutil.tz.gettz("Europe/Berlin")), name="ds")
    with pytest.raises(DataError, match=r"column 'ds' has the time zone tzfile.*no name.*tz_convert"):
        stamps(times)


def test_nanoseconds_are_refused_where_they_matter() -> None:
    times = pd.Series(pd.to_datetime([1_000, 2_000], unit="ns"), name="ds").astype("datetime64[ns]")
    assert stamps(times)[0].astype(int).tolist() == [1, 2]
    with pytest.raises(DataError, match="column 'ds' holds .* in row 1; times are whole microseconds"):
        stamps((times + pd.to_timedelta([0, 7], unit="ns")).rename("ds"))


def test_only_frames_and_series_are_tables() -> None:
    with pytest.raises(TypeError, match="got dict"):
        long_frame({"y": [1.0]}, Columns())  # type: ignore[arg-type]


def test_a_name_of_roles_is_reported_once_for_the_command_line() -> None:
    with pytest.raises(DataError, match=r"In training name another \(data.columns.target=NAME\)"):
        long_frame(made_frame(rows=3).drop(columns="y"), Columns())


def test_a_missing_column_is_answered_with_those_of_the_table_alone() -> None:
    table = pd.DataFrame({"ds": [1, 2], "price": [1.0, 2.0]})
    with pytest.raises(DataError, match="Choose one of: price, ds. It is columns.target"):
        long_frame(table, Columns(target="prize"))


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["001", "002"], ["001", "002"]),
        (["1", "10"], [1, 10]),
        (["-3", "0"], [-3, 0]),
        (["1", "x"], ["1", "x"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),
        (["1", "01"], ["1", "01"]),
    ],
)
def test_names_of_series_stay_as_they_are_written(tmp_path: Path, names: list[str], read: list) -> None:
    rows = [f"{name},2024-01-0{day},1" for name in names for day in (1, 2)]
    (tmp_path / "table.csv").write_text("\n".join(["shop,ds,y", *rows]), encoding="utf-8")
    table = read_table(tmp_path / "table.csv", ids="shop")
    assert table["shop"].unique().tolist() == read
    assert Panel.from_frame(table, Columns(id="shop")).ids.tolist() == read


def test_row_numbers_that_were_written_too_are_no_series(tmp_path: Path) -> None:
    frame = made_frame(rows=5)
    _wide(frame).reset_index().to_csv(tmp_path / "wide.csv")
    panel = Panel.from_frame(read_table(tmp_path / "wide.csv"), Columns(wide=True))
    _same(panel, Panel.from_frame(frame))
    frame.to_csv(tmp_path / "long.csv")
    _same(Panel.from_frame(read_table(tmp_path / "long.csv")), Panel.from_frame(frame))
    _wide(frame).rename_axis(None).to_csv(tmp_path / "dates.csv")  # the first column has no name, and holds the times
    _same(Panel.from_frame(read_table(tmp_path / "dates.csv"), Columns(wide=True, time="Unnamed: 0")), panel)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("ds,y\n1,1\n2,x\n", "line 3"),
        ("ds,y\r\n1,1\r\n2,x", "line 3"),
        ("ds,y\n\n1,1\n2,x\n", "row 1"),
        ('ds,"y"\n1,1\n2,"x"\n', "line 3"),
        ('ds,y,z\n1,1,"a\nb"\n2,x,c\n', "row 1"),
        ("ds,y\n2,x\n1,1\n", "line 2"),
    ],
)
def test_a_line_is_named_where_rows_are_lines(tmp_path: Path, text: str, where: str) -> None:
    for name in ("table.csv", "table.csv.gz"):
        content = text.encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        with pytest.raises(DataError, match=f"column 'y' holds 'x' in {where} "):
            Panel.from_frame(read_table(tmp_path / name))


def test_a_part_of_a_table_names_the_lines_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("line,y\n1,1\n2,1\n3,x\n", encoding="utf-8")
    part = read_table(tmp_path / "table.csv").iloc[1:]
    with pytest.raises(DataError, match="column 'y' holds 'x' in line 4 "):
        Panel.from_frame(part, Columns(time="line"))


def test_columns_without_a_name_at_the_end_need_no_cells(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("ds,y,,\n1,1\n2,3,,\n", encoding="utf-8")
    assert read_table(tmp_path / "table.csv")["y"].tolist() == [1, 3]


def test_a_future_names_its_series_as_text_or_as_numbers() -> None:
    frame = made_frame(rows=6, covariates=True)
    ahead = frame.groupby("unique_id").tail(1).assign(ds=pd.Timestamp("2024-01-07"))
    numbered = frame.assign(unique_id=np.repeat([1, 2], 6))
    roles = Columns(**made_roles())
    panels = [Panel.from_frame(numbered, roles, future=ahead.assign(unique_id=names)) for names in ([1, 2], ["1", "2"])]
    assert panels[0].ids.tolist() == panels[1].ids.tolist() == [1, 2]
    assert panels[1].lengths.tolist() == [7, 7]


def test_one_cell_too_many_in_every_line_is_refused_where_the_first_column_counts_up(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ds,y\n0,10,5\n1,11,5\n2,12,5\n", encoding="utf-8")
    with pytest.raises(DataError, match="3 cells in line 2, and the header names 2 columns"):
        read_table(path)


@pytest.mark.parametrize("end", ["   \n", "\x1a"], ids=["blanks", "end of file"])
def test_a_blank_line_at_the_end_is_no_row(end: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"unique_id,ds,y\na,0,1\na,1,\na,2,3\n{end}", encoding="utf-8")
    assert read_table(path).head(3)["y"].isna().tolist() == [False, True, False]


def test_a_cell_may_be_as_long_as_it_likes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'note,ds,y\n"{"long, " * 30_000}",0,1\nb,1,\n', encoding="utf-8")
    assert len(read_table(path)["note"][2]) == 180_000


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


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m-%d-%Y"])
def test_dates_that_no_row_makes_clear_are_refused(form: str) -> None:
    days = pd.date_range("2015-01-01", periods=24, freq="MS")
    frame = pd.DataFrame({"ds": days.strftime(form), "y": 1.0})
    with pytest.raises(DataError, match="no row tells whether the day or the month comes first. Write 2024-01-31"):
        Panel.from_frame(frame)


def test_dates_that_a_row_makes_clear_are_read_by_it() -> None:
    days = pd.date_range("2024-01-05", periods=20)
    starts = [
        Panel.from_frame(pd.DataFrame({"ds": days.strftime(form), "y": 1.0})).starts for form in ("%F", "%m/%d/%Y")
    ]
    assert starts[0] == starts[1] == np.datetime64("2024-01-05")


def test_a_short_future_is_read_by_the_dates_of_its_table() -> None:
    days = pd.date_range("2024-01-10", periods=33).strftime("%m/%d/%Y")
    frame = pd.DataFrame({"unique_id": "a", "ds": days, "y": 1.0, "price": 2.0})
    panel = Panel.from_frame(frame[:25], Columns(known=("price",)), future=frame[25:].drop(columns="y"))
    assert panel.lengths.tolist() == [33]


def test_months_written_as_numbers_are_refused() -> None:
    months = pd.date_range("2015-01-01", periods=24, freq="MS").strftime("%Y%m").astype(int)
    with pytest.raises(DataError, match=r"look like months \(201501\). Write 2024-01 for 202401"):
        Panel.from_frame(pd.DataFrame({"ds": months, "y": 1.0}))


def test_roles_that_are_no_columns_are_refused() -> None:
    with pytest.raises(KindError, match="columns is a Columns, such as"):
        Panel.from_frame(made_frame(), {"id": "unique_id"})  # type: ignore[arg-type]
