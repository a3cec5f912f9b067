"""Which column of a table plays which role, and what else is known about the table."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from forecast.errors import ConfigError, unknown_name

# Columns that forecasts and scores add.
OUTPUTS = re.compile(
    r"forecast|model|cutoff|fold|y|sample|scenario|target|q0?\.\d+|"
    r"mae|rmse|smape|mase|crps|wql|(msis|coverage|width)(_95)?"
)
LISTS = ("past", "known", "static")


@dataclass(frozen=True)
class Columns:
    """The roles of a table's columns, and what its values mean.

    Parameters
    ----------
    id : str
        Name of the series. A table without this column is one series.
    time : str
        Timestamps or whole numbers. A table without it may carry its times as its index.
    target : str or tuple of str
        The column to forecast, or several that are forecast together.
    past, known, static : tuple of str
        Covariates known up to the origin, also ahead of it, and constant per series. Text, boolean and
        categorical columns become codes; the others are numbers.
    gaps : {"mask", "rows", "error"}
        Absent steps of the grid are unobserved values; or the row number is the grid; or they are refused.
    wide : bool
        Each column but the time is a series of its own. Then `id` and `target` name the columns of forecasts.
    joint : bool
        Several targets are channels of one network that sees all of them; otherwise one network forecasts each
        target from its own values.
    calendar : str or tuple of str
        Positions in day, week and year that networks are told: "auto" chooses them by the frequency, an empty
        tuple tells none. Names: see `forecast.data.calendar`.
    holidays : str, optional
        Country ("US"), or country and part ("US-CA"), whose holidays networks are told.
    minimum : float, tuple or dict of float, optional
        No value lies below it, and forecasts that would are raised to it. Of several targets: one for all, one for
        each (None where there is none), or some by name.
    unit : str, tuple or dict of str
        Of the target, or of each target, for labels.
    """

    id: str = "unique_id"
    time: str = "ds"
    target: str | tuple[str, ...] = "y"
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    gaps: str = "mask"
    wide: bool = False
    joint: bool = True
    calendar: str | tuple[str, ...] = "auto"
    holidays: str | None = None
    minimum: Any = None
    unit: Any = ""

    def __post_init__(self) -> None:
        for role in ("id", "time"):
            if not isinstance(getattr(self, role), str):
                raise ConfigError(f"columns.{role} names one column, got {getattr(self, role)!r}.")
        for role in LISTS:
            self._keep_list(role, f"columns.{role} is a list of names")
        if not isinstance(self.target, str):
            self._keep_list("target", "columns.target is a name or a list of names")
            if not self.target:
                raise ConfigError("columns.target names no column. Name what is to be forecast.")
            if len(self.target) == 1:
                object.__setattr__(self, "target", self.target[0])
        for role in ("id", "time"):
            name = getattr(self, role)
            if OUTPUTS.fullmatch(name):
                raise ConfigError(
                    f"columns.{role} is {name!r}, a name that forecasts use themselves. Rename the column."
                )
        if self.gaps not in ("mask", "rows", "error"):
            raise ConfigError(f"columns.gaps is mask, rows or error, got {self.gaps!r}.")
        roles = [self.id, self.time, *self.targets, *self.covariates]
        twice = sorted({name for name in roles if roles.count(name) > 1})
        if twice:
            raise ConfigError(f"column {twice[0]!r} has two roles in {self}. Give each column one role.")
        if self.wide and len(self.targets) > 1:
            raise ConfigError("a wide table has one target: each of its columns is a series. Name one target.")
        if self.calendar is None:
            object.__setattr__(self, "calendar", ())
        elif not isinstance(self.calendar, str):
            self._keep_list("calendar", "calendar is auto, or a list of names")
        elif self.calendar != "auto":
            object.__setattr__(self, "calendar", (self.calendar,))
        self._check_values()

    @property
    def targets(self) -> tuple[str, ...]:
        """All target columns."""
        return (self.target,) if isinstance(self.target, str) else self.target

    @property
    def units(self) -> tuple[str, ...]:
        """The unit of each target."""
        return (self.unit,) * len(self.targets) if isinstance(self.unit, str) else self.unit

    @property
    def minima(self) -> tuple[float | None, ...]:
        """The lowest value of each target, None where there is none."""
        return self.minimum if isinstance(self.minimum, tuple) else (self.minimum,) * len(self.targets)

    @property
    def covariates(self) -> tuple[str, ...]:
        """All covariate columns: past, known, static."""
        return (*self.past, *self.known, *self.static)

    def as_dict(self) -> dict[str, Any]:
        """Return the roles as plain values, for YAML."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def _keep_list(self, name: str, what: str) -> None:
        """Keep a list of names as a tuple."""
        given = getattr(self, name)
        if isinstance(given, str):
            raise ConfigError(f"{what}, got {given!r}. Write [{given}].")
        if not isinstance(given, Iterable) or not all(isinstance(one, str) for one in given):
            raise ConfigError(f"{what}, got {given!r}. Write [] for none.")
        object.__setattr__(self, name, tuple(given))

    def _check_values(self) -> None:
        for name, other in {"minimum": None, "unit": ""}.items():
            given = getattr(self, name)
            if isinstance(given, Mapping):
                strangers = [target for target in given if target not in self.targets]
                if strangers:
                    raise ConfigError(f"{name}: {unknown_name('target', strangers[0], self.targets)}")
                object.__setattr__(self, name, tuple(given.get(target, other) for target in self.targets))
        if self.holidays is not None and not isinstance(self.holidays, str):
            raise ConfigError(
                f"holidays is a country such as 'US' or 'US-CA', got {self.holidays!r}. In YAML quote 'NO', Norway."
            )
        if isinstance(self.minimum, (list, tuple)):
            self._refuse_other_number("minimum", len(self.minimum))
            object.__setattr__(self, "minimum", tuple(_lowest(value) for value in self.minimum))
        else:
            object.__setattr__(self, "minimum", _lowest(self.minimum))
        if not isinstance(self.unit, str):
            self._keep_list("unit", "unit is a text, or a list of one for each target")
            self._refuse_other_number("unit", len(self.unit))

    def _refuse_other_number(self, name: str, given: int) -> None:
        if given != len(self.targets):
            raise ConfigError(f"{name} has {given} entries for {len(self.targets)} targets. Give one for each target.")


def _lowest(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        raise ConfigError(f"minimum is a number, or one for each target, got {value!r}.")
    return float(value)
