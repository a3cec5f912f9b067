"""The dilated stack: what a layer reads, what the output joins, how many weights there are."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from batches import SIZES, made_batch

from forecast.batch import Inputs, Sizes
from forecast.networks.dilated import Dilated
from forecast.networks.encoder import Encoder
from forecast.networks.recurrent import Recurrent

CELLS: tuple[Literal["rnn", "gru", "lstm"], ...] = ("rnn", "gru", "lstm")


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_of_a_layer_comes_from_its_dilation_back(cell: Literal["rnn", "gru", "lstm"]) -> None:
    encoder = Encoder(2, cell=cell, hidden_size=4, dilations=[3])
    encoded = torch.randn(2, 11, 2, requires_grad=True)
    states, _ = encoder(encoded, torch.zeros(2, 11))
    for step in range(11):
        (gradient,) = torch.autograd.grad(states[:, step].square().sum(), encoded, retain_graph=True)
        read = gradient.abs().sum(dim=(0, 2)).nonzero().flatten().tolist()
        assert read == list(range(step % 3, step + 1, 3))


def test_doubling_dilations_reach_every_step_and_the_farthest_in_few() -> None:
    encoder = Encoder(2, hidden_size=4, layers=4, dilations=[1, 2, 4, 8])
    encoded = torch.randn(1, 16, 2, requires_grad=True)
    states, _ = encoder(encoded, torch.zeros(1, 16))
    (gradient,) = torch.autograd.grad(states[:, -1].sum(), encoded)
    assert (gradient.abs().sum(dim=2) > 0).all()


def test_a_layer_of_dilation_one_is_the_plain_gru() -> None:
    dilated, plain = Dilated(SIZES, dilations=[1], hidden_size=8).eval(), Recurrent(SIZES, hidden_size=8).eval()
    plain.load_state_dict(dilated.state_dict())
    torch.testing.assert_close(dilated(_inputs()), plain(_inputs()), rtol=0, atol=0)


def test_a_dilated_layer_is_the_plain_one_on_every_such_step() -> None:
    dilated, plain = Encoder(3, hidden_size=4, dilations=[4]), Encoder(3, hidden_size=4)
    plain.load_state_dict(dilated.state_dict())
    encoded = torch.randn(2, 14, 3)
    states, _ = dilated(encoded, torch.zeros(2, 14))
    for first in range(4):
        own, _ = plain(encoded[:, first::4], torch.zeros(2, len(range(first, 14, 4))))
        torch.testing.assert_close(states[:, first::4], own)


def test_a_layer_more_costs_its_weights_whatever_its_dilation() -> None:
    """Three gates of a GRU, each from input, state and two biases."""
    width, more = 8, 3 * (8 * 8 + 8 * 8 + 2 * 8)
    first = _weights(Dilated(SIZES, dilations=[1], hidden_size=width))
    for dilations in ([1, 2], [1, 7]):
        assert _weights(Dilated(SIZES, dilations=dilations, hidden_size=width)) == first + more


def test_where_the_first_layer_leaps_the_output_joins_as_many_states() -> None:
    """Else what lies between never reaches it."""
    network = Dilated(SIZES, dilations=[3, 6], hidden_size=8).eval()
    assert network.fuse.weight.shape == (8, 3 * 8)
    inputs = _inputs()
    target = inputs.target.clone().requires_grad_()
    network(inputs._replace(target=target)).square().sum().backward()
    assert (target.grad.abs().sum(dim=(0, 2)) > 0).all()


def test_layers_that_leap_over_the_context_are_left_out_and_told_of(caplog: pytest.LogCaptureFixture) -> None:
    sizes = Sizes(context_length=4, horizon=2)
    assert Dilated(sizes).recurrent.dilations == (1, 2)
    assert Dilated(Sizes(context_length=1, horizon=2)).recurrent.dilations == (1,)
    Dilated(sizes, dilations=[1, 2, 31])
    assert "of layers that go 1, 2, 31 steps back, those within the context of 4 are built: 1, 2." in caplog.text


@pytest.mark.parametrize("dilations", [[], [0, 2], [1, 2.5], [True, 2]])
def test_dilations_that_make_no_sense_are_refused(dilations: list[int]) -> None:
    with pytest.raises(ValueError, match="dilations are one or more whole numbers of 1 or more, got"):
        Dilated(SIZES, dilations=dilations)


def _inputs() -> Inputs:
    inputs, _ = made_batch(SIZES)
    return inputs._replace(target=inputs.target.float() - 10)


def _weights(network: torch.nn.Module) -> int:
    return sum(part.numel() for part in network.parameters())
