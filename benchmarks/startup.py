"""How long a person waits before anything happens: whole processes, each beside `import numpy` in the same round.

    python benchmarks/startup.py [--rounds 9]

Printed: the median seconds of each command, less those of an empty Python, and their ratio to `import numpy`; and how
long `forecast train` takes to its first optimiser step on the data of the demo, beside `import lightning.pytorch`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time

import numpy as np

# The job in a process that ends with its first step. torch is loaded before the settings are read and not after, which
# changes nothing in the sum.
FIRST_STEP = """
import os, sys
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line sets it before torch is loaded
from torch.optim.optimizer import register_optimizer_step_post_hook
register_optimizer_step_post_hook(lambda *_: os._exit(0))
from forecast.cli import main
main()
"""
EMPTY, NUMPY, LIGHTNING = "python -c pass", "import numpy", "import lightning.pytorch"
WRONG, TRAIN = "a wrong setting", "forecast train, first step"
COMMANDS = {
    EMPTY: ["-c", "pass"],
    NUMPY: ["-c", "import numpy"],
    "import forecast": ["-c", "import forecast"],
    "forecast --help": ["-m", "forecast", "--help"],
    "forecast train --help": ["-m", "forecast", "train", "--help"],
    WRONG: ["-m", "forecast", "train", "horizon=soon"],
    "from forecast import Forecaster": ["-c", "from forecast import Forecaster"],
    LIGHTNING: ["-c", "import lightning.pytorch"],
    TRAIN: ["-c", FIRST_STEP, "train", "experiment=demo"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {label: [] for label in COMMANDS}
    for number in range(rounds + 1):
        for label, words in COMMANDS.items():
            taken = timed(words, code=2 if label == WRONG else 0)
            if number:  # the first round warms the disk's cache
                seconds[label].append(taken)
    median = {label: float(np.median(times)) for label, times in seconds.items()}
    for label, value in median.items():
        ratio = (value - median[EMPTY]) / (median[NUMPY] - median[EMPTY])
        over = max(value - median[EMPTY], 0)
        print(f"{label:32} {value:6.3f} s   {over:6.3f} s over an empty Python   {ratio:6.2f} x import numpy")
    print(f"{TRAIN}: {median[TRAIN] / median[LIGHTNING]:.2f} x {LIGHTNING}")


def timed(words: list[str], *, code: int) -> float:
    with tempfile.TemporaryDirectory() as folder:  # where a run writes
        began = time.perf_counter()
        done = subprocess.run([sys.executable, *words], capture_output=True, cwd=folder, check=False, text=True)
        taken = time.perf_counter() - began
    if done.returncode != code:
        raise SystemExit(f"{words} failed: {done.stderr}")
    return taken


if __name__ == "__main__":
    main()
