"""The figure of importance: how much the error rises with each covariate shuffled."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from forecast.report import style

BARS = 20  # covariates that are drawn, at most

_NAME = 34  # letters


def importance_figure(importance: pd.DataFrame) -> Figure:
    """Draw a bar for each covariate, the most important on top, with its spread over repeats.

    Parameters
    ----------
    importance : pd.DataFrame
        As `importance_table` returns it; the first twenty rows are drawn.

    Raises
    ------
    ValueError
        If no row holds a number.
    """
    told = importance[importance["importance"].notna()]
    if told.empty:
        raise ValueError("no covariate has an importance, so there is nothing to draw.")
    drawn, metric = told.head(BARS), told["metric"].iloc[0].upper()
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=1.3 + 0.34 * len(drawn))
        axis = figure.subplots()
        style.tidy(axis)
        _draw_bars(axis, drawn)
        axis.set_xlabel(f"rise of the {metric} when shuffled, %")
        some = f"the first {BARS} of {len(told)} covariates; " if len(told) > BARS else ""
        note = f"{some}{metric} {told['error'].iloc[0]:.3g} with nothing shuffled; whiskers: one deviation over repeats"
        figure.suptitle(note, fontsize=9.5, fontweight="normal", x=0.01, ha="left")
    return figure


def _draw_bars(axis: Axes, rows: pd.DataFrame) -> None:
    places = np.arange(len(rows))
    rises, spreads = rows["importance"].to_numpy(), rows["deviation"].to_numpy()
    whiskers = {"ecolor": style.HISTORY, "elinewidth": 1.2, "capsize": 3}
    axis.barh(places, rises, height=0.62, xerr=spreads, color=style.MODEL, error_kw=whiskers, zorder=3)
    axis.axvline(0, color=style.TRUTH, linewidth=0.9, zorder=4)
    axis.set_yticks(places, [_name(*row) for row in rows[["covariate", "role"]].itertuples(index=False)])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.grid(False, axis="y")
    axis.margins(x=0.06)
    axis.xaxis.set_major_locator(MaxNLocator(8))
    axis.xaxis.set_major_formatter(style.NUMBERS)


def _name(covariate: str, role: str) -> str:
    name = style.shortened(covariate, length=_NAME)
    return name if name == role else f"{name} ({role})"
