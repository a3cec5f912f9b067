"""From a file or a frame to one long table whose columns are checked at the door."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.data.cells import first_row, numbers, place
from forecast.data.columns import Columns
from forecast.data.dialect import Dialect, read_csv
from forecast.data.stamps import stamps
from forecast.errors import AbsentError, DataError, KindError, unknown_name

CSV = (".csv", ".csv.gz")
READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
    ".arrow": pd.read_feather,
}
SHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
ROLES = ("id", "time", "target")  # of the columns that a table has in any case
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
        raise DataError(_missing(frame, columns, columns.id, "id"))
    roles = {"time": (columns.time,), "target": columns.targets}
    roles |= {role: getattr(columns, role) for role in ("past", "known", "static")}
    for role, names in roles.items():
        for name in names:
            if name not in frame:
                raise DataError(_missing(frame, columns, name, role))
    if columns.id not in frame:
        frame = frame.assign(**{columns.id: SINGLE})
    wanted = [columns.id, columns.time, *columns.targets, *columns.covariates]
    frame = frame if list(frame.columns) == wanted else frame[wanted]
    if frame.empty:
        raise DataError("the table has no rows. Give the history of each series.")
    if frame[columns.id].isna().any():
        row = first_row(frame[columns.id].isna())
        raise DataError(
            f"column {columns.id!r} is empty in {place(frame, row)}. Name the series; NA, null and None count as empty."
        )
    return frame


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
        raise DataError(_missing(frame, columns, columns.time, "time"))
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


def _missing(frame: pd.DataFrame, columns: Columns, name: str, role: str) -> str:
    there_are = unknown_name("column", name, map(str, frame.columns))
    spaced = next((str(other) for other in frame if str(other).strip() == name), None)
    if spaced is not None:
        there_are += f" One of them is {spaced!r}, with spaces: name it so, or take them out."
    others = _others_missing(frame, columns, role)
    if others:
        three = ", ".join(f"data.columns.{other}=NAME" for other in ROLES)
        python = ", ".join(f"{other}=..." for other in ROLES)
        way_out = (
            f"Nor is there {' or '.join(others)}. Name them: {three} (in Python: Columns({python})); a table of one "
            "series needs no id."
        )
    else:
        way_out = f"Name another: data.columns.{role}=NAME; a trained model needs the column by this name."
    if role in ("id", "target"):
        way_out += " Where each column is a series: data.columns.wide=true (in Python: Columns(wide=True))."
    return f"{there_are} It is columns.{role}. {way_out}"


def _others_missing(frame: pd.DataFrame, columns: Columns, role: str) -> list[str]:
    """Return which of id, time and target are not there beside one that is not, in words; of a wide table none."""
    if columns.wide or role not in ROLES:
        return []
    names = dict(zip(ROLES, (columns.id, columns.time, columns.targets[0]), strict=True))
    absent = {other: name for other, name in names.items() if other != role and name not in frame}
    if set(absent) == {"id"} and columns.id == Columns.id:  # a table of one series has none
        return []
    return [f"{name!r} (columns.{other})" for other, name in absent.items()]
