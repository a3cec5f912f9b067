"""Made errors of models on windows, as the tests of significance read them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.comparison.significance.findings import Findings, findings

MODELS = {"gru": 0.8, "lstm": 0.8, "seasonal_naive": 1.0, "naive": 1.3}


def made_errors(
    series: int = 40, *, folds: int = 1, seeds: int = 1, models: dict[str, float] | None = None, noise: float = 0.1
) -> pd.DataFrame:
    """Errors of each window, as a comparison has them; a model's level times one of the series, and noise."""
    draw = np.random.default_rng(0)
    size = draw.lognormal(0, 0.5, series)
    rows = []
    for model, level in (models or MODELS).items():
        for seed in range(seeds):
            errors = level * size[:, None] * draw.lognormal(0, noise, (series, folds))
            number, fold = np.indices(errors.shape)
            names = [f"s{each}" for each in number.ravel()]
            frame = pd.DataFrame({"series": names, "fold": fold.ravel() + 1, "mase": errors.ravel()})
            rows.append(frame.assign(data="made", horizon=7, model=model, seed=seed, mae=frame["mase"]))
    return pd.concat(rows, ignore_index=True)


def per_series(windows: pd.DataFrame) -> pd.DataFrame:
    keys = ["data", "horizon", "model", "seed", "series"]
    return windows.groupby(keys, sort=False)[["mae", "mase"]].mean().reset_index()


def found_in(windows: pd.DataFrame, **settings: object) -> Findings:
    return findings(per_series(windows), windows, **settings)


def wide_errors(series: int = 40) -> pd.DataFrame:
    return made_errors(series).pivot(index="series", columns="model", values="mase")


def row_of(pairs: pd.DataFrame, model: str, other: str) -> pd.Series:
    [(_, row)] = pairs[(pairs["model"] == model) & (pairs["other"] == other)].iterrows()
    return row
