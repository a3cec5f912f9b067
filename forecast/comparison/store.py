"""Where finished cells are kept: an index, and a folder of tables for each cell, under its hash.

    comparisons/
      store.sqlite       a row a cell: what it was, how it ended, what it took, checksums of its files
      cells/HASH/        windows.parquet, steps.parquet, calibration.parquet, forecasts.parquet

The index is SQLite: it comes with Python, several processes may write to it at once, a write is whole or absent even
where the machine stops, and rows are few and small. DuckDB would read large tables faster, but lets one process write
at a time and would be one more dependency; the large tables are Parquet files, which it can read where they lie.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile

import pandas as pd

from forecast.comparison.cells import KEYS, TABLES, Cell, Result
from forecast.errors import ArtifactError, ForecastError, WriteError
from forecast.files import REASONS, read_regular, write_new, writing
from forecast.folders import steadily, whole_folder

log = logging.getLogger("forecast")
INDEX, FOLDER = "store.sqlite", "cells"
DONE, FAILED = "done", "failed"
WAIT, PAUSE = 60.0, 0.05  # seconds that a writer waits for another, and between two looks whether it is done
_SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    hash TEXT PRIMARY KEY, data TEXT NOT NULL, horizon INTEGER NOT NULL, model TEXT NOT NULL, seed INTEGER NOT NULL,
    fold INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, fit_seconds REAL, predict_seconds REAL,
    peak_memory_mb REAL, parameters INTEGER NOT NULL, checksums TEXT NOT NULL, config TEXT NOT NULL
)
"""
_COSTS = ("fit_seconds", "predict_seconds", "peak_memory_mb", "parameters")
_NOT_TOLD = -1  # in place of parameters, whose column takes no NULL


@dataclass(frozen=True)
class Record:
    """How a cell ended, and what it took."""

    status: str
    reason: str
    fit_seconds: float
    predict_seconds: float
    peak_memory_mb: float
    parameters: int | None

    def as_dict(self) -> dict[str, object]:
        """Return the fields by name."""
        return asdict(self)


class Store:
    """A folder of finished cells.

    Parameters
    ----------
    folder : Path
        Made where a run has something to keep.
    lasts : bool
        Whether it outlives the comparison, so that another can take from it.
    """

    def __init__(self, folder: str | Path, *, lasts: bool = True) -> None:
        self.folder, self.lasts = Path(folder), lasts
        self._damaged: set[str] = set()  # cells that a warning named
        self._passing: dict[str, dict[str, pd.DataFrame]] = {}  # of cells that no other call could find again

    def record(self, key: str) -> Record | None:
        """Return how the cell of a hash ended; None where it is not here, or its files are damaged or gone."""
        row = self._row(key)
        if row is None:
            return None
        *ended, sums = row
        record = Record(*ended)
        if record.parameters == _NOT_TOLD:
            record = replace(record, parameters=None)
        if record.status == DONE:
            try:
                self._files(key, sums)
            except (ArtifactError, ValueError) as error:
                if key not in self._damaged:
                    log.warning("a cell of the store is damaged and computed again: %s", error)
                self._damaged.add(key)
                return None
        return record

    def make_ready(self) -> None:
        """Make the folder and its index, before anything is computed that could not be kept.

        Raises
        ------
        WriteError
            If nothing can be written there.
        """
        try:
            with self._index() as index:
                index.execute("BEGIN IMMEDIATE")  # a file that may be read alone is noticed here
            cells = self.folder / FOLDER
            cells.mkdir(exist_ok=True)
            with TemporaryFile(dir=cells):
                pass
        except WriteError:
            raise
        except OSError as error:
            reason = REASONS.get(error.errno or 0) or error.strerror
            raise WriteError(
                f"the store '{self.folder}' cannot be written: {reason}. Give another folder (store=FOLDER)."
            ) from error

    def tables(self, key: str) -> dict[str, pd.DataFrame]:
        """Return the tables of a finished cell.

        Raises
        ------
        ArtifactError
            If they are damaged, or not there.
        """
        if key in self._passing:
            return {name: table.copy() for name, table in self._passing[key].items()}
        row = self._row(key)
        if row is None:
            raise ArtifactError(f"the store '{self.folder}' has no cell {key}. Compare again.")
        files = self._files(key, row[-1])
        return {name: pd.read_parquet(io.BytesIO(files[f"{name}.parquet"])) for name in TABLES}

    def keep(self, cell: Cell, result: Result) -> Record:
        """Write a result, first its files, then its row; return how it ended.

        Nothing is written of a failure that lies in the machine, of a model that cannot be told from others, and of a
        cell that another process finished meanwhile.
        """
        record = Record(FAILED if result.reason else DONE, result.reason, *(getattr(result, name) for name in _COSTS))
        if result.is_passing:
            return record
        if cell.reason_not_kept:
            self._passing[cell.hash] = result.tables
            return record
        kept = self.record(cell.hash)
        if kept is not None and kept.status == DONE:
            return kept
        files = {f"{name}.parquet": table.to_parquet(index=False) for name, table in result.tables.items()}
        if files:
            with whole_folder(self.folder / FOLDER / cell.hash) as folder:
                for name, content in files.items():
                    write_new(folder / name, content)
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        told = {**record.as_dict(), "parameters": _NOT_TOLD if record.parameters is None else record.parameters}
        values = [*cell.key.values(), *told.values(), json.dumps(sums), json.dumps(cell.config)]
        marks = ", ".join("?" * (1 + len(values)))
        with writing(self.folder / INDEX), self._index() as index:
            index.execute(f"INSERT OR REPLACE INTO cells VALUES ({marks})", [cell.hash, *values])
        return record

    def _row(self, key: str) -> tuple | None:
        if not (self.folder / INDEX).is_file():
            return None
        names = ", ".join(("status", "reason", *_COSTS, "checksums"))
        with self._index() as index:
            row: tuple | None = index.execute(f"SELECT {names} FROM cells WHERE hash = ?", [key]).fetchone()
        return row and tuple(float("nan") if value is None else value for value in row)

    def _files(self, key: str, sums: str) -> dict[str, bytes]:
        """Return the files of a cell, whose checksums fit, whoever writes them anew meanwhile."""
        told = json.loads(sums)
        return steadily(self.folder / FOLDER / key, lambda folder: _checked(folder, told))

    @contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        """Give the index for one transaction, which another process may have to wait for."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.folder / INDEX, timeout=WAIT)) as index:
                _prepare(index)
                with index:
                    yield index
        except sqlite3.DatabaseError as error:
            kind: type[ForecastError] = WriteError if isinstance(error, sqlite3.OperationalError) else ArtifactError
            raise kind(
                f"the index of the store '{self.folder / INDEX}' cannot be used ({error}). Give another folder "
                "(store=FOLDER), or remove it: its cells are computed again."
            ) from error


def _prepare(index: sqlite3.Connection) -> None:
    """Make the table, and let readers read while another writes, once: the file keeps both.

    SQLite does not wait for others where that mode changes, so that of several that begin at once all but one are told
    that it is busy.
    """
    until = time.monotonic() + WAIT
    while True:
        try:
            if index.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                index.execute("PRAGMA journal_mode = WAL")
            index.execute(_SCHEMA)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            if time.monotonic() > until:
                raise
            time.sleep(PAUSE)


def _checked(folder: Path, sums: dict[str, str]) -> dict[str, bytes]:
    found = {}
    for name in (f"{table}.parquet" for table in TABLES):
        try:
            found[name] = read_regular(folder / name)
        except OSError as error:
            raise ArtifactError(f"'{folder / name}' cannot be read ({error.strerror}).") from error
        if hashlib.sha256(found[name]).hexdigest() != sums.get(name):
            raise ArtifactError(f"the checksum of '{folder / name}' differs.")
    return found


def names_of(cell: Cell) -> str:
    """Return what a cell is called in messages."""
    return ", ".join(f"{name} {cell.key[name]}" for name in KEYS)
