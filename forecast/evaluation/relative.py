"""A forecaster beside the best of the others, series by series: where it is better, and where it fails."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from forecast.evaluation.tables import Backtest
from forecast.frames import TARGET


class Worst(NamedTuple):
    """Series that a forecaster fails on most, the worst first, and why it is these."""

    series: list[Any]  # ids, or with several targets pairs of id and target
    values: list[float]  # error over that of the rival where `beaten`, else the error
    beaten: bool


def best_rival(scored: Backtest, *, metric: str, name: str) -> str | None:
    """Return the best of the other models, None where there is none."""
    others = scored.scores.set_index("model")[metric].drop(name)
    return None if others.isna().all() else str(others.idxmin())


def relative_errors(scored: Backtest, *, metric: str, name: str, rival: str) -> pd.DataFrame:
    """Return what a model and its rival are worth on each series.

    Returns
    -------
    DataFrame, by id and, where there are several, target, with the errors `own` and `other`, and `ratio`, the first
    over the second; series without an error are left out.
    """
    table = scored.per_series
    keys = [table.columns[1], *([TARGET] if TARGET in table else [])]
    wide = table[table["model"].isin([name, rival])].pivot(index=keys, columns="model", values=metric).dropna()
    own, other = wide[name], wide[rival]
    both_exact = (own == 0) & (other == 0)
    ratio = (own / other.where(other > 0)).fillna(np.inf).mask(both_exact, 1.0)
    return pd.DataFrame({"own": own, "other": other, "ratio": ratio})


def worst_series(scored: Backtest, *, metric: str, name: str, count: int) -> Worst:
    """Return the series on which the best other model is better, those with the largest ratio of errors.

    Where it is better on none, or there is no other, they are those with the largest error.

    Parameters
    ----------
    metric : str
        By which models are ranked.
    name : str
        Of the model.
    count : int
        How many series, or with several targets pairs of series and target.
    """
    rival = best_rival(scored, metric=metric, name=name)
    errors = relative_errors(scored, metric=metric, name=name, rival=rival or name)
    beaten = bool((errors["ratio"] > 1).any())
    found = errors.loc[errors["ratio"] > 1, "ratio"] if beaten else errors["own"]
    first = found.sort_values(ascending=False, kind="stable").head(count)
    return Worst(list(first.index), first.tolist(), beaten)
