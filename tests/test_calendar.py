"""The calendar tells positions in its cycles and holidays, on the local clock."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from forecast.data import calendar, exchanges
from forecast.data.freq import Freq
from forecast.errors import ConfigError

HALF = np.sqrt(0.5)


def _stamps(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


def _waves(name: str, *texts: str, freq: str = "D", zone: str | None = None) -> np.ndarray:
    return calendar.features([name], _stamps(*texts), Freq.parse(freq), zone)[0]


def _codes(name: str, *texts: str, freq: str = "D", zone: str | None = None) -> list[int]:
    return calendar.features([f"{name}/codes"], _stamps(*texts), Freq.parse(freq), zone)[1][:, 0].tolist()


@pytest.mark.parametrize(
    ("name", "freq", "text", "share"),
    [
        ("second_of_minute", "s", "2024-05-05T10:00:15", 15 / 60),
        ("second_of_minute", "250ms", "2024-05-05T10:00:07.500", 1 / 8),
        ("minute_of_hour", "min", "2024-05-05T10:45", 45 / 60),
        ("minute_of_hour", "s", "2024-05-05T10:07:30", 1 / 8),
        ("hour_of_day", "h", "2024-05-05T06:00", 6 / 24),
        ("hour_of_day", "15min", "2024-05-05T16:30", 16.5 / 24),
        ("day_of_week", "D", "2024-01-01", 0),  # a Monday
        ("day_of_week", "h", "2024-01-07T23:00", 6 / 7),
        ("day_of_month", "D", "2024-02-16", 15 / 29),
        ("day_of_month", "D", "2023-02-15", 14 / 28),
        ("week_of_year", "W", "2024-12-30", 0),  # the first ISO week of 2025
        ("week_of_year", "W", "2021-01-03", 52 / 53),  # the last one of 2020, which has 53
        ("week_of_year", "D", "2023-07-03", 26 / 52),
        ("day_of_year", "D", "2024-12-31", 365 / 366),
        ("day_of_year", "D", "2023-12-31", 364 / 365),
        ("day_of_year", "W", "2024-07-02", 183 / 366),
        ("month_of_year", "MS", "2024-04-01", 3 / 12),
        ("month_of_year", "ME", "2024-07-31", 6 / 12),
        ("quarter_of_year", "QE", "2024-09-30", 2 / 4),
        ("quarter_of_year", "D", "1969-05-01", 1 / 4),
        ("day_of_week", "D", "1969-12-31", 2 / 7),
    ],
)
def test_a_position_is_a_share_of_its_cycle(name: str, freq: str, text: str, share: float) -> None:
    by_hand = [[np.sin(2 * np.pi * share), np.cos(2 * np.pi * share)]]
    np.testing.assert_allclose(_waves(name, text, freq=freq), by_hand, atol=1e-6)


def test_sine_and_cosine_of_known_positions() -> None:
    hours = _waves("hour_of_day", "2024-01-01T00", "2024-01-01T03", "2024-01-01T12", "2024-01-01T18", freq="h")
    np.testing.assert_allclose(hours, [[0, 1], [HALF, HALF], [0, -1], [-1, 0]], atol=1e-6)
    assert hours.dtype == np.float32


def test_codes_count_positions_from_one() -> None:
    assert _codes("day_of_week", "2024-01-01", "2024-01-07") == [1, 7]
    assert _codes("hour_of_day", "2024-01-01T00:59", "2024-01-01T23:00", freq="min") == [1, 24]
    assert _codes("minute_of_hour", "2024-01-01T00:59:59", freq="s") == [60]
    assert _codes("second_of_minute", "2024-01-01T00:59:59.900", freq="100ms") == [60]
    assert _codes("day_of_month", "2024-02-29", "2024-03-01") == [29, 1]
    assert _codes("week_of_year", "2020-12-31", "2021-01-03", "2021-01-04") == [53, 53, 1]
    assert _codes("month_of_year", "2024-01-31", "2024-12-31", freq="ME") == [1, 12]
    assert _codes("quarter_of_year", "2024-03-31", "2024-12-31", freq="QE") == [1, 4]


def test_a_date_has_one_code_in_every_year() -> None:
    assert _codes("day_of_year", "2024-02-28", "2024-02-29", "2024-03-01", "2024-12-31") == [59, 60, 61, 366]
    assert _codes("day_of_year", "2023-02-28", "2023-03-01", "2023-12-31") == [59, 61, 366]


def test_every_code_lies_below_its_cardinality() -> None:
    names = [f"{cycle}/codes" for cycle in calendar.CYCLES]
    stamps = np.datetime64("1999-12-01", "us") + np.arange(0, 12_000 * 86_399, 4_000_037).astype("timedelta64[s]")
    every_day = np.datetime64("1999-12-01", "us") + (np.arange(12_000) * 86_399).astype("timedelta64[s]")
    for times in (stamps, every_day):
        codes = calendar.features(names, times, Freq.parse("s"))[1]
        assert codes.min() == 1
        assert (codes.max(axis=0) < np.array(calendar.widths(names)[1])).all()
    assert codes.max(axis=0).tolist() == [count - 1 for count in calendar.widths(names)[1]]


def test_weeks_of_the_year_are_those_of_iso() -> None:
    days = np.arange("1995-01-01", "2035-01-01", dtype="datetime64[D]")
    weeks = calendar.features(["week_of_year/codes"], days.astype("datetime64[us]"), Freq.parse("D"))[1][:, 0]
    assert weeks.tolist() == [day.isocalendar().week for day in days.tolist()]


def test_widths_are_those_of_the_features() -> None:
    names = ("day_of_week", "hour_of_day/codes", "day_of_year", "month_of_year/codes")
    numbers, codes = calendar.features(names, _stamps("2024-07-04T05", "2024-01-01T00"), Freq.parse("h"))
    assert calendar.widths(names) == (4, (25, 13))
    assert (numbers.shape, codes.shape) == ((2, 4), (2, 2))
    assert codes.tolist() == [[6, 7], [1, 1]]
    np.testing.assert_allclose(numbers[1], [0, 1, 0, 1], atol=1e-6)
    assert calendar.widths(()) == (0, ())


def test_stamps_in_any_order_and_far_apart_are_told_alike() -> None:
    near = _stamps("2024-07-04", "2024-07-02", "2024-07-03", "2024-07-02", "2024-07-04")
    far = np.append(near, _stamps("1900-01-01"))  # more days in the span than stamps
    names = ["day_of_week", "day_of_year", "day_of_month/codes"]
    for some, more in zip(
        calendar.features(names, near, Freq.parse("D")), calendar.features(names, far, Freq.parse("D")), strict=True
    ):
        np.testing.assert_array_equal(some, more[:-1])


def test_no_names_and_no_stamps_have_no_width() -> None:
    numbers, codes = calendar.features((), np.array([3, 4]), Freq.parse("1"))
    assert (numbers.shape, codes.shape, numbers.dtype, codes.dtype) == ((2, 0), (2, 0), np.float32, np.int64)
    assert calendar.features(["day_of_week"], _stamps(), Freq.parse("D"))[0].shape == (0, 2)
    assert calendar.holidays_of("US", _stamps(), Freq.parse("D"))[0].shape == (0,)


def test_a_day_of_23_hours_skips_a_position() -> None:
    utc = ("2024-03-31T00", "2024-03-31T01", "2024-03-31T02", "2024-03-31T21", "2024-03-31T22")
    assert _codes("hour_of_day", *utc, freq="h", zone="Europe/Berlin") == [2, 4, 5, 24, 1]  # 01, 03, 04, 23, 00 o'clock
    assert _codes("day_of_week", *utc, freq="h", zone="Europe/Berlin") == [7, 7, 7, 7, 1]
    waves = _waves("hour_of_day", "2024-03-31T04", freq="h", zone="Europe/Berlin")  # 6 o'clock
    np.testing.assert_allclose(waves, [[1, 0]], atol=1e-6)


def test_a_day_of_25_hours_has_a_position_twice() -> None:
    utc = ("2024-10-26T22", "2024-10-27T00", "2024-10-27T01", "2024-10-27T02", "2024-10-27T22", "2024-10-27T23")
    assert _codes("hour_of_day", *utc, freq="h", zone="Europe/Berlin") == [1, 3, 3, 4, 24, 1]
    assert _codes("day_of_week", *utc, freq="h", zone="Europe/Berlin") == [7, 7, 7, 7, 7, 1]


def test_days_on_the_local_clock_are_not_moved_again() -> None:
    assert _codes("day_of_week", "2024-01-01", freq="D", zone="America/New_York") == [1]
    assert _codes("day_of_week", "2024-01-01T02", freq="h", zone="America/New_York") == [7]  # Sunday evening
    assert _codes("day_of_year", "2024-01-01T02", freq="h", zone="America/New_York") == [366]


LONG = 10**9
YEARLY = ("day_of_week", "day_of_year")


@pytest.mark.parametrize(
    ("freq", "names"),
    [
        ("1", ()),
        ("YS", ()),
        ("2YS", ()),
        ("YE", ()),
        ("QS", ("month_of_year",)),
        ("QE", ("month_of_year",)),
        ("MS", ("month_of_year",)),
        ("1M15", ("month_of_year",)),
        ("W-WED", ("day_of_year",)),
        ("14D", ("day_of_year",)),
        ("D", YEARLY),
        ("B", YEARLY),
        ("XNYS", YEARLY),
        ("rows:B", YEARLY),
        ("12h", ("hour_of_day", *YEARLY)),
        ("h", ("hour_of_day", *YEARLY)),
        ("15min", ("hour_of_day", *YEARLY)),
        ("min", ("minute_of_hour", "hour_of_day", *YEARLY)),
        ("s", ("second_of_minute", "minute_of_hour", "hour_of_day", *YEARLY)),
        ("250ms", ("second_of_minute", "minute_of_hour", "hour_of_day", *YEARLY)),
    ],
)
def test_auto_chooses_by_the_frequency(freq: str, names: tuple[str, ...]) -> None:
    assert calendar.chosen("auto", Freq.parse(freq), LONG) == names
    assert calendar.chosen(names, Freq.parse(freq), 1) == names


@pytest.mark.parametrize(
    ("freq", "name", "fewest"),
    [
        ("QS", "month_of_year", 8),
        ("MS", "month_of_year", 24),
        ("W", "day_of_year", 104),
        ("D", "day_of_year", 730),
        ("D", "day_of_week", 14),
        ("B", "day_of_week", 10),
        ("B", "day_of_year", 500),  # two years without the holidays
        ("XNYS", "day_of_year", 500),
        ("h", "hour_of_day", 48),
        ("h", "day_of_week", 336),
        ("15min", "hour_of_day", 192),
        ("s", "second_of_minute", 120),
    ],
)
def test_auto_takes_a_cycle_that_is_seen_twice(freq: str, name: str, fewest: int) -> None:
    assert name in calendar.chosen("auto", Freq.parse(freq), fewest)
    assert name not in calendar.chosen("auto", Freq.parse(freq), fewest - 1)


def test_names_are_taken_as_they_stand() -> None:
    names = ["day_of_month", "day_of_week/codes", "day_of_week"]
    assert calendar.chosen(names, Freq.parse("D"), 5) == tuple(names)
    assert calendar.chosen("day_of_month", Freq.parse("D"), 5) == ("day_of_month",)
    assert calendar.chosen((), Freq.parse("D"), LONG) == ()


@pytest.mark.parametrize(
    ("names", "freq", "message"),
    [
        (["day_of_weak"], "D", "no calendar feature 'day_of_weak'. Choose one of: day_of_week, "),
        (["day_of_week/code"], "D", "no calendar feature 'day_of_week/code'. Choose one of: day_of_week/codes, "),
        (["hour_of_day"], "MS", "'hour_of_day' says nothing about freq '1MS': a step is not shorter than a day"),
        (["hour_of_day/codes"], "D", "says nothing about freq '1D'"),
        (["hour_of_day"], "B", "says nothing about freq 'B'"),
        (["day_of_week"], "W", "a step is not shorter than a week"),
        (["day_of_month"], "MS", "a step is not shorter than a month"),
        (["quarter_of_year"], "YE", "a step is not shorter than a year"),
        (["month_of_year"], "1", "'month_of_year' needs timestamps, and time is whole numbers"),
        (["day_of_week", "day_of_week"], "D", "names 'day_of_week' twice"),
    ],
)
def test_names_that_tell_nothing_are_refused(names: list[str], freq: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        calendar.chosen(names, Freq.parse(freq), LONG)


def test_holidays_of_known_days() -> None:
    days = _stamps("2021-07-02", "2021-07-04", "2021-07-05", "2021-12-24", "2021-12-25", "2021-12-31", "2024-07-04")
    counts, names = calendar.holidays_of("US", days, Freq.parse("D"))
    assert counts.dtype == np.float32
    assert counts.tolist() == [0, 1, 1, 1, 1, 1, 1]
    assert names.tolist() == [
        "",
        "Independence Day",
        "Independence Day (observed)",
        "Christmas Day (observed)",
        "Christmas Day",
        "New Year's Day (observed)",
        "Independence Day",
    ]


def test_a_subdivision_has_holidays_of_its_own() -> None:
    chavez = _stamps("2023-03-31")
    assert calendar.holidays_of("US-CA", chavez, Freq.parse("D"))[1].tolist() == ["Cesar Chavez Day"]
    assert calendar.holidays_of("US-NY", chavez, Freq.parse("D"))[0].tolist() == [0]
    assert calendar.holidays_of("US", chavez, Freq.parse("D"))[0].tolist() == [0]
    epiphany = _stamps("2024-01-06")
    assert calendar.holidays_of("DE-BY", epiphany, Freq.parse("D"))[1].tolist() == ["Epiphany"]
    assert calendar.holidays_of("DE-BE", epiphany, Freq.parse("D"))[1].tolist() == [""]


def test_names_do_not_depend_on_the_machine_or_on_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "de_DE.UTF-8")
    assert calendar.holidays_of("DE", _stamps("2024-10-03"), Freq.parse("D"))[1].tolist() == ["German Unity Day"]
    year = np.arange("2040-01-01", "2041-01-01", dtype="datetime64[D]").astype("datetime64[us]")
    names = calendar.holidays_of("EG", year, Freq.parse("D"))[1]
    assert "Eid al-Fitr" in names
    assert not [name for name in names if "estimated" in name]


def test_hours_have_the_holiday_of_their_local_day() -> None:
    utc = _stamps("2024-07-04T03", "2024-07-04T04", "2024-07-05T03", "2024-07-05T04")  # 23, 00, 23, 00 o'clock
    counts, names = calendar.holidays_of("US", utc, Freq.parse("h"), "America/New_York")
    assert counts.tolist() == [0, 1, 1, 0]
    assert names.tolist() == ["", "Independence Day", "Independence Day", ""]
    assert calendar.holidays_of("US", utc, Freq.parse("h"))[0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("country", "freq", "texts", "counts"),
    [
        ("DE", "W-MON", ["2023-12-18", "2023-12-25", "2024-01-01", "2024-01-08"], [0, 2, 1, 0]),  # Christmas: two days
        ("DE", "W-SUN", ["2023-12-24"], [2]),  # the week that begins on the stamp
        ("DE", "MS", ["2023-11-01", "2023-12-01", "2024-01-01"], [0, 2, 1]),
        ("DE", "ME", ["2023-11-30", "2023-12-31", "2024-01-31"], [0, 2, 1]),  # the month that ends there
        ("DE", "1M15", ["2023-12-15", "2024-01-15"], [3, 0]),
        ("DE", "QS", ["2023-10-01", "2024-01-01"], [3, 2]),  # 3 October, 25, 26 December; New Year, Good Friday
        ("DE", "QE", ["2023-12-31", "2024-03-31"], [3, 2]),
        ("DE", "YS", ["2024-01-01"], [9]),
        ("DE", "YE", ["2024-12-31"], [9]),
        ("US", "B", ["2024-07-03", "2024-07-04"], [0, 1]),
        ("US", "2D", ["2024-07-03", "2024-07-05"], [1, 0]),
    ],
)
def test_longer_steps_count_their_holidays(country: str, freq: str, texts: list[str], counts: list[int]) -> None:
    found, names = calendar.holidays_of(country, _stamps(*texts), Freq.parse(freq))
    assert found.tolist() == counts
    assert freq == "B" or not names.any()


def test_steps_of_36_hours_count_each_holiday_once() -> None:
    steps = np.datetime64("2024-12-01", "us") + np.arange(24) * np.timedelta64(36, "h")
    counts = calendar.holidays_of("DE", steps, Freq.parse("36h"), "Europe/Berlin")[0]
    assert (counts.sum(), counts.max()) == (3, 1)  # 25 and 26 December, New Year


@pytest.mark.parametrize(
    ("country", "message"),
    [
        (
            "ZZ",
            "there is no country 'ZZ'. Choose one of: .* and .* more. .*ISO codes; a subdivision follows: US-CA",
        ),
        ("USB", "there is no country 'USB'. Choose one of: .{0,8}US"),
        ("version", "there is no country 'version'"),
        ("US-CX", "there is no subdivision of US 'CX'. Choose one of: .{0,8}SC, .*NY"),
        ("VA-X", "VA has no subdivisions, got 'VA-X'. Give VA."),
    ],
)
def test_unknown_countries_are_refused(country: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        calendar.holidays_of(country, _stamps("2024-01-01"), Freq.parse("D"))


def test_whole_numbers_have_no_holidays() -> None:
    with pytest.raises(ConfigError, match="holidays 'US' need timestamps, and time is whole numbers"):
        calendar.holidays_of("US", np.arange(3), Freq.parse("1"))


def test_an_absent_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(ConfigError, match=r"pip install 'recurrent-forecast\[holidays\]'"):
        calendar.holidays_of("US", _stamps("2024-01-01"), Freq.parse("D"))


def test_the_extras_that_errors_name_exist() -> None:
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    extras = pyproject["project"]["optional-dependencies"]
    for hint, package in ((calendar.EXTRA, "holidays"), (exchanges.EXTRA, "exchange_calendars")):
        name = hint.partition("[")[2].partition("]")[0]
        assert hint == f"pip install '{pyproject['project']['name']}[{name}]'"
        assert extras[name] == [package]
        assert package in extras["test"]
