"""What concerns training, in one record."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from forecast.errors import ConfigError, check_count, unknown_name

SCHEDULES = ("one_cycle", "cosine", "constant")
ON_DIVERGENCE = ("stop", "lower_rate")
LEAST = {"steps": 1, "batch_size": 1, "validation": 0, "check_every": 1, "patience": 1, "checkpoint_every": 0}


@dataclass
class Training:
    """How a network is trained.

    Parameters
    ----------
    steps : int
        Optimiser steps; with `validation` the most there are.
    batch_size : int
        Windows a step.
    learning_rate : float or "find"
        Peak of the schedule; "find" runs a range test first.
    schedule : {"one_cycle", "cosine", "constant"}
        How the learning rate moves over the steps.
    optimizer : str or dict
        A name in conf/optimizer, or what such a file holds.
    gradient_clip : float
        Largest norm of the gradient; 0 clips nothing.
    validation : int
        Horizons held back at the end of each series for early stopping; 0 trains all steps on everything.
    check_every, patience : int
        Steps between two looks at the validation loss, and looks without gain before training stops.
    refit : bool
        After early stopping, train as many steps as were best on everything.
    weight_averaging : float
        Decay of an exponential moving average of the weights, such as 0.99; 0 averages nothing.
    freeze : sequence of str
        Parts of the network that stay as they are, such as "recurrent" or "features"; for fine-tuning.
    checkpoint_every : int
        Steps between two checkpoints, where the fit has a folder for them; 0 writes none.
    on_divergence : {"stop", "lower_rate"}
        Where the loss is not finite: stop with an error, or go back to the last checkpoint (in memory where there is no
        folder), a second time to the start, and on at a tenth of the learning rate; three times at most.
    """

    steps: int = 200
    batch_size: int = 128
    learning_rate: Any = 0.01
    schedule: str = "one_cycle"
    optimizer: Any = "adam"
    gradient_clip: float = 1.0
    validation: int = 0
    check_every: int = 50
    patience: int = 5
    refit: bool = True
    weight_averaging: float = 0.0
    freeze: Any = ()
    checkpoint_every: int = 200
    on_divergence: str = "stop"

    def check(self) -> None:
        """Refuse settings that make no sense, by name."""
        for name, least in LEAST.items():
            check_count(f"training.{name}", getattr(self, name), least=least)
        if self.learning_rate != "find" and not (_is_number(self.learning_rate) and self.learning_rate > 0):
            raise ConfigError(f"training.learning_rate is above 0, or 'find'; got {self.learning_rate!r}.")
        if isinstance(self.freeze, str) or not all(isinstance(part, str) for part in self.freeze):
            raise ConfigError(f"training.freeze is a list of names, got {self.freeze!r}. Write [{self.freeze}].")
        if self.schedule not in SCHEDULES:
            raise ConfigError(unknown_name("training.schedule", self.schedule, SCHEDULES))
        if self.on_divergence not in ON_DIVERGENCE:
            raise ConfigError(unknown_name("training.on_divergence", self.on_divergence, ON_DIVERGENCE))
        if not _is_number(self.gradient_clip) or self.gradient_clip < 0:
            raise ConfigError(f"training.gradient_clip is 0 or more, got {self.gradient_clip!r}.")
        if not _is_number(self.weight_averaging) or not 0 <= self.weight_averaging < 1:
            raise ConfigError(f"training.weight_averaging lies in [0, 1), got {self.weight_averaging!r}.")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings, as scikit-learn asks for them (``training__steps``)."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **params: Any) -> Training:
        """Change settings by name."""
        for name, value in params.items():
            if name not in self.get_params():
                raise ConfigError(unknown_name("training setting", name, self.get_params()))
            setattr(self, name, value)
        return self


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
