"""Scores as tables that a person reads, on the terminal and in the report."""

from __future__ import annotations

import pandas as pd

from forecast.data.columns import Columns
from forecast.evaluation.events import EVENT_METRICS
from forecast.evaluation.tables import Backtest
from forecast.evaluation.verdict import RANKED_BY, ranked_by
from forecast.frames import TARGET

SHOWN = 50  # series in a report's table
LABELS = {
    "model": "model",
    "mae": "MAE",
    "rmse": "RMSE",
    "smape": "sMAPE",
    "mase": "MASE",
    "crps": "CRPS",
    "wql": "WQL",
    "msis": "80% MSIS",
    "coverage": "80% covers",
    "width": "80% width",
    "msis_95": "95% MSIS",
    "coverage_95": "95% covers",
    "width_95": "95% width",
    "events": "events",
    "steps": "steps",
    "log_loss": "log loss",
    "brier": "Brier",
    "auc": "AUC",
    "accuracy": "right",
    "calibration": "off by",
}
SHARES = frozenset({LABELS["coverage"], LABELS["coverage_95"]})  # are told in percent
INTERVALS = {
    "accuracy": "share of steps on the right side of a half",
    "auc": "AUC",
    "skill": "Brier skill beside the best simple method",
}


def labelled(scores: pd.DataFrame) -> pd.DataFrame:
    """Return scores under their labels; a metric without a number has no column."""
    told = scores[[name for name in LABELS if name in scores and scores[name].notna().any()]]
    return told.round(dict.fromkeys(EVENT_METRICS, 4)).rename(columns=LABELS)


def averaged(scored: Backtest) -> str:
    """Return over what scores are means, in words."""
    return f"probability that a target {scored.event}, over all steps" if scored.event else "mean over series"


def interval_table(scored: Backtest) -> pd.DataFrame | None:
    """Return what is known of chance in the scores of a forecaster of events; None of values, or where nothing is."""
    if scored.intervals is None or scored.intervals["low"].isna().all():
        return None
    table = scored.intervals.assign(metric=scored.intervals["metric"].map(INTERVALS))
    return table.round(4).rename(columns={"metric": "score", "low": "95 % from", "high": "to"})


def by_target(scored: Backtest, columns: Columns) -> dict[str, pd.DataFrame]:
    """Return the scores of each target, under its name and unit; nothing where there is one target."""
    if scored.per_target is None:
        return {}
    units = dict(zip(columns.targets, columns.units, strict=True))
    tables = dict(iter(scored.per_target.groupby(TARGET, sort=False, observed=True)))
    return {
        f"{name}, {units[name]}" if units[name] else name: tables[name] for name in columns.targets if name in tables
    }


def by_fold(scored: Backtest) -> tuple[str, pd.DataFrame]:
    """Return a caption, and the error of each fold with a column for each model."""
    metric, table = ranked_by(scored), scored.per_fold
    wide = table.pivot(index=["fold", "cutoff"], columns="model", values=metric)[list(scored.scores["model"])]
    wide = wide.reset_index().rename_axis(columns=None)
    wide = wide.assign(fold=wide["fold"].astype(str), cutoff=wide["cutoff"].astype(str))
    return f"{RANKED_BY[metric]} by fold", wide.rename(columns={"cutoff": "last known"})


def by_series(scored: Backtest) -> tuple[str, pd.DataFrame]:
    """Return a caption, and the error of the first series, or pairs with a target, with a column for each model."""
    metric, table = ranked_by(scored), scored.per_series
    keys = [name for name in (table.columns[1], TARGET) if name in table]
    wide = table.pivot(index=keys, columns="model", values=metric)[list(scored.scores["model"])]
    more = f" (the first {SHOWN} of {len(wide)})" if len(wide) > SHOWN else ""
    return f"{RANKED_BY[metric]} by series{more}", wide.head(SHOWN)


def one_cutoff_a_fold(scored: Backtest) -> bool:
    """Return whether all series of a fold have the same cutoff."""
    return bool((scored.forecasts.groupby("fold")["cutoff"].nunique() <= 1).all())
