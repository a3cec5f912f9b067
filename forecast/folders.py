"""Folders that are written whole or not at all, and whose files are checked when they are read."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from forecast.documents import LARGEST_JSON, LARGEST_YAML, json_of
from forecast.errors import AbsentError, ArtifactError
from forecast.files import OLD, PART, STALE, beside, changed, leftovers, read_regular, settle, writing

log = logging.getLogger("forecast")
Read = TypeVar("Read")
CHECKSUMS = "checksums.json"
TRIES = 100  # times that another process may be quicker
LIMITS = {".yaml": LARGEST_YAML, ".json": LARGEST_JSON}  # bytes of a file


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside its place, and move it there at the end: whole, or not at all.

    What stood there before stays till then, and stays for good where anything fails. Of two processes that write to
    one place at once, both end whole, and what the later one wrote stays.

    Raises
    ------
    WriteError
        If it cannot be written.
    """
    path = Path(os.path.abspath(path))  # "." has no name to write beside
    part, killed = beside(path, PART), leftovers(path, OLD)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in leftovers(path, PART):
            if time.time() - changed(left) > STALE:  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
        try:
            part.mkdir()
            yield part
            settle(part)
            old = _move_in(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        settle(path.parent)
        for older in (old, *killed):
            shutil.rmtree(older, ignore_errors=True)


def _move_in(part: Path, path: Path) -> Path:
    """Move a whole folder into its place, whatever folder stands there; return where that is now.

    Between the two moves there is an instant without a folder: `standing` then finds the older one beside.
    """
    for _ in range(TRIES):
        old = beside(path, OLD)
        moved = _moved(path, old)
        try:
            part.rename(path)
            return old
        except OSError as error:
            # Windows calls it no access; a folder that was there may be moved on by now.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) and not (
                error.errno == errno.EACCES and path.exists()
            ):
                if moved and not path.exists():
                    old.rename(path)
                raise
            shutil.rmtree(old, ignore_errors=True)  # another process was quicker: its folder is the older one now
    raise OSError(errno.EBUSY, "other processes write there all the time")


def _moved(path: Path, old: Path) -> bool:
    try:
        path.rename(old)
    except FileNotFoundError:
        return False
    return True


def standing(path: Path) -> Path:
    """Return a folder, or, where a save was killed between its two moves, the older one that it had moved aside."""
    if path.exists() or path.is_symlink():
        return path
    left = leftovers(path, OLD)
    return left[-1] if left else path


def steadily(path: Path, read: Callable[[Path], Read]) -> Read:
    """Return what a function reads from a folder; it reads again where a save has put a newer one in its place."""
    for _ in range(TRIES):
        place = standing(path)
        was = _identity(place)
        try:
            found = read(place)
        except (ArtifactError, FileNotFoundError):
            if _identity(standing(path)) == was:
                raise
        else:
            if _identity(standing(path)) == was:
                if place != path:
                    log.warning("a save to '%s' was killed: read the older one that it left.", path)
                return found
    raise ArtifactError(f"{str(path)!r} is written again and again. Read it when that has ended.")


def _identity(path: Path) -> tuple[int, ...]:
    try:
        about = os.stat(path)
    except OSError:
        return ()
    return about.st_dev, about.st_ino, about.st_mtime_ns


def refuse_to_replace(path: Path, settings: str, own: str, *, kind: str) -> None:
    """Refuse a place where something else stands: only files whose names the pattern `own` fits are replaced."""
    if path.is_symlink():
        raise ArtifactError(
            f"{str(path)!r} is a symbolic link, and saving replaces the whole folder. Give the folder itself: "
            f"{str(path.resolve())!r}."
        )
    for _ in range(TRIES):
        was = _identity(path)
        try:
            return _refuse_strangers(path, settings, own, kind=kind)
        except (ArtifactError, FileNotFoundError):
            if _identity(path) == was:  # else another process saves there, and has moved it meanwhile
                raise
    raise ArtifactError(f"{str(path)!r} is written again and again. Save there when that has ended.")


def _refuse_strangers(path: Path, settings: str, own: str, *, kind: str) -> None:
    if path.exists() and not (path / settings).is_file():
        raise ArtifactError(f"{str(path)!r} exists and is no saved {kind}. Choose another folder.")
    names = (file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_symlink() or not file.is_dir())
    strangers = sorted(name for name in names if not re.fullmatch(own, name))
    if strangers:
        raise ArtifactError(
            f"{str(path)!r} holds {strangers[0]!r} beside the saved {kind}, and saving replaces the whole folder. "
            "Move it away, or choose another folder."
        )


def refuse_absent(path: Path, settings: str, *, kind: str) -> None:
    """Refuse a folder without the file that every saved one has."""
    if not path.exists():
        raise AbsentError(f"there is no saved {kind} in {str(path)!r}: there is no such folder.")
    if (path / "checkpoints").is_dir():
        raise AbsentError(
            f"there is no saved {kind} in {str(path)!r}: that run was interrupted before, or is a backtest. A training "
            f"goes on with forecast train resume={path}."
        )
    if not (path / settings).is_file():
        raise AbsentError(
            f"there is no saved {kind} in {str(path)!r} ({settings} is missing). A run keeps its own in the folder "
            "model/."
        )


def checksums(files: dict[str, bytes]) -> bytes:
    """Return what the file of checksums holds for these files."""
    return plain_json({name: hashlib.sha256(content).hexdigest() for name, content in files.items()})


def checked_files(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return the files of a folder, whose checksums fit.

    Raises
    ------
    ArtifactError
        Names the file that is damaged or missing, or no file.
    """
    names = list(names)
    files = {name: _read(path / name, path) for name in (CHECKSUMS, *names)}
    sums = json_of(files.pop(CHECKSUMS), path / CHECKSUMS)
    if not isinstance(sums, dict):
        raise ArtifactError(f"{str(path)!r} is not whole: {CHECKSUMS} holds no checksums. Take a whole copy.")
    for name, content in files.items():
        if name not in sums:
            raise ArtifactError(f"{str(path)!r} is not whole: there is no checksum of {name!r}. Take a whole copy.")
        if hashlib.sha256(content).hexdigest() != sums[name]:
            raise ArtifactError(f"{str(path / name)!r} is damaged: its checksum differs. Take a whole copy.")
    return files


def _read(file: Path, folder: Path) -> bytes:
    try:
        return read_regular(file, most=LIMITS.get(file.suffix))
    except FileNotFoundError as error:
        raise ArtifactError(f"{str(folder)!r} is not whole: {file.name} is missing. Take a whole copy.") from error
    except OSError as error:
        raise ArtifactError(f"{str(folder)!r} is not whole: {error}. Take a whole copy.") from error


def plain_json(values: Any) -> bytes:
    """Return plain values as JSON."""
    return json.dumps(values, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")  # as json reads
