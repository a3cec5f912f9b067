"""A panel as JSON and arrays, and back: what comes back is checked, since nobody vouches for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.data.freq import Freq
from forecast.data.grid import Covariate
from forecast.data.panel import Panel
from forecast.errors import ArtifactError

ROLES = ("past", "known", "static")
STAMPS = ("int64", "datetime64[us]")
FIRST, LAST = np.datetime64("0001-01-02", "us"), np.datetime64("9999-12-30", "us")  # what Python has dates for
FURTHEST = 2**62  # of whole numbers as times
LONGEST_NAME = 100  # characters of a dtype, a frequency or a time zone


def parts_of(panel: Panel) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a panel as plain values and arrays.

    Raises
    ------
    ArtifactError
        If a series has a name that cannot be written.
    """
    ids = [name.item() if isinstance(name, np.generic) else name for name in panel.ids]
    if not all(isinstance(name, (str, int)) for name in ids):
        raise ArtifactError("series are saved by names that are text or whole numbers. Turn the ids into text.")
    arrays = {
        "offsets": panel.offsets,
        "ends": panel.ends,
        "target": panel.target,
        "starts": panel.starts.view(np.int64),
    }
    if panel.times is not None:
        arrays["times"] = panel.times.view(np.int64)
    roles = {role: getattr(panel, role) for role in ROLES}
    for role, covariates in roles.items():
        arrays |= {f"{role}.{number}": covariate.values for number, covariate in enumerate(covariates)}
    about = {
        "ids": ids,
        "ids_dtype": str(panel.ids.dtype),
        "freq": panel.freq.name,
        "columns": panel.columns.as_dict(),
        "dtype": str(panel.dtype),
        "zone": None if panel.zone is None else str(panel.zone),
        "stamps": str(panel.starts.dtype),
        "covariates": {role: [[c.name, c.categories] for c in covariates] for role, covariates in roles.items()},
    }
    return about, {name: np.ascontiguousarray(values) for name, values in arrays.items()}


def panel_from(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> Panel:
    """Return the panel of plain values and arrays.

    Raises
    ------
    ArtifactError
        If they do not fit one another. What is no such panel at all may also end in a KeyError, TypeError,
        AttributeError, IndexError, OverflowError or ValueError.
    """
    columns = Columns(**about["columns"])
    panel = Panel(
        ids=_ids(about, columns),
        offsets=_array(arrays, "offsets", np.int64),
        ends=_array(arrays, "ends", np.int64),
        target=_array(arrays, "target", np.float64, axes=2),
        starts=_stamps(about, _array(arrays, "starts", np.int64)),
        freq=Freq.parse(_name(about, "freq")),
        columns=columns,
        dtype=pd.api.types.pandas_dtype(_name(about, "dtype")),
        zone=None if about["zone"] is None else _zone(_name(about, "zone")),
        times=_stamps(about, _array(arrays, "times", np.int64)) if "times" in arrays else None,
        past=_covariates(about, arrays, "past"),
        known=_covariates(about, arrays, "known"),
        static=_covariates(about, arrays, "static"),
    )
    _refuse_misfits(panel)
    return panel


def refuse_unlaid(panel: Panel, *, horizon: int) -> None:
    """Refuse stamps and a frequency that cannot be laid ahead as far as a forecast goes."""
    every = np.arange(len(panel.ids))
    panel.stamp_column(panel.stamps(every, panel.ends - 1 + horizon))


def _refuse_misfits(panel: Panel) -> None:
    """Refuse arrays that do not fit one another, before anything is looked up by them."""
    series, steps = len(panel.ids), len(panel.target)
    _check(series > 0, "it has no series")
    _check(len(panel.offsets) == series + 1 and panel.offsets[0] == 0 and panel.offsets[-1] == steps, "offsets")
    _check(bool((panel.offsets[1:] > panel.offsets[:-1]).all()), "offsets")
    _check(len(panel.ends) == series and bool((panel.ends > 0).all() & (panel.ends <= panel.lengths).all()), "ends")
    _check(panel.target.shape[1] == len(panel.columns.targets) and not np.isinf(panel.target).any(), "target")
    _check(len(panel.starts) == series and _is_time(panel.starts), "starts")
    _check((panel.freq.kind == "integer") == (panel.starts.dtype.kind == "i"), "freq")
    _check(panel.freq.rows == (panel.times is not None), "times")
    if panel.times is not None:
        _check(len(panel.times) == steps and _is_time(panel.times), "times")
        ahead = panel.times[1:] > panel.times[:-1]
        ahead[panel.offsets[1:-1] - 1] = True  # from one series to the next
        _check(bool(ahead.all()), "times")
    for role in ROLES:
        covariates, rows = getattr(panel, role), series if role == "static" else steps
        _check(tuple(one.name for one in covariates) == getattr(panel.columns, role), role)
        _check(all(_is_whole(covariate, rows) for covariate in covariates), role)


def _is_whole(covariate: Covariate, rows: int) -> bool:
    """Return whether a covariate has a value for each row, and each code a category."""
    values, categories = covariate.values, covariate.categories
    if len(values) != rows:
        return False
    if categories is None:
        return values.dtype == np.float32
    named = all(isinstance(name, str) for name in categories) and len(set(categories)) == len(categories)
    return named and values.dtype == np.int32 and bool((values >= -1).all() and (values < len(categories)).all())


def _is_time(stamps: np.ndarray) -> bool:
    if stamps.dtype.kind == "i":
        return bool((np.abs(stamps.astype(np.float64)) < FURTHEST).all())
    return bool((stamps >= FIRST).all() and (stamps <= LAST).all())


def _check(fits: bool, what: str) -> None:
    if not fits:
        raise ArtifactError(f"its panel does not fit together: {what}.")


def _array(arrays: dict[str, np.ndarray], name: str, dtype: type, *, axes: int = 1) -> np.ndarray:
    values = arrays[name]
    _check(values.dtype == dtype and values.ndim == axes, name)
    return values


def _stamps(about: dict[str, Any], values: np.ndarray) -> np.ndarray:
    _check(about["stamps"] in STAMPS, "stamps")
    return values.view(about["stamps"])


def _name(about: dict[str, Any], name: str) -> str:
    value = about[name]
    _check(isinstance(value, str) and len(value) <= LONGEST_NAME, name)
    return value


def _zone(name: str) -> str:
    # Names of files, which pandas would open: a zone is one of the system's own.
    _check(not name.startswith(("dateutil", "/")) and ".." not in name, "zone")
    return name


def _ids(about: dict[str, Any], columns: Columns) -> pd.Index:
    given = about["ids"]
    _check(isinstance(given, list) and all(_is_id(name) for name in given), "ids")
    ids = pd.Index(given, name=columns.id, dtype=None if about.get("ids_dtype") is None else _name(about, "ids_dtype"))
    _check(all(isinstance(name, (str, int, np.integer)) for name in ids), "ids")
    _check(len({str(name) for name in ids}) == len(given), "ids")
    return ids


def _is_id(name: object) -> bool:
    return isinstance(name, (str, int)) and not isinstance(name, bool)


def _covariates(about: dict[str, Any], arrays: dict[str, np.ndarray], role: str) -> tuple[Covariate, ...]:
    listed = about["covariates"][role]
    _check(isinstance(listed, list), role)
    return tuple(
        Covariate(name, arrays[f"{role}.{number}"], None if categories is None else tuple(categories))
        for number, (name, categories) in enumerate(listed)
    )
