"""Time as a grid: from timestamps or whole numbers to step numbers, and from steps ahead back to timestamps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from pandas.tseries import offsets
from pandas.tseries.frequencies import to_offset

from forecast.errors import ConfigError, DataError

DAY = 86_400_000_000  # microseconds, the unit of every stamp in here
HOUR, MINUTE, SECOND = DAY // 24, DAY // 1440, DAY // 86_400
ACCEPTED = "a pandas alias such as h, 15min, D, B, W-SUN, MS, ME, QS, QE, YS, YE"

Kind = Literal["integer", "step", "months", "business"]


@dataclass(frozen=True)
class Freq:
    """One step of time.

    Parameters
    ----------
    kind : {"integer", "step", "months", "business"}
        Whole numbers, steps of equal length, calendar months, or weekdays.
    size : int
        Microseconds of a step, months of a step, or 1.
    anchor : {"", "start", "end"}
        Where in the month the stamps lie; empty for one same day of the month.
    rows : bool
        The row number of a series is its grid, and `kind` only lays the stamps of the future.
    """

    kind: Kind
    size: int = 1
    anchor: str = ""
    rows: bool = False

    @property
    def is_local(self) -> bool:
        """Whether steps are counted on the local clock, where days of 23 and 25 hours are one step."""
        return self.kind in ("months", "business") or (self.kind == "step" and self.size % DAY == 0)

    @property
    def season(self) -> int:
        """The period, in steps, that series of this frequency usually have; 1 where none is usual."""
        if self.kind == "months":
            return max(12 // self.size, 1)
        if self.kind == "business":
            return 5
        if self.kind == "integer":
            return 1
        for period, cycle in ((MINUTE, MINUTE), (5 * MINUTE, HOUR), (DAY, DAY), (7 * DAY, 7 * DAY)):
            if self.size < period:
                return max(cycle // self.size, 1)
        return max(round(365.25 * DAY / self.size), 1)

    @property
    def name(self) -> str:
        """The frequency as a person writes it; `parse` reads it back."""
        if self.kind == "integer":
            alias = "1"
        elif self.kind == "business":
            alias = "B"
        elif self.kind == "months":
            alias = f"{self.size}M{'' if not self.anchor else self.anchor[0].upper()}"
        else:
            units = ((7 * DAY, "W"), (DAY, "D"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"), (1000, "ms"), (1, "us"))
            length, unit = next((length, unit) for length, unit in units if self.size % length == 0)
            alias = f"{self.size // length}{unit}"
        return f"rows:{alias}" if self.rows else alias

    @classmethod
    def parse(cls, name: str) -> Freq:
        """Return the frequency of a name of ours or of a pandas alias."""
        if name.startswith("rows:"):
            return replace(cls.parse(name.removeprefix("rows:")), rows=True)
        if name == "1":
            return cls("integer")
        if name.endswith("M"):  # months on one same day; pandas has no alias for it
            return cls("months", int(name.removesuffix("M") or 1))
        try:
            offset = to_offset(name)
        except ValueError:
            offset = None
        return _from_offset(offset, name)

    def ordinals(self, stamps: np.ndarray) -> np.ndarray:
        """Return the number of each step since 1970, int64, same shape."""
        if self.kind == "integer":
            return stamps.astype(np.int64)
        if self.kind == "months":
            return stamps.astype("datetime64[M]").astype(np.int64) // self.size
        if self.kind == "business":
            return np.busday_count(np.datetime64(0, "D"), stamps.astype("datetime64[D]"))
        return stamps.astype(np.int64) // self.size

    def shift(self, stamps: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Return the stamps that lie so many steps later; both broadcast."""
        if self.kind == "integer":
            return stamps + steps
        if self.kind == "step":
            return stamps + (steps * self.size).astype("timedelta64[us]")
        days = stamps.astype("datetime64[D]")
        clock = stamps - days
        if self.kind == "business":
            return np.busday_offset(days, steps, roll="forward").astype("datetime64[us]") + clock
        months = days.astype("datetime64[M]") + steps * self.size
        first = months.astype("datetime64[D]")
        length = (months + 1).astype("datetime64[D]") - first
        day = days - days.astype("datetime64[M]").astype("datetime64[D]")
        last = length - np.timedelta64(1, "D")
        day = last if self.anchor == "end" else np.minimum(day, last)
        return (first + day).astype("datetime64[us]") + clock

    def off_grid(self, stamps: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return where a stamp is not a whole number of steps after its series' start, bool, same shape."""
        if self.kind == "integer":
            return np.zeros(stamps.shape, dtype=bool)
        if self.kind == "step":
            return (stamps - starts).astype(np.int64) % self.size != 0
        return self.shift(starts, self.ordinals(stamps) - self.ordinals(starts)) != stamps


def _from_offset(offset: pd.DateOffset | None, name: str) -> Freq:
    months = {
        offsets.MonthBegin: 1,
        offsets.MonthEnd: 1,
        offsets.QuarterBegin: 3,
        offsets.QuarterEnd: 3,
        offsets.YearBegin: 12,
        offsets.YearEnd: 12,
    }
    if type(offset) in months:
        anchor = "start" if "Begin" in type(offset).__name__ else "end"
        return Freq("months", months[type(offset)] * offset.n, anchor)
    if type(offset) is offsets.BusinessDay and offset.n == 1:
        return Freq("business")
    if type(offset) is offsets.Week:
        return Freq("step", 7 * DAY * offset.n)
    if isinstance(offset, (offsets.Tick, offsets.Day)):
        length = pd.Timedelta(days=offset.n) if isinstance(offset, offsets.Day) else pd.Timedelta(offset)
        size = length // pd.Timedelta(1, "us")
        if size > 0:
            return Freq("step", size)
    raise ConfigError(f"freq {name!r} is not a frequency. Give {ACCEPTED}.")


def infer_freq(stamps: np.ndarray, same_series: np.ndarray) -> Freq:
    """Return the frequency that most steps agree on.

    Parameters
    ----------
    stamps : ndarray of int64 or datetime64[us] (N,)
        Sorted by series, then time.
    same_series : ndarray of bool (N - 1,)
        Whether a row belongs to the series of the row before it.

    Raises
    ------
    DataError
        If no series has two rows, or fewer than half the steps agree.
    """
    if np.issubdtype(stamps.dtype, np.integer):
        return Freq("integer")
    steps = np.diff(stamps)[same_series].astype(np.int64)
    if not len(steps):
        raise DataError(f"no series has two rows, so the frequency cannot be inferred. Name it: freq is {ACCEPTED}.")
    lengths, counts = np.unique(steps, return_counts=True)
    commonest = int(lengths[counts.argmax()])
    months = _months(commonest)
    agree = np.isin(lengths, commonest) if not months else np.isin([_months(step) for step in lengths], months)
    if counts[agree].sum() * 2 < counts.sum():
        raise DataError(
            f"only {counts[agree].sum()} of {counts.sum()} time steps are {pd.Timedelta(commonest, 'us')} long, so the "
            f"frequency cannot be inferred. Name it (freq is {ACCEPTED}), or let rows be the grid: gaps is 'rows'."
        )
    if months:
        return Freq("months", months, _anchor(stamps))
    if commonest == DAY and len(steps) >= 5 and on_weekdays(stamps):
        return Freq("business")
    return Freq("step", commonest)


def on_weekdays(stamps: np.ndarray) -> bool:
    """Return whether no stamp lies on a Saturday or Sunday."""
    return bool(np.is_busday(stamps.astype("datetime64[D]")).all())


def _months(step: int) -> int:
    """Return the calendar months that a step spans: 1, 3, 6, 12, or 0 where it is none of these."""
    days = step / DAY
    for months, (shortest, longest) in {1: (28, 31), 3: (89, 92), 6: (181, 184), 12: (365, 366)}.items():
        if shortest <= days <= longest and step % DAY == 0 and days != 28:
            return months
    return 0


def _anchor(stamps: np.ndarray) -> str:
    days = stamps.astype("datetime64[D]")
    if (days == days.astype("datetime64[M]").astype("datetime64[D]")).all():
        return "start"
    if ((days + 1).astype("datetime64[M]") > days.astype("datetime64[M]")).all():
        return "end"
    return ""
