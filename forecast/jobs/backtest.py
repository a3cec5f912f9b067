"""The job backtest: score at many origins, and report."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from forecast.data.laying import laid
from forecast.data.panel import Panel
from forecast.data.splits import refuse_short
from forecast.errors import check_count
from forecast.evaluation.origins import fold_ends
from forecast.evaluation.plan import check_baselines, check_plan
from forecast.evaluation.shuffling import Shuffling
from forecast.evaluation.tables import Backtest
from forecast.evaluation.verdict import conclusion
from forecast.frames import history_frame
from forecast.jobs.console import about, new_console, print_files, print_folds, print_scores, shown_progress, tell
from forecast.jobs.learner import Learner, new_learner
from forecast.jobs.reasons import draw_reasons, shuffling_of
from forecast.jobs.record import draw, draw_errors, logged, write_card, write_forecast, write_report, write_scores
from forecast.jobs.scores import averaged
from forecast.jobs.settings import load_table, plain
from forecast.run_folder import output_folder

NO_MODEL = "No model is saved: forecast train fits on everything and saves one."


def backtest(config: DictConfig) -> None:
    """Score at several origins beside simple methods, and report."""
    folder = output_folder()
    with logged(folder, job="backtest"):
        _backtest(plain(config), folder)


def _backtest(settings: dict[str, Any], folder: Path) -> None:
    began, console, plan = time.monotonic(), new_console(), settings["backtest"]
    plan["split"] = plan["split"] or settings["data"]["split"]
    learner = new_learner(settings)
    check_baselines(plan["baselines"], name=learner.name)
    check_count("paths", settings["paths"], least=0)
    check_count("seed", settings["seed"], least=0)
    Shuffling(**settings["importance"]).check()
    panel = laid(load_table(settings["data"]), learner.columns, freq=learner.freq)
    check_plan(
        **{name: plan[name] for name in ("folds", "step", "refit")}, horizon=learner.horizon,
        mase_season=settings["data"]["mase_season"],
    )  # fmt: skip
    refuse_short(panel, horizon=learner.horizon, context_length=settings["context_length"])
    ends = fold_ends(panel, horizon=learner.horizon, folds=plan["folds"], step=plan["step"], split=plan["split"])
    learner = learner.settled(panel.until(ends[0]))
    tell(console, about(panel, title=settings["data"]["name"], what=learner.about, horizon=learner.horizon))
    facts = {"model": learner.about, "folds": _plan(plan, learner.horizon)}
    tell(console, facts["folds"])
    from forecast.evaluation.backtest import backtest as evaluate  # torch loads once table and settings are right

    with shown_progress(console, modules=["backtest", "calibrated", "ensemble", "members"]):
        scored = evaluate(
            learner.make(), panel, **plan, mase_season=settings["data"]["mase_season"], name=learner.name,
            folder=folder / "checkpoints", shuffling=shuffling_of(settings, panel),
            paths=settings["paths"],
        )  # fmt: skip
    write_scores(folder, scored)
    write_forecast(folder, "backtest", scored.forecasts)
    if scored.paths is not None:
        write_forecast(folder, "paths", scored.paths)
    _draw(folder, panel, scored, learner, context=settings["context_length"])
    card = write_card(folder, settings, panel, facts, seconds=time.monotonic() - began)
    sentence = conclusion(
        scored, name=learner.name, columns=panel.columns, is_calibrated=bool(settings["calibration"]["windows"])
    )
    title = f"{learner.name} on {settings['data']['name']}, {_folds(plan)} of horizon {learner.horizon}"
    write_report(folder, scored, panel, card, title=title, sentence=sentence)
    title = f"{_folds(plan)} of {learner.horizon} steps, {averaged(scored)}"
    print_scores(console, scored, panel, title=title, name=learner.name)
    print_folds(console, scored, name=learner.name)
    console.print()
    tell(console, sentence, style="bold")
    console.print()
    print_files(console, folder)
    console.print(NO_MODEL)


def _draw(folder: Path, panel: Panel, scored: Backtest, learner: Learner, *, context: int | None) -> None:
    from forecast.report import figures

    about: dict[str, Any] = {
        "columns": panel.columns, "model": learner.name, "context": context or 4 * learner.horizon,
    }  # fmt: skip
    history, forecasts = history_frame(panel), scored.forecasts
    if scored.event:
        draw(folder, "folds", figures.event_figure(history, forecasts, None, event=scored.event, **about))
        draw_errors(folder, scored, panel, folds=True)
        return
    folds_figure = partial(figures.folds_figure, history, forecasts, **about)
    draw(folder, "folds", folds_figure(paths=scored.paths))
    draw_errors(folder, scored, panel, folds=True)
    draw_reasons(folder, scored, panel, name=learner.name, series=folds_figure)


def _folds(plan: dict[str, Any]) -> str:
    return "1 fold" if plan["folds"] == 1 else f"{plan['folds']} folds"


def _plan(plan: dict[str, Any], horizon: int) -> str:
    """Return where the folds lie and when is trained, in words."""
    refit, apart = plan["refit"], f"{_folds(plan)}, {plan['step'] or horizon} steps apart; trained"
    if refit is False or refit == plan["folds"]:
        return f"{apart} once, before the first"
    return f"{apart} before each" if refit in (True, 1) else f"{apart} once every {refit} folds"
