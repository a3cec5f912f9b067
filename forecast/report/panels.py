"""One panel of a forecast figure: a series, its forecasts, their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import dates
from matplotlib.axes import Axes

from forecast.report import style

if TYPE_CHECKING:
    from forecast.data.columns import Columns


@dataclass(frozen=True)
class Panel:
    """One series; times, cutoffs included, are positions on the axis."""

    observed: pd.Series
    scored: pd.DataFrame
    future: pd.DataFrame


def panel_of(name: Any, frames: Mapping[str, pd.DataFrame | None], *, columns: Columns) -> Panel:
    """Take one series out of the history, the scored forecasts and the future."""
    history, scored, future = (_rows(frames[key], name, columns) for key in ("history", "scored", "future"))
    observed = history[columns.target].astype(float)
    if len(scored):
        scored["cutoff"] = _positions(scored["cutoff"])
        truth = scored["y"].astype(float)
        observed = observed.combine_first(truth[~truth.index.duplicated()])
    return Panel(observed.loc[: observed.last_valid_index()], scored, future)


def _rows(frame: pd.DataFrame | None, name: Any, columns: Columns) -> pd.DataFrame:
    """Rows of one series in order of time, indexed by their positions on the axis."""
    if frame is None:
        return pd.DataFrame()
    rows = frame.loc[frame[columns.id] == name]
    return rows.set_index(pd.Index(_positions(rows[columns.time]))).sort_index(kind="stable")


def _positions(times: pd.Series) -> np.ndarray:
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_dtype(times.dtype):
        return np.asarray(dates.date2num(times.to_numpy()), dtype=float)
    return times.to_numpy(dtype=float)


def draw_panel(axis: Axes, panel: Panel, *, model: str, baselines: Sequence[str], context: int) -> None:
    """Draw the tail of the history, then each cutoff with what was forecast from it, then the future."""
    scored, future = panel.scored, panel.future
    bold = scored.loc[scored["model"] == model] if len(scored) else scored
    observed = _tail(panel.observed, bold, future, context=context)
    cutoffs = _cutoffs(bold, since=observed.index.min()) if len(bold) else []
    _draw_observed(axis, observed, since=min(cutoffs, default=np.inf))

    palette = style.colours([model, *baselines])
    for cutoff in cutoffs:
        axis.axvline(cutoff, color=style.QUIET, linewidth=0.9, linestyle=":", label="cutoff", zorder=1)
        _draw_forecast(axis, bold.loc[bold["cutoff"] == cutoff], observed, label=model, colour=palette[model])
        for name in baselines:
            line = scored.loc[(scored["cutoff"] == cutoff) & (scored["model"] == name), "forecast"]
            look = style.line_style(name, steps=len(line)) | {"linewidth": 1.2, "linestyle": (0, (4, 2))}
            if len(line):
                axis.plot(line.index, line, color=palette[name], label=name, zorder=4, **look)
    if len(future):
        _draw_forecast(axis, future, observed, label=model, colour=palette[model])
        start, end = observed.index.max() if len(observed) else future.index[0], axis.get_xlim()[1]
        label = "beyond the last observation"
        axis.axvspan(start, end, color=style.AHEAD, linewidth=0, label=label, zorder=0)
        axis.set_xlim(right=end)


def _tail(observed: pd.Series, bold: pd.DataFrame, future: pd.DataFrame, *, context: int) -> pd.Series:
    """What a panel shows: four horizons up to the end of the last forecast, and the context before."""
    horizon = max([len(future), *(bold.groupby("cutoff").size() if len(bold) else [])])
    end = max([*bold.index[-1:], *future.index[-1:]], default=np.inf)
    # A long context would squeeze a short horizon until nobody could read it.
    shown = 4 * horizon + min(context, max(4 * horizon, 24))
    return observed.loc[:end].iloc[-shown:]


def _cutoffs(rows: pd.DataFrame, *, since: float) -> list[float]:
    """Cutoffs whose forecasts do not overlap, from the newest back to the start of what is shown."""
    kept: list[float] = []
    ends = rows.index.to_series().groupby(rows["cutoff"].to_numpy()).max().sort_index(ascending=False)
    for cutoff, end in zip(ends.index.to_numpy(dtype=float), ends, strict=True):
        if not kept or (end <= kept[-1] and cutoff >= since):
            kept.append(cutoff)
    return kept


def _draw_observed(axis: Axes, observed: pd.Series, *, since: float) -> None:
    """Draw what was seen up to the first cutoff, and from there what was held back."""
    alone = observed.notna() & observed.shift().isna() & observed.shift(-1).isna()
    seen, held_back = observed.loc[:since], observed.loc[since:]
    parts = (("history", seen, style.HISTORY, 1.2), ("held-back truth", held_back, style.TRUTH, 1.4))
    for label, part, colour, width in parts:
        if len(part):
            axis.plot(part.index, part, color=colour, linewidth=width, label=label, zorder=5)
            dots = part[alone.loc[part.index]]
            axis.plot(dots.index, dots, color=colour, linestyle="", marker=".", markersize=4, zorder=5)


def _draw_forecast(axis: Axes, rows: pd.DataFrame, observed: pd.Series, *, label: str, colour: str) -> None:
    line = rows["forecast"]
    axis.plot(line.index, line, color=colour, label=label, zorder=3, **style.line_style("", steps=len(line)))
    known = observed.loc[: line.index[0]].dropna()
    known = known.loc[known.index < line.index[0]]
    if len(known):  # a thin thread to the last value that the model saw
        thread = pd.concat([known.iloc[-1:], line.iloc[:1]])
        axis.plot(thread.index, thread, color=colour, linewidth=0.8, alpha=0.7, zorder=3)
    for (low, high), share in zip(_intervals(rows), (0.2, 0.4), strict=False):
        name = f"{round(100 * (high - low), 6):g} % interval"
        below, above = rows[f"q{low:g}"], rows[f"q{high:g}"]
        look: dict[str, Any] = {"color": style.tint(colour, share), "label": name, "zorder": 2}
        if len(rows) == 1:  # a band of one step would have no width
            axis.vlines(rows.index, below, above, linewidth=6, **look)
        else:
            axis.fill_between(rows.index, below, above, linewidth=0, **look)


def _intervals(rows: pd.DataFrame) -> list[tuple[float, float]]:
    """The 80 % interval and one inside it, as far as the frame has their quantiles; the wider first."""
    choices = (((0.1, 0.9),), ((0.25, 0.75), (0.3, 0.7)))
    held = [[pair for pair in pairs if {f"q{level:g}" for level in pair} <= set(rows)] for pairs in choices]
    return [pairs[0] for pairs in held if pairs]
