"""Nothing is told to anyone: no name is looked up and no connection is opened, from import to report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command import TINY

WATCHED = """
import sys
TOLD = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request")

def watch(event, arguments):
    if event in TOLD:
        sys.stderr.write(f"network: {event} {arguments}\\n")
        sys.stderr.flush()
        __import__("os")._exit(99)

sys.addaudithook(watch)
"""
WHOLE = """
from forecast.cli import main
runs = {runs!r}
for words in runs:
    sys.argv = ["forecast", *words]
    main()
"""


@pytest.mark.slow
def test_jobs_open_no_connection(tmp_path: Path) -> None:
    runs = (
        ["train", *TINY, "hydra.run.dir=run"],
        ["predict", "run=run", "hydra.run.dir=again"],
        ["backtest", *TINY, "backtest.folds=2", "hydra.run.dir=folds"],
    )
    done = _watched(WHOLE.format(runs=runs), tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "forecast.csv").is_file() and (tmp_path / "folds" / "metrics.csv").is_file()


def test_the_watch_sees_a_connection(tmp_path: Path) -> None:
    done = _watched("import socket; socket.create_connection(('127.0.0.1', 9))", tmp_path)
    assert done.returncode == 99 and "network: socket." in done.stderr


def _watched(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, which ends with 99 at the first use of the network."""
    command = [sys.executable, "-c", WATCHED + script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)
