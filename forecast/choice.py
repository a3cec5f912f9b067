"""Which network to try first: what ``model=auto`` becomes once there is a table."""

from __future__ import annotations

import logging

import numpy as np

from forecast.config import AUTO, TARGET, Setting
from forecast.data.panel import Panel
from forecast.errors import ConfigError

log = logging.getLogger("forecast")
PLENTY = 20_000  # observed steps of all series together from which segments are worth it, after docs/experiments.md


def first_choice(model: Setting, panel: Panel) -> Setting:
    """Return a model as it was given, and for "auto" the name of the network to try first on these series.

    Parameters
    ----------
    model : str, partial or dict
        As a `Forecaster` is given it.
    panel : Panel
        What it is to learn from.

    Raises
    ------
    ConfigError
        If "auto" comes with settings of a network.
    """
    if not is_auto(model):
        return model
    if isinstance(model, dict) and len(model) > 1:
        options = ", ".join(name for name in model if name != TARGET)
        raise ConfigError(f"model=auto chooses a network with its settings, got {options}. Name the network.")
    steps = int(np.isfinite(panel.target).any(axis=1).sum())
    name = "segrnn" if steps >= PLENTY else "gru"
    log.info("model=auto takes %s: there are %d observed steps, and from %d on it takes segrnn.", name, steps, PLENTY)
    return name


def is_auto(model: Setting) -> bool:
    """Return whether the choice is left to us."""
    return model == AUTO or (isinstance(model, dict) and model.get(TARGET) == AUTO)
