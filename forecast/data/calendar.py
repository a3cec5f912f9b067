"""What the calendar alone tells of a step, ahead as well as behind: positions in its cycles, and holidays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from forecast.data.freq import DAY, HOUR, MINUTE, WEEK, Freq
from forecast.errors import ConfigError, ExtraError, unknown_name

YEAR = 365 * DAY
CODES = "/codes"
EXTRA = "pip install 'recurrent-forecast[holidays]'"


class Cycle(NamedTuple):
    """A cycle of the calendar: its length in microseconds, its name, and how many positions have a code."""

    length: int
    name: str
    positions: int


CYCLES = {
    "second_of_minute": Cycle(MINUTE, "minute", 60),
    "minute_of_hour": Cycle(HOUR, "hour", 60),
    "hour_of_day": Cycle(DAY, "day", 24),
    "day_of_week": Cycle(WEEK, "week", 7),
    "day_of_month": Cycle(30 * DAY, "month", 31),
    "week_of_year": Cycle(YEAR, "year", 53),
    "day_of_year": Cycle(YEAR, "year", 366),
    "month_of_year": Cycle(YEAR, "year", 12),
    "quarter_of_year": Cycle(YEAR, "year", 4),
}
AUTO = {  # taken where a step is shorter than this
    "second_of_minute": MINUTE,
    "minute_of_hour": 5 * MINUTE,
    "hour_of_day": DAY,
    "day_of_week": WEEK,
    "day_of_year": YEAR,
}


def chosen(setting: str | Sequence[str], freq: Freq, steps: int) -> tuple[str, ...]:
    """Return the names of the features that a setting means.

    Parameters
    ----------
    setting : str or sequence of str
        "auto", or names of `CYCLES`: each becomes a sine and a cosine, or with the suffix /codes a code.
    freq : Freq
        "auto" takes what varies from step to step, and names are checked against it.
    steps : int
        Of the longest series. "auto" takes a cycle only if they hold two of it: a position that is never seen
        in training must not steer a forecast.

    Raises
    ------
    ConfigError
        If a name is unknown, named twice, or says nothing about steps of this frequency.
    """
    if setting == "auto":
        if freq.kind == "integer":
            return ()
        length = _length(freq)
        usual = {"month_of_year": YEAR} if freq.kind == "months" else AUTO
        return tuple(
            name for name, limit in usual.items() if length < limit and steps >= round(2 * CYCLES[name].length / length)
        )
    names = (setting,) if isinstance(setting, str) else tuple(setting)
    for name in names:
        _refuse(name, names, freq)
    return names


def features(names: Sequence[str], stamps: np.ndarray, freq: Freq, zone: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Return where stamps lie in the cycles of the calendar.

    Parameters
    ----------
    names : sequence of str
        As `chosen` returns them.
    stamps : ndarray of datetime64[us] (N,)
        As `Panel.stamps` returns them: on the local clock where the frequency is, else UTC.
    zone : time zone
        Where there is one, positions are those on its clock.

    Returns
    -------
    Sine and cosine of each name without /codes (N, W) float32; codes from 1 of each name with it (N, W') int64.
    """
    width, cardinalities = widths(names)
    waves, codes = np.empty((len(stamps), width), np.float32), np.empty((len(stamps), len(cardinalities)), np.int64)
    if not names:
        return waves, codes
    local = _on_clock(stamps, freq, zone)
    days = local.astype("datetime64[D]")
    clock = (local - days).astype(np.int64)
    table, place = _distinct(days)
    laid = coded = 0
    for name in names:
        cycle = name.removesuffix(CODES)
        length, _, positions = CYCLES[cycle]
        take: np.ndarray | slice = place
        if length <= DAY:
            within = clock % length
            share, code, take = within / length, within // (length // positions) + 1, slice(None)
        else:
            share, code = _of_days(cycle, table)
        if name.endswith(CODES):
            codes[:, coded] = code[take]
            coded += 1
        else:
            waves[:, laid] = np.sin(2 * np.pi * share)[take]
            waves[:, laid + 1] = np.cos(2 * np.pi * share)[take]
            laid += 2
    return waves, codes


def widths(names: Sequence[str]) -> tuple[int, tuple[int, ...]]:
    """Return how many numbers features have, and how many codes each coded one has, code 0 included."""
    coded = tuple(CYCLES[name.removesuffix(CODES)].positions + 1 for name in names if name.endswith(CODES))
    return 2 * (len(names) - len(coded)), coded


def holidays_of(country: str, stamps: np.ndarray, freq: Freq, zone: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Return how many days with a public holiday steps hold, and its name where a step is a day or shorter.

    A longer step reaches from its stamp until the next one; months named by their last day end with it.

    Parameters
    ----------
    country : str
        An ISO code, "US", or one with a subdivision, "US-CA".
    stamps, freq, zone
        As in `features`.

    Returns
    -------
    Counts (N,) float32; names (N,) object, "" where a step has no holiday or is longer than a day.

    Raises
    ------
    ConfigError
        If the country is unknown, time has no calendar, or the package holidays is not installed.
    """
    if freq.kind == "integer":
        raise ConfigError(f"holidays {country!r} need timestamps, and time is whole numbers. Leave holidays out.")
    names = np.full(len(stamps), "", dtype=object)
    if not len(stamps):
        return np.zeros(0, np.float32), names
    begins, ends = _days_held(stamps, freq, zone)
    first, last = begins.min(), ends.max()
    years = np.array([first, last]).astype("datetime64[Y]").astype(np.int64) + 1970
    found = _holidays(country, int(years[0]), int(years[1]))
    table = np.full(int((last - first).astype(np.int64)) + 1, "", dtype=object)
    for day, name in found.items():
        if first <= day <= last:
            table[int((day - first).astype(np.int64))] = name
    before = np.concatenate([[0], np.cumsum(table != "")])
    begins, ends = (begins - first).astype(np.int64), (ends - first).astype(np.int64)
    counts = (before[ends] - before[begins]).astype(np.float32)
    return counts, table[begins] if _is_daily(freq) else names


def local_clock(stamps: np.ndarray, zone: Any) -> np.ndarray:
    """Return UTC stamps on the clock of a time zone, datetime64[us]."""
    times = pd.DatetimeIndex(stamps, tz="UTC").tz_convert(zone).tz_localize(None)
    return times.to_numpy().astype("datetime64[us]")


def _on_clock(stamps: np.ndarray, freq: Freq, zone: Any) -> np.ndarray:
    return stamps if zone is None or freq.is_local else local_clock(stamps, zone)


def _length(freq: Freq) -> int:
    """Return how long a step is, microseconds."""
    if freq.kind == "months":
        return YEAR * freq.size // 12
    if freq.kind in ("business", "sessions"):
        return YEAR // (50 * freq.season)  # holidays are no steps, or take a few weeks of the year
    return freq.size


def _refuse(name: str, names: tuple[str, ...], freq: Freq) -> None:
    """Refuse a name that does not exist, stands twice, or says the same of every step."""
    known = [*CYCLES, *(cycle + CODES for cycle in CYCLES)]
    if name not in known:
        raise ConfigError(unknown_name("calendar feature", name, known))
    if names.count(name) > 1:
        raise ConfigError(f"calendar names {name!r} twice. Name it once.")
    if freq.kind == "integer":
        raise ConfigError(
            f"calendar {name!r} needs timestamps, and time is whole numbers. Leave calendar out, or name none."
        )
    cycle = CYCLES[name.removesuffix(CODES)]
    if cycle.length <= _length(freq):
        raise ConfigError(
            f"calendar {name!r} says nothing about freq {freq.name!r}: a step is not shorter than a {cycle.name}. "
            "Leave it out."
        )


def _distinct(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return days to work on, and where in them each day lies: every day of the span, where these are fewer."""
    if len(days):
        first, last = days.min(), days.max()
        if (last - first).astype(np.int64) < len(days):
            return np.arange(first, last + 1), (days - first).astype(np.int64)
    return days, np.arange(len(days))


def _of_days(cycle: str, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which share of its cycle has passed before each day, and the code of its position."""
    weekday = (days.astype(np.int64) + 3) % 7  # 1970 began on a Thursday
    months, years = days.astype("datetime64[M]"), days.astype("datetime64[Y]")
    if cycle == "day_of_week":
        return weekday / 7, weekday + 1
    if cycle == "week_of_year":
        thursday = days - weekday + 3  # the ISO week belongs to the year of its Thursday
        week = _day_of(thursday.astype("datetime64[Y]"), thursday) // 7
        return week / _weeks(thursday.astype("datetime64[Y]")), week + 1
    if cycle == "day_of_month":
        day = _day_of(months, days)
        return day / _days(months), day + 1
    if cycle == "day_of_year":
        day, length = _day_of(years, days), _days(years)
        return day / length, day + 1 + ((length == 365) & (day >= 59))  # 1 March has one code in every year
    month = (months - years).astype(np.int64)
    if cycle == "quarter_of_year":
        return month // 3 / 4, month // 3 + 1
    return month / 12, month + 1


def _day_of(periods: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Return the number of each day in its period, from 0."""
    return (days - periods.astype("datetime64[D]")).astype(np.int64)


def _days(periods: np.ndarray) -> np.ndarray:
    """Return how many days periods have."""
    return _day_of(periods, (periods + 1).astype("datetime64[D]"))


def _weeks(years: np.ndarray) -> np.ndarray:
    """Return how many ISO weeks years have: as many as Thursdays."""
    first = years.astype("datetime64[D]").astype(np.int64)
    return (first + _days(years) + 6) // 7 - (first + 6) // 7


def _is_daily(freq: Freq) -> bool:
    return freq.kind in ("business", "sessions") or (freq.kind == "step" and freq.size <= DAY)


def _days_held(stamps: np.ndarray, freq: Freq, zone: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the first day of each step, and the first day after it: datetime64[D]."""
    one = np.ones(1, np.int64)
    days = _on_clock(stamps, freq, zone).astype("datetime64[D]")
    if _is_daily(freq):
        return days, days + 1
    if freq.kind == "months" and freq.anchor == 31:
        return freq.shift(stamps, -one).astype("datetime64[D]") + 1, days + 1
    return days, _on_clock(freq.shift(stamps, one), freq, zone).astype("datetime64[D]")


def _holidays(country: str, first: int, last: int) -> dict[np.datetime64, str]:
    """Return the names of the holidays of a country by their days, from the year `first` to the year `last`."""
    try:
        import holidays
    except ImportError:
        raise ExtraError(f"holidays {country!r} need a package that is not installed: {EXTRA}.") from None
    code, _, subdivision = country.partition("-")
    known = holidays.list_supported_countries(include_aliases=True)
    if code not in known:
        shown = holidays.list_supported_countries(include_aliases=False)
        raise ConfigError(f"{unknown_name('country', code, shown)} These are ISO codes; a subdivision follows: US-CA.")
    try:
        found = holidays.country_holidays(
            code,
            subdiv=subdivision or None,
            years=range(first - 1, last + 2),  # a holiday of January may be observed in December
            language="en_US",  # left open, the names would be those of the machine's language
        )
    except NotImplementedError:
        if not known[code]:
            raise ConfigError(f"{code} has no subdivisions, got {country!r}. Give {code}.") from None
        raise ConfigError(unknown_name(f"subdivision of {code}", subdivision, known[code])) from None
    return {np.datetime64(day, "D"): _named(name) for day, name in found.items()}


def _named(holiday: str) -> str:
    """Return the name of a holiday without the remark that its day is an estimate, as days ahead often are."""
    return holiday.replace(" (estimated)", "").replace(", estimated)", ")")
