"""Folders of settings beside those that ship, as the words of a command name them for Hydra."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

FLAGS = ("--config-dir", "-cd")
PATHS = re.compile(r"\+*hydra\.searchpath=\[?(.*?)\]?")


def own_folders(words: Sequence[str]) -> list[Path]:
    """Return the folders that `--config-dir` and `hydra.searchpath` name, in this order; packages are left out."""
    flags = [_value(word, after) for word, after in zip(words, [*words[1:], ""], strict=True)]
    listed = [found[1] for found in map(PATHS.fullmatch, words) if found]
    paths = [path.strip(" '\"") for line in listed for path in line.split(",")]
    local = [path.removeprefix("file://") for path in paths if path and not path.startswith("pkg://")]
    return [Path(path) for path in (*(flag for flag in flags if flag), *local)]


def without_folders(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that name such folders, and the others."""
    naming: list[str] = []
    others: list[str] = []
    for place, word in enumerate(words):
        is_value = place > 0 and words[place - 1] in FLAGS
        is_naming = is_value or word in FLAGS or _value(word, "") or PATHS.fullmatch(word)
        (naming if is_naming else others).append(word)
    return naming, others


def flags_first(words: Sequence[str]) -> list[str]:
    """Return words whose flags of folders come first: between two settings, Hydra would take no settings after them."""
    naming, others = without_folders(words)
    return [*sorted(naming, key=lambda word: bool(PATHS.fullmatch(word))), *others]


def _value(word: str, after: str) -> str:
    """Return the folder that a flag names, in its own word or the one after it; nothing where it is no such flag."""
    if word in FLAGS:
        return after
    flag, _, folder = word.partition("=")
    return folder if flag in FLAGS else ""


def files(group: str, folders: Iterable[Path]) -> dict[str, Path]:
    """Return the yaml files of a group by name; of two with one name the earlier counts, as for Hydra."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((folder / group).glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found
