"""What members of an ensemble are worth on horizons that they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecast.combination import best_weights, spread_of
from forecast.data.panel import Panel
from forecast.data.splits import split_ends, usual_split
from forecast.data.windows import observed_origins
from forecast.errors import DataError
from forecast.forecaster import Forecaster


def unseen_ends(panel: Panel, *, horizon: int, windows: int) -> np.ndarray:
    """Return where the known part of each series ends at each origin held back (W, n).

    Raises
    ------
    DataError
        If nothing is left to train on, or to score.
    """
    ends = split_ends(panel, horizon=horizon, windows=windows, split=usual_split(panel))
    if (ends[0] <= horizon).all():
        raise _nothing_left(panel, horizon=horizon, windows=windows)
    _scored(panel, ends, context_length=int(panel.ends.max()), horizon=horizon)  # before training, not after it
    return ends


def weights_after(members: Sequence[Forecaster], panel: Panel, ends: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the best weights (M,) of members on the horizons after `ends` (W, n), and whether they tell anything.

    They do not where every series is constant before: then all weigh the same.
    """
    horizon, context_length = members[0].horizon_, min(member.context_length_ for member in members)
    series, origins = _scored(panel, ends, context_length=context_length, horizon=horizon)
    levels = common_levels(members)
    values = np.stack([member.predict_origins(panel, series, origins, levels=levels) for member in members])
    quantiles = values[..., 1:] if levels else values[..., :1]
    steps = panel.offsets[series][:, None] + origins[:, None] + np.arange(horizon)
    spreads = [
        spread_of(panel.series(number)[:end], seasonality=members[0].seasonality_) for number, end in enumerate(ends[0])
    ]
    scale = np.stack(spreads)[series]
    weights = best_weights(quantiles, panel.target[steps], scale, levels or (0.5,))
    return weights, bool(np.isfinite(scale).any())


def common_levels(members: Sequence[Forecaster]) -> tuple[float, ...]:
    """Return the levels of the first member, or those of any member that all can give where one lacks some."""

    def all_cover(level: float) -> bool:
        return all(member.covers(level) for member in members)

    first = members[0].own_levels()
    if all(map(all_cover, first)):
        return first
    return tuple(sorted({level for member in members for level in member.own_levels() if all_cover(level)}))


def _scored(panel: Panel, ends: np.ndarray, *, context_length: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return series and ends (N,) of the origins that can be scored."""
    _, series, origins = observed_origins(panel, ends, context_length=context_length, horizon=horizon)
    if not len(series):
        raise _nothing_left(panel, horizon=horizon, windows=len(ends))
    return series, origins


def _nothing_left(panel: Panel, *, horizon: int, windows: int) -> DataError:
    return DataError(
        f"weights='validation' holds back validation={windows} horizons of {horizon} steps, which leaves nothing to "
        f"train on or to score; the longest series has {panel.ends.max()} steps. Lower validation, give longer series, "
        "or leave weights out."
    )
