"""Running cells that the store lacks, in turn or in processes of their own, and telling how far that is."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from forecast.comparison.cells import Cell, Result, reason_of, run
from forecast.comparison.store import FAILED, Record, Store, names_of
from forecast.errors import ConfigError, TrainingError
from forecast.members import begin_process, uninterrupted

log = logging.getLogger("forecast")


@dataclass
class Progress:
    """How far a comparison is; told again whenever a cell begins or ends.

    Parameters
    ----------
    cells : sequence of Cell
        All of them.
    processes : int
        That work at the same time.
    records : dict
        How cells ended, by their place among them; those that were in the store among them.
    running : dict
        When cells began that are under way, by their place, in seconds of `time.monotonic`.
    seconds : dict
        How long those took that ended just now, by their place.
    """

    cells: Sequence[Cell]
    processes: int = 1
    records: dict[int, Record] = field(default_factory=dict)
    running: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    def left(self) -> float:
        """Return how many seconds the rest may take, after what cells of the same model took.

        A model that no cell of has ended may take any time, and counts for none; NaN where all that is left is such.
        """
        taken: dict[str, list[float]] = {}
        for place, seconds in self.seconds.items():
            taken.setdefault(self.cells[place].entry.name, []).append(seconds)
        rest = self._rest()
        known = [place for place in rest if self.cells[place].entry.name in taken]
        if rest and not known:
            return np.nan
        now, expected = time.monotonic(), 0.0
        for place in known:
            whole = float(np.mean(taken[self.cells[place].entry.name]))
            expected += max(whole - (now - self.running.get(place, now)), 0)
        return expected / self.processes

    @property
    def has_unseen(self) -> bool:
        """Whether a model is left that no cell of has ended, beside others: the time left is then the least."""
        seen = {self.cells[place].entry.name for place in self.seconds}
        left = {self.cells[place].entry.name for place in self._rest()}
        return bool(left - seen) and bool(left & seen)

    def _rest(self) -> list[int]:
        return [place for place in range(len(self.cells)) if place not in self.records]


Watch = Callable[[Progress], None]


def run_cells(
    cells: Sequence[Cell], store: Store, *, processes: int = 1, retry_failed: bool = False, watch: Watch | None = None
) -> list[Record]:
    """Run the cells that the store lacks, and keep each as it ends.

    Every cell computes with one torch thread, so that results are the same for any number of processes.

    Parameters
    ----------
    processes : int
        Cells that run at the same time, each in a process; with 1 they run in this one.
    retry_failed : bool
        Run cells again that failed before.
    watch : callable
        Is told of every change.

    Raises
    ------
    WriteError
        If the store cannot be written.
    TrainingError
        If a process dies.
    KeyboardInterrupt
        If it is interrupted; finished cells are kept, and the same call goes on from there.
    """
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise ConfigError(f"processes is a whole number of 1 or more, got {processes!r}.")
    _warn_of_untold(cells)
    progress, watch = Progress(cells, processes), watch or (lambda progress: None)
    for place, cell in enumerate(cells):
        known = store.record(cell.hash)
        if known is not None and not (retry_failed and known.status == FAILED):
            progress.records[place] = known
    missing = [place for place in range(len(cells)) if place not in progress.records]
    if missing:
        store.make_ready()
    watch(progress)

    def keep(place: int, result: Result) -> None:
        record = store.keep(cells[place], result)
        progress.seconds[place] = time.monotonic() - progress.running.pop(place)
        progress.records[place] = record
        if record.status == FAILED:
            is_kept = not (result.is_passing or cells[place].reason_not_kept)
            later = "kept, retry_failed=true runs it again" if is_kept else "not kept, tried again next time"
            told = f"{record.reason} ({later})" if store.lasts else record.reason
            log.warning("failed: %s: %s", names_of(cells[place]), told)
        else:
            log.info("done: %s, %.1f s", names_of(cells[place]), progress.seconds[place])
        watch(progress)

    if processes == 1 or len(missing) < 2:
        _run_in_turn(missing, progress, keep, watch)
    else:
        _run_apart(missing, progress, keep, watch)
    return [progress.records[place] for place in range(len(cells))]


def _warn_of_untold(cells: Sequence[Cell]) -> None:
    reasons = {cell.entry.name: cell.reason_not_kept for cell in cells}
    for name, reason in reasons.items():
        if reason:
            log.warning("%s cannot be told from other models, and its cells are not kept: %s", name, reason)


def _run_in_turn(places: Sequence[int], progress: Progress, keep: Callable[[int, Result], None], watch: Watch) -> None:
    import forecast.training.fitting  # noqa: F401  lightning loads for seconds, which no cell is to blame for

    with _one_thread():
        for place in places:
            progress.running[place] = time.monotonic()
            watch(progress)
            keep(place, run(progress.cells[place]))


def _run_apart(places: Sequence[int], progress: Progress, keep: Callable[[int, Result], None], watch: Watch) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of torch's threads
    theirs, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(progress.processes, context, begin_process, (1, theirs))
    waiting = list(places)
    running: dict[Future[Result], int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < progress.processes:
                place = waiting.pop(0)
                with uninterrupted():  # the processes start here, and keep this
                    running[pool.submit(run, progress.cells[place])] = place
                progress.running[place] = time.monotonic()
                watch(progress)
            ended = wait(running, return_when=FIRST_COMPLETED).done
            for done in sorted(ended, key=lambda one: one.exception() is not None):  # what is whole is kept first
                result = _result(done)
                keep(running.pop(done), result)
    except BrokenProcessPool as error:
        names = ", ".join(names_of(progress.cells[place]) for place in running.values())
        raise TrainingError(
            f"a process died that ran one of: {names}. It was killed, ran out of memory, or could not import what it "
            "needs. A script compares under `if __name__ == '__main__':`, and models of one's own stand in a module. "
            "What is finished is kept; with processes=1 neither matters."
        ) from error
    except BaseException:
        ours.close()  # ends the processes
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        ours.close()
        theirs.close()


def _result(done: Future[Result]) -> Result:
    """Return what a process found; a cell that could not be handed to it, or back, has failed."""
    try:
        return done.result()
    except BrokenProcessPool:
        raise
    except Exception as error:  # a class within a function, a lambda: these cannot be pickled
        return Result({}, f"{reason_of(error)} (processes=1 takes models of any kind)", is_passing=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
