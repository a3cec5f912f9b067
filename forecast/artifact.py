"""A saved forecaster: YAML, JSON and safetensors in one folder.

    forecaster.yaml       format, versions, parameters, what was settled at fit, sizes of the network
    encoding.json         statistics and vocabularies of covariates, names of the series trained on
    weights.safetensors   tensors of scaler, network and loss
    panel.json            ids, grid and categories of the last context of each series
    panel.safetensors     its values
    checksums.json        sha256 of the others: finds damage, not malice

Reading it runs no code from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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

FORMAT = 1
CHECKSUMS = "checksums.json"
SETTINGS = "forecaster.yaml"
FILES = (SETTINGS, "encoding.json", "weights.safetensors", "panel.json", "panel.safetensors")


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
    if path.exists() and not (path / SETTINGS).is_file():
        raise ArtifactError(f"{str(path)!r} exists and is no saved forecaster. Choose another folder.")
    strangers = sorted({file.name for file in path.glob("*")} - {*FILES, CHECKSUMS})
    if strangers:
        raise ArtifactError(
            f"{str(path)!r} holds {strangers[0]!r} beside the saved forecaster, and saving replaces the whole folder. "
            "Move it away, or choose another folder."
        )
    head = {
        "format": FORMAT,
        "versions": {"torch": str(torch.__version__), "pandas": pd.__version__},
        "parameters": parameters,
        "fitted": fitted,
        "sizes": {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(sizes).items()},
    }
    about, values = _panel_parts(panel)
    try:
        text = yaml.dump(head, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        raise ArtifactError(f"a parameter of this forecaster is not plain data and cannot be saved: {error}") from None
    files = {
        SETTINGS: text.encode(),
        "encoding.json": _json(encoding),
        "weights.safetensors": save_tensors({name: tensor.detach().contiguous() for name, tensor in weights.items()}),
        "panel.json": _json(about),
        "panel.safetensors": save_arrays(values),
    }
    files[CHECKSUMS] = _json({name: hashlib.sha256(content).hexdigest() for name, content in files.items()})
    _write_folder(path, files)
    return path


def load(path: Path) -> Saved:
    """Read and check a folder.

    Raises
    ------
    FileNotFoundError
        If there is no saved forecaster.
    ArtifactError
        If it is damaged, or of a newer format.
    """
    if not (path / SETTINGS).is_file():
        left = [str(old) for old in path.parent.glob(".*.old") if old.name.startswith(f".{path.name}.")]
        hint = "A run keeps its own in the folder model/."
        if left:
            hint = f"A save that was killed left the older one as {left[0]!r}: rename it to {path.name!r}."
        raise FileNotFoundError(f"there is no saved forecaster in {str(path)!r} ({SETTINGS} is missing). {hint}")
    _refuse_other_formats(path)
    files = _checked_files(path)
    try:
        head = yaml.safe_load(files[SETTINGS])
        sizes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in head["sizes"].items()
        }
        return Saved(
            parameters=head["parameters"],
            fitted=head["fitted"],
            encoding=json.loads(files["encoding.json"]),
            sizes=Sizes(**sizes),
            weights=load_tensors(files["weights.safetensors"]),
            panel=_panel_from(json.loads(files["panel.json"]), load_arrays(files["panel.safetensors"])),
        )
    except (
        KeyError,
        TypeError,
        AttributeError,
        yaml.YAMLError,
        json.JSONDecodeError,
        SafetensorError,
    ) as error:
        raise ArtifactError(f"{str(path)!r} is not a saved forecaster of this package: {error!r}.") from error


def fill(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put saved weights into a model built from the same settings."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ArtifactError(f"the saved weights do not fit the saved settings: {error}") from error


def _refuse_other_formats(path: Path) -> None:
    """Say what is wrong with a newer artifact before its files are looked for: they may be others."""
    try:
        head = yaml.safe_load((path / SETTINGS).read_bytes())
    except yaml.YAMLError:
        return  # its checksum tells whether it is damaged
    found = head.get("format") if isinstance(head, dict) else None
    if found != FORMAT:
        raise ArtifactError(f"{str(path)!r} has format {found}, and this version reads {FORMAT}. Upgrade the package.")


def _checked_files(path: Path) -> dict[str, bytes]:
    try:
        sums = json.loads((path / CHECKSUMS).read_bytes())
        files = {}
        for name in FILES:
            files[name] = (path / name).read_bytes()
            if hashlib.sha256(files[name]).hexdigest() != sums[name]:
                raise ArtifactError(f"{str(path / name)!r} is damaged: its checksum differs. Take a whole copy.")
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{str(path)!r} is not whole: {error}. Take a whole copy.") from error
    return files


def _write_folder(path: Path, files: dict[str, bytes]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        part.mkdir(parents=True)
        for name, content in files.items():
            (part / name).write_bytes(content)
        if path.exists():
            path.rename(old)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(old, ignore_errors=True)


def _json(values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False, indent=1).encode()


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
