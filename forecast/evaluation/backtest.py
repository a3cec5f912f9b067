"""Score a forecaster and the simple methods on the past: the same origins for all, nothing read beyond them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri
from sklearn.base import clone

from forecast.data.panel import Panel
from forecast.data.splits import Split
from forecast.errors import DataError, check_count, named
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.chances import EVENT_BASELINES, last_before, occurred_after
from forecast.evaluation.events import tabulated_events
from forecast.evaluation.importance import Errors, errors_when_shuffled, importance_table
from forecast.evaluation.origins import Origins, fold_ends, mase_scales, scored_origins, truth_after, warn_of_left_out
from forecast.evaluation.plan import check_baselines, check_plan
from forecast.evaluation.shuffling import Shuffling
from forecast.evaluation.tables import DECILES, INTERVALS, Backtest, tabulated
from forecast.frames import FORECAST, SAMPLE, forecast_frame, level_name, raised_to_minima, sample_frame, told
from forecast.predictor import Predictor, Table

log = logging.getLogger("forecast")


class _Forecasts(NamedTuple):
    """What all models forecast from the same origins."""

    origins: Origins
    values: dict[str, np.ndarray]  # (N, H, C, 1 + Q) of each model; NaN where one cannot forecast
    levels: list[float]  # (Q,)
    shuffled: Errors | None  # of the forecaster
    paths: np.ndarray | None  # (N, H, C, n) of the forecaster


def backtest(
    forecaster: Predictor,
    frame: Table,
    *,
    folds: int = 5,
    step: int | None = None,
    refit: bool | int = False,
    baselines: Sequence[str] | None = None,
    split: Split | None = None,
    mase_season: int | None = None,
    name: str | None = None,
    folder: Path | None = None,
    shuffling: Shuffling | None = None,
    paths: int = 0,
) -> Backtest:
    """Forecast the past from several cutoffs, beside baselines, as if what came after were not known yet.

    The forecaster given is left as it is: copies of it are fitted, each on what lies before its fold alone.

    Parameters
    ----------
    forecaster : Forecaster or Ensemble
        Fitted or not.
    frame : DataFrame, Series or Panel
        The whole span.
    folds : int
        How many cutoffs; the last lies one horizon before the end.
    step : int
        Steps from one cutoff to the next; the horizon by default. Folds overlap where it is shorter.
    refit : bool or int
        Fit once, before the first fold (False), before each fold (True), or before every k-th one. Baselines that
        learn are fitted at the same folds.
    baselines : sequence of str
        Names in `BASELINES`, or with a loss of events in `EVENT_BASELINES`, by default all of them; each reads the
        history before a cutoff and nothing after it.
    split : {"calendar", "series_end"}
        One cutoff for all series, or each counted back from its own end; the latter by default where times are
        whole numbers.
    mase_season : int
        Period of MASE's scale; the forecaster's seasonality where it is not given.
    name : str
        Of the forecaster, in the tables; that of its model by default.
    folder : Path
        Where checkpoints go, of each fit in a folder `fold-1` and so on: called again, an interrupted backtest goes
        on from them.
    shuffling : Shuffling
        How covariates are shuffled to tell their importance, each fold by the network that forecast it; by default
        none is told.
    paths : int
        Sample paths of the forecaster from each cutoff, besides its intervals.

    Returns
    -------
    Backtest, with every forecast, and scores by model, fold, step, series and time.

    Raises
    ------
    ConfigError
        If a setting makes no sense.
    DataError
        If the folds leave nothing to train on, or nothing can be scored.
    """
    name = _named(forecaster) if name is None else name
    every = check_plan(folds=folds, step=step, refit=refit, horizon=forecaster.horizon, mase_season=mase_season)
    baselines = check_baselines(baselines, name=name, of_events=clone(forecaster).event is not None)
    if shuffling is not None:
        shuffling.check()
    check_count("paths", paths, least=0)
    panel = forecaster.as_panel(frame, freq=forecaster.freq)
    ends = fold_ends(panel, horizon=forecaster.horizon, folds=folds, step=step, split=split)
    origins = scored_origins(panel, ends, horizon=forecaster.horizon)
    warn_of_left_out(panel, ends, origins)
    parts = []
    for first in range(0, folds, every):
        own = origins.taken((origins.window >= first) & (origins.window < first + every))
        if not len(own.series):
            continue
        known = panel.until(ends[first])
        place = None if folder is None else Path(folder) / f"fold-{first + 1}"
        fitted = clone(forecaster).fit(known, folder=place)
        log.info("fitted on what lies before fold %d of %d", first + 1, folds)
        about: dict[str, Any] = {"name": name, "baselines": baselines, "shuffling": shuffling, "paths": paths}
        parts.append(_forecasts(fitted, panel, known, own, **about))
    return _scored(parts, panel, fitted, asked=len(origins.series), mase_season=mase_season)


def evaluate(
    fitted: Predictor,
    panel: Panel,
    ends: np.ndarray,
    *,
    name: str,
    baselines: Sequence[str] | None,
    mase_season: int | None = None,
    shuffling: Shuffling | None = None,
    paths: int = 0,
) -> Backtest:
    """Score a forecaster that is fitted already, beside baselines.

    Parameters
    ----------
    fitted : Predictor
        Fitted on `panel.until(ends[0])`, as the baselines are here.
    panel : Panel
        The whole span.
    ends : ndarray of int64 (W, n)
        Where the known part of each series ends at each origin, as `split_ends` gives them.
    name, baselines, mase_season, shuffling, paths
        As in `backtest`.

    Raises
    ------
    DataError
        If no origin can be scored.
    """
    baselines = check_baselines(baselines, name=name, of_events=fitted.event is not None)
    check_count("paths", paths, least=0)
    origins = scored_origins(panel, ends, horizon=fitted.horizon_)
    warn_of_left_out(panel, ends, origins)
    known = panel.until(ends[0])
    about: dict[str, Any] = {"name": name, "baselines": baselines, "shuffling": shuffling, "paths": paths}
    part = _forecasts(fitted, panel, known, origins, **about)
    return _scored([part], panel, fitted, asked=len(origins.series), mase_season=mase_season)


def _named(forecaster: Predictor) -> str:
    model = getattr(forecaster, "model", None)
    return model if isinstance(model, str) else type(forecaster).__name__.lower()


def _forecasts(
    fitted: Predictor,
    panel: Panel,
    known: Panel,
    origins: Origins,
    *,
    name: str,
    baselines: Sequence[str],
    shuffling: Shuffling | None,
    paths: int,
) -> _Forecasts:
    """Forecast from all origins with each model, the baselines fitted on `known`, what the forecaster was fitted on."""
    origins = origins.taken(panel.observed(origins.series, origins.ends - fitted.context_length_, origins.ends))
    levels = _levels(fitted)
    values = {name: fitted.predict_origins(panel, origins.series, origins.ends, levels=levels)}
    for baseline in baselines:
        if fitted.event is not None:
            method = EVENT_BASELINES[baseline](fitted.event, horizon=fitted.horizon_).fit(known)
            chances = method.predict(panel, origins.series, origins.ends)[..., None]
            values[baseline] = np.where(np.isnan(values[name]), np.nan, chances)
            continue
        simple = _simple(baseline, fitted, panel, known, origins, levels=levels, like=values[name])
        if _is_scorable(baseline, simple, told(values[name]), panel.ids[origins.series]):
            values[baseline] = simple
    shuffled = None
    if shuffling is not None and fitted.event is None:  # a probability has no error beside a value
        shuffled = errors_when_shuffled(fitted, panel, origins, shuffling)
    drawn = fitted.sample_origins(panel, origins.series, origins.ends, paths=paths) if paths else None
    return _Forecasts(origins, values, levels, shuffled, drawn)


def _simple(
    baseline: str,
    fitted: Predictor,
    panel: Panel,
    known: Panel,
    origins: Origins,
    *,
    levels: Sequence[float],
    like: np.ndarray,
) -> np.ndarray:
    """Return what a baseline forecasts where the forecaster does, target by target, normal about its point."""
    values = np.full(like.shape, np.nan)
    origin, channel = told(like)
    for target in range(like.shape[2]):
        method = BASELINES[baseline]().fit(
            [known.series(number)[:, target] for number in range(len(known.ids))],
            horizon=fitted.horizon_,
            seasonality=fitted.seasonality_,
        )
        own = origin[channel == target]
        histories = [
            panel.series(series)[:end, target]
            for series, end in zip(origins.series[own], origins.ends[own], strict=True)
        ]
        point, spread = method.predict(histories)
        values[own, :, target] = point[..., None] + spread[..., None] * np.append(0, ndtri(np.asarray(levels)))
        values[own, :, target, 0] = point  # also where the spread is unknown
    return raised_to_minima(values, panel.columns)


def _is_scorable(baseline: str, values: np.ndarray, where: tuple[np.ndarray, np.ndarray], ids: pd.Index) -> bool:
    """Return whether a baseline forecasts numbers for the origins and targets `where`; tell of it where it does not."""
    origin, channel = where
    own = values[origin, :, channel]  # (M, H, 1 + Q); an unknown spread is NaN
    odd = (~np.isfinite(own[..., 0]) | np.isinf(own).any(axis=-1)).any(axis=-1)
    if odd.any():
        log.warning(
            "baseline %s is left out: its forecast of series %s is not finite (%d such windows).",
            baseline, named(ids[origin[odd.argmax()]]), odd.sum(),
        )  # fmt: skip
    return not odd.any()


def _levels(fitted: Predictor) -> list[float]:
    """Return the levels of the forecaster and those of them that scores are made of, as far as it can give these."""
    own, scored = fitted.levels(), (*DECILES, *sum(INTERVALS.values(), ()))
    given = {level_name(level): level for level in (*scored, *own) if level in own or fitted.covers(level)}
    return sorted(given.values())


def _scored(
    parts: Sequence[_Forecasts], panel: Panel, fitted: Predictor, *, asked: int, mase_season: int | None
) -> Backtest:
    """Lay the forecasts beside the truth, and score them."""
    origins = Origins(*(np.concatenate(fields) for fields in zip(*(part.origins for part in parts), strict=True)))
    models = [model for model in parts[0].values if all(model in part.values for part in parts)]
    levels = [level for level in parts[0].levels if all(level in part.levels for part in parts)]
    values = {model: np.concatenate([_at(part, model, levels) for part in parts]) for model in models}
    origin, channel = told(next(iter(values.values())))
    left_out = asked * len(panel.columns.targets) - len(origin)
    if left_out:
        log.warning("%d held-back windows have nothing observed in their context: not scored.", left_out)
    if not len(origin):
        raise DataError("no held-back window has an observed value in its context. Lengthen context_length.")
    truth = truth_after(panel, origins, horizon=fitted.horizon_)
    if fitted.event is not None:
        truth = occurred_after(fitted.event, truth, last_before(panel, origins.series, origins.ends))
    frames = [_frame(panel, origins, truth, forecasts, levels, model) for model, forecasts in values.items()]
    drawn = [part.paths for part in parts if part.paths is not None]
    paths = _path_frame(panel, origins, np.concatenate(drawn)) if drawn else None
    if fitted.event is not None:
        table = pd.concat(frames, ignore_index=True)
        return replace(tabulated_events(table, columns=panel.columns, event=fitted.event.words), paths=paths)
    scale = mase_scales(panel, origins.taken(origin), channel, season=mase_season or fitted.seasonality_)
    scored = tabulated(pd.concat(frames, ignore_index=True), columns=panel.columns, scale=scale, freq=panel.freq)
    shuffled = [part.shuffled for part in parts if part.shuffled is not None]
    importance = importance_table(shuffled, panel, scale) if shuffled else None
    return replace(scored, importance=importance, paths=paths)


def _at(part: _Forecasts, model: str, levels: Sequence[float]) -> np.ndarray:
    """Return the point of a model and some of its quantiles (N, H, C, 1 + Q): fits may cover different levels."""
    return part.values[model][..., [0, *(1 + part.levels.index(level) for level in levels)]]


def _frame(
    panel: Panel, origins: Origins, truth: np.ndarray, values: np.ndarray, levels: Sequence[float], model: str
) -> pd.DataFrame:
    """Return forecasts of one model as a table with cutoff, fold, model and truth."""
    origin, channel = told(values)
    frame = forecast_frame(panel, origins.series, origins.ends, values, levels)
    _insert_folds(frame, panel, origins, np.repeat(origin, truth.shape[1]), before=FORECAST)
    frame.insert(list(frame.columns).index(FORECAST), "model", model)
    return frame.assign(y=truth[origin, :, channel].reshape(-1))


def _path_frame(panel: Panel, origins: Origins, values: np.ndarray) -> pd.DataFrame:
    """Return sample paths (N, H, C, n) as a table with cutoff and fold."""
    frame = sample_frame(panel, origins.series, origins.ends, values)
    rows = np.repeat(told(values)[0], values.shape[1] * values.shape[3])  # by origin, however its targets lie
    _insert_folds(frame, panel, origins, rows, before=SAMPLE)
    return frame


def _insert_folds(frame: pd.DataFrame, panel: Panel, origins: Origins, rows: np.ndarray, *, before: str) -> None:
    """Insert cutoff and fold, of the origin that each row belongs to."""
    cutoffs = panel.stamp_column(panel.stamps(origins.series, origins.ends - 1))
    place = list(frame.columns).index(before)
    frame.insert(place, "cutoff", cutoffs.iloc[rows].array)
    frame.insert(place + 1, "fold", origins.window[rows] + 1)
