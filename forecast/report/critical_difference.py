"""The critical-difference diagram: mean ranks on a line, and bars over the models that are not told apart."""

from __future__ import annotations

from math import ceil, floor
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecast.report import style

_NAME = 28  # letters
_ROW, _BAR = 0.28, 0.16  # inches from label to label, from bar to bar
_MARGIN = 0.05  # of the line of ranks, on either side of it, for the lines to the names


class Label(NamedTuple):
    """A model: its mean rank, the side that its name stands on, and the row, from 0 at the top."""

    model: str
    rank: float
    side: str  # "left" or "right"
    row: int


class Bar(NamedTuple):
    """Models that are not told apart, from the best rank to the worst, and the row of the bar, from 0 at the top."""

    low: float
    high: float
    row: int


class Diagram(NamedTuple):
    """What a critical-difference diagram shows, in ranks and rows, for whatever draws it."""

    low: int  # ends of the axis, in ranks
    high: int
    critical_difference: float  # NaN where there is none
    labels: list[Label]
    bars: list[Bar]


def diagram(ranks: pd.DataFrame) -> Diagram:
    """Lay out one table of ranks.

    The better half of the models has its names on the left, the best on top; the rest on the right, the worst on top:
    no two lines to a name cross.

    Parameters
    ----------
    ranks : DataFrame
        Of one data set and horizon, as `ranks_table` returns it.

    References
    ----------
    Demšar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7, 1-30, figure 1.
    """
    ordered = ranks.sort_values("mean_rank", kind="stable")
    values, apart = ordered["mean_rank"].to_numpy(), float(ordered["critical_difference"].iloc[0])
    half = ceil(len(values) / 2)
    places = [("left", place) if place < half else ("right", len(values) - 1 - place) for place in range(len(values))]
    named = zip(ordered["model"].astype(str), values.tolist(), places, strict=True)
    labels = [Label(model, rank, side, row) for model, rank, (side, row) in named]
    low, high = floor(values.min()), ceil(values.max())
    room = low + ceil(apart) if np.isfinite(apart) else low
    return Diagram(low, max(high, room, low + 1), apart, labels, _bars(ordered))


def critical_difference_figure(ranks: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw the diagram of one table of ranks.

    Parameters
    ----------
    ranks : DataFrame
        Of one data set and horizon, as `ranks_table` returns it.
    title : str
        Above the diagram.
    """
    laid = diagram(ranks)
    palette = style.colours(label.model for label in laid.labels)
    rows = 1 + max(label.row for label in laid.labels)
    depth = _BAR * (1 + max((bar.row for bar in laid.bars), default=-1))
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=1.35 + depth + _ROW * rows)
        axis = figure.subplots()
        axis.set_axis_off()
        # Inches below the line of ranks: rows then keep their distance however many there are.
        axis.set_ylim(depth + _ROW * rows + 0.1, -0.75)
        span = laid.high - laid.low
        axis.set_xlim(laid.low - _MARGIN * span, laid.high + _MARGIN * span)
        _draw_line(axis, laid)
        for bar in laid.bars:
            ends, height = [bar.low - 0.006 * span, bar.high + 0.006 * span], 0.14 + _BAR * bar.row
            axis.plot(ends, [height] * 2, color=style.TRUTH, linewidth=4, solid_capstyle="butt", zorder=4)
        for label in laid.labels:
            _draw_label(axis, laid, label, colour=palette[label.model], depth=depth + _ROW * (label.row + 0.75))
        figure.suptitle(title, x=0.01, ha="left")
        figure.supxlabel(_note(ranks), fontsize=9, color=style.HISTORY)
    return figure


def _bars(ordered: pd.DataFrame) -> list[Bar]:
    """Put a bar over each group of two models or more, in the first row where it meets none."""
    members = ordered.assign(group=ordered["groups"].str.split()).explode("group").groupby("group")["mean_rank"]
    spans = members.agg(["min", "max", "size"]).query("size > 1").sort_values(["min", "max"])
    bars: list[Bar] = []
    for low, high in spans[["min", "max"]].itertuples(index=False):
        taken = {bar.row for bar in bars if bar.high >= low}
        bars.append(Bar(float(low), float(high), next(row for row in range(len(bars) + 1) if row not in taken)))
    return bars


def _draw_line(axis: Axes, laid: Diagram) -> None:
    """Draw the line of ranks with its ticks, and the critical difference above it."""
    axis.plot([laid.low, laid.high], [0, 0], color=style.TRUTH, linewidth=1.2)
    step = max(1, ceil((laid.high - laid.low) / 12))
    for rank in range(laid.low, laid.high + 1, step):
        axis.plot([rank, rank], [-0.07, 0], color=style.TRUTH, linewidth=1)
        axis.text(rank, -0.1, f"{rank}", ha="center", va="bottom", fontsize=9)
    if np.isfinite(laid.critical_difference):
        end = laid.low + laid.critical_difference
        axis.plot([laid.low, end], [-0.5, -0.5], color=style.TRUTH, linewidth=1.2, marker="|", markersize=8)
        note = f"critical difference {laid.critical_difference:.2f}"
        axis.text((laid.low + end) / 2, -0.56, note, ha="center", va="bottom", fontsize=9)


def _draw_label(axis: Axes, laid: Diagram, label: Label, *, colour: str, depth: float) -> None:
    """Draw the line from a rank down and across to the name of its model."""
    left = label.side == "left"
    margin = _MARGIN * (laid.high - laid.low)
    end = laid.low - margin if left else laid.high + margin
    axis.plot([label.rank, label.rank, end], [0, depth, depth], color=colour, linewidth=1.2, zorder=2)
    name, rank = style.shortened(label.model, length=_NAME), f"{label.rank:.2f}"
    axis.annotate(
        f"{name}  {rank}" if left else f"{rank}  {name}",
        (end, depth),
        xytext=(-5 if left else 5, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=9.5,
        fontweight="normal" if label.model in style.BASELINES else "bold",
    )


def _note(ranks: pd.DataFrame) -> str:
    series = f"mean rank over {ranks['series'].iloc[0]:,} series, 1 is best"
    return f"{series}; models under one bar are not told apart" if ranks["series"].iloc[0] > 1 else series
