"""The figure of calibration: whether what is given a probability of a tenth happens once in ten times."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from forecast.evaluation.events import bins
from forecast.report import style
from forecast.report.legends import entries, fit_legend

_Z = 1.96  # of the interval of 95 %
_FEW = 10  # forecasts that a dot stands for
_LEAST = 0.005  # room beyond what is drawn


def calibration_figure(forecasts: pd.DataFrame, *, event: str) -> Figure:
    """Draw the share of events beside the probability forecast, and how many forecasts each dot stands for.

    Parameters
    ----------
    forecasts : DataFrame
        Of a backtest of events: `model`, `forecast` and `y`; the first model is drawn bold. Up to ten dots stand
        for ranges of forecasts of equal width, none for fewer than ten; bars are intervals of 95 % as if all steps were
        independent, which those of one window are not.
    event : str
        What a target does where the event occurs, in words.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, for the intervals; Bröcker and
    Smith (2007), Increasing the reliability of reliability diagrams.
    """
    known = forecasts.loc[forecasts["y"].notna()]
    palette = style.colours(known["model"].astype(str))
    tables = {name: reliability(known.loc[known["model"] == name]) for name in palette}
    tables = {name: table[table["count"] >= min(_FEW, table["count"].max())] for name, table in tables.items()}
    first = next(iter(palette))
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=5.6)
        axis, beside = figure.subplots(1, 2, width_ratios=(1.6, 1))
        for axes in (axis, beside):
            style.tidy(axes)
        own = known.loc[known["model"] == first, "forecast"]
        low, high = _reach(tables, own)
        axis.plot([low, high], [low, high], color=style.QUIET, linewidth=0.9, linestyle=":", label="as it should be")
        for name, table in tables.items():
            _draw(axis, table, colour=palette[name], label=name, is_bold=name == first)
        axis.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
        axis.set_xlabel(f"probability that a target {event}")
        axis.set_ylabel("share of steps on which it does")
        beside.hist(
            own, bins=np.linspace(own.min() - _LEAST, own.max() + _LEAST, 31), color=style.tint(palette[first], 0.5)
        )
        beside.set_xlim(low, high)
        beside.set_xlabel(f"probability of {style.shortened(first, length=20)}")
        beside.set_ylabel("number of steps")
        beside.yaxis.set_major_locator(MaxNLocator(integer=True))
        fit_legend(figure, figure, entries([axis]), loc="outside lower center")
    return figure


def reliability(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean `forecast`, share of events `y` with `low` and `high`, and `count` of each bin."""
    groups = rows.groupby(bins(rows["forecast"]))
    table = groups[["forecast", "y"]].mean().assign(count=groups.size())
    share, count = table["y"], table["count"]
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    reach = _Z / (1 + _Z**2 / count) * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return table.assign(low=centre - reach, high=centre + reach).reset_index(drop=True)


def _draw(axis: Axes, table: pd.DataFrame, *, colour: str, label: str, is_bold: bool) -> None:
    """Draw the dots of a model, with intervals and a line through them where it is bold."""
    look: dict[str, Any] = {"linewidth": 2.2, "markersize": 6} if is_bold else {"linestyle": "", "markersize": 4}
    axis.plot(table["forecast"], table["y"], color=colour, label=label, marker="o", zorder=4 + is_bold, **look)
    if is_bold:
        axis.vlines(table["forecast"], table["low"], table["high"], color=style.tint(colour, 0.6), zorder=3)


def _reach(tables: dict[str, pd.DataFrame], own: pd.Series) -> tuple[float, float]:
    """Return the ends of both axes: all that is drawn, the bold model's forecasts, and a little more."""
    bold, *others = tables.values()
    drawn = np.concatenate([bold[["low", "high"]], *(table[["forecast", "y"]] for table in others)]).ravel()
    low, high = min(drawn.min(), own.min()), max(drawn.max(), own.max())
    room = 0.03 * (high - low) + _LEAST
    return float(low - room), float(high + room)
