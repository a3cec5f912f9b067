"""Legends that name each thing once and stay within the figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from forecast.report import style

_LENGTH = 48  # letters
_COLUMNS = 5
_ROOM = 0.9  # of the width of a figure: the rest is that of the labels beside an axis


def entries(axes: Iterable[Axes], *, first: Sequence[str] = ()) -> dict[str, Any]:
    """Collect what is labelled: some labels first, then lines, then areas; several colours of one label as one."""
    found: dict[str, dict[Any, Artist]] = {label: {} for label in first}
    for axis in axes:
        for artist, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, {}).setdefault(_colour(artist), artist)
    held = {label: _handle(list(artists.values())) for label, artists in found.items() if artists}
    order = sorted(
        held, key=lambda label: label not in first and not isinstance(next(iter(found[label].values())), Line2D)
    )
    return {label: held[label] for label in order}


def _colour(artist: Any) -> tuple[float, ...]:
    colour = artist.get_color() if hasattr(artist, "get_color") else artist.get_facecolor()
    return tuple(to_rgba_array(colour)[0])


def _handle(artists: list[Any]) -> Any:
    """One artist, two side by side, or a grey one for more than the eye could tell apart."""
    if len(artists) < 3:
        return artists[0] if len(artists) == 1 else tuple(artists)
    if isinstance(artists[0], Line2D):
        look = {name: artists[0].properties()[name] for name in ("linestyle", "linewidth", "marker", "markersize")}
        return Line2D([], [], color=style.HISTORY, **look)
    return Patch(facecolor=style.tint(style.HISTORY, 0.25))


def fit_legend(figure: Figure, owner: Figure | Axes, held: Mapping[str, Any], **place: Any) -> Legend:
    """Draw a legend that reads from left to right, in as many columns as the figure has room for."""
    most = len(held) if len(held) <= _COLUMNS else _COLUMNS - 1
    for count in range(most, 0, -1):
        # A legend fills its columns from top to bottom.
        order = [label for column in range(count) for label in list(held)[column::count]]
        legend = owner.legend(
            [held[label] for label in order],
            [style.shortened(label, length=_LENGTH) for label in order],
            ncols=count,
            handler_map={tuple: HandlerTuple(ndivide=None, pad=0.2)},
            title_fontproperties={"size": 9.5},
            **place,
        )
        if count == 1 or legend.get_window_extent().width <= _ROOM * figure.bbox.width:
            break
        legend.remove()
    return legend
