"""From the files of a source, as it publishes them, to one long table under the default names of columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.data.rda import RDA, RDATA
from forecast.data.sources import read_table
from forecast.errors import ConfigError, DataError, unknown_name

ID, TIME, TARGET = Columns.id, Columns.time, Columns().targets[0]


def check_parser(name: str) -> None:
    """Refuse a parser that there is none of, and one whose package is missing.

    Raises
    ------
    ConfigError
        Names the parsers, or the package.
    """
    if name not in PARSERS:
        raise ConfigError(unknown_name("parser of data.public", name, PARSERS))
    if name in RDA and find_spec(RDATA) is None:
        raise ConfigError(
            f"the parser {name!r} reads R files with the package {RDATA}, which is not installed: pip install {RDATA}."
        )


def parsed(name: str, sources: Mapping[str, Path]) -> pd.DataFrame:
    """Return the long table that files hold, sorted as of `in_order`.

    Parameters
    ----------
    name : str
        Of a parser.
    sources : dict of Path
        The files by the names that the data set gives them, in its order.

    Raises
    ------
    ConfigError
        As in `check_parser`.
    DataError
        If the files are not what the parser reads.
    """
    check_parser(name)
    try:
        table = PARSERS[name](list(sources.values()))
    except (KeyError, ValueError, TypeError, OSError, EOFError) as error:
        files = ", ".join(map(str, sources.values()))
        raise DataError(f"the parser {name!r} cannot read {files} ({error!r}). Name the parser that fits.") from error
    return in_order(name, table)


def in_order(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return what a parser has made sorted by series and time; tables as they are keep their order and names."""
    return table if name == "table" else table.sort_values([ID, TIME], ignore_index=True)


def _m4(files: list[Path]) -> pd.DataFrame:
    """Wide files, a row a series; the second goes on where the series of the first end."""
    parts: list[pd.DataFrame] = []
    for file in files:
        wide = pd.read_csv(file, index_col=0)
        ids, values = wide.index.astype("str"), wide.to_numpy(dtype=np.float64)
        steps = np.broadcast_to(np.arange(1, values.shape[1] + 1), values.shape)
        rows, columns = np.nonzero(~np.isnan(values))
        part = pd.DataFrame({ID: ids[rows], TIME: steps[rows, columns], TARGET: values[rows, columns]})
        if parts:
            part[TIME] += part[ID].map(parts[-1].groupby(ID)[TIME].max())
        parts.append(part)
    return pd.concat(parts).astype({TIME: np.int64})


def _ett(files: list[Path]) -> pd.DataFrame:
    """Oil temperature and loads of one transformer; the name of the file is that of the series."""
    frame = pd.read_csv(files[0])
    name = files[0].stem.rpartition("-")[2]
    loads = [column for column in frame if column not in ("date", "OT")]
    return _long(name, frame["date"], frame["OT"], frame[loads])


def _exchange_rate(files: list[Path]) -> pd.DataFrame:
    """Columns without names: a day a row, a country a column."""
    wide = pd.read_csv(files[0], header=None)
    wide.columns = pd.Index([f"ex{number}" for number in range(wide.shape[1])])
    long = wide.assign(**{TIME: np.arange(1, len(wide) + 1, dtype=np.int64)})
    return long.melt(TIME, var_name=ID, value_name=TARGET)[[ID, TIME, TARGET]].astype({ID: "str"})


def _vega_stocks(files: list[Path]) -> pd.DataFrame:
    """Monthly prices, with dates such as Jan 1 2000."""
    frame = pd.read_csv(files[0])
    return _long(frame["symbol"], pd.to_datetime(frame["date"], format="%b %d %Y"), frame["price"])


def _vega_weather(files: list[Path]) -> pd.DataFrame:
    """Daily weather of Seattle; the highest temperature is the target."""
    frame = pd.read_csv(files[0])
    past = frame[["precipitation", "temp_min", "wind", "weather"]].astype({"weather": "str"})
    return _long("Seattle", frame["date"], frame["temp_max"], past)


def _melbourne(files: list[Path]) -> pd.DataFrame:
    """Lowest temperatures of the days in Melbourne."""
    frame = pd.read_csv(files[0])
    return _long("Melbourne_min", frame["Date"], frame["Temp"])


def _table(files: list[Path]) -> pd.DataFrame:
    """Tables as they are, one below the other: CSV, Parquet or Arrow; `data.columns` names their columns."""
    return pd.concat([read_table(file) for file in files], ignore_index=True)


def _long(
    ids: str | pd.Series, times: pd.Series, values: pd.Series, others: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return a long table of times that are dates."""
    frame = pd.DataFrame(
        {ID: ids, TIME: pd.to_datetime(times).astype("datetime64[ns]"), TARGET: values.astype(np.float64)}
    )
    frame = frame.astype({ID: "str"})
    return frame if others is None else pd.concat([frame, others], axis=1)


PARSERS: dict[str, Callable[[list[Path]], pd.DataFrame]] = {
    "m4": _m4,
    "ett": _ett,
    "exchange_rate": _exchange_rate,
    "vega_stocks": _vega_stocks,
    "vega_weather": _vega_weather,
    "melbourne": _melbourne,
    "table": _table,
    **RDA,
}
