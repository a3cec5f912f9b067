"""Which network to try first: what ``model=auto`` becomes once there is a table."""

from __future__ import annotations

import logging

from forecast.config import AUTO, TARGET, Setting
from forecast.data.panel import Panel

log = logging.getLogger("forecast")


def chosen(model: Setting, panel: Panel, *, seasonality: int) -> Setting:
    """Return a model as it was given, and for "auto" the name of the network to try first on these series.

    Parameters
    ----------
    model : str, partial or dict
        As a `Forecaster` is given it.
    panel : Panel
        What it is to learn from.
    seasonality : int
        The period in steps.
    """
    if not is_auto(model):
        return model
    name, reason = "gru", "few series"
    log.info("model=auto: %s (%s)", name, reason)
    return name


def is_auto(model: Setting) -> bool:
    """Return whether the choice is left to us."""
    return model == AUTO or (isinstance(model, dict) and model.get(TARGET) == AUTO)
