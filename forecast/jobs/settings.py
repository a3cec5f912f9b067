"""What settings mean: the folder, the table and what is known of it, and the logger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from forecast.config import build
from forecast.data.columns import Columns
from forecast.data.sources import read_table
from forecast.data.tables import columns_of as columns_of
from forecast.data.tables import load_table as load_table
from forecast.errors import ConfigError
from forecast.schema import SOURCES

READ = (*SOURCES, "csv", "future")  # settings of a table that is read by the columns of a training


def plain(config: DictConfig) -> dict[str, Any]:
    """Return the settings as plain values."""
    settings = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(settings, dict)
    return {str(name): value for name, value in settings.items()}


def chosen(group: str) -> str:
    """Return the name that was chosen of a group."""
    return str(HydraConfig.get().runtime.choices[group])


def refuse_roles() -> None:
    """Refuse words on the columns of a table that is read by those of a training.

    Raises
    ------
    ConfigError
        Names the setting.
    """
    for word in HydraConfig.get().overrides.task:
        group, _, name = word.lstrip("+~").partition("=")[0].partition(".")
        if group == "data" and name and name.partition(".")[0] not in READ:
            raise ConfigError(f"data.{name} is that of the training, and cannot be set here. Leave it out.")


def given_table(data: dict[str, Any], columns: Columns) -> pd.DataFrame:
    """Return the table of a data set for a model that was trained with these columns."""
    if data["path"] is None:
        return load_table(data)
    return read_table(data["path"], ids=None if columns.wide else columns.id, **data["csv"])


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
