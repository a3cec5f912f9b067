"""YAML and JSON that nobody vouches for: plain values of bounded size and depth, each written out in full."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import yaml

from forecast.errors import ArtifactError
from forecast.files import read_regular

LARGEST_YAML = 1 << 19  # bytes; reading takes seconds for as many
LARGEST_JSON = 1 << 30  # the names of millions of series
DEEPEST = 50  # lists in lists in lists
LONGEST_WORD = 10_000  # characters of an unquoted value: as base-60 numbers, longer ones would take hours


class _Loader(yaml.SafeLoader):
    """Refuses what a small file makes large or deep; such files we do not write."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it repeats a part of itself by an alias")
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.YAMLError(f"it is nested deeper than {DEEPEST} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_scalar(self, node: Any) -> Any:
        if getattr(node, "style", None) is None and isinstance(node.value, str) and len(node.value) > LONGEST_WORD:
            raise yaml.YAMLError(f"a value of it has more than {LONGEST_WORD:,} characters")
        return super().construct_scalar(node)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ArtifactError
        If it is no YAML, or too large, too deep, or holds aliases or objects.
    """
    return yaml_of(read_regular(path, most=LARGEST_YAML), path)


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; raises as `read_yaml` does."""
    return json_of(read_regular(path, most=LARGEST_JSON), path)


def yaml_of(content: bytes, path: Path) -> Any:
    """Return the values of YAML that was read from a path."""
    with _refusing(path, "YAML"):
        return yaml.load(content, Loader=_Loader)


def json_of(content: bytes, path: Path) -> Any:
    """Return the values of JSON that was read from a path; NaN and infinity are none."""
    with _refusing(path, "JSON"):
        return json.loads(content, parse_constant=_refuse_constant)


@contextmanager
def _refusing(path: Path, kind: str) -> Iterator[None]:
    """Name the file in what a parser says; numbers of too many digits and bytes that are no text are ValueErrors."""
    try:
        yield
    except RecursionError:
        raise ArtifactError(f"{str(path)!r} is nested too deeply to be read. Take a whole copy.") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:  # the last three from dates
        told = " ".join(str(error).split())
        raise ArtifactError(f"{str(path)!r} holds no {kind} that can be read: {told}. Take a whole copy.") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
