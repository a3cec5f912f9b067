"""From the settings of a data set to its table and the roles of its columns."""

from __future__ import annotations

from typing import Any

import pandas as pd

from forecast.config import shipped_folder
from forecast.data.codes import make_codes
from forecast.data.columns import Columns
from forecast.data.generator import make_sales
from forecast.data.public import public_table
from forecast.data.sources import read_table
from forecast.errors import ConfigError, unknown_name
from forecast.schema import MEANING, SOURCES

BY_COLUMN = ("minimum", "unit")  # may be one for all targets, a list, or by the name of a column


def columns_of(data: dict[str, Any]) -> Columns:
    """Return the roles of a data set's columns and what else is known of its values.

    Raises
    ------
    ConfigError
        If the roles, or what is known of values, make no sense.
    """
    roles = _roles(data)
    targets = Columns(**roles).targets
    about = {name: data[name] for name in MEANING}
    for name in BY_COLUMN:
        if isinstance(about[name], dict):  # of any column, whichever of them are forecast
            about[name] = {target: value for target, value in about[name].items() if target in targets}
    return Columns(**roles, **about)


def load_table(data: dict[str, Any], *, fetch: bool = True) -> pd.DataFrame:
    """Return the table of a data set: the user's file, one that ships, a made panel, or a public table.

    Parameters
    ----------
    data : dict
        As `forecast.schema.Data` has it.
    fetch : bool
        Whether a public table that is not at hand is fetched; otherwise it is refused.

    Raises
    ------
    ConfigError
        If no table is named, its columns have no roles, or a minimum or unit belongs to a column that there is none of.
    DataError
        If a public table can be neither found nor fetched.
    """
    roles = _roles(data)
    table = _table(data, roles, fetch=fetch)
    for name in BY_COLUMN:
        if isinstance(data[name], dict) and not roles["wide"]:
            strangers = [column for column in data[name] if column not in table]
            if strangers:
                raise ConfigError(f"data.{name}: {unknown_name('column', strangers[0], map(str, table))}")
    return table


def names_a_table(data: dict[str, Any]) -> bool:
    """Return whether settings say where a table comes from."""
    return any(data[source] is not None for source in SOURCES)


def _roles(data: dict[str, Any]) -> dict[str, Any]:
    roles = data["columns"]
    if not isinstance(roles, dict):
        raise ConfigError(
            f"data.columns says which column has which role, got {roles!r}. Write columns: {{target: NAME}}, or leave "
            "it out for the usual names."
        )
    return roles


def _table(data: dict[str, Any], roles: dict[str, Any], *, fetch: bool) -> pd.DataFrame:
    if data["path"] is not None:
        return read_table(data["path"], ids=None if roles["wide"] else roles["id"], **data["csv"])
    if data["ships"] is not None:
        return read_table(shipped_folder() / data["ships"])
    if data["made"] is not None:
        return make_sales(**data["made"])
    if data["made_codes"] is not None:
        return make_codes(**data["made_codes"])
    if data["public"] is not None:
        return public_table(data["public"], fetch=fetch)
    raise ConfigError("no data: give data.path=FILE, or data=NAME (forecast data list tells the names).")
