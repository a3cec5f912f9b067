"""Lines of a CSV are rows: named where a cell is wrong, and read whatever stands at their end."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from forecast.data.columns import Columns
from forecast.data.panel import Panel
from forecast.data.sources import read_table
from forecast.errors import DataError


def test_an_id_that_is_a_number_in_some_rows_alone_stays_text(tmp_path: Path) -> None:
    rows = [f"{name},{row},1.0" for name in ("1", "x") for row in range(200_000)]
    (tmp_path / "table.csv").write_text("\n".join(["unique_id,ds,y", *rows]), encoding="utf-8")
    assert list(read_table(tmp_path / "table.csv")["unique_id"].unique()) == ["1", "x"]


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
