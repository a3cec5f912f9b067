"""The table of pairs: each model held against each other, by the test that what is given allows."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecast.comparison.significance.correction import Correction, corrected
from forecast.comparison.significance.diebold_mariano import FEWEST_ORIGINS, diebold_mariano
from forecast.comparison.significance.paired import skill_intervals, skills, smallest_p, tied, wilcoxon, win_rate
from forecast.errors import ConfigError, DataError, unknown_name
from forecast.evaluation.bootstrap import FEWEST

Array = NDArray[np.float64]

FEWEST_SERIES = 6  # 2 / 2^6 is the first chance below 5 %
OVER_SERIES, OVER_WINDOWS = "Wilcoxon", "Diebold-Mariano"
PAIRS = (
    "model",
    "other",
    "metric",
    "series",
    "n",
    "win_rate",
    "win_low",
    "win_high",
    "skill",
    "skill_low",
    "skill_high",
    "p",
    "p_corrected",
    "significant",
    "test",
    "reason",
)


class _Sample(NamedTuple):
    """What is compared: errors of models on series, or on windows in order of time, and why it may prove nothing."""

    errors: Array  # (N, M)
    test: str
    overlap: int
    reason: str  # empty where the test can be made


def pairs_table(
    errors: pd.DataFrame,
    *,
    windows: pd.DataFrame | None = None,
    overlap: int = 1,
    reference: str | None = None,
    metric: str = "",
    correction: Correction = "holm",
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare each model with each other.

    With six series or more the test is Wilcoxon's over series: whether the difference would hold on other series like
    these. With fewer it could never reach 5 %, and it would not use what there is: many windows. Then, where
    windows are given, the test is that of Diebold and Mariano over them: whether it would hold at other times.

    Parameters
    ----------
    errors : DataFrame
        The error of each series (rows) by each model (columns). Series that a model has no error of are left out.
    windows : DataFrame, optional
        The error at each origin, in order of time, by each model; the mean over series where there are several.
    overlap : int
        How many of these origins in a row have steps in common: horizon / step, rounded up.
    reference : str, optional
        Compare with this model only: fewer tests, so that each is corrected less.
    metric : str
        Name of the error, for the table.
    correction : {"holm", "benjamini_hochberg", "none"}
        For the number of pairs, each counted once.
    alpha : float
        Level at which a corrected p is significant.
    seed : int
        Draws the bootstrap of skill.

    Returns
    -------
    DataFrame with two rows a pair, one for each direction: `model`, `other`, `metric`, `series`, `n` (series or
    windows that the test rests on), `win_rate` (ties count half) with `win_low` and `win_high` (NaN where windows
    overlap), `skill` (1 - mean error / mean error of the other) with `skill_low` and `skill_high`, `p`, `p_corrected`,
    `significant`, `test`, and `reason` where the test cannot be made or cannot reach the level.
    """
    held = complete(errors)
    sample = _sample(held, windows, overlap=overlap, alpha=alpha)
    models = [str(name) for name in held.columns]
    chosen = _chosen(models, reference)
    table = _tested(sample, chosen, models, correction=correction, seed=seed)
    table = table.assign(metric=metric, series=len(held), significant=table["p_corrected"] <= alpha)
    reason = sample.reason or _out_of_reach(sample, tests=len(chosen), correction=correction, alpha=alpha)
    table["reason"] = table["reason"].replace("", reason)
    return table[list(PAIRS)]


def complete(errors: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that every model has an error of.

    Raises
    ------
    DataError
        If there are fewer than two models, or no such row.
    """
    if errors.shape[1] < 2:
        raise DataError(f"two models at least are compared; got {[str(name) for name in errors.columns]}.")
    held = errors.replace([np.inf, -np.inf], np.nan).dropna()
    if held.empty:
        fewest = errors.notna().sum().idxmin()
        raise DataError(f"no row has an error of every model; {fewest!r} has the fewest. Compare without it.")
    return held


def _sample(errors: pd.DataFrame, windows: pd.DataFrame | None, *, overlap: int, alpha: float) -> _Sample:
    if len(errors) >= FEWEST_SERIES or windows is None:
        few = smallest_p(len(errors)) > alpha
        reason = f"{len(errors)} series are too few for a test over them to reach {100 * alpha:g} %" if few else ""
        return _Sample(tied(errors), OVER_SERIES, 1, reason)
    held = complete(windows[list(errors.columns)])
    # With fewer independent stretches the estimated variance is far too low: docs/significance.md has the sizes.
    least = FEWEST * overlap if overlap > 1 else FEWEST_ORIGINS
    shared = f"; {overlap} in a row have steps in common" if overlap > 1 else ""
    told = f"{_windows(len(held))} too few for a test{shared}: take {least} folds or more (backtest.folds={least})"
    reason = told if len(held) < least else ""
    return _Sample(tied(held), OVER_WINDOWS, overlap, reason)


def _windows(count: int) -> str:
    return "1 window is" if count == 1 else f"{count} windows are"


def _chosen(models: list[str], reference: str | None) -> list[tuple[int, int]]:
    """Return the pairs that are tested, by position, each once."""
    pairs = list(combinations(range(len(models)), 2))
    if reference is None:
        return pairs
    if reference not in models:
        raise ConfigError(unknown_name("model", reference, models))
    return [pair for pair in pairs if models.index(reference) in pair]


def _tested(
    sample: _Sample, pairs: list[tuple[int, int]], models: list[str], *, correction: Correction, seed: int
) -> pd.DataFrame:
    skill, (low, high) = skills(sample.errors), skill_intervals(sample.errors, overlap=sample.overlap, seed=seed)
    results = [_test(sample, first, second) for first, second in pairs]
    p = corrected([p for p, _ in results], method=correction)
    rows = []
    for (first, second), (raw, reason), right in zip(pairs, results, p, strict=True):
        for own, other in ((first, second), (second, first)):
            won = win_rate(sample.errors[:, own], sample.errors[:, other])
            # The binomial interval is of independent wins, which overlapping windows are not.
            ends = (won.low, won.high) if sample.overlap == 1 else (np.nan, np.nan)
            wins = {"win_rate": won.rate, "win_low": ends[0], "win_high": ends[1]}
            worth = {"skill": skill[own, other], "skill_low": low[own, other], "skill_high": high[own, other]}
            names = {"model": models[own], "other": models[other], "n": len(sample.errors), "test": sample.test}
            rows.append(names | wins | worth | {"p": raw, "p_corrected": right, "reason": reason})
    return pd.DataFrame(rows)


def _test(sample: _Sample, first: int, second: int) -> tuple[float, str]:
    """Return the p-value of a pair, or NaN and why there is none."""
    own, other = sample.errors[:, first], sample.errors[:, second]
    if sample.test == OVER_SERIES:
        return wilcoxon(own, other), ""
    if sample.reason:
        return np.nan, sample.reason
    try:
        return diebold_mariano(own, other, steps_overlap=sample.overlap).p, ""
    except DataError as error:
        return np.nan, str(error).rstrip(".")


def _out_of_reach(sample: _Sample, *, tests: int, correction: Correction, alpha: float) -> str:
    """Return why no pair can be significant after the correction, nothing where one can."""
    count = len(sample.errors)
    if sample.test != OVER_SERIES or correction != "holm" or smallest_p(count) * tests <= alpha:
        return ""
    needed = next(more for more in range(count, 1000) if smallest_p(more) * tests <= alpha)
    return f"{count} series cannot reach {100 * alpha:g} % in {tests} comparisons, {needed} are needed"
