"""Members trained in processes of their own are the same, and end together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from forecasters import Far, fitted_ensemble, made_forecaster
from frames import made_frame

from forecast import Training
from forecast.ensemble import Ensemble
from forecast.errors import TrainingError


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    return fitted_ensemble()


@pytest.mark.slow
def test_several_processes_change_no_bit(
    fitted: Ensemble, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        members = [*fitted.members, made_forecaster(partial(Far, by=1.0), seed=4, progress=True)]
        alone = Ensemble(members).fit(made_frame())
        with caplog.at_level(logging.INFO, logger="forecast"):
            ensemble = Ensemble(members, processes=2).fit(made_frame(), folder=tmp_path)
    finally:
        torch.set_num_threads(threads)
    pd.testing.assert_frame_equal(ensemble.predict(), alone.predict(), check_exact=True)
    pd.testing.assert_frame_equal(ensemble.history_, alone.history_, check_exact=True)
    assert caplog.text.count("of 4 is trained.") == 4
    assert capfd.readouterr() == ("", "")
    assert len(list(tmp_path.glob("member-?/*.safetensors"))) == 4
    for ours, theirs in zip(ensemble.members_, alone.members_, strict=True):
        assert (ours.progress, repr(ours.model)) == (theirs.progress, repr(theirs.model))
        for file in sorted(path.name for path in ours.save(tmp_path / "ours").iterdir()):
            assert (tmp_path / "ours" / file).read_bytes() == (theirs.save(tmp_path / "theirs") / file).read_bytes()


@pytest.mark.slow
def test_an_error_in_a_process_names_its_member_and_ends_the_others() -> None:
    wild = Training(steps=5, learning_rate=1e30, gradient_clip=0, schedule="constant")
    members = [made_forecaster(steps=10**6), made_forecaster("linear", training=wild, loss="mse")]
    began = time.monotonic()
    with pytest.raises(TrainingError, match=r"^member 1 \(linear, seed 0\): the loss is not finite at step"):
        Ensemble(members, processes=2).fit(made_frame())
    assert time.monotonic() - began < 120


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends the signal of a terminal")
def test_an_interrupt_ends_every_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from frames import made_frame\n"
        "from forecast import Forecaster, Training\n"
        "from forecast.ensemble import Ensemble\n"
        "if __name__ == '__main__':\n"
        "    endless = Training(steps=10**7, batch_size=8, checkpoint_every=10)\n"
        "    members = [Forecaster('gru', horizon=3, training=endless, seed=seed) for seed in (0, 1)]\n"
        "    Ensemble(members, processes=2).fit(made_frame(), folder=__import__('pathlib').Path('made'))\n",
        encoding="utf-8",
    )
    command = [sys.executable, str(script)]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 240
        while len(list(tmp_path.glob("made/member-?/*.safetensors"))) < 2:  # both train
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=60)  # the end of standard error: every process has let go of it
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == -signal.SIGINT and said.count("KeyboardInterrupt") == 1
