"""Members of an ensemble trained in turn, or each in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from copy import copy
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from forecast.config import name_of
from forecast.data.panel import Panel
from forecast.errors import TrainingError
from forecast.forecaster import Forecaster

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

log = logging.getLogger("forecast")
LOGGED = 10  # steps between two rows of a logger
Options = dict[str, Any]  # keyword arguments of `Forecaster.fit`


def label(number: int, member: Forecaster) -> str:
    """Return what messages call a member."""
    return f"member {number} ({name_of('model', member.model)}, seed {member.seed})"


@contextlib.contextmanager
def naming(number: int, member: Forecaster) -> Iterator[None]:
    """Let an error say which member it comes from."""
    try:
        yield
    except Exception as error:
        if len(error.args) == 1:
            error.args = (f"{label(number, member)}: {error.args[0]}",)
        raise


def fit_members(
    members: Sequence[Forecaster], panel: Panel, options: Options, *, folder: Path | None, processes: int
) -> list[Forecaster]:
    """Return fitted members, as many at a time as there are processes; checkpoints of each go to a folder of its own.

    With one process they are fitted in place.
    """
    each = [{**options, "folder": folder and folder / f"member-{number}"} for number in range(len(members))]
    processes = min(processes, len(members))
    if processes == 1:
        return fit_in_turn(members, panel, each)
    return fit_apart(members, panel, each, processes=processes)


def fit_in_turn(members: Sequence[Forecaster], panel: Panel, options: Sequence[Options]) -> list[Forecaster]:
    """Fit members one after another, in place."""
    for number, (member, own) in enumerate(zip(members, options, strict=True)):
        with naming(number, member):
            member.fit(panel, **own)
        _tell(number, members)
    return list(members)


def fit_apart(
    members: Sequence[Forecaster], panel: Panel, options: Sequence[Options], *, processes: int
) -> list[Forecaster]:
    """Return members fitted in processes of their own, each as it comes back from its saved form.

    Where one fails, or this process is interrupted or dies, the others end too.

    Raises
    ------
    TrainingError
        If a process dies.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of torch's threads
    ours, theirs = context.Pipe(duplex=False)[::-1]
    threads = max(torch.get_num_threads() // processes, 1)
    pool = ProcessPoolExecutor(processes, context, begin_process, (threads, theirs))
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / str(number) for number in range(len(members))]
        histories = {}
        try:
            with uninterrupted():  # the processes start here, and keep this
                running = {
                    pool.submit(_fit_and_save, copy(member).set_params(progress=False), panel, own, place): number
                    for number, (member, own, place) in enumerate(zip(members, options, places, strict=True))
                }
            for done in as_completed(running):
                number = running[done]
                with naming(number, members[number]):
                    histories[number] = done.result()
                _tell(number, members)
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process that trained a member died: it was killed, ran out of memory, or could not import what it "
                "needs. A script fits under `if __name__ == '__main__':`, and a network of one's own stands in a "
                "module. With processes=1 neither matters."
            ) from error
        except BaseException:
            ours.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            ours.close()
            theirs.close()
        return [
            _returned(member, place, histories[at])
            for at, (member, place) in enumerate(zip(members, places, strict=True))
        ]


def log_histories(logger: Logger, histories: Sequence[pd.DataFrame]) -> None:
    """Give a logger the losses of each member under the member's name."""
    for number, history in enumerate(histories):
        for row in history.drop(columns="member").to_dict("records"):
            step = int(row.pop("step"))
            if step % LOGGED == 0 or np.isfinite(row["valid_loss"]):
                metrics = {f"member-{number}/{name}": value for name, value in row.items() if np.isfinite(value)}
                logger.log_metrics(metrics, step)
    logger.finalize("success")


def _tell(number: int, members: Sequence[Forecaster]) -> None:
    log.info("%s of %d is trained.", label(number, members[number]), len(members))


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore an interrupt from the keyboard, where signals may be set."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def begin_process(threads: int, parent: Connection) -> None:
    """Start a process: the parent alone is interrupted, and this one ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        parent.recv_bytes()
    os._exit(1)


def _fit_and_save(member: Forecaster, panel: Panel, options: Options, place: Path) -> pd.DataFrame:
    member.fit(panel, **options).save(place)
    return member.history_


def _returned(member: Forecaster, place: Path, history: pd.DataFrame) -> Forecaster:
    """Return a saved member with the parameters as they were given."""
    given = member.get_params(deep=False)
    classes = [one.func if isinstance(one, partial) else one for one in given.values()]
    fitted = Forecaster.load(place, allow=[one for one in classes if isinstance(one, type)])
    fitted._parameters_ = {**fitted._parameters_, "progress": member.progress}
    fitted.history_ = history
    fitted.set_params(**given)
    return fitted
