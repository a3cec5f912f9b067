"""A report is one whole file that shows user text as text."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast.jobs.scores import SHARES, labelled
from forecast.report import style
from forecast.report.figures import save
from forecast.report.page import write_page

PNG = b"\x89PNG\r\n\x1a\n"


def test_nothing_is_left_when_a_file_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.html").write_text("old", encoding="utf-8")

    def refuse(source: object, target: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        save(style.blank(height=2), tmp_path / "forecast.png")
    with pytest.raises(OSError, match="disk full"):
        _page(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "old"


def _page(folder: Path, **arguments: object) -> str:
    parts: dict[str, object] = {"title": "t", "sentence": "s", "tables": {}, "figures": {}, "facts": {}}
    return write_page(folder / "report.html", **(parts | arguments)).read_text("utf-8")


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_user_text_is_escaped_everywhere(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>\"><b onload=1>"
    table = pd.DataFrame({evil: [evil], "mae": [1.0]}, index=pd.Index([evil], name=f"{evil}2"))
    page = _page(tmp_path, title=evil, sentence=evil, tables={evil: table}, figures={evil: PNG}, facts={evil: evil})
    assert "<script" not in page and "<b onload" not in page
    # title twice, sentence, caption twice, two headers, two cells, figure's heading and alt, fact and its name
    assert page.count("&lt;script&gt;") == 13
    assert {tag for tag, _ in _Tags(page).tags} & {"script", "b", "link", "iframe"} == set()


def test_page_needs_nothing_beside_it(tmp_path: Path) -> None:
    path = save(style.blank(height=2), tmp_path / "error.png")
    page = _page(tmp_path, figures={"Error": path, "Again": path.read_bytes()})
    sources = [attributes["src"] for tag, attributes in _Tags(page).tags if tag == "img"]
    assert len(sources) == 2 and sources[0] == sources[1]
    assert str(sources[0]).startswith("data:image/png;base64,iVBORw0KGgo")
    assert not re.search(r"https?://|<script|<link|@import", page)
    assert "prefers-color-scheme: dark" in page
    with pytest.raises(ValueError, match="'Error' is no PNG"):
        _page(tmp_path, figures={"Error": b"GIF89a"})


def test_tables_align_numbers_and_set_the_best_in_bold(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "model": ["gru", "naive", "drift"],
            "mae": [12.34567, 15.2, 123.4],
            "mase": [0.91234, 0.8, np.nan],
            "windows": [1200, 1200, 7],
            "coverage": [0.7, 0.8, 0.9],
        }
    )
    page = _page(tmp_path, tables={"Accuracy": table})
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in page.split("<tr>")[2:]]
    assert rows == [
        ["gru", "<strong>12.3</strong>", "0.9123", "1,200", "0.7"],
        ["naive", "15.2", "<strong>0.8000</strong>", "1,200", "0.8"],
        ["drift", "123.4", "\N{EN DASH}", "7", "0.9"],
    ]
    assert page.count('<th scope="col" class="number">') == 4
    assert page.count('<td class="number">') == 12


def test_shares_are_in_percent_as_on_the_terminal(tmp_path: Path) -> None:
    scores = pd.DataFrame({"model": ["gru", "naive"], "coverage": [5 / 6, np.nan], "coverage_95": [0.95, 1.0]})
    page = _page(tmp_path, tables={"Accuracy": labelled(scores)}, shares=SHARES)
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in page.split("<tr>")[2:]]
    assert rows == [["gru", "83%", "95%"], ["naive", "\N{EN DASH}", "100%"]]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.00312, 1500.34, 1.2], ["0.00312", "1,500", "1.2"]),
        ([-1.5, 2.25], ["\N{MINUS SIGN}1.50", "2.25"]),
        ([np.inf, 0.0, 1e-9], ["\N{INFINITY}", "0", "1.000e\N{MINUS SIGN}09"]),
        ([True, False], ["yes", "no"]),
        ([pd.Timestamp("2024-03-01"), pd.NaT], ["2024-03-01", "\N{EN DASH}"]),
    ],
)
def test_numbers_read_well(tmp_path: Path, values: list[object], texts: list[str]) -> None:
    page = _page(tmp_path, tables={"Values": pd.DataFrame({"value": values})})
    assert re.findall(r"<td[^>]*>(.*?)</td>", page) == texts


def test_the_best_is_sought_within_each_target(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "target": ["wind", "wind", "rain", "rain", "snow"],
            "model": ["gru", "naive", "gru", "naive", "gru"],
            "mae": [1.5, 2.5, 20.25, 10.5, 0.5],
        }
    )
    page = _page(tmp_path, tables={"By target": table})
    assert re.findall(r"<strong>(.*?)</strong>", page) == ["1.5", "10.5"]


def test_a_wide_table_scrolls_by_itself_and_can_be_reached_by_keyboard(tmp_path: Path) -> None:
    tables = {"Narrow": pd.DataFrame({"a": [1]}), "Wide": pd.DataFrame({f"column {i}": [i] for i in range(60)})}
    page = _page(tmp_path, tables=tables)
    regions = [attributes for tag, attributes in _Tags(page).tags if tag == "div"]
    assert [(region["class"], region["aria-label"], region["tabindex"]) for region in regions] == [
        ("scroll", "Narrow", "0"),
        ("scroll", "Wide", "0"),
    ]
