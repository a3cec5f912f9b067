"""The job tune: search for settings, score the best once on held-back windows, and write what trains with them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig
from rich.console import Console

from forecast.config import AUTO
from forecast.data.laying import laid
from forecast.data.panel import Panel
from forecast.data.splits import refuse_short
from forecast.errors import ConfigError
from forecast.evaluation.origins import held_back_ends
from forecast.evaluation.plan import check_baselines
from forecast.evaluation.tables import Backtest
from forecast.evaluation.verdict import shown
from forecast.files import write_whole
from forecast.jobs.console import about, new_console, print_files, print_scores, shown_progress, tell
from forecast.jobs.experiment import write_experiment
from forecast.jobs.learner import Learner, new_learner, told_event, words
from forecast.jobs.record import STUDY, draw, draw_errors, draw_forecast, logged, write_card, write_report, write_scores
from forecast.jobs.scores import averaged
from forecast.jobs.settings import chosen, load_table, plain
from forecast.run_folder import output_folder
from forecast.tuning.space import without
from forecast.tuning.words import beside, importance_words, search_words, test_words

if TYPE_CHECKING:  # torch and the rest load once table and settings are right
    from forecast.tuning.tuning import Tuning

DEFAULTS = "default settings"


def tune(config: DictConfig) -> None:
    """Search for settings, score the best beside default settings and simple methods, and report."""
    folder = output_folder()
    with logged(folder, job="tune"):
        _tune(plain(config), folder)


def _tune(settings: dict[str, Any], folder: Path) -> None:
    began, console, test = time.monotonic(), new_console(), settings["test"]
    learner = new_learner(settings)
    check_baselines(test["baselines"], name=learner.name)
    _refuse_several(settings, learner)
    panel = laid(load_table(settings["data"]), learner.columns, freq=learner.freq)
    refuse_short(panel, horizon=learner.horizon, context_length=settings["context_length"])
    split = test["split"] or settings["data"]["split"]
    held_back = {"horizon": learner.horizon, "windows": test["windows"], "split": split}
    ends = held_back_ends(panel, **held_back) if test["windows"] else None
    tell(console, about(panel, title=settings["data"]["name"], what=learner.about, horizon=learner.horizon))
    known = panel if ends is None else panel.until(ends[0])
    tuned = _searched(learner, known, settings, folder, console)
    command = _write(folder, settings, tuned, learner)
    if tuned.is_stopped:
        tell(console, f"to train with the best settings so far: {command}", is_whole=True)
        raise KeyboardInterrupt
    sentence = search_words(tuned)
    scored = None if ends is None else _scored(learner, tuned, panel, ends, settings, folder)
    if scored is not None:
        sentence = f"{test_words(scored, name=learner.name, default=DEFAULTS)} {sentence}"
        title = f"held-back data: {test['windows']} windows of {learner.horizon} steps, {averaged(scored)}"
        print_scores(console, scored, panel, title=title, name=learner.name)
    card = write_card(
        folder, settings, panel, {"model": learner.about, **_facts(tuned)},
        seconds=time.monotonic() - began,
    )  # fmt: skip
    title = f"{learner.name} on {settings['data']['name']}, horizon {learner.horizon}, tuned"
    write_report(folder, scored, panel, card, title=title, sentence=sentence)
    console.print()
    tell(console, sentence, style="bold")
    if tuned.importance.empty:
        tell(console, f"what each setting explains: {importance_words(tuned)}")
    console.print()
    print_files(console, folder)
    console.print()
    tell(console, f"to train with these settings: {command}", is_whole=True)


def _refuse_several(settings: dict[str, Any], learner: Learner) -> None:
    """Refuse what forecasts with more than the one network that is tuned."""
    if learner.name == AUTO:
        raise ConfigError(
            "model=auto chooses a network once there is a table. Name the one to tune, such as model=gru."
        )
    if settings["calibration"]["windows"] or learner.name != chosen("model") or settings["ensemble"]["members"]:
        raise ConfigError(
            "forecast tune searches for settings of one network that is not calibrated. Leave out ensemble and "
            "calibration (calibration.windows=0), and give them to forecast train with what is found."
        )


def _searched(learner: Learner, known: Panel, settings: dict[str, Any], folder: Path, console: Console) -> Tuning:
    from forecast.forecaster import Forecaster
    from forecast.tuning.tuning import tune as search

    forecaster = learner.make()
    assert isinstance(forecaster, Forecaster)
    with shown_progress(console, modules=["changes", "study"]):
        return search(
            forecaster, known, space=without(settings["space"], words()), trials=settings["trials"],
            budget=settings["budget"], metric=settings["metric"], validation=settings["validation"],
            split=settings["test"]["split"] or settings["data"]["split"], mase_season=settings["data"]["mase_season"],
            prune=settings["prune"], storage=folder / STUDY, console=console,
        )  # fmt: skip


def _write(folder: Path, settings: dict[str, Any], tuned: Tuning, learner: Learner) -> str:
    """Write what was found, and return the command that trains with it."""
    from forecast.report.tuning import settings_figure, trials_figure
    from forecast.tuning.objective import label

    named = label(tuned.metric)
    write_whole(folder / "trials.csv", tuned.trials.to_csv(index=False))
    draw(folder, "trials", trials_figure(tuned.trials, label=named))
    if not tuned.importance.empty:
        write_whole(folder / "settings.csv", tuned.importance.to_csv(index=False))
        draw(folder, "settings", settings_figure(tuned.importance, label=named, trials=tuned.finished))
    made = f"{named} {shown(tuned.error)} on validation windows, {shown(tuned.default_error)} with default settings"
    return write_experiment(
        folder, settings, tuned.best, about=f"{learner.name} after {len(tuned.trials)} trials, {made}"
    )


def _scored(
    learner: Learner, tuned: Tuning, panel: Panel, ends: np.ndarray, settings: dict[str, Any], folder: Path
) -> Backtest:
    """Return the scores of the best settings and of simple methods after `ends` (W, n), then those of default ones."""
    from forecast.evaluation.backtest import evaluate

    mase_season, baselines = settings["data"]["mase_season"], settings["test"]["baselines"]
    best = tuned.forecaster.fit(panel.until(ends[0]))
    scored = evaluate(best, panel, ends, name=learner.name, baselines=baselines, mase_season=mase_season)
    write_scores(folder, scored)
    write_whole(folder / "test.parquet", scored.forecasts.to_parquet(index=False))
    drawn: dict[str, Any] = {"event": told_event(best), "model": learner.name, "context": best.context_length_}
    draw_forecast(folder, panel, scored.forecasts, None, **drawn)
    draw_errors(folder, scored, panel, folds=False)
    if not tuned.best:
        return scored
    default = learner.make().fit(panel.until(ends[0]))
    usual = evaluate(default, panel, ends, name=DEFAULTS, baselines=(), mase_season=mase_season)
    write_whole(folder / "metrics_default.csv", usual.scores.to_csv(index=False))
    return beside(scored, usual)


def _facts(tuned: Tuning) -> dict[str, Any]:
    """Return what a search found, for the card of a run."""
    return {
        "trials": len(tuned.trials),
        "judged by": f"{tuned.metric} on validation windows",
        "best": ", ".join(f"{key}={value}" for key, value in tuned.best.items()) or DEFAULTS,
        "what each setting explains": importance_words(tuned),
    }
