"""What is searched: settings by their dotted names, and the values that each may take."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import yaml

from forecast.config import CHOICES, conf_folder, names
from forecast.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

GROUP = "space"
CONTEXT = "context_length"
WHOLE = (CONTEXT, "scaling", "loss")  # settings that are searched as such
ROOTS = ("training", "optimizer", "model", "scaling", "loss")  # those of which options are
RANGE = ("type", "low", "high", "log", "step")
ROUNDING = 1e-8  # of a number of steps
FORM = "Write a list of choices, such as [16,32,64], or a range, such as {low: 16, high: 64, log: true}."


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    @property
    def labels(self) -> dict[Any, Any]:
        """The values by what a study calls them: plain ones as they are, lists as text."""
        plain = (bool, int, float, str, type(None))
        return {value if isinstance(value, plain) else json.dumps(value): value for value in self.values}

    def distribution(self) -> BaseDistribution:
        """Return what a study draws from."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(list(self.labels))

    def value(self, drawn: Any) -> Any:
        """Return the setting for what a study drew."""
        return self.labels[drawn]

    def drawn(self, value: Any) -> Any:
        """Return what a study would have drawn for a setting, None where it is none of the choices."""
        is_flag = isinstance(value, bool)  # which equals 0 or 1
        alike = (label for label, own in self.labels.items() if own == value and isinstance(own, bool) == is_flag)
        return next(alike, None)

    def ends(self) -> tuple[Any, ...]:
        """Return the values that have to make sense: each for itself."""
        return self.values


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`; `log` draws its logarithm evenly, `step` lies between two values."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    is_whole: bool = False

    def distribution(self) -> BaseDistribution:
        """Return what a study draws from."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.is_whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step)

    def value(self, drawn: Any) -> Any:
        """Return the setting for what a study drew, without the noise of adding up steps."""
        return int(drawn) if self.is_whole else float(f"{drawn:.6g}")

    def drawn(self, value: Any) -> Any:
        """Return what a study would have drawn for a setting, None where that lies outside, or between two steps."""
        if not _is_number(value) or not self.low <= value <= self.high:
            return None
        if self.step is not None:
            steps, most = (value - self.low) / self.step, (self.high - self.low) / self.step
            if abs(steps - round(steps)) > ROUNDING or round(steps) > most + ROUNDING:
                return None
        return int(value) if self.is_whole else float(value)

    def ends(self) -> tuple[Any, ...]:
        """Return the values that have to make sense: if both ends do, so does what lies between."""
        return self.value(self.low), self.value(self.high)


@dataclass(frozen=True)
class Multiple:
    """A context length, as multiples of that of default settings."""

    times: tuple[float, ...]

    def lengths(self, usual: int, *, longest: int) -> Choice:
        """Return the lengths in steps; none is longer than the series allow, beside the usual one."""
        found = {min(max(round(usual * times), 1), max(longest, usual)) for times in self.times}
        return Choice(tuple(sorted(found)))


Domain = Choice | Range | Multiple
Space = dict[str, Domain]


def read_space(model: str) -> dict[str, Any]:
    """Return what conf/space holds for a model, with what its file builds upon.

    Raises
    ------
    ConfigError
        If there is no file for it.
    """
    if model not in names(GROUP):
        raise ConfigError(unknown_name(GROUP, model, names(GROUP)))
    content = yaml.safe_load((conf_folder() / GROUP / f"{model}.yaml").read_text(encoding="utf-8"))
    merged: dict[str, Any] = {}
    for parent in content.pop(CHOICES, []):
        merged = _merged(merged, read_space(parent))
    return _merged(merged, content)


def space_of(given: Mapping[str, Any]) -> Space:
    """Return a space of nested settings, as a file of conf/space holds them; what is null is not searched.

    Parameters
    ----------
    given : mapping
        Names of settings, as on the command line: a list of choices, or ``low`` and ``high`` with ``log``, ``step`` and
        ``type`` ("int" or "float"); `context_length` also as ``times``.

    Raises
    ------
    ConfigError
        If a setting cannot be searched, or its values make no sense.
    """
    space = {key: _domain(key, value) for key, value in _leaves(given) if value is not None}
    for key in space:
        root, _, option = key.partition(".")
        if not (key in WHOLE or (root in ROOTS and option)):
            raise ConfigError(f"{unknown_name('setting to search', key, [*WHOLE, *(f'{one}.*' for one in ROOTS)])}")
    if not space:
        raise ConfigError(
            "nothing is searched: space names no setting. Leave one in, or give forecast train its settings."
        )
    return space


def without(given: Mapping[str, Any], fixed: Iterable[str]) -> dict[str, Any]:
    """Return nested settings of a space by their dotted names, but for those that are fixed, or of which a part is."""
    fixed = list(fixed)
    return {
        key: value
        for key, value in _leaves(given)
        if not any(name == key or name.startswith(f"{key}.") for name in fixed)
    }


def _leaves(given: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and not {"times", *RANGE} & value.keys():
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _domain(key: str, value: Any) -> Domain:
    if isinstance(value, list | tuple) and len(value):
        if len(Choice(tuple(value)).labels) < len(value):
            raise ConfigError(f"space.{key} has a value twice, as 1 and true are: {value!r}. Name each once.")
        return Choice(tuple(value))
    if isinstance(value, Mapping) and value.keys() == {"times"} and key == CONTEXT:
        times = value["times"]
        if isinstance(times, list | tuple) and times and all(_is_number(one) and one > 0 for one in times):
            return Multiple(tuple(times))
    elif isinstance(value, Mapping) and {"low", "high"} <= value.keys() <= set(RANGE):
        return _range(key, value)
    raise ConfigError(f"space.{key} is {value!r}. {FORM}")


def _range(key: str, value: Mapping[str, Any]) -> Range:
    low, high, step, log = value["low"], value["high"], value.get("step"), value.get("log", False)
    kind = value.get("type", "int" if isinstance(low, Integral) and isinstance(high, Integral) else "float")
    wrong = (
        not all(map(_is_number, (low, high))) and "low and high are numbers"
        or low > high and "low lies above high"
        or kind not in ("int", "float") and "type is int or float"
        or not isinstance(log, bool) and "log is true or false"
        or log and low <= 0 and "a logarithm needs a low above 0"
        or log and step is not None and "log and step do not go together"
        or step is not None and not (_is_number(step) and step > 0) and "step is a number above 0"
        or kind == "int" and any(number != int(number) for number in (low, high, step or 1))
        and "type int needs whole numbers"
    )  # fmt: skip
    if wrong:
        raise ConfigError(f"space.{key} is {dict(value)!r}: {wrong}.")
    return Range(low, high, log=log, step=step, is_whole=kind == "int")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with those of another laid over them, as Hydra does."""
    both = {name for name in above if isinstance(above[name], Mapping) and isinstance(below.get(name), Mapping)}
    return {**below, **above, **{name: _merged(below[name], above[name]) for name in both}}
