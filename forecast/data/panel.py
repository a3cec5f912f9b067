"""A panel: many series, each on its own stretch of one time grid, in contiguous arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from forecast.data.calendar import local_clock
from forecast.data.columns import Columns
from forecast.data.freq import Freq, infer_freq
from forecast.data.sources import SINGLE, long_frame, numbers, stamps, with_future
from forecast.errors import DataError, named

SPARSEST = 100  # steps of the grid for each row, beyond which the grid is taken for a mistake


@dataclass(frozen=True)
class Covariate:
    """One covariate on the grid of a panel: numbers with NaN, or codes into `categories` (-1: missing)."""

    name: str
    values: np.ndarray  # (T,) in time, (n,) where static; float32, or int32 codes
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Panel:
    """Regular series, one after another; a step that the table lacks is NaN.

    Letters: n series, T steps of all series together, C targets.

    Parameters
    ----------
    ids : Index (n,)
        Names of the series, as they came in.
    offsets : ndarray of int64 (n + 1,)
        Where each series starts in the arrays over time.
    ends : ndarray of int64 (n,)
        One past the last step whose target may be known; later steps hold known covariates alone.
    target : ndarray of float64 (T, C)
        A column for each target, NaN where not observed.
    starts : ndarray (n,)
        Stamp of the first step of each series: int64, or datetime64[us] (local clock where the frequency is).
    freq, zone, dtype
        The step of the grid; the time zone, if any; the dtype of the time column as it came in.
    times : ndarray (T,) or None
        All stamps, where the row number is the grid.
    """

    ids: pd.Index
    offsets: np.ndarray
    ends: np.ndarray
    target: np.ndarray
    starts: np.ndarray
    freq: Freq
    columns: Columns
    dtype: Any
    zone: Any = None
    times: np.ndarray | None = None
    past: tuple[Covariate, ...] = ()
    known: tuple[Covariate, ...] = ()
    static: tuple[Covariate, ...] = ()
    absent: int = field(default=0, compare=False)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame | pd.Series,
        columns: Columns | None = None,
        *,
        freq: str | Freq | None = None,
        future: pd.DataFrame | None = None,
    ) -> Panel:
        """Lay a table on its grid.

        Parameters
        ----------
        frame : DataFrame or Series
            Long or wide; any order of rows.
        columns : Columns
            The roles of its columns.
        freq : str or Freq
            The step of the grid; inferred where it is not given.
        future : DataFrame
            Rows after those of `frame`, with known covariates and no target.

        Raises
        ------
        DataError
            If the table cannot be laid on one grid; the message names series and stamp.
        """
        columns = columns or Columns()
        table = long_frame(frame, columns)
        rows = len(table)
        if future is not None:
            table = with_future(table, future, columns)
        return _Layout(table, columns, freq, rows).panel()

    @cached_property
    def lengths(self) -> np.ndarray:
        """Steps of each series (n,)."""
        return np.diff(self.offsets)

    @property
    def season(self) -> int:
        """The usual period of the frequency, in steps."""
        return self.freq.season

    def positions(self, series: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Return the grid index of steps after each start: the same for the same stamp in any table."""
        if self.times is None:
            return self.freq.ordinals(self.starts)[series] + steps
        return self.freq.ordinals(self.stamps(series, steps))

    def stamps(self, series: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Return the stamps of steps, which may lie beyond the end; `series` and `steps` broadcast."""
        if self.times is None:
            return self.freq.shift(self.starts[series], steps)
        last = self.lengths[series] - 1
        known = self.times[self.offsets[series] + np.minimum(steps, last)]
        return np.where(steps > last, self.freq.shift(known, np.maximum(steps - last, 0)), known)

    def stamp_column(self, values: np.ndarray) -> pd.Series:
        """Return stamps of this panel as a column like the one that came in: same dtype, unit and zone."""
        column = pd.Series(values)
        if self.zone is not None and self.freq.is_local:
            first = np.ones(len(column), bool)  # of two hours alike
            column = column.dt.tz_localize(self.zone, ambiguous=first, nonexistent="shift_forward")
        elif self.zone is not None:
            column = column.dt.tz_localize("UTC").dt.tz_convert(self.zone)
        if pd.api.types.is_integer_dtype(self.dtype):
            same = column.astype(self.dtype)
            return same if (same == column).all() else column  # small integers may be too small for the future
        is_time = pd.api.types.is_datetime64_any_dtype(self.dtype) or isinstance(self.dtype, pd.PeriodDtype)
        return column.astype(self.dtype) if is_time else column

    def observed(self, series: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return which series have an observation from step `begins` until `ends`, of any target: bool (N,)."""
        return np.logical_or.reduce(self.observed_targets(series, begins, ends), axis=1)

    def observed_targets(self, series: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return which targets of which series have an observation from step `begins` until `ends`: bool (N, C)."""
        offsets, last = self.offsets[series], self.lengths[series]
        return self._counts[offsets + np.clip(ends, 0, last)] > self._counts[offsets + np.clip(begins, 0, last)]

    @cached_property
    def _counts(self) -> np.ndarray:
        """Observations before each step (T + 1, C)."""
        counts = np.zeros((len(self.target) + 1, self.target.shape[1]), np.int64)
        np.cumsum(np.isfinite(self.target), axis=0, out=counts[1:])
        return counts

    def series(self, number: int) -> np.ndarray:
        """Return the targets of one series up to its end, a view (steps, C)."""
        return self.target[self.offsets[number] : self.offsets[number] + self.ends[number]]

    def until(self, ends: np.ndarray) -> Panel:
        """Return the panel as it was known after `ends` steps of each series: whatever came later is gone.

        Series with an end of 0 or less, or without an observation before it, are left out.

        Raises
        ------
        DataError
            If no series has an observation before its end.
        """
        begun = np.flatnonzero(ends > 0)
        keep = begun[self.observed(begun, np.zeros(len(begun), np.int64), ends[begun])]
        if len(begun) and not len(keep):
            raise DataError(
                f"no series has an observed value in {_named(self.columns.targets)} before the steps held back. "
                "Hold back fewer (training.validation, test.windows), or give longer series."
            )
        ends = np.minimum(ends[keep], self.ends[keep])
        return self._taken(keep, np.zeros(len(keep), np.int64), ends)

    def tail(self, steps: int) -> Panel:
        """Return the last `steps` steps of each series, known covariates after its end left out.

        A series on a day that the month of its first step lacks begins a few steps earlier, or its day were lost.
        """
        every, begins = np.arange(len(self.ids)), np.maximum(self.ends - steps, 0)
        while self.times is None and self.freq.follows_start:
            clipped = _day(self.stamps(every, begins)) < _day(self.starts)
            if not clipped.any():
                break
            begins = begins - clipped
        return self._taken(every, begins, self.ends)

    def _taken(self, keep: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> Panel:
        """Return the steps `begins` to `ends` of the series `keep`."""
        lengths = ends - begins
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        index = np.arange(offsets[-1]) + np.repeat(self.offsets[keep] + begins - offsets[:-1], lengths)

        def over_time(covariates: tuple[Covariate, ...]) -> tuple[Covariate, ...]:
            return tuple(Covariate(c.name, c.values[index], c.categories) for c in covariates)

        return Panel(
            ids=self.ids[keep],
            offsets=offsets,
            ends=lengths,
            target=self.target[index],
            starts=self.stamps(keep, begins),
            freq=self.freq,
            columns=self.columns,
            dtype=self.dtype,
            zone=self.zone,
            times=None if self.times is None else self.times[index],
            past=over_time(self.past),
            known=over_time(self.known),
            static=tuple(Covariate(c.name, c.values[keep], c.categories) for c in self.static),
        )


class _Layout:
    """Works out where each row of a long table lies on the grid."""

    def __init__(self, table: pd.DataFrame, columns: Columns, freq: str | Freq | None, rows: int) -> None:
        self.table, self.columns, self.rows = table, columns, rows
        self.codes, self.ids = pd.factorize(table[columns.id])
        _refuse_ids(self.ids, columns.id)
        self.stamps, self.zone = stamps(table[columns.time])  # UTC
        self.clock = self.stamps if self.zone is None else local_clock(self.stamps, self.zone)
        order = self._order()
        self.order = order
        codes = self.codes if order is None else self.codes[order]
        self.same = codes[1:] == codes[:-1]
        self.heads = np.concatenate([[0], np.flatnonzero(~self.same) + 1])
        self._refuse_twice()
        self.freq = self._freq(freq)
        if self.freq.is_local:
            self.stamps = self.clock

    def panel(self) -> Panel:
        ordered = self._sorted(self.stamps)
        codes = self._sorted(self.codes)
        starts = ordered[self.heads]
        steps, absent = self._steps(ordered, codes, starts)
        tails = np.append(self.heads[1:], len(codes)) - 1
        lengths = steps[tails] + 1
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        steps += offsets[codes]
        self.index = steps  # flat place of each sorted row
        self.total = int(offsets[-1])
        columns = self.columns
        if self.total > SPARSEST * (len(codes) + SPARSEST):
            raise DataError(
                f"column {columns.time!r} spans {self.total} steps of freq {self.freq.name!r}, and only "
                f"{len(codes)} of them have a row. Name the freq, turn whole numbers into timestamps, "
                "or set gaps to 'rows'."
            )
        return Panel(
            ids=pd.Index(self.ids, name=columns.id),
            offsets=offsets,
            ends=self._ends(codes, offsets, lengths),
            target=self._targets(),
            starts=starts,
            freq=self.freq,
            columns=columns,
            dtype=self.table[columns.time].dtype,
            zone=self.zone,
            times=ordered if self.freq.rows else None,
            past=tuple(self._covariate(name) for name in columns.past),
            known=tuple(self._covariate(name) for name in columns.known),
            static=tuple(self._static(name) for name in columns.static),
            absent=absent,
        )

    def _order(self) -> np.ndarray | None:
        """Return the order that sorts rows by series and time, None where they are sorted."""
        codes, stamps_ = self.codes, self.stamps
        ahead = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & (stamps_[1:] >= stamps_[:-1]))
        return None if ahead.all() else np.lexsort((stamps_, codes))

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
                f"series {named(self._id(row))} has {self._shown(row)} twice in column {self.columns.time!r} "
                f"({len(twice)} such rows in all). Keep one row for each series and time.{hint}"
            )

    def _freq(self, freq: str | Freq | None) -> Freq:
        rows = self.columns.gaps == "rows"
        if freq is None:
            freq = infer_freq(self._sorted(self.clock), self.same, rows=rows)
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
        if self.freq.rows:
            return np.arange(len(codes)) - self.heads[codes], 0
        off = self.freq.off_grid(ordered, starts[codes])
        if off.any():
            row = int(off.argmax())
            start = self._shown(self.heads[codes[row]])
            raise DataError(
                f"series {named(self._id(row))} has {self._shown(row)} in column {self.columns.time!r}, "
                f"which lies off the grid of freq {self.freq.name!r} that starts at {start}. "
                "Mend the stamp, name another freq, or let rows be the grid: gaps is 'rows'."
            )
        ordinals = self.freq.ordinals(ordered)
        steps = ordinals - ordinals[self.heads][codes]
        jumps = np.diff(steps)
        absent = int((jumps[self.same] - 1).sum())
        if absent and self.columns.gaps == "error":
            row = int((self.same & (jumps > 1)).argmax())
            raise DataError(
                f"series {named(self._id(row))} has no row between {self._shown(row)} and {self._shown(row + 1)} "
                f"(freq {self.freq.name!r}; {absent} steps absent in all). "
                "Add the rows, or set gaps to 'mask' or 'rows'."
            )
        return steps, absent

    def _ends(self, codes: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        if len(self.table) == self.rows:
            return lengths
        is_past = self._sorted(np.arange(len(self.table)) < self.rows)
        ends = np.zeros(len(lengths), np.int64)
        np.maximum.at(ends, codes[is_past], (self.index - offsets[codes])[is_past] + 1)
        return ends

    def _targets(self) -> np.ndarray:
        """Return the targets on the grid (T, C)."""
        columns = self.columns
        laid = [self._scattered(numbers(self.table[name]), np.nan) for name in columns.targets]
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
            series, time = (self.table[role].iloc[row] for role in (self.columns.id, self.columns.time))
            raise DataError(
                f"known covariate {name!r} is empty in series {named(series)} at {time}. Fill it, or name it under "
                "past."
            )
        if _is_categorical(column):
            codes, categories = _coded(column)
            return Covariate(name, self._scattered(codes, -1), categories)
        return Covariate(name, self._scattered(numbers(column, np.float32), np.nan))

    def _static(self, name: str) -> Covariate:
        column = self.table[name].iloc[: self.rows]
        first = column.groupby(self.codes[: self.rows]).first()
        if first.isna().any():
            series = self.ids[int(np.asarray(first.isna()).argmax())]
            raise DataError(f"static covariate {name!r} of series {named(series)} is empty. Fill it.")
        changed = (column != first.reindex(self.codes[: self.rows]).to_numpy()) & column.notna()
        if changed.any():
            row = int(np.asarray(changed).argmax())
            raise DataError(
                f"static column {name!r} changes within series {named(self.ids[self.codes[row]])} (row {row}). "
                "Name it under past or known."
            )
        if _is_categorical(column):
            codes, categories = _coded(first)
            return Covariate(name, codes, categories)
        return Covariate(name, numbers(first.rename(name), np.float32))

    def _id(self, row: int) -> object:
        return self.ids[self._sorted(self.codes)[row]]

    def _shown(self, row: int) -> object:
        """Return the time of a sorted row as the table has it."""
        return self.table[self.columns.time].iloc[row if self.order is None else self.order[row]]


def _refuse_ids(ids: Any, name: str) -> None:
    """Refuse names of series that cannot be saved, or that are one when written."""
    wrong = [name_ for name_ in ids if not isinstance(name_, (str, int, np.integer))]
    if wrong:
        raise DataError(
            f"column {name!r} holds {wrong[0]!r} ({type(wrong[0]).__name__}); a series is named by text or a whole "
            "number. Turn the ids into text."
        )
    texts = pd.Index([str(name_) for name_ in ids], dtype=object)
    if not texts.is_unique:
        twice = texts[texts.duplicated()][0]
        raise DataError(
            f"column {name!r} names series {twice!r} both as text and as a number. Write it one way throughout."
        )


def _is_categorical(column: pd.Series) -> bool:
    if column.dtype == object:  # numbers with None among them
        column = column.infer_objects()
    return not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)


def _coded(column: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    codes, found = pd.factorize(column)
    again, names = pd.factorize(np.array([str(category) for category in found], dtype=object))  # 1 and "1" are one
    return np.append(again, -1).astype(np.int32)[codes], tuple(names)


def _named(targets: tuple[str, ...]) -> str:
    return f"column {targets[0]!r}" if len(targets) == 1 else f"any of the columns {', '.join(map(repr, targets))}"


def _day(stamps_: np.ndarray) -> np.ndarray:
    return (stamps_.astype("datetime64[D]") - stamps_.astype("datetime64[M]")).astype(np.int64)  # from 0
