"""Which origins a forecaster is scored from."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecast.data.panel import Panel
from forecast.data.splits import Split, split_ends, usual_split
from forecast.errors import ConfigError, DataError, named, some_of
from forecast.evaluation.step_errors import Scales, training_scales

log = logging.getLogger("forecast")


class Origins(NamedTuple):
    """Where forecasts begin: the number of the window (from 0), the series, and how many of its steps are known."""

    window: np.ndarray  # (N,)
    series: np.ndarray  # (N,)
    ends: np.ndarray  # (N,)

    def taken(self, which: np.ndarray) -> Origins:
        """Return the origins of a mask or of places."""
        return Origins(*(part[which] for part in self))


def fold_ends(panel: Panel, *, horizon: int, folds: int, step: int | None, split: Split | None) -> np.ndarray:
    """Return where the known part of each series ends at each fold, int64 (folds, n).

    Raises
    ------
    DataError
        If nothing is left to train on before the first fold; the message says how many folds fit.
    """
    ends = split_ends(panel, horizon=horizon, windows=folds, step=step, split=split or usual_split(panel))
    trainable = (ends > horizon) & _seen(panel, ends)
    if not trainable[0].any():
        fitting = int(trainable.any(axis=1).sum())
        way_out = f"At most {fitting} fit: lower folds, step or the horizon." if fitting else "Shorten the horizon."
        raise DataError(
            f"{folds} folds, each {step or horizon} steps after the one before, leave at most {max(ends[0].max(), 0)} "
            f"steps of any series to train on before the first; a horizon of {horizon} needs {horizon + 1} steps and a "
            f"value observed among them. {way_out}"
        )
    return ends


def held_back_ends(panel: Panel, *, horizon: int, windows: int, split: Split | None) -> np.ndarray:
    """Return where the known part of each series ends at each window held back for a test, int64 (windows, n).

    Raises
    ------
    ConfigError
        If there are fewer windows than none.
    DataError
        If nothing is left to train on, or nothing can be scored.
    """
    if windows < 0:
        raise ConfigError(f"test.windows is 0 or more, got {windows}.")
    ends = split_ends(panel, horizon=horizon, windows=windows, split=split or usual_split(panel))
    if (ends[0] <= horizon).all():
        raise DataError(
            f"test.windows={windows} windows of horizon {horizon} leave at most "
            f"{max(ends[0].max(), 0)} steps of any series to train on. Lower test.windows or the horizon."
        )
    scored_origins(panel, ends, horizon=horizon)  # refuses before training what could not be scored after it
    return ends


def scored_origins(panel: Panel, ends: np.ndarray, *, horizon: int) -> Origins:
    """Return the origins, of those that `ends` (W, n) names, that can be scored.

    They have an observation before them, a step after them, and known covariates for the steps of the horizon that
    lie beyond the history.

    Raises
    ------
    DataError
        If there are none.
    """
    has_both = _has_history_and_truth(panel, ends)
    window, series = np.nonzero(has_both & _known_ahead(panel, ends, horizon=horizon))
    if len(series):
        return Origins(window, series, ends[window, series])
    if has_both.any():
        names = ", ".join(covariate.name for covariate in panel.known)
        raise DataError(
            f"no held-back window has {names} over its whole horizon. Split by series_end (test.split), give rows "
            "with the known covariates, or set test.windows=0 to train without a score."
        )
    raise DataError(
        "no series has both a history and held-back steps to score. Lower the number of windows (test.windows, folds) "
        "or the horizon, or set test.windows=0 to train without a score."
    )


def warn_of_left_out(panel: Panel, ends: np.ndarray, origins: Origins) -> None:
    """Tell how many series and windows of `ends` (W, n) are not among the origins to score."""
    has_both = _has_history_and_truth(panel, ends)
    without = panel.ids[np.flatnonzero(~has_both.any(axis=0))]
    if len(without):
        log.warning(
            "series without history before, or a step after, any held-back origin are not scored: %s. Where they end "
            "before the others, data.split=series_end takes the windows of each before its own end.",
            some_of(map(named, without)),
        )
    unknown = int(has_both.sum()) - len(origins.series)
    if unknown:
        log.warning("%d held-back windows lack a known covariate within the horizon: not scored.", unknown)


def truth_after(panel: Panel, origins: Origins, *, horizon: int) -> np.ndarray:
    """Return the values that followed each origin (N, H, C), NaN after the end of the history."""
    steps = origins.ends[:, None] + np.arange(horizon)
    inside = steps < panel.ends[origins.series][:, None]
    flat = np.where(inside, panel.offsets[origins.series][:, None] + steps, 0)
    return np.where(inside[..., None], panel.target[flat], np.nan)


def series_scales(panel: Panel, origins: Origins, channel: np.ndarray, *, season: int) -> pd.DataFrame:
    """Return what errors of each series and target are divided by, from what lies before its first origin.

    Parameters
    ----------
    origins : Origins
        Of which a series may have several, also for one target.
    channel : ndarray of int64 (N,)
        The target of each.
    season : int
        Period of MASE's scale.

    Returns
    -------
    DataFrame by id, or by id and target where there are several, with the fields of `Scales`; NaN where undefined.
    """
    first = pd.Series(origins.ends).groupby([origins.series, channel]).min()
    number, target = (first.index.get_level_values(level) for level in (0, 1))
    scales = [
        training_scales(panel.series(series)[:end, own], seasonality=season)
        for series, own, end in zip(number, target, first, strict=True)
    ]
    ids, targets = panel.ids[number], pd.Index(panel.columns.targets)
    index = ids if len(targets) == 1 else pd.MultiIndex.from_arrays([ids, targets[target]])
    return pd.DataFrame(scales, index=index, columns=Scales._fields, dtype=np.float64)


def _has_history_and_truth(panel: Panel, ends: np.ndarray) -> np.ndarray:
    """Return which origins have an observation before them and a step after them, bool (W, n)."""
    return _seen(panel, ends) & (ends < panel.ends)


def _seen(panel: Panel, ends: np.ndarray) -> np.ndarray:
    """Return which origins have an observation before them, bool (W, n)."""
    every = np.arange(len(panel.ids))
    return np.stack([panel.observed(every, np.zeros_like(every), end) for end in ends])


def _known_ahead(panel: Panel, ends: np.ndarray, *, horizon: int) -> np.ndarray:
    """Return after which origins every known covariate is given beyond the history, bool (W, n).

    A step of the history that has no row needs none: it counts as unobserved.
    """
    if not panel.known:
        return np.ones(ends.shape, bool)
    given = [
        np.isfinite(covariate.values) if covariate.categories is None else covariate.values >= 0
        for covariate in panel.known
    ]
    complete = np.concatenate([[0], np.cumsum(np.all(given, axis=0))])
    begins, last = panel.offsets[:-1], np.maximum(ends + horizon, panel.ends)
    found = complete[begins + np.minimum(last, panel.lengths)] - complete[begins + panel.ends]
    return found == last - panel.ends
