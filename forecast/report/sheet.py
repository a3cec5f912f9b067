"""The sheet that panels stand on: one above the other, what is written around them, one legend below."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecast.report import style
from forecast.report.legends import entries, fit_legend
from forecast.report.panels import Panel

if TYPE_CHECKING:
    from forecast.data.columns import Columns

_FIRST = ("history", "held-back truth", "cutoff", "beyond the last observation")
_HEADING = 76  # letters
_LABEL = 17  # letters on each of two lines


def stacked(panels: Sequence[Panel], *, heights: Sequence[float] | None = None) -> tuple[Figure, list[Axes]]:
    """Return a figure with an empty axes for each panel, under its title; heights are 1 where none are given."""
    shares = [1.0] * len(panels) if heights is None else heights
    figure = style.blank(height=1.3 + 1.8 * sum(shares) + (0.7 if len(panels) == 1 else 0))
    axes = list(figure.subplots(len(panels), 1, squeeze=False, height_ratios=shares)[:, 0])
    for axis, panel in zip(axes, panels, strict=True):
        style.tidy(axis)
        axis.set_title(panel.title)
    return figure, axes


def finish(
    figure: Figure,
    panels: Sequence[Panel],
    *,
    columns: Columns,
    times: pd.Series,
    title: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Write times, title, legend and what the values are; notes on what is left out stand above the legend."""
    axes = figure.axes
    _mark_time(axes, times)
    if title:
        figure.suptitle(style.shortened(title, length=_HEADING), x=0.01, horizontalalignment="left")
    note = "; ".join(note for note in notes if note)
    held = entries(axes, first=_FIRST)
    fit_legend(figure, figure, held, loc="outside lower center", title=f"drawn: {note}" if note else None)
    if isinstance(columns.target, str) and len({panel.label for panel in panels}) == 1:
        _label_half_way_up(figure, panels[0].label)
    else:
        for axis, panel in zip(axes, panels, strict=True):
            axis.set_ylabel(fill(panel.label, width=_LABEL, max_lines=2, placeholder="\N{HORIZONTAL ELLIPSIS}"))
        figure.align_ylabels()


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


def _label_half_way_up(figure: Figure, text: str) -> None:
    """Write one label of the values for all panels."""
    label = figure.supylabel(text)
    figure.draw_without_rendering()
    label.set_y((figure.axes[0].get_position().y1 + figure.axes[-1].get_position().y0) / 2)
