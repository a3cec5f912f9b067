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
from forecast.frames import forecast_frame

log = logging.getLogger("forecast")


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
        If no series has both a history and a truth.
    """
    check_baselines(baselines)
    series, origins = _scored_origins(panel, ends)
    levels = forecaster.levels()
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
    per_series = score(scored, scale=pd.Series(scales, index=panel.ids[numbers]), **roles)
    return Scores(scored, per_series, summary(per_series), by_step(scored, **roles))


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
        return f"{name} has a {metric.upper()} of {ours:.3f}; no baseline was asked for."
    rival, theirs = others.index[0], others.iloc[0]
    wide = per_series.pivot(index=columns_id, columns="model", values=metric).dropna()
    better = int((wide[name] < wide[rival]).sum())
    share = f"it is better on {better} of {len(wide)} series"
    if f"{ours:.3f}" == f"{theirs:.3f}":
        return f"{name} and {rival} are level: {metric.upper()} {ours:.3f}; {share}. The simple method will do."
    if ours < theirs:
        return (
            f"{name} wins: {metric.upper()} {ours:.3f}, {_percent(ours, theirs)} below the best simple "
            f"method, {rival} ({theirs:.3f}); {share}."
        )
    return (
        f"{rival} wins: {metric.upper()} {theirs:.3f}; {name} ({ours:.3f}) is {_percent(ours, theirs)} above "
        f"it, and {share}. On this evidence use {rival}."
    )


def _percent(ours: float, theirs: float) -> str:
    return f"{abs(ours / theirs - 1):.0%}" if theirs else "far"


def _scored_origins(panel: Panel, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the series and ends (N,) that have an observation before the origin and a step after it."""
    observed = np.concatenate([[0], np.cumsum(np.isfinite(panel.target))])
    has_history = observed[panel.offsets[:-1] + ends] > observed[panel.offsets[:-1]]
    has_truth = ends < panel.ends
    window, series = np.nonzero(has_history & has_truth)
    if not len(series):
        raise DataError(
            "no series has both a history and held-back steps to score. Lower test.windows or the horizon, "
            "or set test.windows=0 to train without a score."
        )
    left_out = len(panel.ids) - len(np.unique(series))
    if left_out:
        log.warning("%d series have no history before, or no step after, any held-back origin: not scored.", left_out)
    return series, ends[window, series]


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
