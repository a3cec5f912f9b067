"""What a forecast costs beside the network alone: one series, and twenty thousand, frame in and frame out.

    python benchmarks/predict.py [--series 20000] [--rounds 7] [--threads 2]

A GRU of width 64 at its defaults (daily series of 200 points, horizon 14, context 24, nine quantiles). The bare
network is the forward pass of the same module over the same windows, cut, scaled and batched beforehand. Where
NeuralForecast is installed, its GRU of the same width, context, horizon and quantiles forecasts the same frame, in
batches as large.
Measured in turn, round by round (a round of one series is 50 calls in a row), so that whatever else the machine does
meets all alike; printed: medians, their ratio.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from forecast import Forecaster, Training
from forecast.data.windows import prediction_windows
from forecast.trained import PREDICTION_BATCH

HORIZON, ROWS, TRAINED, WARM_UP = 14, 200, 50, 2
Contestants = dict[str, Callable[[pd.DataFrame], object]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("forecast").setLevel(logging.ERROR)  # most series are none that training has met
    history, training = walks(TRAINED), Training(steps=20)
    ours = Forecaster("gru", horizon=HORIZON, accelerator="cpu", training=training, progress=False).fit(history)
    contestants: Contestants = {"predict": ours.predict}
    peer = neural_forecast(history, context_length=ours.context_length_)
    if peer is None:
        print("NeuralForecast is not installed: pip install neuralforecast")
    else:
        contestants["NeuralForecast"] = peer
    print(f"{torch.get_num_threads()} threads, context {ours.context_length_}, horizon {HORIZON}")
    measure(ours, contestants, series=1, rounds=arguments.rounds, calls=50)
    measure(ours, contestants, series=arguments.series, rounds=arguments.rounds, calls=1)


def measure(ours: Forecaster, contestants: Contestants, *, series: int, rounds: int, calls: int) -> None:
    frame = walks(series)
    network = bare(ours, frame)
    runs = {"bare network": network} | {
        label: lambda predict=predict: predict(frame)  # type: ignore[misc]
        for label, predict in contestants.items()
    }
    seconds: dict[str, list[float]] = {label: [] for label in runs}
    for number in range(WARM_UP + rounds):
        for label, run in runs.items():
            for _ in range(calls):
                began = time.perf_counter()
                run()
                if number >= WARM_UP:
                    seconds[label].append(time.perf_counter() - began)
    median = {label: float(np.median(times)) for label, times in seconds.items()}
    print(f"{series:,} series of {ROWS} points:")
    for label, value in median.items():
        print(f"    {label:16} {value * 1e3:9.2f} ms   {value / median['bare network']:6.2f} x the bare network")


def bare(forecaster: Forecaster, frame: pd.DataFrame) -> Callable[[], None]:
    """Return the forward pass of the network alone over the windows of a frame."""
    model, panel = forecaster.model_, forecaster.as_panel(frame, freq=forecaster.freq_)
    lengths = {"context_length": forecaster.context_length_, "horizon": HORIZON}
    every, cpu = np.arange(len(panel.ids)), torch.device("cpu")
    windows, series, ends = prediction_windows(panel, forecaster.encoding, every, panel.ends, device=cpu, **lengths)
    batches = zip(series.split(PREDICTION_BATCH), ends.split(PREDICTION_BATCH), strict=True)
    with torch.inference_mode():
        scaled = [model.scaler(windows.batch(*batch)[0])[0] for batch in batches]

    def run() -> None:
        with torch.inference_mode():
            for inputs in scaled:
                model.network(inputs)

    return run


def neural_forecast(history: pd.DataFrame, *, context_length: int) -> Callable[[pd.DataFrame], object] | None:
    """Return the forecast of a GRU of NeuralForecast, None where it is not installed."""
    try:
        from neuralforecast import NeuralForecast
        from neuralforecast.losses.pytorch import MQLoss
        from neuralforecast.models import GRU
    except ImportError:
        return None
    warnings.filterwarnings("ignore")  # its trainer's advice, and pandas' on its behalf
    for name in ("lightning.pytorch", "pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    network = GRU(
        h=HORIZON,
        input_size=context_length,
        encoder_n_layers=1,
        encoder_hidden_size=64,
        decoder_hidden_size=64,
        decoder_layers=1,
        loss=MQLoss(level=[20, 40, 60, 80]),
        max_steps=20,
        valid_batch_size=PREDICTION_BATCH,
        inference_windows_batch_size=PREDICTION_BATCH,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    peer = NeuralForecast(models=[network], freq="D")
    peer.fit(history)
    return peer.predict


def walks(series: int) -> pd.DataFrame:
    """Return random walks, a row a day, sorted by series and day."""
    days = pd.date_range("2024-01-01", periods=ROWS, freq="D")
    return pd.DataFrame(
        {
            "unique_id": pd.Series(np.repeat([f"series {number}" for number in range(series)], ROWS), dtype="str"),
            "ds": np.tile(days.to_numpy(), series),
            "y": np.random.default_rng(0).normal(size=series * ROWS).cumsum(),
        }
    )


if __name__ == "__main__":
    main()
