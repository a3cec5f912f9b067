"""What every baseline does with histories: 1-D arrays up to the origin, oldest first, NaN where not observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Prediction(NamedTuple):
    """Forecasts of several series; `spread` is the standard deviation of the error at each step."""

    point: Array  # (n, H)
    spread: Array  # (n, H)


def check_lengths(**lengths: int | None) -> None:
    """Refuse lengths below 1, by name."""
    for name, value in lengths.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")


def checked(histories: Sequence[Array]) -> list[Array]:
    """Return histories as arrays; refuse one without an observation."""
    arrays = [_as_series(history) for history in histories]
    for number, history in enumerate(arrays):
        if np.isnan(history).all():
            raise ValueError(
                f"history {number} has {len(history)} rows and no observed value. "
                "Drop the series, or choose an origin after its first observation."
            )
    return arrays


def from_first_observed(history: Array) -> Array:
    """Drop what lies before the first observation: all of a history without one."""
    values = _as_series(history)
    at = np.flatnonzero(~np.isnan(values))
    return values[at[0] :] if len(at) else values[:0]


def filled(history: Array) -> Array:
    """Fill gaps with the last known value; what lies before the first observation takes that one."""
    observed = ~np.isnan(history)
    if observed.all():
        return history
    at = np.flatnonzero(observed)
    last = np.searchsorted(at, np.arange(len(history)), side="right") - 1
    return history[at[np.maximum(last, 0)]]


def _as_series(history: Array) -> Array:
    values = np.asarray(history, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"a history must have one axis, got shape {values.shape}. Pass one array a series.")
    return values
