"""Tables of pairs and ranks in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from forecast.comparison.significance.correction import Correction
from forecast.comparison.significance.pairs import FEWEST_SERIES, OVER_SERIES

NAMED = 5  # models that a sentence lists
_CALLED = {"seasonal_naive": "seasonal naive"}
_DOING = {"naive": "repeating the last value", "seasonal_naive": "repeating the last season"}
_AUTHORS = {"holm": "Holm's", "benjamini_hochberg": "Benjamini and Hochberg's"}


def sentences(
    pairs: pd.DataFrame,
    ranks: pd.DataFrame,
    *,
    reference: str | None = None,
    against: pd.DataFrame | None = None,
    correction: Correction = "holm",
    alpha: float = 0.05,
) -> list[str]:
    """Return what the tables of one data set and horizon say, the most important first.

    Parameters
    ----------
    pairs, ranks : DataFrame
        As `pairs_table` and `ranks_table` return them.
    reference : str, optional
        The simple method that has to be beaten.
    against : DataFrame, optional
        The pairs of that method, corrected for no others; by default those of `pairs`.
    correction : {"holm", "benjamini_hochberg", "none"}
        What `pairs` was corrected by.
    alpha : float
        Level of significance.
    """
    order = [str(model) for model in ranks["model"]]
    told, found = _Told(pairs, correction=correction, alpha=alpha), []
    if reference is not None:
        beaten = _Told(pairs if against is None else against, correction=correction, alpha=alpha)
        found += _against(beaten, order, reference)
        told = beaten if reference in order[:2] else told
    found += told.pair(order[0], order[1])
    if (pairs["test"] == OVER_SERIES).all() and ranks["series"].iloc[0] >= FEWEST_SERIES:
        found += _level_with_best(ranks, alpha=alpha)
    return [*found, *_warnings(pairs, against=against, said=found)]


def pair_sentence(row: Any, *, correction: Correction = "holm", tests: int = 2, alpha: float = 0.05) -> str:
    """Return one row of a table of pairs as a sentence.

    Parameters
    ----------
    row : Series or named tuple
        Of `pairs_table`.
    correction : {"holm", "benjamini_hochberg", "none"}
        What the table was corrected by.
    tests : int
        How many pairs were tested; of one alone nothing is corrected.
    alpha : float
        Level of significance.
    """
    model, other, unit, level = called(row.model), called(row.other), _unit(row), _percent(alpha)
    if np.isnan(row.p):
        return f"Whether {model} and {other} differ cannot be tested: {row.reason}."
    if (row.win_rate, row.p, row.skill) == (0.5, 1, 0):
        return f"{model} and {other} have the same errors."
    test = _evidence(row, correction=correction if tests > 1 else "none")
    if not row.significant:
        pair = f"The difference between {model} and {other} is not significant ({test})"
        return f"{pair}: {row.reason or f'{_scope(row)} do not tell them apart'}."
    won, skilled = row.win_rate > 0.5, row.skill > 0
    if won != skilled:
        return (
            f"{model} and {other} differ significantly at {level} ({test}), but there is no plain winner: {model} is "
            f"better on {_percent(row.win_rate)} of {unit}, with {_worth(row)}, so a few {unit} weigh much."
        )
    does, share = ("beats", row.win_rate) if won else ("loses to", 1 - row.win_rate)
    outcome = f"{model} {does} {other} on {_percent(share)} of {unit}, with {_worth(row)}"
    return f"{outcome}; the difference is significant at {level} ({test})."


def called(model: str) -> str:
    """Return the name of a model as a sentence has it."""
    return _CALLED.get(model, model)


class _Told:
    """A table of pairs, asked by the names of two models; it says each pair once."""

    def __init__(self, pairs: pd.DataFrame, *, correction: Correction, alpha: float) -> None:
        rows: Iterable[Any] = pairs.itertuples(index=False)
        self._rows = {(str(row.model), str(row.other)): row for row in rows}
        self._correction, self._alpha = correction, alpha
        self._said: set[frozenset[str]] = set()

    def has(self, model: str, other: str) -> bool:
        return (model, other) in self._rows

    def is_said(self, model: str, other: str) -> bool:
        return frozenset((model, other)) in self._said

    def is_ahead(self, model: str, other: str) -> bool:
        return bool(self._rows[model, other].skill > 0)

    def beats(self, model: str, other: str) -> bool:
        """Say whether one is better, significantly, both on most series and on their mean."""
        row = self._rows[model, other]
        return bool(row.significant and row.win_rate > 0.5 and row.skill > 0)

    def pair(self, model: str, other: str) -> list[str]:
        """Return the sentence on a pair; none where it was said, was not compared, or could not be tested."""
        row = self._rows.get((model, other))
        if row is None or np.isnan(row.p) or self.is_said(model, other):
            return []
        self._said.add(frozenset((model, other)))
        return [pair_sentence(row, correction=self._correction, tests=len(self._rows) // 2, alpha=self._alpha)]


def _against(told: _Told, order: list[str], reference: str) -> list[str]:
    """Say who beats the method that has to be beaten, and who is beaten by it."""
    others = [model for model in order if model != reference and told.has(model, reference)]
    if not others:
        return []
    winners = [model for model in others if told.beats(model, reference)]
    found = []
    if not winners:
        ahead = any(told.is_ahead(model, reference) for model in others)
        doing = _DOING.get(reference, called(reference))
        found.append(f"No model here is {'shown to be ' if ahead else ''}better than {doing}.")
    found += told.pair((winners or others)[0], reference)
    if winners[1:]:
        found.append(f"So {'does' if len(winners) == 2 else 'do'} {_listed(winners[1:])}, significantly.")
    losers = [model for model in others if told.beats(reference, model) and not told.is_said(model, reference)]
    if losers:
        worse = "is" if len(losers) == 1 else "are"
        found.append(f"{_listed(losers)} {worse} significantly worse than {called(reference)}.")
    return found


def _level_with_best(ranks: pd.DataFrame, *, alpha: float) -> list[str]:
    """Say which models the ranks cannot tell from the best one."""
    apart, series = ranks["critical_difference"].iloc[0], ranks["series"].iloc[0]
    with_best = ranks["groups"].str.split().map(lambda numbers: "1" in numbers)
    level = [str(model) for model in ranks.loc[with_best, "model"]]
    if len(level) < 3:
        return []
    if len(level) == len(ranks):
        return [f"Mean ranks over {series:,} series tell no two models apart (critical difference {apart:.2f})."]
    return [
        f"By mean rank over {series:,} series, {_listed(level[1:])} cannot be told from {called(level[0])} "
        f"(critical difference {apart:.2f} at {_percent(alpha)})."
    ]


def _warnings(pairs: pd.DataFrame, *, against: pd.DataFrame | None, said: list[str]) -> list[str]:
    """Say why no test could find anything, unless a sentence has said so; that all pairs are more tests than those."""
    reasons = pairs["reason"].unique()
    if len(reasons) != 1 or not reasons[0] or any(reasons[0] in sentence for sentence in said):
        return []
    some = against is not None and (against["reason"] == "").any()
    return [f"Of the pairs of all models: {reasons[0]}." if some else f"{reasons[0]}."]


def _evidence(row: Any, *, correction: Correction) -> str:
    after = f" after {_AUTHORS[correction]} correction" if correction in _AUTHORS else ""
    return f"{_chance(row.p_corrected)}{after}, {row.test} over {_scope(row)}"


def _scope(row: Any) -> str:
    if row.test == OVER_SERIES:
        return f"{row.n:,} series"
    return f"{row.n:,} windows" + (f" of {row.series} series" if row.series > 1 else "")


def _unit(row: Any) -> str:
    return "series" if row.test == OVER_SERIES else "windows"


def _worth(row: Any) -> str:
    """Return how much lower or higher the mean error is, with its interval."""
    if np.isnan(row.skill):
        return "errors where the other makes none"
    sign = 1 if row.skill > 0 else -1
    low, high = sorted((sign * row.skill_low, sign * row.skill_high))
    interval = "" if np.isnan(low) else f" (95 % interval {_number(low)} to {_percent(high)})"
    return f"a mean error {_percent(sign * row.skill)} {'lower' if sign > 0 else 'higher'}{interval}"


def _percent(share: float) -> str:
    return f"{_number(share)} %"


def _number(share: float) -> str:
    """Return a share in percent: whole, or with a digit more where it is small."""
    value = 100 * share
    digits = 0 if abs(value) >= 9.95 or np.isclose(value, round(value)) else 1
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _chance(p: float) -> str:
    if p < 0.001:
        return "p < .001"
    return "p = 1" if p > 0.995 else f"p = {p:.2g}".replace("0.", ".", 1)


def _listed(models: list[str]) -> str:
    named = [called(model) for model in models[:NAMED]]
    if len(models) > NAMED:
        named.append(f"{len(models) - NAMED} more")
    *most, last = named
    return f"{', '.join(most)} and {last}" if most else last
