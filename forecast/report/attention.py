"""The figure of attention: which steps of the context each step ahead looks at."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from forecast.data.columns import Columns
from forecast.frames import AHEAD, BACK, TARGET, WEIGHT
from forecast.report import style

PANELS = 4  # targets that are drawn, at most
_SHADES = LinearSegmentedColormap.from_list("weights", ["#FFFFFF", style.MODEL, "#00263D"])


def attention_figure(weights: pd.DataFrame, *, columns: Columns) -> Figure:
    """Draw the mean weight over series of each step of the context, by step of the horizon.

    Parameters
    ----------
    weights : pd.DataFrame
        As `Forecaster.attention` returns it; of several targets, each has a panel, the first four of them.
    columns : Columns
        Roles of its columns.
    """
    parts = dict(list(weights.groupby(TARGET, sort=False))[:PANELS]) if TARGET in weights else {"": weights}
    count = weights[columns.id].nunique()
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=0.8 + 2.6 * len(parts))
        axes = figure.subplots(len(parts), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (name, rows) in zip(axes, parts.items(), strict=True):
            _draw(figure, axis, _table(rows, series=count))
            axis.set_title(style.shortened(str(name), length=90))
        axes[-1].set_xlabel("step of the context, counted from the cutoff (0 is the last known)")
        equal = f"equal weights would be {1 / weights[BACK].nunique():.3g}"
        one = style.shortened(str(weights[columns.id].iloc[0]), length=40)
        note = f"mean over {count:,} series; {equal}" if count > 1 else f"{one}; {equal}"
        figure.suptitle(note, fontsize=9.5, fontweight="normal", x=0.01, ha="left")
    return figure


def _table(rows: pd.DataFrame, *, series: int) -> pd.DataFrame:
    """Return the mean weight by step ahead and place in the context; where a series has no step, its weight is 0."""
    return (rows.pivot_table(index=AHEAD, columns=BACK, values=WEIGHT, aggfunc="sum") / series).sort_index(axis=1)


def _draw(figure: Figure, axis: Axes, table: pd.DataFrame) -> None:
    """Draw a table of steps ahead (rows) by steps back (columns), the latest on the right."""
    first, last = -float(table.columns.max()), -float(table.columns.min())
    image = axis.imshow(
        table.to_numpy()[:, ::-1],
        aspect="auto",
        interpolation="nearest",
        cmap=_SHADES,
        vmin=0,
        extent=(first - 0.5, last + 0.5, len(table) + 0.5, 0.5),
    )
    style.tidy(axis)
    style.mark_whole(axis)
    axis.grid(False)
    axis.margins(0)
    axis.set_ylabel("step of the horizon")
    apart = -(-len(table) // 8)
    axis.set_yticks(range(1, len(table) + 1, apart))
    bar = figure.colorbar(image, ax=axis, pad=0.01, aspect=18, format=FuncFormatter(lambda value, _: f"{value:.3g}"))
    bar.set_label("weight")
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, color=style.QUIET, length=3)
