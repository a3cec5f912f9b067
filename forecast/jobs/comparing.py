"""How far a comparison is: a live table on a terminal, lines where there is none."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from forecast.comparison.running import Progress

log = logging.getLogger("forecast")
ROWS = 12  # of the live table
OFTEN = 4  # times a second


@contextmanager
def shown_cells(console: Console, *, live: bool) -> Iterator[Callable[[Progress], None]]:
    """Give what is told of the progress, and shows it."""
    if not (live and console.is_terminal):
        yield _Lines(console)
        return
    table = _LiveTable()
    with Live(table, console=console, refresh_per_second=OFTEN, transient=True):
        yield table.follow


class Finished:
    """What a store holds of a comparison, for a person whose comparison was stopped.

    Parameters
    ----------
    store : str
        Its folder.
    """

    def __init__(self, store: str) -> None:
        self.store = store
        self._progress: Progress | None = None

    def follow(self, progress: Progress) -> None:
        """Keep in mind how far it is."""
        self._progress = progress

    def going_on(self) -> str:
        """Return how to go on, "" where no cell is finished and kept."""
        if self._progress is None:
            return ""
        cells, ended = self._progress.cells, self._progress.records.items()
        if not any(record.status == "done" and not cells[place].reason_not_kept for place, record in ended):
            return ""
        return f"What is finished is kept in {self.store}: the same words again go on from there."


class _Lines:
    """A line for each cell that ends, with the time left."""

    def __init__(self, console: Console) -> None:
        self.console, self.told = console, -1

    def __call__(self, progress: Progress) -> None:
        done = len(progress.records)
        if self.told < 0:
            kept = f", {done} of them in the store" if done else ""
            self.console.print(f"{len(progress.cells)} cells{kept}")
        elif done > self.told:
            place = list(progress.records)[-1]
            key, record = progress.cells[place].key, progress.records[place]
            fold = f" fold {key['fold']}" if len(progress.cells[place].task.parts) > 1 else ""
            named = f"{key['data']} {key['horizon']} {key['model']} seed {key['seed']}{fold}"
            told = [record.status, f"{progress.seconds[place]:.1f} s", *_left(progress)]
            line = f"{done}/{len(progress.cells)} {named}: {', '.join(told)}"
            self.console.print(line, markup=False, soft_wrap=True)
        self.told = done


class _LiveTable:
    """The cells that run and those that ended last, drawn anew several times a second."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.began = time.monotonic()

    def follow(self, progress: Progress) -> None:
        self.progress = progress

    def __rich__(self) -> Table:
        table = Table(box=None, padding=(0, 1), show_edge=False)
        if self.progress is None:
            return table
        for name in ("data", "horizon", "model", "seed", "fold", "status", "time"):
            table.add_column(name, justify="right" if name in ("horizon", "seed", "fold", "time") else "left")
        now, progress = time.monotonic(), self.progress
        ended = [(place, progress.records[place].status, seconds) for place, seconds in progress.seconds.items()]
        running = [(place, "running", now - began) for place, began in progress.running.items()]
        for place, status, seconds in [*ended, *running][-ROWS:]:
            key = (str(value) for value in progress.cells[place].key.values())
            table.add_row(*key, status, _shown_time(seconds), style="red" if status == "failed" else None)
        told = [f"{len(progress.records)} of {len(progress.cells)} cells", _shown_time(now - self.began)]
        table.title = ", ".join([*told, *_left(progress)])
        table.title_justify = "left"
        return table


def _left(progress: Progress) -> list[str]:
    """Return the time left in words, none while nothing tells it."""
    seconds = progress.left()
    return [f"{_shown_time(seconds)} left{' at least' if progress.has_unseen else ''}"] if np.isfinite(seconds) else []


def _shown_time(seconds: float) -> str:
    """Return a span as a person reads it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
