"""Going on from a saved run: what is loaded, and what it does not let change."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecast.config import GROUPS, Setting, name_of, names, read
from forecast.config import settings as settings_of
from forecast.data.columns import Columns
from forecast.data.freq import Freq
from forecast.documents import read_json
from forecast.errors import ArtifactError, ConfigError
from forecast.folders import standing
from forecast.jobs.learner import Learner, members_of, networks_of, words
from forecast.jobs.record import CARD
from forecast.jobs.settings import columns_of
from forecast.training.settings import Training

if TYPE_CHECKING:
    from forecast.predictor import Predictor

ORIGIN = "went on from"  # in the card of a run


def warm_learner(settings: dict[str, Any]) -> Learner:
    """Return a saved run, to go on from under the training settings given.

    Raises
    ------
    ConfigError
        If a setting that the saved run has fixed is given another value.
    """
    folder = settings["warm_start"]

    def make() -> Predictor:
        saved = load_run(folder, accelerator=settings["accelerator"])
        for number, network in enumerate(networks_of(saved)):
            network.training, network.seed = Training(**settings["training"]), settings["seed"] + number
            network.progress, network.columns = settings["progress"], columns
        return saved

    saved = load_run(folder, accelerator=settings["accelerator"])
    _refuse_other_settings(settings, saved)
    columns = _kept_columns(columns_of(settings["data"]), saved.panel_.columns)
    name = "ensemble" if members_of(saved) else name_of("model", networks_of(saved)[0].model)
    return Learner(
        name=name,
        about=f"{name} going on from {folder}",
        columns=columns,
        freq=saved.freq_,
        horizon=saved.horizon_,
        make=make,
        saved=(saved, *_before(folder, settings["accelerator"])),
    )


def load_run(folder: str | Path, *, accelerator: dict[str, Any]) -> Predictor:
    """Return what a run has saved, or what was saved to a folder."""
    from forecast.calibrated import load  # loads torch, which a refused setting does not wait for

    folder = Path(folder)
    saved = load(folder / "model" if standing(folder / "model").is_dir() else folder)
    for network in (*networks_of(saved), *saved.networks):
        network.accelerator = accelerator
    return saved


def origin_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a run went on from, for its card."""
    return {} if settings["warm_start"] is None else {ORIGIN: str(Path(settings["warm_start"]).resolve())}


def _before(folder: str | Path, accelerator: dict[str, Any]) -> list[Predictor]:
    """Return the runs that a saved run went on from, the latest first, as far as its card tells."""
    found, seen = [], {run_of(folder)}
    while (origin := _origin(run_of(folder))) is not None:
        if run_of(origin) in seen:
            raise ArtifactError(
                f"the card of the run in '{folder}' says that it went on from '{origin}', which went on from it in "
                "turn: that cannot be. Start from another run."
            )
        try:
            found.append(load_run(origin, accelerator=accelerator))
        except FileNotFoundError as error:
            raise ConfigError(
                f"the run in '{folder}' went on from '{origin}', which is gone: what that was trained on is not known, "
                "and so not what may be scored. Bring it back, or start from another run."
            ) from error
        folder = origin
        seen.add(run_of(folder))
    return found


def run_of(folder: str | Path) -> Path:
    """Return the folder of a run, which may be given as that of its model."""
    folder = Path(folder).resolve()
    return folder.parent if folder.name == "model" else folder


def _origin(run: Path) -> str | None:
    """Return what the card of a run says it went on from."""
    card = run / CARD
    if not card.exists():
        return None
    told = read_json(card)
    if not isinstance(told, dict) or not isinstance(told.get(ORIGIN), str | None):
        raise ArtifactError(f"'{card}' is no card of a run. Take a whole copy.")
    origin: str | None = told.get(ORIGIN)
    return origin


def _refuse_other_settings(settings: dict[str, Any], saved: Predictor) -> None:
    """Refuse a word of the command line that says other than the saved run."""
    data, networks = settings["data"], networks_of(saved)
    fixed: dict[str, tuple[Any, list[Any]]] = {
        **{name: (settings[name], [getattr(one, name) for one in networks]) for name in GROUPS},
        "horizon": (settings["horizon"], [saved.horizon_]),
        "context_length": (settings["context_length"], [saved.context_length_]),
        "data.horizon": (data["horizon"], [saved.horizon_]),
        "data.freq": (data["freq"] and Freq.parse(data["freq"]).name, [saved.freq_]),
        "data.seasonality": (data["seasonality"], [saved.seasonality_]),
    }
    for word in words():
        name = next((name for name in fixed if word == name or word.startswith(f"{name}.")), None)
        if name is None:
            continue
        given, were = fixed[name]
        inner = word[len(name) + 1 :]
        if inner:
            given, were = given.get(inner), [one.get(inner) for one in were]
        different = [one for one in were if given is not None and one != given]
        if different:
            made_for = different[0] if inner or name not in GROUPS else _named(name, different[0])
            raise ConfigError(
                f"{word} cannot change in a warm start: the weights of the saved run are made for {made_for}. "
                f"Leave {word} out, or train anew without warm_start."
            )
    if any(word.startswith("ensemble") for word in words()):
        raise ConfigError("a warm start goes on with the members of the saved run. Leave ensemble settings out.")
    if any(word.startswith("calibration") for word in words()):
        raise ConfigError("a warm start goes on with the calibration of the saved run, or none. Leave calibration out.")


def _named(group: str, setting: Setting) -> str:
    """Return the name of a setting, and the options by which it departs from its file."""
    name = name_of(group, setting)
    file = read(group, name) if name in names(group) else {}
    own = [f"{option}={value}" for option, value in settings_of(group, setting).items() if file.get(option) != value]
    return f"{name} with {', '.join(own)}" if own else name


def _kept_columns(given: Columns, saved: Columns) -> Columns:
    """Return the saved run's columns with the unit given; refuse other roles."""
    for field in fields(Columns):
        own, was = getattr(given, field.name), getattr(saved, field.name)
        if field.name != "unit" and own != was and own != field.default:
            raise ConfigError(
                f"columns.{field.name} is {own!r}, and the saved run has {was!r}: it cannot change in a warm start. "
                "Give a table with the saved run's columns (data.path=FILE)."
            )
    return replace(saved, unit=given.unit) if given.unit and given.targets == saved.targets else saved
