"""How long a person waits before anything happens: whole processes, each beside `import numpy` in the same round.

    python benchmarks/startup.py [--rounds 9]

Printed: the median seconds of each command, less those of an empty Python, and their ratio to `import numpy`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import forecast": ["-c", "import forecast"],
    "forecast --help": ["-m", "forecast", "--help"],
    "forecast train --help": ["-m", "forecast", "train", "--help"],
    "a wrong setting": ["-m", "forecast", "train", "horizon=soon"],
    "from forecast import Forecaster": ["-c", "from forecast import Forecaster"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {label: [] for label in COMMANDS}
    for number in range(rounds + 1):
        for label, words in COMMANDS.items():
            taken = timed(words)
            if number:  # the first round warms the disk's cache
                seconds[label].append(taken)
    median = {label: float(np.median(times)) for label, times in seconds.items()}
    empty = median["python -c pass"]
    for label, value in median.items():
        ratio = (value - empty) / (median["import numpy"] - empty)
        over = max(value - empty, 0)
        print(f"{label:32} {value:6.3f} s   {over:6.3f} s over an empty Python   {ratio:6.2f} x import numpy")


def timed(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], capture_output=True, check=False)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
