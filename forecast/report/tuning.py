"""The figures of a search for settings: its trials one after another, and what the settings explain."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from forecast.report import style

FAR = 3.0  # times the error of default settings, beyond which a trial is drawn at the edge


def trials_figure(trials: pd.DataFrame, *, label: str) -> Figure:
    """Draw the error of each trial, the lowest so far, and that of default settings; hollow, what was given up.

    Parameters
    ----------
    trials : pd.DataFrame
        Columns `trial`, `error` and `midway`, the error of a trial when it was given up; the first row is that of
        default settings.
    label : str
        Of the error.
    """
    done = trials[trials["error"].notna()]
    usual = float(done["error"].iloc[0])
    top = usual * FAR
    given_up = trials[trials["midway"].notna()]
    failed = trials[trials["error"].isna() & trials["midway"].isna()]
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=3.6)
        axis = figure.subplots()
        style.tidy(axis)
        axis.axhline(usual, color=style.HISTORY, linewidth=1.3, linestyle=(0, (4, 2)), label="default settings")
        shown = np.minimum(done["error"], top)
        axis.plot(done["trial"], shown, "o", color=style.MODEL, markersize=5, alpha=0.6, label="a trial")
        lowest = done["error"].cummin()
        axis.step(done["trial"], lowest, where="post", color=style.MODEL, linewidth=2, label="lowest so far")
        if len(given_up):
            place = np.minimum(given_up["midway"], top)
            axis.plot(
                given_up["trial"], place, "o", color=style.QUIET, markerfacecolor="none", markersize=5, label="given up"
            )
        if len(failed):
            place = np.full(len(failed), shown.max())
            axis.plot(failed["trial"], place, "x", color=style.QUIET, markersize=5, label="failed")
        axis.set_xlabel("trial")
        axis.set_ylabel(f"{label}, validation windows")
        style.mark_whole(axis)
        axis.legend(loc="upper left", bbox_to_anchor=(0, 1.14), ncols=5, borderaxespad=0)
    return figure


def settings_figure(importance: pd.DataFrame, *, label: str, trials: int) -> Figure:
    """Draw a bar for each setting, the one that explains most on top.

    Parameters
    ----------
    importance : pd.DataFrame
        Columns `setting` and `importance`, highest first.
    label : str
        Of the error.
    trials : int
        That are finished, which the shares are of.

    Raises
    ------
    ValueError
        If there is no row.
    """
    if importance.empty:
        raise ValueError("no setting has an importance, so there is nothing to draw.")
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=1.1 + 0.34 * len(importance))
        axis = figure.subplots()
        style.tidy(axis)
        places = np.arange(len(importance))
        axis.barh(places, 100 * importance["importance"], height=0.62, color=style.MODEL, zorder=3)
        axis.set_yticks(places, list(importance["setting"]))
        axis.set_ylim(len(importance) - 0.4, -0.6)
        axis.grid(False, axis="y")
        axis.xaxis.set_major_formatter(style.NUMBERS)
        axis.set_xlabel(f"share of the variance of the {label} over {trials} trials, % (fANOVA)")
    return figure
