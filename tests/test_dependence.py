"""Paths hang together over the horizon: sums have the spread that they have in the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from forecast import Ensemble, Forecaster, Training
from forecast.batch import Sizes
from forecast.losses.dependence import MOST_FACTORS, Dependence

HORIZON = 8


def _random_walks(series: int = 6, rows: int = 400) -> pd.DataFrame:
    steps = np.random.default_rng(0).normal(0, 1, (series, rows)).cumsum(axis=1)
    ids = np.repeat([f"s{number}" for number in range(series)], rows)
    times = np.tile(pd.date_range("2024-01-01", periods=rows, freq="D"), series)
    return pd.DataFrame({"unique_id": ids, "ds": times, "y": steps.reshape(-1)})


@pytest.mark.parametrize("loss", ["gaussian", "quantile", "mae", "mixture"])
def test_the_sum_of_a_random_walk_over_the_horizon_spreads_as_it_does(loss: str) -> None:
    """Its variance is 1² + 2² + ... + 8² = 204 times that of a step; of independent steps 1 + 2 + ... + 8 = 36."""
    training = Training(steps=150, batch_size=128, learning_rate=5e-3)
    settings = {"horizon": HORIZON, "context_length": 16, "seasonality": 1, "training": training, "progress": False}
    forecaster = Forecaster("linear", loss=loss, **settings).fit(_random_walks())
    paths = forecaster.sample(paths=4000)
    sums = paths.groupby(["unique_id", "sample"])["forecast"].sum().unstack("sample")
    spread = float(sums.std(axis=1).mean())
    assert spread == pytest.approx(np.sqrt(204), rel=0.15)
    last = paths.groupby(["unique_id", "sample"])["forecast"].last().unstack("sample").std(axis=1).mean()
    assert float(last) == pytest.approx(np.sqrt(8), rel=0.2)


@pytest.mark.parametrize("combine", ["mean", "median"])
@pytest.mark.parametrize("models", [("gru", "gru", "gru"), ("gru", "deepar")], ids=str)
def test_paths_of_an_ensemble_spread_as_its_quantiles_do(models: tuple[str, ...], combine: str) -> None:
    frame = _random_walks()
    frame["y"] = np.random.default_rng(1).normal(size=len(frame))  # nothing hangs together: what cancels would show
    settings = {"horizon": 4, "context_length": 12, "training": Training(steps=30, batch_size=64), "progress": False}
    members = [Forecaster(model, loss="gaussian", seed=seed, **settings) for seed, model in enumerate(models)]
    ensemble = Ensemble(members, combine=combine).fit(frame)
    bounds = ensemble.predict(levels=[0.1, 0.9])
    width = float((bounds["q0.9"] - bounds["q0.1"]).mean())
    drawn = ensemble.sample(paths=500).groupby(["unique_id", "ds"])["forecast"].quantile([0.1, 0.9]).unstack()
    assert float((drawn[0.9] - drawn[0.1]).mean()) == pytest.approx(width, rel=0.1)


def test_paths_of_an_ensemble_of_events_are_0_and_1_and_as_likely_as_its_forecast() -> None:
    settings = {"horizon": 3, "context_length": 12, "training": Training(steps=5), "progress": False}
    members = [Forecaster("gru", loss="direction", seed=seed, **settings) for seed in range(2)]
    ensemble = Ensemble(members, combine="mean").fit(_random_walks())
    paths = ensemble.sample(paths=2000)
    assert set(paths["forecast"]) <= {0.0, 1.0}
    chances = paths.groupby(["unique_id", "ds"])["forecast"].mean().to_numpy()
    np.testing.assert_allclose(chances, ensemble.predict()["forecast"], atol=0.05)


def test_what_is_drawn_has_the_correlation_of_the_windows() -> None:
    lags = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    known = np.stack([0.8**lags, (-0.5) ** lags], axis=0)  # of two targets
    draws = [
        np.random.default_rng(number).multivariate_normal(np.zeros(5), part, 4000) for number, part in enumerate(known)
    ]
    scores = torch.tensor(np.stack(draws, axis=-1))  # (B, H, C)
    dependence = Dependence(Sizes(context_length=1, horizon=5, targets=2))
    dependence.fit(scores, torch.ones_like(scores))
    levels = dependence.levels(8000, generator=torch.Generator().manual_seed(0))  # (H, C, n)
    assert levels.min() > 0 and levels.max() < 1
    for target in range(2):
        own = levels[:, target].double()
        np.testing.assert_allclose(own.mean(dim=1), 0.5, atol=0.02)
        np.testing.assert_allclose(own.std(dim=1), np.sqrt(1 / 12), atol=0.01)
        np.testing.assert_allclose(torch.special.ndtri(own).corrcoef(), known[target], atol=0.05)


def test_a_long_horizon_keeps_the_spread_of_its_sum() -> None:
    horizon = 2 * MOST_FACTORS
    lags = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    known = 0.9**lags
    scores = torch.tensor(np.random.default_rng(0).multivariate_normal(np.zeros(horizon), known, 3000))[..., None]
    dependence = Dependence(Sizes(context_length=1, horizon=horizon))
    dependence.fit(scores, torch.ones_like(scores))
    assert dependence.factors.shape == (1, horizon, MOST_FACTORS)
    drawn = torch.special.ndtri(dependence.levels(4000, generator=torch.Generator().manual_seed(0))[:, 0])
    assert float(drawn.std(dim=1).mean()) == pytest.approx(1, abs=0.03)
    assert float(drawn.sum(dim=0).std()) == pytest.approx(np.sqrt(known.sum()), rel=0.05)


def test_windows_with_gaps_and_a_single_window_are_no_trouble() -> None:
    scores = torch.randn(500, 3, 1, generator=torch.Generator().manual_seed(0)).cumsum(dim=1)
    observed = (torch.rand(500, 3, 1, generator=torch.Generator().manual_seed(1)) > 0.3).float()
    poisoned = torch.where(observed > 0, scores, 1e6)
    one, other = Dependence(Sizes(context_length=1, horizon=3)), Dependence(Sizes(context_length=1, horizon=3))
    one.fit(scores, observed), other.fit(poisoned, observed)
    assert torch.equal(one.factors, other.factors) and one.factors.isfinite().all()
    one.fit(scores[:1], observed[:1])
    assert one.factors.isfinite().all()


def test_before_it_is_fitted_steps_are_drawn_apart() -> None:
    levels = Dependence(Sizes(context_length=1, horizon=2)).levels(4000, generator=torch.Generator().manual_seed(0))
    assert abs(float(torch.special.ndtri(levels[:, 0]).corrcoef()[0, 1])) < 0.05
