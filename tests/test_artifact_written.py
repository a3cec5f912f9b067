"""A forecaster is saved whole or not at all, over what was saved before and nothing else."""

from __future__ import annotations

import errno
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from forecasters import fitted_forecaster
from forging import FILES
from safetensors.numpy import load_file

from forecast import Forecaster
from forecast.calibrated import load
from forecast.errors import ArtifactError, TrainingError, WriteError
from forecast.networks.recurrent import Recurrent


def test_a_save_that_fails_says_that_it_is_a_save(tmp_path: Path) -> None:
    forecaster = fitted_forecaster()
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
            fitted_forecaster(model)
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


@pytest.mark.parametrize("fails", ["first write", "third write", "move"])
def test_saving_over_a_forecaster_is_whole_or_not_at_all(
    saved: Path, fitted: Forecaster, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = fitted_forecaster("lstm")
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
    forecaster = fitted_forecaster()
    forecaster._parameters_["accelerator"] = {"accelerator": "cpu", "plugins": [object()]}
    with pytest.raises(ArtifactError, match="not plain data"):
        forecaster.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
