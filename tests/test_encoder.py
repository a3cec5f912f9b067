"""The recurrent stack that networks share: padding, residuals, truncated gradients, dilations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from forecast.networks.encoder import CELLS, Encoder

WIDTH, STEPS = 5, 12
OPTIONS: dict[str, dict[str, Any]] = {
    "two layers": {"layers": 2},
    "both directions": {"layers": 2, "bidirectional": True},
    "residual": {"layers": 3, "residual": True},
    "truncated": {"layers": 2, "detach_every": 5},
    "dilated": {"layers": 3, "dilations": (1, 2, 5)},
}


@pytest.fixture(params=CELLS)
def cell(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_left_padding_never_touches_a_state(cell: str, options: dict[str, Any]) -> None:
    """Whatever stands in the padding, each row has the states of its own steps alone, and 0 before them."""
    encoder, encoded = _encoder(cell=cell, **options), _encoded()
    lengths = torch.tensor([STEPS, 7, 1, 0])
    padded = (torch.arange(STEPS) < (STEPS - lengths)[:, None]).float()
    states, _ = encoder(encoded, padded)
    summary = encoder.summary(states, padded)
    for row, length in enumerate(lengths.tolist()):
        assert (states[row, : STEPS - length] == 0).all()
        if length:
            own = encoded[row : row + 1, STEPS - length :]
            alone, _ = encoder(own, torch.zeros(1, length))
            torch.testing.assert_close(states[row, STEPS - length :], alone[0])
            torch.testing.assert_close(summary[row], encoder.summary(alone, torch.zeros(1, length))[0])
    assert states.isfinite().all()


def test_a_stack_is_the_layers_of_torch(cell: str) -> None:
    encoder, encoded = _encoder(cell=cell, layers=2), _encoded()
    whole = CELLS[cell](WIDTH, 8, 2, batch_first=True)
    whole.load_state_dict(
        {
            label.replace("_l0", f"_l{number}"): weight
            for number, layer in enumerate(encoder.layers)
            for label, weight in layer.state_dict().items()
        }
    )
    torch.testing.assert_close(encoder(encoded, torch.zeros(4, STEPS))[0], whole(encoded)[0])


def test_going_on_from_a_state_is_reading_in_one_go(cell: str) -> None:
    encoder, encoded = _encoder(cell=cell, layers=2, residual=True), _encoded()
    whole, _ = encoder(encoded, torch.zeros(4, STEPS))
    _, state = encoder(encoded[:, :7], torch.zeros(4, 7))
    onward, last = encoder.onward(encoded[:, 7:], state)
    torch.testing.assert_close(onward, whole[:, 7:])
    torch.testing.assert_close(last, encoder(encoded, torch.zeros(4, STEPS))[1])


def test_a_residual_adds_the_input_of_a_layer_to_its_output() -> None:
    encoder, encoded = _encoder(layers=2, residual=True), _encoded()
    first, _ = encoder.layers[0](encoded)  # type: ignore[index]
    second, _ = encoder.layers[1](first)  # type: ignore[index]
    torch.testing.assert_close(encoder(encoded, torch.zeros(4, STEPS))[0], first + second)


def test_a_truncated_gradient_is_exactly_zero_before_the_last_piece(cell: str) -> None:
    encoder, encoded = _encoder(cell=cell, layers=2, detach_every=5), _encoded().requires_grad_()
    states, _ = encoder(encoded, torch.zeros(4, STEPS))
    whole, _ = _encoder(cell=cell, layers=2)(encoded, torch.zeros(4, STEPS))
    torch.testing.assert_close(states, whole)  # what is read stays the same
    moved = _gradient(states[:, -1], encoded)
    assert (moved[:, : STEPS - 5] == 0).all() and (moved[:, STEPS - 5 :] != 0).any(dim=-1).all()
    assert (_gradient(whole[:, -1], encoded) != 0).any(dim=-1).all()


@pytest.mark.parametrize("dilation", [2, 5])
def test_a_dilated_layer_reads_every_so_many_steps_back(cell: str, dilation: int) -> None:
    encoder, encoded = _encoder(cell=cell, dilations=(dilation,)), _encoded().requires_grad_()
    states, _ = encoder(encoded, torch.zeros(4, STEPS))
    for step in range(STEPS):
        moved = (_gradient(states[:, step], encoded) != 0).any(dim=-1)
        read = torch.arange(STEPS)
        expected = (read <= step) & ((step - read) % dilation == 0)
        assert (moved == expected).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "gruu"}, "cell is one of rnn, gru, lstm"),
        ({"layers": 0}, "layers is a whole number of 1 or more"),
        ({"detach_every": -1}, "detach_every is 0 or more"),
        ({"layers": 2, "dilations": (1,)}, "dilations are 2 whole numbers"),
        ({"bidirectional": True, "detach_every": 3}, "leave it out beside"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Encoder(WIDTH, **options)


def _encoder(**options: Any) -> Encoder:
    torch.manual_seed(0)
    return Encoder(WIDTH, hidden_size=8, **options).eval()


def _encoded() -> Tensor:
    return torch.randn(4, STEPS, WIDTH, generator=torch.Generator().manual_seed(0))


def _gradient(states: Tensor, encoded: Tensor) -> Tensor:
    """Return how inputs (B, L, E) move the sum of squares of states (B, D)."""
    (gradient,) = torch.autograd.grad(states.square().sum(), encoded, retain_graph=True)
    return gradient
