"""An ensemble is saved whole, read bit-equal, and refused where it is damaged."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from forecasters import Far, fitted_ensemble, made_forecaster
from forging import forge, put
from frames import made_frame, made_two_targets
from sklearn.base import clone

from forecast import Columns, Forecaster
from forecast.calibrated import load
from forecast.ensemble import Ensemble
from forecast.errors import ArtifactError, ConfigError
from forecast.saved import artifact


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    return fitted_ensemble()


@pytest.fixture
def saved(fitted: Ensemble, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model")


@pytest.mark.parametrize("joint", [True, False])
def test_what_is_loaded_forecasts_bit_equal(joint: bool, tmp_path: Path) -> None:
    columns = Columns(target=("y", "wind"), joint=joint, past=("temp", "mood"), static=("region",))
    members = [made_forecaster(columns=columns, context_length=9), made_forecaster("linear", columns=columns)]
    ensemble = Ensemble(members, combine="mean", weights="validation", validation=2).fit(made_two_targets())
    loaded = load(ensemble.save(tmp_path / "model"))
    assert isinstance(loaded, Ensemble)
    pd.testing.assert_frame_equal(loaded.predict(), ensemble.predict(), check_exact=True)
    newer = made_two_targets(seed=1)
    pd.testing.assert_frame_equal(loaded.predict(newer), ensemble.predict(newer), check_exact=True)
    np.testing.assert_array_equal(loaded.weights_, ensemble.weights_)
    for name in ("combine", "weights", "validation", "processes", "horizon", "columns"):
        assert getattr(loaded, name) == getattr(ensemble, name), name
    again = clone(loaded).fit(made_two_targets())
    pd.testing.assert_frame_equal(again.predict(), ensemble.predict(), check_exact=True)


def test_a_folder_is_read_as_what_it_holds(fitted: Ensemble, saved: Path, tmp_path: Path) -> None:
    alone = fitted.members_[0].save(tmp_path / "alone")
    assert isinstance(load(str(alone)), Forecaster) and isinstance(load(str(saved)), Ensemble)
    with pytest.raises(ArtifactError, match=r"holds an ensemble. Read it with forecast\.ensemble\.load"):
        Forecaster.load(saved)
    with pytest.raises(FileNotFoundError, match=r"no saved ensemble in .*alone"):
        Ensemble.load(alone)
    with pytest.raises(FileNotFoundError, match="no saved forecaster"):
        load(tmp_path / "nowhere")
    assert isinstance(Forecaster.load(saved / "members" / "1"), Forecaster)


def test_networks_of_ones_own_load_only_where_they_are_allowed(tmp_path: Path) -> None:
    ensemble = Ensemble([made_forecaster(partial(Far, by=1.0)), made_forecaster()]).fit(made_frame())
    ensemble.save(tmp_path / "model")
    loaded = Ensemble.load(tmp_path / "model", allow=(one for one in [Far]))
    pd.testing.assert_frame_equal(loaded.predict(), ensemble.predict(), check_exact=True)
    with pytest.raises(ConfigError, match="Far"):
        load(tmp_path / "model")


def test_a_newer_format_is_refused(saved: Path) -> None:
    newer = artifact.FORMAT + 1
    forge(saved, "ensemble.yaml", put("format", newer))
    with pytest.raises(ArtifactError, match=f"format {newer}.*reads 1 to {newer - 1}.*Upgrade"):
        load(saved)


@pytest.mark.parametrize("place", ["ensemble.yaml", "checksums.json", "members/1/checksums.json"])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_damage_is_found(saved: Path, place: str, how: str) -> None:
    if how == "missing" and place != "ensemble.yaml":
        (saved / place).unlink()
    else:
        content = bytearray((saved / place).read_bytes())
        content[len(content) // 2] ^= 1
        (saved / place).write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged|not whole"):
        load(saved)


def test_a_member_of_another_ensemble_is_found(saved: Path) -> None:
    shutil.rmtree(saved / "members" / "0")
    shutil.copytree(saved / "members" / "1", saved / "members" / "0")
    with pytest.raises(ArtifactError, match=r"members/0/checksums\.json' is damaged"):
        load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"members": 4},
        {"members": "../../etc"},
        {"members": 10**12},
        {"members": -1},
        {"members": 0, "fitted": {"weights": []}},
        {"class": "os.system"},
        {"fitted": {"weights": [1.0]}},
        {"fitted": {"weights": [0.5, 0.5, float("nan")]}},
        {"fitted": {"weights": ["one", "two", "three"]}},
        {"fitted": None},
        {"combine": "os.system"},
        {"weights": {"_target_": "os.system"}},
    ],
)
def test_settings_that_do_not_fit_are_refused(saved: Path, changes: dict[str, Any]) -> None:
    forge(saved, "ensemble.yaml", lambda head: head.update(changes))
    with pytest.raises((ArtifactError, ConfigError)):
        load(saved)


@pytest.mark.parametrize("fails", ["second member", "move"])
def test_saving_is_whole_or_not_at_all(
    saved: Path, fitted: Ensemble, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Ensemble([made_forecaster("linear", seed=7), made_forecaster(seed=8)]).fit(made_frame())
    save, rename = Forecaster.save, Path.rename

    def refuse_second(self: Forecaster, path: Path) -> Path:
        if Path(path).name == "1":
            raise OSError("disk full")
        return save(self, path)

    def refuse_last(self: Path, target: Path) -> Path:
        if Path(target) == saved and self.name.endswith(".part"):
            raise OSError("disk full")
        return rename(self, target)

    if fails == "move":
        monkeypatch.setattr(Path, "rename", refuse_last)
    else:
        monkeypatch.setattr(Forecaster, "save", refuse_second)
    with pytest.raises(OSError, match="disk full"):
        other.save(saved)
    monkeypatch.undo()
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    pd.testing.assert_frame_equal(load(saved).predict(), fitted.predict(), check_exact=True)
    other.save(saved)
    assert sorted(path.name for path in (saved / "members").iterdir()) == ["0", "1"]
    pd.testing.assert_frame_equal(load(saved).predict(), other.predict(), check_exact=True)


def test_nothing_else_is_replaced(saved: Path, fitted: Ensemble, tmp_path: Path) -> None:
    (saved / "members" / "1" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"holds 'members/1/notes\.txt' beside the saved ensemble"):
        fitted.save(saved)
    alone = fitted.members_[0].save(tmp_path / "alone")
    with pytest.raises(ArtifactError, match="is no saved ensemble"):
        fitted.save(alone)
    with pytest.raises(ArtifactError, match="is no saved forecaster"):
        fitted.members_[0].save(saved)
    assert (saved / "members" / "1" / "notes.txt").read_text(encoding="utf-8") == "mine"
