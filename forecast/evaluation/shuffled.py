"""The windows of some origins, with one covariate of them shuffled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from forecast.data.encoding import counted
from forecast.data.grid import Covariate
from forecast.data.panel import Panel
from forecast.evaluation.origins import Origins

CALENDAR = "calendar"  # role and name of what the time of a window tells


class Group(NamedTuple):
    """What is shuffled together: one column, or the calendar."""

    covariate: str
    role: str


class ShuffledWindows:
    """Cut the window of each origin out of a panel as a series of its own, and shuffle covariates among them.

    A past or known covariate is shuffled in time: each window takes its course from an earlier origin of the same
    series, drawn at random. A static one is shuffled between series, so that none keeps its own. The calendar moves
    as a whole, and with it the phase of the season: the network is told the time of an earlier origin.

    Parameters
    ----------
    panel : Panel
        The whole span.
    origins : Origins
        Each has at least two steps before it.
    context_length, horizon : int
        Steps of a window before and after its origin.

    Attributes
    ----------
    panel : Panel
        A series for each origin, nothing shuffled.
    series, ends : ndarray of int64 (N,)
        The origins in that panel, or in one that `shuffled` returns.
    """

    def __init__(self, panel: Panel, origins: Origins, *, context_length: int, horizon: int) -> None:
        self._whole, self._origins = panel, origins
        _, series, ends = origins
        until = np.minimum(ends + horizon, panel.lengths[series])
        self.panel = panel.part(series, np.maximum(ends - context_length, 0), until)
        self.series, self.ends = np.arange(len(series)), ends - (until - self.panel.lengths)
        # Where the history allows it, an earlier origin has a whole context behind it, too.
        self._earliest = np.minimum(context_length, ends // 2)
        self._window = np.repeat(self.series, self.panel.lengths)
        self._step = counted(self.panel.lengths) - self.ends[self._window]  # 0 is the first after the origin

    def shuffled(self, group: Group, random: np.random.Generator) -> Panel:
        """Return the windows with the values of a group drawn anew."""
        series = self._origins.series
        if group.role == "static":
            return self._with(group, _others(series, random))
        earlier = random.integers(self._earliest, self._origins.ends)
        # A context that reaches beyond the start of its series has the first value there.
        steps = np.maximum(earlier[self._window] + self._step, 0)
        rows = self._whole.offsets[series][self._window] + steps
        if group.role != CALENDAR:
            return self._with(group, rows)
        if self._whole.times is None:
            return replace(self.panel, starts=self._whole.stamps(series, earlier - self.ends))
        times = self._whole.times[rows]
        return replace(self.panel, times=times, starts=times[self.panel.offsets[:-1]])

    def _with(self, group: Group, places: np.ndarray) -> Panel:
        """Return the windows with one covariate taken from other places of the whole panel."""
        drawn = tuple(
            Covariate(own.name, whole.values[places], own.categories) if own.name == group.covariate else own
            for own, whole in zip(getattr(self.panel, group.role), getattr(self._whole, group.role), strict=True)
        )
        changed: dict[str, Any] = {group.role: drawn}
        return replace(self.panel, **changed)


def _others(series: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return another series for each (N,), the same for all origins of one: a random circle through all of them."""
    found, own = np.unique(series, return_inverse=True)
    order = random.permutation(len(found))
    partner = np.empty_like(order)
    partner[order] = np.roll(order, 1)
    return found[partner][own]
