"""What a person reads on the terminal, and again in the log."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from forecast.data.panel import Panel
from forecast.evaluation.tables import Backtest
from forecast.evaluation.verdict import shown
from forecast.frames import SCENARIO, TARGET, level_name
from forecast.jobs.scores import LABELS, SHARES, by_fold, by_target, interval_table, labelled
from forecast.report.numbers import share

log = logging.getLogger("forecast")
HEAD = 12  # rows of a forecast that are printed
METRICS = set(LABELS.values())
DISPENSABLE = (
    "width_95",
    "msis_95",
    "coverage_95",
    "rmse",
    "smape",
    "wql",
)  # metrics, the first to go where it is narrow
FILES = {  # of a run, with what a person finds in them
    "figures/forecast.png": "the plot to open",
    "figures/folds.png": "the plot to open",
    "figures/error_by_fold.png": "the error of each fold",
    "figures/calibration.png": "probabilities beside shares of events",
    "figures/attention.png": "what each step ahead looks at",
    "figures/gradients.png": "the gradient of the loss by steps back",
    "figures/memory.png": "the steps back that move the forecast",
    "figures/trials.png": "the trials of the search",
    "figures/settings.png": "what each setting explains",
    "experiment/best.yaml": "the best settings, as forecast train takes them",
    "trials.csv": "every trial: settings, error, seconds",
    "report.html": "tables and figures on one page",
    "table.md": "the table to paste, in Markdown",
    "table.tex": "and in LaTeX",
    "diagnosis": "what was measured, as tables",
    "comparison/leaderboard.csv": "the tables above",
    "comparison/scores.csv": "each seed; *_series, *_window and *_step are finer",
    "comparison/pairs.csv": "each model beside each other",
    "forecast.csv": "the forecast",
    "paths.csv": "sample paths of it",
    "backtest.csv": "every forecast beside the truth",
    "metrics.csv": "the scores above; metrics_by_*.csv have them by fold, step, time and series",
}


class _Console(Console):
    """A console that falls silent where nobody reads on, so that a run still writes all of its files."""

    def on_broken_pipe(self) -> None:
        """Leave the rest unprinted; rich's own console ends the program."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def new_console() -> Console:
    """Return the console that a job prints to."""
    return _Console(highlight=False)


def tell(console: Console, text: str, *, style: str | None = None, is_whole: bool = False) -> None:
    """Print a line, and note it in the log; one that is to be copied stays whole however long it is."""
    console.print(text, style=style, markup=False, soft_wrap=is_whole)
    log.info(text)


def about(panel: Panel, *, title: str, what: str, horizon: int) -> str:
    """Return what is read, and what is to learn from it."""
    rows, targets = int(panel.ends.sum()), panel.columns.targets
    several = f", targets {', '.join(targets)}" if len(targets) > 1 else ""
    return (
        f"{title}: {len(panel.ids)} series, {rows:,} steps, freq {panel.freq.name}{several}; {what}, horizon {horizon}"
    )


def print_scores(console: Console, scored: Backtest, panel: Panel, *, title: str, name: str) -> None:
    """Print the scores beside those of the simple methods, and those of each target where there are several."""
    print_table(console, labelled(scored.scores), title=title, bold=name)
    constant = int(scored.scores["constant"].max()) if "constant" in scored.scores else 0
    if constant:
        which = "1 series has" if constant == 1 else f"{constant} series have"
        console.print(f"{which} no MASE: constant before the first window, or too short (8 pairs a season apart).")
    intervals = interval_table(scored)
    if intervals is not None:
        console.print()
        print_table(console, intervals, title=f"{name}, with 95 % intervals", bold=name)
    for target, table in by_target(scored, panel.columns).items():
        console.print()
        print_table(console, labelled(table), title=target, bold=name)


def print_folds(console: Console, scored: Backtest, *, name: str) -> None:
    """Print the error of every model at each fold."""
    title, table = by_fold(scored)
    console.print()
    print_table(console, table, title=title, bold=name)


def print_leaderboard(console: Console, board: pd.DataFrame, cells: pd.DataFrame) -> None:
    """Print the models on each data set and horizon, the best first, and those that failed."""
    shown_ = {
        "model": "model", "mase": "MASE", "mae": "MAE", "smape": "sMAPE", "owa": "OWA", "crps": "CRPS",
        "skill": "skill, %", "rank": "rank", "wins": "wins", "fit_seconds": "fit s",
    }  # fmt: skip
    for (data, horizon), table in board.groupby(["data", "horizon"], sort=False):
        own = table[[name for name in shown_ if table[name].notna().any()]].rename(columns=shown_)
        if "skill, %" in own:
            own["skill, %"] *= 100
        own = own.round({"skill, %": 1, "rank": 2, "fit s": 2})
        print_table(console, own, title=f"{data}, horizon {horizon}, the best rank first", bold=table["model"].iloc[0])
        console.print()
    failed = cells[cells["status"] == "failed"]
    for row in failed.itertuples():
        console.print(
            f"{row.model} failed on {row.data}, horizon {row.horizon}, seed {row.seed}, fold {row.fold}: {row.reason}",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    if len(failed):
        console.print("retry_failed=true runs again what failed.", markup=False, soft_wrap=True)


def print_table(console: Console, table: pd.DataFrame, *, title: str, bold: str) -> None:
    """Print a table; the row or column of one model is bold. Metrics that find no room are left to the files."""
    cells = pd.DataFrame({str(name): [_cell(value, str(name)) for value in table[name]] for name in table})
    cells = cells[_fitting(cells, console.width)]
    printed = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    for column in map(str, cells):
        number = pd.api.types.is_float_dtype(table[column])
        printed.add_column(
            column.replace(" ", "\n") if column in METRICS else column, justify="right" if number else "left",
            vertical="bottom", min_width=_width(cells, column), style="bold" if column == bold else None,
        )  # fmt: skip
    for row in cells.itertuples(index=False):
        printed.add_row(*row, style="bold" if bold in row else None)
    console.print(title, style="italic", markup=False, soft_wrap=True)
    console.print(printed)


def _cell(value: object, column: str) -> str:
    if not isinstance(value, float):
        return str(value)
    return share(value) if column in SHARES and np.isfinite(value) else shown(value)


def _fitting(cells: pd.DataFrame, width: int) -> list[str]:
    """Return the columns that find room, those first left out that others tell of, too."""
    kept = list(map(str, cells))
    for column in (LABELS[name] for name in DISPENSABLE):
        if sum(_width(cells, name) + 1 for name in kept) > width + 1 and column in kept:
            kept.remove(column)
    return kept


def _width(cells: pd.DataFrame, column: str) -> int:
    """Return how wide a column has to be: the longest cell, or word of its title."""
    return max(map(len, [*cells[column], *(column.split() if column in METRICS else [column])]))


def print_forecast(console: Console, predicted: pd.DataFrame) -> None:
    """Print the first rows of a forecast, some of each target and scenario, with the outer levels."""
    outer = (level_name(0.1), level_name(0.9))
    names = [name for name in predicted if not str(name).startswith("q0.") or name in outer]
    keys = [name for name in (TARGET, SCENARIO) if name in predicted]
    groups = predicted.groupby(keys, sort=False) if keys else None
    head = predicted.head(HEAD) if groups is None else groups.head(max(HEAD // groups.ngroups, 2))
    table = head[names].to_string(index=False, float_format=shown)
    more = f"... {len(predicted) - len(head)} more rows\n" if len(predicted) > len(head) else ""
    console.print(f"\n{table}\n{more}", markup=False, soft_wrap=True)


def print_files(console: Console, folder: Path) -> None:
    """Print where the files of a run lie."""
    place = shown_path(folder)
    console.print(f"run folder: {place}", soft_wrap=True, markup=False)
    for name, what in {**FILES, "model": f"the saved model: forecast predict run={place}"}.items():
        if (folder / name).exists():
            console.print(f"  {name:<26} {what}", soft_wrap=True, markup=False)


@contextmanager
def shown_progress(console: Console, modules: Sequence[str]) -> Iterator[None]:
    """Print what modules tell the log of their progress."""

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.module in modules and record.levelno == logging.INFO:
                console.print(record.getMessage(), markup=False)

    handler = Shown()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def shown_path(folder: Path) -> Path:
    """Return a folder as seen from the working directory, where it lies below it."""
    try:
        return folder.relative_to(Path.cwd())
    except ValueError:
        return folder
