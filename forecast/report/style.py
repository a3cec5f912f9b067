"""How every figure looks: one palette, one size, axes that are labelled and quiet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

# Okabe and Ito (2008), "Color universal design": told apart with every common colour blindness.
MODEL, TRUTH = "#0072B2", "#000000"
BASELINES = {
    "seasonal_naive": "#E69F00",
    "naive": "#009E73",
    "drift": "#CC79A7",
    "naive2": "#56B4E9",
    "ridge": "#D55E00",
    # Tol (2021), "Colour schemes", muted: those that are shown when they are named.
    "window_average": "#999933",
    "gradient_boosting": "#882255",
    "auto_ets": "#117733",
    "auto_arima": "#332288",
    "auto_theta": "#AA4499",
    "croston": "#44AA99",
    "croston_sba": "#88CCEE",
    "tsb": "#CC6677",
    "adida": "#DDCC77",
    "imapa": "#661100",
    "base_rate": "#E69F00",
    "persistence": "#009E73",
}
_OTHERS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255")
TINTS = (MODEL, "#56B4E9")  # of neighbours that overlap, by turns
HISTORY, QUIET, AHEAD = "#666666", "#8C8C8C", "#F5F0E1"
_GRID, _TICKS = "#E8E8E8", "#333333"

WIDTH, DPI = 9.0, 150  # inches, dots per inch: 1350 pixels

# For `matplotlib.rc_context`: the settings of the caller stay as they are.
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "figure.labelsize": 10,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "text.parse_math": False,  # a name or a unit may hold dollar signs
}

NUMBERS = FuncFormatter(lambda value, _: f"{value:,.10g}".replace("-", "\N{MINUS SIGN}"))


def colours(models: Iterable[str]) -> dict[str, str]:
    """Give each model its colour: fixed for a baseline; blue, then what is free, for the others."""
    names = list(dict.fromkeys(models))
    fixed = {name: BASELINES[name] for name in names if name in BASELINES}
    chosen = fixed | distinct((name for name in names if name not in BASELINES), taken=fixed.values())
    return {name: chosen[name] for name in names}


def distinct(names: Iterable[str], *, taken: Iterable[str] = ()) -> dict[str, str]:
    """Give each name a colour, those that are taken last: seven, then from the beginning."""
    held = set(taken)
    free = sorted((MODEL, *_OTHERS), key=lambda colour: colour in held)
    return {name: free[number % len(free)] for number, name in enumerate(dict.fromkeys(names))}


def tint(colour: str, share: float) -> tuple[float, float, float]:
    """Mix a colour with white; the share is that of the colour."""
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def line_style(name: str, *, steps: int) -> dict[str, Any]:
    """Baselines thin and dashed, other models bold; a dot where a line would have no length."""
    marker = "o" if steps == 1 else ""
    if name in BASELINES:
        return {"linewidth": 1.3, "linestyle": (0, (4, 2)), "marker": marker, "markersize": 3.5}
    return {"linewidth": 2.2, "marker": marker, "markersize": 5}


def shortened(text: str, *, length: int) -> str:
    """Cut a text that would not fit."""
    return text if len(text) <= length else text[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def blank(*, height: float) -> Figure:
    """Return an empty figure of the common width that no pyplot state knows."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def tidy(axis: Axes) -> None:
    """Lay a light grid, drop the frame, write numbers in full."""
    # Ticks are made when a figure is drawn, outside of the context: they are styled here by hand.
    axis.set_facecolor("white")
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(QUIET)
    axis.grid(True, color=_GRID, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=9, color=QUIET, labelcolor=_TICKS, length=3)
    axis.margins(x=0.01)
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.yaxis.set_major_formatter(NUMBERS)


def mark_dates(axis: Axes, zone: Any) -> None:
    """Write dates below an axes, in the zone of the data."""
    locator = dates.AutoDateLocator(tz=zone, minticks=4, maxticks=9)
    axis.xaxis.set_major_locator(locator)
    # The offset names the last month beside the axis, which reads as the month of all ticks where years change.
    first, last = axis.get_xlim()
    formatter = dates.ConciseDateFormatter(locator, tz=zone, show_offset=last - first < 62)
    formatter.zero_formats[2] = "%b\n%Y"  # the first of a month among days
    axis.xaxis.set_major_formatter(formatter)
    axis.xaxis.get_offset_text().set(fontsize=9, color=_TICKS)


def mark_whole(axis: Axes) -> None:
    """Write whole numbers below an axes."""
    axis.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    axis.xaxis.set_major_formatter(NUMBERS)
