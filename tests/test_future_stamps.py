"""A forecast goes on with the stamps of the calendar, whatever that is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.data.columns import Columns
from forecast.data.freq import Freq
from forecast.data.panel import Panel

# How a series goes on: its freq (None: inferred), zone, its first stamp, its rows, and its next stamps in words
FUTURES = {
    "yearly by start": ("YS", None, "2019-01-01", 5, ["2024-01-01", "2025-01-01", "2026-01-01"]),
    "yearly by end": ("YE", None, "2018-12-31", 5, ["2023-12-31", "2024-12-31"]),
    "quarterly by start": ("QS", None, "2022-01-01", 8, ["2024-01-01", "2024-04-01", "2024-07-01", "2024-10-01"]),
    "quarterly by end": ("QE", None, "2022-03-31", 7, ["2023-12-31", "2024-03-31", "2024-06-30", "2024-09-30"]),
    "quarters from February": ("QS-FEB", None, "2022-02-01", 7, ["2023-11-01", "2024-02-01"]),
    "monthly by start": ("MS", None, "2023-01-01", 12, ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"]),
    "monthly by end": ("ME", None, "2023-01-31", 12, ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]),
    "weeks that end on Monday": ("W-MON", None, "2024-01-01", 8, ["2024-02-26", "2024-03-04"]),
    "weeks that end on Tuesday": ("W-TUE", None, "2024-01-02", 8, ["2024-02-27", "2024-03-05"]),
    "weeks that end on Wednesday": ("W-WED", None, "2024-01-03", 8, ["2024-02-28", "2024-03-06"]),
    "weeks that end on Thursday": ("W-THU", None, "2024-01-04", 8, ["2024-02-29", "2024-03-07"]),
    "weeks that end on Friday": ("W-FRI", None, "2024-01-05", 8, ["2024-03-01", "2024-03-08"]),
    "weeks that end on Saturday": ("W-SAT", None, "2024-01-06", 8, ["2024-03-02", "2024-03-09"]),
    "weeks that end on Sunday": ("W-SUN", None, "2024-01-07", 8, ["2024-03-03", "2024-03-10"]),
    "business days": ("B", None, "2024-02-01", 21, ["2024-03-01", "2024-03-04"]),
    "daily": ("D", None, "2024-04-01", 29, ["2024-04-30", "2024-05-01"]),
    "hourly": ("h", None, "2023-12-30", 47, ["2023-12-31 23:00", "2024-01-01 00:00", "2024-01-01 01:00"]),
    "every 15 minutes": ("15min", None, "2024-04-30 20:00", 14, ["2024-04-30 23:30", "2024-04-30 23:45", "2024-05-01"]),
    "seconds": ("s", None, "2023-12-31 23:59:30", 29, ["2023-12-31 23:59:59", "2024-01-01 00:00:00"]),
    "milliseconds": ("250ms", None, "2023-12-31 23:59:58", 7, ["2023-12-31 23:59:59.750", "2024-01-01 00:00:00"]),
    "a leap day by days": ("D", None, "2024-02-01", 27, ["2024-02-28", "2024-02-29", "2024-03-01"]),
    "no leap day by days": ("D", None, "2023-02-01", 27, ["2023-02-28", "2023-03-01"]),
    "a leap day by hours": (
        "12h",
        None,
        "2024-02-20",
        17,
        ["2024-02-28 12:00", "2024-02-29 00:00", "2024-02-29 12:00"],
    ),
    "a day of 23 hours by days": (
        *("D", "Europe/Berlin", "2024-03-20", 11),
        ["2024-03-31 00:00+01:00", "2024-04-01 00:00+02:00", "2024-04-02 00:00+02:00"],
    ),
    "a day of 25 hours by days": (
        *("D", "Europe/Berlin", "2024-10-20", 7),
        ["2024-10-27 00:00+02:00", "2024-10-28 00:00+01:00", "2024-10-29 00:00+01:00"],
    ),
    "an hour that does not exist, by days": (  # it becomes the first one that does
        *("D", "Europe/Berlin", "2024-03-20 02:30", 11),
        ["2024-03-31 03:00+02:00", "2024-04-01 02:30+02:00"],
    ),
    "a day of 23 hours by hours": (
        *("h", "Europe/Berlin", "2024-03-30", 25),
        ["2024-03-31 01:00+01:00", "2024-03-31 03:00+02:00", "2024-03-31 04:00+02:00"],
    ),
    "a day of 25 hours by hours": (
        *("h", "Europe/Berlin", "2024-10-26", 26),
        ["2024-10-27 02:00+02:00", "2024-10-27 02:00+01:00", "2024-10-27 03:00+01:00"],
    ),
    "months across a change of the clock": (
        *("MS", "America/New_York", "2023-05-01", 10),
        ["2024-03-01 00:00-05:00", "2024-04-01 00:00-04:00"],
    ),
}


@pytest.mark.parametrize("named", [False, True], ids=["inferred", "named"])
@pytest.mark.parametrize("case", FUTURES)
def test_a_forecast_goes_on_with_the_stamps_of_the_calendar(case: str, named: bool) -> None:
    alias, zone, start, rows, ahead = FUTURES[case]
    times = pd.date_range(start, periods=rows, freq=alias, tz=zone)
    column = _future(pd.DataFrame({"ds": times, "y": 1.0}), len(ahead), freq=alias if named else None)
    assert column.dtype == times.dtype
    assert [str(time) for time in column] == [str(pd.Timestamp(text)) for text in ahead]


def test_a_forecast_of_whole_numbers_counts_on() -> None:
    frame = pd.DataFrame({"ds": [7, 8, 9, 11], "y": 1.0})
    assert _future(frame, 3).tolist() == _future(frame, 3, freq="1").tolist() == [12, 13, 14]


def test_leap_days_by_the_year_and_by_the_29th() -> None:
    yearly = pd.DataFrame({"ds": pd.to_datetime(["2020-02-29", "2021-02-28", "2022-02-28", "2023-02-28"]), "y": 1.0})
    assert _days(_future(yearly, 2)) == ["2024-02-29", "2025-02-28"]
    monthly = pd.DataFrame({"ds": pd.to_datetime(["2023-10-29", "2023-11-29", "2023-12-29"]), "y": 1.0})
    assert _days(_future(monthly, 3)) == ["2024-01-29", "2024-02-29", "2024-03-29"]


@pytest.mark.parametrize(
    ("last", "ahead"),
    [
        ("2001-09-10", ["2001-09-17", "2001-09-18"]),  # closed from 11 to 14 September
        ("2018-12-03", ["2018-12-04", "2018-12-06", "2018-12-07"]),  # a day of mourning
        ("2023-11-21", ["2023-11-22", "2023-11-24", "2023-11-27"]),  # Thanksgiving; the day after is short
        ("2024-12-23", ["2024-12-24", "2024-12-26"]),
        ("2041-07-02", ["2041-07-03", "2041-07-05", "2041-07-08"]),
        ("1975-05-22", ["1975-05-23", "1975-05-27"]),  # Memorial Day
    ],
)
@pytest.mark.parametrize("clock", ["00:00", "16:00"])
def test_trading_days_skip_the_days_on_which_the_exchange_is_closed(last: str, ahead: list[str], clock: str) -> None:
    days = Freq.parse("XNYS").shift(np.datetime64(last, "us"), np.arange(-9, 1))
    frame = pd.DataFrame({"ds": days + pd.Timedelta(f"{clock}:00").to_timedelta64(), "y": 1.0})
    column = _future(frame, len(ahead), freq="XNYS")
    assert [str(time) for time in column] == [f"{day} {clock}:00" for day in ahead]


def test_zoned_trading_days_keep_their_local_hour() -> None:
    closes = pd.to_datetime(["2024-03-06 16:00", "2024-03-07 16:00", "2024-03-08 16:00"]).tz_localize(
        "America/New_York"
    )
    column = _future(pd.DataFrame({"ds": closes, "y": 1.0}), 2, freq="XNYS")
    assert [str(time) for time in column] == ["2024-03-11 16:00:00-04:00", "2024-03-12 16:00:00-04:00"]


def test_an_exchange_may_lay_the_future_of_rows() -> None:
    days = pd.to_datetime(["2024-06-28", "2024-06-29", "2024-07-01", "2024-07-03"])  # a Saturday, and one day missing
    frame = pd.DataFrame({"ds": days, "y": 1.0})
    for options in ({"freq": "rows:XNYS"}, {"freq": "NYSE", "columns": Columns(gaps="rows")}):
        panel = Panel.from_frame(frame, **options)  # type: ignore[arg-type]
        assert (panel.freq.name, panel.absent, len(panel.target)) == ("rows:XNYS", 0, 4)
        stamps = panel.stamps(np.zeros(6, int), np.arange(6)).astype("datetime64[D]").astype(str)
        assert stamps.tolist() == [*days.strftime("%Y-%m-%d"), "2024-07-05", "2024-07-08"]
    weekend = pd.DataFrame({"ds": days[:2], "y": 1.0})
    assert _days(_future(weekend, 1, freq="rows:XNYS")) == ["2024-07-01"]


def _future(frame: pd.DataFrame, steps: int, freq: str | None = None) -> pd.Series:
    """The time column of a forecast of the only series."""
    panel = Panel.from_frame(frame, freq=freq)
    return panel.stamp_column(panel.stamps(np.zeros(steps, int), panel.ends[0] + np.arange(steps)))


def _days(column: pd.Series) -> list[str]:
    return column.dt.strftime("%Y-%m-%d").tolist()
