"""Networks at their defaults beside simple methods on eight public data sets, the last horizon held back.

    FORECAST_DATASETS=FOLDER python benchmarks/public.py [--seeds 3] [--models gru lstm bigru] [NAME ...]

FOLDER holds the data sets as Parquet files. Each network is fitted on what lies before the last horizon of each series
and forecasts that horizon once; nothing else is looked at. Printed: MASE by data set, mean and range over the seeds,
and the ratio of each network to its bar: seasonal naive with the season of the calendar on weather and sales, naive on
stocks and exchange rates. The season of 365 days is that of the bar alone: the networks keep their default.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from forecast import Columns, Forecaster, backtest
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.metrics import mase_scale


@dataclass(frozen=True)
class Set:
    """How a data set is read, how far it is forecast, and what it is measured against."""

    horizon: int
    season: int  # of the seasonal naive method and of MASE
    bar: str = "seasonal_naive"
    columns: Columns = Columns()
    file: str | None = None


OJ = {"known": ("price", "deal", "feature"), "static": ("brand_name",)}
SETS = {
    "seattle_weather": Set(14, 365),
    "temps": Set(14, 365),
    "stocks_daily": Set(20, 5, "naive", Columns(gaps="rows")),
    "exchange_rate": Set(30, 1, "naive"),
    "aus_retail": Set(12, 12),
    "oj_sales": Set(8, 1),
    "oj_sales, covariates": Set(8, 1, columns=Columns(**OJ), file="oj_sales"),
    "car_parts": Set(12, 12),
    "nn5_daily": Set(56, 7),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=["gru", "lstm", "bigru"])
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    folder = Path(os.environ["FORECAST_DATASETS"])
    tables = {}
    for name in arguments.names or SETS:
        began = time.monotonic()
        tables[name] = table(SETS[name], pd.read_parquet(folder / f"{SETS[name].file or name}.parquet"), arguments)
        print(f"{name} ({time.monotonic() - began:.0f} s)\n{tables[name].round(3).to_string()}\n", flush=True)
    ratios = pd.DataFrame({name: ratio(own, SETS[name].bar) for name, own in tables.items()}).T
    print(f"MASE relative to the bar, mean over {arguments.seeds} seeds (below 1: the network is better)")
    print(ratios.round(3).to_string())


def table(data: Set, frame: pd.DataFrame, arguments: argparse.Namespace) -> pd.DataFrame:
    """Return mean, lowest and highest MASE over seeds, and the mean MAE, of each method."""
    rows: dict[str, list[pd.Series]] = {}
    for model in arguments.models:
        for seed in range(arguments.seeds):
            simple = ["naive", "ridge"] if not rows else []
            forecaster = Forecaster(model, horizon=data.horizon, columns=data.columns, seed=seed, progress=False)
            result = backtest(
                forecaster, frame, folds=1, split="series_end", baselines=simple, mase_season=data.season, name=model
            )
            for _, row in result.scores.iterrows():
                rows.setdefault(row["model"], []).append(row)
            if simple:
                rows["seasonal_naive"] = [seasonal(data, frame, result.forecasts)]
    return pd.DataFrame(
        {
            name: {
                "MASE": np.mean([row["mase"] for row in own]),
                "lowest": min(row["mase"] for row in own),
                "highest": max(row["mase"] for row in own),
                "MAE": np.mean([row["mae"] for row in own]),
                "80 % covers": np.mean([row["coverage"] for row in own]),
            }
            for name, own in rows.items()
        }
    ).T


def seasonal(data: Set, frame: pd.DataFrame, forecasts: pd.DataFrame) -> pd.Series:
    """Return the errors of the seasonal naive method with the season of the calendar, on the same rows."""
    columns = data.columns
    truth = forecasts[forecasts["model"] == "naive"]
    method = BASELINES["seasonal_naive"]().fit([], horizon=data.horizon, seasonality=data.season)
    errors, scales = [], []
    known = dict(iter(frame.sort_values(columns.time).groupby(columns.id)))
    for name, rows in truth.groupby(columns.id):
        own = known[name]
        history = on_grid(own[own[columns.time] < rows[columns.time].min()], columns)
        point = method.predict([history]).point[0]
        errors.append(np.nanmean(np.abs(rows["y"].to_numpy() - point[: len(rows)])))
        scales.append(mase_scale(history, seasonality=data.season))
    errors_, scales_ = np.array(errors), np.array(scales)
    return pd.Series({"mase": np.nanmean(errors_ / scales_), "mae": np.nanmean(errors_), "coverage": np.nan})


def on_grid(rows: pd.DataFrame, columns: Columns) -> np.ndarray:
    """Return a history with NaN for absent steps."""
    from forecast import Panel

    return Panel.from_frame(rows, columns).series(0)[:, 0]


def ratio(table: pd.DataFrame, bar: str) -> pd.Series:
    """Return each network's MASE by that of the bar."""
    networks = [name for name in table.index if name not in BASELINES]
    return table.loc[networks, "MASE"] / table.loc[bar, "MASE"]


if __name__ == "__main__":
    main()
