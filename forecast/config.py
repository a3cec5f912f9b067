"""Settings by name: where `conf/` lies, what it offers, and how a setting becomes an object."""

from __future__ import annotations

import importlib
import inspect
import math
import re
from collections.abc import Iterable
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import yaml

from forecast.errors import ConfigError, unknown_name

TARGET = "_target_"
AUTO = "auto"  # the model that is chosen once there is a table
GROUPS = ("model", "loss", "scaling")  # what a forecaster is made of
CHOICES = "defaults"  # Hydra's word for what a file takes from other groups
USUAL = {"loss": "quantile", "scaling": "last"}
PACKAGES = {  # what a setting of each group may name, whatever a file says
    "model": "forecast.networks",
    "loss": "forecast.losses",
    "scaling": "forecast.scaling",
    "optimizer": "torch.optim",
    "logger": "lightning.pytorch.loggers",
}
PLACEMENT = ("accelerator", "devices", "precision", "strategy", "num_nodes")  # what a file may tell the trainer
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)  # the path of a class
KINDS: dict[str, tuple[Any, str]] = {  # of options, by how their class annotates them
    "bool": (bool, "true or false"),
    "int": (Integral, "a whole number"),
    "int | None": (Integral | None, "a whole number or null"),
    "float": (Real, "a finite number"),
    "float | None": (Real | None, "a finite number or null"),
    "Sequence[int]": (list | tuple, "a list of whole numbers"),
}
Setting = str | dict[str, Any] | partial[Any] | type


def conf_folder() -> Path:
    """Return the folder of configs: `conf/` of a checkout, `forecast/conf` of an installed package."""
    return _beside("conf", "conf")


def shipped_folder() -> Path:
    """Return the folder of the series that ship: `data/` of a checkout, `forecast/shipped` of a package."""
    return _beside("data", "shipped")


def names(group: str) -> list[str]:
    """Return the names that a group of configs offers."""
    return sorted(path.stem for path in (conf_folder() / group).glob("*.yaml"))


def networks() -> list[str]:
    """Return the names of the models that are networks: all but the one that chooses among them."""
    return [name for name in names("model") if name != AUTO]


def read(group: str, name: str) -> dict[str, Any]:
    """Return what the yaml file of a name holds, but for what it chooses of other groups.

    Raises
    ------
    ConfigError
        If there is no such name. The message lists those there are.
    """
    content = _content(group, name)
    content.pop(CHOICES, None)
    return content


def named_changes(given: object, *, what: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a model in a list of them, and the changes to its settings that are given with it.

    Parameters
    ----------
    given : str or dict
        A name alone, or one name and its changes: ``{gru: {layers: 2}}``.
    what : str
        The list, in messages.
    """
    if isinstance(given, str):
        return given, {}
    if isinstance(given, dict) and len(given) == 1 and isinstance(next(iter(given.values())), dict):
        name, changes = next(iter(given.items()))
        if TARGET in changes:
            raise ConfigError(f"an entry of {what} changes settings of its model, not its {TARGET}.")
        return str(name), changes
    raise ConfigError(
        f"{what} lists names of models, each alone or with changes to its settings, such as "
        f"[gru,{{gru:{{layers:2}}}}], got {given!r}."
    )


def told_changes(name: str, changes: dict[str, Any]) -> str:
    """Return what a person calls a model with changes: ``gru layers=2``."""
    return " ".join([name, *(f"{option}={value}" for option, value in changes.items())])


def name_of(group: str, setting: Setting) -> str:
    """Return the name of the file nearest to a setting that has all of its options, or else the name of its class."""
    if isinstance(setting, str):
        return setting
    own = settings(group, setting)
    files = {name: read(group, name) for name in names(group)}
    alike = {name: file for name, file in files.items() if file[TARGET] == own[TARGET] and file.keys() <= own.keys()}

    def agreeing(name: str) -> int:
        return sum(own[option] == value for option, value in alike[name].items())

    return max(alike, key=agreeing, default=str(own[TARGET]).rpartition(".")[2])


def usual(group: str, model: Setting, otherwise: Setting | None = None, *, loss: Setting | None = None) -> Setting:
    """Return the loss or scaling that goes with a model: what its file chooses, else another, or that of all.

    Of scalings, what the file of the loss chooses comes before that of all.
    """
    by_loss = None if loss is None else _choice_of("loss", loss, group)
    return _choice_of("model", model, group) or otherwise or by_loss or USUAL[group]


def _choice_of(own: str, setting: Setting, group: str) -> str | None:
    """Return what the file of a setting chooses of another group."""
    name = setting if isinstance(setting, str) else name_of(own, setting)
    choices = _content(own, name).get(CHOICES, []) if isinstance(setting, str) or name in names(own) else []
    chosen = {word: name for choice in choices if isinstance(choice, dict) for word, name in choice.items()}
    return chosen.get(f"override /{group}@_global_.{group}")


def _content(group: str, name: str) -> dict[str, Any]:
    if name not in names(group):
        raise ConfigError(unknown_name(group, name, names(group)))
    return yaml.safe_load((conf_folder() / group / f"{name}.yaml").read_text(encoding="utf-8"))


def settings(group: str, setting: Setting) -> dict[str, Any]:
    """Return a setting as a plain dict with a ``_target_``.

    Parameters
    ----------
    group : str
        A folder of `conf/`.
    setting : str, dict, partial or type
        The name of a yaml file of the group, what such a file holds, or a class with or without arguments.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if isinstance(setting, str):
        return read(group, setting)
    if isinstance(setting, partial):
        if setting.args:
            raise ConfigError(f"give the arguments of a partial by keyword, got {setting!r}.")
        return {TARGET: _path(setting.func), **setting.keywords}
    if isinstance(setting, type):
        return {TARGET: _path(setting)}
    if isinstance(setting, dict) and TARGET in setting:
        return dict(setting)
    raise ConfigError(
        f"a {group} is a name ({', '.join(names(group))}), a dict as its file holds, with a {TARGET}, a class, or a "
        f"functools.partial of one, got {setting!r}."
    )


def build(group: str, setting: Setting, *args: Any, allow: Iterable[type] = (), **kwargs: Any) -> Any:
    """Return the object of a setting. Only classes of this package's own folder for the group are built.

    Parameters
    ----------
    group : str
        Which package of `PACKAGES` a named class must come from.
    setting
        As in `settings`. Classes and partials given as objects are the caller's own and are always built.
    allow : iterable of type
        Further classes that a name may mean.

    Raises
    ------
    ConfigError
        If the class is none of these, takes no such argument, or refuses a value.
    """
    if isinstance(setting, type | partial):
        allow = [*allow, setting.func if isinstance(setting, partial) else setting]  # type: ignore[list-item]
    options = settings(group, setting)
    target = _resolved(group, options.pop(TARGET), allow)
    known = _annotations(target)
    wrong = [name for name in options if known and name not in known]
    if wrong:
        own = [name for name in known if name not in ("sizes", "params", "lr")]
        raise ConfigError(f"{target.__name__}: {unknown_name('setting', wrong[0], own)}")
    if target.__module__.startswith("forecast."):
        _refuse_other_kinds(target, options, known)
    try:
        return target(*args, **{**options, **kwargs})
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{target.__name__}: {error}") from error


def _refuse_other_kinds(target: type, options: dict[str, Any], annotations: dict[str, Any]) -> None:
    """Refuse what is no number, whole number, or true or false, for an option of ours that is one."""
    for name, value in options.items():
        kinds, words = KINDS.get(str(annotations.get(name)), (object, ""))
        wrong = words and kinds is not bool and isinstance(value, bool)
        infinite = "finite" in words and isinstance(value, float) and not math.isfinite(value)
        if wrong or infinite or not isinstance(value, kinds):
            raise ConfigError(f"{target.__name__}: {name} is {words}, got {value!r}.")


def is_placement(arguments: dict[Any, Any]) -> bool:
    """Return whether arguments of the trainer say with plain values where it computes, and nothing else."""
    plain = (bool, int, float, str, type(None))
    each = [one for value in arguments.values() for one in (value if isinstance(value, list) else [value])]
    return set(arguments) <= set(PLACEMENT) and all(isinstance(one, plain) for one in each)


def _resolved(group: str, path: object, allow: Iterable[type]) -> type:
    for allowed in allow:
        if path == _path(allowed):
            return allowed
    package = PACKAGES[group]
    if isinstance(path, str) and DOTTED.fullmatch(path) and path.startswith(f"{package}."):
        module, _, name = path.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError:
            found = None
        if isinstance(found, type) and f"{found.__module__}.".startswith(f"{package}."):
            return found
    raise ConfigError(
        f"{path!r} is no {group} of {package}, and nothing else is built from a file. "
        "A class of your own is given in Python: Forecaster(partial(MyNetwork, ...)), "
        "Forecaster.load(path, allow=[MyNetwork])."
    )


def _annotations(target: type) -> dict[str, Any]:
    """Return how a class annotates what it takes, and hands on to its parents; nothing where it takes anything."""
    found: dict[str, Any] = {}
    for kind in target.__mro__:
        given = list(inspect.signature(kind).parameters.values()) if "__init__" in vars(kind) else []
        named = {one.name: one.annotation for one in given if one.kind is not one.VAR_KEYWORD}
        found = {**named, **found}
        rest = [one for one in given if one.kind is one.VAR_KEYWORD]
        if given and not rest:
            return found
        if rest and not str(rest[0].annotation).startswith("Unpack["):  # of a record that the parents take
            return {}
    return found


def _path(target: Any) -> str:
    return f"{target.__module__}.{target.__qualname__}"


def _beside(in_checkout: str, in_package: str) -> Path:
    package = Path(__file__).parent
    inside = package / in_package
    return inside if inside.is_dir() else package.parent / in_checkout
