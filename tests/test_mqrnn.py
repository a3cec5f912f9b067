"""MQRNN: its two decoders, and forecasts from every step of the context in one pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from batches import SIZES, WIDE, made_batch
from frames import made_frame

from forecast import Forecaster, Training
from forecast.batch import Inputs, Sizes, sliding
from forecast.config import build, read
from forecast.errors import ConfigError
from forecast.losses import Quantile
from forecast.model import Model
from forecast.networks.channels import ByChannel
from forecast.networks.mqrnn import MQRNN

TWO = replace(WIDE, targets=2)
OPTIONS = [{}, {"lags": 1, "bypass": True}]


def test_parameters_are_those_of_encoder_global_and_local_decoder() -> None:
    sizes = replace(SIZES, known=2)
    network = MQRNN(sizes, cell="lstm", hidden_size=8, vector=5, local=6)
    encoder = 4 * 8 * ((1 + 1 + 2) + 8 + 2)
    whole = (8 + 4 * 2 + 1) * (4 + 1) * 5  # the state and all known ahead, to a vector a step and one for all
    local = (5 + 5 + 2 + 1) * 6 + (6 + 1) * 3  # the same for every step
    assert sum(weights.numel() for weights in network.parameters()) == encoder + whole + local


def test_the_local_decoder_reads_the_vector_of_its_step_the_shared_one_and_its_own_covariates() -> None:
    network = _network(replace(SIZES, known=2))
    state, ahead = torch.randn(3, 8), torch.randn(3, 4, 2)
    vectors = network.whole(torch.cat([state, ahead.flatten(1)], dim=1))  # (B, 5 · 16)
    for step in range(4):
        own, shared = vectors[:, 16 * step : 16 * (step + 1)], vectors[:, 64:]
        by_hand = network.local(torch.cat([own, shared, ahead[:, step]], dim=1))
        torch.testing.assert_close(network._decoded(state, ahead)[:, step, 0], by_hand)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_fork_is_the_forecast_of_the_window_that_ends_there(options: dict) -> None:
    network, inputs = _network(TWO, **options), _inputs(TWO)
    forks = network.forks(inputs)
    assert forks.shape == (5, TWO.context_length, TWO.horizon, 2, TWO.outputs)
    for origin in range(TWO.context_length):
        torch.testing.assert_close(forks[:, origin], network(_ending(inputs, origin)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("poison", [float("nan"), 1e9])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_comes_after_a_fork_changes_no_bit_of_it(options: dict, poison: float) -> None:
    network, inputs = _network(TWO, **options), _inputs(TWO)
    before = network.forks(inputs)
    for origin in range(TWO.context_length - 1):
        later = inputs._replace(
            target=inputs.target.clone(), past=inputs.past.clone(), past_codes=inputs.past_codes.clone()
        )
        later.target[:, origin + 1 :], later.past[:, origin + 1 :], later.past_codes[:, origin + 1 :] = (
            poison,
            poison,
            1,
        )
        reach = origin + TWO.horizon + 2
        known = torch.cat([inputs.known[:, :reach], torch.full_like(inputs.known[:, reach:], poison)], dim=1)
        got = network.forks(later._replace(known=known))[:, : origin + 1]
        torch.testing.assert_close(got, before[:, : origin + 1], rtol=0, atol=0)


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("cycle", [False, True])
def test_training_averages_over_every_origin_and_validation_takes_the_last(
    by_channel: bool, cycle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecast.networks.features.UNSEEN", 0.0)  # training drops codes at random
    model, (inputs, outcome) = _model(TWO, by_channel=by_channel, cycle=cycle), made_batch(TWO)
    outcome.observed[0, 1:] = 0
    inputs.observed[1, :5] = inputs.target[1, :5] = 0  # left padding: the first origins have nothing to go by
    scaled, affine = model.scaler(inputs)
    whole = torch.cat([inputs.target, outcome.target], dim=1)
    truth = ((whole - affine.loc) / affine.scale).float()
    observed = torch.cat([inputs.observed, outcome.observed], dim=1)
    raw = model.network.forks(scaled)
    losses, counts = [], []
    for origin in range(TWO.context_length):
        ahead = slice(origin + 1, origin + 1 + TWO.horizon)
        counted = observed[:, ahead].clone()
        counted[1] *= origin >= 5
        losses.append((model.loss.stepwise(raw[:, origin], truth[:, ahead], torch.ones(1)) * counted).sum())
        counts.append(counted.sum())
    torch.testing.assert_close(model.train().training_loss(inputs, outcome), sum(losses) / sum(counts))
    torch.testing.assert_close(model.eval().training_loss(inputs, outcome), losses[-1] / counts[-1])


def test_forks_do_not_go_on_to_series_that_nothing_is_known_of() -> None:
    """Such a series is scaled by its whole window, also by what comes after a fork."""
    forecaster = Forecaster(
        {**read("model", "mqrnn"), "forking": True}, horizon=3, scaling="series", progress=False,
        training=Training(steps=2, batch_size=4),
    ).fit(made_frame())  # fmt: skip
    new = made_frame(series=1).assign(unique_id="new")
    with pytest.raises(ConfigError, match=r"nothing is known of series 'new' .*update_statistics=True"):
        forecaster.fit(new, warm_start=True)
    forecaster.fit(new, warm_start=True, update_statistics=True)


@pytest.mark.parametrize("scaling", ["last", "window", "mean_abs", "log", "box_cox", "smoothing"])
def test_forking_is_refused_where_the_scaling_looks_ahead(scaling: str) -> None:
    with pytest.raises(ConfigError, match=r"Choose scaling=series or none, or model\.forking=false"):
        Model(_network(SIZES, forking=True), build("scaling", scaling), Quantile())
    Model(_network(SIZES, forking=False), build("scaling", scaling), Quantile())


@pytest.mark.parametrize("scaling", ["series", "none"])
def test_a_forking_forecaster_trains_and_comes_back_as_it_was(scaling: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = {**read("model", "mqrnn"), "forking": True}
    forecaster = Forecaster(
        model, horizon=3, context_length=8, scaling=scaling, training=Training(steps=30, batch_size=16),
        accelerator="cpu", progress=False,
    ).fit(made_frame())  # fmt: skip
    losses = forecaster.history_["train_loss"]
    assert losses.iloc[-5:].mean() < losses.iloc[:5].mean()
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    assert loaded.predict().equals(forecaster.predict())


def _network(sizes: Sizes, **options: object) -> MQRNN:
    torch.manual_seed(0)
    network = MQRNN(sizes, **{"hidden_size": 8, "dropout": 0.0, **options}).eval()  # type: ignore[arg-type]
    if network.bypass is not None:
        torch.nn.init.normal_(network.bypass.weight)
    return network


def _model(sizes: Sizes, *, by_channel: bool, cycle: bool) -> Model:
    sizes = replace(sizes, outputs=9)
    scaler = build("scaling", {**read("scaling", "none"), "cycle": cycle})
    scaler.prepare(sizes)
    if cycle:
        torch.nn.init.normal_(scaler.cycle.common)

    def make(own: Sizes) -> MQRNN:
        return _network(own, forking=True)

    return Model(ByChannel(make, sizes) if by_channel else make(sizes), scaler, Quantile())


def _inputs(sizes: Sizes) -> Inputs:
    inputs, _ = made_batch(sizes)
    return inputs._replace(target=(inputs.target - 10).float())


def _after(part: torch.Tensor, begin: int, value: float) -> torch.Tensor:
    """Return a copy with another value from a step on."""
    return torch.cat([part[:, :begin], torch.full_like(part[:, begin:], value)], dim=1)


def _ending(inputs: Inputs, origin: int) -> Inputs:
    """Return the windows that end at a step of the context, with left padding in front."""
    length, horizon = inputs.target.shape[1], inputs.known.shape[1] - inputs.target.shape[1]
    steps = {name: slice(origin + 1, origin + 1 + length) for name in ("target", "observed", "past", "past_codes")}
    steps |= {name: slice(origin + 1, origin + 1 + length + horizon) for name in ("known", "known_codes")}
    moved = {}
    for name, some in steps.items():
        part = getattr(inputs, name)
        moved[name] = torch.cat([torch.zeros_like(part[:, :length]), part], dim=1)[:, some]
    return inputs._replace(**moved)


def test_sliding_windows_go_window_by_window() -> None:
    values = torch.arange(10).reshape(2, 5, 1)
    assert sliding(values, 4).squeeze(-1).tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [5, 6, 7, 8], [6, 7, 8, 9]]
