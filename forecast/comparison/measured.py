"""What a cell costs: the most memory that a process has held meanwhile."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_TRIED = 8_000_000  # bytes that are held for a moment, to see whether the system notices


@contextmanager
def peak_memory() -> Iterator[Callable[[], float]]:
    """Give a function that returns by how many MB the process has grown at most since the block began.

    That is the resident memory of the process, weights and windows on the CPU among it, as the kernel counts it; what
    lies on a GPU is not counted. Memory that was freed before but not yet given back is used again without growth: of
    several cells in one process later ones may show less than they would alone. NaN where the system does not tell:
    others than Linux know the peak since the process started, and some sandboxes only what is held now.
    """
    before = _restarted() if notices_peaks() else np.nan
    yield lambda: max(_kilobytes("VmHWM") - before, 0.0) / 1000


@cache
def notices_peaks() -> bool:
    """Return whether the system tells of memory that was held and given back."""
    before = _restarted()
    with mmap.mmap(-1, _TRIED) as held:
        held.write(bytes(_TRIED))
    return _kilobytes("VmHWM") - before > _TRIED / 2 / 1000


def _restarted() -> float:
    """Begin the peak anew, and return it, in kB: what is held now; NaN where it is of long ago."""
    try:
        _RESET.write_text("5", encoding="utf-8")
    except OSError:
        return np.nan
    return _kilobytes("VmHWM")


def _kilobytes(name: str) -> float:
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
    except (OSError, StopIteration):
        return np.nan
