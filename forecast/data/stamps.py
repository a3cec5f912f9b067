"""Times of a table: text, dates or whole numbers to stamps; what could be read in two ways is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from forecast.data.cells import first_row, place
from forecast.errors import DataError

SLASHED = r"^\s*(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}\b"
OFFSET = r"([+-]\d\d:?\d\d|Z)$"  # from UTC, at the end of a time


def stamps(column: pd.Series) -> tuple[np.ndarray, Any]:
    """Return times as whole numbers or UTC microseconds, and the time zone where the column has one.

    Text is parsed as ISO 8601, or as pandas reads it where all of it follows one form.
    """
    if column.isna().any():
        row = first_row(column.isna())
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
        row = first_row(cut != times)
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
        row = first_row(parsed.isna())
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
        row = first_row(first != second)
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
    row = first_row(offsets != offsets.iloc[0])
    return (
        f"column {column.name!r} mixes several offsets from UTC: {column.iloc[0]!r} in {place(column, 0)}, "
        f"{column.iloc[row]!r} in {place(column, row)}. Write all times in UTC (2024-01-31T12:00Z), or convert them: "
        "pd.to_datetime(..., utc=True), then .dt.tz_convert to the zone of the series."
    )
