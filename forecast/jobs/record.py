"""The files of a run: tables, figures, the report, and the card that says how it was made."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from forecast.data.columns import Columns
from forecast.data.panel import Panel
from forecast.evaluation.tables import Backtest
from forecast.files import write_whole
from forecast.frames import history_frame
from forecast.jobs.console import shown_path
from forecast.jobs.scores import (
    SHARES,
    by_fold,
    by_series,
    by_target,
    interval_table,
    labelled,
    one_cutoff_a_fold,
    ranked_by,
)

log = logging.getLogger("forecast")
CARD, HISTORY, STUDY = "card.json", "training.csv", "study.sqlite"
GO_ON = ("checkpoints/**/*.safetensors", STUDY)  # what an interrupted run goes on from
CAPTIONS = {  # of the figures, in the order of the report
    "forecast.png": "Forecasts",
    "folds.png": "Forecasts, fold by fold",
    "calibration.png": "Probabilities beside shares of events",
    "worst.png": "The series that it fails on most",
    "error_by_series.png": "Error by series",
    "error_by_fold.png": "Error by fold",
    "error_by_step.png": "Error by step of the horizon",
    "error_by_time.png": "Error by time",
    "importance.png": "Importance of covariates",
    "attention.png": "What each step ahead looks at",
    "training.png": "Training",
    "trials.png": "Trials of the search",
    "settings.png": "What each setting explains",
    "gradients.png": "Gradient of the loss by steps back",
    "memory.png": "Steps back that move the forecast",
    "gates.png": "Saturated gates",
    "norms.png": "Norms over training",
}


@contextmanager
def logged(folder: Path, *, job: str, going_on: Callable[[], str] | None = None) -> Iterator[None]:
    """Note in the log how a job ended; where it stopped midway, say how to go on.

    Parameters
    ----------
    folder : Path
        Of the run.
    job : str
        Its name on the command line.
    going_on : callable, optional
        Tells how to go on, "" where there is nothing to go on from; from what lies in the folder by default.
    """
    logging.captureWarnings(True)
    try:
        yield
    except BaseException as error:
        log.info("stopped: %s: %s", type(error).__name__, error)
        way = _resuming(folder, job) if going_on is None else going_on()
        if isinstance(error, ValueError):
            pass  # data or a setting, which going on would meet again
        elif way:
            log.warning("stopped midway. %s", way)
        elif not isinstance(error, Exception):
            log.warning("stopped, with nothing to go on from yet.")
        raise
    finally:
        logging.captureWarnings(False)
    log.info("wrote %s", folder)


def _resuming(folder: Path, job: str) -> str:
    if any(path for kept in GO_ON for path in folder.glob(kept)):
        return f"To go on: forecast {job} resume={shown_path(folder)}"
    return ""


def write_forecast(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write forecasts as CSV and Parquet."""
    write_whole(folder / f"{name}.csv", frame.to_csv(index=False))
    write_whole(folder / f"{name}.parquet", frame.to_parquet(index=False))


def write_scores(folder: Path, scored: Backtest) -> None:
    """Write the tables of scores."""
    tables = {
        "metrics": scored.scores,
        "metrics_by_fold": scored.per_fold,
        "metrics_by_step": scored.per_step,
        "metrics_by_time": scored.per_time,
        "metrics_by_series": scored.per_series,
        "metrics_by_target": scored.per_target,
        "metrics_intervals": scored.intervals,
        "importance": scored.importance,
    }
    for name, table in tables.items():
        if table is not None:
            write_whole(folder / f"{name}.csv", table.to_csv(index=False))


def draw_forecast(
    folder: Path,
    panel: Panel,
    scored: pd.DataFrame | None,
    future: pd.DataFrame | None,
    *,
    event: str,
    model: str,
    context: int,
    title: str = "",
    paths: pd.DataFrame | None = None,
) -> None:
    """Draw forecasts of a panel: values under a title, or probabilities of an event, in words what a target does."""
    from forecast.report import figures  # matplotlib loads for what is drawn, not for what is refused

    chosen = partial(figures.event_figure, event=event) if event else figures.forecast_figure
    about: dict[str, Any] = {"columns": panel.columns, "model": model, "context": context}
    about |= {} if event else {"title": title, "paths": paths}  # the title of an event says what it is
    draw(folder, "forecast", chosen(history_frame(panel), scored, future, **about))


def draw_errors(folder: Path, scored: Backtest, panel: Panel, *, folds: bool) -> None:
    """Draw the error by step of the horizon, and by fold, and of probabilities how they agree with shares of events."""
    from forecast.report import figures  # matplotlib loads for what is drawn, not for what is refused

    metric = "mae" if "mae" in scored.scores and scored.scores["mae"].notna().all() else ranked_by(scored)
    if scored.per_step[metric].isna().all():
        return  # nothing was observed
    if scored.event:
        draw(folder, "calibration", figures.calibration_figure(scored.forecasts, event=scored.event))
    unit = panel.columns.units[0] if metric == "mae" else ""
    draw(folder, "error_by_step", figures.error_figure(scored.per_step, metric=metric, unit=unit))
    if folds:
        metric = ranked_by(scored)
        per_fold = scored.per_fold if one_cutoff_a_fold(scored) else scored.per_fold.drop(columns="cutoff")
        unit = panel.columns.units[0] if metric == "mae" else ""
        draw(folder, "error_by_fold", figures.fold_error_figure(per_fold, metric=metric, unit=unit))


def draw(folder: Path, name: str, figure: Any) -> None:
    """Write a figure."""
    from forecast.report import figures

    figures.save(figure, folder / "figures" / f"{name}.png")


def write_report(
    folder: Path, scored: Backtest | None, panel: Panel, card: Mapping[str, Any], *, title: str, sentence: str
) -> None:
    """Write tables and figures of a run as one page."""
    from forecast.report.page import write_page

    tables = {}
    if scored is not None:
        tables["On held-back data"] = labelled(scored.scores)
        intervals = interval_table(scored)
        if intervals is not None:
            tables["What may be chance"] = intervals
        tables |= {caption: labelled(table) for caption, table in by_target(scored, panel.columns).items()}
        if scored.per_fold["fold"].nunique() > 1:
            caption, table = by_fold(scored)
            tables[caption] = table
        caption, table = by_series(scored)
        tables[caption] = table
    paths = {caption: folder / "figures" / file for file, caption in CAPTIONS.items()}
    write_page(
        folder / "report.html",
        title=title,
        sentence=sentence,
        tables=tables,
        figures={caption: path for caption, path in paths.items() if path.is_file()},
        facts={label: str(value) for label, value in card.items() if label != "settings"},
        shares=SHARES,
    )


def write_card(
    folder: Path, settings: dict[str, Any], panel: Panel, learned: Mapping[str, Any], *, seconds: float
) -> dict[str, Any]:
    """Write and return what a reader needs to believe a run, or to repeat it."""
    import torch  # loaded by the training; a refused run never gets here

    packages = ("recurrent-forecast", "torch", "lightning", "pandas", "numpy")
    card = {
        "seed": settings["seed"],
        "threads": torch.get_num_threads(),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{package} {version(package)}" for package in packages),
        "data": fingerprint(panel),
        "series": len(panel.ids),
        "steps": int(panel.ends.sum()),
        "frequency": panel.freq.name,
        **_roles(panel.columns),
        **learned,
        "wall time": f"{seconds:.1f} s",
        "settings": settings,
    }
    write_whole(folder / CARD, json.dumps(card, indent=1, ensure_ascii=False))
    return card


def fingerprint(panel: Panel) -> str:
    """Return what tells the values of a panel from any other."""
    return hashlib.sha256(panel.target.tobytes() + panel.offsets.tobytes()).hexdigest()


def _roles(columns: Columns) -> dict[str, str]:
    """Return what was forecast, and what else the network was told, in words."""
    told = {
        "targets": ", ".join(columns.targets),
        **{f"{role} covariates": ", ".join(getattr(columns, role)) for role in ("past", "known", "static")},
        "holidays": columns.holidays or "",
        "minimum": ", ".join("none" if value is None else f"{value:g}" for value in columns.minima),
    }
    if len(columns.targets) > 1:
        told["several targets"] = "joint" if columns.joint else "each by itself"
    return {label: value for label, value in told.items() if value and set(value.split(", ")) != {"none"}}
