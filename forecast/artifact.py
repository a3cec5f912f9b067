"""A saved forecaster: YAML, JSON and safetensors in one folder.

    forecaster.yaml       format, versions, parameters, what was settled at fit, sizes of the network
    encoding.json         statistics and vocabularies of covariates, names of the series trained on
    weights.safetensors   tensors of scaler, network and loss
    panel.json            ids, grid and categories of the last context of each series
    panel.safetensors     its values
    checksums.json        sha256 of the others: finds damage, not malice

Reading it runs no code from it. An ensemble is a folder of such folders: see `forecast.ensemble`.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import yaml
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from forecast.batch import Sizes
from forecast.data.columns import Columns
from forecast.data.freq import Freq
from forecast.data.panel import Covariate, Panel
from forecast.errors import ArtifactError
from forecast.folders import (
    CHECKSUMS,
    checked_files,
    checksums,
    plain_json,
    refuse_absent,
    refuse_to_replace,
    whole_folder,
)

FORMAT = 2
OLDEST = 1  # format that is still read
SETTINGS = "forecaster.yaml"
ENSEMBLE = "ensemble.yaml"
FILES = (SETTINGS, "encoding.json", "weights.safetensors", "panel.json", "panel.safetensors")
OWN = "|".join(map(re.escape, (*FILES, CHECKSUMS)))  # pattern of the names of a saved forecaster's files


@dataclass(frozen=True)
class Saved:
    """What a folder holds, as plain values and tensors."""

    parameters: dict[str, Any]
    fitted: dict[str, Any]
    encoding: dict[str, Any]
    sizes: Sizes
    weights: dict[str, Tensor]
    panel: Panel


class _Dumper(yaml.SafeDumper):
    """Writes plain values, and numbers of numpy as plain numbers."""


for _number in (np.integer, np.floating, np.bool_):
    _Dumper.add_multi_representer(_number, lambda dumper, value: dumper.represent_data(value.item()))


def save(
    path: Path,
    *,
    parameters: dict[str, Any],
    fitted: dict[str, Any],
    encoding: dict[str, Any],
    sizes: Sizes,
    weights: dict[str, Tensor],
    panel: Panel,
) -> Path:
    """Write the folder beside its place, then move it there; an older artifact stays whole till then."""
    refuse_to_replace(path, SETTINGS, OWN, kind="forecaster")
    head = {
        "format": FORMAT,
        "versions": {"torch": str(torch.__version__), "pandas": pd.__version__},
        "parameters": parameters,
        "fitted": fitted,
        "sizes": {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(sizes).items()},
    }
    about, values = _panel_parts(panel)
    files = {
        SETTINGS: plain_yaml(head),
        "encoding.json": plain_json(encoding),
        "weights.safetensors": save_tensors({name: tensor.detach().contiguous() for name, tensor in weights.items()}),
        "panel.json": plain_json(about),
        "panel.safetensors": save_arrays(values),
    }
    files[CHECKSUMS] = checksums(files)
    with whole_folder(path) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return path


def load(path: Path) -> Saved:
    """Read and check a folder; one of an older format is read as if this version had written it.

    Raises
    ------
    AbsentError
        If there is no saved forecaster.
    ArtifactError
        If it is damaged, of a newer format, or an ensemble.
    """
    if (path / ENSEMBLE).is_file():
        raise ArtifactError(f"{str(path)!r} holds an ensemble. Read it with forecast.ensemble.load(path).")
    refuse_absent(path, SETTINGS, kind="forecaster")
    refuse_other_formats(path / SETTINGS)
    files = checked_files(path, FILES)
    try:
        parts = _upgraded(_Parts.of(files))
        head = parts.head
        sizes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in head["sizes"].items()
        }
        return Saved(
            parameters=head["parameters"],
            fitted=head["fitted"],
            encoding=parts.encoding,
            sizes=Sizes(**sizes),
            weights=parts.weights,
            panel=_panel_from(parts.about, parts.arrays),
        )
    except (
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        yaml.YAMLError,
        json.JSONDecodeError,
        SafetensorError,
    ) as error:
        raise ArtifactError(f"{str(path)!r} is not a saved forecaster of this package: {error!r}.") from error


class _Parts(NamedTuple):
    """What the files hold, not yet made sense of."""

    head: dict[str, Any]
    encoding: dict[str, Any]
    weights: dict[str, Tensor]
    about: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @classmethod
    def of(cls, files: dict[str, bytes]) -> _Parts:
        return cls(
            head=yaml.safe_load(files[SETTINGS]),
            encoding=json.loads(files["encoding.json"]),
            weights=load_tensors(files["weights.safetensors"]),
            about=json.loads(files["panel.json"]),
            arrays=load_arrays(files["panel.safetensors"]),
        )


def _upgraded(parts: _Parts) -> _Parts:
    """Return the parts as the newest format has them.

    In format 1 there was one target, without an axis of its own, and no calendar was told to a network.
    """
    if parts.head["format"] == FORMAT:
        return parts
    for columns in (parts.head["parameters"]["columns"], parts.about["columns"]):
        columns["calendar"] = []
    weights = dict(parts.weights)
    for name in ("scaler.exponent", "scaler.middle"):
        weights[name] = weights[name].reshape(1)
    return parts._replace(weights=weights, arrays={**parts.arrays, "target": parts.arrays["target"][:, None]})


def fill(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put saved weights into a model built from the same settings."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ArtifactError(f"the saved weights do not fit the saved settings: {error}") from error


def refuse_other_formats(settings: Path) -> None:
    """Say what is wrong with a newer artifact before its files are looked for: they may be others."""
    try:
        head = yaml.safe_load(settings.read_bytes())
    except yaml.YAMLError:
        return  # its checksum tells whether it is damaged
    found = head.get("format") if isinstance(head, dict) else None
    if found not in range(OLDEST, FORMAT + 1):
        raise ArtifactError(
            f"{str(settings.parent)!r} has format {found}, and this version reads {OLDEST} to {FORMAT}. "
            "Upgrade the package."
        )


def plain_yaml(values: dict[str, Any]) -> bytes:
    """Return plain values as YAML.

    Raises
    ------
    ArtifactError
        If something else is among them.
    """
    try:
        return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True).encode()
    except yaml.YAMLError as error:
        raise ArtifactError(f"a parameter of this forecaster is not plain data and cannot be saved: {error}") from None


def _panel_parts(panel: Panel) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
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
    roles = {role: getattr(panel, role) for role in ("past", "known", "static")}
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


def _panel_from(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> Panel:
    def covariates(role: str) -> tuple[Covariate, ...]:
        return tuple(
            Covariate(name, arrays[f"{role}.{number}"], None if categories is None else tuple(categories))
            for number, (name, categories) in enumerate(about["covariates"][role])
        )

    columns = Columns(**about["columns"])
    return Panel(
        ids=pd.Index(about["ids"], name=columns.id, dtype=about.get("ids_dtype")),
        offsets=arrays["offsets"],
        ends=arrays["ends"],
        target=arrays["target"],
        starts=arrays["starts"].view(about["stamps"]),
        freq=Freq.parse(about["freq"]),
        columns=columns,
        dtype=pd.api.types.pandas_dtype(about["dtype"]),
        zone=about["zone"],
        times=arrays["times"].view(about["stamps"]) if "times" in arrays else None,
        past=covariates("past"),
        known=covariates("known"),
        static=covariates("static"),
    )
