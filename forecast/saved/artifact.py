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

import re
from collections.abc import Iterator
from contextlib import contextmanager
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
from torch import Tensor

from forecast import losses
from forecast.batch import Sizes
from forecast.config import TARGET
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.documents import LARGEST_YAML, json_of, read_yaml, yaml_of
from forecast.errors import ArtifactError, ForecastError
from forecast.files import write_new
from forecast.folders import (
    CHECKSUMS,
    checked_files,
    checksums,
    plain_json,
    refuse_absent,
    refuse_to_replace,
    steadily,
    whole_folder,
)
from forecast.losses.dependence import MOST_FACTORS
from forecast.saved.panel import panel_from, parts_of, refuse_unlaid
from forecast.saved.vetting import ODD, refuse_misfits, sizes_from

FORMAT = 5
OLDEST = 1  # format that is still read
SETTINGS = "forecaster.yaml"
ENSEMBLE = "ensemble.yaml"
PACKAGE = "recurrent-forecast"
FILES = (SETTINGS, "encoding.json", "weights.safetensors", "panel.json", "panel.safetensors")
OWN = "|".join(map(re.escape, (*FILES, CHECKSUMS)))  # pattern of the names of a saved forecaster's files
SCALERS = ("Scaler", "WindowScaler", "LastValueScaler", "MeanAbsScaler", "SeriesScaler")
RECURRENT = "forecast.networks.recurrent.Recurrent"
LOSSES = "forecast.losses"  # once one module
LATER: dict[str, dict[str, Any]] = {  # options that came after format 3, with what they were until then
    RECURRENT: {"residual": False, "detach_every": 0, "lags": 0},
    "forecast.networks.linear.Linear": {"bypass": False, "lags": 0},
    **{f"forecast.scaling.{name}": {"cycle": False} for name in SCALERS},
}
LAYERS = (  # names of its weights
    r"\brecurrent\.((?:weight|bias)_[ih]h_l)(\d+)",
    r"recurrent.layers.\2.\g<1>0",
)
LONGEST = 600  # characters of a message that quotes a file


@dataclass(frozen=True)
class Saved:
    """What a folder holds, as plain values and tensors."""

    parameters: dict[str, Any]
    fitted: dict[str, Any]
    encoding: Encoding
    sizes: Sizes
    weights: dict[str, Tensor]
    panel: Panel


class _Dumper(yaml.SafeDumper):
    """Writes plain values, each in full, and numbers of numpy as plain numbers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.Node:
        """Quote what YAML takes for the end of a line, or cannot write as it is."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_text)
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
    about, values = parts_of(panel)
    files = {
        SETTINGS: plain_yaml(head),
        "encoding.json": plain_json(encoding),
        "weights.safetensors": save_tensors({name: tensor.detach().contiguous() for name, tensor in weights.items()}),
        "panel.json": plain_json(about),
        "panel.safetensors": save_arrays(values),
    }
    try:
        _saved(files, path)  # what could not be loaded is not written
    except ArtifactError as error:
        raise ArtifactError(f"this forecaster cannot be saved: {_short(str(error.__cause__ or error))}") from error
    files[CHECKSUMS] = checksums(files)
    with whole_folder(path) as folder:
        for name, content in files.items():
            write_new(folder / name, content)
    return path


def load(path: Path) -> Saved:
    """Read and check a folder; one of an older format is read as if this version had written it.

    Raises
    ------
    AbsentError
        If there is no saved forecaster.
    ArtifactError
        If it is damaged, of a newer format, an ensemble, or does not fit together.
    """

    def read(place: Path) -> Saved:
        if (place / ENSEMBLE).is_file():
            raise ArtifactError(f"{str(path)!r} holds an ensemble. Read it with forecast.ensemble.load(path).")
        refuse_absent(place, SETTINGS, kind="forecaster")
        refuse_other_formats(place / SETTINGS)
        return _saved(checked_files(place, FILES), place)

    return steadily(path, read)


def _saved(files: dict[str, bytes], path: Path) -> Saved:
    """Return what the files of a folder hold, held against one another."""
    with refusing(path, kind="forecaster"):
        parts = _upgraded(_Parts.of(files, path))
        encoding, sizes = Encoding.from_dict(parts.encoding), sizes_from(parts.head["sizes"])
        parameters, fitted = parts.head["parameters"], parts.head["fitted"]
        panel = panel_from(parts.about, parts.arrays)
        refuse_misfits(parameters, fitted, encoding, sizes, parts.weights, panel)
        refuse_unlaid(panel, horizon=sizes.horizon)
        return Saved(parameters, fitted, encoding, sizes, parts.weights, panel)


@contextmanager
def refusing(path: Path, *, kind: str) -> Iterator[None]:
    """Say of values that were read which folder they come from, and whatever went wrong with them."""
    try:
        yield
    except ForecastError as error:
        raise ArtifactError(f"the {kind} in {str(path)!r} cannot be read: {_short(str(error))}") from error
    except (*ODD, SafetensorError) as error:
        raise ArtifactError(f"{str(path)!r} is not a saved {kind} of this package: {_short(repr(error))}.") from error


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


class _Parts(NamedTuple):
    """What the files hold, not yet made sense of."""

    head: dict[str, Any]
    encoding: dict[str, Any]
    weights: dict[str, Tensor]
    about: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @classmethod
    def of(cls, files: dict[str, bytes], path: Path) -> _Parts:
        return cls(
            head=yaml_of(files[SETTINGS], path / SETTINGS),
            encoding=json_of(files["encoding.json"], path / "encoding.json"),
            weights=load_tensors(files["weights.safetensors"]),
            about=json_of(files["panel.json"], path / "panel.json"),
            arrays=load_arrays(files["panel.safetensors"]),
        )


def _upgraded(parts: _Parts) -> _Parts:
    """Return the parts as the newest format has them.

    In format 1 there was one target, without an axis of its own, and no calendar was told to a network. Format 3 has a
    setting of training more than format 2, which has its default. Up to format 3 the layers of a recurrent network were
    one module, and options that there are now were not. Up to format 4 the losses were one module, and steps were drawn
    apart.
    """
    if parts.head["format"] == 1:
        for columns in (parts.head["parameters"]["columns"], parts.about["columns"]):
            columns["calendar"] = []
        weights = dict(parts.weights)
        for name in ("scaler.exponent", "scaler.middle"):
            weights[name] = weights[name].reshape(1)
        parts = parts._replace(weights=weights, arrays={**parts.arrays, "target": parts.arrays["target"][:, None]})
    if parts.head["format"] <= 3:
        parameters = parts.head["parameters"]
        for group in ("model", "scaling"):
            parameters[group] = {**LATER.get(_class_of(parameters[group]), {}), **parameters[group]}
        if _class_of(parameters["model"]) == RECURRENT:
            weights = {re.sub(*LAYERS, name): tensor for name, tensor in parts.weights.items()}
            parts = parts._replace(weights=weights)
    if parts.head["format"] <= 4:
        loss, sizes = parts.head["parameters"]["loss"], parts.head["sizes"]
        package, _, name = _class_of(loss).rpartition(".")
        if package == LOSSES and isinstance(found := getattr(losses, name, None), type):
            loss[TARGET] = f"{found.__module__}.{name}"
        rank = min(sizes["horizon"], MOST_FACTORS)
        apart = torch.zeros(sizes["targets"], sizes["horizon"], rank)
        parts = parts._replace(weights={**parts.weights, "loss.dependence.factors": apart})
    return parts


def _class_of(setting: dict[str, Any]) -> str:
    return str(setting.get(TARGET))


def refuse_other_formats(settings: Path) -> None:
    """Say what is wrong with a newer artifact before its files are looked for: they may be others."""
    try:
        head = read_yaml(settings)
    except ArtifactError:
        return  # its checksum tells whether it is damaged, and reading it again why it is refused
    found = head.get("format") if isinstance(head, dict) else None
    if type(found) is int and found > FORMAT:
        raise ArtifactError(
            f"{str(settings.parent)!r} has format {found}, and this version of {PACKAGE} reads {OLDEST} to {FORMAT}. "
            f"Upgrade it: pip install --upgrade {PACKAGE}."
        )
    if type(found) is not int or found < OLDEST:
        raise ArtifactError(
            f"{str(settings)!r} names no format that there is ({OLDEST} to {FORMAT}): it is not of this package, or "
            "damaged. Take a whole copy."
        )


def plain_yaml(values: dict[str, Any]) -> bytes:
    """Return plain values as YAML.

    Raises
    ------
    ArtifactError
        If something else is among them.
    """
    try:
        text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True).encode()
    except (yaml.YAMLError, RecursionError) as error:
        raise ArtifactError(f"a parameter of this forecaster is not plain data and cannot be saved: {error}") from None
    if len(text) > LARGEST_YAML:
        raise ArtifactError(
            f"the settings of this forecaster take {len(text):,} bytes, and {LARGEST_YAML:,} are saved."
        )
    return text
