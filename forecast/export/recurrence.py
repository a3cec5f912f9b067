"""Recurrences as an exporter can follow them: the same weights and numbers, without loops in Python or packed rows.

A loop over the context would be unrolled, which takes minutes and makes large graphs; `scan` becomes one node. Rows
with left padding are packed in torch, each by its length; here the state is kept at zero until the padding ends.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.nn import functional as F

from forecast.batch import Inputs
from forecast.model import Model
from forecast.networks.encoder import Encoder, LayerState, State
from forecast.networks.minimal import MinimalCell
from forecast.networks.slstm import Held, Memory
from forecast.scaling import SmoothingScaler

Pair = tuple[Tensor, Tensor]
SHUT = 1e4  # what a gate is told to be 0 or 1


def traceable(model: Model) -> Model:
    """Return a copy of a model whose recurrences an exporter can follow."""
    copy = deepcopy(model).cpu().eval()
    for module in list(copy.modules()):
        own = FOLLOWED.get(type(module))
        if own is not None:
            module.__class__ = own
        if isinstance(module, FollowedEncoder):
            module.widen()
    return copy.requires_grad_(False)


class FollowedEncoder(Encoder):
    """An encoder whose layers are told at each step whether it is padding, by two more features.

    There the gates hold the state: at zero where a direction begins with padding, and at what was read last where it
    ends with it.
    """

    def widen(self) -> None:
        """Add the two features to the layers."""
        self.readers = nn.ModuleList(_widened(layer) for layer in self.layers)

    def forward(self, encoded: Tensor, padded: Tensor) -> tuple[Tensor, State]:
        """Read a context (B, L, E), as `Encoder` does."""
        final: State = []
        real = 1 - padded[..., None]
        for number, (reader, dilation) in enumerate(zip(self.readers, self.dilations, strict=True)):
            given = encoded
            states, last = _read(cast(Reader, reader), given, real, dilation)
            encoded = states + given if number and self.residual else states
            final.append(last)
        return encoded, final


class FollowedMinimalCell(MinimalCell):
    """A minimal cell whose recurrence is doubled: after k rounds a state holds what 2^k steps add to it."""

    def forward(self, encoded: Tensor, padded: Tensor) -> Tensor:
        """Return states (B, L, D) of steps (B, L, E), 0 where `padded` (B, L) is 1."""
        keep, states = self.coefficients(encoded)
        states = states.masked_fill(padded[..., None] == 1, 0.0)
        steps, back = encoded.shape[1], 1
        while back < steps:
            states = states + keep * F.pad(states[:, :-back], (0, 0, back, 0))
            keep = keep * F.pad(keep[:, :-back], (0, 0, back, 0))
            back *= 2
        return states


class FollowedMemory(Memory):
    """The memory of an sLSTM, scanned."""

    def forward(self, encoded: Tensor, padded: Tensor) -> Tensor:
        """Return states (B, L, D) of steps (B, L, D), 0 where `padded` (B, L) is 1."""

        def step(held: Held, gates: Tensor) -> tuple[Held, Tensor]:
            after = self.step(gates, *held)
            return after, after[0].clone()

        begin = cast(Held, tuple(part.clone() for part in self.begin(encoded)))
        _, states = scan(step, begin, self.gates(encoded, padded).transpose(0, 1).contiguous())
        return states.permute(2, 0, 1, 3).flatten(2)


class FollowedSmoothing(SmoothingScaler):
    """Exponential smoothing, scanned; the season is a ring that turns by one place a step."""

    def _smoothed(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        level, first = self._beginning(inputs)
        ring = F.pad(first, (0, 0, 0, self.season))[:, : self.season]  # the season may be longer than the window
        shares = (torch.stack(part) for part in self._shares(inputs))  # (L, B, C) each

        def step(held: Pair, given: tuple[Tensor, Tensor, Tensor]) -> tuple[Pair, Pair]:
            (level, ring), (value, of_level, of_season) = held, given
            phase = ring[:, 0]
            error = value - level - phase
            after = torch.addcmul(phase, of_season, error)
            turned = torch.cat([ring[:, 1:], after[:, None]], dim=1)
            return (torch.addcmul(level, of_level, error), turned), (phase.clone(), error)

        given = (inputs.target.transpose(0, 1).contiguous(), *shares)
        (level, ring), (behind, errors) = scan(step, (level.contiguous(), ring.contiguous()), given)
        ahead = ring[:, torch.arange(self.horizon) % self.season]
        seasons = torch.cat([behind.transpose(0, 1), ahead], dim=1)
        return level, seasons, errors.transpose(0, 1) * inputs.observed


class SimpleReader(nn.Module):
    """The simple cell in one direction or both, scanned: an exporter has no node of its own for it."""

    def __init__(self, layer: nn.RNN) -> None:
        super().__init__()
        self.layer, self.hidden_size, self.bidirectional = layer, layer.hidden_size, layer.bidirectional

    def forward(self, told: Tensor) -> tuple[Tensor, None]:
        """Return states (B, L, D) from features and, behind them, 1 for a step and 1 for padding."""
        turned = told.transpose(0, 1).contiguous()  # (L, B, E + 2)
        encoded, real = turned[..., :-2].contiguous(), turned[..., -2:-1].contiguous()
        states = [self._scanned(encoded, real, "")]
        if self.bidirectional:
            states.append(self._scanned(encoded.flip(0), real.flip(0), "_reverse").flip(0))
        return torch.cat(states, dim=-1).transpose(0, 1), None

    def _scanned(self, encoded: Tensor, real: Tensor, direction: str) -> Tensor:
        given, recurrent, *biases = (
            getattr(self.layer, f"{name}_l0{direction}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        activation = torch.tanh if self.layer.nonlinearity == "tanh" else torch.relu

        def step(state: Tensor, given: Pair) -> Pair:
            after = activation(given[0] + state @ recurrent.T) * given[1]
            return after, after.clone()

        begin = encoded.new_zeros(encoded.shape[1], self.hidden_size)
        return scan(step, begin, (encoded @ given.T + sum(biases), real))[1]


Reader = nn.RNNBase | SimpleReader


def _widened(layer: nn.RNNBase) -> Reader:
    """Return a layer that reads two features more, 1 for a step and 1 for padding, which shuts the gates.

    What biases add to a candidate is moved to the feature of a step, so that in padding it is nothing.
    """
    if isinstance(layer, nn.RNN):
        return SimpleReader(layer)
    size = layer.hidden_size
    make: Callable[..., nn.RNNBase] = type(layer)  # on no device, so that nothing is drawn
    options = {"batch_first": True, "bidirectional": layer.bidirectional, "device": "meta"}
    wide = make(layer.input_size + 2, size, **options).to_empty(device="cpu")
    wide.load_state_dict({name: _wide(layer, name, size) for name, _ in layer.named_parameters()})
    return wide


def _wide(layer: nn.RNNBase, name: str, size: int) -> Tensor:
    weight, is_lstm = getattr(layer, name).detach(), isinstance(layer, nn.LSTM)
    if name.startswith("bias_ih") or (is_lstm and name.startswith("bias_hh")):
        return torch.zeros_like(weight)
    if not name.startswith("weight_ih"):
        return weight
    biases = [getattr(layer, name.replace("weight", "bias")).detach()]
    if is_lstm:
        biases.append(getattr(layer, name.replace("weight_ih", "bias_hh")).detach())
    # An LSTM's input and forget gate, a GRU's reset and update gate: both pairs come first.
    held = torch.zeros_like(biases[0])
    held[:size], held[size : 2 * size] = -SHUT, SHUT
    return torch.cat([weight, sum(biases)[:, None], held[:, None]], dim=1)


def _read(layer: Reader, encoded: Tensor, real: Tensor, dilation: int) -> tuple[Tensor, LayerState]:
    """Read steps (B, T, E), of which those with `real` (B, T, 1) count: states (B, T, D), and the last."""
    if dilation > 1:
        return _dilated(layer, encoded, real, dilation)
    states, ends = layer(torch.cat([encoded * real, real, 1 - real], dim=-1))
    states = states * real
    size = layer.hidden_size
    last = [states[:, -1, :size]]
    if layer.bidirectional:
        first = (1 - real).sum(dim=1, keepdim=True).long().clamp(max=real.shape[1] - 1)  # (B, 1, 1)
        last.append(states[..., size:].gather(1, first.expand(-1, -1, size))[:, 0])
    return states, (torch.stack(last), *ends[1:]) if isinstance(ends, tuple) else (torch.stack(last),)


def _dilated(layer: Reader, encoded: Tensor, real: Tensor, dilation: int) -> tuple[Tensor, LayerState]:
    """Read steps of which every so many are a series of the batch."""
    steps = encoded.shape[1]
    folded, counted = (
        F.pad(part, (0, 0, -steps % dilation, 0)).unflatten(1, (-1, dilation)).transpose(1, 2).flatten(0, 1)
        for part in (encoded, real)
    )
    states, last = _read(layer, folded, counted, 1)
    states = states.unflatten(0, (-1, dilation)).transpose(1, 2).flatten(1, 2)[:, -steps:]
    return states, tuple(part.unflatten(1, (-1, dilation))[:, :, -1] for part in last)


FOLLOWED: dict[type[nn.Module], type[nn.Module]] = {
    Encoder: FollowedEncoder,
    MinimalCell: FollowedMinimalCell,
    Memory: FollowedMemory,
    SmoothingScaler: FollowedSmoothing,
}
