"""Stamps become steps of a grid and come back, by the calendar."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from frames import made_frame

from forecast.data import exchanges
from forecast.data.columns import Columns
from forecast.data.freq import DAY, HOUR, MINUTE, SECOND, Freq, infer_freq
from forecast.data.panel import Panel
from forecast.errors import ConfigError, DataError

# alias, first stamp, frequency, name, season, the first three stamps in words
CALENDARS = [
    ("YS", "2019-01-01", Freq("months", 12, 1), "12MS", 1, ["2019-01-01", "2020-01-01", "2021-01-01"]),
    ("YE", "2019-12-31", Freq("months", 12, 31), "12ME", 1, ["2019-12-31", "2020-12-31", "2021-12-31"]),
    ("YE-JUN", "2019-06-30", Freq("months", 12, 31), "12ME", 1, ["2019-06-30", "2020-06-30", "2021-06-30"]),
    ("2YS", "2016-01-01", Freq("months", 24, 1), "24MS", 1, ["2016-01-01", "2018-01-01", "2020-01-01"]),
    ("QS", "2024-01-01", Freq("months", 3, 1), "3MS", 4, ["2024-01-01", "2024-04-01", "2024-07-01"]),
    ("QS-FEB", "2024-02-01", Freq("months", 3, 1), "3MS", 4, ["2024-02-01", "2024-05-01", "2024-08-01"]),
    ("QE", "2023-12-31", Freq("months", 3, 31), "3ME", 4, ["2023-12-31", "2024-03-31", "2024-06-30"]),
    ("2MS", "2024-01-01", Freq("months", 2, 1), "2MS", 6, ["2024-01-01", "2024-03-01", "2024-05-01"]),
    ("MS", "2024-01-01", Freq("months", 1, 1), "1MS", 12, ["2024-01-01", "2024-02-01", "2024-03-01"]),
    ("ME", "2024-01-31", Freq("months", 1, 31), "1ME", 12, ["2024-01-31", "2024-02-29", "2024-03-31"]),
    ("W-SUN", "2024-02-18", Freq("step", 7 * DAY), "1W", 52, ["2024-02-18", "2024-02-25", "2024-03-03"]),
    ("W-WED", "2024-02-21", Freq("step", 7 * DAY), "1W", 52, ["2024-02-21", "2024-02-28", "2024-03-06"]),
    ("14D", "2024-02-20", Freq("step", 14 * DAY), "2W", 26, ["2024-02-20", "2024-03-05", "2024-03-19"]),
    ("28D", "2023-02-01", Freq("step", 28 * DAY), "4W", 13, ["2023-02-01", "2023-03-01", "2023-03-29"]),
    ("30D", "2024-01-01", Freq("step", 30 * DAY), "30D", 12, ["2024-01-01", "2024-01-31", "2024-03-01"]),
    ("D", "2024-02-28", Freq("step", DAY), "1D", 7, ["2024-02-28", "2024-02-29", "2024-03-01"]),
    ("B", "2024-02-29", Freq("business"), "B", 5, ["2024-02-29", "2024-03-01", "2024-03-04"]),
    ("h", "2024-02-29T23", Freq("step", HOUR), "1h", 24, ["2024-02-29T23", "2024-03-01T00", "2024-03-01T01"]),
    (
        "2h",
        "2024-01-01T01",
        Freq("step", 2 * HOUR),
        "2h",
        12,
        ["2024-01-01T01", "2024-01-01T03", "2024-01-01T05"],
    ),
    ("15min", "2024-01-01", Freq("step", 15 * MINUTE), "15min", 96, ["2024-01-01", "2024-01-01T00:15"]),
    ("min", "2024-01-01", Freq("step", MINUTE), "1min", 60, ["2024-01-01", "2024-01-01T00:01"]),
    ("s", "2024-01-01", Freq("step", SECOND), "1s", 60, ["2024-01-01", "2024-01-01T00:00:01"]),
    ("250ms", "2024-01-01", Freq("step", SECOND // 4), "250ms", 1, ["2024-01-01", "2024-01-01T00:00:00.250"]),
]
IDS = [case[0] for case in CALENDARS]


def _stamps(alias: str, start: str, count: int) -> np.ndarray:
    return pd.date_range(start, periods=count, freq=alias).to_numpy().astype("datetime64[us]")


def _infer(stamps: np.ndarray, **options: bool) -> Freq:
    return infer_freq(stamps, np.ones(len(stamps) - 1, bool), **options)


@pytest.mark.parametrize(("alias", "start", "freq", "name", "season", "written"), CALENDARS, ids=IDS)
def test_every_calendar_is_inferred_named_and_laid(
    alias: str, start: str, freq: Freq, name: str, season: int, written: list[str]
) -> None:
    stamps = _stamps(alias, start, 40)
    steps = np.arange(40)
    assert Freq.parse(alias) == freq
    assert _infer(stamps) == freq
    assert (freq.name, freq.season) == (name, season)
    assert Freq.parse(name) == freq
    by_hand = np.array(written, dtype="datetime64[us]")
    np.testing.assert_array_equal(stamps[: len(by_hand)], by_hand)
    np.testing.assert_array_equal(freq.shift(stamps[:1], steps), stamps)
    np.testing.assert_array_equal(freq.shift(stamps, -steps), np.repeat(stamps[:1], 40))
    np.testing.assert_array_equal(freq.ordinals(stamps) - freq.ordinals(stamps[:1]), steps)
    assert not freq.off_grid(stamps, np.repeat(stamps[:1], 40)).any()


@pytest.mark.parametrize("alias", ["D", "B", "W-SUN", "MS", "QE", "YE", "2h"])
def test_steps_before_1970_are_counted_alike(alias: str) -> None:
    stamps = _stamps(alias, "1967-01-02", 300)
    freq = Freq.parse(alias)
    np.testing.assert_array_equal(np.diff(freq.ordinals(stamps)), 1)
    np.testing.assert_array_equal(freq.shift(stamps[0], np.arange(300)), stamps)


@pytest.mark.parametrize("day", [15, 29, 30])
def test_months_on_one_day_fall_back_to_the_last_day_of_short_ones(day: int) -> None:
    stamps = np.array([pd.Timestamp(2023, month, min(day, 28 if month == 2 else 31)) for month in range(1, 13)])
    stamps = stamps.astype("datetime64[us]")
    freq = _infer(stamps)
    assert freq == Freq("months", 1, day)
    assert Freq.parse(freq.name) == freq
    np.testing.assert_array_equal(freq.shift(stamps[1], np.arange(11)), stamps[1:])


def test_a_tail_that_starts_in_february_stays_on_the_30th() -> None:
    times = [pd.Timestamp(2023, month, 28 if month == 2 else 30) for month in range(1, 13)]
    panel = Panel.from_frame(pd.DataFrame({"ds": times, "y": np.arange(12.0)})).tail(11)
    ahead = panel.stamps(np.zeros(11, int), np.arange(11))
    np.testing.assert_array_equal(ahead, np.array(times[1:], dtype="datetime64[us]"))


@pytest.mark.parametrize(("step", "day"), [(1, 30), (1, 31), (3, 31)])
def test_a_tail_keeps_the_day_of_each_series(step: int, day: int) -> None:
    months = (
        pd.period_range("2022-05", periods=11, freq="M")
        if step == 1
        else pd.period_range("2020-08", "2023-02", freq="3M")
    )
    late = [pd.Timestamp(month.year, month.month, min(day, month.days_in_month)) for month in months]
    early = [time.replace(day=15) for time in late]
    names = np.repeat(["late", "early"], len(months))
    frame = pd.DataFrame({"unique_id": names, "ds": [*late, *early], "y": 1.0})
    panel = Panel.from_frame(frame)
    assert panel.freq == Freq("months", step, 0)
    for steps in range(1, len(months)):
        tail = panel.tail(steps)
        ahead = tail.stamps(np.arange(2), tail.ends + 2)
        np.testing.assert_array_equal(ahead, panel.stamps(np.arange(2), panel.ends + 2))
        assert (tail.lengths >= steps).all()
        assert tail.lengths[1] == steps


def test_series_on_different_days_of_the_month_share_a_frequency() -> None:
    first, second = _stamps("MS", "2023-01-01", 24), _stamps("MS", "2023-01-01", 24) + np.timedelta64(14, "D")
    same = np.ones(47, bool)
    same[23] = False
    freq = infer_freq(np.concatenate([first, second]), same)
    assert freq == Freq("months", 1, 0)
    assert Freq.parse(freq.name) == freq
    np.testing.assert_array_equal(freq.shift(second[:1], np.arange(24)), second)


def test_leap_days_are_steps() -> None:
    ahead = Freq.parse("D").shift(np.datetime64("2024-02-28", "us"), np.arange(3)).astype("datetime64[D]")
    assert ahead.astype(str).tolist() == ["2024-02-28", "2024-02-29", "2024-03-01"]
    yearly = Freq.parse("1M29").shift(np.datetime64("2024-02-29", "us"), np.array([12, 48])).astype("datetime64[D]")
    assert yearly.astype(str).tolist() == ["2025-02-28", "2028-02-29"]


def test_whole_numbers_are_steps_of_one() -> None:
    freq = _infer(np.array([3, 4, 5]))
    assert freq == Freq("integer")
    assert (freq.name, freq.season, Freq.parse("1"), Freq.parse(1)) == ("1", 1, freq, freq)  # type: ignore[arg-type]
    np.testing.assert_array_equal(freq.shift(np.array([3]), np.arange(3)), [3, 4, 5])


def test_absent_steps_do_not_hide_the_frequency() -> None:
    stamps = _stamps("h", "2024-01-01", 50)
    assert _infer(np.delete(stamps, [3, 4, 9, 20, 33])) == Freq("step", HOUR)
    months = _stamps("MS", "2020-01-01", 40)
    assert _infer(np.delete(months, [3, 11, 30])) == Freq("months", 1, 1)


def test_fewer_than_half_the_steps_agreeing_is_an_error() -> None:
    stamps = np.datetime64("2024-01-01", "us") + np.cumsum([0, 1, 1, 2, 3, 5, 8]).astype("timedelta64[D]")
    with pytest.raises(DataError, match="only 2 of 6 time steps are 1 days.*columns.gaps=rows"):
        _infer(stamps)
    with pytest.raises(DataError, match="only 2 of 6 time steps(?!.*columns.gaps=rows)"):
        _infer(stamps, rows=True)


def test_one_row_a_series_names_no_frequency() -> None:
    with pytest.raises(DataError, match="no series has two rows"):
        infer_freq(_stamps("D", "2024-01-01", 3), np.zeros(2, bool))


def test_days_of_one_week_are_not_yet_business_days() -> None:
    assert _infer(_stamps("D", "2024-01-01", 5)) == Freq("step", DAY)
    assert _infer(_stamps("B", "2024-01-05", 5)) == Freq("business")


@pytest.mark.parametrize("name", ["", "fortnight", "0M", "-1MS", "-2h", "0D", "3B", "1500ns", "QM", "M31", "2"])
def test_what_is_no_frequency_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a frequency. Give a pandas alias"):
        Freq.parse(name)


def test_periods_that_do_not_fill_a_cycle_have_no_season() -> None:
    seasons = [Freq.parse(name).season for name in ("7h", "2D", "5MS", "12h", "6MS", "10min", "5min")]
    assert seasons == [1, 1, 1, 2, 2, 144, 288]


@pytest.mark.parametrize(
    ("freq", "times", "wrong"),
    [
        ("h", ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:30"], "2024-01-01 02:30:00"),
        ("B", ["2024-01-04", "2024-01-05", "2024-01-06"], "2024-01-06 00:00:00"),
        ("MS", ["2024-01-01", "2024-02-01", "2024-03-02"], "2024-03-02 00:00:00"),
        ("MS", ["2024-01-15", "2024-02-15", "2024-03-15"], "2024-01-15 00:00:00"),
        ("ME", ["2024-01-31", "2024-02-28", "2024-03-31"], "2024-02-28 00:00:00"),
        ("QS", ["2024-01-01", "2024-04-01", "2024-06-01"], "2024-06-01 00:00:00"),
    ],
)
def test_a_stamp_off_the_grid_is_named_with_its_series(freq: str, times: list[str], wrong: str) -> None:
    good = made_frame(series=1, rows=3, freq=freq).assign(unique_id="good")
    bad = pd.DataFrame({"unique_id": "bad", "ds": pd.to_datetime(times), "y": 1.0})
    with pytest.raises(DataError, match=f"series 'bad' has .*{wrong}.*off the grid"):
        Panel.from_frame(pd.concat([good, bad]), freq=freq)


def test_holidays_of_business_days_are_gaps() -> None:
    frame = made_frame(series=1, rows=30, freq="B").drop(index=[7, 20])
    panel = Panel.from_frame(frame)
    assert panel.freq == Freq("business")
    assert (panel.absent, len(panel.target)) == (2, 30)
    assert np.flatnonzero(np.isnan(panel.target)).tolist() == [7, 20]


def test_trading_days_are_rows_and_their_future_lies_on_weekdays() -> None:
    frame = made_frame(series=1, rows=30, freq="B").drop(index=[7, 20])  # ends on Friday 9 February 2024
    panel = Panel.from_frame(frame, Columns(gaps="rows"))
    assert panel.freq == Freq("business", rows=True)
    assert Freq.parse(panel.freq.name) == panel.freq
    assert (panel.absent, np.isnan(panel.target).any()) == (0, False)
    stamps = panel.stamps(np.zeros(4, int), np.array([0, 27, 28, 29])).astype("datetime64[D]").astype(str)
    assert stamps.tolist() == ["2024-01-01", "2024-02-09", "2024-02-12", "2024-02-13"]


@pytest.mark.parametrize(("alias", "name"), [("W-MON", "rows:1W"), ("h", "rows:1h"), ("D", "rows:1D")])
def test_rows_that_are_no_trading_days_keep_their_frequency(alias: str, name: str) -> None:
    frame = made_frame(series=1, rows=40, freq=alias).drop(index=[7])
    assert Panel.from_frame(frame, Columns(gaps="rows")).freq.name == name


@pytest.mark.parametrize("start", ["2024-03-25", "2024-10-22"])
def test_days_of_23_and_25_hours_are_one_step(start: str) -> None:
    days = pd.date_range(start, periods=12, freq="D", tz="Europe/Berlin")
    panel = Panel.from_frame(pd.DataFrame({"ds": days[:8], "y": 1.0}))
    assert (panel.freq, panel.absent) == (Freq("step", DAY), 0)
    ahead = panel.stamp_column(panel.stamps(np.zeros(12, int), np.arange(12)))
    pd.testing.assert_series_equal(ahead, pd.Series(days), check_names=False)


@pytest.mark.parametrize("start", ["2024-03-30", "2024-10-26"])
def test_hours_across_a_change_of_the_clock_are_one_step(start: str) -> None:
    hours = pd.date_range(start, periods=60, freq="h", tz="Europe/Berlin")
    panel = Panel.from_frame(pd.DataFrame({"ds": hours[:20], "y": 1.0}))
    assert (panel.freq, panel.absent) == (Freq("step", HOUR), 0)
    ahead = panel.stamp_column(panel.stamps(np.zeros(60, int), np.arange(60)))
    pd.testing.assert_series_equal(ahead, pd.Series(hours), check_names=False)


@pytest.mark.parametrize("alias", ["MS", "ME", "QS", "YS", "B", "W-SUN"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_zoned_calendars_are_read_on_the_local_clock(alias: str, zone: str) -> None:
    times = pd.date_range("2020-01-01", periods=30, freq=alias, tz=zone)
    panel = Panel.from_frame(pd.DataFrame({"ds": times[:24], "y": 1.0}))
    assert panel.freq == Freq.parse(alias)
    ahead = panel.stamp_column(panel.stamps(np.zeros(30, int), np.arange(30)))
    pd.testing.assert_series_equal(ahead, pd.Series(times), check_names=False, check_freq=False)


def test_local_hours_without_a_zone_say_how_to_localise() -> None:
    hours = pd.date_range("2024-10-27", periods=6, freq="h", tz="Europe/Berlin").tz_localize(None)
    with pytest.raises(DataError, match="02:00:00 twice.*localise them"):
        Panel.from_frame(pd.DataFrame({"unique_id": "a", "ds": hours, "y": 1.0}))


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


def test_trading_days_are_laid_without_gaps() -> None:
    days = pd.to_datetime(["2001-09-07", "2001-09-10", "2001-09-17", "2001-09-19"])
    panel = Panel.from_frame(pd.DataFrame({"ds": days, "y": [1.0, 2.0, 3.0, 5.0]}), freq="XNYS")
    assert (panel.freq, panel.season, panel.absent) == (Freq("sessions", exchange="XNYS"), 5, 1)
    np.testing.assert_array_equal(panel.target[:, 0], [1, 2, 3, np.nan, 5])
    assert panel.freq.is_local


def test_trading_days_before_1970_are_counted_alike() -> None:
    freq = Freq.parse("XNYS")
    assert freq.ordinals(np.datetime64("1970-01-02", "us")) == 0  # the first session since 1970
    steps = np.arange(-12_000, 12_000)
    days = freq.shift(np.datetime64("1970-01-02", "us"), steps)
    np.testing.assert_array_equal(freq.ordinals(days), steps)
    np.testing.assert_array_equal(freq.shift(days, -steps), np.repeat(np.datetime64("1970-01-02", "us"), len(steps)))


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


@pytest.mark.parametrize("row", [0, 2])
def test_a_day_without_trading_is_named(row: int) -> None:
    days = pd.to_datetime(["2024-07-02", "2024-07-03", "2024-07-05"]).to_series().to_numpy().copy()
    days[row] = np.datetime64("2024-07-04") if row else np.datetime64("2024-06-30")
    with pytest.raises(
        DataError, match=f"series 'one' has {str(days[row])[:10]} 00:00:00 .* off the grid of freq 'XNYS'"
    ):
        Panel.from_frame(pd.DataFrame({"unique_id": "one", "ds": days, "y": 1.0}), freq="XNYS")


@pytest.mark.parametrize(
    ("name", "own"),
    [("XNYS", "XNYS"), ("NYSE", "XNYS"), ("XLON", "XLON"), ("24/7", "24/7"), ("us_futures", "us_futures")],
)
def test_exchanges_are_named_and_read_back(name: str, own: str) -> None:
    freq = Freq.parse(name)
    assert (freq.kind, freq.name, Freq.parse(freq.name)) == ("sessions", own, freq)
    assert freq.season == (7 if name == "24/7" else 5)
    assert Freq.parse(f"rows:{name}").name == f"rows:{own}"


def test_trading_days_beyond_those_known_are_refused() -> None:
    freq = Freq.parse("XNYS")
    known = r"the trading days of XNYS are known from 1885-01-01 to 2100-12-31, and"
    with pytest.raises(DataError, match=f"{known} 2101-01-03 is asked for"):
        freq.ordinals(np.array(["2024-01-02", "2101-01-03"], dtype="datetime64[us]"))
    with pytest.raises(DataError, match=f"{known} 1884-12-31 is asked for"):
        freq.ordinals(np.datetime64("1884-12-31", "us"))
    with pytest.raises(DataError, match=f"{known} a later one is asked for"):
        freq.shift(np.datetime64("2100-12-31", "us"), np.arange(3))
    with pytest.raises(DataError, match=f"{known} an earlier one is asked for"):
        freq.shift(np.datetime64("1885-01-01", "us"), np.array([-1]))


def test_an_exchange_that_the_package_limits_is_laid_within_its_limits() -> None:
    freq = Freq.parse("XHKG")  # the package knows it from 1960 to 2049
    assert freq.shift(np.datetime64("2049-12-30", "us"), 1) == np.datetime64("2049-12-31")
    with pytest.raises(DataError, match=r"trading days of XHKG are known from 1960-01-\d\d to 2049-12-31"):
        freq.ordinals(np.datetime64("2050-01-03", "us"))


def test_an_exchange_that_is_nearly_named_is_suggested() -> None:
    with pytest.raises(ConfigError, match="freq 'XNYC' is not a frequency. Give .* XNYS. Exchanges .*: .*XNYS"):
        Freq.parse("XNYC")


def test_an_exchange_that_cannot_be_laid_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise NotImplementedError

    exchanges.sessions.cache_clear()
    monkeypatch.setattr("exchange_calendars.get_calendar", broken)
    with pytest.raises(ConfigError, match=r"cannot lay the trading days .*\(NotImplementedError\)"):
        Freq.parse("XNYS")


def test_an_absent_package_is_named_only_where_an_exchange_may_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(ConfigError, match=r"freq 'XNYS' .*pip install 'recurrent-forecast\[exchanges\]'"):
        Freq.parse("XNYS")
    with pytest.raises(ConfigError, match="freq 'fortnight' (?!.*pip)"):
        Freq.parse("fortnight")
    assert [Freq.parse(name).kind for name in ("B", "QS", "W-SUN", "h", "ME")] == [
        *("business", "months", "step", "step", "months")
    ]


def _future(frame: pd.DataFrame, steps: int, freq: str | None = None) -> pd.Series:
    """The time column of a forecast of the only series."""
    panel = Panel.from_frame(frame, freq=freq)
    return panel.stamp_column(panel.stamps(np.zeros(steps, int), panel.ends[0] + np.arange(steps)))


def _days(column: pd.Series) -> list[str]:
    return column.dt.strftime("%Y-%m-%d").tolist()
