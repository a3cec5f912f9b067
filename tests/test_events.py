"""Events: losses of their probabilities, and what occurs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from batches import SIZES, made_batch
from eventful import EVENTS, event_model, walk_with_gaps
from torch.nn import functional as F

from forecast.batch import Affine, Outcome, Sizes, last_seen
from forecast.config import build, names
from forecast.errors import ConfigError
from forecast.evaluation.chances import occurrences
from forecast.losses import Direction, EventLoss, Occurrence, Threshold

ONE = torch.ones(1)

PLAIN = Affine(torch.full((6, 1, 1), 10.0).double(), torch.full((6, 1, 1), 2.0).double())


@pytest.fixture(params=EVENTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_kind_is_there() -> None:
    assert EVENTS == ["direction", "event", "threshold"]


def test_the_loss_is_the_binary_cross_entropy_of_torch_over_observed_steps() -> None:
    raw, target = _raw(), (_raw(seed=1)[..., 0] > 0).double()
    observed = torch.ones_like(target)
    observed[:, 1] = 0
    got = Occurrence()(raw, Outcome(target, observed), made_batch(SIZES, count=6)[0], _one())
    expected = F.binary_cross_entropy_with_logits(raw[..., 0], target.float(), weight=observed.float())
    assert float(got) == pytest.approx(float(expected) * 4 / 3, rel=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e5])
def test_losses_and_gradients_are_finite_and_probabilities_lie_between_0_and_1(name: str, size: float) -> None:
    loss = _loss(name)
    for occurs in (0.0, 1.0):
        raw = (_raw() * size).requires_grad_()
        value = loss.stepwise(raw, torch.full((6, 4, 1), occurs), ONE).mean()
        value.backward()
        assert value.isfinite() and raw.grad.isfinite().all()
    chances = loss.point(raw.detach(), PLAIN)
    assert chances.shape == (6, 4, 1) and chances.dtype == torch.float64
    assert ((chances >= 0) & (chances <= 1)).all()


def test_by_then_is_what_hazards_come_to_and_never_falls() -> None:
    loss, raw = Threshold(below=0, within=True), _raw(windows=50, horizon=9) * 5
    chances = loss.point(raw, PLAIN)
    assert (chances.diff(dim=1) >= 0).all()
    hazards = torch.sigmoid(raw[..., 0].double() - np.log(9))
    torch.testing.assert_close(chances, 1 - (1 - hazards).cumprod(dim=1), rtol=1e-6, atol=1e-9)
    losses = loss.stepwise(raw, (torch.rand(50, 9, 1) < 0.5).float().cummax(dim=1).values, ONE)
    assert losses.isfinite().all()


def test_draws_are_0_and_1_as_often_as_forecast_and_by_then_stay(name: str) -> None:
    loss, raw = _loss(name), _raw()
    draws = loss.draws(raw, 20_000, PLAIN, torch.Generator().manual_seed(1))
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(draws.mean(dim=-1), loss.point(raw, PLAIN), atol=0.015, rtol=0)
    if name == "threshold":
        assert (draws.diff(dim=1) >= 0).all()


def test_there_are_no_quantiles(name: str) -> None:
    loss = _loss(name)
    assert not loss.covers(0.5) and loss.levels == ()
    assert loss.quantiles(_raw(), [], PLAIN).shape == (6, 4, 1, 0)
    with pytest.raises(ConfigError, match=r"probability of an event.*no quantiles.*\[0\.1\].*Leave levels out"):
        loss.quantiles(_raw(), [0.1], PLAIN)


@pytest.mark.parametrize("options", [{}, {"below": 1, "above": 2}])
def test_a_threshold_is_one_number(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="either below or above"):
        Threshold(**options)


@pytest.mark.parametrize("below", [float("nan"), "zero", True])
def test_a_threshold_that_is_no_number_is_refused(below: Any) -> None:
    with pytest.raises(ConfigError, match="below is a finite number or null"):
        build("loss", {"_target_": "forecast.losses.events.Threshold", "below": below})


def test_direction_is_that_of_a_plain_loop_over_gaps_and_ties() -> None:
    values = walk_with_gaps()
    found = occurrences(Direction(), values, horizon=5)
    for origin, ahead, channel in np.ndindex(found.shape):
        seen = values[: origin + 1, channel]
        seen, step = seen[~np.isnan(seen)], origin + 1 + ahead
        came = values[step, channel] if step < len(values) else np.nan
        expected = np.nan if np.isnan(came) or not len(seen) else float(came > seen[-1])
        np.testing.assert_equal(found[origin, ahead, channel], expected)
    assert (np.diff(values[:, 0]) == 0).any() and (found == 1).any() and (found == 0).any()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_threshold_by_then_is_that_of_a_plain_loop_over_gaps(sign: int) -> None:
    values, event = walk_with_gaps(), Threshold(**{"above" if sign > 0 else "below": 1.0}, within=True)
    found = occurrences(event, values, horizon=5)
    for origin, ahead, channel in np.ndindex(found.shape):
        part = values[origin + 1 : origin + 2 + ahead, channel]
        hit = (sign * (part - 1.0) >= 0).any()
        expected = 1.0 if hit else np.nan if len(part) <= ahead or np.isnan(part).any() else 0.0
        np.testing.assert_equal(found[origin, ahead, channel], expected)


@pytest.mark.parametrize("scaling", names("scaling"))
def test_events_are_those_of_the_unit_of_the_series_whatever_the_scaling(scaling: str) -> None:
    sizes = replace(SIZES, outputs=1, season=2)
    inputs, outcome = made_batch(sizes, count=6)
    outcome.target[:, 0] = inputs.target[:, -1]  # ties, which no rounding may break
    level, last = float(outcome.target[0, 1]), inputs.target[:, -1:]
    cases = {
        Direction(): outcome.target > last,
        Threshold(above=level): outcome.target >= level,
        Threshold(below=level): outcome.target <= level,
    }
    for loss, expected in cases.items():
        model = event_model(loss, scaling, sizes)
        _, read, _, affine = model._learning(inputs, outcome)
        assert torch.equal(affine.scaled(read.target), expected.double())
        assert model.judged(inputs, outcome)[0].all()


def test_forks_are_asked_of_the_last_value_at_their_own_origin() -> None:
    sizes = replace(SIZES, outputs=1)
    inputs, outcome = made_batch(sizes, count=3)
    network = {"_target_": "forecast.networks.mqrnn.MQRNN", "forking": True, "dropout": 0.0}
    model = event_model(Direction(), "none", sizes, network=network).train()
    inputs.observed[0, :3] = 0
    _, read, _, _ = model._learning(inputs, outcome)
    whole = torch.cat([inputs.target, outcome.target], dim=1)
    for window, origin, ahead in np.ndindex(3, 12, 4):
        row = window * 12 + origin
        step = origin + 1 + ahead
        assert bool(read.observed[row, ahead, 0]) == (window > 0 or origin >= 3)
        if read.observed[row, ahead, 0]:
            assert bool(read.target[row, ahead, 0]) == bool(whole[window, step, 0] > whole[window, origin, 0])


def test_a_target_never_seen_in_the_context_teaches_no_direction() -> None:
    target = torch.tensor([[[1.0, 5.0], [2.0, 5.0]]])
    observed = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    last = last_seen(target, observed)[:, -1]
    assert float(last[0, 0]) == 2 and bool(last[0, 1].isnan())
    read = Direction().occurred(Outcome(torch.full((1, 3, 2), 9.0), torch.ones(1, 3, 2)), last)
    assert read.observed[0, :, 0].tolist() == [1, 1, 1] and read.observed[0, :, 1].tolist() == [0, 0, 0]


def _loss(name: str) -> EventLoss:
    loss = build("loss", name)
    loss.prepare(Sizes(context_length=12, horizon=4))
    return loss


def _raw(*, windows: int = 6, horizon: int = 4, seed: int = 7) -> torch.Tensor:
    return torch.randn(windows, horizon, 1, 1, generator=torch.Generator().manual_seed(seed))


def _one() -> Affine:
    return Affine(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
