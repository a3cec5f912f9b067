"""LSTNet against its paper: parameters, all parts worked by hand, and what the skipping part reads."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import torch
from batches import made_batch
from torch import Tensor, nn

from forecast.batch import Inputs, Sizes
from forecast.networks.lstnet import LSTNet, _tell_no_skip

SIZES = Sizes(context_length=14, horizon=3, season=4, outputs=2)
FILTERS, KERNEL, WIDTH, SKIP = 5, 3, 6, 2


def test_parameters_are_those_of_the_paper() -> None:
    """Filters over value and mask, two GRUs, and one linear map of their states; the autoregression apart."""
    network = _network(SIZES, bypass=True)
    convolution = 2 * KERNEL * FILTERS + FILTERS
    gru, skipping = (3 * (FILTERS * width + width**2 + 2 * width) for width in (WIDTH, SKIP))
    dense = (WIDTH + SIZES.season * SKIP + 1) * SIZES.horizon * SIZES.outputs
    autoregression = SIZES.context_length * SIZES.horizon
    total = convolution + gru + skipping + dense + autoregression
    assert sum(weight.numel() for weight in network.parameters()) == total


def test_a_forecast_is_the_sum_of_the_parts_worked_by_hand() -> None:
    network, inputs = _network(SIZES), _inputs(SIZES)
    read = torch.cat([torch.zeros(5, KERNEL - 1, 2), torch.cat([inputs.target, inputs.observed], dim=2)], dim=1)
    filtered = [
        torch.relu(torch.einsum("bke,fek->bf", read[:, step : step + KERNEL], network.convolution.weight)
        + network.convolution.bias)
        for step in range(14)
    ]  # fmt: skip
    states = _states(network.recurrent.layers[0], filtered, back=1)
    skipping = _states(network.skip.layers[0], filtered, back=SIZES.season)
    weight = network.head.direct.weight
    expected = states[-1] @ weight[:, :WIDTH].T + network.head.direct.bias
    for phase in range(SIZES.season):
        begin = WIDTH + phase * SKIP
        expected = expected + skipping[14 - SIZES.season + phase] @ weight[:, begin : begin + SKIP].T
    torch.testing.assert_close(network(inputs), expected.unflatten(1, (3, 1, 2)))


def test_the_skipping_part_reads_its_own_phase_alone() -> None:
    network = _network(SIZES)
    filtered = torch.rand(1, 14, FILTERS, requires_grad=True)
    states, _ = network.skip(filtered, torch.zeros(1, 14))
    states[0, 12].sum().backward()
    assert filtered.grad.abs().sum(dim=2).nonzero()[:, 1].tolist() == [0, 4, 8, 12]


def test_a_filter_is_no_longer_than_the_context() -> None:
    assert LSTNet(SIZES, kernel=99_999).convolution.kernel_size == (SIZES.context_length,)


def test_filters_look_back_alone() -> None:
    network = _network(SIZES)
    encoded = torch.randn(1, 14, 2)
    before = network._filtered(encoded)
    encoded[:, 9] += 1.0
    moved = (network._filtered(encoded) - before).abs().amax(dim=(0, 2)) > 0
    assert moved.nonzero().flatten().tolist() == [9, 10, 11]


@pytest.mark.parametrize(("season", "has_skip", "told"), [(1, False, 0), (14, True, 0), (15, False, 1)])
def test_a_season_beyond_the_context_is_skipped_by_nothing_and_told_once(
    season: int, has_skip: bool, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    sizes = replace(SIZES, season=season)
    _tell_no_skip.cache_clear()
    with caplog.at_level(logging.WARNING, logger="forecast"):
        network, _ = _network(sizes), _network(sizes)
    assert (network.skip is not None) == has_skip
    assert [record.levelname for record in caplog.records] == ["WARNING"] * told
    assert network(_inputs(sizes)).shape == (5, 3, 1, 2)


def _network(sizes: Sizes, **options: Any) -> LSTNet:
    torch.manual_seed(0)
    return LSTNet(sizes, filters=FILTERS, kernel=KERNEL, hidden_size=WIDTH, skip_size=SKIP, **options).eval()


def _inputs(sizes: Sizes) -> Inputs:
    inputs, _ = made_batch(sizes)
    return inputs._replace(target=inputs.target.float() - 10)


def _states(layer: nn.GRU, steps: list[Tensor], *, back: int) -> list[Tensor]:
    """Return the states of a GRU whose last state lies so many steps back, by torch's cell."""
    cell = nn.GRUCell(layer.input_size, layer.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in layer.state_dict().items()})
    states = [torch.zeros(len(steps[0]), layer.hidden_size)] * back
    for step in steps:
        states.append(cell(step, states[-back]))
    return states[back:]
