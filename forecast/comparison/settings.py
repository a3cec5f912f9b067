"""What a comparison is asked for: which origins, which windows, and what may be learned before them."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from forecast.config import names, read
from forecast.errors import ConfigError, unknown_name

ALWAYS = ("naive", "seasonal_naive")


@dataclass
class Protocol:
    """Which origins models forecast from, and what they learn from before.

    Without ``test``, origins lie as in a backtest: counted back from the end. With it each series is cut from its start
    into ``train`` steps to learn from, ``validation`` steps that no model learns from, and ``test`` steps: every window
    that lies within these is scored, and what comes after them is dropped.

    Parameters
    ----------
    folds, step, refit, split
        As of a backtest: how many origins, steps between them (a horizon by default, 1 with ``test``), when models are
        fitted anew, and whether series share their cutoffs.
    train, validation, test : int
        Steps of the three spans.
    standardised : bool
        Models see each series less the mean of its training span, over the deviation there, and are scored on that
        axis.
    beside : list of str
        Simple methods that are always there.
    """

    folds: int = 5
    step: int | None = None
    refit: Any = False
    split: str | None = None
    train: int | None = None
    validation: int = 0
    test: int | None = None
    standardised: bool = False
    beside: list[str] = field(default_factory=lambda: list(ALWAYS))

    def check(self) -> None:
        """Refuse spans that make no sense, by name."""
        for name, least in (("train", 1), ("validation", 0), ("test", 1)):
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and value >= least):
                raise ConfigError(f"backtest.{name} is a whole number of {least} or more, got {value!r}.")
        if (self.train is None) != (self.test is None):
            raise ConfigError("backtest.train and backtest.test go together. Give both, or neither.")
        if self.standardised and self.train is None:
            raise ConfigError("backtest.standardised needs a training span. Set backtest.train and backtest.test.")


def named_protocol(protocol: str | Protocol) -> Protocol:
    """Return a protocol by its name in conf/protocol, or as it was given."""
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in names("protocol"):
        raise ConfigError(unknown_name("protocol", protocol, names("protocol")))
    return Protocol(**read("protocol", protocol))


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
