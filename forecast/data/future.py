"""What is known of the steps to come, set under the table that they follow."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from forecast.data.cells import first_row, is_number, numbers, place
from forecast.data.columns import Columns
from forecast.data.dialect import LINE
from forecast.data.sources import long_frame
from forecast.data.stamps import stamps
from forecast.errors import DataError, KindError, named

log = logging.getLogger("forecast")


def with_future(table: pd.DataFrame, future: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Return a long table followed by the rows of a future: known covariates, and nothing else.

    Raises
    ------
    DataError
        If the future does not fit the table; the message says where.
    """
    if columns.wide:
        raise DataError("a wide table has no known covariates, so there is no future to give. Leave it out.")
    if not isinstance(future, pd.DataFrame):
        raise KindError(f"a future is a pandas DataFrame, got {type(future).__name__}.")
    for name in (*([columns.id] if columns.id != Columns.id else []), *columns.known):
        if name not in future and name not in future.index.names:
            raise DataError(f"the future has no column {name!r}; it has {', '.join(map(str, future.columns))}. Add it.")
    after = _rows_ahead(table, future, columns)
    after = after.assign(
        **{
            columns.id: _ids_ahead(after[columns.id], table[columns.id]),
            columns.time: _like(after[columns.time], table[columns.time]),
        }
    )
    keys = [columns.id, columns.time]
    twice = after.duplicated(keys)
    if twice.any():
        row = first_row(twice)
        series, time = (after[key].iloc[row] for key in keys)
        raise DataError(
            f"the future has {time} of series {named(series)} twice, again in {place(after, row)} ({twice.sum()} such "
            "rows). Keep one row for each series and time."
        )
    again = pd.MultiIndex.from_frame(after[keys]).isin(pd.MultiIndex.from_frame(table[keys]))
    if again.any():
        log.warning("%d rows of the future are in the table already; the table's count.", again.sum())
        after = after[~again]
    for name in columns.known:
        if isinstance(table[name].dtype, pd.CategoricalDtype):  # whose categories may be numbers
            met = pd.Index(after[name].dropna().unique())
            dtype = pd.CategoricalDtype(table[name].cat.categories.union(met, sort=False))
            table, after = (part.assign(**{name: part[name].astype(dtype)}) for part in (table, after))
    if table.index.name != LINE:
        return pd.concat([table, after], ignore_index=True)
    return pd.concat([table, after]).rename_axis(LINE)  # lines are those of the history


def _rows_ahead(table: pd.DataFrame, future: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Return id, time and known covariates of a future, each cell of which makes sense by itself."""
    unknown = (*columns.targets, *columns.past, *columns.static)  # whatever future says of them is not read
    try:
        after = long_frame(future.assign(**dict.fromkeys(unknown, np.nan)), columns).drop(columns=list(unknown))
        _refuse_odd_times(after[columns.time], table[columns.time])
        for name in columns.known:
            if is_number(table[name]) and not is_number(after[name]):
                after = after.assign(**{name: numbers(after[name])})
    except DataError as error:
        raise DataError(f"the future: {error}") from error
    return after


def _refuse_odd_times(times: pd.Series, known: pd.Series) -> None:
    """Refuse times of a future that are none, neither by themselves nor in the form of those of the table."""
    try:
        stamps(times)
    except DataError as alone:
        try:
            stamps(pd.concat([known, times]))
        except DataError:
            raise alone from None


def _ids_ahead(ids: pd.Series, known: pd.Series) -> pd.Series:
    """Return the series of a future by the names that its history gives them: 1 and "1" are one."""
    if pd.api.types.is_float_dtype(ids.dtype) and (ids % 1 == 0).all():
        ids = ids.astype("int64")
    own = known.drop_duplicates()
    own = own.set_axis(own.astype(str).astype(object)).loc[lambda names: ~names.index.duplicated()]
    places = own.index.get_indexer(pd.Index(ids.astype(str), dtype=object))
    if (places < 0).any():
        row = first_row(places < 0)
        kinds = "" if ids.dtype == known.dtype else f"; its ids are {ids.dtype}, and those of the table {known.dtype}"
        raise DataError(
            f"the future has rows of series {named(ids.iloc[row])}, which the table lacks ({place(ids, row)}, "
            f"{(places < 0).sum()} such rows{kinds}). Give its history, or leave them out."
        )
    return own.iloc[places].set_axis(ids.index)


def _like(times: pd.Series, model: pd.Series) -> pd.Series:
    """Return the times of a future in the dtype of its history."""
    try:
        if pd.api.types.is_integer_dtype(times.dtype) == pd.api.types.is_integer_dtype(model.dtype):
            return times.astype(model.dtype)
    except (TypeError, ValueError):  # a zone on one side alone, or text that is no time
        pass
    raise DataError(
        f"column {times.name!r} is {times.dtype} in future and {model.dtype} in the table. Give both alike."
    )
