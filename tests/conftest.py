"""Settings that every test runs under, and what several files of tests start from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of processes that tests start, too; read when torch is loaded

import pytest
import torch

if TYPE_CHECKING:
    from forecast import Forecaster


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small tensors are slower on many threads, and results are bit-equal for one number of threads alone."""
    torch.set_num_threads(1)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    """A small forecaster that every test of a file may read."""
    from forecasters import fitted_forecaster  # loads the package, which few files of tests need

    return fitted_forecaster()


@pytest.fixture
def saved(fitted: Forecaster, tmp_path: Path) -> Path:
    """The folder in which it is saved, which a test may spoil."""
    return fitted.save(tmp_path / "model")
