"""Which column of a table plays which role."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from forecast.errors import ConfigError

OUTPUTS = re.compile(r"forecast|model|cutoff|y|sample|scenario|target|q0?\.\d+")  # columns that forecasts add


@dataclass(frozen=True)
class Columns:
    """The roles of a table's columns, and how absent time steps are read.

    Parameters
    ----------
    id : str
        Name of the series. A table without this column is one series.
    time : str
        Timestamps or whole numbers. A table without it may carry its times as its index.
    target : str
        The column to forecast.
    past, known, static : tuple of str
        Covariates known up to the origin, also ahead of it, and constant per series. Text, boolean and
        categorical columns become codes; the others are numbers.
    gaps : {"mask", "rows", "error"}
        Absent steps of the grid are unobserved values; or the row number is the grid; or they are refused.
    wide : bool
        Each column but the time is a series of its own. Then `id` and `target` name the columns of forecasts.
    """

    id: str = "unique_id"
    time: str = "ds"
    target: str = "y"
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    gaps: str = "mask"
    wide: bool = False

    def __post_init__(self) -> None:
        for role in ("id", "time", "target"):
            if not isinstance(getattr(self, role), str):
                raise ConfigError(
                    f"columns.{role} names one column, got {getattr(self, role)!r}. "
                    "Several targets in one table are several series: give them in long form."
                )
        for role in ("past", "known", "static"):
            names = getattr(self, role)
            if isinstance(names, str):
                raise ConfigError(f"columns.{role} is a list of names, got {names!r}. Write [{names}].")
            if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
                raise ConfigError(f"columns.{role} is a list of names, got {names!r}. Write [] for none.")
            object.__setattr__(self, role, tuple(names))
        for role in ("id", "time"):
            name = getattr(self, role)
            if OUTPUTS.fullmatch(name):
                raise ConfigError(
                    f"columns.{role} is {name!r}, a name that forecasts use themselves. Rename the column."
                )
        if self.gaps not in ("mask", "rows", "error"):
            raise ConfigError(f"columns.gaps is mask, rows or error, got {self.gaps!r}.")
        roles = [self.id, self.time, self.target, *self.covariates]
        twice = sorted({name for name in roles if roles.count(name) > 1})
        if twice:
            raise ConfigError(f"column {twice[0]!r} has two roles in {self}. Give each column one role.")

    @property
    def covariates(self) -> tuple[str, ...]:
        """All covariate columns: past, known, static."""
        return (*self.past, *self.known, *self.static)

    def as_dict(self) -> dict[str, Any]:
        """Return the roles as plain values, for YAML."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
