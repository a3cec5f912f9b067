"""The folder of a run: one run at a time writes there, and a run that was refused leaves none."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from forecast.errors import ForecastError
from forecast.files import PART, give_back, held, unlink, write_error, writing

if TYPE_CHECKING:
    from filelock import FileLock

LOCK = ".lock"
OWN = (".hydra", LOCK, "log.txt", "multirun.yaml")  # what is there before a run has done anything
LEFT = re.compile(rf"\..+\.[0-9a-f]{{8}}{re.escape(PART)}")  # names that `files.beside` gives
PLACES = (".", "figures")  # in the folder of a run, where it writes; all of checkpoints/ beside
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

    def __reduce__(self) -> tuple[Callable[[], Claims], tuple[()]]:
        """Let a launcher's process know how folders are named, before it asks for the one of its run."""
        return _claims_elsewhere, ()

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Take the folder of a run."""
        _claim_named(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Take the folder of a sweep, where no run of another is at work."""
        _claim_named(config, "hydra.sweep.dir")
        for lock in Path(os.path.abspath(config.hydra.sweep.dir)).glob(f"*/{LOCK}"):
            try:
                _acquired(lock).release()
            except ForecastError as error:
                raise Refused(error) from error


class _Claim(NamedTuple):
    lock: FileLock
    made: list[Path]  # folders that were not there before, the innermost first


_claims: dict[Path, _Claim] = {}


def name_folders() -> None:
    """Make ``${unused:PATH}`` known to configs."""
    OmegaConf.register_new_resolver("unused", unused, use_cache=True, replace=True)


def _claims_elsewhere() -> Claims:
    name_folders()
    return Claims()


def unused(path: str) -> str:
    """Return a path where nothing is yet: the one given, or with _2, _3 ... behind."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = f"{path}_{number}"
    return free


def output_folder() -> Path:
    """Return the folder that Hydra gave this run."""
    return Path(HydraConfig.get().runtime.output_dir)


def claim(folder: str | Path) -> None:
    """Take a folder for this run; the lock ends with the process, however that ends.

    Raises
    ------
    WriteError
        If another run has it, or it cannot be written.
    """
    folder = Path(os.path.abspath(folder))
    if folder in _claims or any(os.environ.get(rank, "0") != "0" for rank in RANKS):
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _claims[folder] = _Claim(_acquired(folder / LOCK), made)
    except ForecastError:
        _remove_empty(made)
        raise


def is_claimed(path: object) -> bool:
    """Return whether a path lies in a folder that this process has taken."""
    return isinstance(path, str) and any(folder in Path(os.path.abspath(path)).parents for folder in _claims)


def release(folder: Path | None = None) -> None:
    """Give back a folder that this process has taken, or every one."""
    for taken in list(_claims):
        if folder in (None, taken):
            give_back(_claims.pop(taken).lock)


def remove_leftovers(folder: Path) -> None:
    """Remove what a run that was killed was writing to a folder that this process has taken."""
    if folder not in _claims:
        return
    for place in (*(folder / place for place in PLACES), *_own_folders(folder / "checkpoints")):
        for part in [path for path in place.glob(f".*{PART}") if LEFT.fullmatch(path.name)]:
            if part.is_dir() and not part.is_symlink():
                shutil.rmtree(part, ignore_errors=True)
            else:
                unlink(part)


def withdraw() -> None:
    """Give back every folder, and remove those that a run made and wrote nothing to that is worth keeping."""
    for folder, taken in list(_claims.items()):
        is_bare = folder in taken.made and {path.name for path in folder.glob("*")} <= set(OWN)
        if is_bare:
            _close_logs(folder)
        give_back(_claims.pop(folder).lock)
        if is_bare:
            shutil.rmtree(folder, ignore_errors=True)
            _remove_empty(taken.made[1:])


def _claim_named(config: DictConfig, key: str) -> None:
    folder = OmegaConf.select(config, key)
    try:
        claim(folder)
    except ForecastError as error:
        OmegaConf.clear_cache(config)
        if OmegaConf.select(config, key) == folder:
            raise Refused(error) from error
        _claim_named(config, key)  # by default it is named by the time, which another run had in the same instant


def _acquired(path: Path) -> FileLock:
    return held(
        path,
        f"another run is writing to '{path.parent}'. Wait till it has ended, or give this one another folder: "
        "hydra.run.dir=FOLDER.",
    )


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, the innermost first, where nothing lies in them."""
    for folder in folders:
        with suppress(OSError):  # another run may have come to lie in it
            folder.rmdir()


def _own_folders(top: Path) -> Iterator[Path]:
    """Give a folder and those in it, except what another run has made there."""
    for place, folders, files in os.walk(top):
        if {".hydra", LOCK} & {*folders, *files}:
            folders.clear()
        else:
            yield Path(place)


def _close_logs(folder: Path) -> None:
    """Close the files that loggers keep open in a folder."""
    named = (logging.getLogger(name) for name in logging.Logger.manager.loggerDict)
    for logger in (logging.getLogger(), *named):
        for handler in list(logger.handlers):
            if isinstance(handler, logging.FileHandler) and folder in Path(handler.baseFilename).parents:
                logger.removeHandler(handler)
                handler.close()
