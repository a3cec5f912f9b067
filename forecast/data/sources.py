"""From a file or a frame to one long table whose columns are checked at the door."""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.data.dialect import LINE, Dialect, decimal_hint, read_csv
from forecast.errors import AbsentError, DataError, KindError, named, unknown_name

CSV = (".csv", ".csv.gz")
READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
    ".arrow": pd.read_feather,
}
log = logging.getLogger("forecast")
SLASHED = r"^\s*(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}\b"
LARGEST = 1e150  # of a value: the square, which deviations need, is finite
SHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
OFFSET = r"([+-]\d\d:?\d\d|Z)$"  # from UTC, at the end of a time
SINGLE = "series"  # the id of a table that holds one series and does not name it


def read_table(
    path: str | Path, *, ids: str | None = None, separator: str = ",", decimal: str = ".", encoding: str = "utf-8"
) -> pd.DataFrame:
    """Read a CSV, Parquet or Arrow (Feather) file.

    Parameters
    ----------
    path : path
        Its ending says what it is.
    ids : str
        Column of a CSV that names the series: 001 stays text.
    separator, decimal, encoding : str
        Of a CSV, as in `Dialect`.

    Raises
    ------
    AbsentError
        If there is no such file.
    ConfigError
        If separator, decimal or encoding is none.
    DataError
        If its ending is unknown, it cannot be read as what its name says, or it has no rows.
    """
    dialect = Dialect(separator, decimal, encoding)
    path = Path(path)
    if not path.is_file():
        hint = "It is a folder: name a file in it." if path.is_dir() else "Check its path."
        raise AbsentError(f"there is no file {str(path)!r}. {hint}")
    ending = next((ending for ending in (*CSV, *READERS) if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise DataError(f"{path.name!r} is not a table that can be read; {_readers(path.suffix)}")
    try:
        frame = read_csv(path, dialect, ids=ids) if ending in CSV else READERS[ending](path)
    except DataError:
        raise
    except (ValueError, OSError, EOFError, zlib.error) as error:  # those of pandas and pyarrow are ValueErrors
        raise DataError(
            f"{str(path)!r} cannot be read as {ending}: {str(error).rstrip('.')}. "
            "Name the file by what it holds, or export it again."
        ) from error
    if frame.empty:
        raise DataError(f"{str(path)!r} has no rows below its header. Give the history of each series.")
    return frame


def place(table: pd.DataFrame | pd.Series, row: int) -> str:
    """Return where a row stands: the line of the file that it was read from, or its number, counted from 0."""
    return f"line {table.index[row]}" if table.index.name == LINE else f"row {row}"


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
    wanted = [columns.id, columns.time, *columns.targets, *columns.covariates]
    frame = frame if list(frame.columns) == wanted else frame[wanted]
    if frame.empty:
        raise DataError("the table has no rows. Give the history of each series.")
    if frame[columns.id].isna().any():
        row = _first(frame[columns.id].isna())
        raise DataError(
            f"column {columns.id!r} is empty in {place(frame, row)}. Name the series; NA, null and None count as empty."
        )
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
        row = _first(twice)
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
        row = _first(places < 0)
        kinds = "" if ids.dtype == known.dtype else f"; its ids are {ids.dtype}, and those of the table {known.dtype}"
        raise DataError(
            f"the future has rows of series {named(ids.iloc[row])}, which the table lacks ({place(ids, row)}, "
            f"{(places < 0).sum()} such rows{kinds}). Give its history, or leave them out."
        )
    return own.iloc[places].set_axis(ids.index)


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
        row = _first(parsed.isna() & column.notna())
        cell = column.iloc[row]
        raise DataError(
            f"column {column.name!r} holds {cell!r} in {at(row)}, which is not a number. "
            f"Mend the cell, or leave it empty where the value is unknown.{decimal_hint(cell)}"
        ) from None
    most = min(LARGEST, float(np.finfo(values.dtype).max))
    beyond = (values > most) | (values < -most)
    if beyond.any():
        row = _first(beyond)
        what = "is infinite" if np.isinf(values[row]) else f"holds {values[row]:g}, too large to be squared,"
        raise DataError(f"column {column.name!r} {what} in {at(row)}. Leave the cell empty, or choose another unit.")
    return values


def stamps(column: pd.Series) -> tuple[np.ndarray, Any]:
    """Return times as whole numbers or UTC microseconds, and the time zone where the column has one.

    Text is parsed as ISO 8601, or as pandas reads it where all of it follows one form.
    """
    if column.isna().any():
        row = _first(column.isna())
        raise DataError(f"column {column.name!r} has no time in {place(column, row)}. Give each row its time.")
    if pd.api.types.is_integer_dtype(column.dtype):
        return _counted(column.to_numpy(dtype=np.int64), column.name), None
    if not isinstance(column.dtype, (np.dtype, pd.DatetimeTZDtype)) or column.dtype.kind != "M":
        column = _parsed(column)
    zone = getattr(column.dtype, "tz", None)
    if zone is not None:
        _refuse_nameless(zone, column.name)
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    times = column.to_numpy()
    cut = times.astype("datetime64[us]", copy=False)
    if cut is not times and (cut != times).any():
        row = _first(cut != times)
        raise DataError(
            f"column {column.name!r} holds {column.iloc[row]} in {place(column, row)}; times are whole microseconds. "
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
    year, month = values // 100, values % 100
    inside = [(year, 1900, 2100), (month, 1, 12)]
    if all(((part >= low) & (part <= high)).all() for part, low, high in inside) and year.min() < year.max():
        raise DataError(
            f"column {name!r} holds whole numbers that look like months ({values[0]}). "
            "Write 2024-01 for 202401, or parse them with pd.to_datetime(..., format='%Y%m')."
        )
    return values


def _parsed(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if pd.api.types.is_float_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise DataError(f"column {column.name!r} holds {column.dtype} as times. Give timestamps or whole numbers.")
    _refuse_ambiguous(column)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # that cells are read one by one: what is no time is refused below
            parsed = pd.to_datetime(column)
    except (ValueError, TypeError, OverflowError):
        parsed = _parsed_apart(column)
    if parsed.isna().any():
        row = _first(parsed.isna())
        raise DataError(
            f"column {column.name!r} holds {column.iloc[row]!r} in {place(column, row)}, which is not a time as the "
            "others are. Write 2024-01-31, or 2024-01-31 23:59."
        )
    return parsed


def _refuse_ambiguous(column: pd.Series) -> None:
    """Refuse dates such as 01/02/2024 where no row tells whether the day or the month comes first."""
    parts = pd.Series(column.unique()).astype(str).str.extract(SLASHED)
    if parts.isna().any(axis=None):
        return
    first, second = (parts[place].astype(int) for place in parts)
    if max(first.max(), second.max()) <= 12 and (first != second).any():
        row = _first(first != second)
        raise DataError(
            f"column {column.name!r} holds dates such as {column.unique()[row]!r}, and no row tells whether the day or "
            "the month comes first. Write 2024-01-31."
        )


def _parsed_apart(column: pd.Series) -> pd.Series:
    """Return text as times, NaT where it is not as the others are."""
    try:
        iso = pd.to_datetime(column, errors="coerce", format="ISO8601")
    except ValueError as error:
        raise DataError(_several_offsets(column)) from error
    if not iso.isna().any():
        return iso
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the first cell has no form that pandas knows: it is refused below
        try:
            alike = pd.to_datetime(column, errors="coerce")  # in the form of the first cell
        except ValueError as error:  # in several zones, in a form of which pandas takes one
            if pd.to_datetime(column, errors="coerce", utc=True).notna().all():
                raise DataError(_several_offsets(column)) from error
            return iso
    return alike if alike.isna().sum() < iso.isna().sum() else iso


def _several_offsets(column: pd.Series) -> str:
    """Return which rows of text have offsets from UTC that differ."""
    offsets = column.astype(str).str.extract(OFFSET, expand=False).fillna("")
    row = _first(offsets != offsets.iloc[0])
    return (
        f"column {column.name!r} mixes several offsets from UTC: {column.iloc[0]!r} in {place(column, 0)}, "
        f"{column.iloc[row]!r} in {place(column, row)}. Write all times in UTC (2024-01-31T12:00Z), or convert them: "
        "pd.to_datetime(..., utc=True), then .dt.tz_convert to the zone of the series."
    )


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
    stamps(frame[columns.time])  # a wrong one is named before its row stands for many
    times = pd.concat([frame[columns.time]] * count)
    return pd.DataFrame(
        {
            columns.id: values.columns.repeat(len(frame)),
            columns.time: times,
            columns.targets[0]: np.concatenate([numbers(values[name]) for name in values]),
        },
        index=times.index,
    )


def _readers(suffix: str) -> str:
    """Return which files can be read instead of one that cannot."""
    if suffix.lower() in SHEETS:
        return "save its sheet as CSV (UTF-8), or in Python: pd.read_excel(path).to_parquet('table.parquet')."
    return unknown_name("reader for", suffix, (*CSV, *READERS))


def _missing(frame: pd.DataFrame, name: str, role: str) -> str:
    there_are = unknown_name("column", name, map(str, frame.columns))
    spaced = next((str(other) for other in frame if str(other).strip() == name), None)
    if spaced is not None:
        there_are += f" One of them is {spaced!r}, with spaces: name it so, or take them out."
    way_out = f"In training name another (data.columns.{role}=NAME); a trained model needs the column by this name."
    if role in ("id", "target"):
        way_out += " Where each column is a series: data.columns.wide=true (in Python: Columns(wide=True))."
    return f"{there_are} It is columns.{role}. {way_out}"


def _first(flags: pd.Series | np.ndarray) -> int:
    return int(np.asarray(flags).argmax())
