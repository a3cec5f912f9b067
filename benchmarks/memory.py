"""Peak memory of a fit on a large panel: bytes a row over the frame that is given.

    python benchmarks/memory.py [--rows 5000000]

A small fit runs first, so that libraries and the trainer are loaded; its own peak over that state is the constant.
Then the panel is fitted for a few steps, and the kernel's own record of the highest resident size is read. Linux only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from forecast import Columns, Forecaster, Training

LENGTH = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    arguments = parser.parse_args()
    print("small fit first")
    fit(panel(20 * LENGTH))
    base = reset_peak()
    fit(panel(20 * LENGTH))
    constant = peak() - base
    frame = panel(arguments.rows)
    size = int(frame.memory_usage(deep=True).sum())
    before = reset_peak()
    fit(frame)
    over = peak() - before
    each, rest = over / arguments.rows, (over - constant) / arguments.rows
    print(f"{arguments.rows:,} rows; the frame takes {size / arguments.rows:.0f} bytes a row")
    print(f"fit takes at most {over / 2**20:,.0f} MiB over the frame, {each:.0f} bytes a row")
    print(f"of which {constant / 2**20:.0f} MiB are constant; without them {rest:.0f} bytes a row")


def panel(rows: int) -> pd.DataFrame:
    count = rows // LENGTH
    days = pd.date_range("2000-01-01", periods=LENGTH, freq="h")
    return pd.DataFrame(
        {
            "unique_id": pd.Series(np.repeat([f"series {number}" for number in range(count)], LENGTH), dtype="str"),
            "ds": np.tile(days.to_numpy(), count),
            "y": np.random.default_rng(0).normal(size=count * LENGTH).astype(np.float64),
        }
    )


def fit(frame: pd.DataFrame) -> None:
    training = Training(steps=5, batch_size=64)
    Forecaster("gru", horizon=24, context_length=48, columns=Columns(), training=training, progress=False).fit(frame)


def reset_peak() -> int:
    """Set the record of the highest resident size back to the size now, in bytes, and return it."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return peak()


def peak() -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


if __name__ == "__main__":
    main()
