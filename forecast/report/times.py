"""The figure of errors by time: by hour of the day, day of the week, month of the year."""

from __future__ import annotations

from calendar import day_abbr, month_abbr

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecast.report import style
from forecast.report.legends import entries, fit_legend
from forecast.report.scores import NAMES

FEWEST = 10  # observed steps of a model, below which an hour, day or month says too little to be drawn
TITLES = {"hour": "hour of the day", "weekday": "day of the week", "month": "month of the year"}

_WIDTHS = {"hour": 24, "weekday": 10, "month": 12}  # of the panels, side by side
_ROOM = 6  # days or months that have room for three letters


def time_error_figure(per_time: pd.DataFrame, *, model: str, rival: str | None = None, metric: str = "mase") -> Figure:
    """Draw the error of a model, and of one other, at each hour, day or month; a panel for each unit of time.

    Parameters
    ----------
    per_time : pd.DataFrame
        Columns `model`, `unit`, `value`, `steps` and the metric; values with fewer than ten steps are left out.
    model, rival : str
        Drawn bold, and dashed.
    metric : str
        Column to draw.

    Raises
    ------
    ValueError
        If no unit has two values with enough steps.
    """
    rows = told_by_time(per_time, metric=metric)
    if rows.empty:
        raise ValueError(f"fewer than two hours, days or months have {FEWEST} steps, so there is nothing to draw.")
    units = {unit: rows[rows["unit"] == unit] for unit in TITLES if (rows["unit"] == unit).any()}
    palette = style.colours([model, *([rival] if rival else [])])
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=3.5)
        widths = [_WIDTHS[unit] for unit in units]
        axes = figure.subplots(1, len(units), sharey=True, squeeze=False, width_ratios=widths)[0]
        for axis, (unit, part) in zip(axes, units.items(), strict=True):
            _draw(axis, part, palette, metric=metric)
            _mark(axis, unit, part["value"])
        low, high = rows[metric].min(), rows[metric].max()
        if low < high / 2:
            axes[0].set_ylim(bottom=0)
        axes[0].set_ylabel(NAMES.get(metric, metric))
        note = _left_out(per_time[per_time[metric].notna()], rows)
        fit_legend(figure, figure, entries(axes), loc="outside lower center", title=note or None)
    return figure


def told_by_time(per_time: pd.DataFrame, *, metric: str) -> pd.DataFrame:
    """Return the rows of a table by time that have enough steps, of units with two such values or more."""
    enough = per_time[(per_time["steps"] >= FEWEST) & per_time[metric].notna()]
    return enough[enough.groupby("unit")["value"].transform("nunique") > 1]


def _left_out(asked: pd.DataFrame, drawn: pd.DataFrame) -> str:
    """Return what is not drawn, in words."""
    told = []
    for unit in TITLES:
        all_of, some = (int(frame.loc[frame["unit"] == unit, "value"].nunique()) for frame in (asked, drawn))
        if all_of > some:
            told.append(f"{all_of - some} of {all_of} {unit}s")
    return f"left out, with fewer than {FEWEST} steps: {', '.join(told)}" if told else ""


def _draw(axis: Axes, rows: pd.DataFrame, palette: dict[str, str], *, metric: str) -> None:
    style.tidy(axis)
    values = np.unique(rows["value"])
    every = np.arange(values[0], values[-1] + 1, np.diff(values).min())  # what is left out interrupts a line
    for name, colour in palette.items():
        line = rows.loc[rows["model"] == name].set_index("value")[metric].reindex(every)
        look = style.line_style(name, steps=len(line)) | {"marker": "o", "markersize": 4}
        axis.plot(line.index, line, color=colour, label=name, zorder=4, **look)


def _mark(axis: Axes, unit: str, values: pd.Series) -> None:
    """Write the hours, days or months below a panel."""
    axis.set_title(TITLES[unit])
    first, last = values.min(), values.max()
    axis.set_xlim(first - 0.5, last + 0.5)
    if unit == "hour":
        axis.set_xticks([hour for hour in range(0, 24, 3) if first <= hour <= last])
        return
    names = list(day_abbr) if unit == "weekday" else month_abbr[1:]
    letters = 3 if last - first < _ROOM else 1 if unit == "month" else 2
    axis.set_xticks(range(first, last + 1), [name[:letters] for name in names[first - 1 : last]])
