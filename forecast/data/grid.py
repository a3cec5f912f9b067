"""Where each row of a long table lies: series, steps of one grid, and the values there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from forecast.data.calendar import local_clock
from forecast.data.cells import half_character, is_number, numbers, place
from forecast.data.columns import Columns
from forecast.data.dialect import decimal_hint
from forecast.data.freq import Freq, infer_freq
from forecast.data.sources import SINGLE
from forecast.data.stamps import stamps
from forecast.errors import DataError, named

SPARSEST = 100  # steps of the grid for each row, beyond which the grid is taken for a mistake


@dataclass(frozen=True)
class Covariate:
    """One covariate on the grid of a panel: numbers with NaN, or codes into `categories` (-1: missing)."""

    name: str
    values: np.ndarray  # (T,) in time, (n,) where static; float32, or int32 codes
    categories: tuple[str, ...] | None = None


class Layout:
    """Works out where each row of a long table lies on the grid."""

    def __init__(self, table: pd.DataFrame, columns: Columns, freq: str | Freq | None, rows: int) -> None:
        self.table, self.columns, self.rows = table, columns, rows
        self.runs, self.ids, heads = _numbered(table[columns.id])
        self.lengths = np.diff(heads, append=len(table))
        _refuse_ids(self.ids, columns.id)
        self.stamps, self.zone = stamps(table[columns.time])  # UTC
        self.clock = self.stamps if self.zone is None else local_clock(self.stamps, self.zone)
        in_order = len(heads) == len(self.ids) and self._is_ahead(heads)
        self.order = None if in_order else np.lexsort((self.stamps, self.codes))
        self.heads = heads if in_order else _heads(self._sorted(self.codes))
        if not in_order:
            self._refuse_twice()
        self.freq = self._freq(freq)
        if self.freq.is_local:
            self.stamps = self.clock

    @cached_property
    def codes(self) -> np.ndarray:
        """The number of each row's series."""
        return np.repeat(self.runs, self.lengths)

    @cached_property
    def same(self) -> np.ndarray:
        """Whether a sorted row belongs to the series of the row before it (N - 1,)."""
        same = np.ones(len(self.table) - 1, bool)
        same[self.heads[1:] - 1] = False
        return same

    def fields(self) -> dict[str, Any]:
        """Return the fields of a panel."""
        ordered = self._sorted(self.stamps)
        starts = ordered[self.heads]
        if self.freq.rows or self._is_gapless(ordered):
            self.index, absent = np.arange(len(ordered)), 0  # flat place of each sorted row
            offsets = np.append(self.heads, len(ordered))
        else:
            codes = self._sorted(self.codes)
            steps, absent = self._steps(ordered, codes, starts)
            tails = np.append(self.heads[1:], len(codes)) - 1
            offsets = np.concatenate([[0], np.cumsum(steps[tails] + 1)])
            self.index = steps + offsets[codes]
        lengths = np.diff(offsets)
        self.total = int(offsets[-1])
        columns = self.columns
        if self.total > SPARSEST * (len(ordered) + SPARSEST):
            raise DataError(
                f"column {columns.time!r} spans {self.total} steps of freq {self.freq.name!r}, and only "
                f"{len(ordered)} of them have a row. Name the freq, turn whole numbers into timestamps, "
                "or let rows be the grid (columns.gaps=rows)."
            )
        return {
            "ids": pd.Index(self.ids, name=columns.id),
            "offsets": offsets,
            "ends": self._ends(offsets, lengths),
            "target": self._targets(),
            "starts": starts,
            "freq": self.freq,
            "columns": columns,
            "dtype": self.table[columns.time].dtype,
            "zone": self.zone,
            "times": ordered.copy() if self.freq.rows else None,
            "past": tuple(self._covariate(name) for name in columns.past),
            "known": tuple(self._covariate(name) for name in columns.known),
            "static": tuple(self._static(name) for name in columns.static),
            "absent": absent,
        }

    def _is_ahead(self, heads: np.ndarray) -> bool:
        """Return whether each row is later than the one before it, heads aside."""
        ahead = self.stamps[1:] > self.stamps[:-1]
        ahead[heads[1:] - 1] = True
        return bool(ahead.all())

    def _sorted(self, values: np.ndarray) -> np.ndarray:
        return values if self.order is None else values[self.order]

    def _refuse_twice(self) -> None:
        ordered = self._sorted(self.stamps)
        twice = np.flatnonzero(self.same & (ordered[1:] == ordered[:-1]))
        if len(twice):
            row = twice[0] + 1
            hint = ""
            if list(self.ids) == [SINGLE]:
                hint = " If there are several series, name the column that tells them apart: columns.id."
            elif self.zone is None and ordered.dtype.kind == "M":
                hint = " Local times without a zone repeat when clocks go back: localise them."
            raise DataError(
                f"series {named(self._id(row))} has {self._shown(row)} twice in column {self.columns.time!r}, in "
                f"{self._where(row - 1)} and {self._where(row)} ({len(twice)} such rows in all). "
                f"Keep one row for each series and time.{hint}"
            )

    def _freq(self, freq: str | Freq | None) -> Freq:
        rows = self.columns.gaps == "rows"
        if freq is None:
            try:
                freq = infer_freq(self._sorted(self.clock), self.same, rows=rows)
            except DataError as error:
                raise DataError(f"column {self.columns.time!r}: {error}") from error
        elif not isinstance(freq, Freq):
            freq = Freq.parse(freq)
        if (freq.kind == "integer") != np.issubdtype(self.stamps.dtype, np.integer):
            raise DataError(
                f"column {self.columns.time!r} holds {self.table[self.columns.time].dtype}, which freq "
                f"{freq.name!r} does not fit. Give times of the same kind as the frequency."
            )
        return replace(freq, rows=rows or freq.rows)

    def _steps(self, ordered: np.ndarray, codes: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, int]:
        """Return each sorted row's step within its series, and how many steps of the grid have no row."""
        off = self.freq.off_grid(ordered, starts[codes])
        if off.any():
            row = int(off.argmax())
            start = self._shown(self.heads[codes[row]])
            raise DataError(
                f"series {named(self._id(row))} has {self._shown(row)} in column {self.columns.time!r} "
                f"({self._where(row)}), which lies off the grid of freq {self.freq.name!r} that starts at {start}. "
                "Mend the stamp, name another freq, or let rows be the grid (columns.gaps=rows)."
            )
        ordinals = self.freq.ordinals(ordered)
        steps = ordinals - ordinals[self.heads][codes]
        jumps = np.diff(steps)
        absent = int((jumps[self.same] - 1).sum())
        if absent and self.columns.gaps == "error":
            row = int((self.same & (jumps > 1)).argmax())
            raise DataError(
                f"series {named(self._id(row))} has no row between {self._shown(row)} and {self._shown(row + 1)} in "
                f"column {self.columns.time!r} (freq {self.freq.name!r}; {absent} steps absent in all). "
                "Add the rows, or set columns.gaps to mask or rows."
            )
        return steps, absent

    def _is_gapless(self, ordered: np.ndarray) -> bool:
        """Return whether each row lies one step after the one before it; calendars need a closer look."""
        if self.freq.kind not in ("integer", "step"):
            return False
        one = np.diff(ordered).view(np.int64) == self.freq.size
        one[self.heads[1:] - 1] = True
        return bool(one.all())

    def _ends(self, offsets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        if len(self.table) == self.rows:
            return lengths
        codes = self._sorted(self.codes)
        is_past = self._sorted(np.arange(len(self.table)) < self.rows)
        ends = np.zeros(len(lengths), np.int64)
        np.maximum.at(ends, codes[is_past], (self.index - offsets[codes])[is_past] + 1)
        return ends

    def _targets(self) -> np.ndarray:
        """Return the targets on the grid (T, C)."""
        columns = self.columns
        laid = [self._scattered(numbers(self.table[name], at=self._place), np.nan) for name in columns.targets]
        for name, values, minimum in zip(columns.targets, laid, columns.minima, strict=True):
            if minimum is not None:
                self._refuse_below(minimum, name, values)
        return laid[0][:, None] if len(laid) == 1 else np.stack(laid, axis=1)

    def _refuse_below(self, minimum: float, name: str, values: np.ndarray) -> None:
        below = values < minimum
        if below.any():
            row = int((self.index == below.argmax()).argmax())
            raise DataError(
                f"series {named(self._id(row))} has {values[below.argmax()]:g} at {self._shown(row)} in column "
                f"{name!r}, below the minimum of {minimum:g} ({below.sum()} such values). Mend the values, or lower "
                "the minimum."
            )

    def _scattered(self, values: np.ndarray, missing: float) -> np.ndarray:
        """Return a column on the grid: (T,)."""
        if self.order is None and self.total == len(values):
            return values.copy() if values.base is not None else values
        out = np.full(self.total, missing, values.dtype)
        out[self.index] = self._sorted(values)
        return out

    def _covariate(self, name: str) -> Covariate:
        column = self.table[name]
        if name in self.columns.known and column.isna().any():
            row = int(np.asarray(column.isna()).argmax())
            raise DataError(f"known covariate {name!r} is empty in {self._place(row)}. Fill it, or name it under past.")
        if not is_number(column):
            codes, categories = _coded(column)
            return Covariate(name, self._scattered(codes, -1), categories)
        return Covariate(name, self._scattered(numbers(column, np.float32, at=self._place), np.nan))

    def _static(self, name: str) -> Covariate:
        column = self.table[name].iloc[: self.rows]
        first = column.groupby(self.codes[: self.rows]).first()
        if first.isna().any():
            series = self.ids[int(np.asarray(first.isna()).argmax())]
            raise DataError(f"static covariate {name!r} of series {named(series)} is empty throughout. Fill it.")
        changed = (column != first.reindex(self.codes[: self.rows]).to_numpy()) & column.notna()
        if changed.any():
            row = int(np.asarray(changed).argmax())
            raise DataError(
                f"static column {name!r} changes within series {named(self.ids[self.codes[row]])} "
                f"({place(column, row)}). Name it under past or known."
            )
        if not is_number(column):
            codes, categories = _coded(first)
            return Covariate(name, codes, categories)
        return Covariate(name, numbers(first.rename(name), np.float32))

    def _id(self, row: int) -> object:
        return self.ids[self._sorted(self.codes)[row]]

    def _place(self, row: int) -> str:
        """Return where a row of the table stands, with its series and time."""
        series, time = (self.table[role].iloc[row] for role in (self.columns.id, self.columns.time))
        where = place(self.table, row) if row < self.rows else "the future"  # which has lines of its own
        return f"{where} (series {named(series)}, {time})"

    def _where(self, row: int) -> str:
        """Return where a sorted row stands in the table."""
        row = row if self.order is None else int(self.order[row])
        return place(self.table, row) if row < self.rows else "the future"

    def _shown(self, row: int) -> object:
        """Return the time of a sorted row as the table has it."""
        return self.table[self.columns.time].iloc[row if self.order is None else self.order[row]]


def _numbered(column: pd.Series) -> tuple[np.ndarray, Any, np.ndarray]:
    """Return the series of each run of rows of one series, by number, the names of the series, and where runs begin."""
    if column.dtype == object:  # whose cells may be anything
        codes, ids = pd.factorize(column)
        heads = _heads(codes)
        return codes[heads], ids, heads
    heads = _heads(column.array)
    runs, ids = pd.factorize(column.array[heads])  # far fewer than rows, where those of a series stand together
    return runs, pd.Index(ids), heads


def _heads(values: Any) -> np.ndarray:
    """Return where a value differs from the one before it, the first included."""
    changed = np.asarray(values[1:] != values[:-1], dtype=bool)
    return np.concatenate([[0], np.flatnonzero(changed) + 1])


def _refuse_ids(ids: Any, name: str) -> None:
    """Refuse names of series that cannot be saved, or that are one when written."""
    if isinstance(ids.dtype, pd.StringDtype) or pd.api.types.is_integer_dtype(ids.dtype):
        return
    wrong = [name_ for name_ in ids if not isinstance(name_, (str, int, np.integer)) or isinstance(name_, bool)]
    if wrong:
        raise DataError(
            f"column {name!r} holds {wrong[0]!r} ({type(wrong[0]).__name__}); a series is named by text or a whole "
            "number. Turn the ids into text."
        )
    texts = pd.Index([str(name_) for name_ in ids], dtype=object)
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise half_character(name, next(text for text in texts if error.object[error.start] in text)) from None
    if not texts.is_unique:
        twice = texts[texts.duplicated()][0]
        raise DataError(
            f"column {name!r} names series {twice!r} both as text and as a number. Write it one way throughout."
        )


def _coded(column: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    codes, found = pd.factorize(column)
    if len(found) and all(decimal_hint(category) for category in found):
        hint = decimal_hint(found[0])
        raise DataError(f"covariate {column.name!r} holds numbers with decimal commas, such as {found[0]!r}.{hint}")
    again, names = pd.factorize(np.array([str(category) for category in found], dtype=object))  # 1 and "1" are one
    return np.append(again, -1).astype(np.int32)[codes], tuple(names)
