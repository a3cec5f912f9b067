"""Sweeps in several processes leave what a sweep in one leaves, failures and all."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from command import files_in
from frames import made_frame
from hydra.errors import HydraException
from omegaconf import OmegaConf

from forecast.messages import message
from forecast.run_folder import Claims

ROOT = Path(__file__).parents[1]
WORDS = (
    "train", "-m", "data.path=my.csv", "horizon=4", "model=linear", "model.bypass=false,true,5",
    "training.steps=3", "test.windows=1", "test.baselines=[naive]", "final=false", "accelerator=cpu", "progress=false",
)  # fmt: skip


def test_a_process_of_a_launcher_knows_how_folders_are_named() -> None:
    callbacks = pickle.dumps(Claims())
    OmegaConf.clear_resolver("unused")
    assert isinstance(pickle.loads(callbacks), Claims) and OmegaConf.has_resolver("unused")


@pytest.mark.parametrize(
    ("launcher", "told"),
    [
        (
            "joblib",
            "hydra/launcher=joblib needs a package that is not installed: pip install 'recurrent-forecast[sweeps]'.",
        ),
        ("joblb", "there is no hydra/launcher 'joblb'. Choose one of: joblib, basic, submitit_local, submitit_slurm."),
    ],
)
def test_a_launcher_that_is_not_there_is_told(launcher: str, told: str) -> None:
    error = HydraException(f"In 'hydra/config': Could not find 'hydra/launcher/{launcher}'\n\nAvailable options ...")
    assert message("train", error) == told


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"), ("hydra/launcher=submitit_local",)],
    ids=["joblib", "submitit"],
)
def test_a_sweep_in_several_processes_leaves_what_one_leaves(words: tuple[str, ...], tmp_path: Path) -> None:
    """The last run fails: 5 is neither true nor false."""
    folders = {}
    for name, more in (("one", ()), ("several", words)):
        place = tmp_path / name
        place.mkdir()
        made_frame().to_csv(place / "my.csv", index=False)
        done = subprocess.run(
            [sys.executable, "-m", "forecast", *WORDS, *more], cwd=place, capture_output=True, text=True, timeout=300,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        [folders[name]] = (place / "outputs" / "train").iterdir()
        assert "3 runs, MASE on held-back data" in done.stdout and "run 2 (" in done.stdout
    one, several = folders["one"], folders["several"]
    assert (several / "2" / "failed.txt").read_text(encoding="utf-8") == (one / "2" / "failed.txt").read_text(
        encoding="utf-8"
    )
    for run in ("0", "1"):
        assert files_in(several / run) == files_in(one / run)
        same = (pd.read_csv(folder / run / "forecast.csv") for folder in (one, several))
        pd.testing.assert_frame_equal(*same, check_exact=True)
