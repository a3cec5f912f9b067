"""Who is better, and by how much: errors of models by series as ranks, skill, wins and words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, rankdata

GROUP = ["data", "horizon"]
RESAMPLES = 999
LABELS = {"mase": "MASE", "mae": "MAE"}


class Verdicts(NamedTuple):
    """Tables by data set and horizon, and words."""

    standing: pd.DataFrame  # data, horizon, model, rank, wins, skill, skill_low, skill_high
    pairs: pd.DataFrame
    ranks: pd.DataFrame
    sentences: list[str]


def verdicts(per_series: pd.DataFrame, *, references: dict[tuple[str, int], str]) -> Verdicts:
    """Tell models apart.

    Parameters
    ----------
    per_series : DataFrame
        As of `Comparison`; errors of several seeds are averaged for each series.
    references : dict
        By data set and horizon, what skill is measured against.
    """
    standing, pairs, sentences = [], [], []
    for key, metric, errors in _errors(per_series):
        reference = references[key]
        about = dict(zip(GROUP, key, strict=True))
        table = _standing(errors, reference)
        standing.append(table.assign(data=key[0], horizon=key[1], metric=metric))
        pairs += [
            {**about, "model": model, "other": other, "metric": metric, **_pair(errors[model], errors[other])}
            for model in errors
            for other in errors
            if model != other
        ]
        sentences.append(_sentence(table, metric, reference, key))
    standings = pd.concat(standing, ignore_index=True)
    ranks = standings[[*GROUP, "model", "rank"]].rename(columns={"rank": "mean_rank"})
    return Verdicts(
        standings, pd.DataFrame(pairs, columns=[*GROUP, *_PAIRS]), ranks.assign(critical_difference=np.nan), sentences
    )


def ranking_metric(table: pd.DataFrame) -> str:
    """Return the metric that models are ranked by: MASE where every model has it, else MAE."""
    return "mase" if table.groupby("model")["mase"].any().all() else "mae"


_PAIRS = ("model", "other", "metric", "series", "win_rate", "skill", "skill_low", "skill_high", "p", "p_corrected",
          "significant", "test")  # fmt: skip


def _errors(per_series: pd.DataFrame) -> Iterator[tuple[tuple[str, int], str, pd.DataFrame]]:
    """Give data set and horizon, the ranking metric, and errors by series with a column a model, of series all have."""
    for (data, horizon), table in per_series.groupby(GROUP, sort=False):
        metric = ranking_metric(table)
        wide = table.pivot_table(index="series", columns="model", values=metric, sort=False)
        yield (str(data), int(str(horizon))), metric, wide[list(dict.fromkeys(table["model"]))].dropna()


def _standing(errors: pd.DataFrame, reference: str) -> pd.DataFrame:
    values = errors.to_numpy()
    ranks = rankdata(values, axis=1).mean(axis=0)
    best = np.isclose(values, values.min(axis=1, keepdims=True), rtol=1e-12, atol=0)
    table = pd.DataFrame({"model": list(errors), "rank": ranks, "wins": best.sum(axis=0)})
    skills = [_skill(errors[model], errors[reference]) if reference in errors else (np.nan,) * 3 for model in errors]
    table[["skill", "skill_low", "skill_high"]] = skills
    return table.assign(error=values.mean(axis=0)).sort_values(["rank", "error"], ignore_index=True)


def _pair(own: pd.Series, other: pd.Series) -> dict[str, object]:
    wins = (own < other).mean() + (own == other).mean() / 2
    skill, low, high = _skill(own, other)
    found = {"series": len(own), "win_rate": wins, "skill": skill, "skill_low": low, "skill_high": high}
    return {**found, "p": np.nan, "p_corrected": np.nan, "significant": False, "test": ""}


def _skill(own: pd.Series, other: pd.Series) -> tuple[float, float, float]:
    """Return 1 less the ratio of mean errors, and its interval by a paired bootstrap over series."""

    def skill(own: np.ndarray, other: np.ndarray, axis: int = -1) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return 1 - own.mean(axis=axis) / other.mean(axis=axis)

    point = float(skill(own.to_numpy(), other.to_numpy())) if len(own) else np.nan
    if len(own) < 2 or own.equals(other) or not np.isfinite(point):
        return point, np.nan, np.nan
    options = {"paired": True, "vectorized": True, "method": "percentile", "n_resamples": RESAMPLES, "rng": 0}
    interval = bootstrap((own.to_numpy(), other.to_numpy()), skill, **options).confidence_interval
    return point, float(interval.low), float(interval.high)


def _sentence(table: pd.DataFrame, metric: str, reference: str, key: tuple[str, int]) -> str:
    best = table.iloc[0]
    where = f"{key[0]}, horizon {key[1]}"
    if best["model"] == reference:
        return f"{where}: no model ranks before {reference}."
    return (
        f"{where}: {best['model']} ranks first; its {LABELS[metric]} is {best['error']:.4g}, "
        f"{abs(best['skill']):.0%} {'below' if best['skill'] >= 0 else 'above'} that of {reference}."
    )
