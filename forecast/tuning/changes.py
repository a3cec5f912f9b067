"""What a searched setting is in a forecaster: how it is read, and how it is changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from inspect import Parameter, signature
from pydoc import locate
from typing import Any

from sklearn.base import clone

from forecast.config import TARGET, name_of, settings, usual
from forecast.data.panel import Panel
from forecast.errors import ConfigError
from forecast.forecaster import Forecaster
from forecast.training.settings import Training
from forecast.tuning.space import CONTEXT, Choice, Multiple, Range, Space

log = logging.getLogger("forecast")
Domains = dict[str, Choice | Range]


def changed(forecaster: Forecaster, values: Mapping[str, Any]) -> Forecaster:
    """Return an unfitted copy of a forecaster with settings of their dotted names.

    Raises
    ------
    ConfigError
        If there is no such setting of training; those of a model are checked when it is built.
    """
    new = clone(forecaster)
    training = new.training = new.training or Training()
    for key, value in values.items():
        group, _, option = key.partition(".")
        if not option:
            new.set_params(**{key: value})
        elif group == "training":
            training.set_params(**{option: value})
        elif group == "optimizer":
            training.optimizer = {**settings("optimizer", training.optimizer), option: value}
        else:
            new.set_params(**{group: {**settings(group, _setting(new, group)), option: value}})
    return new


def default(forecaster: Forecaster, key: str, panel: Panel) -> Any:
    """Return what a forecaster has for a setting of a dotted name on a panel, None where it has no value."""
    group, _, option = key.partition(".")
    if key == CONTEXT:
        return forecaster.context_on(panel)
    training = forecaster.training or Training()
    if group == "training":
        return getattr(training, option, None)
    setting = training.optimizer if group == "optimizer" else _setting(forecaster, group)
    if not option:
        return name_of(group, setting)
    options = settings(group, setting)
    if option in options:
        return options[option]
    own = signature(locate(options[TARGET])).parameters.get(option)  # type: ignore[arg-type]
    return None if own is None or own.default is Parameter.empty else own.default


def fitting(space: Space, forecaster: Forecaster, panel: Panel) -> Domains:
    """Return the part of a space that makes sense for a forecaster on a panel, in steps of its series.

    A choice that the model, the loss or the values refuse is left out.

    Raises
    ------
    ConfigError
        If every choice of a setting, or an end of a range, is refused; the message says why.
    """
    longest = int(panel.ends.max()) - forecaster.horizon
    found: Domains = {}
    for key, domain in space.items():
        if isinstance(domain, Multiple):
            domain = domain.lengths(forecaster.context_on(panel), longest=longest)
        refused = {}
        for place, value in enumerate(domain.ends()):
            try:
                changed(forecaster, {key: value}).check(panel)
            except (ValueError, TypeError) as error:
                refused[place] = error
        if len(refused) == len(domain.ends()) or (refused and isinstance(domain, Range)):
            raise ConfigError(f"space.{key}: {next(iter(refused.values()))}")
        if isinstance(domain, Choice) and refused:
            for place, why in refused.items():
                log.info("space.%s: %r is left out: %s", key, domain.values[place], why)
            domain = Choice(tuple(value for place, value in enumerate(domain.values) if place not in refused))
        found[key] = domain
    return found


def _setting(forecaster: Forecaster, group: str) -> Any:
    """Return the model, loss or scaling of a forecaster, where it names none the usual one."""
    if group == "model" or getattr(forecaster, group) is not None:
        return getattr(forecaster, group)
    loss = _setting(forecaster, "loss") if group == "scaling" else None
    return usual(group, forecaster.model, loss=loss)
