"""A search in a sentence: what it found, and whether that holds on windows that it has not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.evaluation.tables import Backtest
from forecast.evaluation.verdict import LEVEL, RANKED_BY, ranked_by, shown, verdict

if TYPE_CHECKING:
    from forecast.tuning.tuning import Tuning

TABLES = ("scores", "per_fold", "per_step", "per_series", "per_target", "per_time")


def beside(scored: Backtest, other: Backtest) -> Backtest:
    """Return the scores of a backtest with those of another on the same windows below them."""
    tables: dict[str, Any] = {}
    for name in TABLES:
        ours, theirs = getattr(scored, name), getattr(other, name)
        tables[name] = None if ours is None else pd.concat([ours, theirs], ignore_index=True)
    return replace(scored, **tables)


def search_words(tuned: Tuning) -> str:
    """Return what a search found on its validation windows."""
    from forecast.tuning.objective import label
    from forecast.tuning.tuning import FAILED, PRUNED

    states = dict(tuned.trials["state"].value_counts())
    count, metric = len(tuned.trials), label(tuned.metric)
    told = {"given up midway": states.get(PRUNED, 0), "failed": states.get(FAILED, 0)}
    some = ", ".join(f"{number} {what}" for what, number in told.items() if number)
    made = f"{count} trials{f' ({some})' if some else ''}"
    if not tuned.best:
        return (
            f"Of {made}, none was better on the validation windows than default settings "
            f"({metric} {shown(tuned.default_error)}): they stay."
        )
    gain = f"{1 - tuned.error / tuned.default_error:.0%}" if tuned.default_error else "much"
    best = tuned.trials["trial"].iloc[int(tuned.trials["error"].argmin())]
    return (
        f"Of {made}, number {best} is the best: {metric} {shown(tuned.error)} on the validation windows, {gain} below "
        f"default settings ({shown(tuned.default_error)}). The lowest of many flatters."
    )


def importance_words(tuned: Tuning) -> str:
    """Return what is said beside the shares of settings: of how many trials they are, or why there are none."""
    from forecast.tuning.tuning import FEWEST

    if not tuned.importance.empty:
        return f"shares of the variance over {tuned.finished} finished trials (fANOVA)"
    if tuned.finished < FEWEST:
        return f"left out: shares of the variance take {FEWEST} finished trials, and there are {tuned.finished}"
    return "left out: the errors of the trials are alike"


def test_words(scored: Backtest, *, name: str, default: str) -> str:
    """Return whether tuned settings are better than default ones on windows that the search has not seen.

    Parameters
    ----------
    scored : Backtest
        Of the tuned forecaster and simple methods, and of default settings where they are others.
    name, default : str
        What the tuned forecaster and default settings are called there.
    """
    simple = replace(scored, scores=scored.scores[scored.scores["model"] != default])
    against = verdict(simple, name=name)
    if default not in set(scored.scores["model"]):
        return against
    metric = ranked_by(scored)
    errors = scored.scores.set_index("model")[metric]
    ours, theirs = float(errors[name]), float(errors[default])
    pair = f"{RANKED_BY[metric]} {shown(ours)} tuned, {shown(theirs)} by default"
    if not np.isfinite([ours, theirs]).all():
        return against
    if np.isclose(ours, theirs, rtol=LEVEL, atol=0):
        return f"Tuning has not helped: on the held-back windows both are level ({pair}). {against}"
    share = f"{abs(ours / theirs - 1):.0%}" if theirs else "far"
    if ours < theirs:
        return f"Tuning has helped: on the held-back windows the error is {share} lower ({pair}). {against}"
    return (
        f"Tuning has not helped: on the held-back windows the error is {share} higher ({pair}); default settings are "
        f"the safer choice. {against}"
    )
