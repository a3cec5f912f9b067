"""Encoder and decoder, their teacher, and attention: against the papers and by hand."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log, tanh
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from batches import SIZES, WIDE, made_batch
from command import TINY, forecast
from frames import made_frame, made_roles
from torch import Tensor
from torch.nn import functional as F

from forecast import Columns, Forecaster, Training
from forecast.batch import Inputs, Outcome, Sizes
from forecast.config import build
from forecast.errors import ConfigError
from forecast.networks.attention import Attention, weights_of
from forecast.networks.channels import ByChannel
from forecast.networks.features import padding
from forecast.networks.seq2seq import Seq2Seq, forced_share
from forecast.report.figures import attention_figure

SCORES = ("none", "additive", "dot")
NUMBERS = replace(SIZES, past=4, known=3, static=2)  # no codes, which training drops now and then


@pytest.mark.parametrize("score", ["additive", "dot"])
def test_a_score_worked_by_hand(score: str) -> None:
    """One number wide: s = 0.5, h = 0 and 2, all weights 1 but the bias of the query, 0.25."""
    attention = Attention(score, query=1, states=1)  # type: ignore[arg-type]
    with torch.no_grad():
        for weight in attention.parameters():
            weight.fill_(1.0)
        if score == "additive":
            attention.query.bias.fill_(0.25)
    memory = attention.memory(torch.tensor([[[0.0], [2.0]]]), torch.zeros(1, 2))
    fits = {"additive": (tanh(0.75), tanh(2.75)), "dot": (0.0, 1.0)}[score]
    share = exp(fits[1]) / (exp(fits[0]) + exp(fits[1]))
    torch.testing.assert_close(attention(torch.tensor([[[0.5]]]), memory), torch.tensor([[[1 - share, share]]]))


def test_additive_attention_feeds_the_cell_and_the_output() -> None:
    """Bahdanau et al., A.1: a step from the state before it, its input and the context's mean."""
    decoder = _network(SIZES, score="additive").decoder
    given, state, states = torch.randn(3, 2, 1), [(torch.randn(1, 3, 8),)], torch.randn(3, 5, 8)
    read, last = decoder(given, state, decoder.memory(states, torch.zeros(3, 5)))
    attention, hidden = decoder.attention, state[0][0][0]
    for step in range(2):
        scores = attention.energy(torch.tanh(attention.query(hidden)[:, None] + attention.keys(states)))
        context = (scores.softmax(dim=1) * states).sum(dim=1)
        hidden = _gru(decoder.stack.layers[0], torch.cat([given[:, step], context], dim=1), hidden)
        torch.testing.assert_close(read[:, step], torch.cat([hidden, context], dim=1))
    torch.testing.assert_close(last[0][0][0], hidden)


def test_dot_attention_joins_the_context_after_the_cell() -> None:
    """Luong et al., equations 5 to 8 with the dot score: tanh(W [context; state])."""
    decoder = _network(SIZES, score="dot").decoder
    given, state, states = torch.randn(3, 2, 1), [(torch.randn(1, 3, 8),)], torch.randn(3, 5, 8)
    read, _ = decoder(given, state, decoder.memory(states, torch.zeros(3, 5)))
    hidden = state[0][0][0]
    for step in range(2):
        hidden = _gru(decoder.stack.layers[0], given[:, step], hidden)
        weights = torch.einsum("bd,bld->bl", hidden, states).softmax(dim=1)
        context = torch.einsum("bl,bld->bd", weights, states)
        expected = torch.tanh(decoder.join(torch.cat([context, hidden], dim=1)))
        torch.testing.assert_close(read[:, step], expected)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("score", SCORES)
def test_the_parameters_are_those_of_the_papers(score: str, cell: str, bidirectional: bool) -> None:
    width, layers, gates = 8, 2, {"rnn": 1, "gru": 3, "lstm": 4}[cell]
    network = _network(SIZES, score=score, cell=cell, layers=layers, bidirectional=bidirectional)
    directions = 2 if bidirectional else 1
    context = directions * width

    def stack(first: int, above: int) -> int:
        return sum(gates * (own * width + width * width + 2 * width) for own in (first, above))

    expected = directions * stack(network.features.encoder_width, context)
    expected += stack(1 + (context if score == "additive" else 0), width)
    if bidirectional:
        expected += layers * (2 if cell == "lstm" else 1) * (2 * width * width + width)
    if score == "additive":
        expected += context * width + (width * width + width) + width  # U, W with its bias, v
    if score == "dot":
        expected += (context + width) * width + width + (context * width if bidirectional else 0)
    expected += (network.decoder.width + 1) * SIZES.outputs
    assert sum(weight.numel() for weight in network.parameters()) == expected


@pytest.mark.parametrize("score", ["additive", "dot"])
def test_weights_add_up_to_one_and_are_none_in_padding(score: str) -> None:
    network, (inputs, _) = _network(WIDE, score=score, bidirectional=True), _batch(WIDE)
    inputs.observed[1, :5], inputs.target[1, :5] = 0, 0
    inputs.observed[2], inputs.target[2] = 0, 0  # nothing seen at all
    weights = weights_of(network, inputs)
    assert weights.shape == (5, 4, 12)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(5, 4))
    hidden = padding(inputs.observed)[[0, 1, 3, 4], None].expand(-1, 4, -1) > 0
    assert (weights[[0, 1, 3, 4]][hidden] == 0).all() and (weights[[0, 1, 3, 4]][~hidden] > 0).all()


@pytest.mark.parametrize("bypass", [False, True])
@pytest.mark.parametrize("score", SCORES)
def test_teacher_and_own_values_agree_where_they_are_the_same(score: str, bypass: bool) -> None:
    network, (inputs, outcome) = _network(NUMBERS, score=score, bypass=bypass, forcing="always"), _batch(NUMBERS)
    if bypass:
        torch.nn.init.normal_(network.bypass.weight, std=0.1)
    fed: list[Tensor] = []
    free = network(inputs, None, lambda raw: fed.append(2 * raw[..., 0]) or fed[-1])
    assert len(fed) == NUMBERS.horizon  # the last one too
    torch.testing.assert_close(torch.stack(fed, dim=1), 2 * free[..., 0])
    teacher = outcome._replace(target=torch.stack(fed, dim=1).detach())
    torch.testing.assert_close(network.train()(inputs, teacher), free)  # in one go
    gap = torch.ones_like(outcome.observed)
    gap[:, 1] = 0
    known = network(inputs, Outcome(teacher.target * gap, gap), lambda raw: 2 * raw[..., 0])
    torch.testing.assert_close(known, free)  # step by step


def test_what_was_not_observed_is_never_fed() -> None:
    network, (inputs, outcome) = _network(SIZES, forcing="always").train(), _batch(SIZES)
    observed = outcome.observed.clone()
    observed[:3, 1] = 0
    raws = [
        network(inputs, Outcome(torch.where(observed > 0, outcome.target, poison), observed)) for poison in (0.0, 9e9)
    ]
    torch.testing.assert_close(raws[0], raws[1], rtol=0, atol=0)


def test_the_last_observed_value_is_fed_first() -> None:
    network, (inputs, _) = _network(SIZES), _batch(SIZES)
    first: list[Tensor] = []
    onward = network.decoder.stack.onward
    network.decoder.stack.onward = lambda given, state: first.append(given[:, 0, 0]) or onward(given, state)
    inputs.observed[0, -2:], inputs.target[0, -2:] = 0, 0
    network(inputs)
    expected = inputs.target[:, -1, 0].clone()
    expected[0] = inputs.target[0, -3, 0]
    torch.testing.assert_close(first[0], expected)


def test_outside_training_no_teacher_is_read() -> None:
    network, (inputs, outcome) = _network(SIZES, forcing="always"), _batch(SIZES)
    torch.testing.assert_close(network(inputs, outcome), network(inputs), rtol=0, atol=0)


def test_shares_of_true_values_are_those_of_the_schedules() -> None:
    """Bengio et al., section 2.4."""
    assert [forced_share("linear", done, until=0.5) for done in (0, 0.25, 0.5, 0.9)] == [1, 0.5, 0, 0]
    assert forced_share("always", 0.9, until=0.5) == 1 and forced_share("never", 0.0, until=0.5) == 0
    k, steps = 100.0, 1000
    for step in (0, 100, 400, 800, 1000):
        i = step / steps / 0.8 * 2 * k * log(k)
        expected = k / (k + exp(i / k))
        assert forced_share("inverse_sigmoid", step / steps, until=0.8) == pytest.approx(expected)
    for wrong in ({"forcing": "sometimes"}, {"forcing_until": 0.0}, {"score": "cosine"}):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))} is .*got"):
            _network(SIZES, **wrong)


def test_true_values_are_fed_in_the_scheduled_share_of_steps() -> None:
    sizes = Sizes(context_length=2, horizon=51)
    network, (_, outcome) = _network(sizes).train(), _batch(sizes, count=200)
    network.progress(0.1)  # linear until half: a share of 0.8
    torch.manual_seed(0)
    _, fed = network._taught(outcome)
    assert fed.shape == (200, 50, 1) and abs(float(fed.float().mean()) - 0.8) < 0.02
    network.progress(0.5)
    assert not network._taught(outcome)[1].any()


def test_training_tells_the_network_how_far_it_has_come() -> None:
    for joint in (True, False):
        columns = Columns(target=("y", "z"), joint=joint)
        forecaster = _fitted(made_frame().assign(z=1.0), columns=columns, training=Training(steps=4, batch_size=4))
        network = forecaster.model_.network if joint else forecaster.model_.network.network
        assert network.done == 0.75 and "done" not in network.state_dict()


def test_weights_are_the_same_with_channels_as_windows() -> None:
    sizes = replace(SIZES, targets=2)
    network = ByChannel(lambda own: build("model", "attention", own), sizes).eval()
    inputs, _ = _batch(sizes)
    weights = weights_of(network, inputs).unflatten(0, (5, 2))
    code = torch.full((5, 1), 2)
    own = inputs._replace(
        target=inputs.target[..., 1:], observed=inputs.observed[..., 1:], scale=inputs.scale[:, 1:], static_codes=code
    )
    torch.testing.assert_close(weights[:, 1], weights_of(network.network, own))
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.slow
@pytest.mark.parametrize(("score", "least", "most"), [("dot", 0.0, 0.05), ("none", 0.4, 1.1)])
def test_attention_learns_to_copy_and_a_single_state_does_not(score: str, least: float, most: float) -> None:
    """The last 16 of 24 random values in their order, through a state of 32; the mean squared error begins at 1.

    After 400 steps; the additive score learns the same in 900, the single state does not in 600.
    """
    sizes, steps = Sizes(context_length=24, horizon=16), 400
    network = _network(sizes, score=score, hidden_size=32).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)
    for step in range(steps):
        network.progress(step / steps)
        optimizer.zero_grad()
        _copy_error(network, sizes, count=64, seed=step).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        assert least < float(_copy_error(network.eval(), sizes, count=500, seed=steps)) < most


def test_a_forecaster_tells_what_it_looks_at() -> None:
    frame = made_frame(series=3, rows=40)
    forecaster = _fitted(frame)
    weights = forecaster.attention()
    assert list(weights) == ["unique_id", "ahead", "ds", "back", "weight"] and len(weights) == 3 * 4 * 10
    np.testing.assert_allclose(weights.groupby(["unique_id", "ahead"])["weight"].sum(), 1, rtol=1e-5)
    last = frame.groupby("unique_id")["ds"].max()
    assert (weights["ds"] + pd.to_timedelta(weights["back"], unit="D") == weights["unique_id"].map(last)).all()
    short = forecaster.attention(frame[frame["ds"] < frame["ds"].min() + pd.Timedelta(days=6)])
    assert sorted(short["back"].unique()) == list(range(6))
    np.testing.assert_allclose(short.groupby(["unique_id", "ahead"])["weight"].sum(), 1, rtol=1e-5)
    pd.testing.assert_frame_equal(forecaster.attention(frame), weights)


def test_attention_needs_the_future_that_a_forecast_needs() -> None:
    frame = made_frame(rows=40, covariates=True)
    forecaster = _fitted(frame, columns=Columns(**made_roles()))
    is_future = frame.groupby("unique_id").cumcount() >= 36
    with pytest.raises(ValueError, match="price"):
        forecaster.attention(frame[~is_future])
    assert len(forecaster.attention(frame[~is_future], future=frame[is_future])) == 2 * 4 * 10


def test_a_network_without_attention_refuses_to_tell() -> None:
    with pytest.raises(ConfigError, match="Seq2Seq without attention.* Choose model=attention"):
        _fitted(made_frame(), model="seq2seq").attention()


def test_the_figure_shows_the_mean_over_series_latest_step_on_the_right() -> None:
    frame = pd.DataFrame(
        {
            "unique_id": ["a"] * 4 + ["b"] * 2,
            "ahead": [1, 1, 2, 2, 1, 2],
            "back": [1, 0, 1, 0, 0, 0],
            "weight": [0.75, 0.25, 0.5, 0.5, 1.0, 1.0],
        }
    )
    figure = attention_figure(frame, columns=Columns())
    axis, bar = figure.axes
    [image] = axis.images
    np.testing.assert_allclose(image.get_array(), [[0.375, 0.625], [0.25, 0.75]])
    assert axis.get_ylabel() == "step of the horizon" and axis.get_xlabel().startswith("step of the context")
    assert image.get_extent() == [-1.5, 0.5, 2.5, 0.5] and bar.get_ylabel() == "weight"
    targets = pd.concat([frame.assign(target="y"), frame.assign(target="z")])
    assert [axis.get_title("left") for axis in attention_figure(targets, columns=Columns()).axes[:2]] == ["y", "z"]


@pytest.mark.slow
@pytest.mark.parametrize("known", ["", "data.columns.known=[price]"])
def test_the_job_train_draws_attention(known: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made_frame(covariates=True).to_csv("my.csv", index=False)
    words = [
        *TINY,
        "model=attention",
        "final=false",
        "data.path=my.csv",
        "horizon=4",
        "hydra.run.dir=run",
        *filter(None, [known]),
    ]
    assert forecast("train", *words) == 0
    assert (tmp_path / "run" / "figures" / "attention.png").exists()
    assert "What each step ahead looks at" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def _network(sizes: Sizes, **options: Any) -> Seq2Seq:
    torch.manual_seed(0)
    return Seq2Seq(sizes, **{"hidden_size": 8, **options}).eval()


def _batch(sizes: Sizes, *, count: int = 5) -> tuple[Inputs, Outcome]:
    """Return windows as a network gets them: scaled, in float32."""
    inputs, outcome = made_batch(sizes, count=count)
    return (
        inputs._replace(target=(inputs.target - 10).float()),
        outcome._replace(target=(outcome.target - 10).float()),
    )


def _gru(layer: Any, given: Tensor, hidden: Tensor) -> Tensor:
    """Return the next state of a GRU, by the equations of Cho et al. as torch writes them."""
    own = F.linear(given, layer.weight_ih_l0, layer.bias_ih_l0).chunk(3, dim=1)
    back = F.linear(hidden, layer.weight_hh_l0, layer.bias_hh_l0).chunk(3, dim=1)
    reset, update = torch.sigmoid(own[0] + back[0]), torch.sigmoid(own[1] + back[1])
    return (1 - update) * torch.tanh(own[2] + reset * back[2]) + update * hidden


def _copy_error(network: Seq2Seq, sizes: Sizes, *, count: int, seed: int) -> Tensor:
    inputs, outcome = made_batch(sizes, count=count, seed=seed)
    values = (inputs.target - 10).float()
    outcome = outcome._replace(target=values[:, -sizes.horizon :])
    return (network(inputs._replace(target=values), outcome)[..., 0] - outcome.target).square().mean()


def _fitted(frame: pd.DataFrame, *, model: str = "attention", **settings: Any) -> Forecaster:
    quick = {"training": Training(steps=2, batch_size=4), "accelerator": "cpu", "progress": False}
    return Forecaster(model, horizon=4, context_length=10, **{**quick, **settings}).fit(frame)
