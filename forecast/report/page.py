"""The report of a run: one HTML file that needs nothing beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from math import floor, isfinite, isnan, log10
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, StrictUndefined

from forecast.files import write_whole

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

    Raises
    ------
    ValueError
        If a figure is no PNG.
    """
    # The name of the template ends in .j2, so that escaping by file name would leave it out.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("page.html.j2").read_text("utf-8"))
    text = template.render(
        title=title,
        sentence=sentence,
        tables={caption: _table(frame) for caption, frame in tables.items()},
        figures={caption: _embedded(figure, caption) for caption, figure in figures.items()},
        facts=facts,
    )
    return write_whole(path, text)


def _table(frame: pd.DataFrame) -> dict[str, list[Any]]:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    groups = _groups(frame)
    columns = [_column(str(name), frame.iloc[:, place], groups) for place, name in enumerate(frame.columns)]
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


def _column(name: str, values: pd.Series, groups: list[Any]) -> list[_Cell]:
    cells = values.tolist()
    numbers = [float(value) for value in cells if _is_number(value) and isfinite(value)]
    whole = all(isinstance(value, Integral) for value in cells if _is_number(value))
    decimals = 0 if whole else _decimals(numbers)
    texts = [_number(value, decimals) if _is_number(value) else _text(value) for value in cells]
    rivals: dict[Any, list[float]] = {}
    for value, group in zip(cells, groups, strict=True):
        if name.lower() in LOWER_IS_BETTER and _is_number(value) and isfinite(value):
            rivals.setdefault(group, []).append(value)
    best = {group: _number(min(held), decimals) for group, held in rivals.items() if len(held) > 1}
    numeric = bool(numbers) and all(_is_number(value) or pd.isna(value) for value in cells)
    return [_Cell(text, numeric, text == best.get(group)) for text, group in zip(texts, groups, strict=True)]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and not isnan(value)


def _decimals(numbers: list[float]) -> int | None:
    """Decimals at which a whole column has three or four digits; None where its numbers differ too much."""
    sizes = [floor(log10(abs(number))) for number in numbers if number]
    if not sizes or max(sizes) - min(sizes) > 1 or max(sizes) < -4:
        return None
    decimals = max(0, 3 - max(sizes))
    while decimals and all(f"{number:.{decimals}f}".endswith("0") for number in numbers):
        decimals -= 1
    return decimals


def _number(value: float, decimals: int | None) -> str:
    if not isfinite(value):
        return "\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}"
    if decimals is not None:
        text = f"{value:,.{decimals}f}"
    elif value and not -5 < floor(log10(abs(value))) < 15:
        text = f"{value:.3e}"
    else:
        places = max(0, 3 - floor(log10(abs(value)))) if value else 1
        text = f"{value:,.{places}f}"
        text = text.rstrip("0").rstrip(".") if places else text
    return text.replace("-", "\N{MINUS SIGN}")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value is pd.NaT or (isinstance(value, float) and isnan(value)) or value is pd.NA:
        return "\N{EN DASH}"
    if isinstance(value, pd.Timestamp) and value == value.normalize():
        return str(value.date())
    return str(value)


def _embedded(figure: Path | bytes, caption: str) -> str:
    content = figure if isinstance(figure, bytes) else Path(figure).read_bytes()
    if not content.startswith(_PNG):
        raise ValueError(f"figure {caption!r} is no PNG: it begins with {content[:8]!r}. Save it as PNG first.")
    return f"data:image/png;base64,{b64encode(content).decode('ascii')}"
