"""Tables of models over series: their ranks, and what each is worth beside a simple method."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.comparison.significance.paired import tied
from forecast.comparison.significance.pairs import complete
from forecast.comparison.significance.ranks import critical_difference, friedman, groups, mean_ranks

RANKS = ("model", "mean_rank", "critical_difference", "low", "high", "groups", "series", "friedman_p")
STANDING = ("model", "rank", "wins", "reference", "skill", "skill_low", "skill_high")


def ranks_table(errors: pd.DataFrame, *, alpha: float = 0.05) -> pd.DataFrame:
    """Rank models over series.

    Parameters
    ----------
    errors : DataFrame
        The error of each series (rows) by each model (columns). Series that a model has no error of are left out.
    alpha : float
        Level of the critical difference.

    Returns
    -------
    DataFrame, best first, of equal ranks that of the lowest mean error: `model`, `mean_rank`, `critical_difference`
    (NaN with fewer than two series), `low` and `high` (half of it on each side: models whose intervals do not meet
    differ, as in the plots of Koning et al.), `groups` (numbers of the groups it belongs to, such as "1 2"; models with
    a number in common are not told apart), `series`, and `friedman_p`, by Iman and Davenport (NaN with fewer than three
    models).

    References
    ----------
    Demšar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7, 1-30.
    Koning, Franses, Hibon and Stekler (2005), The M3 competition: statistical tests of the results, IJF 21, 397-409.
    """
    held = complete(errors)
    values = tied(held)
    series, models = values.shape
    ranks = mean_ranks(values)
    apart = critical_difference(models=models, series=series, alpha=alpha) if series > 1 else np.nan
    numbers: list[list[str]] = [[] for _ in range(models)]
    for number, group in enumerate(groups(ranks, apart=apart), start=1):
        for model in group:
            numbers[model].append(str(number))
    table = pd.DataFrame(
        {
            "model": [str(name) for name in held.columns],
            "mean_rank": ranks,
            "critical_difference": apart,
            "low": ranks - apart / 2,
            "high": ranks + apart / 2,
            "groups": [" ".join(own) for own in numbers],
            "series": series,
            "friedman_p": friedman(values).f_p if series > 1 and models > 2 else np.nan,
        }
    )
    table = table.assign(error=values.mean(axis=0)).sort_values(["mean_rank", "error"], ignore_index=True)
    return table.drop(columns="error")


def standing_table(
    errors: pd.DataFrame, pairs: pd.DataFrame, ranks: pd.DataFrame, *, reference: str | None = None
) -> pd.DataFrame:
    """Put beside each model's rank what it is worth.

    Parameters
    ----------
    errors : DataFrame
        As `pairs_table` and `ranks_table` took them.
    pairs, ranks : DataFrame
        As they returned them.
    reference : str, optional
        The simple method that skill is measured against.

    Returns
    -------
    DataFrame, best first: `model`, `rank` (mean over series), `wins` (series on which none is better), `reference` and
    the skill against it with its interval, 0 without one for itself, and NaN where there is no reference.
    """
    held = complete(errors)
    values = tied(held)
    wins = dict(zip(map(str, held.columns), (values == values.min(axis=1, keepdims=True)).sum(axis=0), strict=True))
    table = ranks[["model", "mean_rank"]].rename(columns={"mean_rank": "rank"})
    table = table.assign(wins=table["model"].map(wins), reference=reference or "")
    means = held.mean().rename(index=str)
    worth = 1 - means / (means[reference] if reference is not None and means[reference] > 0 else np.nan)
    table = table.assign(skill=table["model"].map(worth))
    table.loc[table["model"] == reference, "skill"] = 0.0
    against = pairs.loc[pairs["other"] == reference, ["model", "skill_low", "skill_high"]]
    return table.merge(against, on="model", how="left")[list(STANDING)]
