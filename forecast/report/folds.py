"""The figure of a backtest: the forecasts of its folds beside what came."""

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

FOLDS = 12  # in one panel, at most


def folds_figure(
    history: pd.DataFrame,
    scored: pd.DataFrame,
    *,
    columns: Columns,
    model: str,
    title: str = "",
    series: Sequence[Any] | None = None,
    baselines: Sequence[str] = (),
    context: int,
    paths: pd.DataFrame | None = None,
) -> Figure:
    """Draw the forecasts of a backtest, fold by fold, over what came, one panel a series or a pair with its target.

    Parameters
    ----------
    history : pd.DataFrame
        Id, time and a column for each target.
    scored : pd.DataFrame
        Forecasts with `cutoff`, `model` and `y`, and with several targets `target`. Neighbouring folds have two
        tints by turns. Where a fold would overlap more than its neighbours, only every second, third ... is drawn;
        where that leaves more than twelve, the newest. The figure says so.
    model : str
        Whose forecasts are drawn bold, with the 80 % interval.
    series : sequence, optional
        Ids of the series to draw; the first unless given.
    baselines : sequence of str
        Further models of `scored`, dashed; where folds overlap, from every second one.
    context : int
        Steps that the model reads; up to as many are shown before the first cutoff.
    paths : pd.DataFrame, optional
        Sample paths of the model, with `cutoff` and `sample`; the first ten of each fold are drawn.

    Raises
    ------
    ValueError
        If a series or the model is not in the frame, or there are two forecasts for one time.
    """
    check_forecasts(scored, None, columns=columns, model=model)
    panels, left_out = panels_of(series, {"history": history, "scored": scored, "paths": paths}, columns=columns)
    ends = [_ends(panel.scored, model) for panel in panels]
    stride = max(map(_stride, ends))
    chosen = [sorted(end.index[::-1][::stride][:FOLDS]) for end in ends]
    palette = style.colours([model, *(name for name in baselines if name != model)])
    with mpl.rc_context(style.STYLE):
        figure, axes = sheet.stacked(panels)
        for axis, panel, cutoffs in zip(axes, panels, chosen, strict=True):
            _draw_folds(axis, panel, cutoffs, model=model, palette=palette, context=context)
        notes = (left_out, _note(max(map(len, chosen)), max(map(len, ends)), stride=stride))
        sheet.finish(figure, panels, columns=columns, times=history[columns.time], title=title, notes=notes)
    return figure


def _ends(scored: pd.DataFrame, model: str) -> pd.Series:
    """The time of the last forecast from each cutoff, oldest first."""
    rows = scored.loc[scored["model"] == model]
    return rows.index.to_series().groupby(rows["cutoff"].to_numpy()).max().sort_index()


def _stride(ends: pd.Series) -> int:
    """Every how many folds one is drawn, so that it overlaps none but its neighbours."""
    cutoffs, lasts = ends.index.to_numpy(dtype=float), ends.to_numpy()
    stride = 1
    while (lasts[: -2 * stride] > cutoffs[2 * stride :]).any():
        stride += 1
    return stride


def _note(drawn: int, count: int, *, stride: int) -> str:
    if drawn == count:
        return ""
    newest = "the newest " if count > stride * drawn else ""
    return f"{newest}{drawn} of {count} folds" + (f", one in {stride}" if stride > 1 else "")


def _draw_folds(
    axis: Axes,
    panel: Panel,
    cutoffs: Sequence[float],
    *,
    model: str,
    palette: Mapping[str, str],
    context: int,
) -> None:
    observed = _shown(panel, cutoffs, context=context)
    draw_observed(axis, observed, since=min(cutoffs, default=np.inf))
    others = {name: colour for name, colour in palette.items() if name != model}
    free = -np.inf
    for cutoff, colour in zip(cutoffs, _tints(len(cutoffs)), strict=True):
        rows = panel.scored.loc[panel.scored["cutoff"] == cutoff]
        draw_cutoff(axis, cutoff)
        draw_forecast(axis, rows.loc[rows["model"] == model], observed, label=model, colour=colour, sheer=0.2)
        if len(panel.paths):
            draw_paths(axis, panel.paths.loc[panel.paths["cutoff"] == cutoff], colour=colour)
        if cutoff >= free:
            draw_baselines(axis, rows, others)
            free = rows.index.max()


def _tints(count: int) -> list[str]:
    """Tints by turns, the first of them for the newest."""
    return [style.TINTS[number % len(style.TINTS)] for number in reversed(range(count))]


def _shown(panel: Panel, cutoffs: Sequence[float], *, context: int) -> pd.Series:
    """The truth from some steps before the first cutoff to the end of the last forecast."""
    observed = panel.observed.loc[: panel.scored.index.max()]
    first = int(observed.index.searchsorted(min(cutoffs, default=np.inf), side="right"))
    before = min(context, max((len(observed) - first) // 2, 24))
    return observed.iloc[max(0, first - before) :]
