"""Comparisons made up for tests of what shows them: plausible, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecast.comparison.comparison import Comparison
from forecast.evaluation.metrics import METRICS

INTERVALS = ("crps", "wql", "msis", "coverage", "width", "msis_95", "coverage_95", "width_95")
QUANTILES = {"q0.025": -1.96, "q0.1": -1.2816, "q0.9": 1.2816, "q0.975": 1.96}
# Error as a share of that of seasonal_naive, seconds of training, parameters.
MODELS = {
    "gru": (0.72, 21.0, 13_105),
    "lstm": (0.74, 30.0, 17_233),
    "segrnn": (0.69, 12.0, 41_800),
    "deepar": (0.83, 64.0, 26_002),
    "auto_ets": (0.80, 6.0, 0),
    "ridge": (0.86, 0.4, 0),
    "seasonal_naive": (1.00, 0.002, 0),
    "naive": (1.35, 0.0, 0),
}
SEEDLESS = ("auto_ets", "ridge", "seasonal_naive", "naive")
KEYS = ["data", "horizon", "model", "seed"]


def made(
    *,
    data: Sequence[str] = ("electricity", "weather", "sales"),
    horizons: Sequence[int] = (7, 14),
    models: Sequence[str] = tuple(MODELS),
    seeds: int = 2,
    series: int = 12,
    folds: int = 2,
    intervals: bool = True,
    failed: bool = True,
    seed: int = 0,
) -> Comparison:
    """Make a comparison; a model that MODELS does not know takes the place of the one in its turn."""
    rng = np.random.default_rng(seed)
    traits = {name: MODELS.get(name) or list(MODELS.values())[turn % len(MODELS)] for turn, name in enumerate(models)}
    windows, steps, forecasts, histories, calibrations = [], [], [], [], []
    for name in data:
        length = 60 + max(horizons) * folds
        truths = [_history(rng, name, number, length=length) for number in range(series)]
        histories += [truth.iloc[: -min(horizons)] for truth in truths]
        for horizon in horizons:
            for model, (share, _, _) in traits.items():
                # Simple methods that give a point alone have no interval.
                band = intervals and model not in ("naive", "ridge")
                for run in [0] if model in SEEDLESS else range(1, seeds + 1):
                    keys = {"data": name, "horizon": horizon, "model": model, "seed": run}
                    scale = share * (1 + 0.1 * rng.standard_normal())
                    part = _forecasts(rng, truths, keys, scale=scale, folds=folds, horizon=horizon, band=band)
                    forecasts.append(part)
                    windows.append(_windows(rng, part, keys, scale=scale, band=band))
                    steps.append(_steps(rng, keys, scale=scale, horizon=horizon, band=band))
                    if band:
                        levels = np.arange(1, 10) / 10
                        shares = np.clip(levels + 1.5 * (share - 0.8) * (0.5 - levels) + 0.01, 0, 1)
                        calibrations.append(pd.DataFrame({**keys, "level": levels, "share": shares}))
    per_window = pd.concat(windows, ignore_index=True)
    per_series = per_window.groupby([*KEYS, "series"], sort=False)[list(METRICS)].mean().reset_index()
    scores = _scores(per_series, traits)
    leaderboard = _leaderboard(scores, per_series)
    calibration = pd.concat(calibrations) if calibrations else pd.DataFrame(columns=[*KEYS, "level", "share"])
    best = leaderboard.iloc[0]
    pairs = _pairs(leaderboard, count=series)
    return Comparison(
        cells=_cells(scores, traits, folds=folds, failed=failed),
        scores=scores,
        per_series=per_series,
        per_window=per_window,
        per_step=pd.concat(steps, ignore_index=True),
        forecasts=pd.concat(forecasts, ignore_index=True),
        history=pd.concat(histories, ignore_index=True),
        calibration=calibration.groupby([*KEYS[:3], "level"], sort=False)["share"].mean().reset_index(),
        leaderboard=leaderboard,
        pairs=pairs,
        against=pairs[(pairs["model"] == "seasonal_naive") | (pairs["other"] == "seasonal_naive")],
        ranks=_ranks(leaderboard, count=series),
        sentences=[
            f"On {best['data']}, {best['model']} has the lowest error: its MASE is {best['mase']:.3g}.",
            f"It beats seasonal_naive on 71 % of {series} series; the difference is significant at 5 % "
            "(p = 0.003 after Holm's correction, Wilcoxon over series).",
            "The difference between gru and lstm is not significant: these series do not tell them apart.",
        ],
        settings={
            "datasets": list(data), "horizons": list(horizons), "models": list(models), "seeds": seeds,
            "protocol": {"name": "rolling", "folds": folds}, "seasonality": 7,
            "commands": [f"forecast compare 'datasets=[{','.join(data)}]' 'models=[{','.join(models)}]' seeds={seeds}"],
        },
    )  # fmt: skip


def _history(rng: np.random.Generator, name: str, number: int, *, length: int) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=length, freq="D")
    week = 20 * np.sin(2 * np.pi * (np.arange(length) + number) / 7)
    values = 100 * (1 + number) + week + np.cumsum(rng.normal(0, 2, length)) + rng.normal(0, 4, length)
    return pd.DataFrame({"data": name, "series": f"{name} {number + 1}", "time": times, "y": values})


def _forecasts(
    rng: np.random.Generator, truths: list[pd.DataFrame], keys: dict[str, Any], *, scale: float, folds: int,
    horizon: int, band: bool,
) -> pd.DataFrame:  # fmt: skip
    shape, tail = (len(truths), folds, horizon), folds * horizon
    y = np.stack([truth["y"].to_numpy()[-tail:] for truth in truths]).reshape(shape)
    times = np.stack([truth["time"].to_numpy()[-tail:] for truth in truths]).reshape(shape)
    spread = 7 * scale * np.sqrt(1 + np.arange(horizon) / horizon)
    forecast = y + rng.normal(0, 1, shape) * spread
    quantiles = {name: forecast + by * spread if band else np.full(shape, np.nan) for name, by in QUANTILES.items()}
    cutoffs = (times[:, :, :1] - np.timedelta64(1, "D")).astype("datetime64[D]").astype(str)
    numbers = {"time": times, "forecast": forecast, **quantiles, "y": y}
    wide = {
        "series": np.array([truth["series"].iloc[0] for truth in truths])[:, None, None],
        "fold": np.arange(1, folds + 1)[:, None], "cutoff": cutoffs,
    }  # fmt: skip
    whole = {name: np.broadcast_to(value, shape) for name, value in wide.items()} | numbers
    return pd.DataFrame({**keys, **{name: value.ravel() for name, value in whole.items()}})


def _windows(
    rng: np.random.Generator, forecasts: pd.DataFrame, keys: dict[str, Any], *, scale: float, band: bool
) -> pd.DataFrame:
    errors = forecasts.assign(mae=(forecasts["forecast"] - forecasts["y"]).abs())
    groups = errors.groupby(["series", "fold", "cutoff"], sort=False)["mae"]
    table = groups.mean().reset_index().assign(**keys, n=groups.size().to_numpy())
    table["mase"] = table["mae"] / 6
    for metric in METRICS:
        if metric not in table:
            table[metric] = table["mase"] * rng.uniform(0.9, 1.1, len(table))
    table["bias"] = rng.normal(0, scale, len(table))
    table["coverage"], table["coverage_95"] = 0.72 + 0.1 * rng.random(len(table)), 0.9 + 0.06 * rng.random(len(table))
    table[[] if band else list(INTERVALS)] = np.nan
    return table[[*KEYS, "series", "fold", "cutoff", "n", *METRICS]]


def _steps(rng: np.random.Generator, keys: dict[str, Any], *, scale: float, horizon: int, band: bool) -> pd.DataFrame:
    table = pd.DataFrame({**keys, "step": np.arange(1, horizon + 1)})
    for metric in METRICS:
        growth = 0.7 + 0.6 * table["step"] / horizon
        table[metric] = scale * growth * rng.uniform(0.93, 1.07, horizon) if metric != "coverage" else 0.77
    table[[] if band else list(INTERVALS)] = np.nan
    return table


def _scores(per_series: pd.DataFrame, traits: dict[str, tuple[float, float, int]]) -> pd.DataFrame:
    groups = per_series.groupby(KEYS, sort=False)
    scores = groups[list(METRICS)].mean().assign(series_count=groups.size()).reset_index()
    scores["owa"] = scores["mase"] * 0.9
    scores["fit_seconds"] = [traits[model][1] for model in scores["model"]]
    scores["predict_seconds"] = scores["fit_seconds"] / 40 + 0.01
    scores["peak_memory_mb"] = 180 + scores["fit_seconds"] * 3
    scores["parameters"] = [traits[model][2] for model in scores["model"]]
    return scores


def _leaderboard(scores: pd.DataFrame, per_series: pd.DataFrame) -> pd.DataFrame:
    names = ["data", "horizon", "model"]
    costs = ["owa", "fit_seconds", "predict_seconds", "peak_memory_mb", "parameters"]
    groups = scores.groupby(names, sort=False)
    board = groups[[*METRICS, *costs]].mean().assign(seeds=groups.size(), mase_sd=groups["mase"].std()).reset_index()
    errors = per_series.groupby([*names, "series"], sort=False)["mase"].mean().unstack("model")
    ranks = errors.rank(axis=1).groupby(["data", "horizon"]).mean()
    wins = errors.eq(errors.min(axis=1), axis=0).groupby(["data", "horizon"]).sum()
    for place, (data, horizon, model) in board[names].iterrows():
        own, panel = board.loc[place, "mase"], (data, horizon)
        other = board.query("data == @data and horizon == @horizon and model == 'seasonal_naive'")["mase"]
        skill = 1 - own / other.iloc[0] if len(other) else np.nan
        board.loc[place, ["skill", "skill_low", "skill_high"]] = [skill, skill - 0.06, skill + 0.05]
        board.loc[place, ["rank", "wins"]] = [ranks.loc[panel, model], wins.loc[panel, model]]
    return board.sort_values(["data", "horizon", "rank"], key=_in_order(board), ignore_index=True)


def _in_order(board: pd.DataFrame) -> Any:
    order = {name: place for place, name in enumerate(board["data"].unique())}
    return lambda column: column.map(order) if column.name == "data" else column


def _ranks(board: pd.DataFrame, *, count: int) -> pd.DataFrame:
    models = board["model"].nunique()
    difference = 3.031 * np.sqrt(models * (models + 1) / (6 * count))  # near enough for a picture
    ranks = board[["data", "horizon", "model"]].assign(mean_rank=board["rank"])
    return ranks.assign(critical_difference=difference)


def _pairs(board: pd.DataFrame, *, count: int) -> pd.DataFrame:
    pairs = board.merge(board, on=["data", "horizon"], suffixes=("", "_other")).query("model != model_other")
    skill = 1 - pairs["mase"] / pairs["mase_other"]
    table = pairs[["data", "horizon", "model"]].assign(other=pairs["model_other"], metric="mase", series=count)
    table = table.assign(win_rate=0.5 + skill.clip(-0.5, 0.5), skill=skill, skill_low=skill - 0.05)
    table = table.assign(skill_high=skill + 0.05, p=0.02, p_corrected=0.04, significant=skill.abs() > 0.08)
    return table.assign(test="Wilcoxon")


def _cells(
    scores: pd.DataFrame, traits: dict[str, tuple[float, float, int]], *, folds: int, failed: bool
) -> pd.DataFrame:
    costs = ["fit_seconds", "predict_seconds", "peak_memory_mb", "parameters"]
    cells = scores[[*KEYS, *costs]].merge(pd.DataFrame({"fold": range(1, folds + 1)}), how="cross")
    cells = cells.assign(status="done", reason="", hash=[f"{number:064x}" for number in range(len(cells))])
    if not failed:
        return cells
    reason = (
        "series 'weather 3' has 0 in step 17; the log transform takes positive values only. Choose another scaling."
    )
    first = cells.iloc[[0]]
    return pd.concat(
        [cells, first.assign(model="esrnn", status="failed", reason=reason, hash="f" * 64)], ignore_index=True
    )
