"""Made store-by-item sales: a panel of any size, with the traits of retail and no licence to ask for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.errors import ConfigError

_YEAR = 365.25
_PRICE_DAYS = 91  # a list price holds for a quarter
_WEEK = np.array([0.85, 0.80, 0.85, 0.95, 1.15, 1.35, 1.05])  # Monday first
_DISCOUNT = 0.8
_DISPLAY = 1.3  # what a promotion sells beyond its lower price
_LONGEST_STOCK_OUT = 5
_INTERMITTENT_EVERY = 4


class _Sizes(NamedTuple):
    stores: int
    items: int
    days: int

    @property
    def series(self) -> int:
        return self.stores * self.items


def make_sales(
    *, stores: int = 3, items: int = 4, days: int = 730, seed: int = 0, start: str = "2022-01-01"
) -> pd.DataFrame:
    """Make daily sales of some items in some stores.

    Demand is a level per store and item, times a trend, a weekly and a yearly season, the price to the power
    of the item's elasticity, and a lift in promotions. Sales are overdispersed counts of it. Every fourth
    item is intermittent: a small batch now and then. The first day of a stock-out sells what was left, its
    other days nothing. The same arguments always make the same panel.

    Parameters
    ----------
    stores, items : int
        The panel has stores x items series, named ``made/store_1/item_2`` so that made data is seen as such.
    days : int
        Length of each series.
    seed : int
        Not negative.
    start : str
        First day, without a time zone.

    Returns
    -------
    One row per series and day, in that order: id, time and target under the default names of `Columns`;
    price, promotion (0/1), in_stock (0/1); store, item, intermittent.

    Raises
    ------
    ValueError
        If a number is too small or not whole, or the start is not a date.
    """
    check_counts(stores=stores, items=items, days=days, seed=seed)
    sizes = _Sizes(stores, items, days)
    stamps = pd.date_range(_first_day(start), periods=days, freq="D")
    rng = np.random.default_rng(seed)

    promotion = _promotions(rng, sizes)
    relative_price = _relative_prices(rng, sizes, promotion)
    intermittent = np.tile(np.arange(1, items + 1) % _INTERMITTENT_EVERY == 0, stores)  # (series,)
    demand = _pattern(rng, sizes, stamps)
    demand *= relative_price ** _per_item(rng.uniform(-2.5, -0.8, items), sizes)
    demand[promotion] *= _DISPLAY
    sales = _sell(rng, demand, intermittent)
    in_stock = _limit_to_stock(rng, sales)

    list_price = _per_item(np.exp(rng.normal(1.5, 0.6, items)), sizes)
    price = np.maximum(np.round(relative_price * list_price, 2), 0.01)
    return _frame(sizes, stamps, sales, price, promotion, in_stock, intermittent)


def check_counts(*, seed: int, **counts: int) -> None:
    """Refuse what is no number of things, or no seed, by name."""
    for name, value, least in [*((name, value, 1) for name, value in counts.items()), ("seed", seed, 0)]:
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < least:
            raise ConfigError(f"{name} is {value!r}. Give a whole number of at least {least}.")


def _first_day(start: str) -> pd.Timestamp:
    refusal = f"start is {start!r}. Give a date without a time zone, such as '2022-01-01'."
    try:
        stamp = pd.Timestamp(start)
    except (TypeError, ValueError) as error:
        raise ConfigError(refusal) from error
    if pd.isna(stamp) or stamp.tzinfo is not None:
        raise ConfigError(refusal)
    return stamp.normalize()


def _per_item(values: np.ndarray, sizes: _Sizes) -> np.ndarray:
    """Repeat one value an item over the stores: (items,) -> (series, 1)."""
    return np.tile(values, sizes.stores)[:, None]


def _per_store(values: np.ndarray, sizes: _Sizes) -> np.ndarray:
    """Repeat one row a store over the items: (stores, n) -> (series, n)."""
    return np.repeat(values, sizes.items, axis=0)


def _promotions(rng: np.random.Generator, sizes: _Sizes) -> np.ndarray:
    """Draw whole weeks of promotion, one in ten: (series, days)."""
    weeks = -(-sizes.days // 7)
    return np.repeat(rng.random((sizes.series, weeks)) < 0.1, 7, axis=1)[:, : sizes.days]


def _relative_prices(rng: np.random.Generator, sizes: _Sizes, promotion: np.ndarray) -> np.ndarray:
    """Draw shares of the list price, one a quarter, which starts on a day of its own: (series, days)."""
    first = rng.integers(0, _PRICE_DAYS, (sizes.series, 1))
    quarter = (np.arange(sizes.days) + first) // _PRICE_DAYS
    drawn = np.exp(rng.normal(0.0, 0.1, (sizes.series, sizes.days // _PRICE_DAYS + 2)))
    prices = np.take_along_axis(drawn, quarter, axis=1)
    prices[promotion] *= _DISCOUNT
    return prices


def _pattern(rng: np.random.Generator, sizes: _Sizes, stamps: pd.DatetimeIndex) -> np.ndarray:
    """Make level, trend, weekly and yearly season: (series, days)."""
    years = np.arange(sizes.days) / _YEAR
    of_year = np.asarray(stamps.day_of_year) / _YEAR
    weekday = np.asarray(stamps.day_of_week)
    store_week = _WEEK ** rng.uniform(0.6, 1.4, (sizes.stores, 1))  # (stores, 7)
    level = rng.normal(0.0, 0.3, (sizes.stores, 1)) + rng.normal(3.0, 0.5, sizes.items)  # (stores, items)
    growth = rng.normal(0.03, 0.08, (sizes.series, 1))
    amplitude = _per_item(rng.uniform(0.1, 0.4, sizes.items), sizes)
    phase = _per_item(rng.uniform(0.0, 1.0, sizes.items), sizes)
    log_demand = level.reshape(sizes.series, 1) + growth * years
    log_demand += amplitude * np.cos(2 * np.pi * (of_year - phase))
    log_demand += np.log(_per_store(store_week, sizes))[:, weekday]
    return np.exp(log_demand, out=log_demand)


def _sell(rng: np.random.Generator, demand: np.ndarray, intermittent: np.ndarray) -> np.ndarray:
    """Draw whole numbers around the demand: (series, days)."""
    sales = np.empty_like(demand)
    steady = demand[~intermittent]
    steady *= rng.standard_gamma(20.0, steady.shape) / 20.0
    sales[~intermittent] = rng.poisson(steady)
    rare = demand[intermittent]
    chance = 0.1 * rare / rare.mean(axis=1, keepdims=True)
    sales[intermittent] = (rng.random(rare.shape) < chance) * (1 + rng.poisson(1.5, rare.shape))
    return sales


def _limit_to_stock(rng: np.random.Generator, sales: np.ndarray) -> np.ndarray:
    """Cut the sales of days out of stock, in place, and return where there was stock: (series, days)."""
    starts = rng.random(sales.shape) < 1 / 60
    lasts = rng.integers(1, _LONGEST_STOCK_OUT + 1, sales.shape, dtype=np.int8)
    out = starts.copy()
    for later in range(1, _LONGEST_STOCK_OUT):
        out[:, later:] |= (starts & (lasts > later))[:, :-later]
    first = out.copy()
    first[:, 1:] &= ~out[:, :-1]
    left = np.floor(sales[first] * rng.random(int(first.sum())))
    sales[out] = 0.0
    sales[first] = left
    return ~out


def _frame(
    sizes: _Sizes,
    stamps: pd.DatetimeIndex,
    sales: np.ndarray,
    price: np.ndarray,
    promotion: np.ndarray,
    in_stock: np.ndarray,
    intermittent: np.ndarray,
) -> pd.DataFrame:
    columns = Columns()
    stores = pd.Index([f"store_{number}" for number in range(1, sizes.stores + 1)])
    items = pd.Index([f"item_{number}" for number in range(1, sizes.items + 1)])
    ids = pd.Index([f"made/{store}/{item}" for store in stores for item in items])
    store_codes = np.repeat(np.arange(sizes.stores), sizes.items * sizes.days)
    item_codes = np.tile(np.repeat(np.arange(sizes.items), sizes.days), sizes.stores)
    return pd.DataFrame(
        {
            columns.id: ids.repeat(sizes.days),
            columns.time: np.tile(stamps.to_numpy(), sizes.series),
            columns.target: sales.ravel(),
            "price": price.ravel(),
            "promotion": promotion.ravel().astype(np.int8),
            "in_stock": in_stock.ravel().astype(np.int8),
            "store": pd.Categorical.from_codes(store_codes, categories=stores),
            "item": pd.Categorical.from_codes(item_codes, categories=items),
            "intermittent": np.repeat(intermittent, sizes.days),
        },
        copy=False,
    )
