"""Going on with a run: which of the words in its folder are given to Hydra again. Nobody vouches for the folder."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from forecast.config import is_placement
from forecast.errors import ArtifactError, ConfigError
from forecast.search_path import without_folders

ANEW = ("progress=", "training.on_divergence=")  # words that may be given anew: they move no weight that is kept
MORE = {"tune": ("progress=", "trials=", "budget=")}  # of a search: it may go on for longer
NAME = re.compile(r"\w[\w-]*")  # of a file of a group: no path
CLASS = re.compile(r"(?<!\w)_target_(?!\w)")  # in a key
RESOLVER = re.compile(r"\$\{.*:", re.DOTALL)  # ${oc.env:HOME}, not ${horizon}


def resumed(job: str, words: list[str]) -> list[str]:
    """Return the words of the run that resume= names, its settings and its folder; other words as they are.

    Raises
    ------
    ConfigError
        If there is no such run, or other settings are given beside it.
    ArtifactError
        If the folder holds more than the settings of a run: links, or words that reach beyond the job.
    """
    named = [word.removeprefix("resume=") for word in words if word.startswith("resume=")]
    if not named:
        return words
    folders, rest = without_folders(words)
    allowed = MORE.get(job, ANEW)
    anew = [word for word in rest if word.startswith(allowed)]
    other = [word for word in rest if not word.startswith(("resume=", *allowed))]
    if other:
        raise ConfigError(
            f"resume=FOLDER goes on with the settings of that run; {other[0]!r} cannot be added. Leave it "
            f"out ({', '.join(allowed)} and --config-dir may be given), or start anew without resume=."
        )
    folder = Path(named[-1])
    _refuse_links(folder)
    kept, by = folder / ".hydra" / "overrides.yaml", folder / ".hydra" / "hydra.yaml"
    if not (kept.is_file() and by.is_file()):
        raise ConfigError(
            f"there is no run in '{folder}' (.hydra/overrides.yaml is missing). "
            f"resume= takes a folder that forecast {job} wrote."
        )
    from forecast.documents import read_yaml

    wrote = _wrote(read_yaml(by), folder)
    if wrote != job:
        raise ConfigError(f"forecast {wrote} wrote '{folder}', not {job}. Write: forecast {wrote} resume={folder}")
    # Hydra does not write its files whole: whoever is killed while it writes the same words again would lose them.
    still = [] if anew else ["hydra.output_subdir=null"]
    place = f"hydra.run.dir={_quoted(str(folder.resolve()))}"
    return [*_vetted(read_yaml(kept), job, folder), *folders, *anew, *still, place]


def _quoted(text: str) -> str:
    """Return text as a word that Hydra takes as it is; backslashes count for it before a quote alone."""
    doubled = re.sub(r"(\\+)(?='|$)", r"\1\1", text)
    return "'" + doubled.replace("'", "\\'") + "'"


def _wrote(settings: Any, folder: Path) -> str:
    """Return the job that wrote a folder."""
    from forecast.schema import JOBS

    node = settings
    for key in ("hydra", "job", "config_name"):
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, str) or node not in JOBS:
        raise ArtifactError(f"'{folder}' is no run of this package: .hydra/hydra.yaml names no job. Train anew.")
    return node


def _refuse_links(folder: Path) -> None:
    """Refuse a folder with pipes in it, or links that lead out of it: what is written through them lies elsewhere."""
    for place, folders, files in os.walk(folder):
        for path in (Path(place) / name for name in (*folders, *files)):
            if not _stays(path, folder.resolve()):
                raise ArtifactError(
                    f"{str(path)!r} leads out of the folder or is no file, and a run would be written through it. "
                    "Replace it by what it stands for, or train anew without resume=."
                )


def _stays(path: Path, folder: Path) -> bool:
    """Return whether a path is a file, a folder, or a link to such a place in the run's own folder."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return folder in path.resolve().parents
    except FileNotFoundError:  # loggers and other programs remove theirs
        return True
    except (OSError, RuntimeError):  # of links in a circle
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _vetted(words: Any, job: str, folder: Path) -> list[str]:
    """Return the words of a folder, each of which sets the job's own settings to plain values."""
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ArtifactError(f"'{folder}' is no run of this package: .hydra/overrides.yaml is no list of words.")
    for word in words:
        if not _is_own(word, job):
            raise ArtifactError(
                f"{word[:200]!r} in '{folder}' is more than a setting of the job: what reaches Hydra, names a class, "
                "has a resolver or sets up a logger is not taken from a folder. If the run is yours, give all of its "
                f"words anew, and hydra.run.dir={folder}."
            )
    return words


def _is_own(word: str, job: str) -> bool:
    """Return whether a word sets the job's own settings and nothing beyond."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from forecast.config import conf_folder
    from forecast.schema import JOBS

    if word.startswith("-"):
        return False
    try:
        override = OverridesParser.create().parse_override(word)
        key, value = override.key_or_group, override.value()
        keys, texts = [key, *_keys(value)], [word, *_texts(value)]
    except (HydraException, RecursionError):
        return False
    reaches_out = any(map(CLASS.search, keys)) or any(map(RESOLVER.search, texts))
    if override.package is not None or reaches_out or not _is_harmless(key, value):
        return False
    if key in {path.name for path in conf_folder().iterdir()} - {"hydra"} and not isinstance(value, dict):
        return all(NAME.fullmatch(str(one)) for one in (value if isinstance(value, list) else [value]))
    return key.partition(".")[0] in {field.name for field in fields(JOBS[job])}


def _is_harmless(key: str, value: Any) -> bool:
    """Return whether a word leaves alone where loggers write, what is fetched, and how it is trained."""
    group, _, inner = key.partition(".")
    if group == "data":
        return inner.partition(".")[0] != "public" and not (isinstance(value, dict) and "public" in _keys(value))
    if group == "logger":
        return not inner and not isinstance(value, dict)
    if group == "accelerator" and inner:
        return is_placement({inner: value})
    return group != "accelerator" or not isinstance(value, dict) or is_placement(value)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from (str(key), *_keys(one))
    elif isinstance(value, list):
        for one in value:
            yield from _keys(one)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from (*_texts(key), *_texts(one))
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    else:
        yield str(value)
