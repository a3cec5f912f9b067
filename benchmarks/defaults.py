"""What the default settings were chosen by: errors on windows before the test span, for one change at a time.

    python benchmarks/defaults.py [--seeds 2] [NAME ...]

The last three horizons of each data set, on which `forecast train` scores, are cut off before anything is fitted. The
eight horizons before them are forecast, and the MASE of each setting is printed relative to seasonal naive's on the
same windows. Data: what ships, and, where FORECAST_DATASETS names their folder, some public series.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from forecast import Columns, Forecaster, Panel, Training
from forecast.config import conf_folder, read, shipped_folder
from forecast.data.splits import split_ends
from forecast.evaluation.backtest import evaluate

TEST, WINDOWS = 3, 8
PUBLIC = {"temps": 14, "aus_retail": 12, "nn5_daily": 28, "stocks_daily": 20, "exchange_rate": 30}
GRU = read("model", "gru")
SETTINGS: dict[str, dict] = {
    "default": {},
    "no calendar": {"calendar": ()},
    "no bypass": {"model": {**GRU, "bypass": False}},
    "two seasons": {"seasons": 2},
    "400 steps, .005": {"steps": 400, "learning_rate": 0.005},
    "dropout 0.1": {"model": {**GRU, "dropout": 0.1}},
    "window": {"scaling": "window"},
    "lstm": {"model": "lstm"},
    "bigru": {"model": "bigru"},
    "linear": {"model": "linear"},
    "segrnn": {"model": "segrnn"},
    "seq2seq": {"model": "seq2seq"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    rows = {}
    for name, panel, horizon in panels(arguments.names):
        test = split_ends(panel, horizon=horizon, windows=TEST, split="series_end")
        span = panel.until(test[0])
        ends = split_ends(span, horizon=horizon, windows=WINDOWS, split="series_end")
        for setting in arguments.settings:
            scores = [scored(span, ends, horizon, SETTINGS[setting], seed) for seed in range(arguments.seeds)]
            table = pd.concat(scores).groupby("model", sort=False)["mase"].mean()
            rows[name, setting] = table / table["seasonal_naive"]
            print(
                f"{name:14} {setting:14}", "  ".join(f"{k} {v:.3f}" for k, v in rows[name, setting].items()), flush=True
            )
    result = pd.DataFrame(rows).T["network"].unstack(0)
    result["geometric mean"] = np.exp(np.log(result).mean(axis=1))
    print("\nMASE relative to seasonal naive, windows before the test span:")
    print(result.loc[arguments.settings].round(3).to_string())


def panels(names: list[str]):
    for name in ("sales", "weather", "stocks"):
        if not names or name in names:
            data = yaml.safe_load((conf_folder() / "data" / f"{name}.yaml").read_text(encoding="utf-8"))
            table = pd.read_csv(shipped_folder() / data["ships"])
            yield name, Panel.from_frame(table, Columns(**data["columns"]), freq=data.get("freq")), data["horizon"]
    folder = os.environ.get("FORECAST_DATASETS")
    for name, horizon in PUBLIC.items() if folder else ():
        if not names or name in names:
            frame = pd.read_parquet(Path(folder) / f"{name}.parquet")
            rows = "rows" if name == "stocks_daily" else "mask"
            panel = Panel.from_frame(frame, Columns(gaps=rows))
            yield name, panel.until(np.where(panel.ends > (TEST + WINDOWS + 2) * horizon, panel.ends, 0)), horizon


def scored(span: Panel, ends: np.ndarray, horizon: int, setting: dict, seed: int) -> pd.DataFrame:
    options = dict(setting)
    model, scaling = options.pop("model", "gru"), options.pop("scaling", "last")
    seasons = options.pop("seasons", None)  # or horizons, whichever is longer: the context of earlier versions
    context = seasons and max(seasons * span.season, seasons * horizon, 16)
    span = replace(span, columns=replace(span.columns, calendar=options.pop("calendar", "auto")))
    forecaster = Forecaster(
        model,
        horizon=horizon,
        context_length=context,
        scaling=scaling,
        training=Training(**options),
        seed=seed,
        progress=False,
    )
    forecaster.fit(span.until(ends[0]))
    baselines = ["seasonal_naive", "naive", "ridge"]
    return evaluate(forecaster, span, ends, name="network", baselines=baselines).scores


if __name__ == "__main__":
    main()
