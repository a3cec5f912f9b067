"""Forecasts of single series for a reader to look at, on one list of times for each series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecast.comparison.comparison import Comparison
from forecast.report.comparison.compared import Panel

QUANTILES = ("q0.025", "q0.1", "q0.9", "q0.975")
SHOWN = 5  # horizons of history before the first cutoff, or at least LEAST steps
LEAST = 60


class Explorer:
    """The forecasts of one data set and horizon, of each model's first seed.

    Parameters
    ----------
    models : sequence of str
        All of the page; a model is written as its place here.
    metric : str
        By which a reader may order the series.
    """

    def __init__(self, comparison: Comparison, panel: Panel, *, models: Sequence[str], metric: str) -> None:
        rows = panel.of(comparison.forecasts)
        rows = rows[rows["model"].isin(list(models))]
        self._horizon = panel.horizon
        self._rows = rows[rows["seed"].eq(rows.groupby("model")["seed"].transform("min"))]
        self._history = panel.of(comparison.history)
        self._models = {model: place for place, model in enumerate(models)}
        errors = panel.of(comparison.per_series)
        self._errors = errors.groupby(["series", "model"], sort=False)[metric].mean()
        self._names = self._rows["series"].drop_duplicates().tolist()
        self.series_count = len(self._names)
        self.folds_count = self._rows["fold"].nunique()

    def series(self, *, folds: int | None, most: int) -> list[dict[str, Any]]:
        """Return up to so many series, spread evenly, with the forecasts of their newest folds, or of all.

        Returns
        -------
        For each series its name, times, values, errors by model, and folds: the place of the first forecast time,
        the cutoff, and for each model five lists, the forecast and its quantiles at .025, .1, .9 and .975.
        """
        kept = self._rows
        if folds is not None:
            newest = sorted(kept["fold"].unique())[-folds:]
            kept = kept[kept["fold"].isin(newest)]
        spread = np.linspace(0, max(self.series_count - 1, 0), min(most, self.series_count)).round().astype(int)
        names = [self._names[place] for place in spread]
        histories = dict(list(self._history.groupby("series", sort=False)))
        groups = dict(list(kept[kept["series"].isin(names)].groupby("series", sort=False)))
        return [self._one(name, groups[name], histories.get(name)) for name in names if name in groups]

    def _one(self, name: Any, rows: pd.DataFrame, history: pd.DataFrame | None) -> dict[str, Any]:
        known = rows[["time", "y"]] if history is None else pd.concat([history, rows])[["time", "y"]]
        known = known.assign(time=_read(known["time"])).drop_duplicates("time").sort_values("time", ignore_index=True)
        at = pd.Index(known["time"]).get_indexer(pd.Index(_read(rows["time"])))
        start = max(0, int(at.min()) - max(SHOWN * self._horizon, LEAST))
        shown, folds = known.iloc[start:], rows["fold"].to_numpy()
        values, models = rows[["forecast", *QUANTILES]].to_numpy(float), rows["model"].map(self._models).to_numpy()
        parts = []
        for fold in np.unique(folds):
            here = folds == fold
            cutoff = str(rows["cutoff"].to_numpy()[here][0])
            parts.append({"cutoff": cutoff} | _fold(at[here] - start, values[here], models[here]))
        return {
            "name": str(name),
            "times": _written(shown["time"]),
            "y": shown["y"].astype(float).tolist(),
            "errors": self._errors_of(name),
            "folds": parts,
        }

    def _errors_of(self, name: Any) -> dict[str, float]:
        if name not in self._errors.index.get_level_values(0):
            return {}
        found = self._errors[name].items()
        return {str(self._models[model]): float(error) for model, error in found if model in self._models}


def _fold(at: np.ndarray, values: np.ndarray, models: np.ndarray) -> dict[str, Any]:
    """Lay the forecasts (rows, 5) of one origin on places of the list of times, NaN where a model has none."""
    first, length = int(at.min()), int(at.max() - at.min()) + 1
    found = {}
    for model in np.unique(models):
        own = models == model
        lists = np.full((values.shape[1], length), np.nan)
        lists[:, at[own] - first] = values[own].T
        kept = lists if np.isfinite(lists[1:]).any() else lists[:1]
        found[str(model)] = kept.tolist()
    return {"first": first, "models": found}


def _read(times: pd.Series) -> pd.Series:
    """Read times that were kept as text: whole numbers, else dates; what is neither stays in the order of letters."""
    if not pd.api.types.is_string_dtype(times.infer_objects()):
        return times.infer_objects()
    texts = times.astype(str)
    if texts.str.fullmatch(r"-?\d+").all():
        return texts.astype("int64")
    try:
        return pd.to_datetime(texts, format="ISO8601")
    except ValueError:  # no dates, or hours of more than one offset
        return texts


def _written(times: pd.Series) -> list[str]:
    """Write times as they are read: dates alone where no time has an hour."""
    if not pd.api.types.is_datetime64_any_dtype(times):
        return [str(time) for time in times]
    dated = bool((times == times.dt.normalize()).all())
    return times.dt.strftime("%Y-%m-%d" if dated else "%Y-%m-%d %H:%M").tolist()
