"""Memory that does not suffice, told as what to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from forecast.errors import ForecastError

ON_CPU = "can't allocate memory"  # of torch's allocator, whose error has no class of its own
ON_MPS = "MPS backend out of memory"


@contextmanager
def within_memory(kind: type[ForecastError], way_out: str) -> Iterator[None]:
    """Turn every way to run out of memory into one error.

    Parameters
    ----------
    kind : type
        Of the error.
    way_out : str
        What to lower, a sentence.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(words in str(error) for words in (ON_CPU, ON_MPS)):
            raise
        said = str(error).strip().partition("\n")[0].rstrip(".")
        raise kind(f"memory does not suffice{f' ({said})' * bool(said)}. {way_out}") from error
