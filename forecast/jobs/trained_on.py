"""What a run was trained on: its table, as far as it can still be read, and the course of its training."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from forecast.data.laying import laid
from forecast.data.panel import Panel
from forecast.documents import read_json
from forecast.errors import ArtifactError, ConfigError, ForecastError
from forecast.files import read_regular
from forecast.jobs.record import CARD, HISTORY, fingerprint
from forecast.jobs.settings import load_table
from forecast.schema import Data

log = logging.getLogger("forecast")
NORMS = ("step", "gradient_norm", "weight_norm")


def table_of(run: Path, trained: Panel) -> Panel:
    """Return the table of a run up to where its model was trained.

    Parameters
    ----------
    run : Path
        Folder of the run, whose card names the table.
    trained : Panel
        The last context of each series, as the model keeps it.

    Raises
    ------
    ConfigError
        If the run names no table, or it cannot be read any more.
    """
    try:
        card = read_json(run / CARD)
        panel = laid(load_table(_data_of(card, run), fetch=False), trained.columns, freq=trained.freq.name)
    except (ForecastError, OSError) as error:
        raise ConfigError(
            f"the table that the run in '{run}' was trained on cannot be read ({error}). Add data.path=FILE, with the "
            "columns of that table."
        ) from error
    if card.get("data") != fingerprint(panel):
        log.warning("the table has changed since the run was trained.")
    return _until(panel, trained)


def history_of(run: Path, *, member: str | None) -> pd.DataFrame:
    """Return the training of a run by step, of an ensemble that of a member; empty where the run kept none.

    Raises
    ------
    ArtifactError
        If the file holds something else.
    """
    path = run / HISTORY
    if not path.exists():
        return pd.DataFrame()
    try:
        history = pd.read_csv(io.BytesIO(read_regular(path)))
        own = history if member is None else history[history["member"] == member]
        return own[list(NORMS)].astype(float).astype({"step": int}).reset_index(drop=True)
    except (ValueError, KeyError) as error:
        raise ArtifactError(f"'{path}' does not tell the norms of a training by step. Take a whole copy.") from error


def _data_of(card: Any, run: Path) -> dict[str, Any]:
    """Return the settings of the table that a card tells of, which nobody vouches for: known names, plain values."""
    settings = card.get("settings") if isinstance(card, dict) else None
    data = settings.get("data") if isinstance(settings, dict) else None
    if not isinstance(data, dict):
        raise ArtifactError(f"'{run / CARD}' names no table")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Data), data)
        plain = OmegaConf.to_container(merged, resolve=False)
    except OmegaConfBaseException as error:
        raise ArtifactError(f"'{run / CARD}' is no card of a run") from error
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def _until(panel: Panel, trained: Panel) -> Panel:
    """Return the steps of a panel up to the last of the same series in another; series that it lacks are left out."""
    given, known = (pd.Index([str(name) for name in ids]) for ids in (panel.ids, trained.ids))
    places = known.get_indexer(given)
    last = trained.positions(places, trained.ends[places] - 1)
    series = np.repeat(np.arange(len(given)), panel.ends)
    steps = np.arange(len(series)) - np.repeat(np.cumsum(panel.ends) - panel.ends, panel.ends)
    within = (places[series] >= 0) & (panel.positions(series, steps) <= last[series])
    return panel.until(np.bincount(series[within], minlength=len(given)))
