"""Public tables: in a folder of the user's, in the cache, or fetched, parsed and kept there."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pandas as pd

from forecast.data.fetching import check_remote, fetch_file
from forecast.data.parsing import check_parser, in_order, parsed
from forecast.errors import ConfigError, DataError
from forecast.files import write_whole

FOLDER, CACHE = "FORECAST_DATASETS", "FORECAST_CACHE"  # of the environment
NAME = re.compile(r"\w[\w-]*", re.ASCII)  # becomes the name of a file: no path
EDITION = 1  # of what the parsers make: another one is parsed anew


def public_table(public: dict[str, Any], *, fetch: bool = True) -> pd.DataFrame:
    """Return a public table, sorted by series and time where its parser sorts.

    Parameters
    ----------
    public : dict
        As `forecast.schema.Public` has it.
    fetch : bool
        Whether to fetch what is not at hand.

    Raises
    ------
    ConfigError
        If its names, addresses or checksums cannot be ones.
    DataError
        If it is not at hand, and is not to be fetched or cannot be.
    """
    check_public(public)
    paths = at_hand(public)
    if not paths and not fetch:
        raise DataError(f"the public table {public['table']!r} is not at hand. {way_out(public['table'])}")
    frames = [pd.read_parquet(path) for path in paths or [fetch_table(public)]]
    if len(frames) == 1:
        return frames[0]
    return in_order(public["parser"], pd.concat(frames, ignore_index=True))


def at_hand(public: dict[str, Any]) -> list[Path]:
    """Return the Parquet files that hold a public table on this machine, none where there are none.

    The folder that the environment names comes before the cache. It holds the table as one file or, by the names of
    its sources, as several.
    """
    check_public(public)
    choices = [[_cached(public)]]
    if os.environ.get(FOLDER):
        folder = Path(os.environ[FOLDER])
        choices = [[folder / f"{name}.parquet" for name in names] for names in ([public["table"]], public["files"])]
        choices.append([_cached(public)])
    return next((paths for paths in choices if all(path.is_file() for path in paths)), [])


def fetch_table(public: dict[str, Any], *, folder: Path | None = None) -> Path:
    """Fetch the sources of a public table, and keep what they hold as one Parquet file.

    Parameters
    ----------
    public : dict
        As `forecast.schema.Public` has it.
    folder : Path, optional
        Where the Parquet file goes, by the name of the table; the cache by default.

    Raises
    ------
    DataError
        If a source cannot be fetched, is not what its checksum says, or cannot be parsed.
    WriteError
        If the cache or the folder cannot be written.
    """
    check_public(public)
    check_parser(public["parser"])
    sources = {
        name: fetch_file(remote, cache_folder() / "sources", way_out=way_out(public["table"]))
        for name, remote in public["files"].items()
    }
    table = parsed(public["parser"], sources)
    path = _cached(public) if folder is None else folder / f"{public['table']}.parquet"
    return write_whole(path, table.to_parquet(index=False))


def check_public(public: dict[str, Any]) -> None:
    """Refuse names that would lead out of a folder, and sources that are not pinned.

    Raises
    ------
    ConfigError
        Names the setting.
    """
    for name in (public["table"], *public["files"]):
        if not NAME.fullmatch(str(name)):
            raise ConfigError(f"a table or file of data.public has letters, digits, _ and - in its name, got {name!r}.")
    if not public["files"]:
        raise ConfigError(f"data.public.files of {public['table']!r} names no file. Give address, bytes and sha256.")
    for remote in public["files"].values():
        check_remote(remote)


def cache_folder() -> Path:
    """Return the folder of what was fetched: that of the environment, or the one of this user's caches."""
    if os.environ.get(CACHE):
        return Path(os.environ[CACHE])
    import pooch

    return Path(pooch.os_cache("forecast"))


def way_out(table: str) -> str:
    """Return how a person comes by a table without a network on this machine."""
    return (
        f"Where there is a network: forecast data fetch {table} --folder FOLDER; then copy the folder here, and set "
        f"{FOLDER}=FOLDER."
    )


def _cached(public: dict[str, Any]) -> Path:
    """Return the place of a table in the cache: another checksum, parser or edition is another file."""
    origin = [EDITION, public["parser"], {name: remote["sha256"] for name, remote in public["files"].items()}]
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode("utf-8")).hexdigest()
    return cache_folder() / f"{public['table']}-{digest[:12]}.parquet"
