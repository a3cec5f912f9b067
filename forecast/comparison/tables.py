"""From stored cells to the frames of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecast.comparison.cells import KEYS, TABLES, Cell, drawn
from forecast.comparison.comparison import Comparison
from forecast.comparison.joining import PAIR, joined
from forecast.comparison.protocols import Task
from forecast.comparison.significance.findings import findings
from forecast.comparison.store import DONE, Record, Store
from forecast.errors import DataError
from forecast.evaluation.averages import averaged
from forecast.evaluation.metrics import METRICS
from forecast.evaluation.tables import IN_UNITS

TASK_MODEL = ["data", "horizon", "model"]
BY = [*TASK_MODEL, "seed"]
COSTS = ["fit_seconds", "predict_seconds", "peak_memory_mb", "parameters"]
YARDSTICK = "naive2"  # of OWA
HISTORY = 1000  # steps before the last cutoff that are kept of a series


def comparison_of(
    cells: Sequence[Cell], records: Sequence[Record], store: Store, *, step: int | None, settings: dict[str, Any]
) -> Comparison:
    """Read finished cells, and lay them out as tables.

    Parameters
    ----------
    cells, records : sequence
        All of the comparison, and how each ended.
    store : Store
        That has them.
    step : int, optional
        Steps between two windows; a horizon where it is None.
    settings : dict
        What was asked for.

    Raises
    ------
    DataError
        If no model was scored.
    """
    told = [{**cell.key, **record.as_dict(), "hash": cell.hash} for cell, record in zip(cells, records, strict=True)]
    every = pd.DataFrame(told)[[*KEYS, "status", "reason", *COSTS, "hash"]].astype({"parameters": "Int64"})
    whole = every.groupby(TASK_MODEL)["status"].transform(lambda status: (status == DONE).all())
    scored = [cell for cell, is_whole in zip(cells, whole, strict=True) if is_whole]
    if not scored:
        first = every[every["status"] != DONE].iloc[0]
        again = " (retry_failed=true runs again what failed)" if store.lasts else ""
        raise DataError(f"every model failed; {first['model']}: {first['reason']}{again}")
    found = [_read(cell, store) for cell in scored]
    windows, steps, shares, forecasts = (
        pd.concat([tables[name] for tables in found], ignore_index=True) for name in TABLES
    )
    hidden = {(cell.task.data, cell.task.horizon): _hidden(cell.task) for cell in scored}
    per_series = joined([windows], [*BY, "series"])
    per_step = joined([steps], [*BY, *PAIR, "step"])
    scores = _with_costs(_with_owa(_averaged(per_series, BY, hidden)), every)
    judged = findings(per_series, windows, step=step, mixed=[task for task, names in hidden.items() if names])
    return Comparison(
        cells=every,
        scores=scores,
        per_series=per_series[[*BY, "series", *METRICS]],
        per_window=windows[[*BY, "series", "fold", "cutoff", "n", *METRICS]],
        per_step=_averaged(per_step, [*BY, "step"], hidden)[[*BY, "step", *METRICS]],
        forecasts=forecasts,
        history=_history([cell.task for cell in scored]),
        calibration=_shares(shares),
        leaderboard=_leaderboard(scores, judged.standing),
        pairs=judged.pairs,
        against=judged.against,
        ranks=judged.ranks,
        sentences=judged.sentences,
        settings=settings,
    )


def _read(cell: Cell, store: Store) -> dict[str, pd.DataFrame]:
    """Return the tables of a cell, with its key in front, series by their names and folds by their numbers."""
    names, found = cell.task.pair_names(), {}
    for name, table in store.tables(cell.hash).items():
        if name in ("windows", "forecasts"):
            pair = names[table.pop("series"), table.pop("channel")]
            table = table.assign(series=pair, fold=table.pop("window") + cell.part.fold)
        keys = {key: cell.key[key] for key in BY}
        found[name] = table.assign(**keys)[[*keys, *(column for column in table if column not in keys)]]
    drawn_columns = ["series", "fold", "cutoff", "time"]
    forecasts = found["forecasts"]
    found["forecasts"] = forecasts[
        [*BY, *drawn_columns, *(name for name in forecasts if name not in (*BY, *drawn_columns))]
    ]
    return found


def _hidden(task: Task) -> tuple[str, ...]:
    """Return the metrics that have no mean over series, as several targets have different units or unknown ones."""
    units = set(task.panel.columns.units)
    several = len(task.panel.columns.targets) > 1
    return IN_UNITS if several and (len(units) > 1 or "" in units) else ()


def _averaged(table: pd.DataFrame, by: list[str], hidden: dict[tuple[str, int], tuple[str, ...]]) -> pd.DataFrame:
    """Return means over series, without those that mean nothing."""
    means = averaged(table, by).rename(columns={"series": "series_count"}).drop(columns="constant")
    for (data, horizon), metrics in hidden.items():
        means.loc[(means["data"] == data) & (means["horizon"] == horizon), list(metrics)] = np.nan
    return means


def _with_owa(scores: pd.DataFrame) -> pd.DataFrame:
    """Add the mean of sMAPE and MASE, each relative to that of Naive2; NaN where that is not there."""
    two = scores[scores["model"] == YARDSTICK].set_index(["data", "horizon"])[["smape", "mase"]]
    beside = scores[["data", "horizon"]].join(two, on=["data", "horizon"])
    return scores.assign(owa=(scores["smape"] / beside["smape"] + scores["mase"] / beside["mase"]) / 2)


def _with_costs(scores: pd.DataFrame, every: pd.DataFrame) -> pd.DataFrame:
    """Add what the cells of each row took: seconds in all, the most memory and parameters of one."""
    of_all = dict(zip(COSTS, ("sum", "sum", "max", "max"), strict=True))
    return scores.merge(every.groupby(BY, as_index=False).agg(of_all), on=BY)


def _leaderboard(scores: pd.DataFrame, standing: pd.DataFrame) -> pd.DataFrame:
    """Return means over seeds beside ranks, the best of each data set and horizon first."""
    by, means = BY[:3], [*METRICS, "owa", *COSTS]
    grouped = scores.groupby(by, sort=False)
    table = grouped[means].mean().assign(seeds=grouped.size(), mase_sd=grouped["mase"].std()).reset_index()
    order = table[by[:2]].drop_duplicates().reset_index(drop=True).reset_index(names="place")
    table = table.merge(standing, on=by, how="left").merge(order, on=by[:2])
    table = table.sort_values(["place", "rank", "mase", "mae"])
    parameters = table["parameters"].round().astype("Int64")
    ranked = ["skill", "skill_low", "skill_high", "rank", "wins"]
    columns = [*by, "seeds", *METRICS, "mase_sd", "owa", *ranked, *COSTS]
    return table.assign(parameters=parameters)[columns].reset_index(drop=True)


def _shares(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the share of observed steps at or below each decile, over seeds and folds."""
    by = [*BY[:3], "level"]
    sums = counts.groupby(by, sort=False, as_index=False)[["below", "n"]].sum()
    return sums.assign(share=sums["below"] / sums["n"].where(sums["n"] > 0))[[*by, "share"]]


def _history(tasks: Sequence[Task]) -> pd.DataFrame:
    """Return the last observed values before the last cutoff of the series whose forecasts are kept."""
    last: dict[str, Task] = {}
    for task in tasks:
        other = last.get(task.data)
        if other is None or task.ends[-1].sum() > other.ends[-1].sum():
            last[task.data] = task
    parts = []
    for task in last.values():
        names, panel = task.pair_names(), task.panel
        for series in drawn(task):
            end = int(task.ends[-1, series])
            steps = np.arange(max(end - HISTORY, 0), end)
            times = panel.stamp_texts(panel.stamps(np.full(len(steps), series), steps))
            for target, name in enumerate(names[series]):
                y = panel.series(series)[steps, target]
                rows = pd.DataFrame({"data": task.data, "series": name, "time": times, "y": y})
                parts.append(rows[np.isfinite(y)])
    return pd.concat(parts, ignore_index=True)
