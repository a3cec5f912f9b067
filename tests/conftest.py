"""Settings that every test runs under."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of processes that tests start, too; read when torch is loaded

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small tensors are slower on many threads, and results are bit-equal for one number of threads alone."""
    torch.set_num_threads(1)
