"""The jobs: settings in, files out. Each writes into the folder that Hydra gives it."""

from __future__ import annotations

from collections.abc import Callable

from omegaconf import DictConfig

from forecast.jobs.backtest import backtest
from forecast.jobs.compare import compare
from forecast.jobs.diagnose import diagnose
from forecast.jobs.export import export
from forecast.jobs.predict import predict
from forecast.jobs.train import train
from forecast.jobs.tune import tune

JOBS: dict[str, Callable[[DictConfig], None]] = {
    "train": train,
    "predict": predict,
    "backtest": backtest,
    "compare": compare,
    "diagnose": diagnose,
    "export": export,
    "tune": tune,
}
