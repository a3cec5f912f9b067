"""What can be entered in a comparison: networks, ensembles, simple methods, and anything with `fit` and `predict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone

from forecast.comparison.adapters import AdapterEntry
from forecast.comparison.describing import described
from forecast.comparison.entry import Entry, Fitted
from forecast.comparison.protocols import Part, Task
from forecast.config import TARGET, named_changes, names, networks, read, told_changes
from forecast.errors import ConfigError, told_kind, unknown_name
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.classical import CLASSICAL
from forecast.evaluation.origins import Origins
from forecast.evaluation.simple import SCORED, SimpleForecasts, scored_levels
from forecast.forecaster import Forecaster
from forecast.parts import networks_of
from forecast.predictor import Predictor
from forecast.training.settings import Training

ALL = "all"
SIMPLE = [name for name in BASELINES if name not in CLASSICAL]  # of "all": those that need no extra and little time
OWN = ("loss", "scaling", "context_length", "seasonality")  # settings of a forecaster beside those of its model


class NetworkEntry(Entry):
    """A forecaster, an ensemble or a calibrated one, which stays as it is: copies of it are fitted.

    Its horizon, columns, frequency and, where it has none, its seasonality are those of the task; seeds are added to
    its own, those of an ensemble in steps that let no member have a seed twice.
    """

    def __init__(self, name: str, predictor: Predictor) -> None:
        super().__init__(name)
        if clone(predictor).event is not None:
            raise ConfigError(f"{name} forecasts the probability of an event, and values are compared. Leave it out.")
        self.predictor = predictor

    def settings(self, task: Task, *, seed: int) -> dict[str, Any]:
        """Return the settings of its networks, their defaults among them."""
        return described(self._made(task, seed=seed), without=("columns",))  # those are the table's

    def fit(self, task: Task, part: Part, *, seed: int) -> Fitted:
        """Train a copy."""
        fitted = self._made(task, seed=seed).fit(task.panel.until(part.known))
        parameters = sum(one.numel() for network in fitted.networks for one in network.model_.parameters())
        return _FittedNetwork(fitted, task, scored_levels(fitted), parameters)

    def _made(self, task: Task, *, seed: int) -> Predictor:
        made = clone(self.predictor)
        own = [network.seed for network in networks_of(made)]
        step = max(own) - min(own) + 1
        for network in networks_of(made):
            network.set_params(
                horizon=task.horizon, columns=task.panel.columns, freq=task.panel.freq.name, progress=False,
                seasonality=network.seasonality or task.season, seed=network.seed + seed * step,
            )  # fmt: skip
        return made


class SimpleEntry(Entry):
    """A simple method, which has no seed."""

    is_seeded = False

    def settings(self, task: Task, *, seed: int) -> dict[str, Any]:
        """Return its name and the period."""
        return {"method": self.name, "seasonality": task.season}

    def fit(self, task: Task, part: Part, *, seed: int) -> Fitted:
        """Fit it to each target."""
        known = task.panel.until(part.known)
        method = SimpleForecasts(BASELINES[self.name], known, horizon=task.horizon, seasonality=task.season)
        return _FittedSimple(method, task)


@dataclass
class _FittedNetwork:
    fitted: Predictor
    task: Task
    levels: Sequence[float]
    parameters: int | None
    refit_seconds: float = 0.0

    def forecasts(self, origins: Origins) -> np.ndarray:
        """Forecast all origins in one go."""
        return self.fitted.predict_origins(self.task.panel, origins.series, origins.ends, levels=self.levels)


@dataclass
class _FittedSimple:
    method: SimpleForecasts
    task: Task
    levels: Sequence[float] = SCORED
    parameters: int | None = 0
    refit_seconds: float = 0.0

    def forecasts(self, origins: Origins) -> np.ndarray:
        """Forecast each target from its own history."""
        counts = self.task.counts(origins)
        return self.method.forecasts(self.task.panel, origins, levels=self.levels, where=counts)


@dataclass(frozen=True)
class Shared:
    """What networks that are entered by name have in common."""

    training: Training = field(default_factory=Training)
    accelerator: str | dict[str, Any] = "auto"
    context_length: int | None = None
    seed: int = 0

    def forecaster(self, name: str, changes: Mapping[str, Any]) -> Forecaster:
        """Return a network of conf/model with changes to its settings, and the loss and scaling that go with it."""
        own = {option: value for option, value in changes.items() if option not in (*OWN, "training")}
        training = Training(**{**self.training.get_params(), **_checked_training(name, changes.get("training"))})
        training.check()
        model = read("model", name)
        strangers = [option for option in own if option not in model]
        if strangers:
            known = [*(option for option in model if option != TARGET), *OWN, "training"]
            raise ConfigError(f"models: {name}: {unknown_name('setting', strangers[0], known)}")
        return Forecaster(
            {**model, **own} if own else name,
            horizon=1,  # that of the task
            context_length=changes.get("context_length", self.context_length),
            seasonality=changes.get("seasonality"),
            loss=changes.get("loss"),
            scaling=changes.get("scaling"),
            training=training,
            accelerator=self.accelerator,
            seed=self.seed,
            progress=False,
        )


def entries_of(models: Any, *, shared: Shared, beside: Sequence[str] = ()) -> list[Entry]:
    """Return what is entered, each under a name of its own.

    Parameters
    ----------
    models : str, list or dict
        "all"; names of networks (conf/model) and simple methods, alone or with changes to their settings
        (``{gru: {layers: 2, training: {steps: 500}}}``, under a name of one's own ``{small: {model: gru, ...}}``); or
        objects, alone or by name: a `Forecaster`, `Ensemble`, `Calibrated`, or an adapter.
    shared : Shared
        Of networks that are named.
    beside : sequence of str
        Simple methods that are entered in any case.

    Raises
    ------
    ConfigError
        If a name is unknown or there twice, or an object is none of these.
    """
    listed = [*networks(), *SIMPLE] if isinstance(models, str) and models == ALL else _listed(models)
    entered: dict[str, Entry] = {}
    for name, given in [_told(one) for one in listed]:
        if name in entered:
            raise ConfigError(f"models names {name!r} twice. Name it once, or give one of them a name of its own.")
        entered[name] = entry = _entry(name, given, shared)
        if name in BASELINES and not isinstance(entry, SimpleEntry):
            raise ConfigError(
                f"models: {name!r} is the name of a simple method, and not of what is given under it. Give it another "
                "name: a dict names each."
            )
    for name in beside:
        if name not in BASELINES:
            raise ConfigError(unknown_name("simple method", name, BASELINES))
        entered.setdefault(name, SimpleEntry(name))
    return list(entered.values())


def _listed(models: Any) -> list[Any]:
    if isinstance(models, str | Predictor) or _is_adapter(models):
        return [models]
    if isinstance(models, Mapping):
        return [_under(str(name), given) for name, given in models.items()]
    if isinstance(models, Sequence) and len(models):
        return list(models)
    if isinstance(models, Sequence):
        raise ConfigError("models is empty: there is nothing to compare. Name some, such as gru and ridge.")
    raise ConfigError(f"models is {told_kind(models)}; give a list of names or forecasters, or a dict of them by name.")


def _under(name: str, given: Any) -> Any:
    """Return an entry of a dict as one of a list."""
    if isinstance(given, str):
        return name if given == name else {name: {"model": given}}
    return {name: given} if isinstance(given, dict) else (name, given)


def _told(given: Any) -> tuple[str, Any]:
    """Return what an entry is called, and what it is."""
    if isinstance(given, tuple):
        return given
    if isinstance(given, str | dict):
        name, changes = named_changes(given, what="models")
        if "model" in changes:
            if not isinstance(changes["model"], str):
                raise ConfigError(
                    f"models: {name}: model is a name, and changes to its settings stand beside it "
                    f"({{{name}: {{model: gru, layers: 2}}}}), got {changes['model']!r}."
                )
            return name, {changes["model"]: {option: own for option, own in changes.items() if option != "model"}}
        return told_changes(name, changes), given
    model = getattr(given, "model", None)
    return model if isinstance(model, str) else type(given).__name__.lower(), given


def _entry(name: str, given: Any, shared: Shared) -> Entry:
    if isinstance(given, str | dict):
        own, changes = named_changes(given, what="models")
        if own in BASELINES and changes:
            raise ConfigError(f"{own} has no settings to change, got {changes!r}. Name it alone.")
        if own in BASELINES:
            if own != name:
                raise ConfigError(f"{own} keeps its own name in a comparison, got {name!r}.")
            return SimpleEntry(own)
        if own not in names("model"):
            raise ConfigError(unknown_name("model", own, [*names("model"), *BASELINES, ALL]))
        return NetworkEntry(name, shared.forecaster(own, changes))
    if isinstance(given, Predictor):
        return NetworkEntry(name, given)
    if _is_adapter(given):
        return AdapterEntry(name, given)
    raise ConfigError(
        f"models has {told_kind(given)}; give names, a Forecaster, Ensemble or Calibrated, or an object with "
        "fit(frame) and predict(horizon)."
    )


def _is_adapter(given: Any) -> bool:
    return not isinstance(given, str | Mapping | type) and all(
        callable(getattr(given, method, None)) for method in ("fit", "predict")
    )


def _checked_training(name: str, changes: Any) -> Mapping[str, Any]:
    changes = {} if changes is None else changes
    if not isinstance(changes, Mapping):
        raise ConfigError(f"models: {name}: training is settings by name ({{steps: 500}}), got {changes!r}.")
    Training().set_params(**changes)
    return changes
