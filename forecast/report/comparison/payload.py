"""The numbers behind the charts: what the page's script draws from, small enough to load."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from forecast.comparison.comparison import Comparison
from forecast.report.comparison.columns import METRIC, intervals, percent
from forecast.report.comparison.compared import Panel, models_of, panels_of, ranking_metric, reference_of
from forecast.report.comparison.diagram import bars, bars_of_groups, pareto_front
from forecast.report.comparison.explorer import Explorer
from forecast.report.numbers import written

STEP_METRICS = ("mase", "mae", "rmse", "smape", "crps", "coverage")
ROOM = 4_000_000  # bytes of numbers; the tables have the rest of a page of 5 MB

_NAMES = ("fit_seconds", "skill", "skill_low", "skill_high")


def payload(comparison: Comparison, *, room: int = ROOM) -> tuple[str, list[str]]:
    """Return the numbers of all charts as compact JSON, and what was left out of them.

    Parameters
    ----------
    room : int
        Bytes that it may have. Forecasts to look at are left out first: origins but the newest, then series; then
        metrics by step but the one that models are ranked by.

    Returns
    -------
    JSON that may stand inside a script element whatever the names hold, and a sentence for each thing left out.
    """
    models, panels = models_of(comparison), panels_of(comparison)
    parts = [_panel(comparison, panel, models=models) for panel in panels]
    whole = {"models": models, "heads": {name: METRIC[name].head for name in METRIC}, "panels": parts}
    left_out = []
    if len(_text(whole)) > room:
        left_out.append("errors by step but those that models are ranked by")
        for part in parts:
            part["steps"] = {name: lines for name, lines in part["steps"].items() if name == part["metric"]}
    explorers = [
        Explorer(comparison, panel, models=models, metric=part["metric"])
        for panel, part in zip(panels, parts, strict=True)
    ]
    most = max((explorer.series_count for explorer in explorers), default=0)
    for folds, series in _cuts(most):
        for part, explorer in zip(parts, explorers, strict=True):
            part["explorer"] = explorer.series(folds=folds, most=series)
        text = _text(whole)
        if len(text) <= room:
            break
    if folds == 1 and any(explorer.folds_count > 1 for explorer in explorers):
        left_out.append("forecasts from all origins but the newest")
    if series < most:
        left_out.append(f"the forecasts of all but {series} series of each data set")
    return text, left_out


def _cuts(most: int) -> list[tuple[int | None, int]]:
    """What is tried in turn: everything, the newest origin, and of that half as many series again and again."""
    halves = [most >> times for times in range(most.bit_length() + 1)]
    return [(None, most), *((1, count) for count in halves)]


def _text(value: Any) -> str:
    """Write JSON that cannot end the script element it stands in; ASCII, so that letters are bytes."""
    text = json.dumps(_plain(value), separators=(",", ":"), allow_nan=False)
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _plain(value: Any) -> Any:
    """Round numbers to five digits; what is not finite becomes null."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return None
        rounded = float(f"{value:.5g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
    return value


def _panel(comparison: Comparison, panel: Panel, *, models: Sequence[str]) -> dict[str, Any]:
    board = panel.of(comparison.leaderboard)
    metric = ranking_metric(board)
    return {
        "data": panel.data,
        "horizon": panel.horizon,
        "metric": metric,
        "reference": reference_of(board),
        "all": _counts(panel.of(comparison.per_series), panel.of(comparison.per_window)),
        "board": _board(board, models=models, metric=metric),
        "ranks": _ranks(panel.of(comparison.ranks), models=models),
        "steps": _steps(panel.of(comparison.per_step), models=models, metric=metric),
        "calibration": _calibration(panel.of(comparison.calibration), models=models),
    }


def _counts(per_series: pd.DataFrame, per_window: pd.DataFrame) -> dict[str, int]:
    """How many series and origins were scored, of which the forecasts of some are kept."""
    return {"series": int(per_series["series"].nunique()), "origins": int(per_window["fold"].nunique())}


def _board(board: pd.DataFrame, *, models: Sequence[str], metric: str) -> list[dict[str, Any]]:
    front = pareto_front(board["fit_seconds"].tolist(), board[metric].tolist())
    rows = board[[metric, *_NAMES]].astype(float).to_dict("records")
    return [
        {"model": models.index(model), "error": row[metric], "front": best, "texts": texts}
        | {name: row[name] for name in _NAMES}
        for model, row, best, texts in zip(board["model"], rows, front, _texts(board, metric), strict=True)
    ]


def _texts(board: pd.DataFrame, metric: str) -> list[dict[str, str]]:
    """Return what the tables read, so that no chart rounds a number again."""
    shares = percent(board["skill"].tolist())
    bounds = intervals(board["skill_low"].tolist(), board["skill_high"].tolist())
    columns = {
        "error": METRIC[metric].texts(board[metric].tolist()),
        "seconds": written(board["fit_seconds"].tolist()),
        "skill": [f"{share} {interval}".rstrip() for share, interval in zip(shares, bounds, strict=True)],
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _ranks(ranks: pd.DataFrame, *, models: Sequence[str]) -> dict[str, Any] | None:
    known = ranks[ranks["mean_rank"].notna() & ranks["model"].isin(models)].sort_values("mean_rank", kind="stable")
    if len(known) < 2:
        return None
    difference, places = float(known["critical_difference"].iloc[0]), known["mean_rank"].astype(float).tolist()
    named = "groups" in known and known["groups"].notna().all()
    found = bars_of_groups(known["groups"].tolist()) if named else bars(places, critical_difference=difference)
    return {
        "models": [models.index(model) for model in known["model"]],
        "ranks": places,
        "texts": written(places),
        "difference": difference,
        "bars": found,
    }


def _steps(rows: pd.DataFrame, *, models: Sequence[str], metric: str) -> dict[str, dict[str, list[float]]]:
    """For each metric that has numbers, each model's mean over seeds by step."""
    found = {}
    for name in dict.fromkeys((metric, *STEP_METRICS)):
        if rows[name].notna().any():
            wide = rows.pivot_table(index="step", columns="model", values=name, aggfunc="mean")
            found[name] = {str(models.index(model)): wide[model].tolist() for model in models if model in wide}
    return found


def _calibration(rows: pd.DataFrame, *, models: Sequence[str]) -> dict[str, list[list[float]]]:
    """For each model its points: level of a quantile, and share of steps at or below it."""
    points = rows.dropna(subset=["share"]).groupby(["model", "level"])["share"].mean().reset_index()
    return {
        str(models.index(model)): points.loc[points["model"].eq(model), ["level", "share"]].to_numpy(float).tolist()
        for model in models
        if points["model"].eq(model).any()
    }
