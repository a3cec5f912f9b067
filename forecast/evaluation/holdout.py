"""Score a forecaster and the simple methods on the same held-back origins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from forecast.data.panel import Panel
from forecast.errors import ConfigError, DataError, unknown_name
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.metrics import by_step, mase_scale, score, summary
from forecast.forecaster import Forecaster
from forecast.frames import forecast_frame, level_name

log = logging.getLogger("forecast")
INTERVAL = (0.1, 0.9)  # whose coverage and width are told
FAR = 0.1  # from the nominal coverage, from which on a sentence says so
LEVEL = 0.02  # relative difference up to which two methods are called level


class Scores(NamedTuple):
    """Every held-back forecast, and what it is worth.

    ``forecasts`` has the columns of a forecast and cutoff, model, y; ``per_series`` a row for each model and
    series; ``summary`` a row for each model, averaged over series; ``by_step`` a row for each model and step.
    """

    forecasts: pd.DataFrame
    per_series: pd.DataFrame
    summary: pd.DataFrame
    by_step: pd.DataFrame


def evaluate(
    forecaster: Forecaster,
    panel: Panel,
    ends: np.ndarray,
    *,
    name: str,
    baselines: Sequence[str],
    mase_season: int | None = None,
) -> Scores:
    """Score a forecaster beside baselines.

    Parameters
    ----------
    forecaster : Forecaster
        Fitted on steps before the first origin of each series alone.
    panel : Panel
        The whole span.
    ends : ndarray of int64 (W, n)
        Where the known part of each series ends at each origin, as `split_ends` gives them.
    name : str
        Of the forecaster, in the tables.
    baselines : sequence of str
        Names in `BASELINES`; each reads the history before an origin and nothing after it.
    mase_season : int
        Period of MASE's scale; the forecaster's seasonality where it is not given.

    Raises
    ------
    DataError
        If no origin can be scored.
    """
    check_baselines(baselines)
    series, origins = scored_origins(panel, ends, horizon=forecaster.horizon)
    _warn_of_left_out(panel, ends, series)
    readable = panel.observed(series, origins - forecaster.context_length_, origins)
    if not readable.all():
        log.warning("%d held-back windows have nothing observed in their context: not scored.", (~readable).sum())
        series, origins = series[readable], origins[readable]
    levels = _levels(forecaster)
    values = forecaster.predict_origins(panel, series, origins, levels=levels)
    frames = [_scored(panel, series, origins, values, levels, name)]
    numbers, before = _before_first(panel, series, origins)
    for baseline in baselines:
        method = BASELINES[baseline]()
        method.fit(before, horizon=forecaster.horizon, seasonality=forecaster.seasonality_)
        predicted = method.predict([panel.series(number)[:end] for number, end in zip(series, origins, strict=True)])
        spread = predicted.spread[..., None] * ndtri(np.asarray(levels))
        values = np.concatenate([predicted.point[..., None], predicted.point[..., None] + spread], axis=-1)
        frames.append(_scored(panel, series, origins, values, levels, baseline))
    scored = pd.concat(frames, ignore_index=True)
    roles: dict[str, Any] = {"columns_id": panel.columns.id, "columns_time": panel.columns.time}
    season = mase_season or forecaster.seasonality_
    scales = [mase_scale(history, seasonality=season) for history in before]
    unknown = {level_name(level): np.nan for level in INTERVAL if level_name(level) not in scored}
    per_series = score(scored.assign(**unknown), scale=pd.Series(scales, index=panel.ids[numbers]), **roles)
    return Scores(scored, per_series, summary(per_series), by_step(scored, **roles))


def scored_origins(panel: Panel, ends: np.ndarray, *, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the series and ends (N,) of the origins that every model can be scored on.

    They have an observation before them, a step after them, and known covariates over the whole horizon.

    Raises
    ------
    DataError
        If there are none.
    """
    has_both = _has_history_and_truth(panel, ends)
    window, series = np.nonzero(has_both & _known_ahead(panel, ends, horizon=horizon))
    if len(series):
        return series, ends[window, series]
    if has_both.any():
        names = ", ".join(covariate.name for covariate in panel.known)
        raise DataError(
            f"no held-back window has {names} over its whole horizon. Set test.split=series_end, give rows with "
            "the known covariates, or set test.windows=0 to train without a score."
        )
    raise DataError(
        "no series has both a history and held-back steps to score. Lower test.windows or the horizon, "
        "or set test.windows=0 to train without a score."
    )


def check_baselines(baselines: Sequence[str]) -> None:
    """Refuse a name that is not in `BASELINES`."""
    for baseline in baselines:
        if baseline not in BASELINES:
            raise ConfigError(unknown_name("baseline", baseline, BASELINES))


def verdict(summary: pd.DataFrame, per_series: pd.DataFrame, *, name: str, columns_id: str) -> str:
    """Return one sentence that says which method won, and by how much.

    Parameters
    ----------
    summary, per_series : DataFrame
        Of `Scores`.
    name : str
        Of the forecaster.
    columns_id : str
        Name of the id column.
    """
    metric = "mase" if summary["mase"].notna().all() else "mae"
    ranked = summary.set_index("model")[metric].sort_values(kind="stable")
    ours, others = ranked[name], ranked.drop(name)
    if others.empty:
        return f"{name} has a {metric.upper()} of {shown(ours)}; no baseline was asked for."
    rival, theirs = others.index[0], others.iloc[0]
    wide = per_series.pivot(index=columns_id, columns="model", values=metric).dropna()
    better = int((wide[name] < wide[rival]).sum())
    share = f"{name} is better on {better} of {len(wide)} series"
    if np.isclose(ours, theirs, rtol=LEVEL, atol=0):
        values = f"{metric.upper()} {shown(ours)} and {shown(theirs)}"
        return f"{name} and {rival} are level ({values}); {share}. The simple method will do."
    if ours < theirs:
        return (
            f"{name} wins: {metric.upper()} {shown(ours)}, {_percent(ours, theirs)} below the best simple "
            f"method, {rival} ({shown(theirs)}); {share}."
        )
    return (
        f"{rival} wins: {metric.upper()} {shown(theirs)}; {name} ({shown(ours)}) is {_percent(ours, theirs)} above "
        f"it; {share}. On these windows {rival} is the safer choice."
    )


def interval_note(summary: pd.DataFrame, *, name: str) -> str:
    """Return a sentence where the forecaster's 80 % intervals hold far more or less of the truth, else nothing."""
    held = float(summary.set_index("model")["coverage"][name])
    if not abs(held - 0.8) > FAR:
        return ""
    return f" The 80 % intervals of {name} hold {held:.0%} of the truth: too {'narrow' if held < 0.8 else 'wide'}."


def shown(value: float) -> str:
    """Return a metric as a person reads it: four digits, whatever the unit; a dash where there is none."""
    return "-" if not np.isfinite(value) else f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _percent(ours: float, theirs: float) -> str:
    return f"{abs(ours / theirs - 1):.0%}" if theirs else "far"


def _levels(forecaster: Forecaster) -> list[float]:
    """Return the levels of the forecaster and those of the interval that its loss can give."""
    own = forecaster.levels()
    names = {level_name(level) for level in own}
    covers = forecaster.model_.loss.covers
    return sorted([*own, *(level for level in INTERVAL if level_name(level) not in names and covers(level))])


def _has_history_and_truth(panel: Panel, ends: np.ndarray) -> np.ndarray:
    """Return which origins have an observation before them and a step after them, bool (W, n)."""
    observed = _counted(np.isfinite(panel.target))
    begins = panel.offsets[:-1]
    return (observed[begins + ends] > observed[begins]) & (ends < panel.ends)


def _known_ahead(panel: Panel, ends: np.ndarray, *, horizon: int) -> np.ndarray:
    """Return after which origins every known covariate is given for all steps of the horizon, bool (W, n)."""
    if not panel.known:
        return np.ones(ends.shape, bool)
    given = [
        np.isfinite(covariate.values) if covariate.categories is None else covariate.values >= 0
        for covariate in panel.known
    ]
    complete = _counted(np.all(given, axis=0))
    begins = panel.offsets[:-1]
    return complete[begins + np.minimum(ends + horizon, panel.lengths)] - complete[begins + ends] == horizon


def _counted(flags: np.ndarray) -> np.ndarray:
    """Return how many flags are set before each step (T + 1,)."""
    return np.concatenate([[0], np.cumsum(flags)])


def _warn_of_left_out(panel: Panel, ends: np.ndarray, series: np.ndarray) -> None:
    has_both = _has_history_and_truth(panel, ends)
    without = int((~has_both.any(axis=0)).sum())
    if without:
        log.warning("%d series have no history before, or no step after, any held-back origin: not scored.", without)
    unknown = int(has_both.sum()) - len(series)
    if unknown:
        log.warning("%d held-back windows lack a known covariate within the horizon: not scored.", unknown)


def _scored(
    panel: Panel,
    series: np.ndarray,
    ends: np.ndarray,
    values: np.ndarray,
    levels: Sequence[float],
    model: str,
) -> pd.DataFrame:
    """Return a forecast frame with cutoff, model and truth; steps after the end of the panel have none."""
    horizon = values.shape[1]
    frame = forecast_frame(panel, series, ends, values, levels)
    steps = ends[:, None] + np.arange(horizon)
    inside = steps < panel.ends[series][:, None]
    flat = np.where(inside, panel.offsets[series][:, None] + steps, 0)
    frame["y"] = np.where(inside, panel.target[flat], np.nan).reshape(-1)
    cutoffs = panel.stamp_column(panel.stamps(series, ends - 1)).repeat(horizon)
    frame.insert(2, "cutoff", cutoffs.array)
    frame.insert(3, "model", model)
    return frame


def _before_first(panel: Panel, series: np.ndarray, origins: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the scored series, and what each was before its first origin: the span of training."""
    first = pd.Series(origins).groupby(series).min()
    numbers = first.index.to_numpy()
    return numbers, [panel.series(number)[:end] for number, end in zip(numbers, first, strict=True)]
