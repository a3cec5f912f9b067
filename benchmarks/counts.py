"""What a likelihood of counts is worth: car parts and made sales, by the CRPS, beside Gaussian and quantile regression.

    FORECAST_DATASETS=FOLDER python benchmarks/counts.py [--seeds 3] [--model gru] [--validation]

Monthly sales of 2,509 car parts (71 % zeros), and daily sales of 200 made series whose prices and promotions are known
ahead. The last horizon of each series is held back and forecast once from what lies before it (with --validation the
horizon before it, and the last is not looked at). Every loss has the same network, steps and seeds, at the defaults; a
forecast below zero is raised to zero. Losses of counts go with scaling=mean_abs, Gaussian and quantile regression with
their default scaling and with that one. Printed: the CRPS in pieces, from the deciles, mean over series and seeds; how
far it differs from that of the negative binomial, in percent, with a 95 % interval by a paired bootstrap over series;
the share of the truth in the 80 % intervals; MASE of the point.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd

from forecast import Columns, Forecaster, backtest, make_sales

REFERENCE = "negative_binomial"
LOSSES = (
    (REFERENCE, None),
    ("zero_inflated", None),
    ("poisson", None),
    ("tweedie", None),
    ("gaussian", None),
    ("gaussian", "mean_abs"),
    ("quantile", None),
    ("quantile", "mean_abs"),
)
DRAWS = 10_000  # of the bootstrap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="gru")
    parser.add_argument("--validation", action="store_true", help="score the horizon before the last")
    arguments = parser.parse_args()
    cut = 1 if arguments.validation else 0
    known = Columns(known=("price", "promotion"), minimum=0, unit="pieces")
    show(
        "made sales, 200 series", make_sales(stores=20, items=10, days=400), known, 14, arguments.model,
        seeds=arguments.seeds, cut=cut,
    )  # fmt: skip
    if "FORECAST_DATASETS" in os.environ:
        parts = pd.read_parquet(Path(os.environ["FORECAST_DATASETS"]) / "car_parts.parquet")
        whole = parts[parts["y"].notna().groupby(parts["unique_id"]).transform("all")]
        title = f"car parts, {whole['unique_id'].nunique():,} series"
        show(title, whole, Columns(minimum=0, unit="pieces"), 12, arguments.model, seeds=arguments.seeds, cut=cut)


def show(title: str, frame: pd.DataFrame, columns: Columns, horizon: int, model: str, *, seeds: int, cut: int) -> None:
    """Print the scores of every loss."""
    print(f"\n{title}, horizon {horizon}, {model}, {seeds} seeds")
    print(f"{'':28}{'CRPS':>8}{'beside':>9}{'lowest':>9}{'highest':>9}{'80 % hold':>11}{'MASE':>8}")
    last = frame.groupby("unique_id").cumcount(ascending=False)
    frame = frame[last >= cut * horizon]
    reference: pd.Series | None = None
    for loss, scaling in LOSSES:
        scores = [_scored(frame, columns, horizon, model, loss, scaling, seed=seed) for seed in range(seeds)]
        table = sum(scores[1:], scores[0]) / seeds  # by series
        reference = table["crps"] if reference is None else reference
        beside, low, high = _beside(table["crps"].to_numpy(), reference.to_numpy())
        name = loss if scaling is None else f"{loss}, {scaling}"
        told = "" if loss == REFERENCE else f"{beside:>+8.1f}%{low:>+8.1f}%{high:>+8.1f}%"
        means = table.mean()
        print(f"{name:28}{means['crps']:>8.4f}{told:27}{means['coverage']:>11.3f}{means['mase']:>8.3f}", flush=True)


def _scored(
    frame: pd.DataFrame, columns: Columns, horizon: int, model: str, loss: str, scaling: str | None, *, seed: int
) -> pd.DataFrame:
    """Return the scores of each series."""
    forecaster = Forecaster(
        model, horizon=horizon, columns=columns, loss=loss, scaling=scaling, seed=seed, progress=False
    )
    scored = backtest(forecaster, frame, folds=1, baselines=(), name=model)
    return scored.per_series.set_index("unique_id")[["crps", "coverage", "mase"]]


def _beside(own: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """Return the difference of means in percent of the reference's, and its 95 % interval over series."""
    drawn = np.random.default_rng(0).integers(len(own), size=(DRAWS, len(own)))
    ratios = 100 * (own[drawn].mean(axis=1) / reference[drawn].mean(axis=1) - 1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(100 * (own.mean() / reference.mean() - 1)), float(low), float(high)


if __name__ == "__main__":
    main()
