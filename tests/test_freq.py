"""Stamps become steps of a grid and come back, by the calendar."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frames import made_frame

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
