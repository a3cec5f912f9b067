"""What a search found as an experiment, a file that ``forecast train`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig

from forecast.files import write_whole
from forecast.jobs.console import shown_path
from forecast.jobs.learner import words
from forecast.jobs.settings import chosen

PLACE = Path("experiment") / "best.yaml"
CHOSEN = ("data", "model", "loss", "scaling", "optimizer")  # groups that say what was tuned
OF_THE_SEARCH = ("space", "trials", "budget", "metric", "validation", "prune")
NOT_KEPT = (*OF_THE_SEARCH, "progress", "accelerator", "hydra", "experiment")


def write_experiment(folder: Path, settings: Mapping[str, Any], best: Mapping[str, Any], *, about: str) -> str:
    """Write settings as an experiment into the folder of a run, and return the command that trains with them.

    Parameters
    ----------
    folder : Path
        Of the run.
    settings : mapping
        Of the job, from which words of the command line take their values.
    best : mapping
        What was found, by dotted names.
    about : str
        One line on where they come from.
    """
    groups = {group: chosen(group) for group in CHOSEN}
    groups |= {key: value for key, value in best.items() if key in groups}
    base = HydraConfig.get().runtime.choices.get("experiment")
    content: dict[str, Any] = {
        "defaults": [
            *([] if base is None else [base]),
            *({f"override /{group}": name} for group, name in groups.items()),
        ]
    }
    named = [key for key in words() if key.partition(".")[0] not in NOT_KEPT and _holds(settings, key)]
    values = {**{key: _at(settings, key) for key in named}, **best}
    for key, value in values.items():
        if key in groups:
            continue
        *parents, name = key.split(".")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    command = f"forecast train {quote(f'--config-dir={shown_path(folder)}')} experiment={PLACE.stem}"
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_whole(folder / PLACE, f"# @package _global_\n# {about}: {command}\n{text}")
    return command


def _holds(settings: Mapping[str, Any], key: str) -> bool:
    """Return whether there is a setting of a dotted name; a word may have removed it."""
    name, _, inner = key.partition(".")
    if not inner:
        return name in settings
    return isinstance(settings.get(name), Mapping) and _holds(settings[name], inner)


def _at(settings: Mapping[str, Any], key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = value[part]
    return value
