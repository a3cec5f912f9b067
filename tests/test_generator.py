"""Made sales have the traits that they are made for, and say that they are made."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.data.codes import make_codes
from forecast.data.columns import Columns
from forecast.data.generator import make_sales

ID, TIME, TARGET = Columns.id, Columns.time, Columns.target


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return make_sales(stores=10, items=8, days=3 * 365, seed=1)


def _steady_sales(panel: pd.DataFrame) -> pd.DataFrame:
    """Keep what sold without limits, each sale as a share of its series' mean."""
    rows = panel[~panel["intermittent"] & (panel["in_stock"] == 1)].copy()
    rows["share"] = rows[TARGET] / rows.groupby(ID)[TARGET].transform("mean")
    return rows


def test_panel_has_one_row_a_series_and_day(panel: pd.DataFrame) -> None:
    traits = ["price", "promotion", "in_stock", "store", "item", "intermittent"]
    assert list(panel.columns) == [ID, TIME, TARGET, *traits]
    assert len(panel) == 10 * 8 * 3 * 365
    assert not panel.isna().any(axis=None)
    expected = pd.date_range("2022-01-01", periods=3 * 365, freq="D")
    for _, rows in panel.groupby(ID):
        np.testing.assert_array_equal(rows[TIME], expected)
        assert rows[["store", "item", "intermittent"]].drop_duplicates().shape[0] == 1


def test_series_are_labelled_as_made(panel: pd.DataFrame) -> None:
    label = "made/" + panel["store"].astype(str) + "/" + panel["item"].astype(str)
    assert (panel[ID] == label).all()
    assert make_sales(days=2)[ID].iloc[2] == "made/store_1/item_2"


def test_values_lie_in_their_ranges(panel: pd.DataFrame) -> None:
    assert panel[TARGET].dtype == np.float64
    assert ((panel[TARGET] >= 0) & (panel[TARGET] % 1 == 0)).all()
    assert (panel["price"] > 0).all()
    assert set(panel["promotion"]) == set(panel["in_stock"]) == {0, 1}
    assert panel["intermittent"].dtype == bool


def test_same_seed_makes_the_same_panel() -> None:
    pd.testing.assert_frame_equal(make_sales(days=60, seed=3), make_sales(days=60, seed=3))


def test_seeds_differ() -> None:
    first, second = make_sales(days=60, seed=3), make_sales(days=60, seed=4)
    for column in (TARGET, "price", "promotion", "in_stock"):
        assert not first[column].equals(second[column])


def test_start_moves_the_days_and_the_week() -> None:
    moved = make_sales(stores=1, items=1, days=1400, start="2022-03-02")
    assert moved[TIME].iloc[0] == pd.Timestamp("2022-03-02")
    assert moved.groupby(moved[TIME].dt.day_of_week)[TARGET].mean().idxmax() == 5


def test_weekly_season_is_visible(panel: pd.DataFrame) -> None:
    rows = _steady_sales(panel)
    by_day = rows.groupby(rows[TIME].dt.day_of_week)["share"].mean()
    assert by_day.idxmax() == 5 and by_day.idxmin() == 1
    assert by_day.max() / by_day.min() > 1.4


def test_yearly_season_differs_by_item(panel: pd.DataFrame) -> None:
    rows = _steady_sales(panel)
    by_month = rows.groupby(["item", rows[TIME].dt.month], observed=True)["share"].mean().unstack()
    assert (by_month.max(axis=1) / by_month.min(axis=1) > 1.15).all()
    assert by_month.idxmax(axis=1).nunique() > 1


def test_trends_differ_by_series() -> None:
    long = make_sales(stores=4, items=3, days=10 * 365, seed=2)
    years = long.groupby([ID, long[TIME].dt.year])[TARGET].mean().unstack()
    growth = years[2030] / years[2022]
    assert growth.max() > 1.3 and growth.min() < 0.9


def test_promotions_raise_sales_and_cut_prices(panel: pd.DataFrame) -> None:
    rows = _steady_sales(panel)
    means = rows.groupby([ID, "promotion"])[["share", "price"]].mean().unstack()
    assert (means["share"][1] > 1.2 * means["share"][0]).all()
    assert (means["price"][1] < means["price"][0]).all()


def test_price_lowers_sales(panel: pd.DataFrame) -> None:
    rows = _steady_sales(panel)
    rows = rows[rows["promotion"] == 0]
    dear = rows["price"] > rows.groupby(ID)["price"].transform("median")
    means = rows.groupby(["item", dear], observed=True)["share"].mean().unstack()
    assert (means[True] < means[False]).all()


def test_stock_outs_cap_sales(panel: pd.DataFrame) -> None:
    out = panel["in_stock"] == 0
    before = panel.groupby(ID)["in_stock"].shift(fill_value=1)
    assert 0.02 < out.mean() < 0.1
    assert (panel.loc[out & (before == 0), TARGET] == 0).all()
    steady = ~panel["intermittent"]
    first = panel.loc[steady & out & (before == 1), TARGET]
    assert 0 < first.mean() < 0.6 * panel.loc[steady & ~out, TARGET].mean()


def test_intermittent_items_are_mostly_zero(panel: pd.DataFrame) -> None:
    zero = (panel[TARGET] == 0).groupby([panel["intermittent"], panel[ID]]).mean()
    assert zero[True].between(0.8, 0.98).all()
    assert (zero[False] < 0.5).all()
    assert set(panel.loc[panel["intermittent"], "item"]) == {"item_4", "item_8"}


@pytest.mark.parametrize("days", [1, 3, 7, 92])
def test_short_panels_are_made_too(days: int) -> None:
    assert len(make_sales(stores=1, items=4, days=days)) == 4 * days


@pytest.mark.parametrize("name", ["stores", "items", "days"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "3"])
def test_bad_counts_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} is .* Give a whole number of at least 1"):
        make_sales(**{name: value})


def test_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed is -1"):
        make_sales(seed=-1)


@pytest.mark.parametrize("start", ["soon", "", "2022-01-01T00:00+01:00", None])
def test_bad_start_is_refused(start: object) -> None:
    with pytest.raises(ValueError, match="start is .* Give a date"):
        make_sales(start=start)


def test_alarms_follow_the_order_of_codes_and_not_the_codes() -> None:
    made = make_codes(machines=20, steps=800)
    pd.testing.assert_frame_equal(made, make_codes(machines=20, steps=800))
    followed = {"overheat": [], "vent": []}
    for _, one in made.groupby("unique_id", sort=False):
        codes, alarms = one.code.to_numpy(), one.y.to_numpy()
        places = np.flatnonzero(np.isin(codes, list(followed)))
        for first, second in zip(places, places[1:], strict=False):
            if second - first <= 5 and codes[first] != codes[second] and second + 7 < len(codes):
                followed[codes[first]].append(alarms[second + 6 : second + 8].all())
    assert np.mean(followed["overheat"]) > 0.85 and np.mean(followed["vent"]) < 0.25
    assert set(made.y) == {0.0, 1.0} and 0.03 < made.y.mean() < 0.08
