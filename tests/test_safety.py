"""Saved models that somebody forged: refused with one message, nothing run, nothing written outside."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forging import BOMB, DEEP, FILES, HUGE, forge, nothing_runs, put, sign
from frames import made_frame

from forecast import Columns, Forecaster, Training
from forecast.calibrated import load
from forecast.ensemble import Ensemble
from forecast.errors import ArtifactError, ForecastError

CODE = [
    "os.system",
    "forecast.networks.recurrent.torch.os.system",
    "forecast.networks.recurrent.os.system",
    "forecast.networks.antigravity.Network",
    "forecast.networks../tmp/evil.Network",
    "forecast.networks.recurrent.Recurrent.__init__.__globals__",
    "forecast.networks\0.Network",
    "this.Zen",
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved forecaster with covariates of every kind, and an ensemble."""
    folder = tmp_path_factory.mktemp("kept")
    columns = Columns(past=("temp", "mood"), static=("size", "region"))
    _forecaster(columns=columns, scaling="series").fit(made_frame(covariates=True)).save(folder / "model")
    plain = _forecaster(seed=1)
    Ensemble([plain, _forecaster(seed=2)]).fit(made_frame()).save(folder / "ensemble")
    return folder


@pytest.fixture
def model(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept / "model", tmp_path / "model"))


@pytest.fixture
def ensemble(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept / "ensemble", tmp_path / "ensemble"))


@pytest.fixture(autouse=True)
def _nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail where a file makes code run or writes beside the folders of the test."""
    monkeypatch.chdir(tmp_path)
    with nothing_runs():
        yield
    assert not list(tmp_path.rglob("hacked*"))


@pytest.mark.parametrize("name", ["forecaster.yaml", "encoding.json", "panel.json", "checksums.json"])
@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "[" * DEEP,
        "[" * DEEP + "]" * DEEP,
        '{"a":' * DEEP,
        HUGE,
        f'{{"format": {HUGE}}}',
        f"format: {HUGE}",
        "format: " + "1:" * 100_000 + "1",
        "format: 2\nparameters: !!python/object/apply:os.system ['touch hacked']",
        "format: 2\nparameters: !!python/name:os.system",
        "format: 2001-99-99",
        "&a [*a]",
        "{? [a]: b}",
        "NaN",
        "null",
        "",
        "\0",
        "%YAML 9.9\n---\na",
        "x" * (1 << 20),
    ],
    ids=range(19),
)
def test_no_text_explodes_or_runs(text: str, name: str, model: Path) -> None:
    (model / name).write_text(text, encoding="utf-8")
    if name != "checksums.json":
        sign(model)
    with pytest.raises(ArtifactError) as told:
        load(model)
    assert len(str(told.value)) < 2000


@pytest.mark.parametrize("group", ["model", "loss", "scaling"])
@pytest.mark.parametrize("target", CODE)
def test_no_class_but_ours_is_built(target: str, group: str, model: Path) -> None:
    loaded = set(sys.modules)
    setting = {"_target_": target, "command": "touch hacked", "args": ["touch hacked"]}
    forge(model, "forecaster.yaml", put(f"parameters/{group}", setting))
    with pytest.raises(ForecastError, match=f"is no {group}"):
        load(model)
    assert not {name for name in set(sys.modules) - loaded if not name.startswith("forecast.")}


def test_what_looks_like_a_resolver_stays_text(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "told")
    forge(model, "forecaster.yaml", put("parameters/accelerator", "${oc.env:SECRET}"))
    assert load(model).accelerator == "${oc.env:SECRET}"


@pytest.mark.parametrize("value", [10**12, 10**30, -1, 0, True, 2.0, 1e300, "6", None, [6], {"a": 1}])
@pytest.mark.parametrize(
    "place",
    [
        "sizes/context_length",
        "sizes/horizon",
        "sizes/targets",
        "sizes/past",
        "sizes/series",
        "sizes/season",
        "sizes/outputs",
        "sizes/past_cardinalities",
        "sizes/static_cardinalities/0",
        "sizes/embeddings",
        "fitted/context_length",
        "fitted/seasonality",
        "fitted/freq",
        "parameters/horizon",
        "parameters/model",
        "parameters/model/hidden_size",
        "parameters/model/layers",
        "parameters/training",
        "parameters/columns",
    ],
)
def test_no_size_is_believed(place: str, value: Any, model: Path) -> None:
    if place == "parameters/model/layers" and value is True:
        pytest.skip("counts as 1")
    forge(model, "forecaster.yaml", put(place, value))
    with pytest.raises(ForecastError):
        load(model)


def test_many_layers_are_refused_before_they_are_built(model: Path) -> None:
    forge(model, "forecaster.yaml", put("parameters/model/layers", 20_000))
    with pytest.raises(ArtifactError, match=r"parameters\.model\.layers"):
        load(model)


@pytest.mark.parametrize(
    ("network", "option", "value"),
    [("dilated.Dilated", "dilations", [1] * 20_000), ("slstm.SLSTM", "heads", 2**12)],
)
def test_many_parts_are_refused_before_they_are_built(network: str, option: str, value: Any, model: Path) -> None:
    setting = {"_target_": f"forecast.networks.{network}", "hidden_size": 2**13, option: value}
    forge(model, "forecaster.yaml", put("parameters/model", setting))
    with pytest.raises(ArtifactError, match=rf"parameters\.model\.{option}"):
        load(model)


@pytest.mark.parametrize(
    "accelerator", [{"plugins": ["x"]}, {"default_root_dir": "hacked"}, {"devices": [[0]]}, {"strategy": {"a": 1}}, 3]
)
def test_a_file_tells_the_trainer_nothing_but_where_it_computes(accelerator: Any, model: Path) -> None:
    forge(model, "forecaster.yaml", put("parameters/accelerator", accelerator))
    with pytest.raises(ArtifactError, match=r"parameters\.accelerator"):
        load(model)


def test_no_argument_of_the_loader_comes_from_a_file(model: Path) -> None:
    forge(model, "forecaster.yaml", put("parameters/allow", ["os.system"]))
    with pytest.raises(ArtifactError, match="allow"):
        load(model)


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("offsets", lambda values: values + 1),
        ("offsets", lambda values: values[::-1]),
        ("offsets", lambda values: values * 0),
        ("offsets", lambda values: values * 10**9),
        ("offsets", lambda values: values[:-1]),
        ("offsets", lambda values: values.astype(np.int32)),
        ("ends", lambda values: values + 1),
        ("ends", lambda values: -values),
        ("ends", lambda values: values * 0),
        ("ends", lambda values: values[None]),
        ("target", lambda values: values[:-1]),
        ("target", lambda values: values[:, 0]),
        ("target", lambda values: np.concatenate([values, values], axis=1)),
        ("target", lambda values: values.astype(np.float32)),
        ("target", lambda values: values * np.inf),
        ("starts", lambda values: values[:-1]),
        ("starts", lambda values: values * 0 + np.iinfo(np.int64).max),
        ("starts", lambda values: values * 0 + np.iinfo(np.int64).min),
        ("past.0", lambda values: values[:-1]),
        ("past.0", lambda values: values.astype(np.int64)),
        ("past.1", lambda values: values + 99),
        ("past.1", lambda values: values - 99),
        ("static.1", lambda values: values[:1]),
        ("static.1", lambda values: values + 2),
    ],
)
def test_a_panel_that_does_not_fit_together_is_refused(
    array: str, change: Callable[[np.ndarray], np.ndarray], model: Path
) -> None:
    forge(model, "panel.safetensors", lambda arrays: arrays.update({array: change(arrays[array])}))
    with pytest.raises(ArtifactError):
        load(model)


@pytest.mark.parametrize("array", ["offsets", "ends", "target", "starts", "past.0", "static.1"])
def test_a_panel_that_lacks_an_array_is_refused(array: str, model: Path) -> None:
    forge(model, "panel.safetensors", lambda arrays: arrays.pop(array))
    with pytest.raises(ArtifactError, match=array.replace(".", r"\.")):
        load(model)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("ids", ["s0"]),
        ("ids", ["s0", "s0"]),
        ("ids", ["1", 1]),
        ("ids", [[], {}]),
        ("ids", [True, False]),
        ("ids", {"s0": 0, "s1": 1}),
        ("ids_dtype", "float64"),
        ("ids_dtype", "datetime64[ns]"),
        ("ids_dtype", "no such"),
        ("ids_dtype", 3),
        ("freq", "1"),
        ("freq", "rows:D"),
        ("freq", "99999999999D"),
        ("freq", "often"),
        ("freq", None),
        ("freq", ["D"]),
        ("dtype", "(9999999,9999999)f8"),
        ("dtype", "object[" + "x" * 1000),
        ("dtype", None),
        ("zone", "../../../etc/passwd"),
        ("zone", "dateutil//etc/passwd"),
        ("zone", "America"),
        ("zone", 3),
        ("stamps", "float64"),
        ("stamps", "datetime64[s]"),
        ("stamps", ["int64"]),
        ("columns", {"time": "ds", "evil": 1}),
        ("columns/past", []),
        ("columns/past", ["mood", "temp"]),
        ("columns/target", ["y", "z"]),
        ("columns/id", "other"),
        ("columns/calendar", ["day_of_week", "day_of_week"]),
        ("covariates", {}),
        ("covariates/past", {}),
        ("covariates/past/1/1", [1, 2, 3]),
        ("covariates/past/1/1", ["good", "good", "bad"]),
        ("covariates/past/1/1", ["good"]),
        ("covariates/past/1/1", "good"),
        ("covariates/past/0/1", ["a"]),
        ("covariates/past/0", ["temp"]),
    ],
)
def test_what_is_said_of_a_panel_is_checked(place: str, value: Any, model: Path) -> None:
    forge(model, "panel.json", put(place, value))
    with pytest.raises(ArtifactError):
        load(model)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("ids", ["s0"]),
        ("ids", ["s0", "s0"]),
        ("ids", [1, 2]),
        ("ids", 3),
        ("statistics", {}),
        ("statistics/temp", [1e999, 1]),
        ("statistics/temp", [0, 0]),
        ("statistics/temp", [0, -1]),
        ("statistics/temp", ["a", "b"]),
        ("statistics/temp", [1]),
        ("statistics/mood", [0, 1]),
        ("categories", []),
        ("categories/mood", [1, 2, 3]),
        ("categories/mood", ["good"]),
        ("categories/mood", ["good", "good", "bad"]),
        ("calendar", ["no such"]),
        ("calendar", ["day_of_week/codes"]),
        ("calendar", [[]]),
        ("holidays", "US"),
        ("holidays", ["US"]),
        ("holiday_names", [1]),
    ],
)
def test_what_is_said_of_covariates_is_checked(place: str, value: Any, model: Path) -> None:
    forge(model, "encoding.json", put(place, value))
    with pytest.raises(ArtifactError):
        load(model)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["scaler.scale", "network.recurrent.layers.0.weight_hh_l0"])
def test_weights_that_are_no_numbers_are_refused(name: str, value: float, model: Path) -> None:
    forge(model, "weights.safetensors", lambda arrays: arrays[name].fill(value))
    with pytest.raises(ArtifactError, match=name.rpartition(".")[2]):
        load(model)


def test_weights_of_other_shapes_and_names_are_refused(model: Path) -> None:
    for change in (
        lambda arrays: arrays.update(evil=np.zeros(3)),
        lambda arrays: arrays.pop("evil") is None or arrays.pop("scaler.loc"),
    ):
        forge(model, "weights.safetensors", change)
        with pytest.raises(ArtifactError, match="weights do not fit"):
            load(model)


@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "circle", "sparse"])
@pytest.mark.parametrize("name", [*FILES, "checksums.json"])
def test_only_files_of_a_bounded_size_are_read(kind: str, name: str, model: Path) -> None:
    (model / name).unlink()
    if kind == "device":
        (model / name).symlink_to("/dev/zero")
    elif kind == "pipe" and hasattr(os, "mkfifo"):
        os.mkfifo(model / name)
    elif kind == "circle":
        (model / name).symlink_to(name)
    elif kind == "sparse":
        with (model / name).open("wb") as file:
            file.truncate(1 << 32 if name.endswith("yaml") else 1 << 43 if name.endswith("tensors") else 1 << 31)
    else:
        (model / name).mkdir()
    with pytest.raises(ForecastError):
        load(model)


@pytest.mark.parametrize("name", ["ensemble.yaml", "checksums.json"])
@pytest.mark.parametrize(
    "text", [BOMB, "[" * DEEP, f"format: {HUGE}", "format: 2\nclass: !!python/name:os.system", "NaN", ""]
)
def test_no_text_of_an_ensemble_explodes_or_runs(text: str, name: str, ensemble: Path) -> None:
    (ensemble / name).write_text(text, encoding="utf-8")
    if name != "checksums.json":
        sign(ensemble)
    with pytest.raises(ArtifactError):
        load(ensemble)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("members", 10**12),
        ("members", 10**400),
        ("members", -1),
        ("members", 0),
        ("members", 1),
        ("members", True),
        ("members", "../../model"),
        ("members", ["../../model", "/model"]),
        ("combine", "os.system"),
        ("combine", ["median"]),
        ("weights", "validation\n"),
        ("weights", [1]),
        ("weights", [float("1e999"), 1]),
        ("processes", "many"),
        ("class", "Forecaster"),
        ("class", "os.system"),
        ("fitted", None),
        ("fitted/weights", [1e999, -1]),
        ("fitted/weights", ["a", "b"]),
        ("fitted/weights", [1, 1, 1]),
    ],
)
def test_what_an_ensemble_says_is_checked(place: str, value: Any, ensemble: Path) -> None:
    forge(ensemble, "ensemble.yaml", put(place, value))
    with pytest.raises(ForecastError):
        load(ensemble)


def test_members_are_counted_where_they_lie(ensemble: Path) -> None:
    (ensemble / "members" / "3999999999").mkdir()
    forge(ensemble, "ensemble.yaml", put("fitted/weights", [1] * 3))
    forge(ensemble, "ensemble.yaml", put("members", 4_000_000_000))
    with pytest.raises(ArtifactError, match="do not all lie in the folder members/"):
        load(ensemble)


def test_members_that_differ_from_one_another_are_refused(ensemble: Path, model: Path) -> None:
    shutil.rmtree(ensemble / "members" / "1")
    shutil.copytree(model, ensemble / "members" / "1")
    sign(ensemble)
    with pytest.raises(ForecastError):
        load(ensemble).predict()


def _forecaster(**settings: Any) -> Forecaster:
    network = {"_target_": "forecast.networks.recurrent.Recurrent", "hidden_size": 4}
    quick = {"horizon": 3, "context_length": 6, "training": Training(steps=2, batch_size=8), "accelerator": "cpu"}
    return Forecaster(network, **{**quick, "progress": False, **settings})
