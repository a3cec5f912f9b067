"""Time as a grid: from timestamps or whole numbers to step numbers, and from steps back to timestamps."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.tseries import offsets
from pandas.tseries.frequencies import to_offset

from forecast.data import exchanges
from forecast.errors import ConfigError, DataError

DAY = 86_400_000_000  # microseconds, the unit of every stamp in here
HOUR, MINUTE, SECOND = DAY // 24, DAY // 1440, DAY // 86_400
WEEK, YEAR = 7 * DAY, 365.25 * DAY
UNITS = {WEEK: "W", DAY: "D", HOUR: "h", MINUTE: "min", SECOND: "s", 1000: "ms", 1: "us"}
ACCEPTED = "a pandas alias such as h, 15min, D, B, W-SUN, MS, ME, QS, QE, YS, YE, or an exchange such as XNYS"

Kind = Literal["integer", "step", "months", "business", "sessions"]


@dataclass(frozen=True)
class Freq:
    """One step of time.

    Parameters
    ----------
    kind : {"integer", "step", "months", "business", "sessions"}
        Whole numbers, steps of equal length, calendar months, weekdays, or trading days of an exchange.
    size : int
        Microseconds of a step, months of a step, or 1.
    anchor : int
        Day of the month of every stamp, 31 for its last; 0 for the day on which each series starts.
    rows : bool
        The row number of a series is its grid, and `kind` only lays the stamps of the future.
    exchange : str
        Whose trading days are the steps: a name of the package exchange_calendars.
    """

    kind: Kind
    size: int = 1
    anchor: int = 0
    rows: bool = False
    exchange: str = ""

    @property
    def is_local(self) -> bool:
        """Whether steps are counted on the local clock, where days of 23 and 25 hours are one step."""
        return self.kind in ("months", "business", "sessions") or (self.kind == "step" and self.size % DAY == 0)

    @property
    def follows_start(self) -> bool:
        """Whether each series lies on the day of the month on which it starts."""
        return self.kind == "months" and not self.anchor

    @property
    def season(self) -> int:
        """The period, in steps, that series of this frequency usually have; 1 where none is usual."""
        if self.kind == "business":
            return 5
        if self.kind == "sessions":
            return exchanges.sessions(self.exchange).a_week
        if self.kind == "integer" or (self.kind == "step" and self.size < SECOND):
            return 1
        if self.kind == "step" and self.size >= WEEK:
            return max(round(YEAR / self.size), 1)
        size = self.size
        if self.kind == "months":
            cycle = 12
        else:
            cycle = MINUTE if size < MINUTE else HOUR if size < 5 * MINUTE else DAY if size < DAY else WEEK
        return cycle // size if cycle % size == 0 else 1

    @property
    def name(self) -> str:
        """The frequency as a person writes it; `parse` reads it back."""
        if self.kind == "integer":
            alias = "1"
        elif self.kind == "business":
            alias = "B"
        elif self.kind == "sessions":
            alias = self.exchange
        elif self.kind == "months":
            day = {0: "", 1: "S", 31: "E"}.get(self.anchor, self.anchor)
            alias = f"{self.size}M{day}"
        else:
            length, unit = next((length, unit) for length, unit in UNITS.items() if self.size % length == 0)
            alias = f"{self.size // length}{unit}"
        return f"rows:{alias}" if self.rows else alias

    @classmethod
    def parse(cls, name: str) -> Freq:
        """Return the frequency of a name of ours, of a pandas alias or of an exchange.

        Raises
        ------
        ConfigError
            If the name is none of them.
        """
        name = str(name)  # yaml reads 1 as a number
        if name.startswith("rows:"):
            return replace(cls.parse(name.removeprefix("rows:")), rows=True)
        if name == "1":
            return cls("integer")
        same_day = re.fullmatch(r"([1-9]\d*)?M([12]\d|30|[2-9])?", name)  # pandas has no alias for it
        if same_day:
            return cls("months", int(same_day[1] or 1), int(same_day[2] or 0))
        try:
            offset = to_offset(name)
        except ValueError:
            offset = None
        freq = _from_offset(offset)
        if freq is None:
            exchange, note = exchanges.find(name)
            if not exchange:
                raise ConfigError(f"freq {name!r} is not a frequency. Give {ACCEPTED}.{note}")
            exchanges.sessions(exchange)  # refuses one that cannot be laid
            freq = cls("sessions", exchange=exchange)
        return freq

    def ordinals(self, stamps: np.ndarray) -> np.ndarray:
        """Return the number of each step since 1970, int64, same shape."""
        if self.kind == "integer":
            return stamps.astype(np.int64)
        if self.kind == "months":
            return stamps.astype("datetime64[M]").astype(np.int64) // self.size
        if self.kind == "business":
            return np.busday_count(np.datetime64(0, "D"), stamps.astype("datetime64[D]"))
        if self.kind == "sessions":
            since = np.searchsorted(exchanges.sessions(self.exchange).days, np.datetime64(0, "D"))
            return exchanges.numbers(self.exchange, stamps.astype("datetime64[D]")) - since
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
        if self.kind == "sessions":
            ahead = exchanges.days_of(self.exchange, exchanges.numbers(self.exchange, days) + steps)
            return ahead.astype("datetime64[us]") + clock
        months = days.astype("datetime64[M]") + steps * self.size
        first = months.astype("datetime64[D]")
        last = (months + 1).astype("datetime64[D]") - first - np.timedelta64(1, "D")
        if self.anchor:
            day = np.timedelta64(self.anchor - 1, "D")
        else:
            day = days - days.astype("datetime64[M]").astype("datetime64[D]")
        return (first + np.minimum(day, last)).astype("datetime64[us]") + clock

    def off_grid(self, stamps: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return where a stamp is not a whole number of steps after its series' start, bool, same shape."""
        if self.kind == "integer":
            return np.zeros(stamps.shape, dtype=bool)
        if self.kind == "step":
            return (stamps - starts).astype(np.int64) % self.size != 0
        return self.shift(starts, self.ordinals(stamps) - self.ordinals(starts)) != stamps


def _from_offset(offset: Any) -> Freq | None:
    months = {
        offsets.MonthBegin: 1,
        offsets.MonthEnd: 1,
        offsets.QuarterBegin: 3,
        offsets.QuarterEnd: 3,
        offsets.YearBegin: 12,
        offsets.YearEnd: 12,
    }
    if type(offset) in months and offset.n > 0:
        anchor = 1 if "Begin" in type(offset).__name__ else 31
        return Freq("months", months[type(offset)] * offset.n, anchor)
    if type(offset) is offsets.BusinessDay and offset.n == 1:
        return Freq("business")
    if isinstance(offset, offsets.Week) and offset.n > 0:
        return Freq("step", WEEK * offset.n)
    if isinstance(offset, (offsets.Tick, offsets.Day)):
        length = pd.Timedelta(days=offset.n) if isinstance(offset, offsets.Day) else pd.Timedelta(offset)
        size, rest = divmod(length, pd.Timedelta(1, "us"))
        if size > 0 and not rest:
            return Freq("step", int(size))
    return None


def infer_freq(stamps: np.ndarray, same_series: np.ndarray, *, rows: bool = False) -> Freq:
    """Return the frequency that most steps agree on.

    Parameters
    ----------
    stamps : ndarray of int64 or datetime64[us] (N,)
        Sorted by series, then time; on the local clock where there is a zone.
    same_series : ndarray of bool (N - 1,)
        Whether a row belongs to the series of the row before it.
    rows : bool
        The row number is the grid: days that are never Saturdays or Sundays are then business days.

    Raises
    ------
    DataError
        If no series has two rows, or fewer than half the steps agree.
    """
    if np.issubdtype(stamps.dtype, np.integer):
        return Freq("integer")
    forward = same_series & (stamps[1:] > stamps[:-1])  # the local clock may go back
    before, after = stamps[:-1][forward], stamps[1:][forward]
    steps = (after - before).astype(np.int64)
    if not len(steps):
        raise DataError(f"no series has two rows, so no frequency can be inferred. Name it: data.freq is {ACCEPTED}.")
    lengths, counts = np.unique(steps, return_counts=True)
    commonest = int(lengths[counts.argmax()])
    if rows and DAY <= commonest < WEEK and on_weekdays(stamps):
        return Freq("business")
    candidates = [Freq("step", commonest)]
    months = round(commonest * 12 / YEAR)
    if months:  # the calendar first: where both explain the steps, months are meant
        candidates.insert(0, Freq("months", months, _anchor(stamps)))
    agree = [int((freq.shift(before, np.ones(1, np.int64)) == after).sum()) for freq in candidates]
    best = int(np.argmax(agree))
    if agree[best] * 2 < len(steps):
        way_out = "." if rows else ", or let rows be the grid (columns.gaps=rows)."
        raise DataError(
            f"only {agree[best]} of {len(steps)} time steps are {pd.Timedelta(commonest, 'us')} long, so no "
            f"frequency can be inferred. Name it (data.freq is {ACCEPTED}){way_out}"
        )
    if commonest == DAY and on_weekdays(stamps) and _skips_weekends(before, after):
        return Freq("business")
    return candidates[best]


def on_weekdays(stamps: np.ndarray) -> bool:
    """Return whether no stamp lies on a Saturday or Sunday."""
    return bool(np.is_busday(stamps.astype("datetime64[D]")).all())


def _skips_weekends(before: np.ndarray, after: np.ndarray) -> bool:
    before, after = before.astype("datetime64[D]"), after.astype("datetime64[D]")
    return bool((np.busday_count(before, after) < (after - before).astype(np.int64)).any())


def _anchor(stamps: np.ndarray) -> int:
    """Return the day of the month on which all stamps lie, 31 for its last day, 0 where they differ."""
    days = stamps.astype("datetime64[D]")
    first = days.astype("datetime64[M]")
    day = (days - first.astype("datetime64[D]")).astype(np.int64) + 1
    if ((days + 1).astype("datetime64[M]") > first).all():
        return 31
    latest = int(day.max())
    length = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    return latest if (day == np.minimum(latest, length)).all() else 0
