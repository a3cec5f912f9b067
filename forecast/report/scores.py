"""The figures of errors: how they grow with the horizon, and how they differ from fold to fold."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from forecast.report import style

NAMES = {
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "rmse": "root mean squared error",
    "smape": "sMAPE",
    "mase": "MASE",
    "crps": "CRPS",
    "wql": "weighted quantile loss",
    "msis": "mean scaled interval score",
    "coverage": "share of values inside the interval",
    "width": "mean width of the interval",
    "brier": "Brier score",
}

_NAME = 30  # letters
_DOTS = 20  # folds; more are a line


def error_figure(by_step: pd.DataFrame, *, unit: str = "", metric: str = "mae") -> Figure:
    """Draw how an error grows with the horizon, one line a model.

    Parameters
    ----------
    by_step : pd.DataFrame
        Columns `model`, `step` (1 is the first after the cutoff) and the metric. Baselines are thin and dashed.
    unit : str
        Of the metric.
    metric : str
        Column to draw.
    """
    with mpl.rc_context(style.STYLE):
        figure, axis = _model_lines(by_step, along="step", metric=metric, unit=unit)
        style.mark_whole(axis)
        axis.set_xlabel("step of the horizon")
    return figure


def fold_error_figure(per_fold: pd.DataFrame, *, metric: str = "mase", unit: str = "") -> Figure:
    """Draw the error of each fold of a backtest, one line a model.

    Parameters
    ----------
    per_fold : pd.DataFrame
        Columns `model`, `fold` and the metric, one row a model and fold; where there is one, the `cutoff` stands
        below the fold.
    metric : str
        Column to draw.
    unit : str
        Of the metric.
    """
    with mpl.rc_context(style.STYLE):
        dots = per_fold["fold"].nunique() <= _DOTS
        figure, axis = _model_lines(per_fold, along="fold", metric=metric, unit=unit, dots=dots)
        _mark_folds(figure, axis, per_fold)
    return figure


def _model_lines(frame: pd.DataFrame, *, along: str, metric: str, unit: str, dots: bool = False) -> tuple[Figure, Axes]:
    if metric not in frame or frame[metric].notna().sum() == 0:
        raise ValueError(f"the errors by {along} hold no number in {metric!r}, so there is nothing to draw.")
    palette = style.colours(frame["model"])
    figure = style.blank(height=max(3.8, 1.2 + 0.24 * len(palette)))
    axis = figure.subplots()
    style.tidy(axis)
    ends: dict[str, float] = {}
    for name, colour in palette.items():
        line = frame.loc[frame["model"] == name].set_index(along)[metric].dropna().sort_index()
        look = style.line_style(name, steps=1 if dots else len(line))
        axis.plot(line.index, line, color=colour, clip_on=False, zorder=4, **look)
        ends |= {name: line.iloc[-1]} if len(line) else {}
    first, last = frame[along].min(), frame[along].max()
    axis.set_xlim(first - 0.02 * (last - first) if last > first else last - 0.5, last)
    if frame[metric].min() < frame[metric].max() / 2:
        axis.set_ylim(bottom=0)
    text = NAMES.get(metric, metric)
    axis.set_ylabel(f"{text} ({unit})" if unit else text)
    _label_ends(figure, axis, ends, palette)
    return figure, axis


def _mark_folds(figure: Figure, axis: Axes, per_fold: pd.DataFrame) -> None:
    """Write the cutoffs below the folds, or the numbers of folds that have none."""
    names = _cutoff_names(per_fold)
    if not names:
        style.mark_whole(axis)
        axis.set_xlabel("fold")
        return
    figure.draw_without_rendering()
    letters = max(len(line) for name in names.values() for line in name.split("\n"))
    room = axis.get_window_extent().width / figure.dpi * 72 / (5.6 * letters + 12)  # both in points
    folds = sorted(names, reverse=True)[:: ceil(len(names) / max(1, floor(room)))]
    axis.xaxis.set_major_locator(FixedLocator(folds))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda fold, _: names.get(fold, "")))
    axis.set_xlabel("cutoff of the fold")


def _cutoff_names(per_fold: pd.DataFrame) -> dict[float, str]:
    """The cutoff of each fold as text; nothing where a fold has none or several."""
    if "cutoff" not in per_fold or per_fold["cutoff"].isna().any():
        return {}
    cutoffs = per_fold.groupby("fold")["cutoff"].unique()
    if cutoffs.map(len).max() > 1:
        return {}
    folds, times = cutoffs.index.tolist(), [held[0] for held in cutoffs]
    if pd.api.types.is_datetime64_any_dtype(per_fold["cutoff"].dtype):
        whole = all(time == time.normalize() for time in times)
        texts = [time.strftime("%Y-%m-%d" if whole else "%Y-%m-%d\n%H:%M") for time in times]
    else:
        texts = [style.NUMBERS(time) for time in times]
    return dict(zip(folds, texts, strict=True))


def _label_ends(figure: Figure, axis: Axes, ends: Mapping[str, float], palette: Mapping[str, str]) -> None:
    """Write each model's name at the right, level with the end of its line or as near as there is room."""
    figure.draw_without_rendering()
    height = axis.get_window_extent().height / figure.dpi * 72  # points
    low, high = axis.get_ylim()
    names = sorted(ends, key=lambda name: ends[name])
    heights = np.array([(ends[name] - low) / (high - low) for name in names])
    for name, end, place in zip(names, heights, _apart(heights, gap=13.5 / height), strict=True):
        axis.annotate(
            style.shortened(name, length=_NAME),
            xy=(1.008, end),
            xytext=(1.04, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=palette[name],
            fontweight="normal" if name in style.BASELINES else "bold",
            verticalalignment="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": palette[name],
                "linewidth": 0.8,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 0,
            },
        )


def _apart(places: np.ndarray, *, gap: float) -> np.ndarray:
    """Move ascending places apart until neighbours keep the gap, as little as can be, within 0 and 1."""
    # Least squares under an order: what collides is pooled, and each pool is centred on its mean.
    steps = gap * np.arange(len(places))
    pools: list[list[float]] = []
    for place in places - steps:
        pools.append([place])
        while len(pools) > 1 and np.mean(pools[-2]) >= np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    spread = np.concatenate([np.full(len(pool), np.mean(pool)) for pool in pools])
    return np.clip(spread, 0, max(1 - steps[-1], 0)) + steps
