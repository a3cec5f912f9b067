"""What the clock and the calendar say of a time, by which errors are told apart."""

from __future__ import annotations

import pandas as pd

from forecast.data.freq import Freq

UNITS = ("hour", "weekday", "month")


def units_of(times: pd.Series, freq: Freq) -> dict[str, pd.Series]:
    """Return the hour (0 to 23), weekday (1 is Monday) and month (1 is January) of times, each in the zone of the data.

    What is the same at all times is left out, as are the weekdays and hours of the first or last days of months, and
    everything where times are whole numbers.
    """
    if freq.kind == "integer":
        return {}
    clock = times.dt
    found = {"month": clock.month}
    if freq.kind != "months":
        found |= {"hour": clock.hour, "weekday": clock.day_of_week + 1}
    return {unit: found[unit] for unit in UNITS if unit in found and found[unit].nunique() > 1}
