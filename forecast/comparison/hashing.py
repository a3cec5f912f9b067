"""What tells one cell from another: a digest of plain values, of arrays, and of tables by their content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from forecast.data.panel import Panel


def digest(plain: Any) -> str:
    """Return the SHA-256 of plain values, whatever the order of their names."""
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def array_digest(*arrays: Any) -> str:
    """Return the SHA-256 of arrays: values, types and shapes."""
    found = hashlib.sha256()
    for given in arrays:
        array = np.ascontiguousarray(given)
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(json.dumps(array.tolist(), default=str).encode() if array.dtype == object else array.tobytes())
    return found.hexdigest()


def panel_digest(panel: Panel) -> str:
    """Return the SHA-256 of what a table holds: values, times, names, covariates, and the roles of its columns.

    Units are left out: they stand in labels alone.
    """
    covariates = (*panel.past, *panel.known, *panel.static)
    arrays = (panel.target, panel.offsets, panel.ends, panel.starts, panel.ids.to_numpy(object))
    times = () if panel.times is None else (panel.times,)
    return digest(
        {
            "values": array_digest(*arrays, *times, *(one.values for one in covariates)),
            "categories": [one.categories for one in covariates],
            "columns": {role: value for role, value in panel.columns.as_dict().items() if role != "unit"},
            "time": [panel.freq.name, str(panel.zone), str(panel.dtype)],
        }
    )
