"""How much the coverage of calibrated intervals differs from one horizon to the next, on M4 Weekly or Hourly.

    FORECAST_DATASETS=FOLDER python benchmarks/spread.py weekly|hourly [--horizons 12] [--windows 4]

Intervals about the (seasonal) naive forecast are calibrated on the four horizons before a horizon, all series together,
and scored on it; so for each of the last twelve horizons of the training file. The test file is not opened. Errors are
measured in units of how far a series moves, by root mean square: over all of its past, or over what lay just before.
Printed for each unit: the mean share that 80 % and 95 % intervals hold, its standard deviation over horizons, and the
mean of the standard errors that a bootstrap over series gives: were series independent, the last two would be alike.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from experiments import row
from intervals import standard_error
from m4 import PARTS, Lengths, Protocol, training_file

from forecast.calibration import Shifts
from forecast.evaluation.baselines import BASELINES

LEVELS = (0.025, 0.1, 0.9, 0.975)
SHARES = {80: (1, 2), 95: (0, 3)}  # places of their bounds among the levels
RECENT = (8, 4, 2, 1)  # horizons just before


class Spread(NamedTuple):
    """Of the share that intervals hold."""

    held_80: float  # mean over horizons
    sd_80: float  # over horizons
    se_80: float  # over series
    held_95: float
    sd_95: float
    se_95: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--horizons", type=int, default=12, help="that are scored")
    parser.add_argument("--windows", type=int, default=4, help="horizons before each that calibrate")
    arguments = parser.parse_args()
    data = training_file(arguments.part)
    row("", *Spread._fields)
    for recent in (None, *RECENT):
        steps = None if recent is None else recent * data.lengths.horizon
        held = coverages(data, horizons=arguments.horizons, windows=arguments.windows, recent=steps)
        row("unit: all of the past" if steps is None else f"unit: the {steps} steps before", *spread(held))


def coverages(data: Protocol, *, horizons: int, windows: int, recent: int | None) -> dict[int, list[np.ndarray]]:
    """Return by share, for each horizon, the last one first, what share of its steps each series (n,) has inside."""
    errors = np.stack(
        [scaled_errors(data, back=back, recent=recent) for back in range(1, horizons + windows + 1)]
    )  # (K, n, H), NaN where a series is too short
    held: dict[int, list[np.ndarray]] = {share: [] for share in SHARES}
    for place in range(horizons):
        known = errors[place + 1 : place + 1 + windows].reshape(-1, errors.shape[2], 1)
        nothing = np.zeros((*known.shape, len(LEVELS)))
        bounds = Shifts.fit(known, nothing, levels=LEVELS, bases=LEVELS).values[:, 0]  # (H, levels)
        scored = errors[place][np.isfinite(errors[place]).all(axis=1)]
        for share, (lower, upper) in SHARES.items():
            inside = (bounds[:, lower] <= scored) & (scored <= bounds[:, upper])
            held[share].append(inside.mean(axis=1))
    return held


def scaled_errors(data: Protocol, *, back: int, recent: int | None) -> np.ndarray:
    """Return the errors (n, H) of the naive forecast of the horizon that ends `back` - 1 horizons before the end."""
    horizon, season = data.lengths
    ends = [len(history) - back * horizon for history in data.histories]
    errors = np.full((len(ends), horizon), np.nan)
    for number, (history, end) in enumerate(zip(data.histories, ends, strict=True)):
        past = history[: max(end, 0)]
        moves = (past[season:] - past[:-season])[-(recent or len(past)) :]
        size = np.sqrt(np.mean(moves**2)) if len(moves) >= 2 * horizon or len(moves) == recent else 0.0
        if size > 0:
            errors[number] = (history[end : end + horizon] - naive(past, data.lengths)) / size
    return errors


def naive(past: np.ndarray, lengths: Lengths) -> np.ndarray:
    """Return the (seasonal) naive forecast (H,)."""
    name = "naive" if lengths.season == 1 else "seasonal_naive"
    method = BASELINES[name]().fit([], horizon=lengths.horizon, seasonality=lengths.season)
    return method.predict([past]).point[0]


def spread(held: dict[int, list[np.ndarray]]) -> Spread:
    """Return mean, standard deviation over horizons, and mean standard error over series, of each share."""
    found: list[float] = []
    for horizons in held.values():
        means = [own.mean() for own in horizons]
        errors = [standard_error(own) for own in horizons]
        found += [float(np.mean(means)), float(np.std(means, ddof=1)), float(np.mean(errors))]
    return Spread(*found)


if __name__ == "__main__":
    main()
