"""Every distribution: parameters come back from samples, likelihoods and quantiles are scipy's, counts are counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from frames import made_frame
from scipy import integrate, stats
from torch import Tensor

from forecast import Forecaster, Training
from forecast.batch import Affine, Inputs, Outcome, Sizes
from forecast.config import build
from forecast.errors import ConfigError, DataError
from forecast.losses import Loss, Mixture, NegativeBinomial, Poisson, Tweedie, ZeroInflated

DRAWS = 20_000
UNIT = Affine(torch.zeros(1, 1, 1).double(), torch.ones(1, 1, 1).double())
LEVELS = [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98]


def _inverse_softplus(value: float) -> float:
    return float(np.log(np.expm1(value - 1e-4)))


# Of each: raw outputs that mean known parameters, and samples of them that do not come from the loss.
def _cases() -> dict[str, tuple[list[float], Any]]:
    raw, rng = _inverse_softplus, np.random.default_rng(0)
    gamma = rng.gamma(1 / 0.5, 0.5 * 6.0, DRAWS)  # dispersion 0.5, mean 6
    closed = rng.random(DRAWS) < 0.3
    power, mean, dispersion = 1.5, 2.0, 0.8
    number = rng.poisson(mean ** (2 - power) / (dispersion * (2 - power)), DRAWS)
    parts = dispersion * (power - 1) * mean ** (power - 1)
    first = rng.random(DRAWS) < 0.3
    return {
        "gaussian": ([1.5, raw(0.7)], rng.normal(1.5, 0.7, DRAWS)),
        "student_t": ([-1.0, raw(0.5), raw(3.0)], -1 + 0.5 * rng.standard_t(5, DRAWS)),
        "log_normal": ([raw(2.0), raw(0.6)], 2 * np.exp(rng.normal(0, 0.6, DRAWS))),
        "poisson": ([raw(4.0)], rng.poisson(4.0, DRAWS)),
        "negative_binomial": ([raw(6.0), raw(0.5)], rng.poisson(gamma)),
        "zero_inflated": ([raw(6.0), raw(0.5), np.log(0.3 / 0.7)], np.where(closed, 0, rng.poisson(gamma))),
        "tweedie": ([raw(mean), raw(dispersion - 0.01)], rng.gamma(np.maximum(number, 1e-12), parts)),
        "mixture": ([0.0], np.where(first, rng.normal(-2, 0.5, DRAWS), rng.normal(1, 1.0, DRAWS))),
    }


CASES = _cases()
PLAIN = [name for name in CASES if name != "mixture"]  # whose raw outputs mean one thing each


@pytest.mark.parametrize("name", PLAIN)
def test_parameters_come_back_from_samples(name: str) -> None:
    """Within 4 % of each raw output, or 0.08 of one near zero; 0.25 of the logarithm of the degrees of freedom."""
    expected, samples = CASES[name]
    found = _fitted(build("loss", name), samples)
    tolerance = np.full(len(expected), 0.08) + 0.04 * np.abs(expected)
    if name == "student_t":
        tolerance[2] = 0.6
    assert (np.abs(found.numpy() - expected) < tolerance).all(), found


def test_a_mixture_finds_its_components() -> None:
    raw = _fitted(Mixture(components=2), CASES["mixture"][1])
    weights, locs, widths = (part.numpy() for part in Mixture(components=2).parameters_of(raw))
    order = np.argsort(locs)
    np.testing.assert_allclose(weights[order], [0.3, 0.7], atol=0.02)
    np.testing.assert_allclose(locs[order], [-2, 1], atol=0.06)
    np.testing.assert_allclose(widths[order], [0.5, 1.0], atol=0.05)


@pytest.mark.parametrize("name", CASES)
def test_quantiles_are_those_of_the_samples(name: str) -> None:
    loss, raw = _made(name)
    quantiles = loss.quantiles(raw, LEVELS, UNIT)[0, 0, 0].numpy()
    samples = CASES[name][1]
    if loss.is_whole:
        np.testing.assert_array_equal(quantiles, np.round(quantiles))
        np.testing.assert_allclose(quantiles, np.quantile(samples, LEVELS, method="higher"), atol=1)
    else:
        np.testing.assert_allclose(quantiles, np.quantile(samples, LEVELS), atol=0.04 * samples.std(), rtol=0.05)


@pytest.mark.parametrize("name", CASES)
def test_fed_back_draws_have_the_distribution_of_the_quantiles(name: str) -> None:
    loss, raw = _made(name)
    uniform = 1 - torch.rand(DRAWS, 2, generator=torch.Generator().manual_seed(4)).double()
    draws = loss.scaled_draws(raw[0], uniform[:, None], torch.ones(1).double())[:, 0].numpy()
    samples = CASES[name][1]
    spread = samples.std()
    assert abs(draws.mean() - samples.mean()) < 0.04 * spread
    for level in LEVELS:
        at = np.quantile(draws, level)
        assert (samples < at - 1e-6).mean() - 0.02 < level < (samples <= at + 1e-6).mean() + 0.02


@pytest.mark.parametrize("name", CASES)
def test_what_an_outcome_has_reached_is_its_place_among_samples(name: str) -> None:
    loss, raw = _made(name)
    samples = CASES[name][1]
    for value in np.quantile(samples, [0.05, 0.3, 0.6, 0.95], method="nearest"):
        below, to = loss.reached(raw, torch.full((1, 1, 1), float(value)).double(), torch.ones(1, 1, 1).double())
        assert float(below) == pytest.approx((samples < value - 1e-9).mean(), abs=0.02)
        assert float(to) == pytest.approx((samples <= value + 1e-9).mean(), abs=0.02)


@pytest.mark.parametrize("name", CASES)
def test_a_density_sums_to_one(name: str) -> None:
    loss, raw = _made(name)

    def likelihood(value: float) -> float:
        return float(torch.exp(-loss.stepwise(raw, torch.full((1, 1, 1), value).double(), torch.ones(1, 1, 1))))

    if loss.is_whole:
        total = sum(likelihood(count) for count in range(200))
    else:
        low = 0.0 if loss.from_zero else -40.0
        total = integrate.quad(likelihood, low + 1e-9, 60, limit=400, points=[-2, 0.01, 1, 2])[0]
        total += likelihood(0.0) if name == "tweedie" else 0.0
    assert total == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("scale", [0.2, 1.0, 30.0])
def test_counts_have_the_likelihood_of_scipy_in_the_unit_of_the_series(scale: float) -> None:
    counts = np.array([0, 1, 5, 40], np.float64)
    raw = torch.tensor([1.0, -0.5, 0.4]).double()
    scaled, unit = torch.tensor(counts / scale), torch.tensor(scale).double()
    mean = float(Poisson().mean(raw)) * scale
    expected = stats.poisson(mean).logpmf(counts)
    np.testing.assert_allclose(-Poisson().stepwise(raw[:1].expand(4, -1), scaled, unit), expected, rtol=1e-6)
    size = 1 / float(NegativeBinomial().dispersion(raw, unit))
    expected = stats.nbinom(size, size / (size + mean)).logpmf(counts)
    np.testing.assert_allclose(-NegativeBinomial().stepwise(raw[:2].expand(4, -1), scaled, unit), expected, rtol=1e-6)
    share = 1 / (1 + np.exp(-0.4))
    mixed = np.log(share * (counts == 0) + (1 - share) * np.exp(expected))
    np.testing.assert_allclose(-ZeroInflated().stepwise(raw.expand(4, -1), scaled, unit), mixed, rtol=1e-6)


@pytest.mark.parametrize("dispersion", [0.011, 0.03, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("mean", [0.05, 1.0, 6.0])
def test_tweedie_is_a_poisson_number_of_gamma_parts(mean: float, dispersion: float) -> None:
    rng, loss, power = np.random.default_rng(1), Tweedie(), 1.5
    number = rng.poisson(mean**0.5 / (dispersion * 0.5), 100_000)
    draws = rng.gamma(np.maximum(number, 1e-12), dispersion * (power - 1) * mean**0.5)
    raw = torch.tensor([_inverse_softplus(mean), _inverse_softplus(max(dispersion - 0.01, 1.1e-4))])[None, None, None]
    got = loss.quantiles(raw.double(), LEVELS, UNIT)[0, 0, 0].numpy()
    np.testing.assert_allclose(got, np.quantile(draws, LEVELS), atol=0.03 * draws.std(), rtol=0.03)
    edges = np.quantile(draws[draws > 0], np.linspace(0.01, 0.99, 15))
    for low, high in zip(edges[:-1], edges[1:], strict=True):  # the density, bin by bin
        grid = np.linspace(low, high, 65)
        logs = -loss.stepwise(raw.double().expand(1, 65, 1, 2), torch.tensor(grid)[None, :, None], torch.ones(1))
        inside = float(np.trapezoid(np.exp(logs[0, :, 0].numpy()), grid))
        assert inside == pytest.approx(((draws > low) & (draws <= high)).mean(), rel=0.06, abs=1e-3)


@pytest.mark.parametrize("name", ["poisson", "negative_binomial", "zero_inflated", "tweedie", "log_normal"])
def test_a_scaling_that_moves_zero_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="LastValueScaler moves it. Choose scaling=mean_abs or none"):
        Forecaster("gru", horizon=3, loss=name, scaling="last", training=Training(steps=1)).fit(_counts())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("poisson", 2.5, "has 2.5 in step 7 of column 'y', at .*Poisson counts whole numbers from 0 on"),
        ("negative_binomial", -1.0, "has -1 in step 7 .*counts whole numbers"),
        ("zero_inflated", np.inf, "infinite|whole numbers"),
        ("tweedie", -0.5, "loss=tweedie takes no values below zero"),
        ("log_normal", 0.0, "loss=log_normal takes values above zero"),
    ],
)
def test_values_that_a_loss_is_not_defined_for_are_refused(name: str, value: float, message: str) -> None:
    frame = _counts()
    frame["y"] = frame["y"] + 1.0
    frame.loc[frame.index[7], "y"] = value
    with pytest.raises(DataError, match=message):
        Forecaster("gru", horizon=3, loss=name, training=Training(steps=1), progress=False).fit(frame)


@pytest.mark.parametrize("model", ["gru", "deepar", "seq2seq"])
@pytest.mark.parametrize("name", ["poisson", "negative_binomial", "zero_inflated"])
def test_forecasts_of_counts_are_whole_and_never_below_zero(name: str, model: str) -> None:
    training = Training(steps=3, batch_size=16)
    forecaster = Forecaster(model, horizon=3, loss=name, training=training, progress=False).fit(_counts())
    predicted = forecaster.predict()
    quantiles = predicted.filter(like="q0.").to_numpy()
    assert (quantiles == np.round(quantiles)).all() and (quantiles >= 0).all()
    assert (predicted["forecast"] > 0).all()
    paths = forecaster.sample(paths=20)["forecast"].to_numpy()
    assert (np.abs(paths - np.round(paths)) < 1e-9).all() and (paths >= 0).all()


@pytest.mark.parametrize("name", ["poisson", "tweedie", "log_normal"])
def test_a_loss_brings_the_scaling_that_goes_with_it(name: str) -> None:
    frame = _counts()
    frame["y"] = frame["y"] + 1.0
    forecaster = Forecaster("gru", horizon=3, loss=name, training=Training(steps=1), progress=False).fit(frame)
    assert type(forecaster.model_.scaler).__name__ == "MeanAbsScaler"


@pytest.mark.parametrize("option", [{"components": 1}, {"power": 2.0}, {"power": 1.0}, {"counts": "binomial"}], ids=str)
def test_options_that_make_no_sense_are_refused(option: dict[str, Any]) -> None:
    kind = {"components": Mixture, "power": Tweedie, "counts": ZeroInflated}[next(iter(option))]
    with pytest.raises(ConfigError, match=next(iter(option))):
        kind(**option)


def _counts() -> Any:
    frame = made_frame(series=2, rows=80)
    frame["y"] = np.random.default_rng(3).poisson(3.0, len(frame)).astype(np.float64)
    return frame


def _made(name: str) -> tuple[Loss, Tensor]:
    """Return a loss, with the raw outputs (1, 1, 1, K) that mean the distribution of its samples."""
    if name == "mixture":
        loss: Loss = Mixture(components=2)
        weights, places = np.log([0.3, 0.7]), np.array([-2.0, 1.0]) - [-0.5, 0.5]
        raw = [0.0, *weights, *places, _inverse_softplus(0.5), _inverse_softplus(1.0)]
    else:
        loss, raw = build("loss", name), CASES[name][0]
    loss.prepare(Sizes(context_length=1, horizon=1))
    return loss, torch.tensor(raw).double()[None, None, None]


def _fitted(loss: Loss, samples: np.ndarray) -> Tensor:
    """Return the raw outputs (K,) of greatest likelihood."""
    target = torch.tensor(samples, dtype=torch.float64)[:, None, None]
    raw = torch.zeros(loss.outputs, dtype=torch.float64, requires_grad=True)
    outcome, nothing = Outcome(target, torch.ones_like(target)), Inputs(*([torch.zeros(1)] * 11))
    optimizer = torch.optim.LBFGS([raw], lr=0.5, max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(raw.expand(len(target), 1, 1, -1), outcome, nothing, UNIT)
        value.backward()
        return value

    optimizer.step(closure)
    return raw.detach()
