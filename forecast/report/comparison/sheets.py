"""The tables of a comparison as heads and cells of text, before they become HTML, Markdown or LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from forecast.comparison.comparison import Comparison
from forecast.report.comparison.columns import METRIC, Column, best_of, intervals
from forecast.report.comparison.compared import Panel, models_of, panels_of
from forecast.report.numbers import is_number


class Cell(NamedTuple):
    """One value: as it is read, as it sorts (None for what is absent, and for text), whether it is the best, a note."""

    text: str
    value: float | None = None
    best: bool = False
    note: str = ""

    @property
    def whole(self) -> str:
        """What is read, with the note behind it."""
        return f"{self.text} {self.note}".rstrip()


class Head(NamedTuple):
    """The head of a column; `group` is what neighbours have in common, such as a data set, `best` as in `Column`."""

    text: str
    meaning: str = ""
    numeric: bool = True
    extra: bool = False
    group: str = ""
    best: float | None = None


class Sheet(NamedTuple):
    """A table whose first column names its rows."""

    heads: list[Head]
    rows: list[list[Cell]]


def models_sheet(rows: pd.DataFrame, columns: Sequence[Column]) -> Sheet:
    """Lay out a model a row, with those of the columns that hold a number."""
    shown = [column for column in columns if column.name in rows and rows[column.name].notna().any()]
    heads = [Head("model", "what forecasts", numeric=False)]
    heads += [Head(column.head, column.meaning, extra=column.extra, best=column.best) for column in shown]
    parts = [[Cell(str(model)) for model in rows["model"]]]
    for column in shown:
        values = rows[column.name].tolist()
        texts = column.texts(values)
        notes = _skill_intervals(rows) if column.name == "skill" else [""] * len(values)
        parts.append(_cells(values, texts, best_of(column, values, texts), notes))
    return Sheet(heads, [list(cells) for cells in zip(*parts, strict=True)])


def overview_sheet(comparison: Comparison, metric: str) -> Sheet:
    """Lay out one metric, a model a row and a data set with its horizon a column."""
    models, column = models_of(comparison), METRIC[metric]
    heads = [Head("model", "what forecasts", numeric=False)]
    parts = [[Cell(model) for model in models]]
    for panel in panels_of(comparison):
        rows = panel.of(comparison.leaderboard).set_index("model")[metric].reindex(models)
        if rows.notna().any():
            values = rows.tolist()
            texts = column.texts(values)
            meaning = f"{column.head}: {column.meaning}"
            heads.append(Head(str(panel.horizon), meaning, group=panel.data, best=column.best))
            parts.append(_cells(values, texts, best_of(column, values, texts)))
    return Sheet(heads, [list(cells) for cells in zip(*parts, strict=True)])


def steps_sheet(rows: pd.DataFrame, metric: str, models: Sequence[str], *, most: int = 24) -> Sheet:
    """Lay out one metric, a step ahead a row and a model a column; of a long horizon, every second step or fewer."""
    wide = rows.pivot_table(index="step", columns="model", values=metric, aggfunc="mean")
    wide = wide[[model for model in models if model in wide]]
    kept = wide.iloc[:: -(-len(wide) // most)] if len(wide) else wide
    heads = [Head("step", "steps ahead", numeric=True), *(Head(str(model)) for model in kept)]
    parts = [[Cell(str(step), float(step)) for step in kept.index]]
    for model in kept:
        values = kept[model].tolist()
        parts.append(_cells(values, METRIC[metric].texts(values), [False] * len(values)))
    return Sheet(heads, [list(cells) for cells in zip(*parts, strict=True)])


def failures_sheet(cells: pd.DataFrame) -> Sheet:
    """Lay out the cells that failed, and why; those that failed alike in one row."""
    failed = cells[cells["status"].eq("failed")]
    keys = ["model", "data", "horizon", "reason"]
    counts = failed.groupby(keys, sort=False).size().rename("cells").reset_index()
    heads = [Head("model", numeric=False), Head("data", numeric=False), Head("horizon"), Head("cells")]
    heads.append(Head("reason", numeric=False))
    rows = [
        [Cell(str(model)), Cell(str(data)), Cell(str(horizon), horizon), Cell(str(count), count), Cell(str(reason))]
        for model, data, horizon, reason, count in counts.itertuples(index=False)
    ]
    return Sheet(heads, rows)


def panel_name(panel: Panel) -> str:
    """Name a data set and a horizon as a heading does."""
    return f"{panel.data}, horizon {panel.horizon}"


def _skill_intervals(rows: pd.DataFrame) -> list[str]:
    return intervals(rows["skill_low"].tolist(), rows["skill_high"].tolist())


def _cells(
    values: Sequence[Any], texts: Sequence[str], best: Sequence[bool], notes: Sequence[str] | None = None
) -> list[Cell]:
    """Numbers sort by what five digits hold, which is more than is read."""
    sorts = [float(f"{value:.5g}") if is_number(value) else None for value in values]
    return [Cell(*parts) for parts in zip(texts, sorts, best, notes or [""] * len(texts), strict=True)]
