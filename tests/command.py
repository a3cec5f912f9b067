"""Helpers that run the command line inside the process of the tests, and look at what it wrote."""

from __future__ import annotations

import io
import logging
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra

from forecast.cli import main

TINY = ("training.steps=3", "progress=false", "accelerator=cpu", "model.hidden_size=4")


def forecast(*words: str) -> int:
    """Run ``forecast WORDS`` and return its exit code; logging, signals and Hydra are as before afterwards."""
    root, own = logging.getLogger(), logging.getLogger("forecast")
    handlers, levels = list(root.handlers), (root.level, own.level)
    interrupt = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["forecast", *words])
        patch.setenv("HYDRA_FULL_ERROR", "1")
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
        finally:
            for handler in set(root.handlers) - set(handlers):
                handler.close()
            root.handlers[:] = handlers
            root.setLevel(levels[0])
            own.setLevel(levels[1])
            signal.signal(signal.SIGINT, interrupt)
            GlobalHydra.instance().clear()
    return 0


def files_in(folder: Path) -> set[str]:
    """Return the paths of all files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def streams_in(folder: Path) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """Work in a folder, and give what the terminal is told, for a fixture that outlives one test's capture."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        yield out, err


def written(content: Any, name: str = "my.csv") -> str:
    """Write a table as text, bytes or a frame into the folder of work, unless it is None, and return its name."""
    if isinstance(content, pd.DataFrame):
        content.to_csv(name, index=False)
    elif content is not None:
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def told_once(said: str, told: str) -> None:
    """Hold that a job ended in one message, which has what a pattern finds."""
    assert said.startswith("forecast: ") and said.count("forecast: ") == 1, said
    assert "Traceback" not in said
    assert re.search(told, said), said
