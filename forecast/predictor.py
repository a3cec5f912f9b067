"""What everything that forecasts tables shares: tables in, frames out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from forecast.data.columns import Columns
from forecast.data.encoding import Encoding
from forecast.data.laying import laid, observed
from forecast.data.panel import Panel
from forecast.data.windows import refuse_missing_known
from forecast.errors import ConfigError, DataError, check_count, named
from forecast.frames import SCENARIO, TARGET, forecast_frame, level_names, raised_to_minima, sample_frame, told

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from forecast.losses import EventLoss

log = logging.getLogger("forecast")
Table = pd.DataFrame | pd.Series | Panel


class Predictor(BaseEstimator, ABC):
    """Parent of what learns from a table of series and forecasts each of them.

    Attributes
    ----------
    horizon_, context_length_, seasonality_ : int
        As used.
    freq_ : str
        As used.
    history_ : DataFrame
        Loss and learning rate by step.
    panel_ : Panel
        The last context of each series, from which `predict` forecasts without a table.
    """

    horizon: int
    columns: Columns | None
    freq: str | None
    horizon_: int
    context_length_: int
    seasonality_: int
    freq_: str
    history_: pd.DataFrame
    panel_: Panel

    @abstractmethod
    def fit(
        self, frame: Table, *, warm_start: bool = False, folder: Path | None = None, logger: Logger | None = None
    ) -> Self:
        """Learn from everything given."""

    @property
    @abstractmethod
    def encoding(self) -> Encoding:
        """Statistics and vocabularies of the training span."""

    @property
    def event(self) -> EventLoss | None:
        """What forecasts are the probability of; None where they are values."""
        return None

    @abstractmethod
    def covers(self, level: float) -> bool:
        """Return whether a quantile of this level can be given."""

    @abstractmethod
    def own_levels(self) -> tuple[float, ...]:
        """Return the levels that are given where none are asked for."""

    @abstractmethod
    def save(self, path: str | Path) -> Path:
        """Write what was learned as a folder; whole or not at all."""

    @property
    def networks(self) -> Sequence[Any]:
        """What it forecasts with: itself, or its parts."""
        return [self]

    @property
    def is_whole(self) -> bool:
        """Whether the quantiles are whole numbers."""
        return False

    @property
    def path_seed(self) -> int:
        """What sample paths are drawn with."""
        return 0

    def _paths(self, panel: Panel, series: np.ndarray, ends: np.ndarray, n: int, *, seed: int) -> np.ndarray:
        """Return n courses (N, H, C, n) from origins that have an observation in their context."""
        raise ConfigError(f"{type(self).__name__} draws no sample paths.")

    @abstractmethod
    def _values(self, panel: Panel, series: np.ndarray, ends: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Return forecasts (N, H, C, 1 + Q) from origins that have an observation in their context."""

    def predict(
        self,
        frame: Table | None = None,
        *,
        future: pd.DataFrame | Mapping[str, pd.DataFrame] | None = None,
        levels: Sequence[float] | None = None,
    ) -> pd.DataFrame:
        """Forecast the steps after the end of each series.

        Parameters
        ----------
        frame : DataFrame, Series or Panel
            History up to now, of the same or other series; what was fitted on by default.
        future : DataFrame, or a dict of them
            Known covariates of the steps to forecast; of each scenario, by its name.
        levels : sequence of float
            Quantile levels; 0.1 to 0.9 by default.

        Returns
        -------
        DataFrame with id, time, forecast, and a column ``q0.1`` for each level; ids and times as they came in. With
        a loss of events the forecast is the probability, and there are no levels.
        With several targets a column ``target`` names them, with scenarios a column ``scenario``.

        Raises
        ------
        ValueError
            If the table or the future cannot be used; the message says why and what to do.
        """
        check_is_fitted(self)
        if isinstance(future, Mapping):
            return self._scenarios(future, lambda own: self.predict(frame, future=own, levels=levels))
        panel = self._given(frame, future)
        series = np.arange(len(panel.ids))
        levels = self.levels(levels)
        values = self.predict_origins(panel, series, panel.ends, levels=levels)
        self._tell_of_unforecast(panel, values)
        for stranger in self.encoding.strangers(panel):
            log.warning("training has not met %s: it counts as never seen.", stranger)
        return forecast_frame(panel, series, panel.ends, values, levels)

    def sample(
        self,
        frame: Table | None = None,
        *,
        future: pd.DataFrame | Mapping[str, pd.DataFrame] | None = None,
        paths: int = 100,
    ) -> pd.DataFrame:
        """Draw sample paths of the steps after the end of each series; the same call draws the same.

        A network that reads its own draws, such as deepar, gives the paths that it was fed. Of others each step has its
        own distribution, and steps are drawn together by a normal copula, as their errors went together on training
        windows, each target by itself. Draws of an ensemble are made one step by step, as its quantiles are, and follow
        one another as those of its first member; calibrated values come in the order of those of the model. Series
        share the random numbers of a path: sum over steps, not over series.

        Parameters
        ----------
        frame, future
            As of `predict`.
        paths : int
            How many for each series.

        Returns
        -------
        DataFrame with id, time, ``sample`` (the number of the path, from 0) and ``forecast``; with several targets a
        column ``target`` after the time, with scenarios a column ``scenario``. Values below the minimum of a target are
        raised to it. With a loss of events a path is 1 where the event occurs on it, else 0.
        """
        check_is_fitted(self)
        if isinstance(future, Mapping):
            return self._scenarios(future, lambda own: self.sample(frame, future=own, paths=paths))
        panel = self._given(frame, future)
        series = np.arange(len(panel.ids))
        values = self.sample_origins(panel, series, panel.ends, paths=paths)
        self._tell_of_unforecast(panel, values)
        return sample_frame(panel, series, panel.ends, values)

    def predict_origins(
        self, panel: Panel, series: np.ndarray, ends: np.ndarray, *, levels: Sequence[float]
    ) -> np.ndarray:
        """Forecast from any origins, all in one go; what lies after an origin is not read, known covariates aside.

        Parameters
        ----------
        panel : Panel
            Holds the series.
        series, ends : ndarray of int64 (N,)
            Number of the series, and how many of its steps are known.
        levels : sequence of float
            Quantile levels.

        Returns
        -------
        float64 (N, H, C, 1 + Q): the point, then each level's quantile, NaN for a target without an observation in
        the context.

        Raises
        ------
        ValueError
            If no target of an origin is observed in its context, a known covariate is missing after it, or a forecast
            is not finite.
        """
        seen = self._seen(panel, series, ends)
        values = self._values(panel, series, ends, levels)
        raised = self._finished(values, seen, panel.ids[series])
        if raised is not values and (below := values < raised).any():
            log.warning(
                "%d of %d forecast values lay below the minimum and were raised to it (%d of them points).",
                below.sum(), below.size, below[..., 0].sum(),
            )  # fmt: skip
        return raised

    def sample_origins(self, panel: Panel, series: np.ndarray, ends: np.ndarray, *, paths: int) -> np.ndarray:
        """Draw sample paths from any origins, series and ends (N,), as `sample` does: float64 (N, H, C, paths).

        NaN, and what is refused, as of `predict_origins`.
        """
        check_count("paths", paths)
        seen = self._seen(panel, series, ends)
        drawn = self._paths(panel, series, ends, int(paths), seed=self.path_seed)
        return self._finished(drawn, seen, panel.ids[series])

    def _finished(self, values: np.ndarray, seen: np.ndarray, ids: pd.Index) -> np.ndarray:
        """Return values (N, H, C, ...) raised to the minima, NaN for targets (N, C) not seen; others must be finite.

        A probability has no minimum but its own.
        """
        if not seen.all():
            values[np.broadcast_to(~seen[:, None, :, None], values.shape)] = np.nan
        _refuse_not_finite(values, seen, ids)
        return values if self.event is not None else raised_to_minima(values, self.panel_.columns)

    def levels(self, levels: Sequence[float] | None = None) -> tuple[float, ...]:
        """Return quantile levels in order; those of the model where none are given."""
        if levels is None:
            return self.own_levels()
        if not isinstance(levels, Iterable) or isinstance(levels, str):
            raise ConfigError(f"levels is a list of quantile levels, got {levels!r}. Write [{levels}].")
        levels = list(levels)
        level_names(levels)
        wrong = [level for level in levels if not 0 < level < 1]
        if wrong:
            raise ConfigError(f"a quantile level lies between 0 and 1, got {wrong[0]!r}.")
        return tuple(sorted(set(levels)))

    def as_panel(
        self, frame: Table, future: pd.DataFrame | None = None, *, columns: Columns | None = None, freq: str | None
    ) -> Panel:
        """Return a table on its grid, under the roles given or those of `columns`, each series with an observation."""
        if isinstance(frame, Panel):
            return observed(frame)
        return laid(frame, columns or self.columns, freq=freq, future=future)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "panel_")  # set last: a fit that failed or was stopped has none

    def _scenarios(
        self, futures: Mapping[str, pd.DataFrame], told: Callable[[pd.DataFrame], pd.DataFrame]
    ) -> pd.DataFrame:
        """Return what is told of several futures under one another, with the name of each."""
        if not futures:
            raise ConfigError("future names no scenario. Give {'name': rows, ...}.")
        parts = []
        for name, future in futures.items():
            try:
                part = told(future)
            except DataError as error:
                raise DataError(f"scenario {name!r}: {error}") from error
            after = 3 if TARGET in part else 2
            part.insert(after, SCENARIO, str(name))
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def _given(self, frame: Table | None, future: pd.DataFrame | None) -> Panel:
        """Return what to forecast from: a table with its future, or the history that was fitted on."""
        if frame is None and future is not None:
            raise ConfigError("future needs the history that it follows: predict(frame, future=future).")
        if isinstance(frame, Panel) and future is not None:
            raise ConfigError("a panel holds its future already: Panel.from_frame(frame, future=future). Leave it out.")
        columns = self.panel_.columns
        return self.panel_ if frame is None else self.as_panel(frame, future, columns=columns, freq=self.freq_)

    def _seen(self, panel: Panel, series: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Refuse origins (N,) that cannot be forecast from; return which targets are observed in the context (N, C)."""
        self.refuse_other_panel(panel)
        seen = panel.observed_targets(series, ends - self.context_length_, ends)
        if not seen.any(axis=1).all():
            name, length = panel.ids[series[~seen.any(axis=1)][0]], self.context_length_
            raise DataError(
                f"series {named(name)} has no observed value in the last {length} steps, which is all that the model "
                f"reads ({(~seen.any(axis=1)).sum()} such windows). Leave it out, or train with a longer "
                "context_length."
            )
        refuse_missing_known(panel, series, ends, horizon=self.horizon_)
        return seen

    def refuse_other_panel(self, panel: Panel) -> None:
        """Refuse a panel whose columns play other roles than in training, or whose steps are others."""
        for role in ("targets", "past", "known", "static"):
            was, now = getattr(self.panel_.columns, role), getattr(panel.columns, role)
            if was != now:
                raise DataError(f"the model was trained with {role} {was}, and this panel has {now}. Give the same.")
        if panel.freq.name != self.freq_:
            raise DataError(f"the model was trained on steps of {self.freq_}, and this panel has {panel.freq.name}.")

    def _tell_of_unforecast(self, panel: Panel, values: np.ndarray) -> None:
        missing = np.ones(values.shape[::2][:2], bool)  # (N, C)
        missing[told(values)] = False
        if missing.any():
            row, channel = np.argwhere(missing)[0]
            log.warning(
                "%d targets have no observed value in the last %d steps of their series and are not forecast: "
                "%r of series %r is the first.",
                missing.sum(), self.context_length_, panel.columns.targets[channel], panel.ids[row],
            )  # fmt: skip


def _refuse_not_finite(values: np.ndarray, seen: np.ndarray, ids: pd.Index) -> None:
    """Refuse forecasts (N, H, C, 1 + Q) of observed targets (N, C) of series (N,) that are NaN or infinite."""
    finite = np.isfinite(values)
    if finite.all():
        return
    bad = ~finite & seen[:, None, :, None]
    if bad.any():
        row, step = np.argwhere(bad)[0][:2]
        raise DataError(
            f"the forecast of series {named(ids[row])} is {values[row][bad[row]][0]} at step {step + 1} of the horizon "
            f"({ids[bad.any(axis=(1, 2, 3))].nunique()} such series): its values are more than scaling and network can "
            "carry. Give them in another unit, train with another scaling (scaling=window), or leave it out."
        )
