"""Accuracy of points and intervals, and the tables that hold it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

METRICS = ("mae", "rmse", "smape", "mase", "coverage", "width")

_FRAME_COLUMNS = {"model", "cutoff", "y", "forecast", "target", "scenario"}


def mae(y: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    """Mean absolute error over the observed steps of the last axis."""
    return _mean(np.abs(_array(y) - _array(forecast)), y)


def rmse(y: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    """Root mean squared error over the observed steps of the last axis."""
    return np.sqrt(_mean((_array(y) - _array(forecast)) ** 2, y))


def smape(y: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    """Symmetric mean absolute percentage error as in M4, in percent from 0 to 200; 0 where both are zero.

    References
    ----------
    Makridakis, Spiliotis and Assimakopoulos (2020), "The M4 Competition", section 2.3.
    """
    return _mean(_symmetric_percent(_array(y), _array(forecast)), y)


def mase(y: ArrayLike, forecast: ArrayLike, *, scale: ArrayLike) -> NDArray[np.float64]:
    """Mean absolute error over `scale`, which is that of `mase_scale`; NaN where the scale is undefined.

    References
    ----------
    Hyndman and Koehler (2006), "Another look at measures of forecast accuracy".
    """
    return mae(y, forecast) / _positive(scale)


def mase_scale(history: ArrayLike, *, seasonality: int) -> NDArray[np.float64]:
    """Mean absolute seasonal difference over the pairs of which both values were observed.

    Parameters
    ----------
    history : array (..., T)
        Values up to the cutoff, oldest first; NaN is unobserved.
    seasonality : int
        Steps between the two values of a pair.

    Returns
    -------
    Array (...), NaN for a constant series and where no pair was observed.
    """
    if seasonality < 1:
        raise ValueError(f"seasonality must be at least 1, got {seasonality}.")
    values = _array(history)
    differences = np.abs(values[..., seasonality:] - values[..., :-seasonality])
    return _positive(_mean(differences, differences))


def coverage(y: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> NDArray[np.float64]:
    """Share of the observed steps of the last axis that lie within the bounds, both included."""
    return _mean(_inside(_array(y), _array(lower), _array(upper)), y)


def width(y: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> NDArray[np.float64]:
    """Mean distance between the bounds over the observed steps of the last axis."""
    return _mean(_array(upper) - _array(lower), y)


def owa(smape: float, mase: float, smape_naive2: float, mase_naive2: float) -> float:
    """Overall weighted average of M4: mean of sMAPE and MASE, each relative to that of Naive2."""
    return (smape / smape_naive2 + mase / mase_naive2) / 2


def score(
    scored: pd.DataFrame,
    *,
    columns_id: str,
    scale: pd.Series,
    interval: float = 0.8,
    columns_time: str | None = None,
) -> pd.DataFrame:
    """Score every model on every series, over all cutoffs and steps of which the truth was observed.

    Parameters
    ----------
    scored : DataFrame
        Backtest frame: id, time, forecast, quantile columns, `cutoff`, `model`, `y`.
    columns_id : str
        Name of the column that holds the series.
    scale : Series
        MASE's scale by series, NaN where it is undefined; see `mase_scale`.
    interval : float
        Nominal coverage of the central interval: 0.8 reads `q0.1` and `q0.9`.
    columns_time : str, optional
        Name of the column that holds the time; by default the only column that has no other meaning.

    Returns
    -------
    DataFrame with `model`, the id, and a column for each of `METRICS`; one row per model and series.

    Raises
    ------
    ValueError
        If the models were not scored on the same rows, or a forecast, a quantile column or a scale is absent.
    """
    _check_rows(scored, keys=[columns_id, "cutoff", columns_time or _time_column(scored, columns_id)])
    _check_scale(scored[columns_id], scale)
    y, forecast = _array(scored["y"]), _array(scored["forecast"])
    lower, upper = (_array(scored[name]) for name in _bounds(scored, interval))
    steps = scored[["model", columns_id]].assign(
        mae=np.abs(y - forecast),
        rmse=(y - forecast) ** 2,
        smape=_symmetric_percent(y, forecast),
        mase=np.abs(y - forecast) / _positive(scored[columns_id].map(scale)),
        coverage=_inside(y, lower, upper),
        width=np.where(np.isnan(y), np.nan, upper - lower),
    )
    table = steps.groupby(["model", columns_id], sort=False, observed=True)[list(METRICS)].mean()
    return table.assign(rmse=np.sqrt(table["rmse"])).reset_index()


def summary(per_series: pd.DataFrame) -> pd.DataFrame:
    """Average the result of `score` over series, in the order in which the models first appear.

    Returns
    -------
    DataFrame with `model`, `series` (those with any observed truth), `constant` (those among them that have
    no MASE, their scale being undefined) and the mean of each metric over the series that have it.
    """
    undefined = per_series["mase"].isna() & per_series["mae"].notna()
    grouped = per_series.assign(constant=undefined).groupby("model", sort=False, observed=True)
    counts = grouped.agg(series=("mae", "count"), constant=("constant", "sum"))
    return counts.join(grouped[list(METRICS)].mean()).reset_index()


def by_step(scored: pd.DataFrame, *, columns_id: str, columns_time: str | None = None) -> pd.DataFrame:
    """Mean absolute error of every model at each step of the horizon, over all series and cutoffs.

    Returns
    -------
    DataFrame with `model`, `step` (1 is the first after the cutoff) and `mae`.

    Raises
    ------
    ValueError
        If the models were not scored on the same rows.
    """
    time = columns_time or _time_column(scored, columns_id)
    _check_rows(scored, keys=[columns_id, "cutoff", time])
    ordered = scored.sort_values(time, kind="stable")
    step = ordered.groupby(["model", columns_id, "cutoff"], observed=True, dropna=False).cumcount() + 1
    errors = ordered.assign(step=step, mae=np.abs(_array(ordered["y"]) - _array(ordered["forecast"])))
    table = errors.groupby(["model", "step"], observed=True)["mae"].mean().reset_index()
    rank = table["model"].map({name: at for at, name in enumerate(scored["model"].unique())}).astype(int)
    return table.iloc[np.argsort(rank, kind="stable")].reset_index(drop=True)


def _array(values: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _mean(errors: NDArray[np.float64], truth: ArrayLike) -> NDArray[np.float64]:
    # Not nanmean: a NaN that a model forecast must show, only unobserved truth is skipped.
    observed = np.broadcast_to(~np.isnan(_array(truth)), errors.shape)
    count = observed.sum(axis=-1)
    return np.where(count > 0, errors.sum(axis=-1, where=observed) / np.maximum(count, 1), np.nan)[()]


def _positive(scale: ArrayLike) -> NDArray[np.float64]:
    values = _array(scale)
    return np.where(values > 0, values, np.nan)[()]


def _symmetric_percent(y: NDArray[np.float64], forecast: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.abs(y) + np.abs(forecast)
    return 200 * np.abs(y - forecast) / np.where(size == 0, 1, size)


def _inside(y: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = ((lower <= y) & (y <= upper)).astype(np.float64)
    return np.where(np.isnan(y + lower + upper), np.nan, inside)


def _time_column(scored: pd.DataFrame, columns_id: str) -> str:
    taken = _FRAME_COLUMNS | {columns_id}
    names = [name for name in scored.columns if name not in taken and not re.fullmatch(r"q[\d.]+", name)]
    if len(names) != 1:
        raise ValueError(f"cannot tell which column holds the time among {names}. Pass columns_time.")
    return str(names[0])


def _bounds(scored: pd.DataFrame, interval: float) -> tuple[str, str]:
    if not 0 < interval < 1:
        raise ValueError(f"interval must lie between 0 and 1, got {interval}.")
    names = (f"q{(1 - interval) / 2:g}", f"q{(1 + interval) / 2:g}")
    if absent := [name for name in names if name not in scored.columns]:
        there = [name for name in scored.columns if re.fullmatch(r"q[\d.]+", name)]
        raise ValueError(f"interval {interval} needs the columns {absent}; there are {there}.")
    return names


def _check_scale(ids: pd.Series, scale: pd.Series) -> None:
    absent = pd.unique(ids[~ids.isin(scale.index)])
    if len(absent):
        raise ValueError(f"scale lacks {len(absent)} series, first {absent[0]!r}. Give NaN where it is undefined.")


def _check_rows(scored: pd.DataFrame, *, keys: list[str]) -> None:
    """Refuse models that were not scored on the same rows with the same truth, each row once."""
    if twice := _models(scored, scored.duplicated(["model", *keys])):
        raise ValueError(f"model {twice[0]!r} has several rows for the same {keys}. Score one target at a time.")
    if absent := _models(scored, scored["forecast"].isna() & scored["y"].notna()):
        raise ValueError(f"model {absent[0]!r} has rows without a forecast where the truth was observed.")
    code = scored.groupby(keys, sort=False, observed=True, dropna=False).ngroup()
    total = code.nunique()
    for model, count in scored.groupby("model", sort=False, observed=True).size().items():
        if count < total:
            first = scored.loc[~code.isin(code[scored["model"] == model]).to_numpy(), keys].iloc[0]
            raise ValueError(
                f"model {model!r} lacks {total - count} of {total} rows that other models are scored on, "
                f"first {first.to_dict()}. Score every model on the same series, cutoffs and times."
            )
    first_truth = scored["y"].to_numpy()[np.unique(code, return_index=True)[1]][code]
    differs = ~np.isclose(scored["y"], first_truth, rtol=0, atol=0, equal_nan=True)
    if other := _models(scored, pd.Series(differs, index=scored.index)):
        raise ValueError(f"model {other[0]!r} was scored against another truth than the first model.")


def _models(scored: pd.DataFrame, rows: pd.Series) -> list[str]:
    return list(scored.loc[rows.to_numpy(), "model"].unique())
