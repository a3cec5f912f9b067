"""Errors that name what is wrong, the value that was got, and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 60  # names that a message lists


class DataError(ValueError):
    """A table that cannot be forecast as it is."""


class ConfigError(ValueError):
    """A setting that does not exist or makes no sense."""


class TrainingError(ValueError):
    """A training that cannot go on."""


class ArtifactError(ValueError):
    """A saved model that is damaged, foreign or newer than this version."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """Return the message for a name that does not exist, the nearest existing names first."""
    known = sorted(known)
    nearest = get_close_matches(str(name), known, n=3, cutoff=0.5)
    ordered = [*nearest, *(other for other in known if other not in nearest)]
    more = len(ordered) - MOST
    listed = f"{', '.join(ordered[:MOST])}, and {more} more" if more > 0 else ", ".join(ordered)
    return f"there is no {kind} {str(name)!r}. Choose one of: {listed}."


def named(series: object) -> str:
    """Return the name of a series as a person writes it: text in quotes, a number as it is."""
    return repr(series.item() if hasattr(series, "item") else series)
