"""Simple methods for events: how often they occur, and how often after one has just occurred or not.

Both count windows of the training span, step by step of the horizon, with the event of the forecaster. Few windows lean
on many: those of a series on those of all, and nothing is held for impossible or certain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from forecast.data.panel import Panel

if TYPE_CHECKING:
    from forecast.losses import EventLoss

Array = NDArray[np.float64]
WEIGHT = 20.0  # windows that the share of more windows counts for, beside those of a series or a state alone


class Chances(ABC):
    """Shares of events by series, state and step.

    Parameters
    ----------
    event : EventLoss
        Tells where the event occurred.
    horizon : int
        Steps to forecast, H.
    """

    states: int  # S

    def __init__(self, event: EventLoss, *, horizon: int) -> None:
        self.event, self.horizon = event, horizon

    @abstractmethod
    def state(self, occurred: Array) -> NDArray[np.int64]:
        """Return the state at each origin of a series, from where events occurred (T, H, C): the same shape."""

    def fit(self, panel: Panel) -> Self:
        """Count the events of a panel."""
        shape = (len(panel.ids), self.states, self.horizon, panel.target.shape[1])
        hits, windows = np.zeros(shape), np.zeros(shape)
        for number in range(len(panel.ids)):
            occurred = occurrences(self.event, panel.series(number), horizon=self.horizon)
            state = self.state(occurred)
            for one in range(self.states):
                hits[number, one] = np.nansum(np.where(state == one, occurred, np.nan), axis=0)
                windows[number, one] = ((state == one) & ~np.isnan(occurred)).sum(axis=0)
        common = (hits.sum(axis=(0, 1)) + 0.5) / (windows.sum(axis=(0, 1)) + 1)  # (H, C)
        pooled = (hits.sum(axis=0) + WEIGHT * common) / (windows.sum(axis=0) + WEIGHT)  # (S, H, C)
        own = (hits + WEIGHT * pooled) / (windows + WEIGHT)
        self.ids_, self.shares_ = panel.ids, np.concatenate([own, pooled[None]])  # the last is for series never seen
        return self

    def predict(self, panel: Panel, series: NDArray[np.int64], ends: NDArray[np.int64]) -> Array:
        """Return probabilities from origins (N,) of a panel: (N, H, C)."""
        rows = self.ids_.get_indexer(panel.ids)
        steps, channels = np.ogrid[: self.horizon, : panel.target.shape[1]]
        found = np.empty((len(series), self.horizon, panel.target.shape[1]))
        for number in np.unique(series):
            own = series == number
            known = panel.series(number)[: ends[own].max()]
            state = self.state(occurrences(self.event, known, horizon=self.horizon))[ends[own] - 1]
            found[own] = self.shares_[rows[number], state, steps, channels]
        return found


class BaseRate(Chances):
    """How often the event occurs."""

    states = 1

    def state(self, occurred: Array) -> NDArray[np.int64]:
        """Return one state for all."""
        return np.zeros(occurred.shape, np.int64)


class Persistence(Chances):
    """How often the event occurs where it has just occurred, where it has not, and where that is not known.

    Has it, for a step h ahead, is the event h steps ahead from h steps before the origin: whether the last value is 1;
    whether the last h steps went up together; whether stock has run out within them.
    """

    states = 3

    def state(self, occurred: Array) -> NDArray[np.int64]:
        """Return 1 where the event has just occurred, 0 where it has not, 2 where that is not known."""
        just = np.full_like(occurred, np.nan)
        for step in range(min(self.horizon, len(occurred) - 1)):
            just[step + 1 :, step] = occurred[: -step - 1, step]
        return np.where(np.isnan(just), 2, just).astype(np.int64)


EVENT_BASELINES: dict[str, type[Chances]] = {"base_rate": BaseRate, "persistence": Persistence}


def occurrences(event: EventLoss, values: Array, *, horizon: int) -> Array:
    """Return where an event occurred after every step of a series (T, C): (T, H, C), NaN where that is not known."""
    ahead = np.concatenate([values[1:], np.full((horizon, values.shape[1]), np.nan)])
    return occurred_after(event, _sliding(ahead, horizon), _latest(values))


def occurred_after(event: EventLoss, truth: Array, last: Array) -> Array:
    """Return where an event occurred after origins, NaN where that is not known: (N, H, C).

    Parameters
    ----------
    event : EventLoss
        Tells where it occurred.
    truth : ndarray (N, H, C)
        Values after the origins, NaN where not observed.
    last : ndarray (N, C)
        The last value observed at each, NaN where there is none.
    """
    import torch  # the names above are asked for before anything heavy is loaded

    from forecast.batch import Outcome

    observed = torch.from_numpy((~np.isnan(truth)).astype(np.float64))
    found = event.occurred(Outcome(torch.from_numpy(np.nan_to_num(truth)), observed), torch.from_numpy(last))
    return np.where(found.observed.numpy() > 0, found.target.numpy(), np.nan)


def last_before(panel: Panel, series: NDArray[np.int64], ends: NDArray[np.int64]) -> Array:
    """Return the last value observed before each origin (N,), NaN where there is none: (N, C)."""
    found = np.empty((len(series), panel.target.shape[1]))
    for number in np.unique(series):
        own = series == number
        found[own] = _latest(panel.series(number))[ends[own] - 1]
    return found


def _sliding(values: Array, steps: int) -> Array:
    """Return every run of so many steps of values (T + H - 1, C): (T, H, C)."""
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(values, steps, axis=0).swapaxes(1, 2))


def _latest(values: Array) -> Array:
    """Return the last value observed up to each step, NaN before there is any: (T, C)."""
    steps = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(steps, axis=0), axis=0)
