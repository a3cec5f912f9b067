"""What is trained: a network or an ensemble from the settings, or a saved run that learning goes on from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from hydra.core.hydra_config import HydraConfig

from forecast.choice import first_choice, is_auto
from forecast.config import AUTO, USUAL, Setting, name_of, named_changes, read, told_changes, usual
from forecast.config import settings as settings_of
from forecast.data.columns import Columns
from forecast.data.panel import Panel
from forecast.errors import ConfigError, DataError, named
from forecast.frames import level_names
from forecast.jobs.settings import chosen, columns_of
from forecast.parts import networks_of
from forecast.training.settings import Training

if TYPE_CHECKING:  # torch and the rest load once table and settings are right
    from forecast.forecaster import Forecaster
    from forecast.predictor import Predictor

COMBINED = ("combine", "weights", "validation", "processes")  # settings of an ensemble


@dataclass(frozen=True)
class Learner:
    """What is trained, as often as it is needed.

    Parameters
    ----------
    name : str
        In tables and figures.
    about : str
        The same at more length.
    columns : Columns
        Roles of the table.
    freq : str, optional
        Of the table; inferred where it is None.
    horizon : int
        Steps to forecast.
    make : callable
        Returns what is trained: new, or as it was saved, each time it is called.
    saved : tuple of Predictor
        What learning goes on from, and before it what that went on from.
    """

    name: str
    about: str
    columns: Columns
    freq: str | None
    horizon: int
    make: Callable[[], Predictor]
    saved: tuple[Predictor, ...] = ()

    def fit(self, panel: Panel, fits: list[Predictor], **options: Any) -> None:
        """Append a new one to `fits`, and fit it to a panel: who stops that finds there how far it got."""
        fits.append(self.make())
        fits[-1].fit(panel, warm_start=bool(self.saved), **options)

    def settled(self, panel: Panel) -> Learner:
        """Return the same with what model=auto takes for a panel, so that every fit has it, under its own name."""
        left_open = next((network.model for network in networks_of(self.make()) if is_auto(network.model)), None)
        if left_open is None:
            return self
        took = str(first_choice(left_open, panel))  # of one: no other member stands beside auto

        def make() -> Predictor:
            new = self.make()
            for network in networks_of(new):
                network.model = took if is_auto(network.model) else network.model
            return new

        about = self.about.replace(AUTO, f"{took} (model=auto)", 1)
        return replace(self, name=took if self.name == AUTO else self.name, about=about, make=make)

    def refuse_seen(self, panel: Panel, ends: np.ndarray) -> None:
        """Refuse held-back windows after `ends` (n,) that the saved run has been trained on.

        Raises
        ------
        DataError
            Names a series, its end in the saved run and the first cutoff.
        """
        for seen in (saved.panel_ for saved in self.saved):
            trained, given = (pd.Index([str(name) for name in ids]) for ids in (seen.ids, panel.ids))
            places = trained.get_indexer(given)
            known = np.flatnonzero((places >= 0) & (ends > 0))
            last = seen.stamps(places[known], seen.ends[places[known]] - 1)
            cutoffs = panel.stamps(known, ends[known] - 1)
            late = last > cutoffs
            if late.any():
                first = int(late.argmax())
                end, cutoff = (panel.stamp_column(stamps[first : first + 1]).iloc[0] for stamps in (last, cutoffs))
                raise DataError(
                    f"the saved run was trained on series {named(panel.ids[known[first]])} up to {end}, and the "
                    f"held-back windows begin after {cutoff} ({late.sum()} such series): such a score says nothing. "
                    "Set test.windows=0 to train without a score, give newer data, or start from one with final=false."
                )


def new_learner(settings: dict[str, Any]) -> Learner:
    """Return a network, or an ensemble of some, that has learned nothing."""
    if settings["horizon"] is None:
        raise ConfigError("horizon is not set, and this data set names none. Add horizon=STEPS.")
    if settings["horizon"] < 1:
        raise ConfigError(f"horizon is a whole number of 1 or more, got {settings['horizon']}.")
    level_names(settings["loss"].get("levels") or ())
    Training(**settings["training"]).check()
    columns = columns_of(settings["data"])
    models, seeds = _members(settings), settings["ensemble"]["seeds"]
    if len(models) * seeds == 1 and settings["ensemble"]["weights"] is not None:
        raise ConfigError("ensemble.weights weighs several networks, and there is one. Set ensemble.seeds or members.")
    options = {name: settings["ensemble"][name] for name in COMBINED}
    calibration = settings["calibration"]
    if calibration["windows"] < 0:
        raise ConfigError(f"calibration.windows is 0 or more, got {calibration['windows']}.")

    def make() -> Predictor:
        from forecast.calibrated import Calibrated
        from forecast.ensemble import Ensemble

        networks = [
            _network(settings, name, model, columns, seed=settings["seed"] + more)
            for name, model in models.values()
            for more in range(seeds)
        ]
        made = networks[0] if len(networks) == 1 else Ensemble(networks, **options)
        return Calibrated(made, **calibration) if calibration["windows"] else made

    each = f" with {seeds} seeds each" if seeds > 1 else ""
    name, about = next(iter(models)), f"ensemble of {', '.join(models)}{each}"
    if len(models) * seeds > 1:
        name = "ensemble"
    return Learner(
        name=name,
        about=about if name == "ensemble" else name,
        columns=columns,
        freq=settings["data"]["freq"],
        horizon=settings["horizon"],
        make=make,
    )


def steps_of(fitted: Predictor) -> str:
    """Return for how many steps a training went on, in words."""
    networks = networks_of(fitted)
    training, steps = networks[0].training or Training(), len(fitted.history_)
    each = f"{len(networks)} networks, {steps}" if len(networks) > 1 else str(steps)
    if training.validation and training.refit:
        return f"{each} steps beside validation, then anew up to the best of them"
    return f"{each} steps"


def so_far(fitted: Predictor) -> str:
    """Return how far the training of a network came, or that of an ensemble, which is fitted whole or not at all."""
    networks = networks_of(fitted)
    if members_of(fitted):
        return steps_of(fitted)
    return f"step {len(fitted.history_)} of {(networks[0].training or Training()).steps}"


def learned(fitted: Predictor) -> dict[str, Any]:
    """Return what was settled by training, for the card of a run."""
    from forecast.calibrated import Calibrated
    from forecast.ensemble import Ensemble

    networks, fitted_ = fitted.networks, bare(fitted)
    facts = {
        "horizon": fitted.horizon_,
        "device": str(networks[0].device),
        "loss": _distinct("loss", [network.loss for network in networks_of(fitted)]),
        "scaling": _distinct("scaling", [network.scaling for network in networks_of(fitted)]),
        "context length": fitted.context_length_,
        "seasonality": fitted.seasonality_,
        "parameters": sum(weights.numel() for network in networks for weights in network.model_.parameters()),
    }
    if isinstance(fitted_, Ensemble):
        facts["networks"] = len(networks)
        facts["weights"] = ", ".join(f"{weight:.3g}" for weight in fitted_.weights_)
    if isinstance(fitted, Calibrated):
        again = ", trained again on everything" if fitted.refit else ""
        facts["calibration"] = f"{fitted.windows} horizons held back, {fitted.origins_:,} origins{again}"
    return facts


def _distinct(group: str, settings: list[Setting | None]) -> str:
    return ", ".join(dict.fromkeys(name_of(group, setting or USUAL[group]) for setting in settings))


def told_event(predictor: Predictor) -> str:
    """Return what a target does where the event of a forecaster occurs, in words; nothing of a forecaster of values."""
    return "" if predictor.event is None else predictor.event.words


def told_history(fitted: Predictor) -> pd.DataFrame:
    """Return the steps of a training, and of an ensemble the names of members, and of losses where they differ."""
    from forecast.members import label

    history, members = fitted.history_, members_of(fitted)
    if not members:
        return history
    names = {number: label(number, member) for number, member in enumerate(members)}
    losses = {number: name_of("loss", member.loss or USUAL["loss"]) for number, member in enumerate(members)}
    told = history.assign(member=history["member"].map(names))
    return told.assign(loss=history["member"].map(losses)) if len(set(losses.values())) > 1 else told


def bare(predictor: Predictor) -> Predictor:
    """Return what a fitted predictor forecasts with, without its calibration."""
    from forecast.calibrated import Calibrated

    return predictor.predictor_ if isinstance(predictor, Calibrated) else predictor


def members_of(predictor: Predictor) -> list[Forecaster]:
    """Return the fitted networks of an ensemble, none of a network alone."""
    from forecast.ensemble import Ensemble

    predictor = bare(predictor)
    return list(predictor.members_) if isinstance(predictor, Ensemble) else []


def words() -> list[str]:
    """Return the names of the settings that the command line gives."""
    return [word.lstrip("+~").partition("=")[0] for word in HydraConfig.get().overrides.task]


def _members(settings: dict[str, Any]) -> dict[str, tuple[str, Setting]]:
    """Return names in conf/model and models, by what a person calls them.

    The model chosen has the settings given, others those of their files, and each the changes that its member names.
    """
    own, seeds = chosen("model"), settings["ensemble"]["seeds"]
    if seeds < 1:
        raise ConfigError(f"ensemble.seeds is a whole number of 1 or more, got {seeds}.")
    named: dict[str, tuple[str, Setting]] = {}
    contents: list[tuple[str, dict[str, Any]]] = []
    for member in settings["ensemble"]["members"] or [own]:
        name, changes = named_changes(member, what="ensemble.members")
        content = settings["model"] if name == own else read("model", name)  # refuses one that is not there
        told = told_changes(name, changes)
        contents.append((name, {**content, **changes}))
        if contents[-1] in contents[:-1]:
            raise ConfigError(
                f"ensemble.members names {told!r} twice, or what it comes to. Name it once; "
                "ensemble.seeds gives it more networks."
            )
        named[told] = name, contents[-1][1] if changes or name == own else name
    names = [name for name, _ in contents]
    if AUTO in names and len(names) > 1:
        raise ConfigError("model=auto chooses one network, and is no member beside others. Name the networks.")
    if own not in names and any(word.startswith("model") for word in words()):
        raise ConfigError(
            f"model={own} is not among ensemble.members={names}, so its settings would count for nothing. "
            "Name it there, or leave model out."
        )
    return named


def _network(settings: dict[str, Any], name: str, model: Setting, columns: Columns, *, seed: int) -> Forecaster:
    from forecast.forecaster import Forecaster

    loss, scaling = (_partner(settings, group, name) for group in USUAL)
    return Forecaster(
        model,
        horizon=settings["horizon"],
        context_length=settings["context_length"],
        freq=settings["data"]["freq"],
        seasonality=settings["data"]["seasonality"],
        columns=columns,
        loss=loss,
        scaling=scaling,
        training=Training(**settings["training"]),
        accelerator=settings["accelerator"],
        seed=seed,
        progress=settings["progress"],
    )


def _partner(settings: dict[str, Any], group: str, name: str) -> Setting:
    """Return the loss or scaling of a network: its usual one, unless a word or an experiment says which."""
    own, given = chosen("model"), {word.partition(".")[0] for word in words()}
    if name == own or group in given:
        return settings[group]
    is_usual = settings[group] == settings_of(group, usual(group, own))
    return usual(group, name, None if is_usual else settings[group])
