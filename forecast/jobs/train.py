"""The job train: score on held-back windows, fit on everything, save, forecast, report."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from forecast.data.laying import laid
from forecast.data.panel import Panel
from forecast.data.splits import refuse_short
from forecast.errors import TrainingError, check_count, named
from forecast.evaluation.origins import held_back_ends, scored_origins
from forecast.evaluation.plan import check_baselines
from forecast.evaluation.shuffling import Shuffling
from forecast.evaluation.tables import Backtest
from forecast.evaluation.verdict import conclusion
from forecast.files import write_whole
from forecast.frames import history_frame
from forecast.jobs.console import about, new_console, print_files, print_scores, shown_path, shown_progress, tell
from forecast.jobs.learner import Learner, bare, learned, new_learner, so_far, steps_of, told_event, told_history
from forecast.jobs.reasons import draw_reasons, shuffling_of
from forecast.jobs.record import (
    CARD,
    HISTORY,
    draw,
    draw_errors,
    draw_forecast,
    logged,
    write_card,
    write_forecast,
    write_report,
    write_scores,
)
from forecast.jobs.scores import averaged
from forecast.jobs.settings import load_table, logger_of, plain
from forecast.jobs.warm_start import origin_of, warm_learner
from forecast.run_folder import output_folder

if TYPE_CHECKING:  # torch and the rest load once table and settings are right
    from forecast.predictor import Predictor

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
    check_count("paths", settings["paths"], least=0)
    check_count("seed", settings["seed"], least=0)
    Shuffling(**settings["importance"]).check()
    panel = laid(load_table(settings["data"]), learner.columns, freq=learner.freq)
    refuse_short(panel, horizon=learner.horizon, context_length=settings["context_length"])
    split = test["split"] or settings["data"]["split"]
    held_back = {"horizon": learner.horizon, "windows": test["windows"], "split": split}
    ends = held_back_ends(panel, **held_back) if test["windows"] else None
    learner = learner.settled(panel if ends is None else panel.until(ends[0]))
    logger = logger_of(settings["logger"], folder)
    tell(console, about(panel, title=settings["data"]["name"], what=learner.about, horizon=learner.horizon))
    if origin_of(settings) and not (folder / CARD).exists():  # a run that is interrupted saves a model too
        write_whole(folder / CARD, json.dumps(origin_of(settings)))
    with shown_progress(console, modules=["calibrated", "ensemble", "members"]), _kept(folder) as fits:
        scored = None if ends is None else _scored(learner, panel, ends, settings, folder, logger, fits)
        if not fits or settings["final"]:
            learner.fit(panel, fits, folder=folder / "checkpoints" / "final", logger=None if scored else logger)
            log.info("fitted %son everything: %s", "again " if scored else "", steps_of(fits[-1]))
    fitted, history = fits[-1], told_history(fits[0])
    fitted.save(folder / "model")
    write_whole(folder / HISTORY, history.to_csv(index=False))
    alive = _alive(fitted, panel)
    future = None if alive is None else fitted.predict(alive)
    paths = None if alive is None or not settings["paths"] else fitted.sample(alive, paths=settings["paths"])
    _draw(folder, panel, fitted, scored, future, paths, history, ends, name=learner.name)
    facts = {"model": learner.about, **learned(fitted), **origin_of(settings)}
    card = write_card(folder, settings, panel, facts, seconds=time.monotonic() - began)
    sentence = UNSCORED
    if scored is not None:
        write_scores(folder, scored)
        write_whole(folder / "test.parquet", scored.forecasts.to_parquet(index=False))
        sentence = conclusion(
            scored, name=learner.name, columns=panel.columns, is_calibrated=bare(fits[0]) is not fits[0]
        )
        title = f"held-back data: {test['windows']} windows of {learner.horizon} steps, {averaged(scored)}"
        print_scores(console, scored, panel, title=title, name=learner.name)
    if future is not None:
        write_forecast(folder, "forecast", future)
    if paths is not None:
        write_forecast(folder, "paths", paths)
    title = f"{learner.name} on {settings['data']['name']}, horizon {learner.horizon}"
    write_report(folder, scored, panel, card, title=title, sentence=sentence)
    console.print()
    tell(console, sentence, style="bold")
    console.print()
    print_files(console, folder)


@contextmanager
def _kept(folder: Path) -> Iterator[list[Predictor]]:
    """Give a list for what is fitted; where training stops midway, save the first of them, and say how to go on."""
    fits: list[Predictor] = []
    try:
        yield fits
    except (KeyboardInterrupt, SystemExit):
        is_finished = (folder / "report.html").exists()  # and is resumed: its own model is better
        if fits and hasattr(fits[0], "history_") and not is_finished:  # a step or more was done
            fits[0].save(folder / "model")
            log.warning("saved the model so far (%s): forecast predict run=%s", so_far(fits[0]), shown_path(folder))
        raise
    except TrainingError as error:
        if "on_divergence" not in str(error) or not any(folder.glob("checkpoints/**/*.safetensors")):
            raise
        way_on = f"forecast train resume={shown_path(folder)} training.on_divergence=lower_rate"
        raise TrainingError(f"{error} To go on with this run: {way_on}") from error


def _scored(
    learner: Learner,
    panel: Panel,
    ends: np.ndarray,
    settings: dict[str, Any],
    folder: Path,
    logger: Any,
    fits: list[Predictor],
) -> Backtest:
    """Fit on what lies before the held-back windows after `ends` (W, n), and return the scores on them."""
    from forecast.evaluation.backtest import evaluate

    test = settings["test"]
    learner.refuse_seen(panel, ends[0])
    check_baselines(test["baselines"], name=learner.name, of_events=learner.make().event is not None)
    learner.fit(panel.until(ends[0]), fits, folder=folder / "checkpoints" / "test", logger=logger)
    log.info("fitted on what lies before the held-back windows: %s", steps_of(fits[0]))
    return evaluate(
        fits[0], panel, ends, name=learner.name, baselines=test["baselines"],
        mase_season=settings["data"]["mase_season"], shuffling=shuffling_of(settings, panel),
    )  # fmt: skip


def _alive(fitted: Predictor, panel: Panel) -> Panel | None:
    """Return the series that can be forecast beyond the data, None where there are none; and say which cannot."""
    if panel.known:
        names = ", ".join(covariate.name for covariate in panel.known)
        log.warning(
            "no forecast beyond the data: it needs %s there (forecast predict run=FOLDER data.path=FILE "
            "data.future=FILE).", names,
        )  # fmt: skip
        return None
    every = np.arange(len(panel.ids))
    seen = panel.observed(every, panel.ends - fitted.context_length_, panel.ends)
    if seen.all():
        return panel
    log.warning(
        "%d of %d series have no observed value in their last %d steps, which is all that the model reads, and get no "
        "forecast beyond the data: %s is the first.",
        (~seen).sum(), len(seen), fitted.context_length_, named(panel.ids[~seen][0]),
    )  # fmt: skip
    keep = np.flatnonzero(seen)
    return panel.part(keep, np.zeros(len(keep), np.int64), panel.ends[keep]) if len(keep) else None


def _attention(fitted: Predictor, panel: Panel, ends: np.ndarray | None) -> pd.DataFrame | None:
    """Return what a network with attention looks at: now, or where that takes known covariates, after `ends` (W, n)."""
    from forecast.forecaster import Forecaster

    fitted = bare(fitted)
    if not isinstance(fitted, Forecaster) or not fitted.attends:
        return None
    if not panel.known:
        alive = _alive(fitted, panel)
        return None if alive is None else fitted.attention(alive)
    if ends is None:
        return None
    _, series, last = scored_origins(panel, ends[-1:], horizon=fitted.horizon_)
    return fitted.attention_origins(panel, series, last)


def _draw(
    folder: Path,
    panel: Panel,
    fitted: Predictor,
    scored: Backtest | None,
    future: pd.DataFrame | None,
    paths: pd.DataFrame | None,
    history: pd.DataFrame,
    ends: np.ndarray | None,
    *,
    name: str,
) -> None:
    from forecast.report import figures

    forecasts = None if scored is None else scored.forecasts
    about: dict[str, Any] = {"model": name, "context": fitted.context_length_}
    if scored is not None or future is not None:
        draw_forecast(folder, panel, forecasts, future, event=told_event(fitted), paths=paths, **about)
    draw(folder, "training", figures.training_figure(history))
    weights = _attention(fitted, panel, ends)
    if weights is not None:
        draw(folder, "attention", figures.attention_figure(weights, columns=panel.columns))
    if scored is not None:
        draw_errors(folder, scored, panel, folds=False)
    if scored is not None and not scored.event:
        drawn = partial(
            figures.forecast_figure, history_frame(panel), forecasts, None, columns=panel.columns, **about
        )  # fmt: skip
        draw_reasons(folder, scored, panel, name=name, series=drawn)
