"""The recurrent stack that goes on over the horizon, with or without attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from forecast.networks.attention import Attention, Memory
from forecast.networks.encoder import Encoder, State


class Decoder(nn.Module):
    """Go on from a state over given steps.

    With the additive score, the state before a step is the query, and the mean of the context's states under its
    weights is fed into the cell beside the input; the output reads it too (Bahdanau et al.; their maxout layer is left
    out). With the dot score, the state of the step itself is the query, and the mean is joined to it after the cell by
    a linear map and a tanh (Luong et al., without input feeding).

    Parameters
    ----------
    width : int
        Features of a step, G.
    attention : Attention, optional
        Looks back at the context.
    context : int
        Width E of the context's states.
    hidden_size : int
        Width D of the decoder's own states.
    **stack
        As of `Encoder`.
    """

    def __init__(
        self, width: int, *, attention: Attention | None, context: int, hidden_size: int, **stack: Any
    ) -> None:
        super().__init__()
        self.attention = attention
        self.is_fed_context = attention is not None and attention.is_additive
        self.stack = Encoder(width + context * self.is_fed_context, hidden_size=hidden_size, **stack)
        self.width = hidden_size + context * self.is_fed_context
        if attention is not None and not self.is_fed_context:
            self.join = nn.Linear(context + hidden_size, hidden_size)

    def memory(self, states: Tensor, padded: Tensor) -> Memory | None:
        """Return what the steps look back at: states (B, L, E), padded (B, L)."""
        return None if self.attention is None else self.attention.memory(states, padded)

    def forward(self, given: Tensor, state: State, memory: Memory | None) -> tuple[Tensor, State]:
        """Return what is read of steps (B, T, G) for the output (B, T, `width`), and the last state of each layer."""
        if self.is_fed_context:
            return self._fed(given, state, memory)
        states, state = self.stack.onward(given, state)
        if self.attention is None:
            return states, state
        return torch.tanh(self.join(torch.cat([self._context(states, memory), states], dim=-1))), state

    def _fed(self, given: Tensor, state: State, memory: Memory | None) -> tuple[Tensor, State]:
        """Go step by step: what a step is fed depends on the state before it."""
        read = []
        for step in given.split(1, dim=1):
            context = self._context(state[-1][0][-1][:, None], memory)
            states, state = self.stack.onward(torch.cat([step, context], dim=-1), state)
            read.append(torch.cat([states, context], dim=-1))
        return torch.cat(read, dim=1), state

    def _context(self, query: Tensor, memory: Memory | None) -> Tensor:
        """Return the mean of the context's states under the weights of queries (B, T, D): (B, T, E)."""
        assert self.attention is not None and memory is not None
        return self.attention(query, memory) @ memory.states
