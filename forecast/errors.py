"""Errors that name what is wrong, the value that was got, and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral

MOST = 60  # names that a message lists
SOME = 3  # series that a message lists
KINDS: dict[type, str] = {  # bool before int, which it is one of
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    tuple: "a tuple",
    dict: "a dict",
}


class ForecastError(Exception):
    """Whatever this package refuses; each kind is one of Python's own kinds too."""


class DataError(ForecastError, ValueError):
    """A table that cannot be forecast as it is."""


class ConfigError(ForecastError, ValueError):
    """A setting that does not exist or makes no sense."""


class ExtraError(ConfigError):
    """A setting that needs an optional package, which is not installed."""


class TrainingError(ForecastError, ValueError):
    """A training that cannot go on."""


class ArtifactError(ForecastError, ValueError):
    """A saved model or a run that is damaged, foreign, hostile or newer than this version."""


class KindError(ForecastError, TypeError):
    """An argument of the wrong kind, such as a list for a table."""


class AbsentError(ForecastError, FileNotFoundError):
    """A file or folder that is not there."""


class WriteError(ForecastError, OSError):
    """A place that cannot be written, for lack of room or of permission; what stood there is whole."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """Return the message for a name that does not exist, the nearest existing names first."""
    known = sorted(known)
    nearest = get_close_matches(str(name), known, n=3, cutoff=0.5)
    ordered = [*nearest, *(other for other in known if other not in nearest)]
    more = len(ordered) - MOST
    listed = f"{', '.join(ordered[:MOST])}, and {more} more" if more > 0 else ", ".join(ordered)
    return f"there is no {kind} {str(name)!r}. Choose one of: {listed}."


def check_count(name: str, value: object, *, least: int = 1) -> None:
    """Refuse what is not a whole number of `least` or more."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ConfigError(f"{name} is a whole number of {least} or more, got {value!r}.")


def told_kind(value: object) -> str:
    """Return a value of the wrong kind, and what it is, in words: ``3, a whole number``."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"{value.__name__}, a class and no object of it"
    told = next((words for kind, words in KINDS.items() if isinstance(value, kind)), None)
    if told is not None:
        return f"{value!r}, {told}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def some_of(names: Iterable[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    held = list(names)
    more = f" and {len(held) - SOME} more" if len(held) > SOME else ""
    return f"{', '.join(held[:SOME])}{more}"


def named(series: object) -> str:
    """Return the name of a series as a person writes it: text in quotes, a number as it is."""
    return repr(series.item() if hasattr(series, "item") else series)
