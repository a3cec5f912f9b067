"""Experiments on M4 Weekly or Hourly, scored as the competition does, beside the simple methods that it published.

    FORECAST_DATASETS=FOLDER python benchmarks/m4.py weekly|hourly --experiment NAME ... [--seeds 3] [--ensemble]
        [--validation] [setting=value ...]

FOLDER holds m4_weekly_train.parquet and so on. An experiment is a file of conf/experiment, or of conf/model for a model
at its defaults. Each seed is fitted on the training file and forecasts the test file once; with --validation the last
horizon of the training file is forecast from what lies before it, and the test file is not opened: settings are
chosen by that. Printed: sMAPE and MASE, each the mean over series, and OWA, which is the mean of both relative to
Naive2. A row "mean" has the means over seeds and the range of their OWA; --ensemble adds the median of their forecasts.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from experiments import Fit, folder, heading, parsed, row, scored_runs

from forecast import Columns, Panel
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.metrics import mase, mase_scale, owa, smape

SIMPLE = ("naive", "seasonal_naive", "naive2")
COLUMNS = Columns()


class Lengths(NamedTuple):
    """Of a part of M4, in steps."""

    horizon: int
    season: int  # of MASE and of Naive2


PARTS = {"weekly": Lengths(13, 1), "hourly": Lengths(48, 24)}


class Scores(NamedTuple):
    smape: float
    mase: float
    owa: float


@dataclass(frozen=True)
class Protocol:
    """What is known, what is to be forecast, and how forecasts are scored.

    Parameters
    ----------
    known, after : DataFrame
        The rows before and after the origin of each series.
    lengths : Lengths
        Horizon and season.
    """

    known: pd.DataFrame
    after: pd.DataFrame
    lengths: Lengths

    @cached_property
    def panel(self) -> Panel:
        """What is known, on its grid."""
        return Panel.from_frame(self.known, COLUMNS)

    @cached_property
    def truth(self) -> np.ndarray:
        """What came after (n, H), in the order of the panel."""
        rows = self.after.sort_values([COLUMNS.id, COLUMNS.time]).groupby(COLUMNS.id)[COLUMNS.target]
        values = {name: own.to_numpy() for name, own in rows}
        return np.stack([values[name] for name in self.panel.ids])

    @cached_property
    def histories(self) -> list[np.ndarray]:
        """The known values of each series."""
        return [self.panel.series(number)[:, 0] for number in range(len(self.panel.ids))]

    def simple(self, name: str) -> np.ndarray:
        """Return what a simple method forecasts (n, H)."""
        method = BASELINES[name]().fit([], horizon=self.lengths.horizon, seasonality=self.lengths.season)
        return method.predict(self.histories).point

    def scores(self, points: np.ndarray) -> Scores:
        """Return the scores of forecasts (n, H)."""
        mean = self._means(points)
        return Scores(*mean, owa(*mean, *self._yardstick))

    @cached_property
    def _yardstick(self) -> tuple[float, float]:
        return self._means(self.simple("naive2"))

    @cached_property
    def _scales(self) -> np.ndarray:
        return np.array([mase_scale(history, seasonality=self.lengths.season) for history in self.histories])

    def _means(self, points: np.ndarray) -> tuple[float, float]:
        """Return the means over series of sMAPE and MASE."""
        relative = mase(self.truth, points, scale=self._scales)
        return float(np.mean(smape(self.truth, points))), float(np.nanmean(relative))  # NaN: the series is constant


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--ensemble", action="store_true", help="add the median of the seeds' forecasts")
    arguments, overrides = parsed(parser)
    data = protocol(arguments.part, validation=arguments.validation)
    heading(*Scores._fields)
    for name in SIMPLE:
        row(name, *data.scores(data.simple(name)))
    for name in arguments.experiment:
        score(name, overrides, data, seeds=arguments.seeds, combined=arguments.ensemble)


def protocol(part: str, *, validation: bool) -> Protocol:
    """Return the spans of a part of M4; in validation the test file is not opened."""
    train = training_file(part)
    if not validation:
        return replace(train, after=pd.read_parquet(folder() / f"m4_{part}_test.parquet"))
    return held_back(train.known, train.lengths)


def training_file(part: str) -> Protocol:
    """Return a part of M4 before its origin, with nothing to forecast: the test file is not opened."""
    known = pd.read_parquet(folder() / f"m4_{part}_train.parquet")
    return Protocol(known, known.iloc[:0], PARTS[part])


def held_back(train: pd.DataFrame, lengths: Lengths) -> Protocol:
    """Return the last horizon of each series as what is to be forecast."""
    train = train.sort_values([COLUMNS.id, COLUMNS.time])
    last = train.groupby(COLUMNS.id).cumcount(ascending=False) < lengths.horizon
    return Protocol(train[~last], train[last], lengths)


def score(name: str, overrides: list[str], data: Protocol, *, seeds: int, combined: bool) -> None:
    """Fit an experiment with each seed, and print its rows."""
    points: list[np.ndarray] = []

    def scores_of(fit: Fit) -> Scores:
        points.append(fit.points(fit.panel, np.arange(len(fit.panel.ids)), fit.panel.ends))
        return data.scores(points[-1])

    lengths = {"horizon": data.lengths.horizon, "seasonality": data.lengths.season}
    fits = scored_runs(name, overrides, data.known, scores_of, runs=seeds, ranged="owa", **lengths)
    if combined:
        seconds = sum(fit.seconds for fit in fits)
        row(f"{name}, median of {seeds}", *data.scores(np.median(points, axis=0)), "", "", f"{seconds:.1f}")


if __name__ == "__main__":
    main()
