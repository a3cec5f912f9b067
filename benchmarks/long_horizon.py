"""Experiments on ETTh1 under the protocol of the long-horizon papers, channel by channel.

    FORECAST_DATASETS=FOLDER python benchmarks/long_horizon.py --experiment NAME ... --context 96|720
        [--horizons 96 192 336 720] [--seeds 3] [--validation] [setting=value ...]

FOLDER holds etth1.parquet. An experiment is a file of conf/experiment, or of conf/model for a model at its defaults,
such as linear. Each of the 7 columns is a series of one panel, forecast from its own past, z-scored with mean and
deviation of its first 8,640 rows, which are all that training sees. Scored are the windows whose steps lie within the
2,880 rows after the next 2,880 (the test), or with --validation within those next ones, by which settings are chosen;
then no later row is looked at. Contexts may reach back before the span. Printed, by horizon: MSE and MAE over all
windows one step apart, steps and channels, on the z-scored axis; a row "mean" has the means over seeds and the range
of their MSE.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from experiments import ORIGINS, Fit, folder, heading, parsed, row, scored_runs

from forecast import Columns, Panel
from forecast.evaluation.baselines import BASELINES

TRAIN, SPAN = 8640, 2880  # rows to train on, and rows of validation and test each
SEASON = 24
SIMPLE = {"repeat-last": "naive", "seasonal naive": "seasonal_naive"}
COLUMNS = Columns()
Points = Callable[[np.ndarray, np.ndarray], np.ndarray]  # series, ends (N,) -> forecasts (N, H)


class Errors(NamedTuple):
    mse: float
    mae: float


@dataclass(frozen=True)
class Protocol:
    """The rows up to the end of the span that is scored, one series a channel, z-scored.

    Parameters
    ----------
    frame : DataFrame
        Long, each series with the same number of rows.
    train, span : int
        Rows of each series that training sees, and rows at its end that are scored.
    """

    frame: pd.DataFrame
    train: int
    span: int

    @property
    def known(self) -> pd.DataFrame:
        """The rows that training sees."""
        return self.frame[self.frame.groupby(COLUMNS.id).cumcount() < self.train]

    def origins(self, panel: Panel, *, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Return series and ends (N,) of every window whose steps lie within the span."""
        ends = panel.ends[:, None] - horizon - np.arange(self.span - horizon, -1, -1)
        return np.repeat(np.arange(len(panel.ids)), ends.shape[1]), ends.reshape(ends.size)

    def errors(self, panel: Panel, points: Points, *, horizon: int) -> Errors:
        """Return the mean errors of forecasts from every origin, a bounded number of them at a time."""
        series, ends = self.origins(panel, horizon=horizon)
        squared = absolute = 0.0
        for begin in range(0, len(series), ORIGINS):
            part = slice(begin, begin + ORIGINS)
            steps = panel.offsets[series[part], None] + ends[part, None] + np.arange(horizon)
            error = panel.target[steps, 0] - points(series[part], ends[part])
            squared, absolute = squared + float(np.sum(error**2)), absolute + float(np.sum(np.abs(error)))
        return Errors(squared / len(series) / horizon, absolute / len(series) / horizon)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--horizons", type=int, nargs="+", default=[96, 192, 336, 720])
    arguments, overrides = parsed(parser)
    data = protocol(pd.read_parquet(folder() / "etth1.parquet"), validation=arguments.validation)
    heading(*Errors._fields)
    for horizon in arguments.horizons:
        for told, name in SIMPLE.items():
            row(f"{horizon} {told}", *simple(data, name, horizon=horizon))
        for name in arguments.experiment:
            words = [f"context_length={arguments.context}", *overrides]
            score(name, words, data, horizon=horizon, seeds=arguments.seeds)


def protocol(wide: pd.DataFrame, *, validation: bool, train: int = TRAIN, span: int = SPAN) -> Protocol:
    """Return the span that is scored and what lies before it, each column of the table a series; nothing after it."""
    rows = wide.sort_values(COLUMNS.time).iloc[: train + span * (1 if validation else 2)]
    channels = rows.drop(columns=COLUMNS.id).set_index(COLUMNS.time).rename(columns={COLUMNS.target: "OT"})
    seen = channels.iloc[:train]
    scaled = (channels - seen.mean()) / seen.std(ddof=0)
    long = scaled.reset_index().melt(COLUMNS.time, var_name=COLUMNS.id, value_name=COLUMNS.target)
    return Protocol(long, train, span)


def simple(data: Protocol, name: str, *, horizon: int) -> Errors:
    """Return the errors of a simple method."""
    panel = Panel.from_frame(data.frame, COLUMNS)
    method = BASELINES[name]().fit([], horizon=horizon, seasonality=SEASON)

    def points(series: np.ndarray, ends: np.ndarray) -> np.ndarray:
        return method.predict(
            [panel.series(one)[end - 2 * SEASON : end, 0] for one, end in zip(series, ends, strict=True)]
        ).point

    return data.errors(panel, points, horizon=horizon)


def score(name: str, overrides: list[str], data: Protocol, *, horizon: int, seeds: int) -> None:
    """Fit an experiment with each seed, and print its rows."""

    def errors_of(fit: Fit) -> Errors:
        panel = Panel.from_frame(data.frame, fit.panel.columns, freq=fit.panel.freq)
        return data.errors(panel, partial(fit.points, panel), horizon=horizon)

    about = {"horizon": horizon, "seasonality": SEASON, "title": f"{horizon} {name}"}
    scored_runs(name, overrides, data.known, errors_of, runs=seeds, ranged="mse", **about)


if __name__ == "__main__":
    main()
