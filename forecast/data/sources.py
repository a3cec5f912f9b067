"""From a file or a frame to one long table whose columns are checked at the door."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.errors import AbsentError, DataError, KindError, named, unknown_name


def _read_csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, low_memory=False)  # read in chunks, one column may get two types


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
    ".arrow": pd.read_feather,
}
log = logging.getLogger("forecast")
SINGLE = "series"  # the id of a table that holds one series and does not name it


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV, Parquet or Arrow (Feather) file.

    Raises
    ------
    AbsentError
        If there is no such file.
    DataError
        If its ending is unknown, it cannot be read as what its name says, or it has no rows.
    """
    path = Path(path)
    if not path.is_file():
        raise AbsentError(f"there is no file {str(path)!r}. Check its path.")
    ending = next((ending for ending in READERS if path.name.lower().endswith(ending)), None)
    if ending is None:
        there_is = unknown_name("reader for", path.suffix, READERS)
        raise DataError(f"{path.name!r} is not a table that can be read; {there_is}")
    try:
        frame = READERS[ending](path)
    except (ValueError, OSError, EOFError, zlib.error) as error:  # parser errors are ValueErrors
        raise DataError(f"{str(path)!r} cannot be read as {ending}: {error}") from error
    if frame.empty:
        raise DataError(f"{str(path)!r} has no rows.")
    return frame


def long_frame(frame: pd.DataFrame | pd.Series, columns: Columns) -> pd.DataFrame:
    """Return a long table with an id, a time and a target column; the frame given is left as it is.

    Raises
    ------
    DataError
        If a column is missing, or a cell cannot be what its role says. The message names column and row.
    """
    if isinstance(frame, pd.Series):
        frame = frame.to_frame(columns.targets[0])
    if not isinstance(frame, pd.DataFrame):
        raise KindError(f"a table is a pandas DataFrame or Series, got {type(frame).__name__}.")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"the table has several columns {twice[0]!r}. Give each column a name of its own.")
    frame = _with_index(frame, columns)
    if columns.wide:
        frame = _melted(frame, columns)
    elif columns.id not in frame and columns.id != Columns.id:
        raise DataError(_missing(frame, columns.id, "id"))
    roles = {"time": (columns.time,), "target": columns.targets}
    roles |= {role: getattr(columns, role) for role in ("past", "known", "static")}
    for role, names in roles.items():
        for name in names:
            if name not in frame:
                raise DataError(_missing(frame, name, role))
    if columns.id not in frame:
        frame = frame.assign(**{columns.id: SINGLE})
    frame = frame[[columns.id, columns.time, *columns.targets, *columns.covariates]]
    if frame.empty:
        raise DataError("the table has no rows.")
    if frame[columns.id].isna().any():
        row = _first(frame[columns.id].isna())
        raise DataError(f"column {columns.id!r} is empty in row {row}. Name the series.")
    return frame


def with_future(table: pd.DataFrame, future: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Return a long table followed by the rows of a future: known covariates, and nothing else.

    Raises
    ------
    DataError
        If the future does not fit the table; the message says where.
    """
    if columns.wide:
        raise DataError("a wide table has no known covariates, so there is no future to give. Leave it out.")
    for name in (*([columns.id] if columns.id != Columns.id else []), *columns.known):
        if name not in future and name not in future.index.names:
            raise DataError(f"the future has no column {name!r}; it has {', '.join(map(str, future.columns))}. Add it.")
    unknown = (*columns.targets, *columns.past, *columns.static)  # whatever future says of them is not read
    after = long_frame(future.assign(**dict.fromkeys(unknown, np.nan)), columns)
    strangers = ~after[columns.id].isin(table[columns.id])
    if strangers.any():
        stranger = after[columns.id][strangers].iloc[0]
        raise DataError(
            f"the future has rows of series {named(stranger)}, which the table lacks ({strangers.sum()} such rows). "
            "Give its history, or leave them out."
        )
    after = after.drop(columns=list(unknown)).assign(
        **{
            columns.id: after[columns.id].astype(table[columns.id].dtype),
            columns.time: _like(after[columns.time], table[columns.time]),
        }
    )
    keys = [columns.id, columns.time]
    again = pd.MultiIndex.from_frame(after[keys]).isin(pd.MultiIndex.from_frame(table[keys]))
    if again.any():
        log.warning("%d rows of the future are in the table already; the table's count.", again.sum())
        after = after[~again]
    for name in columns.known:
        if isinstance(table[name].dtype, pd.CategoricalDtype):  # whose categories may be numbers
            met = pd.Index(after[name].dropna().unique())
            dtype = pd.CategoricalDtype(table[name].cat.categories.union(met, sort=False))
            table, after = (part.assign(**{name: part[name].astype(dtype)}) for part in (table, after))
    return pd.concat([table, after], ignore_index=True)


def numbers(column: pd.Series, dtype: type = np.float64) -> np.ndarray:
    """Return a column as floats, NaN where missing.

    Raises
    ------
    DataError
        If a cell is text or infinite.
    """
    if column.dtype.kind in "mM":
        raise DataError(f"column {column.name!r} holds {column.dtype}, not numbers. Check the roles of the columns.")
    try:
        with np.errstate(over="ignore"):  # an overflow is infinite, and refused below
            values = column.to_numpy(dtype=dtype, na_value=np.nan)
    except (ValueError, TypeError):
        parsed = pd.to_numeric(column.astype(object), errors="coerce")
        row = _first(parsed.isna() & column.notna())
        cell = column.iloc[row]
        raise DataError(
            f"column {column.name!r} holds {cell!r} in row {row}, which is not a number. "
            "Mend the cell, or leave it empty where the value is unknown."
        ) from None
    infinite = np.isinf(values)
    if infinite.any():
        row = _first(infinite)
        raise DataError(f"column {column.name!r} is infinite in row {row}. Leave the cell empty.")
    return values


def stamps(column: pd.Series) -> tuple[np.ndarray, Any]:
    """Return times as whole numbers or UTC microseconds, and the time zone where the column has one.

    Text is parsed as ISO 8601, or as pandas reads it where all of it follows one form.
    """
    if column.isna().any():
        row = _first(column.isna())
        raise DataError(f"column {column.name!r} has no time in row {row}. Give each row its time.")
    if pd.api.types.is_integer_dtype(column.dtype):
        return _counted(column.to_numpy(dtype=np.int64), column.name), None
    if not isinstance(column.dtype, (np.dtype, pd.DatetimeTZDtype)) or column.dtype.kind != "M":
        column = _parsed(column)
    zone = getattr(column.dtype, "tz", None)
    if zone is not None:
        _refuse_nameless(zone, column.name)
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    times = column.to_numpy()
    cut = times.astype("datetime64[us]")
    if (cut != times).any():
        row = _first(cut != times)
        raise DataError(
            f"column {column.name!r} holds {column.iloc[row]} in row {row}; times are whole microseconds. "
            "Round them, or number the rows."
        )
    return cut, zone


def _refuse_nameless(zone: Any, name: object) -> None:
    """Refuse a time zone that cannot be written as text and read back."""
    try:
        pd.api.types.pandas_dtype(f"datetime64[us, {zone}]")
    except TypeError:
        raise DataError(
            f"column {name!r} has the time zone {zone}, which has no name to save it by. "
            "Convert it to a named one: .dt.tz_convert('Europe/Berlin')."
        ) from None


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


def _counted(values: np.ndarray, name: object) -> np.ndarray:
    """Refuse dates written as numbers, such as 20240131: as steps they would have holes after each month."""
    year, month, day = values // 10_000, values // 100 % 100, values % 100
    inside = [(year, 1900, 2100), (month, 1, 12), (day, 1, 31)]
    if all(((part >= low) & (part <= high)).all() for part, low, high in inside) and len(values) > 1:
        raise DataError(
            f"column {name!r} holds whole numbers that look like dates ({values[0]}). "
            "Write 2024-01-31 for 20240131, or parse them with pd.to_datetime(..., format='%Y%m%d')."
        )
    return values


def _parsed(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if pd.api.types.is_float_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise DataError(f"column {column.name!r} holds {column.dtype} as times. Give timestamps or whole numbers.")
    try:
        parsed = pd.to_datetime(column)
    except (ValueError, TypeError):
        parsed = _parsed_apart(column)
    if parsed.isna().any():
        row = _first(parsed.isna())
        raise DataError(
            f"column {column.name!r} holds {column.iloc[row]!r} in row {row}, which is not a time. Write 2024-01-31."
        )
    return parsed


def _parsed_apart(column: pd.Series) -> pd.Series:
    """Return text as times, NaT where it is none."""
    try:
        return pd.to_datetime(column, errors="coerce", format="ISO8601")
    except ValueError as error:  # several offsets from UTC
        raise DataError(
            f"column {column.name!r} mixes several offsets from UTC ({column.iloc[0]!r} and others). "
            "Convert them: pd.to_datetime(..., utc=True), then .dt.tz_convert to the zone of the series."
        ) from error


def _with_index(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Return the table with the id and the time as columns where its index holds them."""
    if columns.time not in frame and isinstance(frame.index, (pd.DatetimeIndex, pd.PeriodIndex)):
        frame = frame.rename_axis(columns.time)
    levels = [name for name in (columns.id, columns.time) if name in frame.index.names and name not in frame]
    return frame.reset_index(levels) if levels else frame


def _melted(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    if columns.covariates:
        raise DataError("a wide table has no covariates: each of its columns is a series. Give the table in long form.")
    if columns.time not in frame:
        raise DataError(_missing(frame, columns.time, "time"))
    values = frame.drop(columns=columns.time)
    count = values.shape[1]
    if not count:
        raise DataError(f"the wide table has no column beside {columns.time!r}. Each series is a column.")
    return pd.DataFrame(
        {
            columns.id: values.columns.repeat(len(frame)),
            columns.time: pd.concat([frame[columns.time]] * count, ignore_index=True),
            columns.targets[0]: np.concatenate([numbers(values[name]) for name in values]),
        }
    )


def _missing(frame: pd.DataFrame, name: str, role: str) -> str:
    there_are = unknown_name("column", name, map(str, frame.columns))
    way_out = f"In training name another (data.columns.{role}=NAME); a trained model needs the column by this name."
    return f"{there_are} It is columns.{role}. {way_out}"


def _first(flags: pd.Series | np.ndarray) -> int:
    return int(np.asarray(flags).argmax())
