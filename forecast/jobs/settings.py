"""What settings mean: the folder, the columns, the table and its panel, and what learns from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from forecast.config import build, shipped_folder
from forecast.data.codes import make_codes
from forecast.data.columns import Columns
from forecast.data.generator import make_sales
from forecast.data.sources import read_table
from forecast.errors import ConfigError, unknown_name
from forecast.schema import MEANING

BY_COLUMN = ("minimum", "unit")  # may be one for all targets, a list, or by the name of a column


def plain(config: DictConfig) -> dict[str, Any]:
    """Return the settings as plain values."""
    settings = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(settings, dict)
    return {str(name): value for name, value in settings.items()}


def chosen(group: str) -> str:
    """Return the name that was chosen of a group."""
    return str(HydraConfig.get().runtime.choices[group])


def columns_of(data: dict[str, Any]) -> Columns:
    """Return the roles of a data set's columns and what else is known of its values."""
    targets = data["columns"]["target"]
    targets = [targets] if isinstance(targets, str) else targets
    about = {name: data[name] for name in MEANING}
    for name in BY_COLUMN:
        if isinstance(about[name], dict):  # of any column, whichever of them are forecast
            about[name] = {target: value for target, value in about[name].items() if target in targets}
    return Columns(**data["columns"], **about)


def load_table(data: dict[str, Any]) -> pd.DataFrame:
    """Return the table of a data set: the user's file, a file that ships, or a made panel."""
    table = _table(data)
    for name in BY_COLUMN:
        if isinstance(data[name], dict) and not data["columns"]["wide"]:
            strangers = [column for column in data[name] if column not in table]
            if strangers:
                raise ConfigError(f"data.{name}: {unknown_name('column', strangers[0], map(str, table))}")
    return table


def _table(data: dict[str, Any]) -> pd.DataFrame:
    if data["path"] is not None:
        return read_table(data["path"], ids=None if data["columns"]["wide"] else data["columns"]["id"], **data["csv"])
    if data["ships"] is not None:
        return read_table(shipped_folder() / data["ships"])
    if data["made"] is not None:
        return make_sales(**data["made"])
    if data["made_codes"] is not None:
        return make_codes(**data["made_codes"])
    raise ConfigError("no data: give data.path=FILE, or data=NAME (forecast train --help lists the names).")


def logger_of(settings: dict[str, Any], folder: Path) -> Any:
    """Return the Lightning logger of the settings, None where none is wanted."""
    if settings["_target_"] is None:
        return None
    try:
        return build("logger", settings, save_dir=folder)
    except ModuleNotFoundError as error:
        name = chosen("logger")
        raise ConfigError(
            f"logger={name} needs a package that is not installed: pip install 'recurrent-forecast[{name}]'."
        ) from error
