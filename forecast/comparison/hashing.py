"""What tells one cell from another: settings as plain values, tables by their content, and a digest of both."""

from __future__ import annotations

import hashlib
import inspect
import json
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from forecast.config import GROUPS, TARGET, settings, usual
from forecast.data.columns import Columns
from forecast.data.panel import Panel
from forecast.forecaster import Forecaster
from forecast.parameters import accelerator_of
from forecast.training.settings import Training

SILENT = ("columns", "progress", "processes", "n_jobs", "verbose")  # move no forecast, or are those of the table


def digest(plain: Any) -> str:
    """Return the SHA-256 of plain values, whatever the order of their names."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def array_digest(*arrays: Any) -> str:
    """Return the SHA-256 of arrays: values, types and shapes."""
    found = hashlib.sha256()
    for given in arrays:
        array = np.ascontiguousarray(given)
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(json.dumps(array.tolist(), default=str).encode() if array.dtype == object else array.tobytes())
    return found.hexdigest()


def panel_digest(panel: Panel) -> str:
    """Return the SHA-256 of what a table holds: values, times, names, covariates, and the roles of its columns."""
    covariates = (*panel.past, *panel.known, *panel.static)
    arrays = (panel.target, panel.offsets, panel.ends, panel.starts, panel.ids.to_numpy(object))
    times = () if panel.times is None else (panel.times,)
    return digest(
        {
            "values": array_digest(*arrays, *times, *(one.values for one in covariates)),
            "categories": [one.categories for one in covariates],
            "columns": panel.columns.as_dict(),
            "time": [panel.freq.name, str(panel.zone), str(panel.dtype)],
        }
    )


def described(value: Any) -> Any:
    """Return a setting, or an object with settings, as plain values.

    Of a class that is not this package's own the source counts too, where it can be read: what was computed with other
    code is computed again.
    """
    if isinstance(value, Forecaster):
        return {"class": "Forecaster", **_of_forecaster(value)}
    if isinstance(value, BaseEstimator):
        return {**_of_class(type(value)), **_of_names(value.get_params(deep=False))}
    if isinstance(value, Training):
        return _of_names(value.get_params())
    if isinstance(value, Columns):
        return value.as_dict()
    if isinstance(value, dict):
        return {str(name): described(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [described(own) for own in value]
    if isinstance(value, np.ndarray):
        return array_digest(value)
    if isinstance(value, pd.DataFrame | pd.Series):
        return array_digest(pd.util.hash_pandas_object(value).to_numpy())
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, partial):
        return {**_of_class(value.func), "args": described(list(value.args)), **_of_names(value.keywords)}
    if callable(value) and hasattr(value, "__qualname__"):
        return _of_class(value)
    return {**_of_class(type(value)), **_of_names(getattr(value, "__dict__", {}))}


def _of_forecaster(forecaster: Forecaster) -> dict[str, Any]:
    """Return what a forecaster is made of and where, whether named, written out, or left to what goes with it."""
    given = forecaster.get_params(deep=False)
    loss = given["loss"] or usual("loss", given["model"])
    scaling = given["scaling"] or usual("scaling", given["model"], loss=loss)
    made = {"model": given["model"], "loss": loss, "scaling": scaling}
    training = {**(given["training"] or Training()).get_params()}
    training["optimizer"] = settings("optimizer", training["optimizer"])
    resolved = {group: {**_code_of(made[group]), **described(settings(group, made[group]))} for group in GROUPS}
    place = described(accelerator_of(given["accelerator"]))
    return {**_of_names(given), **resolved, "training": _of_names(training), "accelerator": place}


def _of_names(values: dict[str, Any]) -> dict[str, Any]:
    return {name: described(value) for name, value in values.items() if name not in SILENT}


def _of_class(kind: Any) -> dict[str, Any]:
    return {TARGET: f"{kind.__module__}.{kind.__qualname__}", **_code_of(kind)}


def _code_of(kind: Any) -> dict[str, Any]:
    kind = kind.func if isinstance(kind, partial) else kind
    if isinstance(kind, str | dict) or kind.__module__.startswith("forecast."):
        return {}
    try:
        return {"code": hashlib.sha256(inspect.getsource(kind).encode()).hexdigest()}
    except (OSError, TypeError):  # typed at a prompt, or written in C
        return {}
