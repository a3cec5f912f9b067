"""Training that goes on: what it starts from, and what cannot change under the weights."""

from __future__ import annotations

from dataclasses import fields
from typing import NamedTuple

from forecast.batch import Sizes
from forecast.data.columns import Columns
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.errors import ConfigError
from forecast.model import Model


class Start(NamedTuple):
    """What a training goes on from."""

    model: Model
    encoding: Encoding
    sizes: Sizes
    columns: Columns
    update: bool

    def refuse_other_columns(self, columns: Columns) -> None:
        """Refuse columns that would mean something else to the weights; labels and minima do not."""
        for field in fields(Columns):
            given, was = getattr(columns, field.name), getattr(self.columns, field.name)
            if given != was and field.name not in ("unit", "minimum"):
                raise ConfigError(fixed(f"columns.{field.name}", given, was))


def encoding_of(span: Panel, start: Start | None) -> Encoding:
    """Return the statistics and vocabularies that a training on a span goes by."""
    if start is None:
        return Encoding.fit(span)
    if start.update:
        return start.encoding.extended(Encoding.fit(span))
    return start.encoding


def fixed(name: str, given: object, was: object) -> str:
    """Return the message for a setting that a warm start cannot change."""
    return (
        f"{name} is {given!r} and what was learned is made for {was!r}: a warm start cannot change it. "
        "Set it back, or fit anew."
    )
