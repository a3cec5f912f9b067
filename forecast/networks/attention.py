"""Attention: which steps of the context each step ahead looks at."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from forecast.batch import Inputs
from forecast.errors import ConfigError
from forecast.networks.network import Feedback

Score = Literal["additive", "dot"]


class Memory(NamedTuple):
    """What a decoder looks back at."""

    states: Tensor  # (B, L, E)
    keys: Tensor  # (B, L, D)         of the states, what a query is compared with
    padded: Tensor  # (B, L)          True in left padding


class Attention(nn.Module):
    """Weigh the states of a context by how well each fits a query: a softmax of scores, 0 in left padding.

    The additive score is v · tanh(W s + U h), the dot score s · h. Where a state is not as wide as a query, such as
    that of both directions, the dot score becomes s · U h, which Luong et al. call general. In training the additive
    score keeps B H L D numbers, the dot score B H L.

    Parameters
    ----------
    score : {"additive", "dot"}
        How a query s is compared with a state h.
    query, states : int
        Their widths D and E.

    References
    ----------
    Bahdanau et al. (2015), Neural machine translation by jointly learning to align and translate, sections 3.1 and
    A.1.2; Luong et al. (2015), Effective approaches to attention-based neural machine translation, section 3.1.
    """

    def __init__(self, score: Score, *, query: int, states: int) -> None:
        super().__init__()
        if score not in ("additive", "dot"):
            raise ConfigError(f"score is none, additive or dot, got {score!r}.")
        self.is_additive = score == "additive"
        self.keys = nn.Identity() if score == "dot" and query == states else nn.Linear(states, query, bias=False)
        if self.is_additive:
            self.query = nn.Linear(query, query)
            self.energy = nn.Linear(query, 1, bias=False)

    def memory(self, states: Tensor, padded: Tensor) -> Memory:
        """Return states (B, L, E), padded (B, L), with what is the same for every query."""
        return Memory(states, self.keys(states), padded > 0)

    def forward(self, query: Tensor, memory: Memory) -> Tensor:
        """Return the weights (B, T, L) of queries (B, T, D); those of a window that is all padding are the same."""
        if self.is_additive:
            fits = torch.tanh(self.query(query)[:, :, None] + memory.keys[:, None])  # (B, T, L, D)
            scores = self.energy(fits).squeeze(-1)
        else:
            scores = query @ memory.keys.transpose(1, 2)
        # The least finite number, not minus infinity: a softmax over nothing else is NaN.
        scores = scores.masked_fill(memory.padded[:, None], torch.finfo(scores.dtype).min)
        return scores.softmax(dim=-1)


def attention_of(network: nn.Module) -> Attention:
    """Return the attention of a network.

    Raises
    ------
    ConfigError
        If it has none.
    """
    found = next((module for module in network.modules() if isinstance(module, Attention)), None)
    if found is None:
        raise ConfigError(
            f"a network {type(network).__name__} without attention weighs no steps of its context. "
            "Choose model=attention, or model=seq2seq with model.score=additive or dot."
        )
    return found


def weights_of(network: nn.Module, inputs: Inputs, feedback: Feedback | None = None) -> Tensor:
    """Forecast, and return what each step ahead looked at: (B, H, L), or (B C, H, L) where channels are windows."""
    seen: list[Tensor] = []
    hook = attention_of(network).register_forward_hook(lambda module, given, weights: seen.append(weights))
    try:
        network(inputs, None, feedback)
    finally:
        hook.remove()
    return torch.cat(seen, dim=1)
