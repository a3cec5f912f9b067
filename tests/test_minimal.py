"""minGRU and minLSTM: the scan against steps and the paper's formula, the cells against a step by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from batches import WIDE, made_batch
from torch import Tensor

from forecast.batch import Inputs, Sizes
from forecast.networks.initialisation import forget_logits
from forecast.networks.minimal import Minimal, MinimalCell
from forecast.networks.scan import scan, stepped

Cell = Literal["gru", "lstm"]
CELLS: tuple[Cell, ...] = ("gru", "lstm")


@pytest.mark.parametrize("length", [1, 2, 7, 16, 17, 500])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_scan_equals_single_steps(length: int, dtype: torch.dtype) -> None:
    keep, add = _coefficients(length, dtype)
    torch.testing.assert_close(scan(keep, add), stepped(keep, add), rtol=1e-5, atol=1e-6)


def test_the_scan_equals_the_formula_of_the_paper() -> None:
    """In log space, in double precision: in single precision that formula misses by 5e-5 and more."""
    keep, add = _coefficients(500, torch.float64)
    kept = keep.log().cumsum(dim=1)
    expected = (kept + (add.log() - kept).logcumsumexp(dim=1)).exp()
    torch.testing.assert_close(scan(keep, add), expected, rtol=1e-9, atol=0)
    torch.testing.assert_close(scan(keep.float(), add.float()).double(), expected, rtol=2e-6, atol=0)


@pytest.mark.parametrize("length", [1, 2, 7, 16])
def test_the_gradient_of_the_scan_is_that_of_single_steps(length: int) -> None:
    keep, add = (part[:2, :, :3].clone().requires_grad_() for part in _coefficients(length, torch.float64))
    assert torch.autograd.gradcheck(scan, (keep, add))
    weight = torch.randn(2, length, 3, dtype=torch.float64)
    for own, other in zip(
        torch.autograd.grad((scan(keep, add) * weight).sum(), (keep, add)),
        torch.autograd.grad((stepped(keep, add) * weight).sum(), (keep, add)),
        strict=True,
    ):
        torch.testing.assert_close(own, other)


def test_the_scan_changes_neither_argument() -> None:
    keep, add = _coefficients(16, torch.float32)
    before = keep.clone(), add.clone()
    scan(keep, add)
    torch.testing.assert_close((keep, add), before, rtol=0, atol=0)


@pytest.mark.parametrize("size", [1.0, 1e3])
@pytest.mark.parametrize("cell", CELLS)
def test_training_and_prediction_give_the_same_states(cell: Cell, size: float) -> None:
    layer = _cell(cell, hidden_size=16)
    encoded, padded = size * torch.randn(3, 500, 5), torch.zeros(3, 500)
    padded[1, :20] = 1
    trained, predicted = layer.train()(encoded, padded), layer.eval()(encoded, padded)
    assert trained.isfinite().all()
    torch.testing.assert_close(trained, predicted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_training_and_prediction_give_the_same_forecast(cell: Cell) -> None:
    network, inputs = Minimal(WIDE, cell=cell, hidden_size=8, layers=3), _inputs(WIDE)
    trained = network.train().requires_grad_(False)
    trained.features.eval()  # drops codes in training
    torch.testing.assert_close(trained(inputs), network.eval()(inputs), rtol=1e-5, atol=1e-5)


def test_a_step_of_the_gru_by_hand() -> None:
    layer = _filled(_cell("gru", width=1, hidden_size=1), [2.0, 0.5], [0.1, -0.2])
    x = torch.tensor([[[1.0], [-3.0]]])
    # h~ = 2.1, so that g(h~) = 2.6, and z = s(.3) = .574443.
    # Then h~ = -5.9, so that g(h~) = s(-5.9) = .002732, and z = s(-1.7) = .154465.
    first = 0.574443 * 2.6
    second = (1 - 0.154465) * first + 0.154465 * 0.002732
    expected = torch.tensor([[[first], [second]]])
    torch.testing.assert_close(layer(x, torch.zeros(1, 2)), expected, rtol=1e-5, atol=1e-6)


def test_a_step_of_the_lstm_by_hand() -> None:
    layer = _filled(_cell("lstm", width=1, hidden_size=1), [2.0, 1.0, -1.0], [0.0, 0.0, 0.0])
    x = torch.tensor([[[1.0], [0.0]]])
    # f = s(1) = .731059, i = s(-1) = .268941 sum to 1; then f = i = .5, and g(0) = .5.
    first = 0.268941 * 2.5
    expected = torch.tensor([[[first], [0.5 * first + 0.5 * 0.5]]])
    torch.testing.assert_close(layer(x, torch.zeros(1, 2)), expected, rtol=1e-5, atol=1e-6)


def test_the_gates_of_the_lstm_are_made_to_sum_to_one() -> None:
    layer, encoded = _cell("lstm", width=5, hidden_size=4), torch.randn(2, 6, 5)
    keep, _ = layer.coefficients(encoded)
    _, forget, take = layer.gates(encoded).chunk(3, dim=-1)
    torch.testing.assert_close(keep, forget.sigmoid() / (forget.sigmoid() + take.sigmoid()))


@pytest.mark.parametrize(("cell", "maps"), [("gru", 2), ("lstm", 3)])
def test_a_cell_has_the_weights_of_the_paper_and_a_bias_each(cell: Cell, maps: int) -> None:
    layer = _cell(cell, width=5, hidden_size=8)
    assert sum(part.numel() for part in layer.parameters()) == maps * 8 * 5 + maps * 8


@pytest.mark.parametrize("cell", CELLS)
def test_units_begin_to_remember_from_one_step_to_the_whole_context(cell: Cell) -> None:
    layer = _cell(cell, width=5, hidden_size=3, longest=100)
    keep, _ = layer.coefficients(torch.zeros(1, 1, 5))
    torch.testing.assert_close(keep.flatten(), torch.tensor([1 / 2, 10 / 11, 100 / 101]))
    assert forget_logits(3, longest=1).eq(0).all()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_leaves_the_state_at_its_start(cell: Cell, training: bool) -> None:
    layer, encoded = _cell(cell, width=5, hidden_size=4).train(training), torch.randn(2, 10, 5)
    padded = torch.zeros(2, 10)
    padded[:, :4] = 1
    states = layer(encoded, padded)
    assert (states[:, :4] == 0).all()
    torch.testing.assert_close(states[:, 4:], layer(encoded[:, 4:], padded[:, 4:]))


@pytest.mark.parametrize("cell", CELLS)
def test_padding_leaves_a_stack_alone(cell: Cell) -> None:
    network = Minimal(replace(WIDE, context_length=20), cell=cell, hidden_size=8, layers=3).eval()
    inputs = _inputs(replace(WIDE, context_length=20))
    short = inputs._replace(
        **{
            field: getattr(inputs, field)[:, 6:]
            for field in ("target", "observed", "past", "known", "past_codes", "known_codes")
        }
    )
    observed = inputs.observed.clone()
    observed[:, :6] = 0
    padded = inputs._replace(target=inputs.target * observed, observed=observed)
    torch.testing.assert_close(network(padded), network(short))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_long_memory_outlives_mixed_precision(cell: Cell) -> None:
    """A share of 1 - 1 / 513 that is kept would be rounded to 1 in bfloat16."""
    layer, encoded = _cell(cell, width=3, hidden_size=32, longest=512).train(), torch.randn(2, 512, 3)
    expected = layer(encoded, torch.zeros(2, 512))
    with torch.autocast("cpu", torch.bfloat16):
        states = layer(encoded, torch.zeros(2, 512))
    torch.testing.assert_close(states, expected, rtol=0.02, atol=0.02)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="cell is one of gru, lstm, got 'rnn'"):
        Minimal(WIDE, cell="rnn")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="layers is a whole number of 1 or more, got 0"):
        Minimal(WIDE, layers=0)


def _coefficients(length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    keep, add = (torch.randn(4, length, 8, generator=draw, dtype=dtype) for _ in range(2))
    return torch.sigmoid(3 * keep), add.exp()


def _cell(cell: Cell, *, width: int = 5, hidden_size: int, longest: int = 12) -> MinimalCell:
    torch.manual_seed(0)
    return MinimalCell(width, cell=cell, hidden_size=hidden_size, longest=longest)


def _filled(layer: MinimalCell, weight: list[float], bias: list[float]) -> MinimalCell:
    layer.gates.weight.data = torch.tensor(weight)[:, None]
    layer.gates.bias.data = torch.tensor(bias)
    return layer


def _inputs(sizes: Sizes) -> Inputs:
    inputs, _ = made_batch(sizes)
    return inputs._replace(target=inputs.target.float() - 10)
