"""Trading days of an exchange are a grid, within what is known of it."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from forecast.data import exchanges
from forecast.data.freq import Freq
from forecast.data.panel import Panel
from forecast.errors import ConfigError, DataError


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
