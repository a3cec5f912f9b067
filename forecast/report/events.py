"""The figure of an event's forecasts: what was seen, below it the probability of the event, and whether it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecast.report import sheet, style
from forecast.report.forecasts import SCENARIOS, cutoffs_apart, tail
from forecast.report.panels import (
    Panel,
    check_forecasts,
    draw_baselines,
    draw_cutoff,
    draw_observed,
    panels_of,
)

if TYPE_CHECKING:
    from forecast.data.columns import Columns

_RECENT = 6  # folds, about as many as are shown
_HEIGHTS = (0.85, 0.65)  # of values, and of probabilities


def event_figure(
    history: pd.DataFrame,
    scored: pd.DataFrame | None,
    future: pd.DataFrame | None,
    *,
    columns: Columns,
    model: str,
    event: str,
    title: str = "",
    series: Sequence[Any] | None = None,
    baselines: Sequence[str] = ("base_rate",),
    context: int,
) -> Figure:
    """Draw up to four series, or pairs of series and target: values above, the probability of the event below.

    Series on which the event occurred lately come first.

    Parameters
    ----------
    history, scored, future, columns, model, title, series, baselines, context
        As of `forecast_figure`; forecasts are probabilities, and `y` is 1 where the event occurred and 0 where not.
    event : str
        What a target does where it occurs, in words.

    Raises
    ------
    ValueError
        If a series or the model is not in the frames, or there are two forecasts for one time.
    """
    check_forecasts(scored, future, columns=columns, model=model)
    first = None if scored is None else _with_events_first(scored, columns)
    frames = {"history": history, "scored": first, "future": future}
    panels, left_out = panels_of(series, frames, columns=columns, event=True)
    palette = style.colours([model, *(name for name in baselines if name != model)])
    names = [] if future is None or "scenario" not in future else list(map(str, future["scenario"].unique()))
    shades = style.distinct(names[:SCENARIOS], taken=palette.values()) if names else {}
    more = f"{SCENARIOS} of {len(names)} scenarios" if len(names) > SCENARIOS else ""
    title = title or f"Probability that {' or '.join(columns.targets)} {event}"
    with mpl.rc_context(style.STYLE):
        both = [one for panel in panels for one in (panel, replace(panel, title="", label="probability"))]
        figure, axes = sheet.stacked(both, heights=_HEIGHTS * len(panels))
        for above, below, panel in zip(axes[::2], axes[1::2], panels, strict=True):
            _draw_pair(above, below, panel, model=model, palette=palette, scenarios=shades, context=context)
        sheet.finish(figure, both, columns=columns, times=history[columns.time], title=title, notes=(left_out, more))
        for axis in axes[::2]:
            axis.tick_params(labelbottom=False)
            axis.xaxis.get_offset_text().set_visible(False)
    return figure


def _with_events_first(scored: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    lately = scored["y"].where(scored["fold"] > scored["fold"].max() - _RECENT)
    found = lately.groupby(scored[columns.id], observed=True).transform("max").fillna(0)
    return scored.iloc[np.argsort(-found.to_numpy(), kind="stable")]


def _draw_pair(
    above: Axes,
    below: Axes,
    panel: Panel,
    *,
    model: str,
    palette: Mapping[str, str],
    scenarios: Mapping[str, str],
    context: int,
) -> None:
    """Draw the tail of the history, and from each cutoff the probabilities and what came."""
    scored, future = panel.scored, panel.future
    bold = scored.loc[scored["model"] == model] if len(scored) else scored
    observed = tail(panel.observed, bold, future, horizons=4, context=context)
    cutoffs = cutoffs_apart(bold, since=observed.index.min()) if len(bold) else []
    draw_observed(above, observed, since=min(cutoffs, default=np.inf))
    others = {name: colour for name, colour in palette.items() if name != model}
    for cutoff in cutoffs:
        for axis in (above, below):
            draw_cutoff(axis, cutoff)
        rows = bold.loc[bold["cutoff"] == cutoff]
        _draw_probability(below, rows, label=model, colour=palette[model])
        draw_baselines(below, scored.loc[scored["cutoff"] == cutoff], others)
        _mark(below, rows["y"])
    if len(future):
        for name, colour in (scenarios or {model: palette[model]}).items():
            rows = future.loc[future["scenario"].astype(str) == name] if scenarios else future
            _draw_probability(below, rows, label=name, colour=colour)
    start = observed.index.max() if len(observed) else future.index[0]
    ends = [*bold.index[-1:], *future.index[-1:], start]
    for axis in (above, below):
        axis.set_xlim(observed.index.min() if len(observed) else start, max(ends))
        if len(future):
            axis.axvspan(
                start, max(ends), color=style.AHEAD, linewidth=0, label="beyond the last observation", zorder=0
            )
    are_events = set(observed.dropna()) <= {0.0, 1.0}
    for axis in (above, below) if are_events else (below,):
        axis.set_ylim(-0.06, 1.06)
        axis.set_yticks([0, 0.5, 1] if axis is below else [0, 1])


def _draw_probability(axis: Axes, rows: pd.DataFrame, *, label: str, colour: str) -> None:
    look = style.line_style("", steps=len(rows))
    axis.plot(rows.index, rows["forecast"], color=colour, label=label, zorder=3, clip_on=False, **look)


def _mark(axis: Axes, occurred: pd.Series) -> None:
    """Draw a dot for each step, full at 1 where the event occurred, empty at 0 where it did not."""
    for value, label, face in ((1, "it came", style.TRUTH), (0, "it did not", "white")):
        here = occurred[occurred == value]
        if len(here):  # nothing, not clipped, would stand in the corner of the figure and spoil its layout
            axis.plot(
                here.index, here, linestyle="", marker="o", markersize=3.5, color=style.TRUTH, markerfacecolor=face,
                label=label, zorder=5, clip_on=False,
            )  # fmt: skip
