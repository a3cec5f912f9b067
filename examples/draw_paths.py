"""Draw sample paths with an exported network that reads its own draws (deepar): numpy and onnxruntime alone.

    python examples/draw_paths.py outputs/export/.../graph history.csv

One graph reads the context; the other takes uniform random numbers, draws the value of a step, reads it, and says what
follows. The loop between them is `draw`.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from serve import inputs, read

OF_STEP = ("ahead", "loc", "scale")  # what the first graph tells of every step ahead


def main(folder: Path, history: Path) -> None:
    """Print the median and the quantiles of the paths of each series as CSV."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    start, step = (
        onnxruntime.InferenceSession(folder / manifest["graphs"][name]["file"]) for name in ("start", "step")
    )
    columns, levels, n = manifest["columns"], manifest["levels"], manifest["paths"]
    writer = csv.writer(sys.stdout)
    writer.writerow([columns["id"], "step", "target", "forecast", *(f"q{level:g}" for level in levels)])
    for name, rows in read(history, columns).items():
        random = np.random.default_rng(manifest["seed"])
        uniform = 1 - random.random((manifest["horizon"], n, len(columns["targets"]), 2), dtype=np.float32)
        every = inputs(manifest, name, rows)
        paths = draw(start, step, {wanted.name: every[wanted.name][None] for wanted in start.get_inputs()}, uniform)
        values = np.quantile(paths, [0.5, *levels], axis=0, method="median_unbiased")  # (1 + Q, H, C)
        for at, target in enumerate(columns["targets"]):
            for ahead, numbers in enumerate(values[:, :, at].T, start=1):
                writer.writerow([name, ahead, target, *(f"{number:.6g}" for number in numbers)])


def draw(
    start: onnxruntime.InferenceSession,
    step: onnxruntime.InferenceSession,
    given: dict[str, np.ndarray],
    uniform: np.ndarray,
) -> np.ndarray:
    """Return paths (n, H, C) of one window, from numbers (H, n, C, 2) that are uniform on (0, 1]."""
    names = [wanted.name for wanted in start.get_outputs()]
    held = dict(zip(names, start.run(None, given), strict=True))
    held = {name: part.repeat(uniform.shape[1], axis=0) for name, part in held.items()}  # a row for each path
    ahead = {name: held.pop(name) for name in OF_STEP}
    values = []
    for number, numbers in enumerate(uniform):
        of_step = {name: part[:, number] for name, part in ahead.items()}
        value, *after = step.run(None, {"uniform": numbers, **held, **of_step})
        held = dict(zip(held, after, strict=True))
        values.append(value)
    return np.stack(values, axis=1)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, as behind `| head`; Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
