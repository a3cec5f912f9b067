"""conf/: every file is valid, composes, and means the same from Python and from the command line."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from forecast import Columns, Forecaster, Training, make_sales
from forecast.config import TARGET, conf_folder, names, read
from forecast.schema import JOBS, Made, Roles, TrainJob, register

GROUPS = ("data", "model", "loss", "scaling", "optimizer", "accelerator", "logger", "experiment")
READ_BY_PYTHON = ("model", "loss", "scaling", "optimizer", "accelerator")
CHOICES = [(group, name) for group in GROUPS for name in names(group)]


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    register()
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def test_every_group_is_tested() -> None:
    there = {path.name for path in conf_folder().iterdir() if path.is_dir()} - {"hydra"}
    assert there == set(GROUPS)
    assert {path.stem for path in conf_folder().glob("*.yaml")} == set(JOBS)


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_file_is_a_mapping_that_composes(group: str, name: str) -> None:
    content = yaml.safe_load((conf_folder() / group / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict) and content
    _composed(f"{group}={name}")


@pytest.mark.parametrize(("group", "name"), [choice for choice in CHOICES if choice[0] in READ_BY_PYTHON])
def test_both_doors_read_the_same_settings(group: str, name: str) -> None:
    """The loader of Python knows no interpolation, so a file for both doors has none."""
    assert "${" not in (conf_folder() / group / f"{name}.yaml").read_text(encoding="utf-8")
    assert _composed(f"{group}={name}")[group] == read(group, name)


def test_an_optimizer_chosen_is_the_one_that_trains() -> None:
    assert _composed("optimizer=sgd")["training"]["optimizer"] == read("optimizer", "sgd")


@pytest.mark.parametrize("name", names("model"))
def test_every_model_names_its_class_and_no_default_of_a_size(name: str) -> None:
    assert read("model", name)[TARGET].startswith("forecast.networks.")


def test_defaults_are_those_of_the_records() -> None:
    settings = _composed()
    optimizer = settings["training"].pop("optimizer")
    defaults = Training().get_params()
    assert optimizer == read("optimizer", defaults.pop("optimizer"))
    assert settings["training"] == defaults
    own = {name: list(value) if isinstance(value, tuple) else value for name, value in _columns().items()}
    assert _composed("data=table", "horizon=1")["data"]["columns"] == own
    assert TrainJob().training == Training()
    assert [role.name for role in fields(Roles)] == [role.name for role in fields(Columns)]


def test_defaults_are_those_of_forecaster() -> None:
    python = {name: given.default for name, given in inspect.signature(Forecaster).parameters.items()}
    settings = _composed()
    for group in ("model", "loss", "scaling", "accelerator"):
        assert settings[group] == read(group, python[group])
    for name in ("context_length", "seed", "progress"):
        assert settings[name] == python[name]
    for name in ("freq", "seasonality"):
        assert settings["data"][name] == python[name]


def test_a_made_panel_has_the_size_that_the_generator_takes() -> None:
    python = set(inspect.signature(make_sales).parameters)
    assert {size.name for size in fields(Made)} <= python


@pytest.mark.parametrize("name", [name for name in names("data") if name != "table"])
def test_every_data_set_names_a_horizon(name: str) -> None:
    settings = _composed(f"data={name}")
    assert settings["horizon"] == settings["data"]["horizon"] > 0
    assert settings["data"]["unit"]


def test_an_experiment_changes_any_setting(tmp_path: Path) -> None:
    shutil.copytree(conf_folder(), tmp_path / "conf")
    written = {"defaults": [{"override /model": "lstm"}], "horizon": 5, "training": {"steps": 7}, "seed": 9}
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n" + yaml.safe_dump(written, sort_keys=False)
    )
    settings = _composed("experiment=mine", folder=tmp_path / "conf")
    assert (settings["horizon"], settings["training"]["steps"], settings["seed"]) == (5, 7, 9)
    assert settings["model"]["cell"] == "lstm"


@pytest.mark.parametrize("job", sorted(JOBS))
def test_run_folders_have_no_equals_sign_and_nothing_changes_the_folder(job: str) -> None:
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        hydra = compose(job, return_hydra_config=True).hydra
    assert "=" not in hydra.run.dir + hydra.sweep.dir
    assert hydra.sweep._get_node("subdir")._value() == "${hydra.job.num}"
    assert hydra.job.chdir is False


def _composed(*overrides: str, folder: Path | None = None) -> dict[str, Any]:
    return deepcopy(_composed_once(overrides, folder))


@cache
def _composed_once(overrides: tuple[str, ...], folder: Path | None) -> dict[str, Any]:
    with initialize_config_dir(str(folder or conf_folder()), version_base="1.3"):
        settings = OmegaConf.to_container(compose("train", list(overrides)), resolve=True)
    assert isinstance(settings, dict)
    return settings


def _columns() -> dict[str, Any]:
    return {role.name: getattr(Columns(), role.name) for role in fields(Columns)}
