"""A training that was interrupted goes on, and ends bit-equal to one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from command import forecast
from frames import made_frame
from sklearn.base import clone

from forecast import Forecaster, Training
from forecast.module import ForecastModule
from forecast.networks.recurrent import Recurrent

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
    with _stops(at), suppress(Stopped):  # early stopping may come first
        _forecaster(training).fit(frame, folder=tmp_path)
    resumed = _forecaster(training).fit(frame, folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.predict(), whole.predict(), check_exact=True)
    pd.testing.assert_frame_equal(resumed.history_, whole.history_, check_exact=True)


def test_a_finished_fit_is_not_repeated(tmp_path: Path) -> None:
    frame = made_frame()
    first = _forecaster({}).fit(frame, folder=tmp_path)
    with _stops(0):
        again = _forecaster({}).fit(frame, folder=tmp_path)
    pd.testing.assert_frame_equal(again.predict(), first.predict(), check_exact=True)


@pytest.mark.parametrize("change", ["data", "seed", "steps", "horizon"])
def test_a_checkpoint_of_another_fit_is_left_alone(
    change: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with _stops(12), pytest.raises(Stopped):
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
    with _stops(12), pytest.raises(Stopped):
        _forecaster({}).fit(made_frame(), folder=tmp_path)
    path = next(tmp_path.rglob("*.ckpt"))
    path.write_bytes(path.read_bytes()[:-300] if damage is None else damage)
    resumed = _forecaster({}).fit(made_frame(), folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.predict(), _forecaster({}).fit(made_frame()).predict(), check_exact=True)
    assert "cannot be read" in caplog.text


def test_a_checkpoint_holds_tensors_and_plain_values_alone(tmp_path: Path) -> None:
    _forecaster({"validation": 1, "weight_averaging": 0.9}).fit(made_frame(), folder=tmp_path)
    for path in tmp_path.rglob("*.ckpt"):
        assert torch.load(path, weights_only=True)["finished"]
    assert not list(tmp_path.rglob("*.part"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert forecast(*WORDS, f"hydra.run.dir='{folder}'") == 0
    return folder


@pytest.mark.parametrize("fit", ["test", "final"])
def test_a_resumed_run_writes_the_same_files(
    fit: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "a run, cut"
    with _stops(14, skip=0 if fit == "test" else 1), pytest.raises(Stopped):
        forecast(*WORDS, f"hydra.run.dir='{run}'")
    assert (run / "checkpoints" / fit).is_dir() and not (run / "model").exists()
    assert forecast("train", f"resume={run}", "progress=false") == 0
    for name in SAME:
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert "training goes on from step 12 of 24" in (run / "log.txt").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["a run, cut"]


def test_a_finished_run_may_be_resumed_and_stays_what_it_is(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [(whole / name).read_bytes() for name in SAME]
    monkeypatch.chdir(whole.parent)
    with _stops(0):
        assert forecast("train", f"resume={whole.name}") == 0
    assert [(whole / name).read_bytes() for name in SAME] == before


@pytest.mark.slow
def test_control_c_ends_in_one_line_and_the_run_goes_on(tmp_path: Path) -> None:
    words = ("train", "training.steps=100000", "training.checkpoint_every=50", "progress=false", "accelerator=cpu")
    command = [sys.executable, "-m", "forecast", *words, "hydra.run.dir=run"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert told == "forecast: stopped midway. To go on: forecast train resume=run\n"


@contextmanager
def _stops(at: int, *, skip: int = 0) -> Iterator[None]:
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
