"""What a program that serves an exported network has to know, as plain values for JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from forecast.data.encoding import ROLES, Encoding
from forecast.data.freq import Freq
from forecast.export.door import Field
from forecast.export.formats import OPSET
from forecast.predictor import Predictor
from forecast.trained import TrainedNetwork

FORMAT = 1
MANIFEST = "manifest.json"


def about(predictor: Predictor, levels: Sequence[float]) -> dict[str, Any]:
    """Return what is the same for one network and for several."""
    freq, columns = Freq.parse(predictor.freq_), predictor.panel_.columns
    return {
        "format": FORMAT,
        "versions": {package: version(package) for package in ("recurrent-forecast", "torch")} | {"onnx opset": OPSET},
        "horizon": predictor.horizon_,
        "levels": list(levels),
        "freq": {"name": freq.name, "kind": freq.kind, "size": freq.size, "anchor": freq.anchor, "rows": freq.rows},
        "seasonality": predictor.seasonality_,
        "columns": {"id": columns.id, "time": columns.time, "targets": list(columns.targets)},
        "minima": list(columns.minima),
    }


def about_network(network: TrainedNetwork) -> dict[str, Any]:
    """Return how long a context is, and how covariates, calendar and series are handed in."""
    encoding, columns = network.encoding, network.panel_.columns
    return {
        "context_length": network.context_length_,
        "covariates": {role: [_covariate(encoding, name) for name in getattr(columns, role)] for role in ROLES},
        "calendar": {
            "features": list(encoding.calendar),
            "holidays": encoding.holidays,
            "holiday_names": list(encoding.holiday_names),
        },
        "series": list(encoding.ids),
    }


def about_graph(file: str, content: bytes, inputs: Sequence[Field], outputs: Sequence[Field]) -> dict[str, Any]:
    """Return the file of a graph with its inputs and outputs, in order."""
    return {
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
        "inputs": [field.as_dict() for field in inputs],
        "outputs": [field.as_dict() for field in outputs],
    }


def _covariate(encoding: Encoding, name: str) -> dict[str, Any]:
    """Return a covariate: a number with its mean and deviation, which the graph knows, or its categories by code."""
    if name in encoding.statistics:
        mean, deviation = encoding.statistics[name]
        return {"name": name, "kind": "number", "mean": mean, "deviation": deviation}
    return {"name": name, "kind": "category", "categories": list(encoding.categories[name])}
