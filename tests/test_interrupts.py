"""A signal ends training after a whole step: the model so far is kept, and the run goes on bit-equal."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from command import forecast
from frames import made_frame

from forecast import Ensemble, Forecaster, Training
from forecast.training.module import ForecastModule
from forecast.training.snapshot import loaded

WORDS = (
    "train", "progress=false", "accelerator=cpu", "horizon=4", "training.steps=24", "training.batch_size=16",
    "model.dropout=0.2", "model.layers=2", "model.hidden_size=4", "hydra.run.dir=run",
)  # fmt: skip
SAME = ("forecast.csv", "metrics.csv", "test.parquet", "model/weights.safetensors")
needs_signals = pytest.mark.skipif(os.name == "nt", reason="signals between processes are those of POSIX")


@needs_signals
@pytest.mark.parametrize(
    "training",
    [
        {},
        {"validation": 1, "check_every": 4, "refit": False},
        {"validation": 1, "check_every": 4, "weight_averaging": 0.9},
        {"weight_averaging": 0.9, "optimizer": "sgd"},
    ],
    ids=lambda training: "-".join(training) or "plain",
)
def test_an_interrupted_fit_is_fitted_as_far_as_it_got_and_goes_on_bit_equal(
    training: dict[str, Any], tmp_path: Path
) -> None:
    whole = _forecaster(**training).fit(made_frame())
    cut = _forecaster(**training)
    with _signalled(13), pytest.raises(KeyboardInterrupt):
        cut.fit(made_frame(), folder=tmp_path)
    assert np.isfinite(cut.predict()["forecast"]).all()
    pd.testing.assert_frame_equal(cut.history_, whole.history_.head(14), check_exact=True)
    assert [path.name for path in tmp_path.iterdir()] == ["stopped.safetensors"]
    assert loaded((tmp_path / "stopped.safetensors").read_bytes())["step"] == 14
    resumed = _forecaster(**training).fit(made_frame(), folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.history_, whole.history_, check_exact=True)
    pd.testing.assert_frame_equal(resumed.predict(), whole.predict(), check_exact=True)
    assert not list(tmp_path.rglob("stopped.safetensors"))


@needs_signals
def test_what_is_kept_are_the_best_weights_where_training_validates() -> None:
    settings = {"validation": 1, "check_every": 4, "refit": False, "learning_rate": 0.3, "schedule": "constant"}
    cut = _forecaster(**settings)
    with _signalled(18), pytest.raises(KeyboardInterrupt):
        cut.fit(made_frame())
    best = int(cut.history_.set_index("step")["valid_loss"].idxmin())
    expected = _forecaster(**settings)
    with _signalled(best), pytest.raises(KeyboardInterrupt):
        expected.fit(made_frame())
    pd.testing.assert_frame_equal(cut.predict(), expected.predict(), check_exact=True)


@needs_signals
def test_an_interrupted_refit_keeps_the_model_that_was_complete(tmp_path: Path) -> None:
    settings = {"validation": 1, "check_every": 4}
    cut = _forecaster(**settings)
    with _signalled(2, skip=1), pytest.raises(KeyboardInterrupt):
        cut.fit(made_frame(), folder=tmp_path)
    complete = _forecaster(**settings, refit=False).fit(made_frame())
    pd.testing.assert_frame_equal(cut.predict(), complete.predict(), check_exact=True)
    resumed = _forecaster(**settings).fit(made_frame(), folder=tmp_path)
    whole = _forecaster(**settings).fit(made_frame())
    pd.testing.assert_frame_equal(resumed.predict(), whole.predict(), check_exact=True)


@needs_signals
def test_an_interrupted_warm_start_is_what_it_learned_so_far() -> None:
    saved = _forecaster().fit(made_frame())
    before = saved.predict()
    with _signalled(5), pytest.raises(KeyboardInterrupt):
        saved.fit(made_frame(seed=1), warm_start=True)
    assert len(saved.history_) == 6 and not saved.predict().equals(before)


def test_an_interrupt_amid_the_first_step_leaves_nothing_and_signals_as_they_were(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(module: ForecastModule, batch: Any, index: int) -> None:
        raise KeyboardInterrupt

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    warm = _forecaster().fit(made_frame())
    before = warm.predict()
    monkeypatch.setattr(ForecastModule, "training_step", interrupted)
    cold = _forecaster()
    with pytest.raises(KeyboardInterrupt):
        cold.fit(made_frame(), folder=tmp_path)
    assert not hasattr(cold, "panel_") and not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        warm.fit(made_frame(seed=1), warm_start=True)
    pd.testing.assert_frame_equal(warm.predict(), before, check_exact=True)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_an_interrupt_amid_a_later_step_keeps_the_model_and_writes_no_state(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Lightning makes an exit of it; in the middle of a step there is no whole state."""
    loss_of = ForecastModule.training_step

    def interrupted(module: ForecastModule, batch: Any, index: int) -> torch.Tensor:
        loss = loss_of(module, batch, index)
        if module.done == 7:
            raise KeyboardInterrupt
        return loss

    monkeypatch.setattr(ForecastModule, "training_step", interrupted)
    cut = _forecaster()
    with pytest.raises(KeyboardInterrupt):
        cut.fit(made_frame(), folder=tmp_path)
    assert len(cut.history_) == 7 and len(cut.predict()) == 8 and not list(tmp_path.iterdir())


@needs_signals
def test_two_interrupts_in_one_step_are_one_that_a_program_can_catch(tmp_path: Path) -> None:
    cut = _forecaster()
    with _signalled(5, times=2), pytest.raises(KeyboardInterrupt):
        cut.fit(made_frame(), folder=tmp_path)
    assert len(cut.history_) == 5 and not list(tmp_path.iterdir())


@needs_signals
def test_an_interrupt_in_a_step_that_diverges_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    loss_of = ForecastModule.training_step
    monkeypatch.setattr(
        ForecastModule, "training_step",
        lambda module, *batch: loss_of(module, *batch) * (float("nan") if module.done == 5 else 1.0),
    )  # fmt: skip
    cut = _forecaster(on_divergence="lower_rate")
    with _signalled(5), pytest.raises(KeyboardInterrupt):
        cut.fit(made_frame())
    assert len(cut.history_) == 5


@pytest.mark.parametrize("make", [lambda: _forecaster(), lambda: Ensemble([_forecaster(), _forecaster(seed=1)])])
def test_a_fit_that_is_interrupted_before_its_first_step_loses_no_older_one(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(module: ForecastModule, batch: Any, index: int) -> None:
        raise KeyboardInterrupt

    fitted = make().fit(made_frame())
    before = fitted.predict()
    monkeypatch.setattr(ForecastModule, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(made_frame(seed=1))
    pd.testing.assert_frame_equal(fitted.predict(), before, check_exact=True)


@needs_signals
def test_an_interrupted_warm_start_says_what_it_went_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert forecast(*WORDS[:-1], "hydra.run.dir=first") == 0
    with _signalled(5):
        assert (
            forecast("train", *WORDS[1:3], "training.steps=24", "warm_start=first", "test.windows=0", WORDS[-1]) == 130
        )
    card = json.loads(Path("run/card.json").read_text(encoding="utf-8"))
    assert Path(card["went on from"]).name == "first"


@needs_signals
def test_a_finished_run_that_is_resumed_and_interrupted_keeps_its_model(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    shutil.copytree(whole / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("forecast.evaluation.backtest.evaluate", interrupted)
    assert forecast("train", "resume=run") == 130
    for name in SAME:
        assert (tmp_path / "run" / name).read_bytes() == (whole / "run" / name).read_bytes()


@needs_signals
def test_handlers_of_the_program_stay_its_own() -> None:
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with _signalled(5):
            fitted = _forecaster().fit(made_frame())
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1] and len(fitted.history_) == 24


@needs_signals
def test_an_interrupted_ensemble_is_not_fitted_and_goes_on(tmp_path: Path) -> None:
    members = [_forecaster(), _forecaster(seed=1)]
    cut = Ensemble(members)
    with _signalled(5, skip=1), pytest.raises(KeyboardInterrupt):
        cut.fit(made_frame(), folder=tmp_path)
    assert not hasattr(cut, "panel_")
    resumed = Ensemble(members).fit(made_frame(), folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.predict(), Ensemble(members).fit(made_frame()).predict(), check_exact=True)


@needs_signals
@pytest.mark.parametrize(
    ("number", "code", "fit", "step"),
    [
        (signal.SIGINT, 130, 0, "14 of 24"),
        pytest.param(signal.SIGTERM, 143, 0, "14 of 24", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, 1, "24 of 24", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_saves_a_model_and_says_how_to_go_on(
    number: int, code: int, fit: int, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], whole: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with _signalled(13, skip=fit, number=number):
        assert forecast(*WORDS) == code
    assert capsys.readouterr().err.splitlines() == [
        f"forecast: saved the model so far (step {step}): forecast predict run=run",
        "forecast: stopped midway. To go on: forecast train resume=run",
    ]
    assert forecast("predict", "run=run", "hydra.run.dir=predicted") == 0
    assert np.isfinite(pd.read_csv("predicted/forecast.csv")["forecast"]).all()
    assert forecast("train", "resume=run") == 0
    for name in SAME:
        assert (tmp_path / "run" / name).read_bytes() == (whole / "run" / name).read_bytes()


@needs_signals
def test_an_interrupted_backtest_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("backtest", *WORDS[1:], "backtest.folds=2", "backtest.refit=true")
    with _signalled(13, skip=1):
        assert forecast(*words) == 130
    assert capsys.readouterr().err == "forecast: stopped midway. To go on: forecast backtest resume=run\n"
    assert {path.name for path in Path("run/checkpoints/fold-2").iterdir()} == {"stopped.safetensors"}
    assert not Path("run/model").exists()


@needs_signals
@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_from_outside_ends_in_two_lines(number: int, code: int, tmp_path: Path) -> None:
    words = ("train", "training.steps=100000", "training.checkpoint_every=50", "progress=false", "accelerator=cpu")
    process = _started(words, tmp_path)
    process.send_signal(number)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == code
    saved = r"forecast: saved the model so far \(step \d+ of 100000\): forecast predict run=run\n"
    assert re.fullmatch(saved + r"forecast: stopped midway. To go on: forecast train resume=run\n", told), told


@needs_signals
@pytest.mark.slow
def test_the_second_signal_ends_at_once(tmp_path: Path) -> None:
    script = "import runpy, sys, time; from forecast.training.module import ForecastModule as M; s = M.training_step;"
    slow = "M.training_step = lambda m, b, i: (m.done > 60 and time.sleep(60)) or s(m, b, i);"
    run = "sys.argv[0] = 'forecast'; runpy.run_module('forecast', run_name='__main__')"
    words = ("train", "training.checkpoint_every=50", "progress=false", "accelerator=cpu")
    process = _started(words, tmp_path, script=script + slow + run)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=10)[1]
    assert process.returncode == 130 and "Traceback" not in told


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert forecast(*WORDS) == 0
    return folder


def _started(words: tuple[str, ...], folder: Path, *, script: str | None = None) -> subprocess.Popen[str]:
    """Start a true process, and wait for its first checkpoint."""
    begin = ["-m", "forecast"] if script is None else ["-c", script]
    command = [sys.executable, *begin, *words, "hydra.run.dir=run"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 120
    while not list(folder.rglob("last.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.2)
    return process


@contextmanager
def _signalled(at: int, *, skip: int = 0, number: int = signal.SIGINT, times: int = 1) -> Iterator[None]:
    """Send a signal, or some, in the training step `at`, after it was let pass `skip` times."""
    step, left = ForecastModule.training_step, skip

    def training_step(module: ForecastModule, batch: Any, index: int) -> Any:
        nonlocal left
        if module.done == at:
            left -= 1
            if left == -1:
                for _ in range(times):
                    os.kill(os.getpid(), number)
        return step(module, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ForecastModule, "training_step", training_step)
        yield


def _forecaster(*, seed: int = 0, **training: Any) -> Forecaster:
    return Forecaster(
        {"_target_": "forecast.networks.recurrent.Recurrent", "hidden_size": 4, "dropout": 0.3, "layers": 2},
        horizon=4,
        context_length=8,
        training=Training(**{"steps": 24, "batch_size": 16, "checkpoint_every": 100, **training}),
        accelerator="cpu",
        seed=seed,
        progress=False,
    )
