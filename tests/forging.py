"""Helpers that change a saved forecaster as an attacker would: whatever is changed, the checksums fit."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load_file, save_file

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP = 100_000  # levels
HUGE = "9" * 10_000  # a whole number
FILES = ("forecaster.yaml", "encoding.json", "weights.safetensors", "panel.json", "panel.safetensors")


RUNNING = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pickle.find_class")
_seen: list[str] = []


@contextmanager
def nothing_runs() -> Iterator[None]:
    """Fail where a program is started or a pickle names a class meanwhile, by whatever way."""
    _seen.clear()
    yield
    assert not _seen, f"a file had code run: {_seen}"


def _note(event: str, given: tuple[Any, ...]) -> None:
    if event.startswith(RUNNING):
        _seen.append(f"{event} {given!r}"[:200])


sys.addaudithook(_note)  # for good: Python removes none


def sign(folder: Path) -> None:
    """Make the checksums of a saved forecaster, or of an ensemble and its members, fit its files."""
    names = [name for name in FILES if (folder / name).is_file()]
    if (folder / "ensemble.yaml").is_file():
        for member in (folder / "members").iterdir():
            sign(member)
        members = (path.relative_to(folder).as_posix() for path in folder.glob("members/*/checksums.json"))
        names = ["ensemble.yaml", *members]
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "checksums.json").write_text(json.dumps(sums), encoding="utf-8")


def forge_text(folder: Path, name: str, text: str) -> None:
    """Put another text in the place of a file."""
    (folder / name).write_text(text, encoding="utf-8")
    sign(folder)


def forge(folder: Path, name: str, change: Callable[[Any], object]) -> None:
    """Change the values that a file of YAML, JSON or arrays holds, in place."""
    path = folder / name
    if path.suffix == ".safetensors":
        arrays = {key: np.array(values) for key, values in load_file(path).items()}
        change(arrays)
        save_file({key: np.ascontiguousarray(values) for key, values in arrays.items()}, path)
        return sign(folder)
    values = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    change(values)
    forge_text(folder, name, json.dumps(values))  # and YAML reads JSON


def put(place: str, value: Any) -> Callable[[Any], None]:
    """Return a change that puts a value in a place such as ``sizes.horizon`` or ``ids.0``."""

    def change(values: Any) -> None:
        *nodes, last = [int(node) if node.isdigit() else node for node in place.split("/")]
        for node in nodes:
            values = values[node]
        values[last] = value

    return change
