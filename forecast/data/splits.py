"""How a span is split into what is known and what is held back; no window is cut here."""

from __future__ import annotations

from typing import Literal

import numpy as np

from forecast.data.panel import Panel
from forecast.errors import ConfigError, DataError, named

Split = Literal["calendar", "series_end"]
LONGEST_SEASON = 168  # of which a usual context holds three: a longer one would cost more than it tells
LONGEST_CONTEXT = 512


def usual_context(panel: Panel, *, horizon: int, season: int) -> int:
    """Return how many steps a network reads where nobody says: three seasons or the horizon, whichever is longer."""
    cycles = 3 * season if season <= LONGEST_SEASON else 0
    longest = int(panel.ends.max())
    return min(max(cycles, horizon, 24), max(longest - horizon, 1), LONGEST_CONTEXT)


def usual_split(panel: Panel) -> Split:
    """Return how a panel is split where nobody says: each series at its own end only where times are whole numbers."""
    return "series_end" if panel.freq.kind == "integer" else "calendar"


def refuse_short(panel: Panel, *, horizon: int, context_length: int | None = None) -> None:
    """Refuse a horizon that leaves no series a step to learn from, and a context longer than every series.

    Raises
    ------
    DataError
        Names the longest series and its steps.
    """
    longest = int(panel.ends.argmax())
    steps, name = int(panel.ends[longest]), named(panel.ids[longest])
    if steps <= horizon:
        raise DataError(
            f"no series is long enough to train on: the longest, {name}, has {steps} steps, and a horizon of {horizon} "
            f"needs at least {horizon + 1}. Shorten the horizon, or give longer series."
        )
    if context_length is not None and context_length > steps:
        raise DataError(
            f"context_length={context_length} is longer than every series: the longest, {name}, has {steps} steps. "
            "Shorten context_length, leave it out, or give longer series."
        )


def validation_ends(panel: Panel, *, horizon: int, windows: int) -> np.ndarray:
    """Return where the part to learn from ends in each series (n,): so many horizons before its own end.

    Raises
    ------
    DataError
        If nothing is left to learn from.
    """
    ends = np.maximum(panel.ends - windows * horizon, 0)
    if not ends.any():
        raise DataError(
            f"training.validation={windows} holds back {windows * horizon} steps, "
            f"and the longest series has {panel.ends.max()}. Lower it, or give longer series."
        )
    return ends


def split_ends(panel: Panel, *, horizon: int, windows: int, split: Split, step: int | None = None) -> np.ndarray:
    """Return where the known part of each series ends at each held-back origin; the last is one horizon from the end.

    Parameters
    ----------
    panel : Panel
        The whole span.
    horizon, windows : int
        Steps of one held-back window, and how many there are.
    step : int
        Steps from one origin to the next; the horizon by default, so that windows do not overlap.
    split : {"calendar", "series_end"}
        One cutoff for all series, counted back from the last stamp of the panel (where rows are the grid, a
        series with fewer rows than others has earlier ones); or from each series' own end.

    Returns
    -------
    int64 (windows, n). A series with an end of 0 has no history there; one whose end is its length, no truth.
    """
    step = horizon if step is None else step
    back = horizon + step * np.arange(windows - 1, -1, -1)[:, None]
    if split == "series_end":
        return np.maximum(panel.ends - back, 0)
    if split != "calendar":
        raise ConfigError(f"split is calendar or series_end, got {split!r}.")
    series = np.arange(len(panel.ids))
    if panel.times is None:
        first = panel.positions(series, np.zeros(len(series), np.int64))
        last = (first + panel.ends).max()
        return np.clip(last - back - first, 0, panel.ends)
    spans = [panel.times[begin : begin + end] for begin, end in zip(panel.offsets, panel.ends, strict=False)]
    stamps = np.unique(np.concatenate(spans))
    last_known = len(stamps) - back[:, 0] - 1
    cutoffs = stamps[np.maximum(last_known, 0)]
    ends = np.stack([np.searchsorted(span, cutoffs, side="right") for span in spans], axis=1)
    ends[last_known < 0] = 0
    for early, late in reversed(list(zip(ends[:-1], ends[1:], strict=True))):
        short = (late < panel.ends) & (late - early < step)  # of a series with fewer rows than the others
        early[short] = np.maximum(late[short] - step, 0)
    return ends
