"""What forecasts of the past are worth: the tables of a backtest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.data.freq import Freq
from forecast.evaluation.clock import units_of
from forecast.evaluation.metrics import METRICS, inside, interval_score, quantile_score, symmetric_percent
from forecast.frames import FORECAST, TARGET, level_name

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # that a CRPS is made of
INTERVALS = {"": (0.1, 0.9), "_95": (0.025, 0.975)}  # whose score, coverage and width are told, by what they end in
IN_UNITS = ("mae", "rmse", "crps", "wql", "width", "width_95")  # of the target, or pooled over them


@dataclass(frozen=True, eq=False, repr=False)
class Backtest:
    """Every forecast of the past, and what it is worth.

    A series is a pair of id and target where there are several targets; the column `target` is there only then.
    `series` counts those with any observed truth, `constant` those among them without a MASE, its scale being
    undefined. Of several targets in different units `mae`, `rmse`, `crps`, `wql` and `width` are NaN, except by series
    and target. `crps` is taken from the deciles, and NaN for a model that gives fewer; `wql` is its sum over the sum of
    the sizes of the truth, over all series at once. `msis`, `coverage` and `width` are those of the 80 % interval, with
    `_95` those of the 95 % interval, of models that give it.

    Parameters
    ----------
    forecasts : DataFrame
        id, time, `target`, `cutoff`, `fold` (from 1), `model`, `forecast`, quantiles, `y` (NaN where not observed).
    scores : DataFrame
        `model`, `series`, `constant` and the metrics, each but `wql` the mean over series.
    per_fold : DataFrame
        The same for each `fold`; `cutoff` is the latest of its series.
    per_step : DataFrame
        The same for each `step` of the horizon; 1 is the first after the cutoff.
    per_series : DataFrame
        `model`, id, `target` and the metrics over all folds and steps.
    per_target : DataFrame or None
        `model`, `target` and the columns of `scores`; None where there is one target.
    per_time : DataFrame or None
        The columns of `scores` for each `unit` of time (hour, weekday, month) and each `value` of it, and how many
        `steps` were observed there, in time and over series; None where times are whole numbers, or all alike.
    importance : DataFrame or None
        How much the forecaster relies on each covariate, as `importance_table` tells; None where none was shuffled.
    event : str
        What a target does where an event occurs, of whose probability forecasts are; empty where they are values.
        The tables then have other columns, see `tabulated_events`.
    intervals : DataFrame or None
        Of probabilities: `metric`, `value`, `low` and `high` (95 %) of the forecaster.
    paths : DataFrame or None
        Sample paths of the forecaster: id, time, `target`, `cutoff`, `fold`, `sample` (from 0), `forecast`; None where
        none were drawn.
    """

    forecasts: pd.DataFrame
    scores: pd.DataFrame
    per_fold: pd.DataFrame
    per_step: pd.DataFrame
    per_series: pd.DataFrame
    per_target: pd.DataFrame | None = None
    per_time: pd.DataFrame | None = None
    importance: pd.DataFrame | None = None
    event: str = ""
    intervals: pd.DataFrame | None = None
    paths: pd.DataFrame | None = None

    def __repr__(self) -> str:
        folds, count = len(self.per_fold["fold"].unique()), int(self.scores["series"].max())
        return f"Backtest of {count} series over {folds} folds:\n{self.scores.to_string(index=False)}"


def tabulated(forecasts: pd.DataFrame, *, columns: Columns, scale: pd.Series, freq: Freq | None = None) -> Backtest:
    """Score every model by series, fold, step, target and time, over the steps whose truth was observed.

    Parameters
    ----------
    forecasts : DataFrame
        As in `Backtest`; any order of rows.
    columns : Columns
        Names the id and the time, and the units of the targets.
    scale : Series
        MASE's scale by id, or by id and target where there are several; NaN where it is undefined.
    freq : Freq
        Step of the times, which says by what units of time errors are told apart; by none where it is not given.

    Raises
    ------
    ValueError
        If the models were not scored on the same rows, or a forecast or a scale is absent.
    """
    names = [columns.id, TARGET] if TARGET in forecasts else [columns.id]
    series = forecasts.groupby(names, sort=False, observed=True).ngroup().to_numpy()
    pairs = forecasts[names].iloc[np.unique(series, return_index=True)[1]].reset_index(drop=True)
    model, models = pd.factorize(forecasts["model"])
    rows = checked_rows(forecasts, columns.time, model=model, pair=series)
    errors = _errors(rows, _scale_of(pairs, scale)[rows["pair"]])

    cells = _cells(errors, ["model", "pair"])
    about = pairs.iloc[cells["pair"]].reset_index(drop=True)
    units = set(columns.units)
    several = TARGET in names
    hidden = IN_UNITS if several and (len(units) > 1 or "" in units) else ()
    per_fold = _averaged(_cells(errors, ["model", "fold", "pair"]), ["model", "fold"], hidden=hidden)
    per_step = _averaged(_cells(errors, ["model", "step", "pair"]), ["model", "step"], hidden=hidden)
    per_time = None if freq is None else _by_time(errors, units_of(forecasts[columns.time], freq), hidden=hidden)
    cutoffs = forecasts.groupby("fold")["cutoff"].max()
    per_fold.insert(2, "cutoff", cutoffs.loc[per_fold["fold"]].array)

    def named(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(model=models[table["model"]])

    return Backtest(
        forecasts=forecasts,
        scores=named(_averaged(cells, ["model"], hidden=hidden)),
        per_fold=named(per_fold),
        per_step=named(per_step),
        per_series=named(pd.concat([cells[["model"]], about, cells.assign(wql=_pooled(cells))[list(METRICS)]], axis=1)),
        per_target=named(_averaged(cells.assign(**{TARGET: about[TARGET]}), ["model", TARGET])) if several else None,
        per_time=None if per_time is None else named(per_time),
    )


def checked_rows(forecasts: pd.DataFrame, time: str, *, model: np.ndarray, pair: np.ndarray) -> pd.DataFrame:
    """Return truth and forecast of each row by model, pair, fold and step; the index is the place in `forecasts`.

    Raises
    ------
    ValueError
        If the models were not scored on the same rows, or a forecast is absent.
    """
    keys = {
        "model": model,
        "pair": pair,
        "fold": forecasts["fold"].to_numpy(np.int64),
        "time": pd.factorize(forecasts[time], sort=True)[0],
    }
    order = np.lexsort(list(keys.values())[::-1])
    codes = np.stack(list(keys.values()), axis=1)[order]
    same = codes[1:] == codes[:-1]
    if (twice := same.all(axis=1)).any():
        _refuse("a row is there twice", forecasts, order[twice.argmax()])
    begins = np.append(True, ~same[:, :3].all(axis=1))
    places = np.arange(len(codes))
    step = places - np.maximum.accumulate(np.where(begins, places, 0)) + 1
    levels = {level_name(level) for level in (*DECILES, *sum(INTERVALS.values(), ()))}
    values = {
        name: forecasts[name].to_numpy(np.float64)[order] if name in forecasts else np.nan
        for name in ("y", FORECAST, *levels)
    }
    rows = pd.DataFrame({**dict(zip(keys, codes.T, strict=True)), "step": step, **values}, index=order)
    _refuse_unequal(rows, forecasts)
    return rows


def _refuse_unequal(rows: pd.DataFrame, forecasts: pd.DataFrame) -> None:
    """Refuse models that were not scored on the same rows with the same truth."""
    places = rows.index.to_numpy()
    absent = (rows[FORECAST].isna() & rows["y"].notna()).to_numpy()
    if absent.any():
        _refuse("a row has no forecast, though the truth was observed", forecasts, places[absent.argmax()])
    _, begins = np.unique(rows["model"], return_index=True)
    blocks = [rows.iloc[begin:end] for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True)]
    first, keys = blocks[0], ["pair", "fold", "time"]
    for block in blocks[1:]:
        model = forecasts["model"].iloc[block.index[0]]
        if not np.array_equal(first[keys], block[keys]):
            both = pd.concat([first, block])
            alone = both.index[~both.duplicated(keys, keep=False)]
            _refuse(
                f"model {model!r} was not scored on the same rows as the first model: {len(alone)} are there for one "
                "of them alone",
                forecasts,
                alone[0],
            )
        ours, theirs = first["y"].to_numpy(), block["y"].to_numpy()
        other = (ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))
        if other.any():
            _refuse(f"model {model!r} has another truth than the first model", forecasts, block.index[other][0])


def _refuse(what: str, forecasts: pd.DataFrame, place: int) -> NoReturn:
    row = forecasts[[name for name in forecasts if not str(name).startswith("q0.")]].iloc[place].to_dict()
    raise ValueError(f"{what}, first {row}. Score every model once on the same series, folds and times.")


def _scale_of(pairs: pd.DataFrame, scale: pd.Series) -> np.ndarray:
    index = pd.MultiIndex.from_frame(pairs) if pairs.shape[1] > 1 else pd.Index(pairs.iloc[:, 0])
    absent = ~index.isin(scale.index)
    if absent.any():
        raise ValueError(
            f"scale lacks {absent.sum()} series, first {index[absent][0]!r}. Give NaN where it is undefined."
        )
    found: np.ndarray = scale.reindex(index).to_numpy(np.float64)
    return np.where(found > 0, found, np.nan)


def _errors(rows: pd.DataFrame, scale: np.ndarray) -> pd.DataFrame:
    """Return the keys of each row and what it adds to each metric; the square of its error for `rmse`."""
    y, forecast = rows["y"].to_numpy(), rows[FORECAST].to_numpy()
    absolute = np.abs(y - forecast)
    deciles = quantile_score(y, rows[list(map(level_name, DECILES))].to_numpy(), DECILES)
    errors = rows[["model", "pair", "fold", "step"]].assign(
        mae=absolute,
        rmse=absolute**2,
        smape=symmetric_percent(y, forecast),
        mase=absolute / scale,
        crps=deciles,
        wql=deciles,
        size=np.where(np.isnan(deciles), np.nan, np.abs(y)),
    )
    for end, levels in INTERVALS.items():
        lower, upper = (rows[level_name(level)].to_numpy() for level in levels)
        errors[f"msis{end}"] = interval_score(y, lower, upper, share=levels[1] - levels[0]) / scale
        errors[f"coverage{end}"] = inside(y, lower, upper)
        errors[f"width{end}"] = np.where(np.isnan(y), np.nan, upper - lower)
    return errors


def _cells(errors: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the metrics of each cell; of `wql` the sum of losses, with that of sizes beside it, to be pooled."""
    grouped = errors.groupby(by)
    table = grouped[list(METRICS)].mean()
    sums = grouped[["wql", "size"]].sum(min_count=1)
    return table.assign(rmse=np.sqrt(table["rmse"]), wql=sums["wql"], size=sums["size"]).reset_index()


def _by_time(errors: pd.DataFrame, units: dict[str, pd.Series], *, hidden: tuple[str, ...]) -> pd.DataFrame | None:
    """Return the errors of each model at each value of each unit of time, whose rows are those of the forecasts."""
    tables, by = [], ["model", "value"]
    for unit, values in units.items():
        own = errors.assign(value=values.to_numpy()[errors.index])
        table = _averaged(_cells(own, [*by, "pair"]), by, hidden=hidden)
        table.insert(1, "unit", unit)
        tables.append(table.merge(own.groupby(by)["mae"].count().rename("steps").reset_index(), on=by))
    return pd.concat(tables, ignore_index=True) if tables else None


def _averaged(cells: pd.DataFrame, by: list[str], *, hidden: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the mean of each metric over the series that have it; the weighted quantile loss over all at once."""
    undefined = cells["mase"].isna() & cells["mae"].notna()
    grouped = cells.assign(constant=undefined).groupby(by, sort=False)
    counts = grouped.agg(series=("mae", "count"), constant=("constant", "sum"))
    table = counts.join(grouped[list(METRICS)].mean())
    table["wql"] = _pooled(grouped[["wql", "size"]].sum(min_count=1))
    return table.assign(**dict.fromkeys(hidden, np.nan)).reset_index()


def _pooled(sums: pd.DataFrame) -> pd.Series:
    return sums["wql"] / sums["size"].where(sums["size"] > 0)
