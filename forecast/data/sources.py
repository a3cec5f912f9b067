"""From a file or a frame to one long table whose columns are checked at the door."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.errors import DataError, unknown_name

READERS = {
    ".csv": pd.read_csv,
    ".csv.gz": pd.read_csv,
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
    ".arrow": pd.read_feather,
}
SINGLE = "series"  # the id of a table that holds one series and does not name it
log = logging.getLogger("forecast")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV, Parquet or Arrow (Feather) file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If its ending is unknown, it cannot be read as what its name says, or it has no rows.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}. Check data.path.")
    ending = next((ending for ending in READERS if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise DataError(f"{path.name!r} is not a table that can be read; {unknown_name('reader for', path.suffix, READERS)}")
    try:
        frame = READERS[ending](path)
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parser errors are both ValueErrors
        raise DataError(f"{str(path)!r} cannot be read as {ending}: {error}") from error
    if frame.empty:
        raise DataError(f"{str(path)!r} has no rows.")
    return frame


def long_frame(frame: pd.DataFrame | pd.Series, columns: Columns) -> pd.DataFrame:
    """Return a long table with an id, a time and a target column; the frame given is left as it is.

    Raises
    ------
    DataError
        If a column is missing, or a cell of it cannot be what its role says. The message names column and row.
    """
    if isinstance(frame, pd.Series):
        frame = frame.to_frame(columns.target)
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"a table is a pandas DataFrame or Series, got {type(frame).__name__}.")
    if columns.time not in frame and (frame.index.name == columns.time or isinstance(frame.index, pd.DatetimeIndex)):
        frame = frame.rename_axis(columns.time).reset_index()
    if columns.wide:
        frame = _melted(frame, columns)
    elif columns.id not in frame and columns.id != Columns.id:
        raise DataError(_missing(frame, columns.id, "id"))
    elif columns.id not in frame:
        frame = frame.assign(**{columns.id: SINGLE})
    for role in ("time", "target"):
        if getattr(columns, role) not in frame:
            raise DataError(_missing(frame, getattr(columns, role), role))
    for name in columns.covariates:
        if name not in frame:
            raise DataError(_missing(frame, name, "covariates"))
    frame = frame[[columns.id, columns.time, columns.target, *columns.covariates]]
    if frame.empty:
        raise DataError("the table has no rows.")
    if frame[columns.id].isna().any():
        raise DataError(f"column {columns.id!r} is empty in row {_first(frame[columns.id].isna())}. Name the series.")
    return frame


def numbers(column: pd.Series, dtype: type = np.float64) -> np.ndarray:
    """Return a column as floats, NaN where missing.

    Raises
    ------
    DataError
        If a cell is text or infinite.
    """
    try:
        values = column.to_numpy(dtype=dtype, na_value=np.nan)
    except (ValueError, TypeError):
        parsed = pd.to_numeric(column, errors="coerce")
        row = _first(parsed.isna() & column.notna())
        cell = column.iloc[row]
        raise DataError(
            f"column {column.name!r} holds {cell!r} in row {row}, which is not a number. "
            "Mend the cell, or leave it empty where the value is unknown."
        ) from None
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(f"column {column.name!r} is infinite in row {_first(infinite)}. Leave the cell empty.")
    return values


def stamps(column: pd.Series, zone: object = None) -> tuple[np.ndarray, object]:
    """Return times as whole numbers or UTC microseconds, and the time zone where the column has one.

    Text is parsed as ISO 8601, or as pandas reads it where all of it follows one form.
    """
    if column.isna().any():
        raise DataError(f"column {column.name!r} has no time in row {_first(column.isna())}. Give each row its time.")
    if pd.api.types.is_integer_dtype(column.dtype):
        return column.to_numpy(dtype=np.int64), None
    if not isinstance(column.dtype, pd.DatetimeTZDtype) and not pd.api.types.is_datetime64_dtype(column.dtype):
        column = _parsed(column)
    zone = getattr(column.dtype, "tz", None)
    if zone is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy().astype("datetime64[us]"), zone


def _parsed(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if pd.api.types.is_float_dtype(column.dtype):
        raise DataError(f"column {column.name!r} holds fractions as times. Give timestamps or whole numbers.")
    try:
        return pd.to_datetime(column)
    except (ValueError, TypeError):
        pass
    parsed = pd.to_datetime(column, errors="coerce", format="ISO8601")
    if parsed.isna().any():
        row = _first(parsed.isna())
        raise DataError(f"column {column.name!r} holds {column.iloc[row]!r} in row {row}, which is not a time.")
    return parsed


def _melted(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    if columns.covariates:
        raise DataError("a wide table has no covariates: each of its columns is a series. Give the table in long form.")
    if columns.time not in frame:
        raise DataError(_missing(frame, columns.time, "time"))
    names = [name for name in frame.columns if name != columns.time]
    for name in names:
        numbers(frame[name])
    return frame.melt(columns.time, names, var_name=columns.id, value_name=columns.target)


def _missing(frame: pd.DataFrame, name: str, role: str) -> str:
    return (
        f"the table has no column {name!r} (columns.{role}); {unknown_name('column', name, map(str, frame.columns))} "
        f"On the command line: data.columns.{role}=NAME."
    )


def _first(flags: pd.Series | np.ndarray) -> int:
    return int(np.asarray(flags).argmax())
