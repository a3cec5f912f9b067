"""What a person is told of words that make no settings: one message, with the nearest names that there are."""

from __future__ import annotations

import re
import sys
from difflib import get_close_matches

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict

from forecast.config import TARGET, conf_folder
from forecast.errors import ForecastError, unknown_name
from forecast.files import write_error
from forecast.run_folder import is_claimed
from forecast.search_path import files, own_folders

QUOTING = (
    """A value with = , : brackets or letters beyond a to z is quoted twice: 'NAME="VALUE"', """
    """in a list each by itself: 'NAME=["ONE","TWO"]'."""
)
LAUNCHERS = ("joblib", "submitit_local", "submitit_slurm")
EXTRA = "pip install 'recurrent-forecast[sweeps]'"
VALUES = (  # what Hydra says of a value, and what a person is told
    (r"Missing mandatory value: (\S+)", "{0} is not set. Add {0}=VALUE."),
    (r"Error merging override (\S+)=([^\n]*)\n.* is not a ListConfig", "{0} is a list, got {1!r}. Write '{0}=[{1}]'."),
    (
        r"Cannot merge DictConfig with ListConfig.*?full_key: (\S+)",
        "{0} holds names with values here, got a list. Write '{0}={{NAME: VALUE}}'.",
    ),
    (
        r"Ambiguous value for argument '([^'=]+)=([^']*)'",
        "{0} is given several values, {1}. Write '{0}=[{1}]' for a list, or add -m for one run with each.",
    ),
    (r"field '([^']+)' is not Optional", "{0} is null, and needs a value. Leave it out for the default."),
)
WRONG_TYPE = r"Value '(.*?)' (?:of type '\w+' could not be converted to|is not a valid) (\w+)"


def message(job: str, error: Exception) -> str:
    """Return what went wrong in a job in one message."""
    if isinstance(error, ForecastError):
        return str(error)
    for cause in (error, error.__cause__):  # Hydra writes into the folder too
        if isinstance(cause, OSError) and is_claimed(cause.filename):
            return str(write_error(cause.filename, cause))
    text = f"{error}\n{error.__cause__ or ''}".strip()
    if isinstance(error, OverrideParseException):
        return _of_name(job, text) or f"{error.override!r} cannot be read as NAME=VALUE. {QUOTING}"
    return _of_name(job, text) or _of_value(text) or text


def _of_name(job: str, text: str) -> str | None:
    """Return the message for a name that there is none of."""
    choice = re.search(r"Could not (?:find|load) '(\w+)/([^']*)'", text)
    if choice and choice[1] == "hydra" and choice[2].startswith("launcher/"):
        launcher = choice[2].removeprefix("launcher/")
        if launcher in LAUNCHERS:
            return f"hydra/launcher={launcher} needs a package that is not installed: {EXTRA}."
        return unknown_name("hydra/launcher", launcher, ("basic", *LAUNCHERS))
    if choice:
        return unknown_name(choice[1], choice[2], _names(choice[1]))
    key = re.search(r"Could not (?:override|delete from config\.) '([^']*)'|Key '([^']*)' (?:is )?not in", text)
    if key:
        name, (every, choices) = key[1] or key[2], _settings(job)
        group = name.partition(".")[0]
        if group in choices and "." in name and choices[group] in _names(group):
            every = [other for other in every if other.startswith(f"{group}.")]
            if not every:
                told = f"{group}={choices[group]} has no settings, got {name!r}."
                return f"{told} Leave it out, or choose another {group}."
        nearest = get_close_matches(name, every, n=5, cutoff=0.4) or every
        return f"{unknown_name('setting', name, nearest)} All of them: forecast {job} --help."
    return None


def _of_value(text: str) -> str | None:
    """Return the message for a value that is missing or of another kind."""
    for pattern, told in VALUES:
        found = re.search(pattern, text, re.DOTALL)
        if found:
            return told.format(*found.groups())
    value = re.search(rf"(?s){WRONG_TYPE}.*?full_key: (\S+)", text)
    return value and f"{value[3]} is of kind {value[2].lower()}, got {value[1]!r}."


def _settings(job: str) -> tuple[list[str], dict[str, str]]:
    """Return every setting of a job, dotted, and what is chosen of each group, as the command line chooses."""
    groups = _composed(job, []).hydra.runtime.choices
    config = _composed(job, [word for word in sys.argv if word.partition("=")[0] in groups and _is_choice(word)])
    choices = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return _walk(config, ""), choices


def _is_choice(word: str) -> bool:
    group, _, name = word.partition("=")
    return name in _names(group)


def _names(group: str) -> list[str]:
    """Return the names that a group offers, in folders of the user's own too."""
    return sorted(files(group, [conf_folder(), *own_folders(sys.argv)]))


def _composed(job: str, words: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    own = ",".join(f"file://{folder.resolve()}" for folder in own_folders(sys.argv) if folder.is_dir())
    words = [*words, f"hydra.searchpath=[{own}]"] if own else words
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose(job, words, return_hydra_config=True)


def _walk(node: DictConfig, prefix: str) -> list[str]:
    found = []
    for name in node:
        key = f"{prefix}{name!s}"
        child = node._get_node(name)
        if name == TARGET:
            continue
        if not isinstance(child, DictConfig) or OmegaConf.is_missing(node, name) or child._is_none():
            found.append(key)
        else:
            found += [*([] if prefix else [key]), *_walk(child, f"{key}.")]
    return found
