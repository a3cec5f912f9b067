"""The folder of a run: one run at a time writes there, and a run that was refused leaves none."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from forecast.errors import ForecastError, WriteError
from forecast.files import PART, write_error, writing

if TYPE_CHECKING:
    from filelock import FileLock

LOCK = ".lock"
OWN = (".hydra", LOCK, "log.txt", "multirun.yaml")  # what is there before a run has done anything
LEFT = re.compile(rf"\..+\.[0-9a-f]{{8}}{re.escape(PART)}")  # names that `files.beside` gives
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")  # of the processes of one run, as for Lightning


class Refused(SystemExit):
    """Leaves Hydra's callbacks, which turn every Exception into a warning, with the error that refused."""

    def __init__(self, error: ForecastError) -> None:
        super().__init__(2)
        self.error = error


class LogFile(logging.FileHandler):
    """A log that says once that it cannot be written, and then falls silent: the run may still end well."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Tell of what the system refused; what else goes wrong is shown as Python does."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            return super().handleError(record)
        self.setLevel(logging.CRITICAL + 1)
        print(f"forecast: {write_error(self.baseFilename, error)} The run goes on without its log.", file=sys.stderr)


class Claims(Callback):
    """Takes the folder of a run or a sweep before Hydra opens anything in it."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Take the folder of a run."""
        _claim_named(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Take the folder of a sweep."""
        _claim_named(config, "hydra.sweep.dir")


class _Claim(NamedTuple):
    lock: FileLock
    made: list[Path]  # folders that were not there before, the innermost first


_claims: dict[Path, _Claim] = {}


def unused(path: str) -> str:
    """Return a path where nothing is yet: the one given, or with _2, _3 ... behind."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = f"{path}_{number}"
    return free


def claim(folder: str | Path) -> None:
    """Take a folder for this run; the lock ends with the process, however that ends.

    Raises
    ------
    WriteError
        If another run has it, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    folder = Path(os.path.abspath(folder))
    if folder in _claims or any(os.environ.get(rank, "0") != "0" for rank in RANKS):
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    lock = FileLock(folder / LOCK, timeout=0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise WriteError(
                f"another run is writing to '{folder}'. Wait till it has ended, or give this one another folder: "
                "hydra.run.dir=FOLDER."
            ) from None
    _claims[folder] = _Claim(lock, made)
    if folder not in made:
        _remove_leftovers(folder)


def is_claimed(path: object) -> bool:
    """Return whether a path lies in a folder that this process has taken."""
    return isinstance(path, str) and any(folder in Path(os.path.abspath(path)).parents for folder in _claims)


def release(folder: Path | None = None) -> None:
    """Give back a folder that this process has taken, or every one."""
    for taken in list(_claims):
        if folder in (None, taken):
            _give_back(taken)


def withdraw() -> None:
    """Give back every folder, and remove those that a run made and wrote nothing to that is worth keeping."""
    for folder, taken in list(_claims.items()):
        is_bare = folder in taken.made and {path.name for path in folder.iterdir()} <= set(OWN)
        if is_bare:
            _close_logs(folder)
        _give_back(folder)
        if is_bare:
            shutil.rmtree(folder, ignore_errors=True)
            for parent in taken.made[1:]:
                with suppress(OSError):  # another run may have come to lie in it
                    parent.rmdir()


def _claim_named(config: DictConfig, key: str) -> None:
    folder = OmegaConf.select(config, key)
    try:
        claim(folder)
    except ForecastError as error:
        OmegaConf.clear_cache(config)
        if OmegaConf.select(config, key) == folder:
            raise Refused(error) from error
        _claim_named(config, key)  # by default it is named by the time, which another run had in the same instant


def _give_back(folder: Path) -> None:
    lock = _claims.pop(folder).lock
    # A lock that is held is removed first, so that nobody takes one that is about to go; Windows cannot.
    if os.name == "posix":
        (folder / LOCK).unlink(missing_ok=True)
    lock.release()
    if os.name != "posix":
        with suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove what a run that was killed was writing: nobody else writes here now."""
    for part in [path for path in folder.rglob(f".*{PART}") if LEFT.fullmatch(path.name)]:
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _close_logs(folder: Path) -> None:
    """Close the files that loggers keep open in a folder."""
    named = (logging.getLogger(name) for name in logging.Logger.manager.loggerDict)
    for logger in (logging.getLogger(), *named):
        for handler in list(logger.handlers):
            if isinstance(handler, logging.FileHandler) and folder in Path(handler.baseFilename).parents:
                logger.removeHandler(handler)
                handler.close()
