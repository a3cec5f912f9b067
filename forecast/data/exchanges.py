"""Trading days of exchanges, from the package exchange_calendars (extra `exchanges`)."""

from __future__ import annotations

import re
import warnings
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecast.errors import ConfigError, DataError

EXTRA = "pip install 'recurrent-forecast[exchanges]'"
NAME = re.compile(r"[A-Z]{3,6}|24/[57]|us_futures")  # what may be an exchange; only these load the package
EARLIEST, LATEST = pd.Timestamp("1885-01-01"), pd.Timestamp("2100-12-31")  # where an exchange has no limits itself


class Sessions(NamedTuple):
    """The trading days of an exchange: all of them until `last`, a day, and how many a full week has."""

    days: np.ndarray
    last: np.datetime64
    a_week: int


def find(name: str) -> tuple[str, str]:
    """Return the own name of an exchange, "" where there is none, and then what to add to an error about it.

    Parameters
    ----------
    name : str
        A name or an alias that exchange_calendars knows: XNYS, NYSE.
    """
    if not NAME.fullmatch(name):
        return "", ""
    try:
        import exchange_calendars
    except ImportError:
        return "", f" If it is an exchange: its trading days need a package that is not installed: {EXTRA}."
    known = exchange_calendars.get_calendar_names(include_aliases=True)
    if name in known:
        return str(exchange_calendars.resolve_alias(name)), ""
    nearest = get_close_matches(name, known, n=3, cutoff=0.7)
    return "", f" Exchanges with a like name: {', '.join(nearest)}." if nearest else ""


@lru_cache(maxsize=16)
def sessions(exchange: str) -> Sessions:
    """Return the trading days of an exchange, as far back and ahead as the package knows them.

    Raises
    ------
    ConfigError
        If the package that is installed cannot lay them.
    """
    import exchange_calendars

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package calls what pandas is about to drop
            usual = exchange_calendars.get_calendar(exchange)
            first, last = usual.bound_min() or EARLIEST, usual.bound_max() or LATEST
            calendar = exchange_calendars.get_calendar(exchange, start=first, end=last)
    except (NotImplementedError, ValueError) as error:
        raise ConfigError(
            f"freq {exchange!r}: the exchange_calendars that is installed cannot lay the trading days of this exchange "
            f"({type(error).__name__}). Install another version of it, or name another freq, such as B."
        ) from error
    days = calendar.sessions.to_numpy().astype("datetime64[D]")
    return Sessions(days, np.datetime64(last, "D"), calendar.weekmask.count("1"))


def numbers(exchange: str, days: np.ndarray) -> np.ndarray:
    """Return which session lies on each day, or is the last one before it: int64, 0 the first known."""
    known = sessions(exchange)
    outside = (days < known.days[0]) | (days > known.last)
    if outside.any():
        raise _beyond(exchange, str(np.atleast_1d(days)[np.atleast_1d(outside)][0]))
    return np.searchsorted(known.days, days, side="right") - 1


def days_of(exchange: str, numbers_: np.ndarray) -> np.ndarray:
    """Return the days of sessions, datetime64[D]."""
    known = sessions(exchange).days
    later = np.max(numbers_, initial=0) >= len(known)
    if later or np.min(numbers_, initial=0) < 0:
        raise _beyond(exchange, "a later one" if later else "an earlier one")
    return known[numbers_]


def _beyond(exchange: str, what: str) -> DataError:
    known = sessions(exchange)
    return DataError(
        f"the trading days of {exchange} are known from {known.days[0]} to {known.last}, and {what} is asked for. "
        "Give stamps and a horizon within them, or name another freq, such as B."
    )
