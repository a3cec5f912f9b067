"""What it costs to forecast a hundred origins: in one pass, one by one, and as a user would do it by hand.

    python benchmarks/backtest.py [--origins 100] [--rounds 5]

A GRU is fitted to the daily weather that ships. The same origins, a step apart, are then forecast in one call, in one
call each, and by `predict` on the table cut at each origin. Printed: the median seconds over the rounds, their ratio to
the first way, and the largest difference to it, relative to the deviation of the series.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import yaml

from forecast import Columns, Forecaster, Panel, Training
from forecast.config import conf_folder, shipped_folder

LEVELS = (0.1, 0.5, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--origins", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = yaml.safe_load((conf_folder() / "data" / "weather.yaml").read_text(encoding="utf-8"))
    table = pd.read_csv(shipped_folder() / data["ships"], parse_dates=[data["columns"]["time"]])
    columns = Columns(**data["columns"])
    forecaster = Forecaster("gru", horizon=14, columns=columns, training=Training(steps=20), progress=False)
    panel = Panel.from_frame(table, columns)
    forecaster.fit(panel)
    ends = panel.ends[0] - 14 - np.arange(arguments.origins)
    series = np.zeros(len(ends), np.int64)
    rows = table.sort_values(columns.time)

    def one_by_one() -> np.ndarray:
        return np.concatenate(
            [forecaster.predict_origins(panel, series[:1], ends[[at]], levels=LEVELS) for at in range(len(ends))]
        )

    def by_hand() -> np.ndarray:
        frames = [forecaster.predict(rows.iloc[:end], levels=LEVELS) for end in ends]
        return np.stack([frame.iloc[:, 2:].to_numpy() for frame in frames])[:, :, None]

    ways: dict[str, Callable[[], np.ndarray]] = {
        "one pass": lambda: forecaster.predict_origins(panel, series, ends, levels=LEVELS),
        "a call an origin": one_by_one,
        "predict(table cut at the origin)": by_hand,
    }
    expected = ways["one pass"]()
    seconds: dict[str, list[float]] = {label: [] for label in ways}
    for _ in range(arguments.rounds):
        for label, way in ways.items():
            began = time.perf_counter()
            values = way()
            seconds[label].append(time.perf_counter() - began)
            farthest = np.abs(values - expected).max() / np.nanstd(panel.target)
            if len(seconds[label]) == 1:
                print(f"{label:34} largest difference {farthest:.1e}")
    first = np.median(seconds["one pass"])
    for label, times in seconds.items():
        median = np.median(times)
        print(f"{label:34} {median:8.3f} s   {median / first:6.1f} x the time of one pass")


if __name__ == "__main__":
    main()
