"""How much a network relies on each covariate: the rise of its error where the covariate is shuffled."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from forecast.data.encoding import ROLES
from forecast.data.panel import Panel
from forecast.data.splits import Split
from forecast.errors import DataError
from forecast.evaluation.origins import Origins, fold_ends, scored_origins, series_scales, truth_after
from forecast.evaluation.plan import check_plan
from forecast.evaluation.shuffled import CALENDAR, Group, ShuffledWindows
from forecast.evaluation.shuffling import Shuffling
from forecast.predictor import Predictor, Table

log = logging.getLogger("forecast")
FEWER = 8  # times as few origins, where a forecast is drawn from many paths


class Errors(NamedTuple):
    """Absolute errors from some origins, summed over the observed steps of the horizon."""

    origins: Origins
    counts: np.ndarray  # (N, C) observed steps
    unshuffled: np.ndarray  # (N, C)
    shuffled: dict[Group, np.ndarray]  # (R, N, C)


def permutation_importance(
    fitted: Predictor,
    frame: Table,
    *,
    folds: int = 5,
    step: int | None = None,
    split: Split | None = None,
    mase_season: int | None = None,
    shuffling: Shuffling | None = None,
) -> pd.DataFrame:
    """Tell how much a fitted forecaster relies on each covariate, at the last origins of a table.

    The forecaster stays as it is. Where it was trained on these origins, this tells what it relies on, not what helps
    it to forecast: `backtest(..., shuffling=Shuffling())` tells the latter, with fits that have not seen them.

    Parameters
    ----------
    fitted : Forecaster or Ensemble
        Fitted, with covariates or calendar features.
    frame : DataFrame, Series or Panel
        Of the same columns as in training.
    folds, step, split, mase_season
        As of `backtest`.
    shuffling : Shuffling
        How often each covariate is shuffled, and from how many origins.

    Returns
    -------
    DataFrame, as of `importance_table`.

    Raises
    ------
    ConfigError
        If a setting makes no sense.
    DataError
        If there is nothing to shuffle, or nothing to score.
    """
    check_is_fitted(fitted)
    check_plan(folds=folds, step=step, refit=False, horizon=fitted.horizon_, mase_season=mase_season)
    panel = fitted.as_panel(frame, columns=fitted.panel_.columns, freq=fitted.freq_)
    ends = fold_ends(panel, horizon=fitted.horizon_, folds=folds, step=step, split=split)
    origins = scored_origins(panel, ends, horizon=fitted.horizon_)
    origins = origins.taken(panel.observed(origins.series, origins.ends - fitted.context_length_, origins.ends))
    errors = errors_when_shuffled(fitted, panel, origins, shuffling or Shuffling())
    if errors is None:
        raise DataError("nothing was shuffled: the forecaster reads no covariate that varies, or repeats is 0.")
    targets = len(panel.columns.targets)
    each = origins.taken(np.repeat(np.arange(len(origins.series)), targets))
    channel = np.tile(np.arange(targets), len(origins.series))
    scale = series_scales(panel, each, channel, season=mase_season or fitted.seasonality_)["mase"]
    return importance_table([errors], panel, scale)


def errors_when_shuffled(fitted: Predictor, panel: Panel, origins: Origins, shuffling: Shuffling) -> Errors | None:
    """Forecast again from the same origins with each covariate shuffled in turn, as `ShuffledWindows` does.

    Nothing that lies after an origin is read, known covariates aside, nor of the covariate that is shuffled. Breiman
    shuffles rows. The rows of a backtest are windows: few, and often a whole season apart, so that rows that change
    places would share the hour, and the hour seem to tell nothing. Values shuffled one by one would have a course that
    no covariate has. A draw among all earlier windows of a series has neither fault, and stays among its values.

    Parameters
    ----------
    fitted : Predictor
        A network, or several as one.
    panel : Panel
        The whole span.
    origins : Origins
        To forecast from; each has an observation in its context.
    shuffling : Shuffling
        How often, and from how many of them.

    Returns
    -------
    Errors, or None where there is nothing to shuffle.

    References
    ----------
    Breiman (2001), "Random forests", section 10. Fisher, Rudin and Dominici (2019), "All models are wrong, but many
    are useful: learning a variable's importance by studying an entire class of prediction models simultaneously".
    """
    shuffling.check()
    random = np.random.default_rng(shuffling.seed)
    origins = _picked(fitted, origins, shuffling, random)
    groups = _groups(fitted, panel, origins)
    if not (groups and len(origins.series) and shuffling.repeats):
        return None
    context_length = max(member.context_length_ for member in fitted.networks)
    windows = ShuffledWindows(panel, origins, context_length=context_length, horizon=fitted.horizon_)
    truth = truth_after(panel, origins, horizon=fitted.horizon_)

    def absolute(shuffled: Panel) -> np.ndarray:
        values = fitted.predict_origins(shuffled, windows.series, windows.ends, levels=())
        return np.abs(values[..., 0] - truth)  # (N, H, C)

    with _no_warning():
        own = absolute(windows.panel)
        sums = {
            group: [np.nansum(absolute(windows.shuffled(group, random)), axis=1) for _ in range(shuffling.repeats)]
            for group in groups
        }
    shuffled = {group: np.stack(repeats) for group, repeats in sums.items()}
    return Errors(origins, np.isfinite(own).sum(axis=1), np.nansum(own, axis=1), shuffled)


def importance_table(parts: Sequence[Errors], panel: Panel, scale: pd.Series) -> pd.DataFrame:
    """Return how much the error rises with each covariate shuffled, the most important first.

    Parameters
    ----------
    parts : sequence of Errors
        Of each fit, with the origins that it forecast from.
    panel : Panel
        Whose series they are.
    scale : Series
        MASE's scale by id, or by id and target where there are several; NaN where it is undefined.

    Returns
    -------
    DataFrame with `covariate`, `role`, `importance` (the rise of the error in percent, mean over repeats), `deviation`
    (its standard deviation over repeats), `metric` (``mase``, or ``mae`` where no series has a scale; the mean over
    series) and `error` (its value with nothing shuffled).
    """
    pair, weight, metric = _weights(parts, panel, scale)
    counts = np.bincount(pair, np.concatenate([part.counts for part in parts]).ravel(), len(weight))
    scored = (counts > 0) & np.isfinite(weight)

    def mean(sums: Sequence[np.ndarray]) -> float:
        """Return the mean over pairs of their mean errors."""
        totals = np.bincount(pair, np.concatenate(sums).ravel(), len(weight))
        return float(np.mean(totals[scored] / counts[scored] * weight[scored])) if scored.any() else np.nan

    error = mean([part.unshuffled for part in parts])
    rows = []
    for group in parts[0].shuffled:
        if all(group in part.shuffled for part in parts):
            repeats = zip(*(part.shuffled[group] for part in parts), strict=True)
            rises = np.array([100 * (mean(sums) / error - 1) if error else np.nan for sums in repeats])
            rows.append((*group, rises.mean(), rises.std(), metric, error))
    table = pd.DataFrame(rows, columns=["covariate", "role", "importance", "deviation", "metric", "error"])
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _picked(fitted: Predictor, origins: Origins, shuffling: Shuffling, random: np.random.Generator) -> Origins:
    """Return the origins that are forecast again."""
    origins = origins.taken(origins.ends > 1)  # where only one step is known, there is no earlier origin
    draws = any(getattr(network, "draws", False) for network in fitted.networks)
    most = max(shuffling.origins // (FEWER if draws else 1), 1)
    if len(origins.series) <= most:
        return origins
    return origins.taken(np.sort(random.choice(len(origins.series), most, replace=False)))


def _groups(fitted: Predictor, panel: Panel, origins: Origins) -> list[Group]:
    """Return what can be shuffled."""
    groups = [Group(covariate.name, role) for role in ROLES for covariate in getattr(panel, role)]
    if panel.static and len(np.unique(origins.series)) < 2:
        log.warning("one series is scored: its static covariates have none to change places with, nor an importance.")
        groups = [group for group in groups if group.role != "static"]
    if any(fitted.encoding.calendar_widths()):
        groups.append(Group(CALENDAR, CALENDAR))
    return groups


def _weights(parts: Sequence[Errors], panel: Panel, scale: pd.Series) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the pair of series and target of each origin and target (N C,), what a pair weighs, and the metric."""
    targets = panel.columns.targets
    series = np.concatenate([part.origins.series for part in parts])
    pair = (series[:, None] * len(targets) + np.arange(len(targets))).ravel()
    pairs = panel.ids if len(targets) == 1 else pd.MultiIndex.from_product([panel.ids, targets])
    weight = 1 / scale.reindex(pairs).to_numpy(np.float64)
    if np.isfinite(weight[pair]).any():
        return pair, weight, "mase"
    return pair, np.ones_like(weight), "mae"


@contextmanager
def _no_warning() -> Iterator[None]:
    """Keep quiet: what a shuffled window does to a forecast is no news."""

    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    log.addFilter(is_error)
    try:
        yield
    finally:
        log.removeFilter(is_error)
