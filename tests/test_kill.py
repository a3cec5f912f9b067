"""A run that is killed without warning, at any moment and many times over, ends bit-equal to one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import forecast

from forecast.training import checkpoint
from forecast.training.module import ForecastModule

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills copies of this process, which takes a fork"),
]
SAME = ("forecast.csv", "metrics.csv", "model/weights.safetensors")
STEPS = 40
WORDS = (
    "train", "progress=false", "accelerator=cpu", "horizon=4", "test.windows=1", f"training.steps={STEPS}",
    "training.batch_size=16", "model.dropout=0.3", "model.layers=2", "model.hidden_size=4", "logger=none",
)  # fmt: skip
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # as in this process: results are bit-equal for one number alone
RUNS = {  # each is killed five times
    "plain": ("training.checkpoint_every=7",),
    "a state every step": ("training.checkpoint_every=1",),
    "validation": ("training.checkpoint_every=3", "training.validation=1", "training.check_every=4"),
    "averaging": ("training.checkpoint_every=2", "training.weight_averaging=0.9", "optimizer=sgd"),
}


@pytest.mark.parametrize("more", RUNS.values(), ids=RUNS)
def test_a_run_that_is_killed_again_and_again_ends_bit_equal(more: tuple[str, ...], tmp_path: Path) -> None:
    chance = random.Random(" ".join(more))
    whole, run = tmp_path / "whole", tmp_path / "run"
    began = time.monotonic()
    assert _forked(lambda: forecast(*WORDS, *more, f"hydra.run.dir='{whole}'")) == 0
    lasted = time.monotonic() - began
    for kill in range(5):
        words = ("train", f"resume={run}") if (run / ".hydra" / "hydra.yaml").is_file() else (
            *WORDS, *more, f"hydra.run.dir='{run}'"
        )  # fmt: skip
        how = chance.choice([_at_a_step, _amid_a_write, None]) if kill else _at_a_step
        delay = chance.uniform(0.1, 0.8) * lasted if how is None else None
        prepare = None if how is None else how(chance)
        assert _forked(lambda words=words: forecast(*words), prepare=prepare, delay=delay) in (-signal.SIGKILL, 0)
    assert _forked(lambda: forecast("train", f"resume={run}")) == 0
    for name in SAME:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_true_process_that_is_killed_ends_bit_equal(tmp_path: Path) -> None:
    words = (*WORDS, "training.checkpoint_every=5", "training.steps=200")
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert _forked(lambda: forecast(*words, f"hydra.run.dir='{whole}'")) == 0
    for fit in ("test", "final"):
        again = run.is_dir()
        process = subprocess.Popen(
            _command("train", f"resume={run}") if again else _command(*words, f"hydra.run.dir={run}"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ONE_THREAD,
        )
        deadline = time.monotonic() + 120
        while not (run / "checkpoints" / fit / "last.safetensors").is_file() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    done = subprocess.run(_command("train", f"resume={run}"), stdout=subprocess.DEVNULL, env=ONE_THREAD)
    assert done.returncode == 0 and "training goes on from step" in (run / "log.txt").read_text(encoding="utf-8")
    for name in SAME:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "forecast", *words]


def _forked(work: Callable[[], int], *, prepare: Callable[[], None] | None = None, delay: float | None = None) -> int:
    """Return how a copy of this process ended, which has loaded everything; kill it after a while, if asked to."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            torch.set_num_threads(1)
            if prepare is not None:
                prepare()
            code = work()
        finally:
            os._exit(code)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _at_a_step(chance: random.Random) -> Callable[[], None]:
    """Kill in the middle of one of the next steps, of either fit."""
    left = chance.randrange(1, STEPS)
    step = ForecastModule.training_step

    def training_step(module: ForecastModule, batch: Any, index: int) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(module, batch, index)

    return lambda: setattr(ForecastModule, "training_step", training_step)


def _amid_a_write(chance: random.Random) -> Callable[[], None]:
    """Kill while the bytes of one of the next states are half written."""
    left, share = chance.randrange(1, 4), chance.random()
    write = checkpoint.write_whole

    def write_whole(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}.{os.getpid()}.part").write_bytes(content[: int(share * len(content))])
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content)

    return lambda: setattr(checkpoint, "write_whole", write_whole)
