"""The job predict: forecast with a saved run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from forecast.data.columns import Columns
from forecast.data.laying import laid
from forecast.data.panel import Panel
from forecast.data.sources import read_table
from forecast.data.tables import names_a_table
from forecast.errors import ConfigError, check_count
from forecast.frames import SCENARIO
from forecast.jobs.console import new_console, print_files, print_forecast, tell
from forecast.jobs.learner import told_event
from forecast.jobs.record import draw_forecast, logged, write_forecast
from forecast.jobs.settings import given_table, plain, refuse_roles
from forecast.jobs.warm_start import load_run
from forecast.run_folder import output_folder


def predict(config: DictConfig) -> None:
    """Forecast with a saved run, from newer data or from the history that it has seen."""
    folder = output_folder()
    with logged(folder, job="predict"):
        _predict(plain(config), folder)


def _predict(settings: dict[str, Any], folder: Path) -> None:
    refuse_roles()
    data = settings["data"]
    is_newer = names_a_table(data)
    if not is_newer and data["future"] is not None:
        raise ConfigError("data.future needs the history that it follows. Add data.path=FILE.")
    check_count("paths", settings["paths"], least=0)
    predictor = load_run(settings["run"], accelerator=settings["accelerator"])
    panel, future = predictor.panel_, None
    columns = panel.columns
    if is_newer:
        table, future = given_table(data, columns), _futures(data, columns)
        lay = laid if future is None else Panel.from_frame  # with a future the table is laid and told of once more
        panel = lay(table, columns, freq=predictor.freq_)
    given = panel if future is None else table
    predicted = predictor.predict(given, future=future, levels=settings["levels"])
    write_forecast(folder, "forecast", predicted)
    paths = predictor.sample(given, future=future, paths=settings["paths"]) if settings["paths"] else None
    if paths is not None:
        write_forecast(folder, "paths", paths)
    title = f"{', '.join(panel.columns.targets)}: {predictor.horizon_} steps ahead"
    draw_forecast(
        folder, panel, None, predicted, event=told_event(predictor), model="forecast",
        context=predictor.context_length_, title=title, paths=paths,
    )  # fmt: skip
    console = new_console()
    scenarios = f" under {predicted[SCENARIO].nunique()} scenarios" if SCENARIO in predicted else ""
    tell(console, f"{len(panel.ids)} series forecast {predictor.horizon_} steps ahead{scenarios}:")
    print_forecast(console, predicted)
    print_files(console, folder)


def _read(path: str, data: dict[str, Any], columns: Columns) -> pd.DataFrame:
    return read_table(path, ids=None if columns.wide else columns.id, **data["csv"])


def _futures(data: dict[str, Any], columns: Columns) -> pd.DataFrame | dict[str, pd.DataFrame] | None:
    """Return the tables of known covariates ahead: one, or one for each scenario."""
    future = data["future"]
    if future is None:
        return None
    if isinstance(future, str):
        return _read(future, data, columns)
    if isinstance(future, dict) and all(isinstance(path, str) for path in future.values()):
        return {str(name): _read(path, data, columns) for name, path in future.items()}
    raise ConfigError(f"data.future is a file, or {{NAME: FILE, ...}} of scenarios, got {future!r}.")
