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

from forecast import Columns, Forecaster, Training, make_codes, make_sales, tune
from forecast.config import TARGET, USUAL, conf_folder, names, networks, read, usual
from forecast.ensemble import Ensemble
from forecast.evaluation.backtest import backtest
from forecast.jobs.settings import columns_of
from forecast.schema import JOBS, MEANING, Data, Folds, Made, MadeCodes, Members, Roles, TrainJob, register

GROUPS = (
    "data", "model", "loss", "scaling", "optimizer", "accelerator", "logger", "experiment", "protocol", "space",
)  # fmt: skip
READ_BY_PYTHON = ("model", "loss", "scaling", "optimizer", "accelerator")
CHOICES = [(group, name) for group in GROUPS for name in names(group)]
JOB = {"space": "tune", "protocol": "compare"}  # of the groups that not every job has


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    register()
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def test_every_group_is_tested() -> None:
    there = {path.name for path in conf_folder().iterdir() if path.is_dir()} - {"hydra"}
    assert there == set(GROUPS)
    assert {path.stem for path in conf_folder().glob("*.yaml")} == {*JOBS, "learning"}


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_file_is_a_mapping_that_composes(group: str, name: str) -> None:
    content = yaml.safe_load((conf_folder() / group / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict) and content
    _composed(f"{group}={name}", job=JOB.get(group, "train"))


@pytest.mark.parametrize(("group", "name"), [choice for choice in CHOICES if choice[0] in READ_BY_PYTHON])
def test_both_doors_read_the_same_settings(group: str, name: str) -> None:
    """The loader of Python knows no interpolation, so a file for both doors has none."""
    assert "${" not in (conf_folder() / group / f"{name}.yaml").read_text(encoding="utf-8")
    assert _composed(f"{group}={name}")[group] == read(group, name)


def test_an_optimizer_chosen_is_the_one_that_trains() -> None:
    assert _composed("optimizer=sgd")["training"]["optimizer"] == read("optimizer", "sgd")


@pytest.mark.parametrize("name", networks())
def test_every_model_names_its_class_and_no_default_of_a_size(name: str) -> None:
    assert read("model", name)[TARGET].startswith("forecast.networks.")


def test_defaults_are_those_of_the_records() -> None:
    settings = _composed()
    optimizer = settings["training"].pop("optimizer")
    defaults = Training().get_params()
    assert optimizer == read("optimizer", defaults.pop("optimizer"))
    assert settings["training"] == {name: _plain(value) for name, value in defaults.items()}
    assert TrainJob().training == Training()
    data = _composed("data=table", "horizon=1")["data"]
    assert data["columns"] == {role.name: _plain(getattr(Columns(), role.name)) for role in fields(Roles)}
    assert {name: data[name] for name in MEANING} == {name: _plain(getattr(Columns(), name)) for name in MEANING}


def test_every_field_of_columns_is_a_setting_once() -> None:
    roles, data = [role.name for role in fields(Roles)], [setting.name for setting in fields(Data)]
    assert [*roles, *MEANING] == [field.name for field in fields(Columns)]
    assert set(MEANING) <= set(data) and not set(MEANING) & set(roles)


def test_jobs_that_train_share_their_settings() -> None:
    train, other = _composed(), _composed(job="backtest")
    own = {"backtest"}, {"logger", "warm_start", "test", "final"}
    assert (other.keys() - train.keys(), train.keys() - other.keys()) == own
    assert all(train[name] == other[name] for name in train.keys() & other.keys())


def test_a_search_has_the_settings_of_training_and_defaults_of_its_own() -> None:
    train, other = _composed(), _composed(job="tune")
    own = {"space", "trials", "budget", "metric", "validation", "prune"}
    assert (other.keys() - train.keys(), train.keys() - other.keys()) == (
        own,
        {"logger", "warm_start", "final"},
    )
    assert all(train[name] == other[name] for name in train.keys() & other.keys())
    python = {name: given.default for name, given in inspect.signature(tune).parameters.items()}
    assert {name: other[name] for name in own - {"space"}} == {name: python[name] for name in own - {"space"}}


def test_every_network_has_a_space() -> None:
    assert set(names("space")) == {"common", *networks()}


def test_defaults_are_those_of_backtest_and_ensemble() -> None:
    python = {name: given.default for name, given in inspect.signature(backtest).parameters.items()}
    plan = _composed(job="backtest")["backtest"]
    assert plan.keys() == {setting.name for setting in fields(Folds)}
    assert plan == {name: _plain(python[name]) for name in plan}
    python = {name: given.default for name, given in inspect.signature(Ensemble).parameters.items()}
    together = _composed()["ensemble"]
    assert together == {setting.name: together[setting.name] for setting in fields(Members)}
    assert {name: together[name] for name in python if name != "members"} == {
        name: value for name, value in python.items() if name != "members"
    }


@pytest.mark.parametrize(
    ("words", "units"),
    [
        ((), ("°C",)),
        (("data.columns.target=wind",), ("m/s",)),
        (("data.columns.target=[wind,temp_max]",), ("m/s", "°C")),
        (("data.columns.target=[wind,weather]",), ("m/s", "")),
        (("data.unit=any",), ("any",)),
        (("data=weather_joint",), ("°C", "°C", "m/s", "mm")),
        (("data=weather_joint", "data.unit=any"), ("any",) * 4),
    ],
)
def test_units_belong_to_their_columns(words: tuple[str, ...], units: tuple[str, ...]) -> None:
    assert columns_of(_composed("data=weather", *words)["data"]).units == units


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("data.calendar=auto", "auto"),
        ("data.calendar=null", ()),
        ("data.calendar=[]", ()),
        ("data.calendar=month", ("month",)),
        ("data.calendar=[month,weekday]", ("month", "weekday")),
    ],
)
def test_calendar_features_are_a_word_a_list_or_none(word: str, names: str | tuple[str, ...]) -> None:
    assert columns_of(_composed(word)["data"]).calendar == names


def test_defaults_are_those_of_forecaster() -> None:
    python = {name: given.default for name, given in inspect.signature(Forecaster).parameters.items()}
    settings = _composed()
    for group in ("model", "accelerator"):
        assert settings[group] == read(group, python[group])
    for group in USUAL:
        assert python[group] is None and settings[group] == read(group, USUAL[group])


def test_a_model_chooses_the_loss_and_scaling_that_go_with_it() -> None:
    for name in names("model"):
        settings = _composed(f"model={name}")
        for group in USUAL:
            assert settings[group] == read(group, usual(group, name))
    assert _composed("model=deepar", "loss=gaussian")["loss"] == read("loss", "gaussian")


def test_the_other_defaults_are_those_of_forecaster() -> None:
    python = {name: given.default for name, given in inspect.signature(Forecaster).parameters.items()}
    settings = _composed()
    for name in ("context_length", "seed", "progress"):
        assert settings[name] == python[name]
    for name in ("freq", "seasonality"):
        assert settings["data"][name] == python[name]


def test_a_made_panel_has_the_size_that_the_generator_takes() -> None:
    for make, size in ((make_sales, Made), (make_codes, MadeCodes)):
        python = {name: given.default for name, given in inspect.signature(make).parameters.items()}
        assert vars(size()).items() <= python.items()


@pytest.mark.parametrize("name", [name for name in names("data") if name != "table"])
def test_every_data_set_names_a_horizon(name: str) -> None:
    settings = _composed(f"data={name}")
    assert settings["horizon"] == settings["data"]["horizon"] > 0
    assert settings["data"]["unit"]


def test_an_experiment_changes_any_setting(tmp_path: Path) -> None:
    shutil.copytree(conf_folder(), tmp_path / "conf")
    written = {"defaults": [{"override /model": "lstm"}], "horizon": 5, "training": {"steps": 7}, "seed": 9}
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n" + yaml.safe_dump(written, sort_keys=False), encoding="utf-8"
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


def _composed(*overrides: str, folder: Path | None = None, job: str = "train") -> dict[str, Any]:
    return deepcopy(_composed_once(overrides, folder, job))


@cache
def _composed_once(overrides: tuple[str, ...], folder: Path | None, job: str) -> dict[str, Any]:
    with initialize_config_dir(str(folder or conf_folder()), version_base="1.3"):
        settings = OmegaConf.to_container(compose(job, list(overrides)), resolve=True)
    assert isinstance(settings, dict)
    return settings


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
