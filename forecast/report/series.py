"""The figure of errors by series: where a model is better than another, and by how much."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from forecast.report import style

NAMED = 30  # series that have their names beside them
FEWEST_SERIES = 3  # series that make a distribution

_NAME = 34  # letters
_WORSE = style.BASELINES["ridge"]


def series_error_figure(errors: pd.DataFrame, *, model: str, rival: str, metric: str) -> Figure:
    """Draw the error of a model relative to that of another, a dot for each series, the best on top.

    Parameters
    ----------
    errors : pd.DataFrame
        As `relative_errors` returns it.
    model, rival : str
        Whose errors are divided, and by whose.
    metric : str
        What the error is called.

    Raises
    ------
    ValueError
        If fewer than three series have a ratio that is finite and above 0.
    """
    ratio, drawn = errors["ratio"], with_ratio(errors)["ratio"].sort_values(kind="stable")
    if len(drawn) < FEWEST_SERIES:
        raise ValueError(f"{len(drawn)} series have a ratio that can be drawn; it takes {FEWEST_SERIES}.")
    named = len(drawn) <= NAMED
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=1.3 + 0.24 * len(drawn) if named else 4.2)
        axis = figure.subplots()
        style.tidy(axis)
        _draw_dots(axis, drawn, named=named)
        axis.set_xlabel(f"{metric} of {style.shortened(model, length=_NAME)} over that of {rival} (logarithmic)")
        figure.suptitle(_said(ratio, model=model), fontsize=9.5, fontweight="normal", x=0.01, ha="left")
    return figure


def with_ratio(errors: pd.DataFrame) -> pd.DataFrame:
    """Return the series whose ratio is finite and above 0."""
    return errors[(errors["ratio"] > 0) & np.isfinite(errors["ratio"])]


def _said(ratio: pd.Series, *, model: str) -> str:
    """Return on how many series a model is better, in words."""
    better, kind = int((ratio < 1).sum()), "pairs of series and target" if ratio.index.nlevels > 1 else "series"
    exact = int(((ratio == 0) | np.isinf(ratio)).sum())
    hidden = f"; {exact} with an error of 0 are not drawn" if exact else ""
    share = f"{better} of {len(ratio)} {kind} ({better / len(ratio):.0%})"
    return f"{style.shortened(model, length=_NAME)} is better on {share}; median ratio {ratio.median():.2f}{hidden}"


def _draw_dots(axis: Axes, ratio: pd.Series, *, named: bool) -> None:
    places = np.arange(len(ratio))
    colours = np.where(ratio < 1, style.MODEL, _WORSE)
    if named:
        axis.hlines(places, 1, ratio, color=colours, linewidth=1.4, zorder=3)
        axis.set_yticks(places, [_name(name) for name in ratio.index])
    else:
        axis.set_ylabel("series, in order")
        axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.scatter(ratio, places, s=30 if named else 7, c=colours, linewidths=0, zorder=4)
    axis.axvline(1, color=style.TRUTH, linewidth=0.9, zorder=2)
    pad = 0.6 if named else 0.02 * len(ratio)
    axis.set_ylim(len(ratio) - 1 + pad, -pad)
    axis.set_xscale("log")
    span = np.log10(ratio.max() / ratio.min())
    axis.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]) if span < 1 else LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axis.margins(x=0.04)


def _name(name: object) -> str:
    parts = name if isinstance(name, tuple) else (name,)
    return style.shortened(" \N{MIDDLE DOT} ".join(map(str, parts)), length=_NAME)
