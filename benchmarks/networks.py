"""What a step of each network costs, as multiples of the GRU's: in training, and in a forecast.

    OMP_NUM_THREADS=1 python benchmarks/networks.py [--rounds 7] [--context 96] [--horizon 24]

Every network of conf/model at its defaults, with the loss and scaling that go with it, on hourly walks with a season of
24 steps. A training step is forward and backward over 128 windows; a forecast is that of 128 windows with nine
quantiles. The networks take turns, so that whatever else the machine does meets all alike, and the fastest of the
rounds counts. Two rounds beforehand are not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from forecast import Panel
from forecast.batch import Batch, Sizes
from forecast.config import build, networks, usual
from forecast.data.encoding import Encoding
from forecast.data.windows import TrainingWindows, Windows
from forecast.losses import LEVELS
from forecast.model import Model

SEASON, WARM_UP, UNIT = 24, 2, "gru"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--context", type=int, default=96)
    parser.add_argument("--horizon", type=int, default=24)
    arguments = parser.parse_args()
    panel = walks()
    windows = Windows(panel, Encoding.fit(panel), context_length=arguments.context, horizon=arguments.horizon)
    batch = TrainingWindows(windows, batch_size=128, seed=0, steps=1).draw(0)
    models = {name: model_of(name, panel, windows) for name in networks()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for _ in range(WARM_UP + arguments.rounds):
        for name, model in models.items():
            seconds[name].append((timed(learn, model, batch), timed(forecast, model, batch)))
    fastest = {name: np.min(times[WARM_UP:], axis=0) for name, times in seconds.items()}
    table = pd.DataFrame(fastest, index=["training step", "forecast"]).T / fastest[UNIT]
    print(table.sort_values("training step").round(1).to_string())


def walks() -> Panel:
    """Return 20 positive hourly walks, which every scaling takes."""
    random = np.random.default_rng(0)
    stamps = pd.date_range("2024-01-01", periods=1000, freq="h")
    frame = pd.DataFrame({"unique_id": np.repeat(np.arange(20), 1000), "ds": np.tile(stamps, 20)})
    return Panel.from_frame(frame.assign(y=np.exp(random.normal(size=len(frame)).cumsum() / 50)))


def model_of(name: str, panel: Panel, windows: Windows) -> Model:
    loss, scaler = (build(group, usual(group, name)) for group in ("loss", "scaling"))
    sizes: Sizes = windows.sizes(season=SEASON, outputs=loss.outputs)
    torch.manual_seed(0)
    loss.prepare(sizes)
    scaler.prepare(sizes)
    scaler.fit(panel)
    model = Model(build("model", name, sizes), scaler, loss)
    model.progress(1.0)  # a decoder then runs on its own values, as in most of its training
    return model


def learn(model: Model, batch: Batch) -> None:
    model.train().zero_grad()
    model.training_loss(*batch).backward()


def forecast(model: Model, batch: Batch) -> None:
    model.eval().forecast(batch[0], LEVELS)


def timed(call: Callable[[Model, Batch], None], model: Model, batch: Batch) -> float:
    began = time.perf_counter()
    call(model, batch)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
