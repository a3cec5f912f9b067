"""The data sets in data/ are what their README says they are."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

DATA = Path(__file__).parents[1] / "data"
KEYS = {
    "stocks": ["symbol", "date"],
    "weather": ["station", "date"],
    "sales": ["product", "month"],
}
FIGURES = {
    "stocks": ["open", "high", "low", "close", "adj_close", "volume"],
    "weather": ["precipitation", "temp_max", "temp_min", "wind", "weather"],
    "sales": ["sales"],
}
SPANS = {
    ("stocks", "AAPL"): ("2000-03-01", "2013-03-01", 3270),
    ("stocks", "FB"): ("2012-05-18", "2013-03-01", 196),
    ("stocks", "GOOG"): ("2004-08-19", "2013-03-01", 2148),
    ("stocks", "IBM"): ("2000-03-01", "2013-03-01", 3270),
    ("stocks", "MSFT"): ("2000-03-01", "2013-03-01", 3270),
    ("weather", "seattle"): ("2012-01-01", "2015-12-31", 1461),
    ("sales", "antidiabetics"): ("1991-07-01", "2008-06-01", 204),
    ("sales", "corticosteroids"): ("1991-07-01", "2008-06-01", 204),
}
# As printed by the sources: first and last days, a split of AAPL, the day that FB went public.
KNOWN = [
    ("stocks", "AAPL", "2000-03-01", {"open": 118.56, "close": 130.31, "adj_close": 4.1867}),
    ("stocks", "AAPL", "2005-02-28", {"open": 44.68, "volume": 11635900}),
    ("stocks", "FB", "2012-05-18", {"close": 38.2318}),
    ("stocks", "MSFT", "2013-03-01", {"high": 27.98, "low": 27.52, "close": 27.95, "volume": 34849700}),
    ("weather", "seattle", "2012-01-02", {"precipitation": 10.9, "temp_max": 10.6, "weather": "rain"}),
    ("weather", "seattle", "2015-12-31", {"temp_max": 5.6, "temp_min": -2.1, "wind": 3.5, "weather": "sun"}),
    ("sales", "antidiabetics", "1991-07-01", {"sales": 3.526591}),
    ("sales", "antidiabetics", "2008-06-01", {"sales": 19.43174}),
    ("sales", "corticosteroids", "1991-07-01", {"sales": 0.429795}),
    ("sales", "corticosteroids", "2008-06-01", {"sales": 0.762137}),
]


def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(DATA / f"{name}.csv")


@pytest.mark.parametrize("name", KEYS)
def test_files_are_tidy_sorted_and_complete(name: str) -> None:
    frame, keys = _read(name), KEYS[name]
    assert list(frame.columns) == keys + FIGURES[name]
    assert not frame.isna().any(axis=None)
    assert not frame.duplicated(keys).any()
    pd.testing.assert_frame_equal(frame, frame.sort_values(keys, ignore_index=True))
    pd.to_datetime(frame[keys[1]], format="%Y-%m-%d")


@pytest.mark.parametrize("name", KEYS)
def test_series_have_their_spans(name: str) -> None:
    series, time = KEYS[name]
    spans = _read(name).groupby(series)[time].agg(["min", "max", "size"])
    found = {(name, key): tuple(row) for key, row in zip(spans.index, spans.to_numpy(), strict=True)}
    assert found == {key: span for key, span in SPANS.items() if key[0] == name}


@pytest.mark.parametrize(("name", "series", "stamp", "figures"), KNOWN)
def test_figures_are_those_of_the_source(name: str, series: str, stamp: str, figures: dict) -> None:
    frame = _read(name).set_index(KEYS[name])
    assert {column: frame.loc[(series, stamp), column] for column in figures} == figures


def test_stocks_hold_trading_days_shared_by_all_symbols() -> None:
    stocks = _read("stocks")
    assert pd.to_datetime(stocks["date"]).dt.day_of_week.max() == 4
    days = {symbol: set(rows["date"]) for symbol, rows in stocks.groupby("symbol")}
    for own in days.values():
        assert own == {day for day in days["IBM"] if day >= min(own)}


def test_stock_prices_lie_between_low_and_high() -> None:
    stocks = _read("stocks")
    for price in ("open", "close"):
        assert stocks[price].between(stocks["low"], stocks["high"]).all()


def test_weather_and_sales_miss_no_step() -> None:
    days = pd.to_datetime(_read("weather")["date"])
    assert (days.diff().dropna() == pd.Timedelta(days=1)).all()
    months = pd.date_range("1991-07-01", periods=204, freq="MS").strftime("%Y-%m-%d")
    for _, rows in _read("sales").groupby("product"):
        assert list(rows["month"]) == list(months)


def test_readme_describes_every_file_and_column() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    files = sorted(path.name for path in DATA.glob("*.csv"))
    assert files == sorted(f"{name}.csv" for name in KEYS)
    sections = {text.split("\n", 1)[0]: text for text in readme.split("\n## ")[1:]}
    for file in files:
        frame = pd.read_csv(DATA / file)
        assert f"| `{file}` | {len(frame):,} |" in readme
        columns = [f"`{column}`" for column in frame.columns]
        for word in [*columns, "**Source**", "**Terms as stated**", "**Changed**"]:
            assert word in sections[file], f"data/README.md, {file}: {word}"
    assert "Made data, labelled as made" in sections
