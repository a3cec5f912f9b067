"""A panel: many series, each on its own stretch of one time grid, in contiguous arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.data.freq import Freq
from forecast.data.future import with_future
from forecast.data.grid import Covariate, Layout
from forecast.data.sources import long_frame
from forecast.errors import DataError, KindError, named


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
        KindError
            If the table or its columns are of another kind.
        """
        columns = Columns() if columns is None else columns
        if not isinstance(columns, Columns):
            raise KindError(f"columns is a Columns, such as Columns(id='shop', target='sales'), got {columns!r}.")
        table = long_frame(frame, columns)
        rows = len(table)
        if future is not None:
            table = with_future(table, future, columns)
        return cls(**Layout(table, columns, freq, rows).fields())

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
        if column.dtype == self.dtype:
            return column
        is_time = pd.api.types.is_datetime64_any_dtype(self.dtype) or isinstance(self.dtype, pd.PeriodDtype)
        return column.astype(self.dtype) if is_time else column

    def stamp_texts(self, values: np.ndarray) -> np.ndarray:
        """Return stamps of this panel as text (N,): with the time of day where any of its steps has one."""
        texts = self.stamp_column(np.concatenate([self._finest_stamps, values])).astype(str)  # all in one format
        return texts.to_numpy()[len(self._finest_stamps) :]

    @cached_property
    def _finest_stamps(self) -> np.ndarray:
        """A stamp that is at no midnight, and one within a second, where there are any."""
        series = np.arange(len(self.ids))
        first = np.concatenate([self.starts, self.stamps(series, np.ones_like(series))])
        stamps = first if self.times is None else self.times
        if not np.issubdtype(stamps.dtype, np.datetime64):
            return stamps[:0]
        return np.concatenate([stamps[stamps != stamps.astype(f"datetime64[{unit}]")][:1] for unit in ("D", "s")])

    def observed(self, series: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return which series have an observation from step `begins` until `ends`, of any target: bool (N,)."""
        return np.logical_or.reduce(self.observed_targets(series, begins, ends), axis=1)

    def observed_targets(self, series: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return which targets of which series have an observation from step `begins` until `ends`: bool (N, C)."""
        last = self.lengths[series]
        begins, ends = np.clip(begins, 0, last), np.clip(ends, 0, last)
        if self._is_complete:
            return np.repeat((ends > begins)[:, None], self.target.shape[1], axis=1)
        offsets = self.offsets[series]
        return self._counts[offsets + ends] > self._counts[offsets + begins]

    @cached_property
    def _is_complete(self) -> bool:
        """Whether every target is observed in every step."""
        return bool(np.isfinite(self.target).all())

    @cached_property
    def _counts(self) -> np.ndarray:
        """Observations before each step (T + 1, C)."""
        counts = np.zeros((len(self.target) + 1, self.target.shape[1]), np.int64)
        np.cumsum(np.isfinite(self.target), axis=0, out=counts[1:])
        return counts

    def series(self, number: int) -> np.ndarray:
        """Return the targets of one series up to its end, a view (steps, C)."""
        return self.target[self.offsets[number] : self.offsets[number] + self.ends[number]]

    def refuse(self, wrong: np.ndarray, why: str) -> None:
        """Refuse values of the targets.

        Parameters
        ----------
        wrong : ndarray of bool (T, C)
            Which; what was not observed is not wrong.
        why : str
            What is taken, and what to do.

        Raises
        ------
        DataError
            Names the first of them: series, value, step, column and time.
        """
        if not wrong.any():
            return
        step, channel = np.argwhere(wrong)[0]
        series = int(np.searchsorted(self.offsets, step, side="right")) - 1
        within = step - self.offsets[series : series + 1]
        time = self.stamp_column(self.stamps(np.array([series]), within)).iloc[0]
        raise DataError(
            f"series {named(self.ids[series])} has {self.target[step, channel]:g} in step {within[0]} of column "
            f"{self.columns.targets[channel]!r}, at {time}; {why}"
        )

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
        """Return the last `steps` steps of each series, or a few more; known covariates after its end left out."""
        return self.part(np.arange(len(self.ids)), np.maximum(self.ends - steps, 0), self.ends)

    def part(self, keep: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> Panel:
        """Return the steps `begins` to `ends` (m,) of the series `keep` (m,), in which all counts as known.

        A series on a day that the month of its first step lacks begins a few steps earlier, or its day were lost.
        """
        while self.times is None and self.freq.follows_start:
            clipped = _day(self.stamps(keep, begins)) < _day(self.starts[keep])
            if not clipped.any():
                break
            begins = begins - clipped
        return self._taken(keep, begins, ends)

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


def _named(targets: tuple[str, ...]) -> str:
    return f"column {targets[0]!r}" if len(targets) == 1 else f"any of the columns {', '.join(map(repr, targets))}"


def _day(stamps_: np.ndarray) -> np.ndarray:
    return (stamps_.astype("datetime64[D]") - stamps_.astype("datetime64[M]")).astype(np.int64)  # from 0
