"""A training that was interrupted goes on, and ends bit-equal to one that was not."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from command import forecast
from frames import made_frame
from lightning.pytorch.loggers import CSVLogger
from safetensors.torch import save
from sklearn.base import clone

from forecast import Forecaster, Training
from forecast.networks.recurrent import Recurrent
from forecast.training.module import ForecastModule
from forecast.training.snapshot import alike, dumped, loaded

WORDS = (
    "train", "progress=false", "accelerator=cpu", "horizon=4", "training.steps=24", "training.check_every=2",
    "training.checkpoint_every=4", "training.batch_size=16", "model.layers=2", "model.dropout=0.2",
    "model.hidden_size=4",
)  # fmt: skip
SAME = ("forecast.csv", "metrics.csv", "test.parquet", "model/weights.safetensors")


class Stopped(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("at", [10, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 8, 23))])
@pytest.mark.parametrize(
    "training",
    [
        {},
        {"schedule": "cosine", "gradient_clip": 0.0},
        {"validation": 1, "patience": 9},
        {"validation": 1, "patience": 1},
        {"validation": 1, "weight_averaging": 0.9},
        {"weight_averaging": 0.9},
        {"optimizer": "sgd"},
    ],
    ids=lambda training: "-".join(training) or "plain",
)
def test_a_resumed_fit_is_bit_equal(training: dict[str, Any], at: int, tmp_path: Path) -> None:
    frame = made_frame()
    whole = _forecaster(training).fit(frame)
    with stops(at), suppress(Stopped):  # early stopping may come first
        _forecaster(training).fit(frame, folder=tmp_path)
    resumed = _forecaster(training).fit(frame, folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.predict(), whole.predict(), check_exact=True)
    pd.testing.assert_frame_equal(resumed.history_, whole.history_, check_exact=True)


@pytest.mark.parametrize(
    "numbers",
    [
        {"learning_rate": 1},
        {"learning_rate": np.float32(0.01)},
        {"validation": np.int64(1), "patience": np.int64(9), "refit": False},
    ],
    ids=["whole", "single", "numpy"],
)
def test_a_fit_resumes_whatever_numbers_its_settings_are(numbers: dict[str, Any], tmp_path: Path) -> None:
    whole = _forecaster(numbers).fit(made_frame())
    with stops(10), suppress(Stopped):
        _forecaster(numbers).fit(made_frame(), folder=tmp_path)
    with stops(0):  # it is not begun anew
        resumed = _forecaster(numbers).fit(made_frame(), folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.history_, whole.history_, check_exact=True)


def test_a_finished_fit_is_not_repeated(tmp_path: Path) -> None:
    frame = made_frame()
    first = _forecaster({}).fit(frame, folder=tmp_path)
    with stops(0):
        again = _forecaster({}).fit(frame, folder=tmp_path)
    pd.testing.assert_frame_equal(again.predict(), first.predict(), check_exact=True)


@pytest.mark.parametrize("change", ["data", "seed", "steps", "horizon"])
def test_a_checkpoint_of_another_fit_is_left_alone(
    change: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with stops(12), pytest.raises(Stopped):
        _forecaster({}).fit(made_frame(), folder=tmp_path)
    frame = made_frame(seed=1) if change == "data" else made_frame()
    other = _forecaster({"steps": 22} if change == "steps" else {})
    if change in ("seed", "horizon"):
        other.set_params(**{change: 5})
    expected = clone(other).fit(frame).predict()
    pd.testing.assert_frame_equal(other.fit(frame, folder=tmp_path).predict(), expected, check_exact=True)
    assert "belongs to other data or settings" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_starts_anew(
    damage: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with stops(12), pytest.raises(Stopped):
        _forecaster({}).fit(made_frame(), folder=tmp_path)
    path = next(tmp_path.rglob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-300] if damage is None else damage)
    resumed = _forecaster({}).fit(made_frame(), folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.predict(), _forecaster({}).fit(made_frame()).predict(), check_exact=True)
    assert "cannot be read" in caplog.text


class Bomb:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def _without(state: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in names}


def _reshaped(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.flatten() for name, value in state.items()}


HOSTILE: dict[str, Any] = {
    "no-weights": lambda state: _without(state, "model"),
    "no-step": lambda state: _without(state, "step"),
    "other-shapes": lambda state: {**state, "model": _reshaped(state["model"])},
    "other-moments": lambda state: {**state, "optimizer": {0: {"step": torch.ones(3), "exp_avg": torch.ones(1)}}},
    "strange-moments": lambda state: {**state, "optimizer": {99: {}}},
    "no-numbers": lambda state: {**state, "model": {name: value * torch.nan for name, value in state["model"].items()}},
    "step-of-text": lambda state: {**state, "step": "8"},
    "step-beyond-the-end": lambda state: {**state, "step": 10**30},
    "fewer-losses": lambda state: {**state, "losses": state["losses"][:-1]},
    "no-rate": lambda state: {**state, "peaks": {}},
    "rate-of-text": lambda state: {**state, "peaks": {0: "high"}},
    "callbacks-of-others": lambda state: {**state, "callbacks": {"Averaging": {"average": {}}}},
    "a-list": lambda state: [state],
    "deep": lambda state: {**state, "callbacks": _deep(100)},
}


@pytest.mark.slow
@pytest.mark.parametrize("harm", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_checkpoint_starts_anew(harm: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with stops(9), pytest.raises(Stopped):
        _forecaster({}).fit(made_frame(), folder=tmp_path)
    path = tmp_path / "last.safetensors"
    path.write_bytes(dumped(harm(loaded(path.read_bytes()))))
    resumed = _forecaster({}).fit(made_frame(), folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.predict(), _forecaster({}).fit(made_frame()).predict(), check_exact=True)
    assert "training starts anew" in caplog.text and "training goes on from" not in caplog.text


def test_no_pickle_is_opened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("last.safetensors", "stopped.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    _forecaster({"steps": 4}).fit(made_frame(), folder=tmp_path)
    assert caplog.text.count("cannot be read") == 2 and not (tmp_path / "boom").exists()


ODD = ("[" * 100_000, "9" * 10_000, '{"dict": [[[], 1]]}', '{"tensor": "7"}', "{}", '{"a": 1}')


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_what_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        loaded(save({}, metadata={"state": text}))


def test_every_value_of_a_state_survives() -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    state = {
        1: (1, 2.5, [True, None]), "inf": float("inf"), "text": "é", "shared": [tensor, tensor[0], tensor.T],
        "none": {}, "double": torch.tensor(1e300, dtype=torch.float64), "empty": torch.zeros(0), 0.1: -0.0,
    }  # fmt: skip
    back = loaded(dumped({**state, "nan": float("nan")}))
    assert back.pop("nan") != 0 and alike(back, state)
    assert {key: back[key] for key in (1, "inf", "text", "none", 0.1)} == {
        key: state[key] for key in (1, "inf", "text", "none", 0.1)
    }
    assert all(torch.equal(one, other) for one, other in zip(back["shared"], state["shared"], strict=True))
    assert back["double"] == state["double"]


def test_nothing_else_lies_beside_a_finished_checkpoint(tmp_path: Path) -> None:
    _forecaster({"validation": 1, "weight_averaging": 0.9}).fit(made_frame(), folder=tmp_path)
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(files) == ["last.safetensors", "refit/last.safetensors"]
    assert all(loaded((tmp_path / file).read_bytes())["finished"] for file in files)


@pytest.mark.slow
def test_a_logger_has_the_rows_of_a_run_that_was_not_interrupted(tmp_path: Path) -> None:
    settings = {"validation": 1, "checkpoint_every": 6}
    whole, cut = (CSVLogger(tmp_path / name, name="", version="") for name in ("whole", "cut"))
    _forecaster(settings).fit(made_frame(), logger=whole)
    with stops(15), pytest.raises(Stopped):
        _forecaster(settings).fit(made_frame(), folder=tmp_path / "states", logger=cut)
    again = CSVLogger(tmp_path / "cut", name="", version="")
    _forecaster(settings).fit(made_frame(), folder=tmp_path / "states", logger=again)
    assert (tmp_path / "cut" / "metrics.csv").read_text(encoding="utf-8") == (
        tmp_path / "whole" / "metrics.csv"
    ).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert forecast(*WORDS, f"hydra.run.dir='{folder}'") == 0
    return folder


@pytest.mark.parametrize("fit", ["test", pytest.param("final", marks=pytest.mark.slow)])
def test_a_resumed_run_writes_the_same_files(
    fit: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "a run, cut"
    with stops(14, skip=0 if fit == "test" else 1):
        assert forecast(*WORDS, f"hydra.run.dir='{run}'") == 1
    assert (run / "checkpoints" / fit).is_dir() and not (run / "model").exists()
    assert forecast("train", f"resume={run}", "progress=false") == 0
    for name in SAME:
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert "training goes on from step 12 of 24" in (run / "log.txt").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["a run, cut"]


@pytest.mark.slow
def test_a_finished_run_may_be_resumed_and_stays_what_it_is(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [(whole / name).read_bytes() for name in SAME]
    kept = {path: path.stat().st_mtime_ns for path in (whole / ".hydra").iterdir()}
    monkeypatch.chdir(whole.parent)
    with stops(0):
        assert forecast("train", f"resume={whole.name}") == 0
    assert [(whole / name).read_bytes() for name in SAME] == before
    # Hydra does not write whole: whoever is killed while the same words are written again would lose them.
    assert kept and {path: path.stat().st_mtime_ns for path in (whole / ".hydra").iterdir()} == kept


def _deep(levels: int) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for _ in range(levels):
        nested = {"a": nested}
    return nested


@contextmanager
def stops(at: int, *, skip: int = 0) -> Iterator[None]:
    """Break off the training step `at`, after it was let pass `skip` times."""
    step, left = ForecastModule.training_step, skip

    def training_step(module: ForecastModule, batch: Any, index: int) -> Any:
        nonlocal left
        if module.done == at:
            left -= 1
            if left < 0:
                raise Stopped
        return step(module, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ForecastModule, "training_step", training_step)
        yield


def _forecaster(training: dict[str, Any]) -> Forecaster:
    settings = {"steps": 24, "batch_size": 16, "check_every": 2, "checkpoint_every": 4, **training}
    return Forecaster(
        partial(Recurrent, layers=2, dropout=0.3, hidden_size=4),
        horizon=4,
        context_length=8,
        training=Training(**settings),
        accelerator="cpu",
        progress=False,
    )
