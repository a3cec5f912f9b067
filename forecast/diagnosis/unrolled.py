"""Recurrent layers one step at a time, with every state and gate in reach; torch's own keep them to themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.networks.encoder import LayerState

Gates = dict[str, Tensor]  # by name, (B, D) each
Step = Callable[[Tensor, LayerState, Tensor, Tensor], tuple[LayerState, Gates]]


class Unrolled(NamedTuple):
    """The states and gates of one direction of a layer, step by step in the order of time."""

    states: list[LayerState]  # L of them, (B, D) each, those in padding too
    gates: list[Gates]
    counts: Tensor  # (B, L, 1)    0 in padding

    def parts(self) -> list[Tensor]:
        """Return the hidden states, and the cells of an LSTM, 0 in padding: (B, L, D) each."""
        return [torch.stack(part, dim=1) * self.counts for part in zip(*self.states, strict=True)]


def unrolled(
    layer: nn.RNNBase,
    encoded: Tensor,
    lengths: Tensor,
    *,
    dilation: int = 1,
    detach_every: int = 0,
    is_backward: bool = False,
) -> Unrolled:
    """Run one direction of a layer of one level over a context, as `Encoder` does in one call.

    Parameters
    ----------
    layer : nn.RNN, nn.GRU or nn.LSTM
    encoded : Tensor (B, L, E)
    lengths : Tensor (B,)
        Steps that count, at the end; states are 0 before them.
    dilation, detach_every : int
        As of `Encoder`.
    is_backward : bool
        Read from the end to the beginning.
    """
    end = "_l0_reverse" if is_backward else "_l0"
    read, recur, bias, shift = (
        getattr(layer, f"{name}{end}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    steps, step = encoded.shape[1], step_of(layer)
    given = F.linear(encoded, read, bias).unbind(dim=1)  # L of (B, gates D); a slice of each would cost L squared
    counts = (torch.arange(steps, device=lengths.device) >= steps - lengths[:, None]).to(encoded.dtype)[..., None]
    zero = encoded.new_zeros(len(encoded), layer.hidden_size)
    begin = (zero, zero) if isinstance(layer, nn.LSTM) else (zero,)
    states: list[LayerState] = [begin] * steps
    gates: list[Gates] = [{}] * steps
    for at in reversed(range(steps)) if is_backward else range(steps):
        before = at + dilation if is_backward else at - dilation
        # What is handed on is 0 in padding; what is kept is what the output reads, so that its gradient is whole.
        state = tuple(part * counts[:, before] for part in states[before]) if 0 <= before < steps else begin
        if detach_every and (steps - at) % detach_every == 0:
            state = tuple(part.detach() for part in state)
        states[at], gates[at] = step(given[at], state, recur, shift)
    return Unrolled(states, gates, counts)


def step_of(layer: nn.RNNBase) -> Step:
    """Return one step of a layer: what is given, the state, recurrent weights and their bias -> state and gates."""
    if isinstance(layer, nn.LSTM):
        return _lstm
    if isinstance(layer, nn.GRU):
        return _gru
    return _relu if layer.mode == "RNN_RELU" else _tanh


def _tanh(given: Tensor, state: LayerState, recur: Tensor, shift: Tensor) -> tuple[LayerState, Gates]:
    hidden = torch.tanh(given + F.linear(state[0], recur, shift))
    return (hidden,), {"state": hidden}


def _relu(given: Tensor, state: LayerState, recur: Tensor, shift: Tensor) -> tuple[LayerState, Gates]:
    return (torch.relu(given + F.linear(state[0], recur, shift)),), {}


def _gru(given: Tensor, state: LayerState, recur: Tensor, shift: Tensor) -> tuple[LayerState, Gates]:
    (hidden,) = state
    read, kept = given.chunk(3, dim=-1), F.linear(hidden, recur, shift).chunk(3, dim=-1)
    reset, update = (torch.sigmoid(read[gate] + kept[gate]) for gate in (0, 1))
    candidate = torch.tanh(read[2] + reset * kept[2])
    return (torch.lerp(candidate, hidden, update),), {"reset": reset, "update": update}


def _lstm(given: Tensor, state: LayerState, recur: Tensor, shift: Tensor) -> tuple[LayerState, Gates]:
    hidden, cell = state
    parts = (given + F.linear(hidden, recur, shift)).chunk(4, dim=-1)
    take, forget, out = (torch.sigmoid(parts[gate]) for gate in (0, 1, 3))
    cell = forget * cell + take * torch.tanh(parts[2])
    return (out * torch.tanh(cell), cell), {"input": take, "forget": forget, "output": out}
