"""The report of a run: one HTML file that needs nothing beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Mapping
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from forecast.files import write_whole
from forecast.report.numbers import is_number, share, written

# Metrics whose smallest value is set in bold, each down its column; with several targets, for each of them.
LOWER_IS_BETTER = frozenset(
    {"mae", "mse", "rmse", "smape", "mase", "rmsse", "msis", "wql", "crps", "owa", "log loss", "brier"}
)

_PNG = b"\x89PNG\r\n\x1a\n"


class _Cell(NamedTuple):
    text: str
    number: bool
    best: bool


def write_page(
    path: str | Path,
    *,
    title: str,
    sentence: str,
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, Path | bytes],
    facts: Mapping[str, str],
    shares: Collection[str] = (),
) -> Path:
    """Write a report as one HTML file, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Of the HTML file.
    sentence : str
        The result in words, below the title.
    tables : mapping of str to pd.DataFrame
        Tables under their captions; a named index is shown as columns.
    figures : mapping of str to Path or bytes
        PNG files, or their content, under their captions; they become part of the page.
    facts : mapping of str to str
        What is worth knowing of the run: seed, versions, wall time.
    shares : collection of str
        Names of columns whose numbers are shares, and are written in percent.

    Raises
    ------
    ValueError
        If a figure is no PNG.
    """
    # The name of the template ends in .j2, so that escaping by file name would leave it out.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("page.html.j2").read_text("utf-8"))
    text = template.render(
        style=Markup(read_style()),
        title=title,
        sentence=sentence,
        tables={caption: _table(frame, shares) for caption, frame in tables.items()},
        figures={caption: _embedded(figure, caption) for caption, figure in figures.items()},
        facts=facts,
    )
    return write_whole(path, text)


def read_style() -> str:
    """Return the style sheet that every page shares."""
    return files(__package__).joinpath("page.css").read_text("utf-8")


def _table(frame: pd.DataFrame, shares: Collection[str]) -> dict[str, list[Any]]:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    groups = _groups(frame)
    columns = [
        _column(str(name), frame.iloc[:, place], groups, is_share=name in shares)
        for place, name in enumerate(frame.columns)
    ]
    rows = list(zip(*columns, strict=True))
    # A column without rows has no numbers to align.
    numeric = [bool(column) and all(cell.number for cell in column) for column in columns]
    return {"header": list(zip(map(str, frame.columns), numeric, strict=True)), "rows": rows}


def _groups(frame: pd.DataFrame) -> list[Any]:
    """Name the rows that compete: all of them, or where models come again, those that share the other texts."""
    if "model" not in frame or not frame["model"].duplicated().any():
        return [()] * len(frame)
    texts = frame.drop(columns="model").select_dtypes(exclude=["number", "bool"])
    return [tuple(row) for row in texts.to_numpy()]


def _column(name: str, values: pd.Series, groups: list[Any], *, is_share: bool) -> list[_Cell]:
    cells = values.tolist()
    texts = [
        share(value) if is_share and is_number(value) else text
        for value, text in zip(cells, written(cells), strict=True)
    ]
    rivals: dict[Any, list[tuple[float, str]]] = {}
    for value, text, group in zip(cells, texts, groups, strict=True):
        if name.lower() in LOWER_IS_BETTER and is_number(value) and isfinite(value):
            rivals.setdefault(group, []).append((value, text))
    best = {group: min(held)[1] for group, held in rivals.items() if len(held) > 1}
    some = any(is_number(value) and isfinite(value) for value in cells)
    numeric = some and all(is_number(value) or pd.isna(value) for value in cells)
    return [_Cell(text, numeric, text == best.get(group)) for text, group in zip(texts, groups, strict=True)]


def _embedded(figure: Path | bytes, caption: str) -> str:
    content = figure if isinstance(figure, bytes) else Path(figure).read_bytes()
    if not content.startswith(_PNG):
        raise ValueError(f"figure {caption!r} is no PNG: it begins with {content[:8]!r}. Save it as PNG first.")
    return f"data:image/png;base64,{b64encode(content).decode('ascii')}"
