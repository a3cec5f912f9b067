"""The types of the jobs' settings, so that a wrong one is refused before anything is read."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from forecast.comparison.settings import Protocol
from forecast.data.columns import Columns
from forecast.evaluation.shuffling import Shuffling
from forecast.run_folder import name_folders
from forecast.training.settings import Training

# What a table means stands beside its path; the roles of its columns are a group of their own.
MEANING = ("joint", "calendar", "holidays", "minimum", "unit")
SOURCES = ("path", "ships", "made", "made_codes", "public")  # where the table of a data set may come from
# Hydra sets one role after another, which a frozen record does not allow: the same fields, not frozen.
_TYPES = {**get_type_hints(Columns), "target": Any}  # one name or a list
_ROLES = [role for role in fields(Columns) if role.name not in MEANING]
Roles: Any = make_dataclass("Roles", [(role.name, _TYPES[role.name], role.default) for role in _ROLES])


@dataclass
class Made:
    """Size of a panel that `make_sales` makes."""

    stores: int = 3
    items: int = 4
    days: int = 730
    seed: int = 0


@dataclass
class MadeCodes:
    """Size of a table that `make_codes` makes."""

    machines: int = 12
    steps: int = 600
    seed: int = 0


@dataclass
class Csv:
    """How a CSV file is written: characters, or their names (comma, semicolon, tab, point); none is guessed."""

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"


@dataclass
class Remote:
    """A file that can be fetched: its address, its length in bytes, and the sha256 that it has to have."""

    address: str = MISSING
    bytes: int = MISSING
    sha256: str = MISSING


@dataclass
class Public:
    """A table that is fetched once: ``table`` names its Parquet file, ``parser`` who makes it of ``files``, by name."""

    table: str = MISSING
    parser: str = MISSING
    files: dict[str, Remote] = field(default_factory=dict)


@dataclass
class Size:
    """Series of a data set, and the rows of all of them."""

    series: int = MISSING
    rows: int = MISSING


@dataclass
class Data:
    """A table and what is known about it.

    ``path`` is the user's own file, ``ships`` a file of the folder data/, ``made`` the generator of sales,
    ``made_codes`` that of status codes and ``public`` a table to fetch: the first given counts. ``mase_season`` is the
    period of MASE's scale where it is not that of the models; ``split`` says how held-back windows are laid where a job
    does not, and ``protocol`` by which rules a benchmark scores it. ``joint`` to ``unit`` are those of `Columns`;
    ``minimum`` and ``unit`` may also map columns to theirs. ``about`` to ``horizons`` are told to people.
    """

    name: str = "table"
    path: str | None = None
    csv: Csv = field(default_factory=Csv)
    ships: str | None = None
    made: Made | None = None
    made_codes: MadeCodes | None = None
    public: Public | None = None
    columns: Any = field(default_factory=Roles)
    freq: str | None = None
    seasonality: int | None = None
    mase_season: int | None = None
    horizon: int | None = None
    split: str | None = None
    protocol: str | None = None
    joint: bool = True
    calendar: Any = "auto"
    holidays: str | None = None
    minimum: Any = None
    unit: Any = ""
    about: str = ""
    licence: str = ""
    citation: str = ""
    size: Size | None = None
    horizons: list[int] = field(default_factory=list)


@dataclass
class Members:
    """What several networks forecast together.

    ``members`` are names in conf/model, each alone or with changes to its settings, empty for the model chosen; each
    is trained with ``seeds`` seeds. The other settings are those of `Ensemble`.
    """

    members: list[Any] = field(default_factory=list)
    seeds: int = 1
    combine: str = "median"
    weights: Any = None
    validation: int = 1
    processes: int = 1


@dataclass
class Calibration:
    """Whether intervals are calibrated: ``windows`` horizons are held back for it, none where it is 0.

    ``step`` lies between origins in them; ``refit`` trains again on everything afterwards. As of `Calibrated`.
    """

    windows: int = 0
    step: int = 1
    refit: bool = True


@dataclass
class Learning:
    """What every job that trains has in common."""

    data: Data = field(default_factory=Data)
    model: Any = MISSING
    loss: Any = MISSING
    scaling: Any = MISSING
    optimizer: Any = MISSING
    accelerator: Any = MISSING
    horizon: int | None = None
    context_length: int | None = None
    training: Training = field(default_factory=Training)
    ensemble: Members = field(default_factory=Members)
    calibration: Calibration = field(default_factory=Calibration)
    importance: Shuffling = field(default_factory=Shuffling)
    seed: int = 0
    progress: bool = True
    paths: int = 0


@dataclass
class Compared:
    """How held-back windows are laid, and the simple methods beside the network.

    ``split`` is calendar or series_end, by default calendar for timestamps and series_end for whole numbers;
    ``baselines`` have the same origins: by default naive, seasonal_naive, drift, naive2 and ridge, others by name, and
    beside the probability of an event base_rate and persistence.
    """

    split: str | None = None
    baselines: list[str] | None = None


@dataclass
class Test(Compared):
    """What is held back for the score: ``windows`` horizons that follow one another at the end of the span."""

    windows: int = 3


@dataclass
class Folds(Compared):
    """The origins of a backtest.

    ``folds`` origins lie ``step`` steps apart, by default a horizon, and the last one horizon before the end.
    ``refit`` trains anew at every origin (true), at every so many (a number), or once before the first (false).
    """

    folds: int = 5
    step: int | None = None
    refit: Any = False


@dataclass
class TrainJob(Learning):
    """Settings of ``forecast train``."""

    logger: Any = MISSING
    warm_start: str | None = None
    test: Test = field(default_factory=Test)
    final: bool = True


@dataclass
class BacktestJob(Learning):
    """Settings of ``forecast backtest``."""

    backtest: Folds = field(default_factory=Folds)


@dataclass
class TuneJob(Learning):
    """Settings of ``forecast tune``.

    ``space`` holds settings and the values that they may take, null for one that is not searched. They are judged by
    ``metric`` on ``validation`` windows at the end of the training span. The search ends after ``trials`` or when the
    ``budget`` is spent, whichever is first; ``prune`` gives trials up on their way.
    """

    space: Any = field(default_factory=dict)
    trials: int | None = None
    budget: str | None = None
    metric: str | None = None
    validation: int = 3
    prune: bool = True
    test: Test = field(default_factory=Test)


@dataclass
class NewData(Data):
    """The table to forecast from, whose columns are those of the training.

    ``future`` is a table of known covariates, or one for each scenario by its name, written as it is.
    """

    future: Any = None


@dataclass
class PredictJob:
    """Settings of ``forecast predict``."""

    run: str = MISSING
    data: NewData = field(default_factory=NewData)
    levels: list[float] | None = None
    paths: int = 0
    accelerator: Any = MISSING


@dataclass
class DiagnoseJob:
    """Settings of ``forecast diagnose``. ``member`` is the number of a network in an ensemble."""

    run: str = MISSING
    data: Data = field(default_factory=Data)
    contexts: list[int] = field(default_factory=lambda: [24, 96, 384])
    member: int = 0


@dataclass
class ExportJob:
    """Settings of ``forecast export``."""

    run: str = MISSING
    format: str = "onnx"
    levels: list[float] | None = None
    accelerator: Any = MISSING


@dataclass
class CompareJob:
    """Settings of ``forecast compare``."""

    datasets: list[str] = field(default_factory=list)
    data: Data = field(default_factory=Data)
    models: Any = MISSING
    horizons: list[int] = field(default_factory=list)
    seeds: int = 1
    backtest: Protocol = field(default_factory=Protocol)
    context_length: int | None = None
    training: Training = field(default_factory=Training)
    optimizer: Any = MISSING
    accelerator: Any = MISSING
    seed: int = 0
    store: str = "comparisons"
    processes: int = 1
    retry_failed: bool = False
    progress: bool = True


JOBS = {
    "train": TrainJob,
    "predict": PredictJob,
    "backtest": BacktestJob,
    "compare": CompareJob,
    "diagnose": DiagnoseJob,
    "export": ExportJob,
    "tune": TuneJob,
}


def register() -> None:
    """Make the types known to Hydra, under the names that the jobs' configs begin with, and how folders are named."""
    store = ConfigStore.instance()
    for name, job in JOBS.items():
        store.store(name=f"{name}_types", node=job)
    name_folders()
