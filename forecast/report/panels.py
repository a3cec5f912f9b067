"""What a panel shows, one target of one series, and how its values, forecasts and intervals are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import dates
from matplotlib.axes import Axes

from forecast.errors import DataError, named, unknown_name
from forecast.report import style

if TYPE_CHECKING:
    from forecast.data.columns import Columns

PANELS = 4  # of one figure, at most
PATHS = 10  # of one panel

_FRAMES = ("scored", "future", "history")
_TITLE = 90  # letters


class Pair(NamedTuple):
    """A series and one of its targets."""

    series: Any
    target: str


@dataclass(frozen=True)
class Panel:
    """One pair; times, cutoffs included, are positions on the axis."""

    title: str
    label: str
    observed: pd.Series
    scored: pd.DataFrame
    future: pd.DataFrame
    paths: pd.DataFrame


def panels_of(
    series: Sequence[Any] | None, frames: Mapping[str, pd.DataFrame | None], *, columns: Columns, event: bool = False
) -> tuple[list[Panel], str]:
    """Take up to four pairs out of the frames `scored`, `future` and `history`; the truth of an event is no value.

    Returns
    -------
    The panels, all targets of the first series before the next series, and a note on pairs that are left out.

    Raises
    ------
    ValueError
        If a series is not in the frames, or more are named than there are panels.
    """
    known = _pairs(frames, columns)
    ids = list(dict.fromkeys(pair.series for pair in known))
    for name in series or ():
        if name not in ids:
            raise ValueError(unknown_name("series", name, map(str, ids)))
    if series is not None and not 1 <= len(series) <= PANELS:
        raise ValueError(f"a figure shows 1 to {PANELS} series, got {len(series)}. Name fewer of them.")
    chosen = [pair for name in (ids if series is None else series) for pair in known if pair.series == name]
    drawn = chosen[:PANELS]
    kind = "series" if isinstance(columns.target, str) else "pairs of series and target"
    note = f"{len(drawn)} of {len(chosen)} {kind}" if len(chosen) > len(drawn) else ""
    return [_panel(pair, frames, columns=columns, alone=len(ids) == 1, event=event) for pair in drawn], note


def check_forecasts(scored: pd.DataFrame | None, future: pd.DataFrame | None, *, columns: Columns, model: str) -> None:
    """Refuse frames without the model, and frames that forecast one time twice."""
    if scored is not None and model not in set(scored["model"]):
        raise ValueError(unknown_name("model", model, scored["model"].astype(str).unique()))
    keys = [columns.id, columns.time, *(["target"] if len(columns.targets) > 1 else [])]
    for frame, more in ((scored, ["cutoff", "model"]), (future, ["scenario"])):
        if frame is None:
            continue
        twice = frame.loc[frame.duplicated([name for name in (*keys, *more) if name in frame])]
        if len(twice):
            name, time = twice.iloc[0][[columns.id, columns.time]]
            way_out = "Keep one, or tell scenarios apart in a column 'scenario'."
            raise DataError(f"series {named(name)} has two forecasts for {time}. {way_out}")


def _pairs(frames: Mapping[str, pd.DataFrame | None], columns: Columns) -> list[Pair]:
    """Every pair that the most telling frame holds."""
    key, frame = next((key, frame) for key in _FRAMES if (frame := frames.get(key)) is not None)
    ids = frame[columns.id].unique()
    if key == "history" or isinstance(columns.target, str):
        return [Pair(name, target) for name in ids for target in columns.targets]
    if "target" not in frame:
        raise DataError(f"forecasts of {len(columns.targets)} targets have a column 'target', got {list(frame)}.")
    held = set(zip(frame[columns.id], frame["target"], strict=True))
    return [Pair(name, target) for name in ids for target in columns.targets if (name, target) in held]


def _panel(
    pair: Pair, frames: Mapping[str, pd.DataFrame | None], *, columns: Columns, alone: bool, event: bool
) -> Panel:
    rows = {key: _rows(frame, pair, columns, wide=key == "history") for key, frame in frames.items()}
    observed, scored = rows["history"][pair.target].astype(float), rows.get("scored", pd.DataFrame())
    if len(scored):
        scored["cutoff"] = _positions(scored["cutoff"])
    if len(scored) and not event:
        truth = scored["y"].astype(float)
        observed = observed.combine_first(truth[~truth.index.duplicated()])
    paths = rows.get("paths", pd.DataFrame())
    if "cutoff" in paths:
        paths["cutoff"] = _positions(paths["cutoff"])
    return Panel(
        title=_title(pair, alone=alone, several=len(columns.targets) > 1),
        label=dict(zip(columns.targets, columns.units, strict=True))[pair.target] or pair.target,
        observed=observed.loc[: observed.last_valid_index()],
        scored=scored,
        future=rows.get("future", pd.DataFrame()),
        paths=paths,
    )


def _title(pair: Pair, *, alone: bool, several: bool) -> str:
    if not several:
        return style.shortened(str(pair.series), length=_TITLE)
    target = style.shortened(pair.target, length=_TITLE // 2)
    if alone:
        return target
    return f"{style.shortened(str(pair.series), length=_TITLE - 3 - len(target))} \N{MIDDLE DOT} {target}"


def _rows(frame: pd.DataFrame | None, pair: Pair, columns: Columns, *, wide: bool) -> pd.DataFrame:
    """Rows of one pair in order of time, indexed by their positions on the axis."""
    if frame is None:
        return pd.DataFrame()
    wanted = frame[columns.id] == pair.series
    if len(columns.targets) > 1 and not wide:
        wanted &= frame["target"] == pair.target
    rows = frame.loc[wanted]
    return rows.set_index(pd.Index(_positions(rows[columns.time]))).sort_index(kind="stable")


def _positions(times: pd.Series) -> np.ndarray:
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_dtype(times.dtype):
        return np.asarray(dates.date2num(times.to_numpy()), dtype=float)
    return times.to_numpy(dtype=float)


def draw_observed(axis: Axes, observed: pd.Series, *, since: float) -> None:
    """Draw what was seen up to the first cutoff, and from there what was held back."""
    alone = observed.notna() & observed.shift().isna() & observed.shift(-1).isna()
    seen, held_back = observed.loc[:since], observed.loc[since:]
    parts = (("history", seen, style.HISTORY, 1.2), ("held-back truth", held_back, style.TRUTH, 1.4))
    for label, part, colour, width in parts:
        if len(part):
            axis.plot(part.index, part, color=colour, linewidth=width, label=label, zorder=5)
            dots = part[alone.loc[part.index]]
            axis.plot(dots.index, dots, color=colour, linestyle="", marker=".", markersize=4, zorder=5)


def draw_cutoff(axis: Axes, cutoff: float) -> None:
    """Draw a thin line where a forecast begins."""
    axis.axvline(cutoff, color=style.QUIET, linewidth=0.9, linestyle=":", label="cutoff", zorder=1)


def draw_forecast(
    axis: Axes, rows: pd.DataFrame, observed: pd.Series, *, label: str, colour: str, sheer: float | None = None
) -> None:
    """Draw a forecast with its intervals; one that overlies others has the wide interval alone, sheer and edged."""
    line = rows["forecast"]
    look = style.line_style("", steps=len(line)) | ({} if sheer is None else {"linewidth": 1.7})
    axis.plot(line.index, line, color=colour, label=label, zorder=3, **look)
    known = observed.loc[: line.index[0]].dropna()
    known = known.loc[known.index < line.index[0]]
    if len(known):  # a thin thread to the last value that the model saw
        thread = pd.concat([known.iloc[-1:], line.iloc[:1]])
        axis.plot(thread.index, thread, color=colour, linewidth=0.8, alpha=0.7, zorder=3)
    for number, (low, high) in enumerate(_intervals(rows)):
        name = f"{round(100 * (high - low), 6):g} % interval"
        below, above = rows[f"q{low:g}"], rows[f"q{high:g}"]
        if sheer is None:
            _draw_band(axis, below, above, label=name, color=style.tint(colour, (0.2, 0.4)[number]))
        elif number == 0:
            _draw_band(axis, below, above, label=name, color=colour, alpha=sheer)
            for edge in (below, above):
                axis.plot(edge.index, edge, color=colour, linewidth=0.6, alpha=0.5, zorder=2)


def draw_paths(axis: Axes, rows: pd.DataFrame, *, colour: str) -> None:
    """Draw some sample paths, thin."""
    if not len(rows):
        return
    for number, path in list(rows.groupby("sample", sort=True)["forecast"])[:PATHS]:
        label = "sample paths" if number == 0 else None
        axis.plot(path.index, path, color=colour, linewidth=0.6, alpha=0.55, zorder=2.5, label=label)


def _draw_band(axis: Axes, below: pd.Series, above: pd.Series, **look: Any) -> None:
    if len(below) == 1:  # a band of one step would have no width
        axis.vlines(below.index, below, above, linewidth=6, zorder=2, **look)
    else:
        axis.fill_between(below.index, below, above, linewidth=0, zorder=2, **look)


def draw_baselines(axis: Axes, rows: pd.DataFrame, palette: Mapping[str, str]) -> None:
    """Draw the forecasts of other models from one cutoff, thin and dashed."""
    for name, colour in palette.items():
        line = rows.loc[rows["model"] == name, "forecast"]
        look = style.line_style(name, steps=len(line)) | {"linewidth": 1.2, "linestyle": (0, (4, 2))}
        if len(line):
            axis.plot(line.index, line, color=colour, label=name, zorder=4, **look)


def _intervals(rows: pd.DataFrame) -> list[tuple[float, float]]:
    """The 80 % interval and one inside it, as far as the frame has their quantiles; the wider first."""
    choices = (((0.1, 0.9),), ((0.25, 0.75), (0.3, 0.7)))
    held = [[pair for pair in pairs if {f"q{level:g}" for level in pair} <= set(rows)] for pairs in choices]
    return [pairs[0] for pairs in held if pairs]
