"""Folders that are written whole or not at all, and whose files are checked when they are read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forecast.errors import AbsentError, ArtifactError

CHECKSUMS = "checksums.json"


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside its place, and move it there at the end: whole, or not at all.

    What stood there before stays till then, and stays for good where anything fails.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        part.mkdir(parents=True)
        yield part
        if path.exists():
            path.rename(old)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(old, ignore_errors=True)


def refuse_to_replace(path: Path, settings: str, own: str, *, kind: str) -> None:
    """Refuse a place where something else stands: only files whose names the pattern `own` fits are replaced."""
    if path.exists() and not (path / settings).is_file():
        raise ArtifactError(f"{str(path)!r} exists and is no saved {kind}. Choose another folder.")
    names = (file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir())
    strangers = sorted(name for name in names if not re.fullmatch(own, name))
    if strangers:
        raise ArtifactError(
            f"{str(path)!r} holds {strangers[0]!r} beside the saved {kind}, and saving replaces the whole folder. "
            "Move it away, or choose another folder."
        )


def refuse_absent(path: Path, settings: str, *, kind: str) -> None:
    """Refuse a folder without the file that every saved one has; name what a save that was killed left of it."""
    if (path / settings).is_file():
        return
    left = [str(old) for old in path.parent.glob(".*.old") if old.name.startswith(f".{path.name}.")]
    hint = "A run keeps its own in the folder model/."
    if left:
        hint = f"A save that was killed left the older one as {left[0]!r}: rename it to {path.name!r}."
    raise AbsentError(f"there is no saved {kind} in {str(path)!r} ({settings} is missing). {hint}")


def checksums(files: dict[str, bytes]) -> bytes:
    """Return what the file of checksums holds for these files."""
    return plain_json({name: hashlib.sha256(content).hexdigest() for name, content in files.items()})


def checked_files(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return the files of a folder, whose checksums fit.

    Raises
    ------
    ArtifactError
        Names the file that is damaged or missing.
    """
    try:
        sums = json.loads((path / CHECKSUMS).read_bytes())
        files = {}
        for name in names:
            files[name] = (path / name).read_bytes()
            if hashlib.sha256(files[name]).hexdigest() != sums[name]:
                raise ArtifactError(f"{str(path / name)!r} is damaged: its checksum differs. Take a whole copy.")
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{str(path)!r} is not whole: {error}. Take a whole copy.") from error
    return files


def plain_json(values: Any) -> bytes:
    """Return plain values as JSON."""
    return json.dumps(values, ensure_ascii=False, indent=1).encode()
