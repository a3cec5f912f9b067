"""Networks at their defaults beside simple methods on eight public data sets, the last horizon held back.

    FORECAST_DATASETS=FOLDER python benchmarks/public.py [--seeds 3] [--models gru lstm bigru] [--autoets] [NAME ...]

FOLDER holds the data sets as Parquet files. Each network is fitted on what lies before the last horizon of each series
and forecasts that horizon once; nothing else is looked at. Printed: MASE by data set, mean and range over the seeds,
and the ratio of each network to its bar: seasonal naive with the season of the calendar on weather and sales, naive on
stocks and exchange rates. The season of 365 days is that of the bar alone: the networks keep their default. Seconds
are those of a fit. Where a network refuses a data set, the reason is printed. --models all takes every network of
conf/model; --autoets adds AutoETS, of the extra `classical`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from experiments import folder

from forecast import Columns, Forecaster, Panel
from forecast.config import networks, read
from forecast.data.splits import split_ends
from forecast.errors import ForecastError
from forecast.evaluation.backtest import evaluate
from forecast.evaluation.baselines import BASELINES, Baseline
from forecast.evaluation.classical import AutoETS, is_installed
from forecast.evaluation.metrics import mase_scale

BESIDE = ("naive", "ridge")
AUTOETS = "autoets"


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
    parser.add_argument("--autoets", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    arguments.models = networks() if arguments.models == ["all"] else arguments.models
    for model in arguments.models:
        read("model", model)  # refuses one that is not there
    if arguments.autoets and not is_installed():
        print("AutoETS is left out: statsforecast is not installed.\n")
        arguments.autoets = False
    import forecast.training.fitting  # noqa: F401  Lightning takes seconds, which are not those of the first fit

    tables = {}
    for name in arguments.names or SETS:
        began = time.monotonic()
        tables[name] = table(SETS[name], pd.read_parquet(folder() / f"{SETS[name].file or name}.parquet"), arguments)
        print(f"{name} ({time.monotonic() - began:.0f} s)\n{tables[name].round(3).to_string()}\n", flush=True)
    ratios = pd.DataFrame({name: ratio(own, SETS[name].bar) for name, own in tables.items()})
    ratios["all"] = np.exp(np.log(ratios).mean(axis=1, skipna=False))
    print(f"MASE relative to the bar, mean over {arguments.seeds} seeds (below 1: the network is better)")
    print("all: the geometric mean over the sets, of networks that refuse none")
    print(ratios.sort_values("all").round(3).to_string())


def table(data: Set, frame: pd.DataFrame, arguments: argparse.Namespace) -> pd.DataFrame:
    """Return mean, lowest and highest MASE over seeds, the mean MAE, and the seconds of a fit, of each method."""
    panel = Panel.from_frame(frame, data.columns)
    rows: dict[str, list[pd.Series]] = {}
    for model in arguments.models:
        try:
            results = [
                scored(model, data, panel, seed=seed, beside=() if seed or "naive" in rows else BESIDE)
                for seed in range(arguments.seeds)
            ]
        except ForecastError as error:
            print(f"{model} refuses: {error}", flush=True)
            continue
        rows[model] = [row for scores, _ in results for row in named_row(scores, model)]
        if "naive" not in rows:
            scores, forecasts = results[0]
            rows |= {name: named_row(scores, name) for name in BESIDE}
            rows["seasonal_naive"] = [simple(BASELINES["seasonal_naive"](), data, frame, forecasts)]
            if arguments.autoets:
                rows[AUTOETS] = [simple(AutoETS(), data, frame, forecasts)]
    return pd.DataFrame(
        {
            name: {
                "MASE": np.mean([row["mase"] for row in own]),
                "lowest": min(row["mase"] for row in own),
                "highest": max(row["mase"] for row in own),
                "MAE": np.mean([row["mae"] for row in own]),
                "80 % covers": np.mean([row["coverage"] for row in own]),
                "seconds": np.mean([row["seconds"] for row in own]),
            }
            for name, own in rows.items()
        }
    ).T


def scored(
    model: str, data: Set, panel: Panel, *, seed: int, beside: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit a network on what lies before the last horizon; return scores and forecasts, simple methods beside it."""
    ends = split_ends(panel, horizon=data.horizon, windows=1, split="series_end")
    forecaster = Forecaster(model, horizon=data.horizon, columns=data.columns, seed=seed, progress=False)
    began = time.monotonic()
    forecaster.fit(panel.until(ends[0]))
    seconds = time.monotonic() - began
    result = evaluate(forecaster, panel, ends, name=model, baselines=beside, mase_season=data.season)
    return result.scores.assign(seconds=np.where(result.scores["model"] == model, seconds, np.nan)), result.forecasts


def named_row(scores: pd.DataFrame, model: str) -> list[pd.Series]:
    """Return the scores of a method, a row for each time it is there."""
    return [row for _, row in scores[scores["model"] == model].iterrows()]


def simple(method: Baseline, data: Set, frame: pd.DataFrame, forecasts: pd.DataFrame) -> pd.Series:
    """Return the errors of a method with the season of the calendar, on the same rows."""
    columns = data.columns
    truth = forecasts[forecasts["model"] == "naive"]
    known = dict(iter(frame.sort_values(columns.time).groupby(columns.id)))
    histories, after = [], []
    for name, rows in truth.groupby(columns.id):
        own = known[name]
        histories.append(on_grid(own[own[columns.time] < rows[columns.time].min()], columns))
        after.append(rows["y"].to_numpy())
    began = time.monotonic()
    points = method.fit([], horizon=data.horizon, seasonality=data.season).predict(histories).point
    seconds = time.monotonic() - began if isinstance(method, AutoETS) else np.nan
    errors = np.array([np.nanmean(np.abs(y - point[: len(y)])) for y, point in zip(after, points, strict=True)])
    scales = np.array([mase_scale(history, seasonality=data.season) for history in histories])
    return pd.Series(
        {"mase": np.nanmean(errors / scales), "mae": np.nanmean(errors), "coverage": np.nan, "seconds": seconds}
    )


def on_grid(rows: pd.DataFrame, columns: Columns) -> np.ndarray:
    """Return a history with NaN for absent steps."""
    return Panel.from_frame(rows, columns).series(0)[:, 0]


def ratio(table: pd.DataFrame, bar: str) -> pd.Series:
    """Return each network's MASE by that of the bar; nothing where all networks refuse."""
    if bar not in table.index:
        return pd.Series(dtype=float)
    networks = [name for name in table.index if name not in BASELINES]  # and AutoETS
    return table.loc[networks, "MASE"] / table.loc[bar, "MASE"]


if __name__ == "__main__":
    main()
