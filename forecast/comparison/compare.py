"""Compare models on the same windows of the same series."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from forecast.comparison.cells import Cell
from forecast.comparison.comparison import Comparison
from forecast.comparison.entries import Shared, entries_of
from forecast.comparison.protocols import Contested, task_of
from forecast.comparison.running import Watch, run_cells
from forecast.comparison.settings import Protocol, named_protocol
from forecast.comparison.store import Store
from forecast.comparison.tables import comparison_of
from forecast.data.catalogue import load_data
from forecast.data.columns import Columns
from forecast.data.horizons import default_horizon
from forecast.data.panel import Panel
from forecast.errors import ConfigError, KindError, told_kind
from forecast.predictor import Predictor

log = logging.getLogger("forecast")
STORE = "comparisons"


def compare(
    frames: Any,
    models: Any,
    *,
    horizons: int | Iterable[int] | None = None,
    seeds: int = 1,
    protocol: str | Protocol = "rolling",
    columns: Columns | None = None,
    shared: Shared | None = None,
    store: str | Path | None = None,
    processes: int = 1,
    retry_failed: bool = False,
    watch: Watch | None = None,
) -> Comparison:
    """Compare models on the same windows of the same series.

    naive and seasonal naive are always there. A model that fails leaves a row with the reason, and the others go on.

    Parameters
    ----------
    frames : str, DataFrame, Panel, Contested, or a dict or list of them
        What to compare on, a str a data set of `load_data`; a dict gives each its name. Anything with the attributes
        of a `Contested` is one.
    models : str, object, list or dict
        "all"; names of networks and simple methods, alone or with changes (``{"gru": {"layers": 2}}``); a
        `Forecaster`, `Ensemble`, `Calibrated`; or anything with ``fit(frame)`` and ``predict(horizon)``, see `Adapter`.
        A dict gives each its name.
    horizons : int or iterable of int
        Steps to forecast; by default those of the data sets, or of the forecasters given, or what the M4 competition
        had for the frequency (`default_horizon`).
    seeds : int
        Seeds of each model that has one.
    protocol : str or Protocol
        A name in conf/protocol (rolling, m4, long_horizon), or one's own.
    columns : Columns
        Roles of the columns of DataFrames.
    shared : Shared
        Training, accelerator and so on of the networks that are named.
    store : path
        Folder where finished cells are kept: the same call goes on where it was stopped, and one that asks for more
        runs what is new. Without it nothing is kept.
    processes : int
        Cells that run at the same time; results are the same for any number.
    retry_failed : bool
        Run cells of the store again that failed.
    watch : callable
        Is told of the progress.

    Raises
    ------
    ConfigError
        If a setting makes no sense.
    DataError
        If a table cannot be used, or every model failed.

    Examples
    --------
    >>> compare(frame, ["gru", "ridge"], horizons=[7, 14], seeds=3)  # doctest: +SKIP
    """
    if store is not None and not str(store).strip():
        raise ConfigError(f"store is a folder, got {store!r}. Name one, or leave it out: then nothing is kept.")
    plan = named_protocol(protocol)
    shared = shared or Shared()
    if not _is_count(seeds):
        raise ConfigError(f"seeds is a whole number of 1 or more, got {seeds!r}.")
    entered = entries_of(models, shared=shared, beside=plan.beside)
    contested = _contested(frames, columns)
    asked = _horizons(horizons)
    tasks = [
        task_of(one, horizon=horizon, protocol=plan)
        for one in contested
        for horizon in asked or [_usual_horizon(one, models)]
    ]
    cells = [
        Cell(task, entry, seed, part)
        for task in tasks
        for entry in entered
        for seed in range(seeds if entry.is_seeded else 1)
        for part in task.parts
    ]
    told: dict[str, Any] = {}
    for cell in cells:
        told.setdefault(cell.entry.name, cell.model)
    settings = {
        "datasets": [one.name for one in contested],
        "horizons": sorted({task.horizon for task in tasks}),
        "models": told,
        "seeds": seeds,
        "protocol": asdict(plan),
        "training": shared.training.get_params(),
        "commands": [],
    }
    with TemporaryDirectory() as nowhere:
        kept = Store(nowhere, lasts=False) if store is None else Store(store)
        records = run_cells(cells, kept, processes=processes, retry_failed=retry_failed, watch=watch)
        return comparison_of(cells, records, kept, step=plan.step or (1 if plan.test else None), settings=settings)


def _contested(frames: Any, columns: Columns | None) -> list[Contested]:
    """Return what is compared on, each under a name of its own."""
    named = frames.items() if isinstance(frames, Mapping) else [(None, one) for one in _listed(frames)]
    found: dict[str, Contested] = {}
    for name, given in named:
        if isinstance(given, str):
            given = load_data(given)
        if isinstance(given, Contested):
            one = given
        elif isinstance(given, pd.DataFrame | pd.Series | Panel):
            one = Contested("table" if name is None else str(name), given, columns)
        elif all(hasattr(given, field.name) for field in fields(Contested)):  # as the catalogue gives them
            known = {field.name: getattr(given, field.name) for field in fields(Contested)}
            one = Contested(**{**known, "name": str(given.name if name is None else name)})
        else:
            raise KindError(f"frames is a name, a DataFrame, or several by name, got {told_kind(given)}.")
        if one.name in found:
            raise ConfigError(f"two data sets are called {one.name!r}. Name each once; in Python a dict names them.")
        found[one.name] = one
    if not found:
        raise ConfigError("frames is empty: there is nothing to compare on. Give a DataFrame.")
    return list(found.values())


def _listed(frames: Any) -> Sequence[Any]:
    return frames if isinstance(frames, list | tuple) else [frames]


def _horizons(horizons: int | Iterable[int] | None) -> list[int]:
    listed = [] if horizons is None else [horizons] if isinstance(horizons, int | Integral) else list(horizons)
    for one in listed:
        if not _is_count(one):
            raise ConfigError(f"horizons are whole numbers of 1 or more, got {one!r}.")
    return list(dict.fromkeys(map(int, listed)))


def _usual_horizon(contested: Contested, models: Any) -> int:
    """Return the horizon of a data set, of the forecasters that are compared, or what is usual for its frequency."""
    if contested.horizon is not None:
        return contested.horizon
    given = models.values() if isinstance(models, Mapping) else models if isinstance(models, list | tuple) else [models]
    own = {int(one.horizon) for one in given if isinstance(one, Predictor)}
    if len(own) > 1:
        told = " and ".join(map(str, sorted(own)))
        raise ConfigError(f"data set {contested.name!r} names no horizon, and forecasters have {told}. Add horizons.")
    if own:
        return own.pop()
    panel = contested.panel
    steps, why = default_horizon(panel.freq, season=contested.seasonality or panel.season)
    log.info("no horizon given for %r: %d steps, %s; horizons=[...] sets another", contested.name, steps, why)
    return steps


def _is_count(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
