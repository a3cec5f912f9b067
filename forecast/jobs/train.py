"""The job train: score on held-back windows, fit on everything, save, forecast, report."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from forecast.data.panel import Panel
from forecast.data.windows import split_ends
from forecast.errors import ConfigError, DataError
from forecast.evaluation.backtest import check_baselines, evaluate
from forecast.evaluation.origins import scored_origins, usual_split
from forecast.evaluation.tables import Backtest
from forecast.evaluation.verdict import conclusion
from forecast.files import write_whole
from forecast.frames import history_frame
from forecast.jobs.console import about, new_console, print_files, print_scores, shown_progress, tell
from forecast.jobs.learner import Learner, learned, new_learner, steps_of
from forecast.jobs.record import draw, draw_errors, logged, write_card, write_forecast, write_report, write_scores
from forecast.jobs.settings import load_table, logger_of, output_folder, plain
from forecast.jobs.warm_start import origin_of, warm_learner
from forecast.predictor import Predictor, laid
from forecast.report import figures

log = logging.getLogger("forecast")
UNSCORED = "No held-back windows (test.windows=0): nothing is known of its worth."


def train(config: DictConfig) -> None:
    """Score on held-back windows, fit on everything, save the model, forecast, and report."""
    folder = output_folder()
    with logged(folder, job="train"):
        _train(plain(config), folder)


def _train(settings: dict[str, Any], folder: Path) -> None:
    began, console, test = time.monotonic(), new_console(), settings["test"]
    learner = new_learner(settings) if settings["warm_start"] is None else warm_learner(settings)
    check_baselines(test["baselines"], name=learner.name)
    panel = laid(load_table(settings["data"]), learner.columns, freq=learner.freq)
    logger = logger_of(settings["logger"], folder)
    tell(console, about(panel, title=settings["data"]["name"], what=learner.about, horizon=learner.horizon))
    with shown_progress(console, modules=["ensemble", "members"]):
        fitted, scored = _scored(learner, panel, settings, folder, logger) if test["windows"] else (None, None)
        history = None if fitted is None else fitted.history_
        if fitted is None or settings["final"]:
            fitted = learner.fit(panel, folder=folder / "checkpoints" / "final", logger=None if scored else logger)
            log.info("fitted %son everything: %s", "again " if scored else "", steps_of(fitted))
    fitted.save(folder / "model")
    future = _future(fitted, panel)
    _draw(folder, panel, fitted, scored, future, fitted.history_ if history is None else history, name=learner.name)
    card = write_card(folder, settings, panel, learned(fitted) | origin_of(settings), seconds=time.monotonic() - began)
    sentence = UNSCORED
    if scored is not None:
        write_scores(folder, scored)
        write_whole(folder / "test.parquet", scored.forecasts.to_parquet(index=False))
        sentence = conclusion(scored, name=learner.name, columns=panel.columns)
        title = f"held-back data: {test['windows']} windows of {learner.horizon} steps, mean over series"
        print_scores(console, scored, panel, title=title, name=learner.name)
    if future is not None:
        write_forecast(folder, "forecast", future)
    title = f"{learner.name} on {settings['data']['name']}, horizon {learner.horizon}"
    write_report(folder, scored, panel, card, title=title, sentence=sentence)
    console.print()
    tell(console, sentence, style="bold")
    console.print()
    print_files(console, folder)


def _scored(
    learner: Learner, panel: Panel, settings: dict[str, Any], folder: Path, logger: Any
) -> tuple[Predictor, Backtest]:
    """Return what was fitted before the held-back windows, and its scores on them."""
    test, ends = settings["test"], _test_ends(panel, learner.horizon, settings["test"])
    learner.refuse_seen(panel, ends[0])
    fitted = learner.fit(panel.until(ends[0]), folder=folder / "checkpoints" / "test", logger=logger)
    log.info("fitted on what lies before the held-back windows: %s", steps_of(fitted))
    season = settings["data"]["mase_season"]
    return fitted, evaluate(fitted, panel, ends, name=learner.name, baselines=test["baselines"], mase_season=season)


def _test_ends(panel: Panel, horizon: int, test: dict[str, Any]) -> np.ndarray:
    if test["windows"] < 0:
        raise ConfigError(f"test.windows is 0 or more, got {test['windows']}.")
    split: Any = test["split"] or usual_split(panel)
    ends = split_ends(panel, horizon=horizon, windows=test["windows"], split=split)
    if (ends[0] <= horizon).all():
        raise DataError(
            f"test.windows={test['windows']} windows of horizon {horizon} leave at most "
            f"{max(ends[0].max(), 0)} steps of any series to train on. Lower test.windows or the horizon."
        )
    scored_origins(panel, ends, horizon=horizon)  # refuses before training what could not be scored after it
    return ends


def _future(fitted: Predictor, panel: Panel) -> pd.DataFrame | None:
    if panel.known:
        names = ", ".join(covariate.name for covariate in panel.known)
        log.warning(
            "no forecast beyond the data: it needs %s there (forecast predict run=FOLDER data.path=FILE "
            "data.future=FILE).", names,
        )  # fmt: skip
        return None
    return fitted.predict(panel)


def _draw(
    folder: Path,
    panel: Panel,
    fitted: Predictor,
    scored: Backtest | None,
    future: pd.DataFrame | None,
    history: pd.DataFrame,
    *,
    name: str,
) -> None:
    if scored is not None or future is not None:
        figure = figures.forecast_figure(
            history_frame(panel), None if scored is None else scored.forecasts, future, columns=panel.columns,
            model=name, context=fitted.context_length_,
        )  # fmt: skip
        draw(folder, "forecast", figure)
    draw(folder, "training", figures.training_figure(history))
    if scored is not None:
        draw_errors(folder, scored, panel, folds=False)
