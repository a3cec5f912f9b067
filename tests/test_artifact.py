"""A saved forecaster: bit-equal in another process, refused where damaged or foreign, never run."""

from __future__ import annotations

import builtins
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from forging import forge
from frames import made_frame, made_roles
from safetensors.numpy import load_file
from torch import nn

from forecast import Columns, Forecaster, Training
from forecast.batch import Inputs, Sizes
from forecast.calibrated import load
from forecast.config import names, usual
from forecast.errors import ArtifactError, ConfigError, DataError, TrainingError, WriteError
from forecast.networks.recurrent import Recurrent
from forecast.saved import artifact

FILES = ("forecaster.yaml", "encoding.json", "weights.safetensors", "panel.json", "panel.safetensors")
KEPT = Path(__file__).parent / "artifacts"
CASES = [
    *((model, "window", usual("loss", model)) for model in names("model")),
    *(("gru", scaling, "quantile") for scaling in names("scaling")),
    *(("gru", usual("scaling", "gru", loss=loss), loss) for loss in names("loss")),
]


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return _fitted()


@pytest.fixture
def saved(fitted: Forecaster, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model")


@pytest.mark.parametrize(("model", "scaling", "loss"), dict.fromkeys(CASES))
def test_what_is_loaded_forecasts_bit_equal(model: str, scaling: str, loss: str, tmp_path: Path) -> None:
    frame = made_frame().assign(y=lambda table: table.y.round())  # counts, for losses that count
    if loss == "event":
        frame = frame.assign(y=lambda table: (table.y % 2 == 0).astype(float))
    forecaster = _fitted(model, frame, scaling=scaling, loss=loss)
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    newer = made_frame(series=3, seed=1)
    pd.testing.assert_frame_equal(loaded.predict(newer), forecaster.predict(newer), check_exact=True)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("scaling", names("scaling"))
def test_several_targets_forecast_bit_equal(scaling: str, joint: bool, tmp_path: Path) -> None:
    frame = made_frame(covariates=True).assign(wind=lambda table: 1000 + 50 * table.temp)
    columns = Columns(target=("y", "wind"), joint=joint, past=("mood",), static=("region",), minimum=0, unit="m")
    forecaster = _fitted(frame=frame, columns=columns, scaling=scaling)
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    assert loaded.columns == columns and loaded.encoding_ == forecaster.encoding_
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    pd.testing.assert_frame_equal(loaded.predict(frame), forecaster.predict(frame), check_exact=True)


@pytest.mark.parametrize("folder", sorted(path.name for path in KEPT.iterdir() if path.is_dir()))
def test_what_an_older_version_saved_forecasts_as_it_did(folder: str, tmp_path: Path) -> None:
    loaded = load(KEPT / folder)
    got = loaded.predict()
    told = pd.read_csv(KEPT / f"{folder}_forecast.csv").astype(got.dtypes)
    pd.testing.assert_frame_equal(got, told, rtol=1e-5)
    again = load(loaded.save(tmp_path / "model"))  # in the newest format
    pd.testing.assert_frame_equal(again.predict(), got, check_exact=True)


def test_an_artifact_of_every_format_is_kept() -> None:
    kept = {yaml.safe_load(path.read_text(encoding="utf-8"))["format"] for path in KEPT.glob("*/forecaster.yaml")}
    assert kept == set(range(artifact.OLDEST, artifact.FORMAT + 1))


def test_a_forecaster_of_format_1_is_fitted_again_as_it_was() -> None:
    """There were neither calendar features nor several targets."""
    loaded = Forecaster.load(KEPT / "format1")
    assert loaded.columns.calendar == () and loaded.columns.targets == ("y",)
    assert loaded.panel_.target.shape == (16, 1)
    frame = made_frame().assign(promotion=0.0)
    loaded.fit(frame)
    assert loaded.encoding_.calendar == () and loaded.sizes_.known == 0


def test_another_process_loads_it_without_lightning(tmp_path: Path) -> None:
    frame = made_frame(covariates=True)
    is_future = frame.groupby("unique_id").cumcount() >= 57
    history, future = frame[~is_future], frame[is_future]
    forecaster = _fitted(frame=history, columns=Columns(**made_roles()))
    forecaster.save(tmp_path / "model")
    history.to_parquet(tmp_path / "history.parquet")
    future.to_parquet(tmp_path / "future.parquet")
    script = (
        "import sys, pandas, torch\n"
        "torch.set_num_threads(1)\n"
        "from forecast import Forecaster\n"
        "history, future = (pandas.read_parquet(f'{name}.parquet') for name in ('history', 'future'))\n"
        "Forecaster.load('model').predict(history, future=future).to_parquet('forecast.parquet')\n"
        "heavy = [name for name in ('lightning', 'hydra', 'matplotlib') if name in sys.modules]\n"
        "sys.exit(f'prediction imports {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    got = pd.read_parquet(tmp_path / "forecast.parquet")
    pd.testing.assert_frame_equal(got, forecaster.predict(history, future=future), check_exact=True)


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2024-01-01", periods=60, freq="h", tz="America/New_York"),
        pd.date_range("2024-01-01", periods=60, freq="MS").as_unit("ns"),
        pd.bdate_range("2024-01-01", periods=60),
        pd.RangeIndex(60),
    ],
    ids=["zoned", "months", "business", "integers"],
)
@pytest.mark.parametrize("gaps", ["mask", "rows"])
def test_times_and_ids_come_back_as_they_were(times: pd.Index, gaps: Any, tmp_path: Path) -> None:
    frame = made_frame().assign(ds=np.tile(times, 2), unique_id=np.repeat([7, 3], 60))
    frame["ds"] = frame["ds"].astype(times.dtype)
    forecaster = _fitted(frame=frame, columns=Columns(gaps=gaps))
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    assert (loaded.freq_, loaded.seasonality_) == (forecaster.freq_, forecaster.seasonality_)


@pytest.mark.parametrize("dtype", ["category", "object", "string", "int32", "Int64"])
def test_ids_keep_their_dtype(dtype: str, tmp_path: Path) -> None:
    names = [7, 3] if "nt" in dtype else ["b", "a"]
    frame = made_frame().assign(unique_id=pd.Series(np.repeat(names, 60)).astype(dtype))
    forecaster = _fitted(frame=frame)
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    assert loaded.predict()["unique_id"].dtype == forecaster.predict()["unique_id"].dtype
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object", "category"])
def test_series_are_not_named_by_truth_values(dtype: str) -> None:
    frame = made_frame().assign(unique_id=pd.Series(np.repeat([True, False], 60)).astype(dtype))
    with pytest.raises(DataError, match="a series is named by text or a whole number"):
        _fitted(frame=frame)


def test_parameters_come_back_and_can_be_fitted_again(fitted: Forecaster, saved: Path) -> None:
    loaded = Forecaster.load(saved)
    for name in (
        "horizon",
        "context_length",
        "freq",
        "seasonality",
        "training",
        "accelerator",
        "seed",
        "progress",
    ):
        assert getattr(loaded, name) == getattr(fitted, name), name
    again = loaded.fit(made_frame()).predict()
    pd.testing.assert_frame_equal(again, fitted.predict(), check_exact=True)
    loaded.save(saved)
    pd.testing.assert_frame_equal(Forecaster.load(saved).predict(), again, check_exact=True)


def test_numbers_of_numpy_are_saved_as_plain_numbers(tmp_path: Path) -> None:
    levels = {"_target_": "forecast.losses.quantile.Quantile", "levels": list(np.array([0.1, 0.9]))}
    loaded = Forecaster.load(_fitted(horizon=np.int64(2), loss=levels).save(tmp_path / "model"))
    assert loaded.horizon == 2 and type(loaded.horizon) is int
    assert loaded.levels() == (0.1, 0.5, 0.9)


def test_a_setting_that_is_named_twice_is_saved_twice(tmp_path: Path) -> None:
    levels = [0.1, 0.9]
    forecaster = _fitted(loss={"_target_": "forecast.losses.quantile.Quantile", "levels": levels})
    forecaster._parameters_["scaling"]["also"] = forecaster._parameters_["loss"]["levels"]
    text = artifact.plain_yaml({"parameters": forecaster._parameters_}).decode()
    assert "&" not in text and "*" not in text


class Plain(nn.Module):
    """A network of one's own whose layer has the name that ours had up to format 3."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.recurrent = nn.GRU(sizes.targets, sizes.horizon * sizes.outputs, batch_first=True)
        self.shape = (sizes.horizon, sizes.targets, sizes.outputs)

    def forward(self, inputs: Inputs, teacher: Any = None, feedback: Any = None) -> torch.Tensor:
        return self.recurrent(inputs.target)[1][0].unflatten(1, self.shape)


OLD_MODELS = {
    "two layers": {"layers": 2},
    "both directions": {"layers": 2, "bidirectional": True, "cell": "lstm"},
}


@pytest.mark.parametrize("columns", [Columns(), Columns(target=("y", "z"))], ids=["one target", "by channel"])
@pytest.mark.parametrize("options", OLD_MODELS.values(), ids=OLD_MODELS)
def test_layers_are_found_under_their_names_of_format_3(options: dict, columns: Columns, tmp_path: Path) -> None:
    frame = made_frame().assign(z=lambda table: 2 * table["y"])
    forecaster = _fitted(partial(Recurrent, hidden_size=4, **options), frame=frame, columns=columns)
    loaded = Forecaster.load(_as_format_3(forecaster.save(tmp_path / "model")))
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    assert loaded.get_params()["scaling"]["cycle"] is False


def test_layers_of_a_network_of_ones_own_keep_their_names(tmp_path: Path) -> None:
    forecaster = _fitted(partial(Plain))
    loaded = Forecaster.load(_as_format_3(forecaster.save(tmp_path / "model")), allow=[Plain])
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)


def _as_format_3(folder: Path) -> Path:
    """Give a saved forecaster the names that format 3 had."""

    def older(head: dict[str, Any]) -> None:
        head["format"] = 3
        for name in ("residual", "detach_every", "lags"):
            head["parameters"]["model"].pop(name, None)
        head["parameters"]["scaling"].pop("cycle")

    def renamed(weights: dict[str, np.ndarray]) -> None:
        for name in list(weights):
            old = re.sub(r"layers\.(\d)\.(.*_l)0", r"\g<2>\1", name)
            weights[old] = weights.pop(name)

    forge(folder, "forecaster.yaml", older)
    forge(folder, "weights.safetensors", renamed)
    return folder


class Wide(nn.Module):
    """A network of one's own, with settings beyond the bounds of ours."""

    def __init__(
        self, sizes: Sizes, *, layers: int, ceiling: float, most: float, shared: list[int], again: list[int]
    ) -> None:
        super().__init__()
        assert (layers, ceiling, most, shared, again) == (12, float("inf"), 1e12, [1], [1])
        self.sizes = sizes
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Inputs, teacher: Any = None, feedback: Any = None) -> torch.Tensor:
        shape = (len(inputs.target), self.sizes.horizon, self.sizes.targets, self.sizes.outputs)
        return self.level.expand(shape)


def test_a_network_of_ones_own_may_have_any_plain_settings(tmp_path: Path) -> None:
    shared = [1]
    own = partial(Wide, layers=12, ceiling=float("inf"), most=1e12, shared=shared, again=shared)
    forecaster = _fitted(own)
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"), allow=[Wide])
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)


@pytest.mark.parametrize(
    "odd", ["a\x85 b", "a\u2028b", "a\u2029b", "\ufeff", "é\x85", "a\n\n b", "a\tb\x07", "no", "😀 ü"]
)
def test_names_of_any_letters_are_saved(odd: str, tmp_path: Path) -> None:
    frame = made_frame(covariates=True).rename(columns={"mood": odd, "y": "größe\n"})
    frame["unique_id"] = pd.Series([f"{name}{odd}" for name in frame["unique_id"]], dtype=object)
    frame[odd] = pd.Series([f"{name}{odd}" for name in frame[odd]], dtype=object)
    forecaster = _fitted(frame=frame, columns=Columns(target="größe\n", past=(odd,)))
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    assert loaded.columns == forecaster.panel_.columns and loaded.encoding_ == forecaster.encoding_
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)


@pytest.mark.parametrize("name", ["unique_id", "mood", "region"])
def test_text_with_half_a_character_is_refused(name: str) -> None:
    frame = made_frame(covariates=True)
    frame[name] = pd.Series([f"{value}\ud800" for value in frame[name]], dtype=object)
    with pytest.raises(DataError, match=f"column '{name}' holds .* half a character"):
        _fitted(frame=frame, columns=Columns(past=("mood",), static=("region",)))


def test_a_save_that_fails_says_that_it_is_a_save(tmp_path: Path) -> None:
    forecaster = _fitted()
    forecaster._parameters_["accelerator"] = {"accelerator": "cpu", "default_root_dir": "elsewhere"}
    with pytest.raises(ArtifactError, match="cannot be saved") as told:
        forecaster.save(tmp_path / "model")
    assert "read" not in str(told.value) and "parameters.accelerator" in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_saved_is_told_before_training(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(*args: Any, **kwargs: Any) -> None:
        raise TrainingError("begun")

    monkeypatch.setattr(Forecaster, "_trained", trained)
    for model in ("gru", partial(Recurrent, hidden_size=object())):
        assert "cannot be saved" not in caplog.text
        with pytest.raises(TrainingError, match="begun"):
            _fitted(model)
    assert caplog.text.count("cannot be saved") == 1


@pytest.mark.parametrize("place", [".", "../model", "./"])
def test_a_forecaster_is_saved_over_one_in_the_folder_of_work(
    place: str, saved: Path, fitted: Forecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved)
    fitted.save(place)
    monkeypatch.chdir(saved.parent)
    pd.testing.assert_frame_equal(load(saved).predict(), fitted.predict(), check_exact=True)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_only_yaml_json_and_safetensors_are_written(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == sorted([*FILES, "checksums.json"])
    for path in saved.iterdir():
        if path.suffix == ".safetensors":
            load_file(path)
        else:
            yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML


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
    _forge(saved, format=newer)
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
    (saved / "forecaster.yaml").write_text(head, encoding="utf-8")
    _sign(saved)
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
    _forge(saved, parameters=parameters)
    imported = set(sys.modules)
    for owner, name in ((os, "system"), (builtins, "eval"), (subprocess, "Popen")):
        monkeypatch.setattr(owner, name, _refuse_to_run)
    with pytest.raises(ConfigError, match=rf"is no {group}"):
        Forecaster.load(saved)
    assert not {name for name in set(sys.modules) - imported if not name.startswith("forecast.")}


def test_settings_that_are_no_parameters_are_refused(saved: Path) -> None:
    head = yaml.safe_load((saved / "forecaster.yaml").read_text(encoding="utf-8"))
    _forge(saved, parameters={**head["parameters"], "callbacks": ["os.system"]})
    with pytest.raises(ArtifactError, match="callbacks"):
        Forecaster.load(saved)


def test_weights_of_another_network_are_refused(saved: Path) -> None:
    head = yaml.safe_load((saved / "forecaster.yaml").read_text(encoding="utf-8"))
    head["parameters"]["model"]["hidden_size"] = 8
    _forge(saved, parameters=head["parameters"])
    with pytest.raises(ArtifactError, match="weights do not fit"):
        Forecaster.load(saved)


@pytest.mark.parametrize("fails", ["first write", "third write", "move"])
def test_saving_over_a_forecaster_is_whole_or_not_at_all(
    saved: Path, fitted: Forecaster, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _fitted("lstm")
    writes = []

    def sync(handle: int) -> None:
        writes.append(handle)
        if len(writes) == {"first write": 1, "third write": 3, "move": 0}[fails]:
            raise OSError(errno.ENOSPC, "disk full")

    def move(path: Path, target: Path) -> Path:
        if Path(target) == saved and path.name.endswith(".part"):
            raise OSError(errno.ENOSPC, "disk full")
        return original_move(path, target)

    original_move = Path.rename
    monkeypatch.setattr(os, "fsync", sync)
    if fails == "move":
        monkeypatch.setattr(Path, "rename", move)
    with pytest.raises(WriteError, match="cannot write '.*model': there is no room left on the disk.*before is whole"):
        other.save(saved)
    monkeypatch.undo()
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    pd.testing.assert_frame_equal(Forecaster.load(saved).predict(), fitted.predict(), check_exact=True)
    other.save(saved)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    pd.testing.assert_frame_equal(Forecaster.load(saved).predict(), other.predict(), check_exact=True)


def test_saving_over_a_folder_with_other_files_is_refused(saved: Path, fitted: Forecaster) -> None:
    (saved / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ArtifactError, match="holds 'notes.txt' beside the saved forecaster"):
        fitted.save(saved)
    assert (saved / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_what_a_killed_save_left_is_read_and_gone_with_the_next(
    saved: Path, fitted: Forecaster, caplog: pytest.LogCaptureFixture
) -> None:
    saved.rename(saved.with_name(".model.0123abcd.old"))  # as between the two moves of a save
    pd.testing.assert_frame_equal(load(saved).predict(), fitted.predict(), check_exact=True)
    assert "a save to" in caplog.text and "was killed" in caplog.text
    fitted.save(saved)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_moved_folder_still_loads(saved: Path, fitted: Forecaster, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "else" / "where")
    shutil.rmtree(saved)
    loaded = Forecaster.load(str(tmp_path / "else" / "where"))
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict(), check_exact=True)


def test_what_is_not_plain_cannot_be_saved_and_says_why(tmp_path: Path) -> None:
    forecaster = _fitted()
    forecaster._parameters_["accelerator"] = {"accelerator": "cpu", "plugins": [object()]}
    with pytest.raises(ArtifactError, match="not plain data"):
        forecaster.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def _fitted(model: Any = "gru", frame: pd.DataFrame | None = None, **settings: Any) -> Forecaster:
    training = Training(steps=2, batch_size=8)
    quick = {"horizon": 3, "context_length": 6, "training": training, "accelerator": "cpu", "progress": False}
    return Forecaster(model, **{**quick, **settings}).fit(made_frame() if frame is None else frame)


def _forge(folder: Path, **changes: Any) -> None:
    """Change the settings and make the checksums fit, as an attacker would."""
    head = yaml.safe_load((folder / "forecaster.yaml").read_text(encoding="utf-8"))
    (folder / "forecaster.yaml").write_text(yaml.safe_dump({**head, **changes}), encoding="utf-8")
    _sign(folder)


def _sign(folder: Path) -> None:
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    (folder / "checksums.json").write_text(json.dumps(sums), encoding="utf-8")


def _refuse_to_run(*args: Any, **kwargs: Any) -> None:
    pytest.fail(f"code of the artifact was run: {args}, {kwargs}")


def test_of_the_trainer_s_arguments_a_save_keeps_where_it_computes(tmp_path: Path) -> None:
    forecaster = Forecaster(
        "linear", horizon=2, training=Training(steps=2), progress=False,
        accelerator={"accelerator": "cpu", "devices": 1, "gradient_clip_algorithm": "value", "plugins": []},
    ).fit(made_frame())  # fmt: skip
    forecaster.save(tmp_path / "model")
    assert Forecaster.load(tmp_path / "model").accelerator == {"accelerator": "cpu", "devices": 1}
