"""The figure of a training: the losses, and the learning rate below them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullLocator

from forecast.report import style
from forecast.report.legends import entries, fit_legend

MEMBERS = 6  # that have a colour of their own


def training_figure(history: pd.DataFrame, *, unit: str = "") -> Figure:
    """Draw the loss over the training steps, and the learning rate below it.

    Parameters
    ----------
    history : pd.DataFrame
        Columns `step` and `train_loss`; where there are any, `valid_loss` (NaN between checks), `learning_rate`
        and, for an ensemble, `member`. A column `loss` names the kind: each has an axis, for they do not compare.
    unit : str
        Of the loss.
    """
    members = {"": history}
    if "member" in history:
        parts = history.groupby("member", sort=False)
        members = {name if isinstance(name, str) else f"member {name!s}": rows for name, rows in parts}
    kinds = {"": history}
    if "loss" in history:
        kinds = {str(kind): rows for kind, rows in history.groupby("loss", sort=False)}
    rates = {name: _by_step(rows, "learning_rate") for name, rows in members.items()}
    last = 1 if any(map(len, rates.values())) else 0
    heights = [3.2 if len(kinds) == 1 else 2.2] * len(kinds) + [1] * last  # inches
    palette = _palette(members)
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=sum(heights) + 0.4)
        axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axis in axes:
            style.tidy(axis)
        for axis, (kind, rows) in zip(axes, kinds.items(), strict=False):
            if "member" in history:
                own = {name: part for name, part in members.items() if part.index.isin(rows.index).any()}
                shown = _draw_members(axis, own, palette)
            else:
                shown = _draw_losses(axis, _by_step(rows, "train_loss"), _by_step(rows, "valid_loss"))
            _scale(axis, shown)
            named = kind or unit
            axis.set_ylabel(f"loss ({named})" if named else "loss")
        if last:
            _draw_rates(axes[-1], rates, palette)
        axes[-1].set_xlabel("training step")
        style.mark_whole(axes[-1])
        held = entries(axes[: len(kinds)])
        if held:
            fit_legend(figure, axes[0], held, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
        figure.align_ylabels()
    return figure


def _palette(members: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    if len(members) > MEMBERS:
        return dict.fromkeys(members, style.MODEL)
    return style.distinct(members) if len(members) > 1 else dict.fromkeys(members, style.MODEL)


def _by_step(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame:
        return pd.Series(dtype=float)
    return frame.set_index("step")[name].astype(float).dropna()


def _smooth(losses: pd.Series) -> pd.Series:
    return losses.rolling(2 * (len(losses) // 50) + 1, center=True, min_periods=1).mean()


def _draw_losses(axis: Axes, train: pd.Series, valid: pd.Series) -> pd.Series:
    axis.plot(train.index, train, color=style.MODEL, linewidth=0.7, alpha=0.3)
    smooth = _smooth(train)
    axis.plot(smooth.index, smooth, color=style.MODEL, linewidth=2, label="training, smoothed")
    if len(valid):
        label = f"validation, lowest {valid.min():.4g} at step {valid.idxmin():,}"
        colour = style.BASELINES["seasonal_naive"]
        axis.plot(valid.index, valid, color=colour, linewidth=1.6, marker="o", markersize=4, label=label)
    return pd.concat([train, valid])


def _draw_members(axis: Axes, members: Mapping[str, pd.DataFrame], palette: Mapping[str, str]) -> pd.Series:
    """Draw each member's smoothed loss, and thinner its validation loss."""
    together = f"{len(members)} members" if len(members) > MEMBERS else ""
    train = {name: _smooth(_by_step(rows, "train_loss")) for name, rows in members.items()}
    valid = {name: _by_step(rows, "valid_loss") for name, rows in members.items()}
    looks: dict[str, dict[str, Any]] = {
        name: {"color": colour, "alpha": 0.5 if together else 1.0} for name, colour in palette.items()
    }
    for name, line in train.items():
        if len(line):
            axis.plot(line.index, line, linewidth=1.3, label=together or name, **looks[name])
    for name, line in valid.items():
        if len(line):
            axis.plot(line.index, line, linewidth=0.9, linestyle=(0, (3, 2)), label="validation", **looks[name])
    return pd.concat([*train.values(), *valid.values()])


def _draw_rates(axis: Axes, rates: Mapping[str, pd.Series], palette: Mapping[str, str]) -> None:
    lines = list(rates.values())
    if all(rate.equals(lines[0]) for rate in lines):
        axis.plot(lines[0].index, lines[0], color=style.HISTORY, linewidth=1.4)
    else:
        for name, rate in rates.items():
            axis.plot(rate.index, rate, color=palette[name], linewidth=1.0)
    axis.set_ylim(0, 1.2 * max(rate.max() for rate in lines if len(rate)) or 1)
    axis.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    axis.set_ylabel("learning rate")


def _scale(axis: Axes, shown: pd.Series) -> None:
    """Give losses a log scale with readable numbers, unless one is zero or below."""
    if len(shown) and shown.min() > 0:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(_log_locator(np.log10(shown.max() / shown.min())))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(style.NUMBERS)


def _log_locator(decades: float) -> Locator:
    if decades < 0.6:
        return MaxNLocator(6)
    return LogLocator(subs=(1, 2, 3, 5) if decades < 1.5 else (1, 3) if decades < 3 else (1,))
