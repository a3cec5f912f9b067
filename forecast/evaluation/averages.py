"""Means of errors: over the steps of a cell, such as a series or a fold of it, then over series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecast.evaluation.metrics import METRICS
from forecast.evaluation.step_errors import TERMS

_Column = pd.Series | NDArray
# Columns of a cell: observed steps, those of them whose truth is not 0, metrics, and the two sums that `wql` is of.
CELL = ("n", "nonzero", *METRICS, "loss", "size")


def cells(errors: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the metrics of each cell, the columns `by` and `CELL`, from rows of `step_errors`."""
    grouped = errors.groupby(by)
    sums = grouped[["crps", "size"]].sum(min_count=1)
    means = grouped[list(TERMS)].mean()
    counts = grouped[["mae", "mape"]].count()
    return metrics_of(
        means, count=counts["mae"], nonzero=counts["mape"], loss=sums["crps"], size=sums["size"]
    ).reset_index()


def metrics_of(means: pd.DataFrame, *, count: _Column, nonzero: _Column, loss: _Column, size: _Column) -> pd.DataFrame:
    """Return metrics from means of `TERMS` over the steps of each cell, and from sums of its quantile losses and sizes.

    Parameters
    ----------
    means : DataFrame
        A row a cell.
    count, nonzero, loss, size : array-like
        Of each cell: observed steps, those whose truth is not 0, sum of the quantile losses, sum of the absolute truth
        beside them.

    Returns
    -------
    DataFrame with the columns `CELL`, and the index of `means`.
    """
    table = means.assign(
        n=count, nonzero=nonzero, loss=loss, size=size, rmse=np.sqrt(means["mse"]), rmsse=np.sqrt(means["rmsse"])
    )
    return table.assign(wql=pooled(table))[list(CELL)]


def averaged(table: pd.DataFrame, by: list[str], *, hidden: Sequence[str] = ()) -> pd.DataFrame:
    """Return the mean of each metric over the cells that have it; the weighted quantile loss over all at once.

    Parameters
    ----------
    table : DataFrame
        A row a cell, with the columns `by` and `CELL`; a series has one cell in each group.
    by : list of str
        Columns that name a group.
    hidden : sequence of str
        Metrics that have no mean, as their units differ.

    Returns
    -------
    DataFrame with `by`, `series` (how many have a scored step), `constant` (how many of these have no MASE) and the
    metrics, groups in order of appearance.
    """
    undefined = table["mase"].isna() & table["mae"].notna()
    grouped = table.assign(constant=undefined).groupby(by, sort=False)
    counts = grouped.agg(series=("mae", "count"), constant=("constant", "sum"))
    means = counts.join(grouped[list(METRICS)].mean())
    means["wql"] = pooled(grouped[["loss", "size"]].sum(min_count=1))
    return means.assign(**dict.fromkeys(hidden, np.nan)).reset_index()


def pooled(sums: pd.DataFrame) -> pd.Series:
    """Return the weighted quantile loss from the sums `loss` and `size`; NaN where all truth is 0."""
    return sums["loss"] / sums["size"].where(sums["size"] > 0)
