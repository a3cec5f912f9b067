"""The network over segments against its paper: parameters, steps worked by hand, and segments side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from batches import WIDE, made_batch
from torch import Tensor

from forecast.batch import Inputs, Sizes
from forecast.errors import ConfigError
from forecast.networks.segrnn import SegRNN

WIDTH = 6  # D


def test_parameters_are_those_of_the_paper_and_the_mask() -> None:
    """Segment projection, one GRU for both halves, positions and channels of D/2 each, output per segment."""
    segment, ahead, series = 4, 3, 5
    network = _network(Sizes(context_length=12, horizon=12, series=series), segment=segment, series_embedding=True)
    paper = (segment * WIDTH + WIDTH) + 3 * (2 * WIDTH**2 + 2 * WIDTH) + (WIDTH * segment + segment)
    paper += ahead * WIDTH // 2 + series * WIDTH // 2
    mask = segment * WIDTH
    assert sum(weight.numel() for weight in network.parameters()) == paper + mask


@pytest.mark.parametrize(("context", "horizon"), [(12, 4), (13, 7), (3, 9), (1, 1)])
def test_a_forecast_is_the_one_worked_by_hand(context: int, horizon: int) -> None:
    """Contexts and horizons of any length: zeros in front, and the last segment cut."""
    segment = 4
    sizes = Sizes(context_length=context, horizon=horizon, outputs=2)
    network, inputs = _network(sizes, segment=segment), _inputs(sizes)
    read = torch.cat([inputs.target, inputs.observed], dim=2)
    filled = torch.cat([torch.zeros(5, -context % segment, 2), read], dim=1)
    state = torch.zeros(5, WIDTH)
    for begin in range(0, filled.shape[1], segment):
        values = filled[:, begin : begin + segment].flatten(1)  # value, mask, value, mask, ...
        state = _gru(network, torch.relu(values @ network.token.weight.T + network.token.bias), state)
    for step in range(horizon):
        token = torch.cat([network.position[step // segment], network.series.weight[0]]).expand(5, -1)
        output = _gru(network, token, state) @ network.output.weight.T + network.output.bias
        two = 2 * (step % segment)
        torch.testing.assert_close(network(inputs)[:, step, 0], output[:, two : two + 2])


def test_segments_ahead_know_nothing_of_each_other() -> None:
    sizes = replace(WIDE, horizon=10)
    network, inputs = _network(sizes, segment=4), _inputs(sizes)
    before = network(inputs)
    known = inputs.known.clone()
    known[:, sizes.context_length + 5] += 1.0
    moved = (network(inputs._replace(known=known)) - before).abs().amax(dim=(0, 2, 3)) > 0  # (H,)
    assert moved.tolist() == [False] * 4 + [True] * 4 + [False] * 2


def test_a_token_of_padding_is_no_step_and_one_in_part_reads_zeros() -> None:
    sizes = Sizes(context_length=12, horizon=4)
    network, inputs = _network(sizes, segment=4), _inputs(sizes)
    inputs.observed[:, :6], inputs.target[:, :6] = 0, 0
    short = _network(replace(sizes, context_length=6), segment=4)
    short.load_state_dict(network.state_dict())
    cut = {name: getattr(inputs, name)[:, 6:] for name in ("target", "observed", "past", "past_codes")}
    last = inputs._replace(**cut)
    torch.testing.assert_close(network(inputs), short(last))


def test_series_are_told_apart_where_asked_and_new_ones_share_a_row() -> None:
    sizes = Sizes(context_length=12, horizon=4, series=5)
    inputs = _inputs(sizes)
    one, other, new = (inputs._replace(series=torch.full((5,), number)) for number in (1, 2, 0))
    network = _network(sizes, segment=4, series_embedding=True)
    assert not torch.allclose(network(one), network(other))
    with torch.no_grad():
        network.series.weight[1:] = float("nan")
    assert network(new).isfinite().all()
    alike = _network(sizes, segment=4)
    torch.testing.assert_close(alike(one), alike(other), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("season", "context", "expected"), [(24, 96, 24), (1, 96, 10), (168, 200, 14), (7, 5, 2), (64, 64, 64), (1, 1, 1)]
)
def test_a_segment_is_the_season_where_it_fits_else_about_the_root_of_the_context(
    season: int, context: int, expected: int
) -> None:
    assert SegRNN(Sizes(context_length=context, horizon=3, season=season)).segment == expected


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"segment": -1}, "segment is a whole number of 1 or more"),
        ({"segment": 0}, "segment is a whole number of 1 or more"),
        ({"hidden_size": 1}, "hidden_size is 2 or more"),
    ],
)
def test_sizes_that_leave_nothing_are_refused(options: dict[str, int], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        SegRNN(Sizes(context_length=12, horizon=4), **options)  # type: ignore[arg-type]


def _network(sizes: Sizes, **options: Any) -> SegRNN:
    torch.manual_seed(0)
    network = SegRNN(sizes, hidden_size=WIDTH, **options)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.5)  # biases too
    return network.eval()


def _inputs(sizes: Sizes) -> Inputs:
    inputs, _ = made_batch(sizes)
    return inputs._replace(target=inputs.target.float() - 10)


def _gru(network: SegRNN, given: Tensor, state: Tensor) -> Tensor:
    """One step of Cho et al. (2014) in torch's form: reset, update, new; (B, D)."""
    layer = network.recurrent.layers[0]
    reset, update, new = (given @ layer.weight_ih_l0.T + layer.bias_ih_l0).chunk(3, dim=1)
    own_reset, own_update, own_new = (state @ layer.weight_hh_l0.T + layer.bias_hh_l0).chunk(3, dim=1)
    reset, update = torch.sigmoid(reset + own_reset), torch.sigmoid(update + own_update)
    return (1 - update) * torch.tanh(new + reset * own_new) + update * state
