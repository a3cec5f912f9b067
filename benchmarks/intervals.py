"""Intervals on M4 Weekly or Hourly, as trained and calibrated, beside those of simple methods.

    FORECAST_DATASETS=FOLDER python benchmarks/intervals.py weekly|hourly --experiment NAME ... [--seeds 3]
        [--validation] [setting=value ...]

FOLDER holds m4_weekly_train.parquet and so on; an experiment is a file of conf/experiment or conf/model, fitted on the
training file with its last calibration.windows horizons (2 unless given) held back to calibrate, and then again on all
of it. The test file is forecast once; with --validation the last horizon of the training file stands for it, and
settings are chosen by that. Printed: 100 times the weighted quantile loss over the deciles, MASE of the point, MSIS of
the 95 % interval, the share of the truth that the 80 % and 95 % intervals hold, and in how many standard errors, by a
bootstrap over series, that share differs from what it should be.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from experiments import Fit, heading, parsed, row, scored_runs
from m4 import PARTS, Protocol, protocol
from scipy.special import ndtri

from forecast.calibrated import Calibrated
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.metrics import coverage, mase, mase_scale, msis, weighted_quantile_loss
from forecast.evaluation.tables import DECILES, INTERVALS
from forecast.predictor import Predictor

LEVELS = tuple(sorted({*DECILES, *sum(INTERVALS.values(), ())}))
DRAWS = 2000  # of the bootstrap
SIMPLE = ("naive", "seasonal_naive")


class Scores(NamedTuple):
    """Of forecasts with quantiles."""

    wql_100: float  # times 100: three digits behind the point would not tell small ones apart
    mase: float
    msis: float
    held_80: float
    off_80: float  # in standard errors
    held_95: float
    off_95: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    arguments, overrides = parsed(parser)
    data = protocol(arguments.part, validation=arguments.validation)
    if not any(word.startswith("calibration.windows=") for word in overrides):
        overrides.append("calibration.windows=2")
    heading(*Scores._fields)
    for name in SIMPLE:
        row(name, *scores(data, *_simple(data, name)))
    for name in arguments.experiment:
        _runs(name, overrides, data, seeds=arguments.seeds)


def scores(data: Protocol, point: np.ndarray, quantiles: np.ndarray, levels: Sequence[float] = LEVELS) -> Scores:
    """Score points (n, H) and quantiles (n, H, Q); NaN for an interval whose levels are not among those given."""
    at = {level: quantiles[..., number] for number, level in enumerate(levels)}
    nothing = np.full_like(point, np.nan)
    scale = np.array([mase_scale(history, seasonality=data.lengths.season) for history in data.histories])
    deciles = np.stack([at.get(level, nothing) for level in DECILES], axis=-1)
    bounds = {end: [at.get(level, nothing) for level in interval] for end, interval in INTERVALS.items()}
    held = {end: coverage(data.truth, *pair) for end, pair in bounds.items()}  # of each series
    return Scores(
        wql_100=100 * float(weighted_quantile_loss(data.truth, deciles, DECILES)),
        mase=float(np.nanmean(mase(data.truth, point, scale=scale))),
        msis=float(np.mean(msis(data.truth, *bounds["_95"], share=0.95, scale=scale))),
        held_80=float(held[""].mean()),
        off_80=(held[""].mean() - 0.8) / standard_error(held[""]),
        held_95=float(held["_95"].mean()),
        off_95=(held["_95"].mean() - 0.95) / standard_error(held["_95"]),
    )


def standard_error(held: np.ndarray) -> float:
    """Return the standard error of the mean over series (n,), by a bootstrap over them."""
    drawn = np.random.default_rng(0).integers(len(held), size=(DRAWS, len(held)))
    return float(held[drawn].mean(axis=1).std())


def _simple(data: Protocol, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, H) and quantiles (n, H, Q) of a simple method, normal about its point."""
    method = BASELINES[name]().fit([], horizon=data.lengths.horizon, seasonality=data.lengths.season)
    point, spread = method.predict(data.histories)
    return point, point[..., None] + spread[..., None] * ndtri(np.asarray(LEVELS))


def _runs(name: str, overrides: list[str], data: Protocol, *, seeds: int) -> None:
    """Fit an experiment with each seed, and print its rows: calibrated, and as trained."""
    plain: list[Scores] = []

    def scores_of(fit: Fit) -> Scores:
        if isinstance(fit.predictor, Calibrated):
            plain.append(_of(fit.predictor.predictor_, fit, data))
        return _of(fit.predictor, fit, data)

    lengths = {"horizon": data.lengths.horizon, "seasonality": data.lengths.season}
    scored_runs(
        name, overrides, data.known, scores_of, runs=seeds, ranged="wql_100", title=f"{name}, calibrated", **lengths
    )
    for number, own in enumerate(plain):
        row(f"{name}, as trained, run {number + 1}", *own)
    if len(plain) > 1:
        row(f"{name}, as trained, mean", *map(float, np.mean(plain, axis=0)))


def _of(predictor: Predictor, fit: Fit, data: Protocol) -> Scores:
    """Return the scores of the forecasts after the end of each series."""
    levels = [level for level in LEVELS if predictor.covers(level)]
    panel = fit.panel
    values = predictor.predict_origins(panel, np.arange(len(panel.ids)), panel.ends, levels=levels)[:, :, 0]
    return scores(data, values[..., 0], values[..., 1:], levels)


if __name__ == "__main__":
    main()
