"""sLSTM: a step by hand, the stabiliser, the heads, padding."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from batches import WIDE
from torch import Tensor

from forecast.networks.slstm import SLSTM, Block, Memory

Forget = Literal["sigmoid", "exp"]
FORGETS: tuple[Forget, ...] = ("sigmoid", "exp")


def test_steps_by_hand() -> None:
    memory = _memory(width=1, heads=1)
    with torch.no_grad():
        memory.given.copy_(torch.tensor([[[1.0, 0.5, -0.5, 2.0]]]))  # z, i, f, o
        memory.recurrent.copy_(torch.tensor([[[0.3, 0.2, 0.1, -0.4]]]))
        memory.bias.copy_(torch.tensor([[[0.0, 0.1, 0.4, 0.0]]]))
    states = memory(torch.tensor([[[1.0], [-2.0]]]), torch.zeros(1, 2)).flatten()
    # First step: i = e^.6 in c and in n, so that h = s(2) tanh(1) = .880797 * .761594 = .670810.
    first = 0.880797 * 0.761594
    # Second: z~ = -2 + .3 h = -1.798757 and i~ = -.9 + .2 h = -.765838;
    # f~ = 1.4 + .1 h = 1.467081 and o~ = -4 - .4 h = -4.268324.
    c1, n1 = 1.822119 * 0.761594, 1.822119
    c2, n2 = 0.812613 * c1 + 0.464944 * -0.946669, 0.812613 * n1 + 0.464944
    torch.testing.assert_close(states, torch.tensor([first, 0.013812 * c2 / n2]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("forget", FORGETS)
def test_the_stabiliser_changes_no_state_and_no_gradient(forget: Forget) -> None:
    memory = _memory(width=8, heads=2, forget=forget).double()
    encoded = torch.randn(3, 15, 8, dtype=torch.float64)
    results = []
    for states in (memory(encoded, torch.zeros(3, 15)), _unstabilised(memory, encoded)):
        results.append((states, *torch.autograd.grad(states.square().sum(), list(memory.parameters()))))
    for own, expected in zip(*results, strict=True):
        torch.testing.assert_close(own, expected)


@pytest.mark.parametrize("forget", FORGETS)
@pytest.mark.parametrize("gate", [1, 2], ids=["input", "forget"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_gates_of_a_thousand_stay_finite(forget: Forget, gate: int, sign: int) -> None:
    memory = _memory(width=4, heads=2, forget=forget)
    memory.bias.data.view(2, 4, 2)[:, gate] = 1000.0 * sign
    states = memory(torch.randn(2, 50, 4), torch.zeros(2, 50))
    assert states.isfinite().all() and (states.abs() <= 1).all()  # an average of tanh, times a gate
    for gradient in torch.autograd.grad(states.square().sum(), list(memory.parameters())):
        assert gradient.isfinite().all()


def test_heads_do_not_mix() -> None:
    memory = _memory(width=8, heads=2)
    encoded = torch.randn(2, 6, 8)
    other = encoded.clone()
    other[..., 4:] += 1.0
    before, after = (memory(steps, torch.zeros(2, 6)) for steps in (encoded, other))
    torch.testing.assert_close(after[..., :4], before[..., :4], rtol=0, atol=0)
    assert not torch.allclose(after[..., 4:], before[..., 4:])


@pytest.mark.parametrize("forget", FORGETS)
def test_padding_never_touches_a_state(forget: Forget) -> None:
    memory, encoded = _memory(width=8, heads=2, forget=forget), torch.randn(2, 10, 8)
    padded = torch.zeros(2, 10)
    padded[:, :4] = 1
    states = memory(encoded, padded)
    assert (states[:, :4] == 0).all()
    torch.testing.assert_close(states[:, 4:], memory(encoded[:, 4:], padded[:, 4:]), rtol=1e-6, atol=1e-7)


def test_a_block_has_the_weights_of_the_paper() -> None:
    """Four gates in block-diagonal maps of the input and of the state, and a gated projection of 4/3."""
    width, heads, up = 12, 4, 16
    block = Block(width, heads=heads, forget="sigmoid", longest=10, dropout=0.0)
    gates = 2 * 4 * width * (width // heads) + 4 * width
    projections = (width + 1) * 2 * up + (up + 1) * width
    assert sum(part.numel() for part in block.parameters()) == gates + projections + 3 * 2 * width  # three norms


@pytest.mark.parametrize("forget", FORGETS)
def test_units_begin_to_remember_from_one_step_to_the_whole_context(forget: Forget) -> None:
    memory = _memory(width=6, heads=2, forget=forget, longest=32)
    bias = memory.bias.view(2, 4, 3)[:, 2].flatten()
    keep = bias.exp() if forget == "exp" else bias.sigmoid()
    steps = 2.0 ** torch.arange(6)
    torch.testing.assert_close(keep, steps / (steps + 1))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="heads is a whole number that divides hidden_size=10, got 4"):
        SLSTM(WIDE, hidden_size=10)
    with pytest.raises(ValueError, match="forget is sigmoid or exp, got 'tanh'"):
        SLSTM(WIDE, forget="tanh")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="layers is a whole number of 1 or more, got 0"):
        SLSTM(WIDE, layers=0)
    with pytest.raises(ValueError, match="heads=4 leaves 1 unit of hidden_size=4 to each"):
        SLSTM(WIDE, hidden_size=4)


def _memory(*, width: int, heads: int, forget: Forget = "sigmoid", longest: int = 12) -> Memory:
    torch.manual_seed(0)
    return Memory(width, heads=heads, forget=forget, longest=longest)


def _unstabilised(memory: Memory, encoded: Tensor) -> Tensor:
    """Return the states by equations (8) and following of the paper, head after head."""
    heads, size, _ = memory.given.shape
    rows = []
    for head, own in enumerate(encoded.split(size, dim=2)):
        h = c = n = own.new_zeros(len(own), size)
        states = []
        for x in own.unbind(dim=1):
            gates = x @ memory.given[head] + h @ memory.recurrent[head] + memory.bias[head]
            z, i, f, o = gates.split(size, dim=1)
            forget = f.exp() if memory.is_exponential else f.sigmoid()
            c, n = forget * c + i.exp() * z.tanh(), forget * n + i.exp()
            h = o.sigmoid() * c / n
            states.append(h)
        rows.append(torch.stack(states, dim=1))
    return torch.cat(rows, dim=2)
