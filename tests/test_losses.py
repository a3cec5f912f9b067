"""Every loss of values in conf/loss against formulas, scipy, scikit-learn and torch.distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from batches import SIZES, made_batch
from scipy import stats
from sklearn.metrics import mean_pinball_loss
from torch import Tensor
from torch.nn import functional as F

from forecast.batch import Affine, Outcome, Sizes
from forecast.config import build, names
from forecast.errors import ConfigError
from forecast.losses import LEVELS, Gaussian, Loss, PointLoss, Quantile, StudentT
from forecast.losses.loss import uniforms

LOSSES = [name for name in names("loss") if not build("loss", name).is_event]  # for those see test_events.py
POINTS = [name for name in LOSSES if isinstance(build("loss", name), PointLoss)]
ONE = torch.ones(1)  # scale
INPUTS = made_batch(SIZES, count=6)[0]


@pytest.fixture(params=LOSSES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_loss_is_a_finite_scalar_with_a_gradient(name: str) -> None:
    loss, raw, outcome, affine = _case(name)
    value = loss(raw.requires_grad_(), outcome, INPUTS, affine)
    value.backward()
    assert value.shape == () and value.isfinite()
    assert raw.grad is not None and raw.grad.isfinite().all() and raw.grad.abs().sum() > 0


@pytest.mark.parametrize("poison", [float("nan"), 1e30, -1e30])
def test_unobserved_steps_count_for_nothing(name: str, poison: float) -> None:
    loss, raw, outcome, affine = _case(name)
    outcome.observed[1:, 2] = 0
    outcome.observed[0] = 0
    seen = outcome.observed.bool()
    poisoned = outcome._replace(target=outcome.target.masked_fill(~seen, poison))
    value = loss(raw.requires_grad_(), poisoned, INPUTS, affine)
    value.backward()
    stepwise = loss.stepwise(raw, affine.horizon(4).scaled(outcome.target).float(), affine.scale.float())
    torch.testing.assert_close(value, stepwise[seen].mean())
    assert (raw.grad[0] == 0).all() and raw.grad.isfinite().all()


def test_nothing_observed_is_a_loss_of_zero(name: str) -> None:
    loss, raw, outcome, affine = _case(name)
    value = loss(raw, outcome._replace(observed=outcome.observed * 0), INPUTS, affine)
    assert float(value) == 0.0


def test_training_moves_the_point_to_the_outcome(name: str) -> None:
    loss, raw, outcome, affine = _case(name)
    raw = raw.clone().requires_grad_()
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(800):  # parts of a mixture that lie far off lose their weight slowly
        optimizer.zero_grad()
        loss(raw, outcome, INPUTS, affine).backward()
        optimizer.step()
    error = (loss.point(raw, affine) - outcome.target).detach().abs() / affine.scale
    assert error.max() < 0.2


@pytest.mark.parametrize("levels", [LEVELS, (0.5,), (0.05, 0.95), (0.7, 0.2), (0.6, 0.9)])
def test_quantile_loss_is_twice_the_mean_pinball_loss(levels: tuple[float, ...]) -> None:
    loss = Quantile(levels=levels)
    assert loss.outputs == len(loss.levels) and 0.5 in loss.levels
    raw, outcome, affine = _raw(loss), _outcome(), _one()
    predicted = loss.all_levels(raw).numpy()
    truth = outcome.target.numpy().reshape(-1)
    expected = np.mean(
        [
            mean_pinball_loss(truth, predicted[..., number].reshape(-1), alpha=level)
            for number, level in enumerate(loss.levels)
        ]
    )
    assert float(loss(raw, outcome, INPUTS, affine)) == pytest.approx(2 * expected, rel=1e-5)


def test_quantile_loss_of_the_median_alone_is_the_absolute_error() -> None:
    loss = Quantile(levels=[0.5])
    raw, outcome = _raw(loss), _outcome()
    expected = (outcome.target - raw[..., 0]).abs().mean()
    torch.testing.assert_close(loss(raw, outcome, INPUTS, _one()).double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("mae", lambda raw, y: F.l1_loss(raw[..., 0], y)),
        ("mse", lambda raw, y: F.mse_loss(raw[..., 0], y)),
        ("huber", lambda raw, y: F.huber_loss(raw[..., 0], y, delta=1.0)),
        (
            "gaussian",
            lambda raw, y: -torch.distributions.Normal(*Gaussian().parameters_of(raw)).log_prob(y).mean(),
        ),
        ("student_t", lambda raw, y: -_student_t(raw).log_prob(y).mean()),
    ],
)
def test_losses_equal_their_reference(name: str, reference) -> None:  # type: ignore[no-untyped-def]
    loss = build("loss", name)
    raw, outcome = _raw(loss), _outcome()
    torch.testing.assert_close(loss(raw, outcome, INPUTS, _one()), reference(raw, outcome.target.float()))


def test_huber_by_hand() -> None:
    loss = build("loss", {"_target_": "forecast.losses.points.Huber", "delta": 2.0})
    raw = torch.tensor([0.0, 0.0]).reshape(1, 2, 1, 1)
    outcome = Outcome(torch.tensor([1.0, 5.0]).reshape(1, 2, 1), torch.ones(1, 2, 1))
    assert float(loss(raw, outcome, INPUTS, _one())) == pytest.approx((0.5 * 1 + 2 * (5 - 0.5 * 2)) / 2)


def test_quantiles_never_cross(name: str) -> None:
    loss, raw, _, affine = _case(name)
    levels = [level for level in np.round(np.arange(0.01, 1.0, 0.01), 2) if loss.covers(level)]
    for size in (1.0, 30.0, 1e4):
        assert (loss.quantiles(raw * size, levels, affine).diff(dim=-1) >= 0).all()


def test_the_point_of_a_loss_with_levels_is_its_median() -> None:
    for loss in (Quantile(), Gaussian(), StudentT()):
        raw, affine = _raw(loss), _affine()
        torch.testing.assert_close(loss.point(raw, affine), loss.quantiles(raw, [0.5], affine)[..., 0])


def test_trained_levels_are_the_outputs_and_levels_between_lie_on_straight_lines() -> None:
    loss = Quantile(levels=[0.1, 0.9])
    raw, affine = _raw(loss), _affine()
    low, median, high = loss.quantiles(raw, [0.1, 0.5, 0.9], affine).unbind(-1)
    torch.testing.assert_close(low, affine.horizon(4).restored(loss.all_levels(raw)[..., 0].double()))
    between = loss.quantiles(raw, [0.2, 0.7], affine)
    torch.testing.assert_close(between[..., 0], low + 0.25 * (median - low), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(between[..., 1], median + 0.5 * (high - median), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "level"), [("quantile", 0.05), ("quantile", 0.95), ("mae", 0.001), ("mse", 0.999)])
def test_levels_outside_are_refused_with_the_way_out(name: str, level: float) -> None:
    loss, raw, _, affine = _case(name)
    with pytest.raises(ConfigError, match=rf"level {level} lies outside.*loss=gaussian or student_t"):
        loss.quantiles(raw, [0.5, level], affine)


@pytest.mark.parametrize("levels", [[0.1, 1.0], [0.0], [-0.3]])
def test_levels_that_are_none_cannot_be_trained(levels: list[float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Quantile(levels=levels)


def test_no_levels_are_no_quantiles(name: str) -> None:
    loss, raw, _, affine = _case(name)
    assert loss.quantiles(raw, [], affine).shape == (6, 4, 1, 0)


def test_quantiles_of_distributions_equal_scipy() -> None:
    levels = [0.001, 0.1, 0.5, 0.9, 0.999]
    raw = _raw(StudentT())
    loc, scale, df = (part[..., None].double().numpy() for part in StudentT().parameters_of(raw))
    np.testing.assert_allclose(
        StudentT().quantiles(raw, levels, _one()), stats.t.ppf(levels, df, loc, scale), rtol=1e-4
    )
    raw = raw[..., :2]
    loc, scale = (part[..., None].double().numpy() for part in Gaussian().parameters_of(raw))
    np.testing.assert_allclose(Gaussian().quantiles(raw, levels, _one()), stats.norm.ppf(levels, loc, scale), rtol=1e-4)


def test_samples_have_the_quantiles_of_the_forecast_and_come_again_from_one_seed(name: str) -> None:
    loss, raw, _, affine = _case(name)
    raw = raw[:2]
    affine = Affine(affine.loc[:2], affine.scale[:2])
    draws = loss.draws(raw, 20_000, affine, torch.Generator().manual_seed(1))
    assert draws.shape == (2, 4, 1, 20_000)
    assert torch.equal(draws, loss.draws(raw, 20_000, affine, torch.Generator().manual_seed(1)))
    assert not torch.equal(draws, loss.draws(raw, 20_000, affine, torch.Generator().manual_seed(2)))
    levels = [0.2, 0.35, 0.5, 0.65, 0.8]
    wanted = loss.quantiles(raw, levels, affine)
    to, below = (
        part.double().mean(dim=-1)
        for part in (
            draws[..., None, :] <= wanted[..., :, None] + 1e-6,
            draws[..., None, :] < wanted[..., :, None] - 1e-6,
        )
    )
    assert (to > torch.tensor(levels) - 0.02).all() and (below < torch.tensor(levels) + 0.02).all()


def test_draws_of_distributions_are_theirs_tails_included() -> None:
    """Kolmogorov and Smirnov against scipy, and one draw of each method by hand."""
    uniform = uniforms(40_000, generator=torch.Generator().manual_seed(2), like=torch.zeros(1, dtype=torch.float64))
    raw = torch.tensor([0.5, 1.0, -1.0], dtype=torch.float64)
    loc, scale, df = (float(part) for part in StudentT().parameters_of(raw))
    draws = StudentT().scaled_draws(raw, uniform, ONE).numpy()
    assert stats.kstest(draws, stats.t(df, loc, scale).cdf).pvalue > 0.01
    tails = stats.t(df, loc, scale).ppf([0.001, 0.999])
    assert abs(((draws < tails[0]) | (draws > tails[1])).mean() - 0.002) < 0.001
    draws = Gaussian().scaled_draws(raw[:2], uniform, ONE).numpy()
    assert stats.kstest(draws, stats.norm(loc, scale).cdf).pvalue > 0.01
    at = torch.tensor([0.25, 0.5], dtype=torch.float64)  # the angle is half a turn: cos = -1
    assert float(Gaussian().scaled_draws(raw[:2], at, ONE)) == pytest.approx(loc - scale * np.sqrt(-2 * np.log(0.25)))
    assert float(StudentT().scaled_draws(raw, at, ONE)) == pytest.approx(
        loc - scale * np.sqrt(df * (0.25 ** (-2 / df) - 1))
    )


def test_all_windows_share_the_random_numbers_of_a_draw(name: str) -> None:
    loss, raw, _, _ = _case(name)
    raw = raw[:1].expand(3, -1, -1, -1)
    draws = loss.draws(raw, 10, _one(), torch.Generator().manual_seed(1))
    assert torch.equal(draws[0], draws[1]) and draws[0].unique(dim=-1).shape[-1] > 2


@pytest.mark.parametrize("name", POINTS)
def test_intervals_of_point_losses_are_the_quantiles_of_errors_on_windows(name: str) -> None:
    loss, five = build("loss", name), torch.full((500, 1, 1), 5.0).double()
    affine = Affine(five, five * 0.4)
    loss.prepare(Sizes(context_length=12, horizon=3))
    draw = torch.Generator().manual_seed(0)
    raw = torch.randn(500, 3, 1, 1, generator=draw)
    error = torch.randn(500, 3, 1, generator=draw) * torch.tensor([1.0, 2.0, 4.0])[:, None]
    outcome = Outcome(affine.restored((raw[..., 0] + error).double()), torch.ones(500, 3, 1))
    outcome.observed[:250, 1] = 0
    outcome.target[:250, 1] = 1e30
    loss.calibrate(raw, outcome, affine)
    forecast = loss.quantiles(raw, [0.1, 0.5, 0.83], affine) - loss.point(raw, affine)[..., None]
    for step, seen in enumerate([slice(0, None), slice(250, None), slice(0, None)]):
        expected = np.quantile(error[seen, step, 0].numpy(), [0.1, 0.5, 0.83]) * 2.0
        np.testing.assert_allclose(forecast[0, step, 0], expected, rtol=1e-3, atol=1e-3)


def _case(name: str) -> tuple[Loss, Tensor, Outcome, Affine]:
    """Return a loss, calibrated where it has to be, with raw outputs for six windows."""
    loss = build("loss", name)
    loss.prepare(Sizes(context_length=12, horizon=4))
    raw, outcome, affine = _raw(loss), _outcome(), _affine()
    if loss.from_zero:
        affine = affine._replace(loc=affine.loc * 0)
        outcome = outcome._replace(target=outcome.target.abs().round() % 4 + 1)
    noise = torch.randn(raw.shape, generator=torch.Generator().manual_seed(3))
    loss.calibrate(raw + 0.1 * noise, outcome, affine)
    return loss, raw, outcome, affine


def _raw(loss: Loss) -> Tensor:
    return torch.randn(6, 4, 1, loss.outputs, generator=torch.Generator().manual_seed(7))


def _outcome() -> Outcome:
    return made_batch(SIZES, count=6)[1]


def _affine() -> Affine:
    return Affine(torch.full((6, 1, 1), 10.0).double(), torch.linspace(1, 2, 6).double()[:, None, None])


def _one() -> Affine:
    return Affine(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))


def _student_t(raw: Tensor) -> torch.distributions.StudentT:
    loc, scale, df = StudentT().parameters_of(raw)
    return torch.distributions.StudentT(df, loc, scale)
