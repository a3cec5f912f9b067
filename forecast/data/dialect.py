"""CSV files: read as they are said to be written, never by a guess; what does not fit is named by its line."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pandas as pd

from forecast.errors import ConfigError, DataError

LINE = "line of the file"  # names the index of a table whose rows are lines of its file, one to one
WORDS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " ", "point": "."}  # need no quotes
SEPARATORS = {WORDS[word]: word for word in ("comma", "semicolon", "tab", "pipe")}
BEGINNINGS = {
    b"PAR1": "a Parquet file (name it .parquet)",
    b"ARROW1": "an Arrow file (name it .arrow)",
    b"\x1f\x8b": "a file compressed by gzip (name it .csv.gz)",
    b"PK\x03\x04": "a zip archive or an Excel workbook (unpack it, or save the sheet as CSV)",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (save the sheet as CSV)",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"SQLite format 3": "an SQLite database",
    codecs.BOM_UTF16_LE: "text in UTF-16 (add data.csv.encoding=utf-16)",
    codecs.BOM_UTF16_BE: "text in UTF-16 (add data.csv.encoding=utf-16)",
}
DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
BLANK = " \t\x1a"  # all that a line holds which pandas skips; the last is the end of a file of old
LARGEST_CELL = 2**31 - 1  # characters
WHOLE = r"0|-?[1-9]\d{0,17}"  # a number that is the same when written again


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Parameters
    ----------
    separator, decimal : str
        One character, or its name in `WORDS`.
    encoding : str
        A name that Python knows: utf-8 (with a byte order mark or without), latin-1, utf-16.
    """

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        for name in ("separator", "decimal"):
            given = getattr(self, name)
            value = WORDS.get(given, given)
            if not isinstance(value, str) or len(value) != 1 or value in '"\r\n':
                raise ConfigError(
                    f"csv.{name} is one character or one of {', '.join(WORDS)}, got {given!r}. "
                    f"Write data.csv.{name}=semicolon."
                )
            object.__setattr__(self, name, value)
        try:
            known = codecs.lookup(str(self.encoding)).name
        except LookupError:
            raise ConfigError(
                f"csv.encoding {self.encoding!r} is unknown. Give utf-8, latin-1, cp1252, utf-16 or another that "
                "Python knows."
            ) from None
        object.__setattr__(self, "encoding", "utf-8-sig" if known == "utf-8" else known)


def read_csv(path: Path, dialect: Dialect, *, ids: str | None = None) -> pd.DataFrame:
    """Read a CSV file.

    Parameters
    ----------
    path : Path
        Of a file, compressed where it ends in .gz.
    dialect : Dialect
        How it is written.
    ids : str
        The column that names series. Its cells stay text, unless all of them are whole numbers that begin with no 0.

    Returns
    -------
    DataFrame. Where each row is one line of the file, its index is called `LINE` and holds the number of the line.

    Raises
    ------
    DataError
        If it is no CSV of this dialect; the message names line or column.
    """
    _refuse_other_kinds(path, dialect)
    try:
        header = next((cells for _, cells in _records(path, dialect) if cells), [])
        _refuse_header(path, header, dialect)
        frame = _parsed(path, header, dialect, ids)
    except UnicodeDecodeError as error:
        raise DataError(_undecodable(path, dialect)) from error
    # Too few cells in a line are filled up by pandas.
    lines, separators, quotes = _counts(path, dialect.separator)
    if len(frame) and frame.iloc[:, -1].isna().any() and (quotes or separators != lines * (len(header) - 1)):
        _refuse_ragged(path, header, dialect)
    if ids in frame:
        frame[ids] = _whole_where_all_are(frame[ids])
    if len(frame) and not header[0] and np.array_equal(frame.iloc[:, 0], np.arange(len(frame))):
        frame = frame.iloc[:, 1:]  # the row numbers that to_csv() writes
    if lines == len(frame) + 1:
        frame.index = pd.RangeIndex(2, len(frame) + 2, name=LINE)
    return frame


def decimal_hint(cell: object) -> str:
    """Return what to do about a cell that is a number with a decimal comma, "" for any other."""
    if not isinstance(cell, str) or not DECIMAL_COMMA.fullmatch(cell):
        return ""
    return " Where commas are decimal: data.csv.decimal=comma (in Python: read_table(path, decimal=','))."


def _parsed(path: Path, header: list[str], dialect: Dialect, ids: str | None) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of cells that it leaves out
            return pd.read_csv(
                path, sep=dialect.separator, decimal=dialect.decimal, encoding=dialect.encoding,
                dtype={ids: "str"} if ids in header else None,
                index_col=False,  # else one cell too many in each line makes the first column an index
                low_memory=False,  # read in chunks, one column may get two types
            )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        _refuse_ragged(path, header, dialect)
        raise DataError(f"{str(path)!r} cannot be read as .csv: {error}. Mend the file, or export it again.") from error


def _refuse_other_kinds(path: Path, dialect: Dialect) -> None:
    """Refuse a file that begins as files of other kinds do."""
    with _opened(path) as file:
        head = file.read(4096)
    if not head:
        raise DataError(f"{str(path)!r} is empty (0 bytes). Write a header and rows into it, or give another file.")
    if b"\0" not in head or dialect.encoding.startswith(("utf-16", "utf-32")):
        return
    kind = next((kind for begins, kind in BEGINNINGS.items() if head.startswith(begins)), "no text")
    raise DataError(f"{str(path)!r} is not a CSV: it holds {kind}. Give a table as CSV, Parquet or Arrow.")


def _refuse_header(path: Path, header: list[str], dialect: Dialect) -> None:
    """Refuse a header of one column that holds other separators, and one that names a column twice."""
    if not any(name.strip() for name in header):
        raise DataError(f"{str(path)!r} has no header. Name its columns in the first line.")
    found = [other for other in SEPARATORS if other != dialect.separator and other in header[0]]
    if len(header) == 1 and found:
        separator = max(found, key=header[0].count)
        words, python = f"data.csv.separator={SEPARATORS[separator]}", f"separator={separator!r}"
        if dialect.decimal == "." and _has_decimal_commas(path, separator, dialect):
            words, python = f"{words} data.csv.decimal=comma", f"{python}, decimal=','"
        raise DataError(
            f"{str(path)!r} has one column, {header[0]!r}, whose name holds the separator {separator!r}. "
            f"Add {words} (in Python: read_table(path, {python}))."
        )
    first: dict[str, int] = {}
    for number, name in enumerate(header, 1):
        if name and first.setdefault(name, number) != number:
            raise DataError(
                f"{str(path)!r} has the column {name!r} twice in its header (columns {first[name]} and {number}). "
                "Give each column a name of its own."
            )


def _has_decimal_commas(path: Path, separator: str, dialect: Dialect) -> bool:
    """Return whether the first row below the header holds a decimal comma."""
    records = _records(path, replace(dialect, separator=separator))
    next(records)
    return any(DECIMAL_COMMA.fullmatch(cell) for cell in next(records, (0, []))[1])


def _refuse_ragged(path: Path, header: list[str], dialect: Dialect) -> None:
    """Refuse a line that has more or fewer cells than the header; columns without a name at its end may lack theirs."""
    least = max(place for place, name in enumerate(header, 1) if name)
    for line, cells in _records(path, dialect):
        is_blank = len(cells) < 2 and not "".join(cells).strip(BLANK)
        if not is_blank and not least <= len(cells) <= len(header):
            count = f"{len(cells)} cell{'s' * (len(cells) > 1)}"
            raise DataError(
                f"{str(path)!r} has {count} in line {line}, and the header names {len(header)} columns. "
                "Mend the line; text with a separator in it stands in quotes."
            )


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the last line of each record, and its cells; a blank line has none."""
    with _opened(path) as file, io.TextIOWrapper(file, encoding=dialect.encoding, newline="") as text:
        reader, limit = csv.reader(text, delimiter=dialect.separator), csv.field_size_limit(LARGEST_CELL)
        try:
            for cells in reader:
                yield reader.line_num, cells
        except csv.Error as error:
            raise DataError(
                f"{str(path)!r} cannot be read as .csv: {error}, in line {reader.line_num}. Mend the line."
            ) from error
        finally:
            csv.field_size_limit(limit)


def _undecodable(path: Path, dialect: Dialect) -> str:
    """Return where a file is not in its encoding, and what to do."""
    encoding, offset = dialect.encoding.removesuffix("-sig"), 0
    way_out = "data.csv.encoding=latin-1 (in Python: encoding='latin-1') reads text of Western Europe; cp1250, "
    way_out += "shift_jis and others are known too. Or save the file as UTF-8."
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                byte = line[error.start]
                where = f"byte 0x{byte:02x} at offset {offset + error.start}, in line {number}"
                return f"{str(path)!r} is not {encoding}: {where}. {way_out}"
            offset += len(line)
    return f"{str(path)!r} is not {encoding}. {way_out}"


def _whole_where_all_are(names: pd.Series) -> pd.Series:
    """Return names of series as whole numbers where all are written as such."""
    codes, met = pd.factorize(names)
    if not len(met) or (codes < 0).any() or not all(re.fullmatch(WHOLE, name) for name in met):
        return names
    return pd.Series(np.array([int(name) for name in met])[codes], index=names.index, name=names.name)


def _counts(path: Path, separator: str) -> tuple[int, int, int]:
    """Return how many lines, separators and quotes a file has; a line that ends without a newline counts."""
    lines, separators, quotes, last = 0, 0, 0, b"\n"
    with _opened(path) as file:
        for part in iter(lambda: file.read(2**20), b""):
            lines, last = lines + part.count(b"\n"), part[-1:]
            separators, quotes = separators + part.count(separator.encode()), quotes + part.count(b'"')
    return lines + (last != b"\n"), separators, quotes


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")
