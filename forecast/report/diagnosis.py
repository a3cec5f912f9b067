"""The figures of a diagnosis: gradients and moved forecasts by steps back, gates, norms over training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from forecast.report import style
from forecast.report.legends import entries, fit_legend

ACROSS = 4  # panels side by side, at most
DECADES = 9  # that are drawn below the largest gradient
LOOKS: dict[str, dict[str, Any]] = {  # before training, and after it
    "before": {"linewidth": 1.1, "linestyle": (0, (4, 2))},
    "after": {"linewidth": 2.2},
}
PALE = 0.55  # share of a colour in what was before training
LINES = 4  # in a panel: with more, states of a layer are drawn as one, and from as many on lines are thin
PLAIN = 6  # decades from which on powers of ten are written as such
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
REACHED, LOWEST = 0.01, 1e-4  # what counts as moving a forecast, and the least that is drawn


def gradient_figure(gradients: pd.DataFrame, *, lines: str = "layer") -> Figure:
    """Draw the norm of the gradient by steps back, a panel a context, before training dashed and after it bold.

    Parameters
    ----------
    gradients : pd.DataFrame
        As in `Diagnosis`; of what has no recurrent layer, the gradient of the input. Of many layers with two states,
        the larger gradient of the two.
    lines : str
        The column whose values have a colour each.
    """
    shown = gradients[gradients["layer"] != "input"]
    shown = (gradients if shown.empty else shown).replace(np.inf, np.nan)
    shown = _named(shown, lines)
    top = shown["median"].max()
    with mpl.rc_context(style.STYLE):
        figure, axes = _panels(shown["context"].unique())
        palette, thin = style.distinct(shown["line"]), shown[lines].nunique() >= LINES
        for axis, (_, rows) in zip(axes, shown.groupby("context"), strict=True):
            for line, part in rows[rows["median"] > 0].groupby("line", sort=False):
                _draw(axis, part, "median", colour=palette[str(line)], label=str(line), thin=thin)
            _on_logs(axis, low=max(shown["median"].min(), top * 10.0**-DECADES), high=top)
        axes[0].set_ylabel("norm of the gradient")
        _finish(figure, axes, "steps back from the last of the context")
    return figure


def _named(shown: pd.DataFrame, lines: str) -> pd.DataFrame:
    """Return gradients with what each line is called in a column `line`."""
    several = shown.groupby(lines)["state"].transform("nunique") > 1
    named = shown.assign(line=shown[lines].where(~several, shown[lines] + ", " + shown["state"] + " state"))
    if named["line"].nunique() <= LINES:
        return named
    largest = shown.groupby(["context", "when", lines, "back"], sort=False)["median"].max().reset_index()
    return largest.assign(line=largest[lines])


def memory_figure(memory: pd.DataFrame) -> Figure:
    """Draw how far the forecast moves with each step of the context, a panel a context.

    Parameters
    ----------
    memory : pd.DataFrame
        As in `Diagnosis`.
    """
    with mpl.rc_context(style.STYLE):
        figure, axes = _panels(memory["context"].unique())
        palette = style.distinct(memory["part"])
        for axis, (_, rows) in zip(axes, memory.groupby("context"), strict=True):
            for part, own in rows.groupby("part", sort=False):
                own = own.assign(effect=own["effect"].clip(lower=LOWEST / 10))
                _draw(axis, own, "effect", colour=palette[str(part)], label=str(part))
            axis.axhline(REACHED, color=style.QUIET, linewidth=0.9, linestyle=":", label="1 % of the largest", zorder=1)
            _on_logs(axis, low=LOWEST, high=1.0)
        axes[0].set_ylabel("effect on the forecast")
        _finish(figure, axes, "steps back from the last of the context")
    return figure


def gate_figure(saturation: pd.DataFrame) -> Figure:
    """Draw the shares of gates that are shut and open, before training pale and after it full.

    Parameters
    ----------
    saturation : pd.DataFrame
        As in `Diagnosis`, of one context.
    """
    names = list(dict.fromkeys(zip(saturation["layer"], saturation["gate"], strict=True)))
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=1.2 + 0.5 * len(names))
        axis = figure.subplots()
        style.tidy(axis)
        for row in saturation.to_dict("records"):
            is_after = row["when"] == "after"
            place = names.index((row["layer"], row["gate"])) + (0.17 if is_after else -0.17)
            begin = 0.0
            for side, colour in (("shut", style.BASELINES["seasonal_naive"]), ("open", style.MODEL)):
                shade = colour if is_after else style.tint(colour, PALE)
                label = f"{side} {'after' if is_after else 'before'} training"
                axis.barh(place, row[side], left=begin, height=0.3, color=shade, label=label)
                begin += row[side]
            share = f"{begin:.1%}" if 0 < begin < 0.01 else f"{begin:.0%}"
            axis.annotate(share, (begin, place), (4, 0), textcoords="offset points", va="center", fontsize=8.5)
        axis.set_yticks(range(len(names)), [f"{layer}: {gate}" for layer, gate in names])
        axis.invert_yaxis()
        axis.set_xlim(0, min(1.06, max(0.1, 1.15 * saturation["saturated"].max())))
        axis.xaxis.set_major_formatter(PercentFormatter(1))
        axis.set_xlabel("share of values below 0.05 (shut) and above 0.95 (open); of a state, beyond 0.95 either way")
        held = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        fit_legend(figure, figure, held, loc="outside upper left")
    return figure


def norm_figure(history: pd.DataFrame) -> Figure:
    """Draw the norms of gradient and weights over the steps of a training.

    Parameters
    ----------
    history : pd.DataFrame
        Columns `step`, `gradient_norm` and `weight_norm`.
    """
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=4.4)
        axes = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
        for axis in axes:
            style.tidy(axis)
        norms = history["gradient_norm"].where(history["gradient_norm"] > 0)
        window = 2 * (len(norms) // 50) + 1
        smooth = norms.rolling(window, center=True, min_periods=1).median()
        axes[0].plot(history["step"], norms, color=style.MODEL, linewidth=0.7, alpha=0.35)
        axes[0].plot(history["step"], smooth, color=style.MODEL, linewidth=2)
        _on_logs(axes[0], low=norms.min(), high=norms.max())
        axes[0].set_ylabel("norm of the gradient,\nbefore it is clipped")
        axes[1].plot(history["step"], history["weight_norm"], color=style.HISTORY, linewidth=1.6)
        axes[1].yaxis.set_major_locator(MaxNLocator(3))
        axes[1].set_ylabel("norm of\nthe weights")
        axes[1].set_xlabel("training step")
        style.mark_whole(axes[1])
        figure.align_ylabels()
    return figure


def _panels(contexts: Iterable[int]) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each context, in rows of four."""
    contexts = sorted(contexts)
    across = min(len(contexts), ACROSS)
    down = -(-len(contexts) // across)
    figure = style.blank(height=0.8 + 2.9 * down)
    grid = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for axis in grid[len(contexts) :]:
        axis.remove()
    for axis, context in zip(grid, contexts, strict=False):
        style.tidy(axis)
        axis.set_title(f"context {context}")
        axis.set_xlim(0, max(context - 1, 1))
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    return figure, list(grid[: len(contexts)])


def _draw(axis: Axes, rows: pd.DataFrame, values: str, *, colour: str, label: str, thin: bool = False) -> None:
    for when, part in rows.sort_values("back").groupby("when"):
        is_after = when == "after"
        axis.plot(
            part["back"], part[values], color=colour if is_after else style.tint(colour, PALE),
            label=label if is_after else "", marker="o" if len(part) == 1 else "", zorder=3 if is_after else 2,
            **{**LOOKS[str(when)], "linewidth": LOOKS[str(when)]["linewidth"] * (0.6 if thin else 1.0)},
        )  # fmt: skip


def _on_logs(axis: Axes, *, low: float, high: float) -> None:
    """Give an axis a log scale with a tick at every power of ten, or at every second or third of many."""
    axis.set_yscale("log")
    axis.set_ylim(low / 1.5, high * 1.5)
    first, last = int(np.ceil(np.log10(low / 1.5))), int(np.floor(np.log10(high * 1.5)))
    if last - first < 2:
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    else:
        powers = range(last, first - 1, -max(1, (last - first) // 4))
        axis.yaxis.set_major_locator(FixedLocator([10.0**power for power in powers]))
    axis.yaxis.set_major_formatter(style.NUMBERS if last - first < PLAIN else FuncFormatter(_power))
    axis.yaxis.set_minor_locator(NullLocator())


def _power(value: float, _: int) -> str:
    """Return a power of ten with a raised exponent."""
    return f"10{f'{np.log10(value):.0f}'.translate(RAISED)}"


def _finish(figure: Figure, axes: list[Axes], label: str) -> None:
    """Write what the axes below are, and a legend of colours and of what dashes mean."""
    figure.supxlabel(label)
    axes[0].plot([], [], color=style.HISTORY, label="before training", **LOOKS["before"])
    held = entries(axes)
    fit_legend(figure, figure, held, loc="outside upper left")
