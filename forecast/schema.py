"""The types of the jobs' settings, so that a wrong one is refused before anything is read."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from forecast.data.columns import Columns
from forecast.training import Training

# Hydra sets one role after another, which a frozen record does not allow: the same fields, not frozen.
_TYPES = get_type_hints(Columns)
Roles: Any = make_dataclass("Roles", [(role.name, _TYPES[role.name], role.default) for role in fields(Columns)])


@dataclass
class Made:
    """Size of a panel that `make_sales` makes."""

    stores: int = 3
    items: int = 4
    days: int = 730
    seed: int = 0


@dataclass
class Data:
    """A table and what is known about it.

    ``path`` is the user's own file, ``ships`` a file of the folder data/, ``made`` the generator of sales:
    the first given counts. ``mase_season`` is the period of MASE's scale where it is not that of the models.
    """

    name: str = "table"
    path: str | None = None
    ships: str | None = None
    made: Made | None = None
    columns: Any = field(default_factory=Roles)
    freq: str | None = None
    seasonality: int | None = None
    mase_season: int | None = None
    horizon: int | None = None
    unit: str = ""


@dataclass
class Test:
    """What is held back for the score.

    ``windows`` horizons follow one another at the end of the span; ``split`` is calendar or series_end, by
    default calendar for timestamps and series_end for whole numbers; ``baselines`` have the same origins.
    """

    windows: int = 3
    split: str | None = None
    baselines: list[str] = field(default_factory=lambda: ["naive", "seasonal_naive", "drift", "naive2", "ridge"])


@dataclass
class TrainJob:
    """Settings of ``forecast train``."""

    data: Data = field(default_factory=Data)
    model: Any = MISSING
    loss: Any = MISSING
    scaling: Any = MISSING
    optimizer: Any = MISSING
    accelerator: Any = MISSING
    logger: Any = MISSING
    horizon: int | None = None
    context_length: int | None = None
    training: Training = field(default_factory=Training)
    test: Test = field(default_factory=Test)
    final: bool = True
    seed: int = 0
    progress: bool = True


@dataclass
class NewData:
    """The table to forecast from; its columns are those of the training."""

    path: str | None = None
    future: str | None = None


@dataclass
class PredictJob:
    """Settings of ``forecast predict``."""

    run: str = MISSING
    data: NewData = field(default_factory=NewData)
    levels: list[float] | None = None
    accelerator: Any = MISSING


JOBS = {"train": TrainJob, "predict": PredictJob}


def register() -> None:
    """Make the types known to Hydra, under the names that the jobs' configs begin with."""
    store = ConfigStore.instance()
    for name, job in JOBS.items():
        store.store(name=f"{name}_types", node=job)
