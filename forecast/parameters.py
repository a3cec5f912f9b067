"""What the parameters of a forecaster come to: checked, with nothing left open, a device, plain values."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import torch

from forecast.batch import LONGEST
from forecast.config import GROUPS, is_placement, read, settings, usual
from forecast.data.columns import Columns
from forecast.errors import ConfigError, check_count
from forecast.training.settings import Training


def accelerator_of(given: str | dict[str, Any]) -> dict[str, Any]:
    """Return arguments of the trainer; auto means a CUDA device where there is one, else the CPU."""
    arguments = given if isinstance(given, dict) else dict(_accelerator(str(given)))
    if arguments.get("accelerator", "auto") == "auto":
        return {**arguments, "accelerator": "cuda" if torch.cuda.is_available() else "cpu"}
    return arguments


@cache
def _accelerator(name: str) -> dict[str, Any]:
    return read("accelerator", name)  # each forecast asks, and one of a single series would wait for the file


def device_of(accelerator: str | dict[str, Any]) -> torch.device:
    """Return where predictions are made."""
    wanted = accelerator_of(accelerator)["accelerator"]
    if wanted in ("gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda")
    if wanted in ("gpu", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def checked(forecaster: Any) -> Training:
    """Refuse parameters of a forecaster that make no sense; return a copy of those of training, in plain numbers.

    Raises
    ------
    ConfigError
        Names the parameter.
    """
    for name in ("horizon", "context_length", "seasonality"):
        value = getattr(forecaster, name)
        if value is None and name != "horizon":
            continue
        check_count(name, value)
        if value > LONGEST:
            raise ConfigError(f"{name} is at most {LONGEST:,} steps, got {value:,}. Take a coarser frequency.")
    training = Training() if forecaster.training is None else deepcopy(forecaster.training)
    if not isinstance(training, Training):
        raise ConfigError(f"training is a Training, such as Training(steps=500), got {training!r}.")
    training.check()
    for name, value in training.get_params().items():
        if isinstance(value, np.generic):  # a checkpoint holds plain numbers
            setattr(training, name, value.item())
    return training


def completed(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a forecaster with the loss and scaling that go with its model where it names none."""
    loss = parameters["loss"] or usual("loss", parameters["model"])
    scaling = parameters["scaling"] or usual("scaling", parameters["model"], loss=loss)
    return {**parameters, "loss": loss, "scaling": scaling}


def plain_parameters(parameters: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """Return the parameters of a forecaster that learned from these columns as plain values, for YAML."""
    plain = {**parameters, **{group: settings(group, parameters[group]) for group in GROUPS}}
    training = (parameters["training"] or Training()).get_params()
    if not isinstance(training["optimizer"], str):
        training["optimizer"] = settings("optimizer", training["optimizer"])
    if isinstance(plain["accelerator"], dict):  # loading takes no more from a file
        given = plain["accelerator"].items()
        plain["accelerator"] = {name: value for name, value in given if is_placement({name: value})}
    return {**plain, "columns": columns.as_dict(), "training": training}


def about(parameters: dict[str, Any], training: Training) -> list[object]:
    """Return every setting that moves a weight, for the fingerprint of a checkpoint.

    What is done about a divergence moves none: a run that stopped there may be resumed with another answer.
    """
    chosen = {group: settings(group, parameters[group]) for group in GROUPS}
    own = {**training.get_params(), "optimizer": settings("optimizer", training.optimizer)}
    del own["on_divergence"]
    return [own, chosen, accelerator_of(parameters["accelerator"]), parameters["seed"]]
