"""Figures of a run: what was forecast, how training went, how the error grows with the horizon."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullLocator

from forecast.errors import unknown_name
from forecast.files import write_whole
from forecast.report import style
from forecast.report.panels import draw_panel, panel_of

if TYPE_CHECKING:
    from forecast.data.columns import Columns

PANELS = 4


def forecast_figure(
    history: pd.DataFrame,
    scored: pd.DataFrame | None,
    future: pd.DataFrame | None,
    *,
    columns: Columns,
    model: str,
    unit: str = "",
    title: str = "",
    series: Sequence[Any] | None = None,
    baselines: Sequence[str] = ("seasonal_naive",),
    context: int,
) -> Figure:
    """Draw up to four series, one panel each: what was seen, what was forecast, and with which interval.

    Parameters
    ----------
    history : pd.DataFrame
        Long frame with the columns' id, time and target; the truth that was held back may be part of it.
    scored : pd.DataFrame, optional
        A backtest: forecasts with `cutoff`, `model` and `y`. Where cutoffs lie closer than the horizon,
        the newest that do not overlap are drawn.
    future : pd.DataFrame, optional
        A forecast beyond the last observation, one row per series and time.
    model : str
        Whose forecasts are drawn bold, with intervals.
    series : sequence, optional
        Ids of the series to draw; the first four with a forecast unless given.
    baselines : sequence of str
        Further models of `scored`, dashed; one that is not in the frame is left out.
    context : int
        Steps that the model reads; about as many are shown, and four horizons.

    Returns
    -------
    A figure with one axes a series and one legend.

    Raises
    ------
    ValueError
        If a series or the model is not in the frames, or a series has two forecasts for one time.
    """
    frames = {"history": history, "scored": scored, "future": future}
    names = _chosen(series, frames, columns=columns)
    _check_forecasts(scored, future, columns=columns, model=model)
    dashed = [name for name in baselines if name != model]
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=1.3 + 1.8 * len(names) + (0.7 if len(names) == 1 else 0))
        axes = list(figure.subplots(len(names), 1, squeeze=False)[:, 0])
        for axis, name in zip(axes, names, strict=True):
            style.tidy(axis)
            panel = panel_of(name, frames, columns=columns)
            draw_panel(axis, panel, model=model, baselines=dashed, context=context)
            axis.set_title(_shortened(str(name)))
        _mark_time(axes, history[columns.time])
        if title:
            figure.suptitle(title, x=0.01, horizontalalignment="left")
        _legend_below(figure, axes)
        _label_values(figure, axes, unit or columns.target)
    return figure


def training_figure(history: pd.DataFrame, *, unit: str = "") -> Figure:
    """Draw the loss over the training steps, and the learning rate below it.

    Parameters
    ----------
    history : pd.DataFrame
        Columns `step` and `train_loss`; where there are any, `valid_loss` (NaN between checks) and
        `learning_rate`.
    unit : str
        Of the loss.
    """
    rates = _by_step(history, "learning_rate")
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=4.6 if len(rates) else 3.6)
        rows = 2 if len(rates) else 1
        axes = figure.subplots(rows, 1, sharex=True, squeeze=False, height_ratios=(3.2, 1)[:rows])[:, 0]
        for axis in axes:
            style.tidy(axis)
        _draw_losses(axes[0], _by_step(history, "train_loss"), _by_step(history, "valid_loss"))
        axes[0].set_ylabel(f"loss ({unit})" if unit else "loss")
        if len(rates):
            axes[1].plot(rates.index, rates, color=style.HISTORY, linewidth=1.4)
            axes[1].set_ylim(0, 1.2 * rates.max() or 1)
            axes[1].yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
            axes[1].set_ylabel("learning rate")
        axes[-1].set_xlabel("training step")
        style.mark_whole(axes[-1])
        figure.align_ylabels()
    return figure


def error_figure(by_step: pd.DataFrame, *, unit: str = "") -> Figure:
    """Draw how the mean absolute error grows with the horizon, one line a model.

    Parameters
    ----------
    by_step : pd.DataFrame
        Columns `model`, `step` (1 is the first after the cutoff) and `mae`. Baselines are thin and dashed.
    unit : str
        Of the series.
    """
    if by_step["mae"].notna().sum() == 0:
        raise ValueError("the errors by step hold no number, so there is nothing to draw.")
    palette = style.colours(by_step["model"])
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=max(3.8, 1.2 + 0.24 * len(palette)))
        axis = figure.subplots()
        style.tidy(axis)
        ends: dict[str, float] = {}
        for name, colour in palette.items():
            line = by_step.loc[by_step["model"] == name].set_index("step")["mae"].dropna().sort_index()
            look = style.line_style(name, steps=len(line))
            axis.plot(line.index, line, color=colour, clip_on=False, zorder=4, **look)
            ends |= {name: line.iloc[-1]} if len(line) else {}
        first, last = by_step["step"].min(), by_step["step"].max()
        axis.set_xlim(first - 0.02 * (last - first) if last > first else last - 0.5, last)
        if by_step["mae"].min() < by_step["mae"].max() / 2:
            axis.set_ylim(bottom=0)
        style.mark_whole(axis)
        axis.set_xlabel("step of the horizon")
        axis.set_ylabel(f"mean absolute error ({unit})" if unit else "mean absolute error")
        _label_ends(figure, axis, ends, palette)
    return figure


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, whole or not at all."""
    buffer = io.BytesIO()
    # Without the version of matplotlib, equal figures are equal files.
    figure.savefig(buffer, format="png", dpi=style.DPI, metadata={"Software": None})
    return write_whole(path, buffer.getvalue())


def _chosen(series: Sequence[Any] | None, frames: Mapping[str, pd.DataFrame | None], *, columns: Columns) -> list[Any]:
    given = [frames[key] for key in ("scored", "future", "history")]
    known = next(list(frame[columns.id].unique()) for frame in given if frame is not None)
    chosen = known[:PANELS] if series is None else list(series)
    if not 1 <= len(chosen) <= PANELS:
        raise ValueError(f"a figure shows 1 to {PANELS} series, got {len(chosen)}. Name fewer of them.")
    for name in chosen:
        if name not in known:
            raise ValueError(unknown_name("series", name, map(str, known)))
    return chosen


def _check_forecasts(scored: pd.DataFrame | None, future: pd.DataFrame | None, *, columns: Columns, model: str) -> None:
    if scored is not None and model not in set(scored["model"]):
        raise ValueError(unknown_name("model", model, scored["model"].astype(str).unique()))
    for frame, more in ((scored, ["cutoff", "model"]), (future, [])):
        if frame is None:
            continue
        twice = frame.loc[frame.duplicated([columns.id, columns.time, *more])]
        if len(twice):
            name, time = twice.iloc[0][[columns.id, columns.time]]
            raise ValueError(f"series {name!r} has two forecasts for {time}. Keep one scenario before drawing.")


def _shortened(name: str, *, length: int = 90) -> str:
    return name if len(name) <= length else name[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _mark_time(axes: Sequence[Axes], times: pd.Series) -> None:
    """Write the times below each panel, or only below the lowest where all panels show the same."""
    dated = pd.api.types.is_datetime64_any_dtype(times.dtype)
    for axis in axes:
        if dated:
            style.mark_dates(axis, getattr(times.dtype, "tz", None))
        else:
            style.mark_whole(axis)
    if not dated:
        axes[-1].set_xlabel(str(times.name))
    spans = np.array([axis.get_xlim() for axis in axes])
    if np.allclose(spans, spans[0], rtol=0, atol=1e-6 * np.ptp(spans[0])):
        for axis in axes[:-1]:
            axis.tick_params(labelbottom=False)
            axis.xaxis.get_offset_text().set_visible(False)


def _legend_below(figure: Figure, axes: Sequence[Axes]) -> None:
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    first = ["history", "held-back truth", "cutoff", "beyond the last observation"]
    order = [label for label in first if label in handles] + [label for label in handles if label not in first]
    # A legend fills its columns from top to bottom; this reads from left to right.
    ncols = len(order) if len(order) <= 5 else 4
    order = [label for column in range(ncols) for label in order[column::ncols]]
    figure.legend([handles[label] for label in order], order, loc="outside lower center", ncols=ncols)


def _label_values(figure: Figure, axes: Sequence[Axes], text: str) -> None:
    """Write one label of the values, half-way up the panels."""
    label = figure.supylabel(text)
    figure.draw_without_rendering()
    label.set_y((axes[0].get_position().y1 + axes[-1].get_position().y0) / 2)


def _by_step(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame:
        return pd.Series(dtype=float)
    return frame.set_index("step")[name].astype(float).dropna()


def _draw_losses(axis: Axes, train: pd.Series, valid: pd.Series) -> None:
    axis.plot(train.index, train, color=style.MODEL, linewidth=0.7, alpha=0.3)
    smooth = train.rolling(2 * (len(train) // 50) + 1, center=True, min_periods=1).mean()
    axis.plot(smooth.index, smooth, color=style.MODEL, linewidth=2, label="training, smoothed")
    if len(valid):
        label = f"validation, lowest {valid.min():.4g} at step {valid.idxmin():,}"
        colour = style.BASELINES["seasonal_naive"]
        axis.plot(valid.index, valid, color=colour, linewidth=1.6, marker="o", markersize=4, label=label)
    shown = pd.concat([train, valid])
    if len(shown) and shown.min() > 0:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(_log_locator(np.log10(shown.max() / shown.min())))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(style.NUMBERS)
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=2)


def _log_locator(decades: float) -> Locator:
    if decades < 0.6:
        return MaxNLocator(6)
    return LogLocator(subs=(1, 2, 3, 5) if decades < 1.5 else (1, 3) if decades < 3 else (1,))


def _label_ends(figure: Figure, axis: Axes, ends: Mapping[str, float], palette: Mapping[str, str]) -> None:
    """Write each model's name at the right, level with the end of its line or as near as there is room."""
    figure.draw_without_rendering()
    height = axis.get_window_extent().height / figure.dpi * 72  # points
    low, high = axis.get_ylim()
    names = sorted(ends, key=lambda name: ends[name])
    heights = np.array([(ends[name] - low) / (high - low) for name in names])
    for name, end, place in zip(names, heights, _apart(heights, gap=13.5 / height), strict=True):
        axis.annotate(
            name,
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
