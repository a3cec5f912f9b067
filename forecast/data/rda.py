"""Parsers of R files, which the package rdata reads: it is not among the dependencies."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.data.columns import Columns

ID, TIME, TARGET = Columns.id, Columns.time, Columns().targets[0]
RDATA = "rdata"
BRANDS = {  # of orange juice, by the numbers of the source
    1: "Tropicana Premium 64 oz",
    2: "Tropicana Premium 96 oz",
    3: "Florida's Natural 64 oz",
    4: "Tropicana 64 oz",
    5: "Minute Maid 64 oz",
    6: "Minute Maid 96 oz",
    7: "Citrus Hill 64 oz",
    8: "Tree Fresh 64 oz",
    9: "Florida Gold 64 oz",
    10: "Dominicks 64 oz",
    11: "Dominicks 128 oz",
}
PRICES = [f"price{number}" for number in BRANDS]


def _aus_retail(files: list[Path]) -> pd.DataFrame:
    """Monthly turnover by state and industry."""
    rows = _content(files[0], "aus_retail")
    frame = pd.DataFrame({"state": rows["State"], "industry": rows["Industry"], "series_id": rows["Series ID"]})
    frame = frame.astype("str")
    own = pd.DataFrame({ID: frame["state"] + " / " + frame["industry"], **_dated(rows["Month"], rows["Turnover"])})
    return pd.concat([own, frame], axis=1)


def _gafa_stock(files: list[Path]) -> pd.DataFrame:
    """Daily prices of four shares; the close is the target."""
    rows = _content(files[0], "gafa_stock")
    frame = pd.DataFrame({ID: np.asarray(rows["Symbol"]), **_dated(rows["Date"], rows["Close"])}).astype({ID: "str"})
    past = ("Open", "High", "Low", "Adj_Close", "Volume")
    return frame.assign(**{name.lower(): np.asarray(rows[name], dtype=float) for name in past})


def _orange_juice(files: list[Path]) -> pd.DataFrame:
    """Weekly units by store and brand, with the prices of all brands in the store."""
    rows: dict[str, Any] = {name: np.asarray(own) for name, own in _content(files[0], "orangeJuice")["yx"].items()}
    store, brand = rows["store"].astype(np.int64), rows["brand"].astype(np.int64)
    prices = np.stack([rows[name] for name in PRICES], axis=1)
    frame = pd.DataFrame(
        {
            ID: [f"S{place:03d}_B{number:02d}" for place, number in zip(store, brand, strict=True)],
            TIME: rows["week"].astype(np.int64),
            TARGET: np.exp(rows["logmove"]).round(),
            "store": store,
            "brand": brand,
            "brand_name": [BRANDS[number] for number in brand],
            "price": prices[np.arange(len(brand)), brand - 1],
            "deal": rows["deal"].astype(np.int64),
            "feature": rows["feat"].astype(np.float64),
            "profit": rows["profit"].astype(np.float64),
        }
    ).astype({ID: "str", "brand_name": "str"})
    return pd.concat([frame, pd.DataFrame(prices.astype(np.float32), columns=PRICES)], axis=1)


def _car_parts(files: list[Path]) -> pd.DataFrame:
    """A matrix: a month a row from January 1998, a part a column."""
    matrix = _content(files[0], "carparts")
    names = np.asarray(matrix.coords[matrix.dims[1]]).astype(str)
    values = np.asarray(matrix, dtype=float)
    return _laid(dict(zip(names, values.T, strict=True)), pd.date_range("1998-01-01", periods=len(values), freq="MS"))


def _nn5(files: list[Path]) -> pd.DataFrame:
    """A list of daily series, all from the first day of the competition."""
    series = _content(files[0], "nn5")
    values = {name: np.asarray(own, dtype=float) for name, own in series.items()}
    longest = max(map(len, values.values()))
    return _laid(values, pd.date_range("1996-03-18", periods=longest, freq="D"))


def _laid(series: dict[str, np.ndarray], times: pd.DatetimeIndex) -> pd.DataFrame:
    """Return series that begin together, one below the other."""
    stamps = times.to_numpy("datetime64[ns]")
    parts = [pd.DataFrame({ID: name, TIME: stamps[: len(own)], TARGET: own}) for name, own in series.items()]
    return pd.concat(parts, ignore_index=True).astype({ID: "str"})


def _dated(days: Any, values: Any) -> dict[str, Any]:
    """Return times, which R counts in days since 1970, and values."""
    times = pd.to_datetime(np.asarray(days, dtype=float), unit="D").astype("datetime64[ns]")
    return {TIME: times, TARGET: np.asarray(values, dtype=float)}


def _content(file: Path, name: str) -> Any:
    """Return an object of an R file as R stores it: its own classes add nothing here but ways to fail."""
    rdata = importlib.import_module(RDATA)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that classes are left out, and text without encoding is ASCII
        return rdata.read_rda(file, constructor_dict={}, default_encoding="utf-8")[name]


RDA: dict[str, Callable[[list[Path]], pd.DataFrame]] = {
    "aus_retail": _aus_retail,
    "gafa_stock": _gafa_stock,
    "orange_juice": _orange_juice,
    "car_parts": _car_parts,
    "nn5": _nn5,
}
