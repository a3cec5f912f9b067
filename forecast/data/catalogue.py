"""Data sets by name: those that ship, those that are made, public ones, and those of a folder of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from forecast.config import CHOICES, conf_folder
from forecast.data.columns import Columns
from forecast.data.public import at_hand
from forecast.data.tables import columns_of, load_table
from forecast.errors import ConfigError, unknown_name
from forecast.schema import Data
from forecast.search_path import files

GROUP = "data"
TABLE = "table"  # a file of the user's own, which has no name
HERE, SHIPS, MADE, TO_FETCH, NO_FILE = "here", "ships", "made", "to fetch", "no such file"  # where a table is
Folders = str | Path | Sequence[str | Path]


@dataclass(frozen=True, eq=False)
class DataSet:
    """A table and what is known about it.

    Parameters
    ----------
    name, title : str
        Of its yaml file, and as people call it.
    frame : DataFrame
        The table, long or wide as its columns say.
    columns : Columns
        The roles of its columns, lowest values and units.
    freq : str, optional
        As pandas writes it; inferred from the table where it is None.
    horizon, horizons : int, tuple of int
        Steps that it is usually forecast, and further numbers of them.
    seasonality, mase_season : int, optional
        The period of models, and that of MASE's scale; that of the frequency where they are None.
    split : {"calendar", "series_end"}, optional
        How held-back windows are laid; by the kind of times where it is None.
    protocol : str, optional
        The rules by which a benchmark scores it.
    about, licence, citation : str
        For people.
    """

    name: str
    title: str
    frame: pd.DataFrame
    columns: Columns
    freq: str | None = None
    horizon: int | None = None
    horizons: tuple[int, ...] = ()
    seasonality: int | None = None
    mase_season: int | None = None
    split: str | None = None
    protocol: str | None = None
    about: str = ""
    licence: str = ""
    citation: str = ""


def load_data(name: str, *, config_dir: Folders = (), fetch: bool = True) -> DataSet:
    """Return a data set by its name.

    Parameters
    ----------
    name : str
        Of a yaml file in conf/data.
    config_dir : path or list of paths
        Folders of one's own with files data/NAME.yaml, as of `forecast train --config-dir`.
    fetch : bool
        Whether a public table that is neither in the folder FORECAST_DATASETS nor in the cache is fetched.

    Raises
    ------
    ConfigError
        If there is no such name, or its file holds other than settings of a data set.
    DataError
        If its table cannot be read or fetched.
    """
    data = data_settings(name, config_dir=config_dir)
    return DataSet(
        name=name,
        title=data["name"],
        frame=load_table(data, fetch=fetch),
        columns=columns_of(data),
        horizons=tuple(data["horizons"]),
        **{
            setting: data[setting]
            for setting in ("freq", "horizon", "seasonality", "mase_season", "split", "protocol")
            + ("about", "licence", "citation")
        },
    )


def data_names(config_dir: Folders = ()) -> list[str]:
    """Return the names of all data sets, those of one's own folders included."""
    return sorted(_files(config_dir).keys() - {TABLE})


def data_settings(name: str, *, config_dir: Folders = ()) -> dict[str, Any]:
    """Return what is known of a data set, as the jobs have it.

    Raises
    ------
    ConfigError
        As in `load_data`.
    """
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Data), *_contents(name, _files(config_dir)))
        # Its place in a job's settings, so that ${data.horizon} means the same as there.
        plain = OmegaConf.to_container(OmegaConf.create({GROUP: merged})[GROUP], resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        told = str(error).partition("\n")[0]
        raise ConfigError(f"data={name} holds what is no setting of a data set: {told}. Mend its file.") from error
    assert isinstance(plain, dict)
    return {str(setting): value for setting, value in plain.items()}


def place_of(data: dict[str, Any]) -> str:
    """Return in a word or two where the table of a data set is."""
    if data["path"] is not None:
        return HERE if Path(data["path"]).is_file() else NO_FILE
    if data["ships"] is not None:
        return SHIPS
    if data["public"] is None:
        return MADE if data["made"] or data["made_codes"] else NO_FILE
    return HERE if at_hand(data["public"]) else TO_FETCH


def _files(config_dir: Folders) -> dict[str, Path]:
    given = [config_dir] if isinstance(config_dir, str | Path) else config_dir
    return files(GROUP, [conf_folder(), *map(Path, given)])


def _contents(name: str, known: dict[str, Path]) -> list[DictConfig]:
    """Return what the file of a name holds, after what the files hold that it begins with, as Hydra merges them."""
    if name not in known:
        raise ConfigError(unknown_name(GROUP, name, known.keys() - {TABLE}))
    content = _read(known[name])
    bases = content.pop(CHOICES, None) or []
    if not isinstance(bases, list):
        raise ConfigError(f"'{known[name]}': {CHOICES} is a list of names, got {bases!r}. Write [{bases}].")
    bases = [base for base in bases if base != "_self_"]
    others = [base for base in bases if not isinstance(base, str)]
    if others:
        raise ConfigError(f"'{known[name]}' begins with {others[0]!r}; a data set begins with names of other ones.")
    further = {other: path for other, path in known.items() if other != name}  # so that no file begins with itself
    return [*(one for base in bases for one in _contents(base, further)), OmegaConf.create(content)]


def _read(path: Path) -> dict[Any, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"'{path}' is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.") from error
    except (yaml.YAMLError, ValueError) as error:  # the latter of a date that there is not
        raise ConfigError(f"'{path}' is no YAML: {error}.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"'{path}' holds no settings. Write them as NAME: VALUE.")
    return content
