"""Windows of training spans, for the baselines that learn from all series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from forecast.evaluation.histories import Array, filled

FARTHEST = 10.0  # deviations of a window from its last value that what is learned may lie away


def affordable_lags(spans: Sequence[Array], *, wanted: int, horizon: int) -> int:
    """Most lags, up to those wanted, for which the spans hold at least as many windows; 0 for no window."""
    lengths = np.array([len(span) for span in spans], np.int64)
    for lags in range(wanted, 0, -1):
        if np.sum(np.maximum(lengths - horizon - lags + 1, 0)) >= lags:
            return lags
    return 0


def cut_windows(spans: Sequence[Array], lags: int, horizon: int, *, most: int, seed: int) -> tuple[Array, Array]:
    """Return windows of the spans: lags (n, lags), gaps filled, and targets (n, H), gaps NaN; of too many, some."""
    lengths = np.array([len(span) for span in spans], np.int64)
    offsets = np.cumsum(lengths) - lengths
    counts = np.maximum(lengths - lags - horizon + 1, 0)
    starts = np.concatenate([offset + np.arange(count) for offset, count in zip(offsets, counts, strict=True)])
    if len(starts) > most:
        starts = np.random.default_rng(seed).choice(starts, most, replace=False)
    known = np.concatenate([filled(span) for span in spans])
    before = sliding_window_view(known, lags)[starts]
    after = sliding_window_view(np.concatenate(spans), horizon)[starts + lags]
    return before, after


def last_values(history: Array, lags: int) -> Array:
    """Return the last values of a history (lags,), gaps filled, led by its first one where it is shorter."""
    values = filled(history)[-lags:]
    return values if len(values) == lags else np.pad(values, (lags - len(values), 0), mode="edge")


def loc_scale(windows: Array) -> tuple[Array, Array]:
    """Last value and deviation of each window, (n, 1) each; the deviation of a constant window is 0."""
    loc = windows[:, -1:]
    scale = windows.std(axis=1, keepdims=True)
    rounding = 1e-10 * np.abs(windows).max(axis=1, keepdims=True)
    return loc, np.where(scale > rounding, scale, 0.0)
