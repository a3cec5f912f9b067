"""The job predict: forecast with a saved run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from forecast.data.panel import Panel
from forecast.data.sources import read_table
from forecast.errors import ConfigError
from forecast.frames import SCENARIO, history_frame
from forecast.jobs.console import new_console, print_files, print_forecast, tell
from forecast.jobs.record import draw, logged, write_forecast
from forecast.jobs.settings import output_folder, plain
from forecast.jobs.warm_start import load_run
from forecast.report import figures


def predict(config: DictConfig) -> None:
    """Forecast with a saved run, from newer data or from the history that it has seen."""
    folder = output_folder()
    with logged(folder, job="predict"):
        _predict(plain(config), folder)


def _predict(settings: dict[str, Any], folder: Path) -> None:
    predictor = load_run(settings["run"], accelerator=settings["accelerator"])
    path, future = settings["data"]["path"], settings["data"]["future"]
    if path is None and future is not None:
        raise ConfigError("data.future needs the history that it follows. Add data.path=FILE.")
    panel, table = predictor.panel_, None
    columns = panel.columns
    if path is not None:
        table = read_table(path)
        panel = Panel.from_frame(table, columns, freq=predictor.freq_)
    predicted = predictor.predict(table, future=_futures(future), levels=settings["levels"])
    write_forecast(folder, "forecast", predicted)
    figure = figures.forecast_figure(
        history_frame(panel), None, predicted, columns=columns, model="forecast",
        title=f"{', '.join(columns.targets)}: {predictor.horizon_} steps ahead", context=predictor.context_length_,
    )  # fmt: skip
    draw(folder, "forecast", figure)
    console = new_console()
    scenarios = f" under {predicted[SCENARIO].nunique()} scenarios" if SCENARIO in predicted else ""
    tell(console, f"{len(panel.ids)} series forecast {predictor.horizon_} steps ahead{scenarios}:")
    print_forecast(console, predicted)
    print_files(console, folder)


def _futures(future: Any) -> pd.DataFrame | dict[str, pd.DataFrame] | None:
    """Return the tables of known covariates ahead: one, or one for each scenario."""
    if future is None:
        return None
    if isinstance(future, str):
        return read_table(future)
    if isinstance(future, dict) and all(isinstance(path, str) for path in future.values()):
        return {str(name): read_table(path) for name, path in future.items()}
    raise ConfigError(f"data.future is a file, or {{NAME: FILE, ...}} of scenarios, got {future!r}.")
