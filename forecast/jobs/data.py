"""The job data: which data sets there are, what is known of one, and fetching it. It is no job of Hydra's."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from forecast.data.catalogue import HERE, MADE, SHIPS, TO_FETCH, data_names, data_settings, place_of
from forecast.data.columns import LISTS
from forecast.data.public import CACHE, FOLDER, at_hand, fetch_table
from forecast.data.tables import columns_of, load_table
from forecast.errors import ConfigError, ForecastError, unknown_name
from forecast.jobs.console import new_console

LINES = 5  # of a table that are shown
UNREADABLE = "unreadable"  # a file that makes no data set
HELP = f"""\
forecast data list                         the data sets there are
forecast data show NAME                    what is known of one, its licence, and its first lines
forecast data fetch NAME [--folder FOLDER] fetch a public one into the cache, or into a folder

  --config-dir FOLDER   data sets of your own, each a file FOLDER/data/NAME.yaml
  {FOLDER}     a folder of Parquet files that is looked into first: for machines without a network
  {CACHE}        the folder of what was fetched, in place of the cache of this user
"""


def data(words: Sequence[str]) -> None:
    """Do what the words after `forecast data` ask.

    Raises
    ------
    ConfigError
        If there is no such word or data set.
    DataError
        If a data set cannot be fetched.
    """
    if not words or words[0] in ("-h", "--help", "help"):
        new_console().print(HELP, end="", markup=False, soft_wrap=True)
        return
    if words[0] not in DEEDS:
        raise ConfigError(unknown_name("command of forecast data", words[0], DEEDS))
    parser = _Words(prog=f"forecast data {words[0]}", add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd", action="append", default=[], type=Path)
    if words[0] != "list":
        parser.add_argument("name")
    if words[0] == "fetch":
        parser.add_argument("--folder", type=Path)
    given = parser.parse_args(words[1:])
    absent = next((folder for folder in given.config_dir if not folder.is_dir()), None)
    if absent is not None:
        raise ConfigError(f"--config-dir: there is no folder '{absent}'. Check its path.")
    DEEDS[words[0]](given)


class _Words(argparse.ArgumentParser):
    """Refuses words in one message, as the rest of the command line does."""

    def error(self, message: str) -> Any:
        """Refuse what cannot be read."""
        raise ConfigError(f"{self.prog}: {message}. See forecast data --help.")


def _list(given: argparse.Namespace) -> None:
    """Print a line for each data set, and what is wrong with those that cannot be read."""
    printed = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column, justify in {
        "name": "left",
        "series": "right",
        "rows": "right",
        "freq": "left",
        "horizon": "right",
    }.items():
        printed.add_column(column, justify="right" if justify == "right" else "left", no_wrap=True)
    printed.add_column("licence", overflow="fold")
    printed.add_column("table", no_wrap=True)
    wrong = {}
    for name in data_names(given.config_dir):
        try:
            cells = _row(name, given.config_dir)
        except (ForecastError, OSError) as error:
            wrong[name] = error
            cells = [name, *["-"] * 5, UNREADABLE]
        printed.add_row(*map(Text, cells))  # as it is written: [x] is no markup
    console = new_console()
    console.print(printed)
    for name, reason in wrong.items():
        console.print(f"\n{name} is {UNREADABLE}: {reason}", markup=False, soft_wrap=True)
    console.print("\nforecast data show NAME tells more; forecast train data=NAME uses one.", markup=False)


def _row(name: str, folders: Sequence[Path]) -> list[str]:
    """Return what a list tells of a data set."""
    known = data_settings(name, config_dir=folders)
    columns_of(known)  # refuses roles that make no sense
    return [name, *_numbers(known), _word(known["horizon"]), known["licence"], place_of(known)]


def _show(given: argparse.Namespace) -> None:
    """Print what is known of a data set, and its first lines where it is at hand."""
    known, console = data_settings(given.name, config_dir=given.config_dir), new_console()
    columns, public = columns_of(known), known["public"]
    horizons = ", ".join(map(str, sorted({*known["horizons"], known["horizon"]} - {None})))
    facts = {
        "about": known["about"],
        "table": place_of(known),
        "series, rows, freq": ", ".join(_numbers(known)),
        "horizons": horizons,
        "seasonality": f"{_word(known['seasonality'])}, of MASE {_word(known['mase_season'] or known['seasonality'])}",
        "split, protocol": f"{_word(known['split'])}, {_word(known['protocol'])}",
        "series, time": f"{columns.id}, {columns.time}",
        "target": ", ".join(
            f"{name} ({unit})" if unit else name for name, unit in zip(columns.targets, columns.units, strict=True)
        ),
        **{role: ", ".join(getattr(columns, role)) for role in LISTS},
        "minimum": ", ".join("none" if value is None else f"{value:g}" for value in columns.minima),
        "licence": known["licence"],
        "citation": known["citation"],
    }
    facts |= {} if public is None else {"source": "\n".join(remote["address"] for remote in public["files"].values())}
    console.print(f"{given.name}: {known['name']}\n", style="bold", markup=False)
    for label, told in facts.items():
        for line in told.splitlines():
            console.print(f"{label:<19} {line}", markup=False, soft_wrap=True)
            label = ""
    if facts["table"] in (HERE, SHIPS, MADE):
        head = load_table(known, fetch=False).head(LINES).to_string(index=False)
        console.print(f"\n{head}\n...", markup=False, soft_wrap=True)
    elif facts["table"] == TO_FETCH:
        console.print(f"\nforecast data fetch {given.name} fetches it; so does a job that uses it.", markup=False)


def _fetch(given: argparse.Namespace) -> None:
    """Fetch a public data set, unless it is there already."""
    known, console = data_settings(given.name, config_dir=given.config_dir), new_console()
    if known["public"] is None:
        raise ConfigError(f"data={given.name} is not fetched: its table is here ({place_of(known)}). Use it as it is.")
    paths = [] if given.folder else at_hand(known["public"])
    if not paths:
        paths = [fetch_table(known["public"], folder=given.folder)]
    for path in paths:
        console.print(f"{given.name}: {path}", markup=False, soft_wrap=True)
    if given.folder:
        console.print(f"For a machine without a network: {FOLDER}={given.folder}", markup=False, soft_wrap=True)


def _numbers(known: dict[str, Any]) -> list[str]:
    """Return series, rows and frequency as a person reads them."""
    size = known["size"] or {"series": None, "rows": None}
    return [*(_word(size[name]) for name in ("series", "rows")), _word(known["freq"])]


def _word(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


DEEDS: dict[str, Callable[[argparse.Namespace], None]] = {"list": _list, "show": _show, "fetch": _fetch}
