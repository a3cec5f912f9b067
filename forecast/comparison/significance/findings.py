"""From the tables of a comparison to what they prove: for each data set and horizon, pairs, ranks and sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from forecast.comparison.significance.correction import Correction
from forecast.comparison.significance.diebold_mariano import overlap
from forecast.comparison.significance.pairs import FEWEST_SERIES, PAIRS, complete, pairs_table
from forecast.comparison.significance.standings import RANKS, STANDING, ranks_table, standing_table
from forecast.comparison.significance.words import sentences
from forecast.errors import DataError, some_of
from forecast.evaluation.tables import IN_UNITS

TASK = ["data", "horizon"]
REFERENCES = ("naive", "seasonal_naive")  # the better of which has to be beaten
_COLUMNS = {"pairs": PAIRS, "against": PAIRS, "ranks": RANKS, "standing": STANDING}


class Findings(NamedTuple):
    """The frames of `pairs_table`, `ranks_table` and `standing_table`, led by `data` and `horizon`, and their words.

    `against` is the table of those pairs that the method to beat is one of, corrected for no others.
    """

    pairs: pd.DataFrame
    against: pd.DataFrame
    ranks: pd.DataFrame
    standing: pd.DataFrame
    sentences: list[str]


def findings(
    per_series: pd.DataFrame,
    per_window: pd.DataFrame | None = None,
    *,
    metric: str | None = None,
    step: int | None = None,
    reference: str | Mapping[tuple[str, int], str] | None = None,
    mixed: Collection[tuple[str, int]] = (),
    correction: Correction = "holm",
    alpha: float = 0.05,
    seed: int = 0,
) -> Findings:
    """Test each data set and horizon by itself.

    Errors are averaged over seeds first: seeds are repetitions of one model, and to count each as a series would make p
    too small. Two questions are asked of each data set and horizon: which models differ from the method to beat
    (`against`), and which pairs of all differ (`pairs`). Each is corrected for its own tests. What the sentences say of
    that method is of the first.

    Parameters
    ----------
    per_series : DataFrame
        `data`, `horizon`, `model`, `seed`, `series` and metrics.
    per_window : DataFrame, optional
        The same with `fold`, a number for each window of a series, in order of time; for tests where series are few.
    metric : str, optional
        By which models are compared: `mase` where every model has it, else `mae`.
    step : int, optional
        Steps between two windows; None for windows that do not overlap.
    reference : str or mapping from (data, horizon) to str, optional
        The method to beat; by default the better of naive and seasonal naive.
    mixed : collection of (data, horizon)
        Those whose series are in several units, or unknown ones: nothing is tested where only the MAE is known there.
    correction, alpha, seed
        As of `pairs_table`.

    Raises
    ------
    DataError
        If a fold of a series has several rows.
    """
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in _COLUMNS}
    words = []
    tasks: Iterable[tuple[Any, pd.DataFrame]] = per_series.groupby(TASK, sort=False)
    for (data, horizon), group in tasks:
        chosen = metric or ranking_metric(group)
        if chosen in IN_UNITS and (data, horizon) in mixed:
            words.append((data, horizon, [f"Nothing is tested: {chosen} is in several units, and MASE is undefined."]))
            continue
        whole = wide(group, chosen)
        errors = _comparable(whole)
        if errors.shape[1] < 2:
            continue
        windows, compared, lacking, apart, seldom, is_even = None, complete(errors).index, 0, 0, "", True
        reach = overlap(horizon=horizon, step=step or horizon)
        if per_window is not None and len(compared) < FEWEST_SERIES:
            held = per_window[(per_window["data"] == data) & (per_window["horizon"] == horizon)]
            held = held[held["series"].isin(compared)]
            windows = over_windows(held, chosen, models=list(errors.columns))
            lacking = held["fold"].nunique() - (0 if windows is None else len(windows))
            seldom = str(held.groupby("series", sort=False)["fold"].nunique().idxmin())
            if windows is not None and reach > 1:
                whole_run = _longest_run(windows)
                apart, windows = len(windows) - len(whole_run), whole_run
            is_even = "n" not in held or held["n"].nunique() == 1
        settings: dict[str, Any] = {"metric": chosen, "correction": correction, "alpha": alpha, "seed": seed}
        tested = partial(pairs_table, errors, windows=windows, overlap=reach, **settings)
        pairs, ranks = tested(), ranks_table(errors, alpha=alpha)
        asked = reference.get((data, horizon)) if isinstance(reference, Mapping) else reference
        beaten = asked if asked in errors else reference_method(errors if windows is None else windows)
        against = pairs.iloc[:0] if beaten is None else tested(reference=beaten)
        standing = standing_table(errors, pairs, ranks, reference=beaten)
        if lacking or not is_even:  # the interval would be of other errors than the skill, or of others' weights
            standing[["skill_low", "skill_high"]] = np.nan
        for name, table in zip(_COLUMNS, (pairs, against, ranks, standing), strict=True):
            found[name].append(_labelled(table, data=data, horizon=horizon))
        told = sentences(pairs, ranks, against=against, reference=beaten, correction=correction, alpha=alpha)
        told += _left_out(whole, errors, undefined=_undefined(group, errors) if chosen == "mase" else [])
        words.append((data, horizon, [*told, *_left_out_windows(windows, lacking=lacking, apart=apart, seldom=seldom)]))
    tables = {
        name: pd.concat(held, ignore_index=True) if held else pd.DataFrame(columns=[*TASK, *_COLUMNS[name]])
        for name, held in found.items()
    }
    return Findings(**tables, sentences=_together(words))


def ranking_metric(per_series: pd.DataFrame) -> str:
    """Return `mase` where every model has it, else `mae`."""
    counts = per_series.groupby("model", sort=False)["mase"].count() if "mase" in per_series else pd.Series([0])
    return "mase" if bool((counts > 0).all()) else "mae"


def reference_method(errors: pd.DataFrame) -> str | None:
    """Return the simple method to beat: of naive and seasonal naive the better one, naive where they are the same.

    To choose it by the outcome makes it harder to beat, and a model that is no worse than both somewhat easier to call
    worse.
    """
    held = [name for name in REFERENCES if name in errors]
    return str(complete(errors)[held].mean().idxmin()) if held else None


def wide(per_series: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the mean over seeds of the error of each series (rows) by each model (columns), models as they come."""
    models = per_series["model"].unique()
    table = per_series.pivot_table(index="series", columns="model", values=metric, sort=False, dropna=False)
    return table.reindex(columns=models).replace([np.inf, -np.inf], np.nan).dropna(axis=1, how="all")


def over_windows(per_window: pd.DataFrame, metric: str, *, models: list[str]) -> pd.DataFrame | None:
    """Return the mean over seeds and series of the error at each origin by each model; None where no origin has all."""
    keys = ["fold", "series"]
    if per_window.duplicated([*keys, "model", "seed"]).any():
        raise DataError("a fold of a series has several rows of one model and seed. Number its windows by `fold`.")
    table = per_window.pivot_table(index=keys, columns="model", values=metric, dropna=False)
    held = table.reindex(columns=models).dropna()
    sizes = held.groupby("fold").size()
    # A fold that lacks a series would be another mixture of series than the rest.
    whole = sizes.index[sizes == per_window["series"].nunique()]
    return held.groupby("fold").mean().loc[whole] if len(whole) else None


def _longest_run(windows: pd.DataFrame) -> pd.DataFrame:
    """Return the longest run of folds without a hole, the newest of equal ones: across holes, lags would be wrong."""
    runs = np.split(np.arange(len(windows)), np.flatnonzero(np.diff(windows.index) != 1) + 1)
    return windows.iloc[max(reversed(runs), key=len)]


def _comparable(errors: pd.DataFrame) -> pd.DataFrame:
    """Drop the models with the fewest errors until there is a series that all others have."""
    while errors.shape[1] and errors.dropna().empty:
        errors = errors.drop(columns=errors.notna().sum().idxmin())
    return errors


def _undefined(group: pd.DataFrame, errors: pd.DataFrame) -> list[str]:
    """Return the series that no model has a MASE of, though there is an MAE: those without a scale."""
    observed = wide(group, "mae").dropna(how="all").index if "mae" in group else errors.index[:0]
    return [str(name) for name in errors.index[errors.isna().all(axis=1)] if name in observed]


def _left_out(whole: pd.DataFrame, errors: pd.DataFrame, *, undefined: list[str]) -> list[str]:
    """Say which models and how many series were not compared."""
    dropped = [str(model) for model in whole if model not in errors]
    found = [f"{name} is left out of the tests: no series has an error of every model with it." for name in dropped]
    if undefined:
        found.append(
            f"{len(undefined)} of {len(errors)} series are left out: MASE is undefined there (constant, or fewer than "
            f"eight differences before the first window): {some_of(undefined)}."
        )
    missing, fewest = len(errors) - len(complete(errors)) - len(undefined), errors.notna().sum().idxmin()
    if missing:
        nobody = int(errors.isna().all(axis=1).sum()) - len(undefined)
        why = "no model" if missing == nobody else f"not every model (least often {fewest})"
        found.append(f"{missing} of {len(errors)} series are left out: {why} has an error there.")
    return found


def _left_out_windows(windows: pd.DataFrame | None, *, lacking: int, apart: int, seldom: str) -> list[str]:
    """Say how many windows the tests do without, which series they lack most often, and what to do."""
    if not lacking:
        return []
    total = lacking + apart + (0 if windows is None else len(windows))
    more = f" {apart} more lie apart from the longest run without one." if apart else ""
    return [
        f"{lacking} of {total} windows are left out of the tests: they lack a series, most often {seldom}.{more} Where "
        "series end at different times, data.split=series_end takes the windows of each before its own end."
    ]


def _labelled(table: pd.DataFrame, *, data: str, horizon: int) -> pd.DataFrame:
    return table.assign(data=data, horizon=horizon)[[*TASK, *table.columns]]


def _together(words: list[tuple[str, int, list[str]]]) -> list[str]:
    """Join the sentences, each led by its data set and horizon where there are several."""
    if len(words) == 1:
        [(_, _, said)] = words
        return said
    horizons = {data: {horizon for name, horizon, _ in words if name == data} for data, _, _ in words}
    return [
        f"{data}{f', horizon {horizon}' if len(horizons[data]) > 1 else ''}: {sentence}"
        for data, horizon, said in words
        for sentence in said
    ]
