"""The tables of docs/benchmarks.md in short: a row for each data set, as README has them.

    python benchmarks/summary.py [NAME ...] [--store comparisons] [--models all] [--seeds 1] [--steps N] [--processes 1]

Cells that the store lacks are run first, so this follows `benchmarks/tables.py`. Printed is the MASE of simple methods,
of two networks named beforehand, and of the median network; and how many of the networks differ from the better of
naive and seasonal naive for the better, or for the worse, significantly at 5 % after Holm's correction; mixed are those
that are better on most series or windows but worse in the mean, or the other way about. At the end over all data sets.
Networks that failed, and data sets with too few windows for a test, count for nothing there.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import pandas as pd
from tables import PLANS, Plan, at_hand, compared, parsed

from forecast import load_data
from forecast.comparison.comparison import Comparison
from forecast.config import networks
from forecast.errors import ForecastError

SHOWN = ("naive", "seasonal_naive", "ridge", "gradient_boosting", "gru", "segrnn")
HEADS = ("data set", *SHOWN, "median network", "networks better; worse; mixed; not told apart")


class Verdicts(NamedTuple):
    """Numbers of networks."""

    better: int
    worse: int
    mixed: int  # significantly different, but better by one measure and worse by another
    level: int  # not told apart


def main() -> None:
    arguments = parsed()
    print(f"| {' | '.join(HEADS)} |\n| --- |{' ---: |' * (len(HEADS) - 1)}", flush=True)
    refused: list[str] = []
    together = Verdicts(0, 0, 0, 0)
    for name in arguments.names or at_hand():
        try:
            data = load_data(name, fetch=False)
            found = compared(data, PLANS.get(name, Plan(data.protocol or "rolling")), arguments)
        except ForecastError as error:
            refused.append(f"{name}: {error}")
            continue
        told = verdicts(found)
        together = Verdicts(*map(sum, zip(together, told, strict=True)))
        print(f"| {' | '.join([name, *errors(found), '; '.join(map(str, told))])} |", flush=True)
    better, worse, mixed, level = together
    print(f"\nOf {sum(together)} tested: {better} better, {worse} worse, {mixed} mixed, {level} not told apart.")
    if refused:
        sys.exit("\n".join(refused))


def errors(found: Comparison) -> list[str]:
    """Return the MASE of those that are shown, and of the median network."""
    board = found.leaderboard.set_index("model")["mase"]
    own = board[board.index.isin(networks())]
    return [*(_written(board.get(name)) for name in SHOWN), _written(own.median())]


def verdicts(found: Comparison) -> Verdicts:
    """Count the networks by what the test against the method to beat says."""
    pairs = found.against[found.against["model"].isin(networks())]
    told = pairs[pairs["significant"]]
    better = int(((told["win_rate"] > 0.5) & (told["skill"] > 0)).sum())
    worse = int(((told["win_rate"] < 0.5) & (told["skill"] < 0)).sum())
    return Verdicts(better, worse, len(told) - better - worse, int(pairs["p"].notna().sum()) - len(told))


def _written(value: float | None) -> str:
    return "\N{EN DASH}" if value is None or pd.isna(value) else f"{value:.3f}"


if __name__ == "__main__":
    main()
