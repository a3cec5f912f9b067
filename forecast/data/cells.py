"""Cells of one column: numbers, text that is none, and where a row stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from forecast.data.dialect import LINE, decimal_hint
from forecast.errors import DataError

LARGEST = 1e150  # of a value: the square, which deviations need, is finite


def place(table: pd.DataFrame | pd.Series, row: int) -> str:
    """Return where a row stands: the line of the file that it was read from, or its number, counted from 0."""
    return f"line {table.index[row]}" if table.index.name == LINE else f"row {row}"


def is_number(column: pd.Series) -> bool:
    """Return whether a column holds numbers; flags are none."""
    if column.dtype == object:  # numbers with None among them
        try:
            column = column.infer_objects()
        except UnicodeEncodeError as error:
            raise half_character(column.name, error.object) from None
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)


def half_character(name: object, text: str) -> DataError:
    """Return the error for text of a column that no file can hold."""
    return DataError(f"column {name!r} holds {text!r}, which has half a character in it. Mend the text.")


def numbers(column: pd.Series, dtype: type = np.float64, *, at: Callable[[int], str] | None = None) -> np.ndarray:
    """Return a column as floats, NaN where missing.

    Parameters
    ----------
    column : Series (N,)
        Cells of any kind.
    dtype : type
        Of the result (N,).
    at : callable
        Says where a row stands, for errors; by its line or number where it is not given.

    Raises
    ------
    DataError
        If a cell is text, infinite, or so large that its square is.
    """
    at = at or partial(place, column)
    if column.dtype.kind in "mM":
        raise DataError(f"column {column.name!r} holds {column.dtype}, not numbers. Check the roles of the columns.")
    try:
        with np.errstate(over="ignore"):  # an overflow is infinite, and refused below
            values = column.to_numpy(dtype=dtype, na_value=np.nan)
    except (ValueError, TypeError):
        parsed = pd.to_numeric(column.astype(object), errors="coerce")
        row = first_row(parsed.isna() & column.notna())
        cell = column.iloc[row]
        raise DataError(
            f"column {column.name!r} holds {cell!r} in {at(row)}, which is not a number. "
            f"Mend the cell, or leave it empty where the value is unknown.{decimal_hint(cell)}"
        ) from None
    most = min(LARGEST, float(np.finfo(values.dtype).max))
    beyond = (values > most) | (values < -most)
    if beyond.any():
        row = first_row(beyond)
        what = "is infinite" if np.isinf(values[row]) else f"holds {values[row]:g}, too large to be squared,"
        raise DataError(f"column {column.name!r} {what} in {at(row)}. Leave the cell empty, or choose another unit.")
    return values


def first_row(flags: pd.Series | np.ndarray) -> int:
    """Return the number of the first row that a flag (N,) marks."""
    return int(np.asarray(flags).argmax())
