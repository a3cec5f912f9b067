"""Smoothing of level and season, learned with the network: worked by hand, at its ends, and against made series."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from batches import made_batch
from frames import made_frame
from torch import nn

from forecast import Forecaster, Training
from forecast.batch import Inputs, Sizes
from forecast.config import build, usual
from forecast.errors import ConfigError
from forecast.networks.recurrent import Recurrent
from forecast.scaling import LONGEST_SEASON, SmoothingScaler

SIZES = Sizes(context_length=14, horizon=6, targets=2, series=7, season=4)


def test_level_and_season_are_those_of_a_plain_loop() -> None:
    """The equations of the paper with geometric for arithmetic means, on values; gaps move neither."""
    scaler, inputs = _scaler(SIZES), _inputs(SIZES)
    inputs.observed[1, 3:5], inputs.observed[2, :6] = 0, 0
    _, affine = scaler(inputs)
    shares = (scaler.shares + scaler.own(inputs.series)).sigmoid().detach().numpy()  # (B, 2 C)
    first = scaler.cycle(inputs).exp().detach().numpy()  # (B, L + H, C)
    for row in range(5):
        for channel in range(2):
            seen = inputs.observed[row, :, channel].numpy() > 0
            alpha, gamma = shares[row, channel], shares[row, 2 + channel]
            expected = _looped(inputs.target[row, :, channel].numpy(), seen, alpha, gamma, first[row, :, channel])
            got = affine.loc[row, :, channel].exp().detach().numpy()
            np.testing.assert_allclose(got, expected[0], rtol=1e-5)
            assert float(affine.scale[row, 0, channel]) == pytest.approx(expected[1], rel=1e-5)


def test_a_level_that_takes_nothing_over_is_the_mean_and_one_that_takes_all_the_last_value() -> None:
    sizes = replace(SIZES, season=1)
    inputs = _inputs(sizes)
    logs = inputs.target.log()
    for logit, expected in ((-50.0, logs.mean(dim=1, keepdim=True)), (50.0, logs[:, -1:])):
        scaler = build("scaling", "smoothing")
        scaler.prepare(sizes)
        nn.init.constant_(scaler.shares, logit)
        torch.testing.assert_close(scaler(inputs)[1].loc, expected.expand(-1, 20, -1))


def test_a_season_that_is_known_leaves_nothing() -> None:
    """The context is the learned season at a level, which is then all that lies ahead."""
    scaler, inputs = _scaler(SIZES), _inputs(SIZES)
    inputs = inputs._replace(target=(3 + scaler.cycle(inputs)[:, :14].double()).exp())
    scaled, affine = scaler(inputs)
    assert scaled.target.abs().max() < 1e-3
    torch.testing.assert_close(affine.loc, 3 + scaler.cycle(inputs).double())


def test_a_gradient_reaches_shares_and_seasons_of_the_series_met() -> None:
    scaler, inputs = _scaler(SIZES), _inputs(SIZES)
    inputs = inputs._replace(series=torch.tensor([1, 1, 3, 3, 0]))
    scaled, affine = scaler(inputs)
    (scaled.target.square().sum() + affine.loc[:, 14:].square().sum()).backward()
    for weight in (scaler.shares, scaler.cycle.common):
        assert (weight.grad != 0).all()
    for table in (scaler.own.weight, scaler.cycle.own.weight):
        assert (table.grad != 0).any(dim=1).tolist() == [True, True, False, True, False, False, False]
    assert not affine.scale.requires_grad


def test_a_series_never_seen_goes_by_what_all_have_in_common() -> None:
    scaler, inputs = _scaler(SIZES), _inputs(SIZES)
    with torch.no_grad():
        for table in (scaler.own, scaler.cycle.own):
            table.weight[0], table.weight[1:] = 0.0, float("nan")
    scaled, affine = scaler(inputs._replace(series=inputs.series * 0))
    assert scaled.target.isfinite().all() and affine.loc.isfinite().all()


def test_the_season_of_each_step_is_that_of_its_place_in_time() -> None:
    """A window that begins a step later has the same seasons, a step earlier in it."""
    scaler, inputs = _scaler(SIZES), _inputs(SIZES)
    later = inputs._replace(position=inputs.position + 1)
    torch.testing.assert_close(scaler.cycle(later)[:, :-1], scaler.cycle(inputs)[:, 1:])


@pytest.mark.parametrize("season", [1, 4, 30])
def test_seasons_of_any_length_are_taken(season: int) -> None:
    """None, several in the context, and one longer than context and horizon."""
    sizes = replace(SIZES, season=season)
    scaled, affine = _scaler(sizes)(_inputs(sizes))
    assert scaled.target.isfinite().all() and affine.loc.shape == (5, 20, 2)


def test_a_season_too_long_to_keep_is_refused() -> None:
    with pytest.raises(ConfigError, match="at most 168 steps of a season.*seasonality is 169"):
        build("scaling", "smoothing").prepare(replace(SIZES, season=LONGEST_SEASON + 1))


def test_esrnn_is_smoothing_in_front_of_the_dilated_network() -> None:
    forecaster = _forecaster("esrnn").fit(made_frame(series=2, rows=60))
    assert usual("scaling", "esrnn") == "smoothing" and usual("loss", "esrnn") == "quantile"
    assert isinstance(forecaster.model_.scaler, SmoothingScaler)
    assert type(forecaster.model_.network) is type(build("model", "dilated", forecaster.sizes_))


def test_a_warm_start_keeps_what_was_learned_and_begins_new_series_with_what_is_common() -> None:
    frame = made_frame(series=3, rows=60)
    forecaster = _forecaster("gru").fit(frame[frame["unique_id"] < "s2"])
    learned = {name: weight.clone() for name, weight in forecaster.model_.scaler.state_dict().items()}
    forecaster.set_params(training__learning_rate=1e-30).fit(frame, warm_start=True, update_statistics=True)
    for name, weight in forecaster.model_.scaler.state_dict().items():
        torch.testing.assert_close(weight[: len(learned[name])], learned[name])
    size = forecaster.model_.scaler.own.weight.abs().amax(dim=1)
    assert size[1:3].min() > 1e-3 and size[3] < 1e-20


@pytest.mark.slow
def test_what_each_series_repeats_is_learned_where_a_window_shows_it_once() -> None:
    """Series with a season of their own and noise: the same network reads one season a window, either way."""
    errors = {}
    random = np.random.default_rng(0)
    seasons = np.exp(random.normal(0, 0.3, (20, 12)))
    frame = made_frame(series=20, rows=132, freq="1")
    number, step = frame["unique_id"].str[1:].astype(int), frame["ds"]
    clean = 100 * seasons[number, step % 12]
    frame["y"] = clean * np.exp(random.normal(0, 0.2, len(frame)))
    for scaling in ("last", "smoothing"):
        forecaster = Forecaster(
            partial(Recurrent, hidden_size=16),
            horizon=12,
            context_length=12,
            seasonality=12,
            scaling=scaling,
            training=Training(steps=300, batch_size=64, learning_rate=0.01),
            accelerator="cpu",
            progress=False,
        ).fit(frame[step < 120])
        predicted = forecaster.predict()["forecast"].to_numpy()
        errors[scaling] = np.abs(predicted - clean[step >= 120]).mean()
    assert errors["smoothing"] < 0.7 * errors["last"]


def _looped(
    values: np.ndarray, seen: np.ndarray, alpha: float, gamma: float, first: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return level times season for each step of context and horizon, and the mean error of a logarithm."""
    season, factors, errors = dict(enumerate(first[: SIZES.season])), [], []
    level = np.exp(np.log(values / first[: len(values)])[seen].mean())
    for step, value in enumerate(values):
        phase = step % SIZES.season
        factors.append(season[phase])
        if seen[step]:
            errors.append(abs(np.log(value / (level * season[phase]))))
            level = (value / season[phase]) ** alpha * level ** (1 - alpha)
            season[phase] = (value / level) ** gamma * season[phase] ** (1 - gamma)
    factors += [season[step % SIZES.season] for step in range(len(values), len(values) + SIZES.horizon)]
    return level * np.array(factors), float(np.mean(errors))


def _scaler(sizes: Sizes) -> SmoothingScaler:
    """Return a scaler as after training: nothing is 0 any more."""
    torch.manual_seed(0)
    scaler = build("scaling", "smoothing")
    scaler.prepare(sizes)
    for weight in scaler.parameters():
        nn.init.normal_(weight, std=0.3)
    return scaler


def _inputs(sizes: Sizes) -> Inputs:
    inputs, _ = made_batch(sizes)
    return inputs


def _forecaster(model: str) -> Forecaster:
    return Forecaster(
        model,
        horizon=3,
        context_length=14,
        scaling="smoothing" if model == "gru" else None,
        training=Training(steps=5, batch_size=8),
        accelerator="cpu",
        progress=False,
    )
