"""What a person reads on the terminal, and again in the log."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from forecast.data.panel import Panel
from forecast.evaluation.tables import Backtest
from forecast.evaluation.verdict import shown
from forecast.frames import SCENARIO, TARGET, level_name
from forecast.jobs.scores import by_fold, by_target, interval_table, labelled

log = logging.getLogger("forecast")
HEAD = 12  # rows of a forecast that are printed
FILES = {  # of a run, with what a person finds in them
    "figures/forecast.png": "the plot to open",
    "figures/folds.png": "the plot to open",
    "figures/error_by_fold.png": "the error of each fold",
    "figures/calibration.png": "probabilities beside shares of events",
    "figures/attention.png": "what each step ahead looks at",
    "report.html": "tables and figures on one page",
    "forecast.csv": "the forecast",
    "backtest.csv": "every forecast beside the truth",
    "metrics.csv": "the scores above; metrics_by_*.csv have them by fold, step and series",
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


def tell(console: Console, text: str, *, style: str | None = None) -> None:
    """Print a line, and note it in the log."""
    console.print(text, style=style, markup=False)
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
        console.print(f"{constant} series are constant in training and have no MASE.")
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


def print_table(console: Console, table: pd.DataFrame, *, title: str, bold: str) -> None:
    """Print a table; the row or column of one model is bold."""
    printed = Table()
    for column in table:
        number = pd.api.types.is_float_dtype(table[column])
        printed.add_column(
            str(column), justify="right" if number else "left", no_wrap=not number,
            style="bold" if column == bold else None,
        )  # fmt: skip
    for row in table.itertuples(index=False):
        cells = [shown(cell) if isinstance(cell, float) else str(cell) for cell in row]
        printed.add_row(*cells, style="bold" if bold in cells else None)
    console.print(title, style="italic", markup=False, soft_wrap=True)
    console.print(printed)


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
