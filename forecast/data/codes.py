"""Made status codes of machines, and alarms that follow a certain order of them: what memory is for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.data.generator import check_counts

FIRST, SECOND = "overheat", "vent"  # in this order an alarm follows, in the other none
OTHERS = ("run", "load", "idle", "check")
DELAY = 6  # steps from the latter of the two to the alarm
_APART = 5  # steps between the two, at most
_LASTS = 2  # steps of an alarm
_SURE = 0.95  # share of orders that an alarm follows
_EVERY = 18.0  # steps from one pair to the next, on average, beyond those that it takes


def make_codes(*, machines: int = 12, steps: int = 600, seed: int = 0) -> pd.DataFrame:
    """Make the status codes of machines and their alarms.

    Now and then a machine overheats and vents, one to five steps apart, in either order. Six steps after the latter of
    the two an alarm of two steps follows where it overheated first, and none where it vented first: how often each code
    was there says nothing, and neither does the last of them alone. One alarm in twenty stays out. The same arguments
    always make the same table.

    Parameters
    ----------
    machines, steps : int
        Number of series, and the length of each.
    seed : int
        Not negative.

    Returns
    -------
    One row per machine and step, in that order: id, time and target (1 in an alarm, else 0) under the default names of
    `Columns`; ``code``.

    Raises
    ------
    ValueError
        If a number is too small or not whole.
    """
    check_counts(machines=machines, steps=steps, seed=seed)
    rng, columns = np.random.default_rng(seed), Columns()
    ids = np.repeat([f"made/machine_{number}" for number in range(1, machines + 1)], steps)
    made = [_machine(rng, steps) for _ in range(machines)]
    return pd.DataFrame(
        {
            columns.id: ids,
            columns.time: np.tile(np.arange(steps), machines),
            columns.target: np.concatenate([alarms for _, alarms in made]),
            "code": np.concatenate([codes for codes, _ in made]),
        }
    )


def _machine(rng: np.random.Generator, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes and alarms of one machine: (steps,) each."""
    codes, alarms = rng.choice(OTHERS, steps).astype(object), np.zeros(steps)
    first = int(rng.exponential(_EVERY))
    while first < steps:
        second = first + int(rng.integers(1, _APART + 1))
        in_order, is_sure = rng.random(2) < (0.5, _SURE)
        for step, code in zip((first, second), (FIRST, SECOND) if in_order else (SECOND, FIRST), strict=True):
            if step < steps:
                codes[step] = code
        if in_order and is_sure:
            alarms[second + DELAY : second + DELAY + _LASTS] = 1
        first = second + 1 + int(rng.exponential(_EVERY))
    return codes, alarms
