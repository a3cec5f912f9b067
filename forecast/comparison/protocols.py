"""What models are compared on: a data set, a horizon, and the origins that a protocol lays in it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecast.comparison.hashing import panel_digest
from forecast.comparison.settings import Protocol
from forecast.data.columns import Columns
from forecast.data.laying import laid, observed
from forecast.data.panel import Panel
from forecast.data.splits import Split, refuse_short, usual_context
from forecast.errors import ConfigError, DataError
from forecast.evaluation.metrics import deviation
from forecast.evaluation.origins import Origins, fold_ends, scored_origins, truth_after, warn_of_left_out
from forecast.evaluation.plan import check_plan
from forecast.evaluation.step_errors import Scales, training_scales

log = logging.getLogger("forecast")


@dataclass(frozen=True, eq=False)
class Contested:
    """A table that models are compared on, and what is known about it.

    ``seasonality`` and ``mase_season``, the period of MASE's scale, are those of the frequency where they are not
    given, ``split`` that of a backtest; ``horizon`` is used where none is asked for.
    """

    name: str
    frame: pd.DataFrame | pd.Series | Panel
    columns: Columns | None = None
    freq: str | None = None
    seasonality: int | None = None
    mase_season: int | None = None
    split: Split | None = None
    horizon: int | None = None

    @cached_property
    def panel(self) -> Panel:
        """The table on its grid."""
        if isinstance(self.frame, Panel):
            return observed(self.frame)
        return laid(self.frame, self.columns, freq=self.freq)


class Part(NamedTuple):
    """What one fit serves: the first of its folds (from 1), where its training span ends (n,), and its origins."""

    fold: int
    known: np.ndarray
    origins: Origins


@dataclass(frozen=True, eq=False)
class Task:
    """The same for every model: a panel, a horizon, the origins to forecast from and what is known before them.

    An origin counts where its series has an observation among the steps that a network reads by default (three seasons
    or the horizon, at least 24), and one to score after it; of several targets each counts by itself. That looks at the
    series alone, so that no model moves the origins of another: a model with a shorter context that finds nothing
    observed in it fails.
    """

    data: str
    panel: Panel
    horizon: int
    season: int
    mase_season: int
    ends: np.ndarray  # (W, n): what is known of each series at each window
    parts: tuple[Part, ...]

    @cached_property
    def digest(self) -> str:
        """What tells its table from any other."""
        return panel_digest(self.panel)

    def truth(self, origins: Origins) -> np.ndarray:
        """Return what followed each origin (N, H, C), NaN where it was not observed or does not count."""
        values = truth_after(self.panel, origins, horizon=self.horizon)
        return np.where(self.counts(origins)[:, None], values, np.nan)

    def counts(self, origins: Origins) -> np.ndarray:
        """Return which targets of which origins count: bool (N, C)."""
        return _recently_observed(self.panel, origins, horizon=self.horizon, season=self.season)

    @cached_property
    def scales(self) -> Scales:
        """What errors of each series and target are divided by, each (n, C), of the span before its first origin."""
        first = np.minimum.reduce([_first_ends(self.panel, part) for part in self.parts])
        size = (len(self.panel.ids), self.panel.target.shape[1])
        found = [
            training_scales(self.panel.series(series)[: first[series], target], seasonality=self.mase_season)
            for series, target in np.ndindex(size)
        ]
        return Scales(*(np.reshape(scale, size).astype(np.float64) for scale in zip(*found, strict=True)))

    def cutoffs(self, origins: Origins) -> np.ndarray:
        """Return the last known time of each origin as text (N,)."""
        return self.panel.stamp_texts(self.panel.stamps(origins.series, origins.ends - 1))

    def pair_names(self) -> np.ndarray:
        """Return what each series and target is called: (n, C)."""
        ids = [str(name) for name in self.panel.ids]
        targets = self.panel.columns.targets
        names = [[name] if len(targets) == 1 else [f"{name} / {target}" for target in targets] for name in ids]
        return np.array(names, object)


def task_of(contested: Contested, *, horizon: int, protocol: Protocol) -> Task:
    """Lay out what models are compared on.

    Raises
    ------
    ConfigError
        If the protocol makes no sense.
    DataError
        If the table cannot be used, or leaves nothing to train on or to score.
    """
    protocol.check()
    every = check_plan(
        folds=protocol.folds, step=protocol.step, refit=protocol.refit, horizon=horizon,
        mase_season=contested.mase_season,
    )  # fmt: skip
    panel = contested.panel
    refuse_short(panel, horizon=horizon)
    season = contested.seasonality or panel.season
    if protocol.test is None:
        split: Split | None = protocol.split or contested.split  # type: ignore[assignment]
        ends = fold_ends(panel, horizon=horizon, folds=protocol.folds, step=protocol.step, split=split)
        trained = None
    else:
        panel, ends, trained = _spans(panel, protocol, horizon=horizon)
        every = len(ends) if protocol.refit is False else every
    origins = scored_origins(panel, ends, horizon=horizon)
    warn_of_left_out(panel, ends, origins)
    recent = _recently_observed(panel, origins, horizon=horizon, season=season)
    follows = _observed_after(panel, origins, horizon=horizon)
    counted = origins.taken((recent & follows).any(axis=1))
    if len(counted.series) < len(origins.series):
        left_out = len(origins.series) - len(counted.series)
        log.warning("%d windows have, or follow, a span without an observation: left out for all models.", left_out)
    parts = tuple(
        Part(first + 1, ends[first] if trained is None or first else trained, own)
        for first in range(0, len(ends), every)
        if len((own := counted.taken((counted.window >= first) & (counted.window < first + every))).series)
    )
    if not parts:
        raise DataError(f"data set {contested.name!r} has no window to score. Shorten the horizon, or fill gaps.")
    lengths = (int(horizon), int(season), int(contested.mase_season or season))  # a number of numpy is none of JSON's
    return Task(contested.name, panel, *lengths, ends, parts)


def _spans(panel: Panel, protocol: Protocol, *, horizon: int) -> tuple[Panel, np.ndarray, np.ndarray]:
    """Return a panel up to the end of the test span, the ends (W, n) of its windows, and of its training span (n,)."""
    assert protocol.train is not None and protocol.test is not None
    begin = protocol.train + protocol.validation
    last = begin + protocol.test
    if protocol.test < horizon:
        raise ConfigError(f"backtest.test={protocol.test} has no room for a horizon of {horizon}. Lengthen it.")
    if panel.ends.min() < last:
        raise DataError(
            f"spans of {protocol.train}, {protocol.validation} and {protocol.test} steps need series of {last} steps, "
            f"and the shortest has {panel.ends.min()}. Shorten backtest.train, validation or test."
        )
    size = len(panel.ids)
    panel = panel.until(np.full(size, last))
    known = np.full(len(panel.ids), protocol.train)
    if protocol.standardised:
        panel = _standardised(panel, known)
    at = np.arange(begin, last - horizon + 1, protocol.step or 1)
    return panel, np.repeat(at[:, None], len(panel.ids), axis=1), known


def _standardised(panel: Panel, ends: np.ndarray) -> Panel:
    """Return a panel whose targets are less the mean of the first `ends` steps (n,), over the deviation there."""
    target = np.empty_like(panel.target)
    for series, end in enumerate(ends):
        own = panel.series(series)
        scale = deviation(own[:end].T)
        if not np.isfinite(scale).all():
            raise DataError(
                f"series {panel.ids[series]!r} is constant in its training span, or empty: it has no z-scores. "
                "Leave it out."
            )
        loc = np.nanmean(own[:end], axis=0)
        target[panel.offsets[series] : panel.offsets[series + 1]] = (own - loc) / scale
    columns = replace(panel.columns, minimum=None, unit="standard deviations")
    return replace(panel, target=target, columns=columns)


def _recently_observed(panel: Panel, origins: Origins, *, horizon: int, season: int) -> np.ndarray:
    recent = usual_context(panel, horizon=horizon, season=season)
    return panel.observed_targets(origins.series, origins.ends - recent, origins.ends)


def _observed_after(panel: Panel, origins: Origins, *, horizon: int) -> np.ndarray:
    """Return which targets of which origins (N, C) there is anything to score of."""
    last = np.minimum(origins.ends + horizon, panel.ends[origins.series])
    return panel.observed_targets(origins.series, origins.ends, last)


def _first_ends(panel: Panel, part: Part) -> np.ndarray:
    """Return where the training span of each series ends (n,): before the first origin, and what is trained on."""
    ends = np.where(part.known > 0, np.minimum(part.known, panel.ends), panel.ends)
    np.minimum.at(ends, part.origins.series, part.origins.ends)
    return ends
