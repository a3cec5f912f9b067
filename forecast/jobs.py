"""The jobs: settings in, files out. Each writes into the folder that Hydra gives it."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from sklearn.base import clone

from forecast.config import build, shipped_folder
from forecast.data.columns import Columns
from forecast.data.generator import make_sales
from forecast.data.panel import Panel
from forecast.data.sources import read_table
from forecast.data.windows import split_ends
from forecast.errors import ConfigError, DataError
from forecast.evaluation.holdout import Scores, check_baselines, evaluate, interval_note, scored_origins, shown, verdict
from forecast.files import write_whole
from forecast.forecaster import Forecaster
from forecast.frames import history_frame, level_names
from forecast.report import figures
from forecast.report.page import write_page
from forecast.training import Training

log = logging.getLogger("forecast")
HEAD = 12  # rows of a forecast that are printed
SHOWN = 50  # series in the report's table
LABELS = {  # of the columns of scores, in every table that a person reads
    "model": "model",
    "mae": "MAE",
    "rmse": "RMSE",
    "smape": "sMAPE",
    "mase": "MASE",
    "coverage": "80 % covers",
    "width": "80 % width",
}


def train(config: DictConfig) -> None:
    """Score on held-back windows, fit on everything, save the model, forecast, and report."""
    with _logged(_folder()):
        _train(_plain(config), _folder(), name=HydraConfig.get().runtime.choices["model"])


def _train(settings: dict[str, Any], folder: Path, *, name: str) -> None:
    began = time.monotonic()
    data, test = settings["data"], settings["test"]
    if settings["horizon"] is None:
        raise ConfigError("horizon is not set, and this data set names none. Add horizon=STEPS.")
    if settings["horizon"] < 1:
        raise ConfigError(f"horizon is a whole number of 1 or more, got {settings['horizon']}.")
    check_baselines(test["baselines"])
    columns = Columns(**data["columns"])
    table = load_table(data, columns)
    panel = _panel(table, columns, freq=data["freq"])
    forecaster = _forecaster(settings, columns)
    logger = _logger(settings["logger"], folder)
    console = Console(highlight=False)
    _tell(console, _about(panel, name, data, settings))
    scores, sentence = None, "No held-back windows (test.windows=0): nothing is known of its worth."
    if test["windows"]:
        ends = _test_ends(panel, forecaster.horizon, test)
        forecaster.fit(panel.until(ends[0]), folder=folder / "checkpoints" / "test", logger=logger)
        log.info("fitted on what lies before the held-back windows: %s", _steps(forecaster))
        scores = evaluate(
            forecaster, panel, ends, name=name, baselines=test["baselines"], mase_season=data["mase_season"]
        )
        sentence = verdict(scores.summary, scores.per_series, name=name, columns_id=columns.id)
        sentence += interval_note(scores.summary, name=name)
    final, history = forecaster, scores and forecaster.history_
    if not scores or settings["final"]:
        final = clone(forecaster)
        final.fit(panel, folder=folder / "checkpoints" / "final", logger=None if scores else logger)
        log.info("fitted %son everything: %s", "again " if scores else "", _steps(final))
        history = final.history_ if history is None else history
    final.save(folder / "model")
    future = _future(final, panel, seen=final is not forecaster)
    seconds = time.monotonic() - began
    _write_tables(folder, future, scores)
    _write_figures(folder, table, panel, final, scores, future, history, name=name, unit=data["unit"])
    card = _card(settings, panel, final, seconds)
    write_whole(folder / "card.json", json.dumps(card, indent=1))
    _write_report(folder, scores, sentence, card, name=name, data=data, horizon=final.horizon)
    if scores:
        _print_scores(console, scores, name, test["windows"], final.horizon)
    console.print()
    _tell(console, sentence, style="bold")
    console.print()
    _print_files(console, folder)


def predict(config: DictConfig) -> None:
    """Forecast with a saved run, from newer data or from the history that it has seen."""
    with _logged(_folder()):
        _predict(_plain(config), _folder())


def _predict(settings: dict[str, Any], folder: Path) -> None:
    run = Path(settings["run"])
    forecaster = Forecaster.load(run / "model" if (run / "model").is_dir() else run)
    forecaster.accelerator = settings["accelerator"]
    path, future_path = settings["data"]["path"], settings["data"]["future"]
    if path is None and future_path is not None:
        raise ConfigError("data.future needs the history that it follows. Add data.path=FILE.")
    panel = forecaster.panel_
    if path is not None:
        future = None if future_path is None else read_table(future_path)
        panel = _panel(read_table(path), panel.columns, freq=forecaster.freq_, future=future)
    predicted = forecaster.predict(panel, levels=settings["levels"])
    _write_tables(folder, predicted, None)
    figure = figures.forecast_figure(
        history_frame(panel), None, predicted, columns=panel.columns, model="forecast",
        title=f"{panel.columns.target}, {forecaster.horizon} steps ahead", context=forecaster.context_length_,
    )  # fmt: skip
    figures.save(figure, folder / "figures" / "forecast.png")
    console = Console(highlight=False)
    _tell(console, f"{len(panel.ids)} series forecast {forecaster.horizon} steps ahead:")
    shown_columns = [name for name in predicted if not str(name).startswith("q0.") or name in ("q0.1", "q0.9")]
    table = predicted[shown_columns].head(HEAD).to_string(index=False, float_format=shown)
    console.print(f"\n{table}\n{f'... {len(predicted) - HEAD} more rows' if len(predicted) > HEAD else ''}\n")
    _print_files(console, folder)


JOBS: dict[str, Callable[[DictConfig], None]] = {"train": train, "predict": predict}


def load_table(data: dict[str, Any], columns: Columns) -> pd.DataFrame:
    """Return the table of a data set: the user's file, a file that ships, or a made panel."""
    if data["path"] is not None:
        return read_table(data["path"])
    if data["ships"] is not None:
        return read_table(shipped_folder() / data["ships"])
    if data["made"] is not None:
        return make_sales(**data["made"])
    raise ConfigError("no data: give data.path=FILE, or data=NAME (forecast train --help lists the names).")


@contextmanager
def _logged(folder: Path) -> Iterator[None]:
    """Note in the log how a job ended; where it stopped midway, say how to go on."""
    logging.captureWarnings(True)
    try:
        yield
    except BaseException as error:
        log.info("stopped: %s: %s", type(error).__name__, error)
        if isinstance(error, ValueError):
            pass  # data or a setting, which going on would meet again
        elif any(folder.glob("checkpoints/**/*.ckpt")):
            log.warning("stopped midway. To go on: forecast train resume=%s", _shown(folder))
        elif not isinstance(error, Exception):
            log.warning("stopped, with nothing to go on from yet.")
        raise
    finally:
        logging.captureWarnings(False)
    log.info("wrote %s", folder)


def _logger(settings: dict[str, Any], folder: Path) -> Any:
    """Return the Lightning logger of the settings, None where none is wanted."""
    if settings["_target_"] is None:
        return None
    try:
        return build("logger", settings, save_dir=folder)
    except ModuleNotFoundError as error:
        name = HydraConfig.get().runtime.choices["logger"]
        raise ConfigError(
            f"logger={name} needs a package that is not installed: pip install 'recurrent-forecast[{name}]'."
        ) from error


def _panel(table: pd.DataFrame, columns: Columns, *, freq: str | None, future: pd.DataFrame | None = None) -> Panel:
    """Return a table on its grid; tell of the steps that have no row."""
    panel = Panel.from_frame(table, columns, freq=freq, future=future)
    if panel.absent:
        log.warning(
            "%d steps of the time grid (freq %s) have no row; they count as unobserved.",
            panel.absent, panel.freq.name,
        )  # fmt: skip
    return panel


def _steps(forecaster: Forecaster) -> str:
    training, steps = forecaster.training or Training(), len(forecaster.history_)
    if training.validation and training.refit:
        return f"{steps} steps beside validation, then anew up to the best of them"
    return f"{steps} steps"


def _forecaster(settings: dict[str, Any], columns: Columns) -> Forecaster:
    level_names(settings["loss"].get("levels") or ())
    return Forecaster(
        settings["model"],
        horizon=settings["horizon"],
        context_length=settings["context_length"],
        freq=settings["data"]["freq"],
        seasonality=settings["data"]["seasonality"],
        columns=columns,
        loss=settings["loss"],
        scaling=settings["scaling"],
        training=Training(**settings["training"]),
        accelerator=settings["accelerator"],
        seed=settings["seed"],
        progress=settings["progress"],
    )


def _test_ends(panel: Panel, horizon: int, test: dict[str, Any]) -> np.ndarray:
    if test["windows"] < 0:
        raise ConfigError(f"test.windows is 0 or more, got {test['windows']}.")
    split: Any = test["split"] or ("series_end" if panel.freq.kind == "integer" else "calendar")
    ends = split_ends(panel, horizon=horizon, windows=test["windows"], split=split)
    if (ends[0] <= horizon).all():
        raise DataError(
            f"test.windows={test['windows']} windows of horizon {horizon} leave at most "
            f"{max(ends[0].max(), 0)} steps of any series to train on. Lower test.windows or the horizon."
        )
    scored_origins(panel, ends, horizon=horizon)  # refuses before training what could not be scored after it
    return ends


def _future(forecaster: Forecaster, panel: Panel, *, seen: bool) -> pd.DataFrame | None:
    if panel.known:
        names = ", ".join(covariate.name for covariate in panel.known)
        log.warning(
            "no forecast beyond the data: it needs %s there (forecast predict run=FOLDER data.path=FILE "
            "data.future=FILE).", names,
        )  # fmt: skip
        return None
    return forecaster.predict(None if seen else panel)


def _plain(config: DictConfig) -> dict[str, Any]:
    settings = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(settings, dict)
    return {str(name): value for name, value in settings.items()}


def _folder() -> Path:
    return Path(HydraConfig.get().runtime.output_dir)


def _about(panel: Panel, name: str, data: dict[str, Any], settings: dict[str, Any]) -> str:
    rows = int(panel.ends.sum())
    return (
        f"{data['name']}: {len(panel.ids)} series, {rows:,} steps, freq {panel.freq.name}; "
        f"{name}, horizon {settings['horizon']}"
    )


def _write_tables(folder: Path, future: pd.DataFrame | None, scores: Scores | None) -> None:
    if future is not None:
        write_whole(folder / "forecast.csv", future.to_csv(index=False))
        write_whole(folder / "forecast.parquet", future.to_parquet(index=False))
    if scores is not None:
        write_whole(folder / "metrics.csv", scores.summary.to_csv(index=False))
        write_whole(folder / "metrics_by_series.csv", scores.per_series.to_csv(index=False))
        write_whole(folder / "metrics_by_step.csv", scores.by_step.to_csv(index=False))
        write_whole(folder / "test.parquet", scores.forecasts.to_parquet(index=False))


def _write_figures(
    folder: Path,
    table: pd.DataFrame,
    panel: Panel,
    forecaster: Forecaster,
    scores: Scores | None,
    future: pd.DataFrame | None,
    history: pd.DataFrame | None,
    *,
    name: str,
    unit: str,
) -> None:
    scored = None if scores is None else scores.forecasts
    if scored is not None or future is not None:
        drawn = f"{figures.PANELS} of {len(panel.ids)} series" if len(panel.ids) > figures.PANELS else ""
        figure = figures.forecast_figure(
            history_frame(panel), scored, future, columns=panel.columns, model=name, unit=unit, title=drawn,
            context=forecaster.context_length_,
        )  # fmt: skip
        figures.save(figure, folder / "figures" / "forecast.png")
    if history is not None:
        figures.save(figures.training_figure(history), folder / "figures" / "training.png")
    if scores is not None:
        figures.save(figures.error_figure(scores.by_step, unit=unit), folder / "figures" / "error_by_step.png")


def _write_report(
    folder: Path,
    scores: Scores | None,
    sentence: str,
    card: dict[str, Any],
    *,
    name: str,
    data: dict[str, Any],
    horizon: int,
) -> None:
    captions = {
        "forecast.png": "Forecasts",
        "error_by_step.png": "Error by step of the horizon",
        "training.png": "Training",
    }
    pictures = {
        caption: folder / "figures" / file
        for file, caption in captions.items()
        if (folder / "figures" / file).is_file()
    }
    tables = {}
    if scores is not None:
        id_column = scores.per_series.columns[1]
        by_series = scores.per_series.pivot(index=id_column, columns="model", values="mase")
        tables["On held-back data"] = scores.summary[list(LABELS)].rename(columns=LABELS)
        caption = "MASE by series" + (f" (the first {SHOWN} of {len(by_series)})" if len(by_series) > SHOWN else "")
        tables[caption] = by_series[scores.summary["model"]].head(SHOWN)
    write_page(
        folder / "report.html",
        title=f"{name} on {data['name']}, horizon {horizon}",
        sentence=sentence,
        tables=tables,
        figures=pictures,
        facts={label: str(value) for label, value in card.items() if label != "settings"},
    )


def _card(settings: dict[str, Any], panel: Panel, forecaster: Forecaster, seconds: float) -> dict[str, Any]:
    """Return what a reader needs to believe a run, or to repeat it."""
    packages = ("recurrent-forecast", "torch", "lightning", "pandas", "numpy")
    return {
        "seed": settings["seed"],
        "threads": torch.get_num_threads(),
        "device": str(forecaster.device),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{package} {version(package)}" for package in packages),
        "data": hashlib.sha256(panel.target.tobytes() + panel.offsets.tobytes()).hexdigest(),
        "series": len(panel.ids),
        "steps": int(panel.ends.sum()),
        "context length": forecaster.context_length_,
        "seasonality": forecaster.seasonality_,
        "frequency": forecaster.freq_,
        "parameters": sum(weights.numel() for weights in forecaster.model_.parameters()),
        "wall time": f"{seconds:.1f} s",
        "settings": settings,
    }


def _print_scores(console: Console, scores: Scores, name: str, windows: int, horizon: int) -> None:
    title = f"held-back data: {windows} windows of {horizon} steps, mean over series"
    table = Table(title=title, title_justify="left")
    for column, label in LABELS.items():
        is_name = column == "model"
        table.add_column(label, justify="left" if is_name else "right", no_wrap=is_name)
    for _, row in scores.summary.iterrows():
        cells = [row["model"], *(shown(row[column]) for column in LABELS if column != "model")]
        table.add_row(*cells, style="bold" if row["model"] == name else None)
    console.print(table)
    constant = int(scores.summary["constant"].max())
    if constant:
        console.print(f"{constant} series are constant in training and have no MASE.")


def _tell(console: Console, text: str, *, style: str | None = None) -> None:
    """Print a line, and note it in the log."""
    console.print(text, style=style)
    log.info(text)


def _print_files(console: Console, folder: Path) -> None:
    place = _shown(folder)
    console.print(f"run folder: {place}", soft_wrap=True)
    for name, what in {
        "figures/forecast.png": "the plot to open",
        "report.html": "tables and figures on one page",
        "forecast.csv": "the forecast",
        "metrics.csv": "the table above",
        "model": "the saved model: forecast predict run=" + str(place),
    }.items():
        if (folder / name).exists():
            console.print(f"  {name:<22} {what}", soft_wrap=True)


def _shown(folder: Path) -> Path:
    try:
        return folder.relative_to(Path.cwd())
    except ValueError:
        return folder
