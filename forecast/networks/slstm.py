"""xLSTM's scalar memory: an LSTM with exponential gates, in residual blocks."""

from __future__ import annotations

from typing import Literal, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Inputs, Outcome, Sizes
from forecast.networks.features import padding
from forecast.networks.head import Head
from forecast.networks.initialisation import forget_logits, orthogonal_heads
from forecast.networks.network import Feedback, Network, Shared, refuse_below_one

Forget = Literal["sigmoid", "exp"]
Held = tuple[Tensor, Tensor, Tensor, Tensor]  # h, c, n and m, (heads, B, D / heads) each
UP = 4 / 3  # width of the projections of a block, in widths of its state


class Memory(nn.Module):
    """The recurrence: memory c, normaliser n and stabiliser m beside the state h, in heads that do not mix.

    With the gates i, f, o and the candidate z of a step, each from its input and from the state of its own head:

        c = f c + i z,    n = f n + i,    h = o c / n

    As i = exp(..) overflows, c and n are kept divided by exp(m), where m = max(log f + m, log i): h stays as it
    is, so that the gradient through m is 0, and none is taken.

    Parameters
    ----------
    width : int
        Width D of input and state.
    heads : int
        Blocks of D / heads units.
    forget : {"sigmoid", "exp"}
        The forget gate.
    longest : int
        Steps that the units with the longest memory begin with.

    References
    ----------
    Beck et al. (2024), xLSTM: extended long short-term memory, section 2.2 and appendix A.2.
    """

    def __init__(self, width: int, *, heads: int, forget: Forget, longest: int) -> None:
        super().__init__()
        if forget not in ("sigmoid", "exp"):
            raise ValueError(f"forget is sigmoid or exp, got {forget!r}.")
        if heads < 1 or width % heads:
            raise ValueError(f"heads is a whole number that divides hidden_size={width}, got {heads!r}.")
        self.is_exponential = forget == "exp"
        size = width // heads
        # One row of gates a head, in the order candidate, input, forget, output.
        self.given = nn.Parameter(torch.empty(heads, size, 4 * size))
        self.recurrent = nn.Parameter(torch.empty(heads, size, 4 * size))
        for weight in (self.given, self.recurrent):
            orthogonal_heads(weight)
        logits = forget_logits(width, longest=longest).view(heads, 1, size)
        begin = F.logsigmoid(logits) if self.is_exponential else logits
        self.bias = nn.Parameter(F.pad(begin, (2 * size, size)))

    def forward(self, encoded: Tensor, padded: Tensor) -> Tensor:
        """Return states (B, L, D) of steps (B, L, D), 0 where `padded` (B, L) is 1."""
        held, states = self.begin(encoded), []
        for step in self.gates(encoded, padded).unbind(dim=1):
            held = self.step(step, *held)
            states.append(held[0])
        return torch.stack(states, dim=2).permute(1, 2, 0, 3).flatten(2)

    def gates(self, encoded: Tensor, padded: Tensor) -> Tensor:
        """Return what each step tells the gates: (heads, L, B, 4 D / heads)."""
        heads, size, _ = self.given.shape
        steps = encoded.unflatten(2, (heads, size)).permute(2, 1, 0, 3)  # (heads, L, B, D / heads)
        gates = (steps.flatten(1, 2) @ self.given + self.bias).unflatten(1, steps.shape[1:3])
        # An input gate of exp(-inf): nothing is read, so that c and n stay 0.
        shut = gates.new_tensor([0.0, torch.finfo(gates.dtype).min / 2, 0.0, 0.0]).repeat_interleave(size)
        return gates + padded.T[None, :, :, None] * shut

    def begin(self, encoded: Tensor) -> Held:
        """Return what is held before any step."""
        heads, size, _ = self.given.shape
        zero = encoded.new_zeros(heads, encoded.shape[0], size)
        lowest = torch.finfo(zero.dtype).min / 4  # below any gate, above a shut one
        return zero, zero, zero, torch.full_like(zero, lowest)

    def step(self, gates: Tensor, h: Tensor, c: Tensor, n: Tensor, m: Tensor) -> Held:
        """Return the next h, c, n and m from those before, (heads, B, D / heads) each, and gates four times as wide."""
        z, i, f, o = torch.baddbmm(gates, h, self.recurrent).chunk(4, dim=-1)
        kept = (f if self.is_exponential else F.logsigmoid(f)) + m
        m = torch.maximum(kept, i).detach()
        keep, take = (kept - m).exp(), (i - m).exp()
        c = keep * c + take * z.tanh()
        n = keep * n + take  # 1 or more once something was read
        return o.sigmoid() * c / n.clamp(min=1.0), c, n, m


class Block(nn.Module):
    """The memory and then a gated projection up and down, each on normalised inputs and added to them.

    Parameters
    ----------
    width, heads, forget, longest
        As of `Memory`.
    dropout : float
        Share of what each part adds that training drops.

    References
    ----------
    Beck et al. (2024), appendix A.4, without the causal convolution, which is optional there.
    """

    def __init__(self, width: int, *, heads: int, forget: Forget, longest: int, dropout: float) -> None:
        super().__init__()
        if heads == width:
            raise ValueError(
                f"heads={heads} leaves 1 unit of hidden_size={width} to each, and a norm over one unit is 0. "
                "Take fewer heads."
            )
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.memory = Memory(width, heads=heads, forget=forget, longest=longest)
        self.after = nn.GroupNorm(heads, width)
        self.up = nn.Linear(width, 2 * round(UP * width))
        self.down = nn.Linear(round(UP * width), width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, encoded: Tensor, padded: Tensor) -> Tensor:
        """Return steps (B, L, D) with what the block adds to them."""
        states = self.memory(self.before(encoded), padded)
        encoded = encoded + self.dropout(self.after(states.flatten(0, 1)).view_as(states))
        gate, value = self.up(self.between(encoded)).chunk(2, dim=-1)
        return encoded + self.dropout(self.down(F.gelu(gate) * value))


class SLSTM(Network):
    """A stack of sLSTM blocks whose last output forecasts every step of the horizon.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    hidden_size : int
        Width D of the states.
    layers : int
        Blocks on top of each other.
    heads : int
        Blocks of the state that do not mix; divides `hidden_size`.
    forget : {"sigmoid", "exp"}
        The forget gate.
    dropout : float
        Share that training drops of what each part of a block adds, and before the output.
    **shared
        As of `Network`.

    References
    ----------
    Beck et al. (2024), xLSTM: extended long short-term memory.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        hidden_size: int = 64,
        layers: int = 1,
        heads: int = 4,
        forget: Forget = "sigmoid",
        dropout: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(sizes, **shared)
        refuse_below_one(hidden_size=hidden_size, layers=layers)
        self.token = nn.Linear(self.features.encoder_width, hidden_size)
        self.blocks = nn.ModuleList(
            Block(hidden_size, heads=heads, forget=forget, longest=sizes.context_length, dropout=dropout)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.head = Head(sizes, summary=hidden_size, decoder=self.features.decoder_width)

    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K), all steps at once: neither teacher nor feedback is read."""
        padded = padding(inputs.observed)
        states = self.token(self.features.encoder(inputs))
        for block in self.blocks:
            states = block(states, padded)
        return self.head(self.dropout(self.norm(states[:, -1])), self.features.decoder(inputs))
