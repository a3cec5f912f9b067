"""A saved forecaster that is damaged or foreign is refused, and nothing in it is run."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from forging import FILES, forge, forge_text, put

from forecast import Forecaster
from forecast.errors import ArtifactError, ConfigError
from forecast.saved import artifact


@pytest.mark.parametrize("name", [*FILES, "checksums.json"])
def test_damage_is_found_and_named(saved: Path, name: str) -> None:
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged|not whole|no JSON|names no format"):
        Forecaster.load(saved)


@pytest.mark.parametrize("name", [*FILES[1:], "checksums.json"])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ArtifactError, match=f"not whole.*{name}"):
        Forecaster.load(saved)


def test_a_folder_without_a_forecaster_is_refused(tmp_path: Path, fitted: Forecaster) -> None:
    (tmp_path / "interrupted" / "checkpoints").mkdir(parents=True)
    for folder, why in (
        (".", r"forecaster\.yaml is missing"),
        ("nowhere", "no such folder"),
        ("interrupted", "resume="),
    ):
        with pytest.raises(FileNotFoundError, match=rf"no saved forecaster.*{why}"):
            Forecaster.load(tmp_path / folder)
    (tmp_path / "thesis.txt").write_text("irreplaceable", encoding="utf-8")
    with pytest.raises(ArtifactError, match="is no saved forecaster. Choose another folder"):
        fitted.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "irreplaceable"


def test_a_newer_format_says_so_whatever_else_it_holds(saved: Path) -> None:
    newer = artifact.FORMAT + 1
    forge(saved, "forecaster.yaml", put("format", newer))
    with pytest.raises(
        ArtifactError, match=rf"format {newer}.*reads 1 to {newer - 1}.*pip install --upgrade recurrent-forecast"
    ):
        Forecaster.load(saved)
    (saved / "encoding.json").unlink()
    with pytest.raises(ArtifactError, match=f"format {newer}"):
        Forecaster.load(saved)


@pytest.mark.parametrize(
    "head",
    [
        "",
        "- 1\n- 2",
        "format: 1",
        "format: 2",
        "format: [2]",
        "just text",
        "format: !!python/object/apply:os.getcwd []",
    ],
)
def test_foreign_settings_are_refused(saved: Path, head: str) -> None:
    forge_text(saved, "forecaster.yaml", head)
    with pytest.raises(ArtifactError):
        Forecaster.load(saved)


@pytest.mark.parametrize("group", ["model", "loss", "scaling"])
@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "torch.nn.Linear",
        "subprocess.Popen",
        "forecast.saved.artifact.save",
        "forecast.networks.recurrent.nn.Linear",
        "forecast.networks.recurrent.initialise",
        "forecast.losses_of_mine.Loss",
        "forecast.networks.antigravity.Network",
        "",
        None,
        ["os.system"],
    ],
)
def test_a_hostile_class_is_refused_and_nothing_runs(
    saved: Path, group: str, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = yaml.safe_load((saved / "forecaster.yaml").read_text(encoding="utf-8"))
    parameters = head["parameters"]
    parameters[group] = {"_target_": target, "command": "touch hacked", "args": ["touch", "hacked"]}
    forge(saved, "forecaster.yaml", put("parameters", parameters))
    imported = set(sys.modules)
    for owner, name in ((os, "system"), (builtins, "eval"), (subprocess, "Popen")):
        monkeypatch.setattr(owner, name, _refuse_to_run)
    with pytest.raises(ConfigError, match=rf"is no {group}"):
        Forecaster.load(saved)
    assert not {name for name in set(sys.modules) - imported if not name.startswith("forecast.")}


def test_settings_that_are_no_parameters_are_refused(saved: Path) -> None:
    forge(saved, "forecaster.yaml", put("parameters/callbacks", ["os.system"]))
    with pytest.raises(ArtifactError, match="callbacks"):
        Forecaster.load(saved)


def test_weights_of_another_network_are_refused(saved: Path) -> None:
    forge(saved, "forecaster.yaml", put("parameters/model/hidden_size", 8))
    with pytest.raises(ArtifactError, match="weights do not fit"):
        Forecaster.load(saved)


def _refuse_to_run(*args: Any, **kwargs: Any) -> None:
    pytest.fail(f"code of the artifact was run: {args}, {kwargs}")
