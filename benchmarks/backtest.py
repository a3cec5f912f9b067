"""What forecasting many origins in one call saves: 100 origins of one series, each way in turn in the same run.

    python benchmarks/backtest.py [--origins 100] [--rounds 5] [--threads 1]

In one call, as a backtest does; in one call for each origin, on the same panel; and by hand, where `predict` is given
the table cut at each origin. Printed: the median seconds of each, the first way's share of the others' time, and the
largest difference of a forecast, relative to its size.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from forecast import Forecaster, Panel, Training

HORIZON, ROWS = 24, 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--origins", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    frame = hourly()
    forecaster = Forecaster("gru", horizon=HORIZON, training=Training(steps=50), accelerator="cpu", progress=False)
    forecaster.fit(frame)
    panel, levels = Panel.from_frame(frame), forecaster.levels()
    ends = ROWS - HORIZON - np.arange(arguments.origins)[::-1]
    series = np.zeros_like(ends)

    def together() -> np.ndarray:
        return forecaster.predict_origins(panel, series, ends, levels=levels)

    def one_by_one() -> np.ndarray:
        each = [
            forecaster.predict_origins(panel, series[:1], ends[at : at + 1], levels=levels) for at in range(len(ends))
        ]
        return np.concatenate(each)

    def by_hand() -> np.ndarray:
        forecasts = [forecaster.predict(frame.iloc[:end]).filter(regex="^forecast$|^q0") for end in ends]
        return np.stack(forecasts)[:, :, None]

    ways = {"in one call": together, "a call an origin": one_by_one, "predict(the cut table)": by_hand}
    seconds, values = timed(ways, rounds=arguments.rounds)
    print(f"{len(ends)} origins of one series, horizon {HORIZON}, context {forecaster.context_length_}")
    for label, taken in seconds.items():
        share = seconds["in one call"] / taken
        apart = np.max(np.abs(values[label] / values["in one call"] - 1))
        print(f"{label:24} {taken:8.4f} s   one call takes {share:6.1%} of it   largest difference {apart:.1e}")


def hourly() -> pd.DataFrame:
    random, steps = np.random.default_rng(0), np.arange(ROWS)
    values = 100 + 20 * np.sin(2 * np.pi * steps / 24) + random.normal(0, 3, ROWS)
    return pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=ROWS, freq="h"), "y": values})


def timed(ways: dict[str, Callable[[], np.ndarray]], *, rounds: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the median seconds of each way, and what it forecasts; the first round only warms up."""
    seconds: dict[str, list[float]] = {label: [] for label in ways}
    values = {}
    for number in range(rounds + 1):
        for label, way in ways.items():
            began = time.perf_counter()
            values[label] = way()
            if number:
                seconds[label].append(time.perf_counter() - began)
    return {label: float(np.median(taken)) for label, taken in seconds.items()}, values


if __name__ == "__main__":
    main()
