"""The figure of a run's forecasts: what was seen, what was forecast, and with which interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecast.report import sheet, style
from forecast.report.panels import (
    Panel,
    check_forecasts,
    draw_baselines,
    draw_cutoff,
    draw_forecast,
    draw_observed,
    draw_paths,
    panels_of,
)

if TYPE_CHECKING:
    from forecast.data.columns import Columns

SCENARIOS = 5  # more than these cannot be told apart


def forecast_figure(
    history: pd.DataFrame,
    scored: pd.DataFrame | None,
    future: pd.DataFrame | None,
    *,
    columns: Columns,
    model: str,
    title: str = "",
    series: Sequence[Any] | None = None,
    baselines: Sequence[str] = ("seasonal_naive",),
    context: int,
    paths: pd.DataFrame | None = None,
) -> Figure:
    """Draw up to four series, one panel each, or up to four pairs of series and target.

    Parameters
    ----------
    history : pd.DataFrame
        Id, time and a column for each target; the truth that was held back may be part of it.
    scored : pd.DataFrame, optional
        A backtest: forecasts with `cutoff`, `model` and `y`, and with several targets `target`. Where cutoffs lie
        closer than the horizon, the newest that do not overlap are drawn.
    future : pd.DataFrame, optional
        A forecast beyond the last observation. With a column `scenario`, the first five scenarios are drawn, each
        in its colour.
    model : str
        Whose forecasts are drawn bold, with intervals.
    series : sequence, optional
        Ids of the series to draw; the first with a forecast unless given.
    baselines : sequence of str
        Further models of `scored`, dashed; one that is not in the frame is left out.
    context : int
        Steps that the model reads; about as many are shown, and four horizons, or two before scenarios alone.
    paths : pd.DataFrame, optional
        Sample paths of the future, with a column `sample`; the first ten are drawn, of scenarios none.

    Returns
    -------
    A figure with one axes a panel and one legend.

    Raises
    ------
    ValueError
        If a series or the model is not in the frames, or there are two forecasts for one time.
    """
    check_forecasts(scored, future, columns=columns, model=model)
    frames = {"history": history, "scored": scored, "future": future, "paths": paths}
    panels, left_out = panels_of(series, frames, columns=columns)
    palette = style.colours([model, *(name for name in baselines if name != model)])
    scenarios = [] if future is None or "scenario" not in future else list(future["scenario"].unique())
    taken = () if scored is None else palette.values()
    shades = style.distinct(map(str, scenarios[:SCENARIOS]), taken=taken)
    more = f"{SCENARIOS} of {len(scenarios)} scenarios" if len(scenarios) > SCENARIOS else ""
    with mpl.rc_context(style.STYLE):
        figure, axes = sheet.stacked(panels)
        for axis, panel in zip(axes, panels, strict=True):
            _draw_panel(axis, panel, model=model, palette=palette, scenarios=shades, context=context)
        times = history[columns.time]
        sheet.finish(figure, panels, columns=columns, times=times, title=title, notes=(left_out, more))
    return figure


def _draw_panel(
    axis: Axes, panel: Panel, *, model: str, palette: Mapping[str, str], scenarios: Mapping[str, str], context: int
) -> None:
    """Draw the tail of the history, then each cutoff with what was forecast from it, then the future."""
    scored, future = panel.scored, panel.future
    bold = scored.loc[scored["model"] == model] if len(scored) else scored
    # Scenarios are looked at ahead of all: less of what was before leaves room to tell them apart.
    horizons = 2 if scenarios and not len(bold) else 4
    observed = tail(panel.observed, bold, future, horizons=horizons, context=context)
    cutoffs = cutoffs_apart(bold, since=observed.index.min()) if len(bold) else []
    draw_observed(axis, observed, since=min(cutoffs, default=np.inf))
    others = {name: colour for name, colour in palette.items() if name != model}
    for cutoff in cutoffs:
        draw_cutoff(axis, cutoff)
        draw_forecast(axis, bold.loc[bold["cutoff"] == cutoff], observed, label=model, colour=palette[model])
        draw_baselines(axis, scored.loc[scored["cutoff"] == cutoff], others)
    if not len(future):
        return
    if scenarios:
        sheer = min(0.2, 0.36 / len(scenarios))
        for name, colour in scenarios.items():
            rows = future.loc[future["scenario"].astype(str) == name]
            if len(rows):
                draw_forecast(axis, rows, observed, label=name, colour=colour, sheer=sheer)
    else:
        draw_forecast(axis, future, observed, label=model, colour=palette[model])
        draw_paths(axis, panel.paths, colour=palette[model])
    start, end = observed.index.max() if len(observed) else future.index[0], axis.get_xlim()[1]
    axis.axvspan(start, end, color=style.AHEAD, linewidth=0, label="beyond the last observation", zorder=0)
    axis.set_xlim(right=end)


def tail(observed: pd.Series, bold: pd.DataFrame, future: pd.DataFrame, *, horizons: int, context: int) -> pd.Series:
    """Return what a panel shows: some horizons up to the end of the last forecast, and the context before."""
    horizon = max([future.index.nunique(), *(bold.groupby("cutoff").size() if len(bold) else [])])
    end = max([*bold.index[-1:], *future.index[-1:]], default=np.inf)
    # A long context would squeeze a short horizon until nobody could read it.
    shown = horizons * horizon + min(context, max(horizons * horizon, 24))
    return observed.loc[:end].iloc[-shown:]


def cutoffs_apart(rows: pd.DataFrame, *, since: float) -> list[float]:
    """Return the cutoffs whose forecasts do not overlap, from the newest back to the start of what is shown."""
    kept: list[float] = []
    ends = rows.index.to_series().groupby(rows["cutoff"].to_numpy()).max().sort_index(ascending=False)
    for cutoff, end in zip(ends.index.to_numpy(dtype=float), ends, strict=True):
        if not kept or (end <= kept[-1] and cutoff >= since):
            kept.append(cutoff)
    return kept
