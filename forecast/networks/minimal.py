"""GRU and LSTM cut down to gates that read the input alone, so that all steps are trained at once."""

from __future__ import annotations

from typing import Literal, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Inputs, Outcome, Sizes
from forecast.networks.features import padding
from forecast.networks.head import Head
from forecast.networks.initialisation import forget_logits
from forecast.networks.network import Feedback, Network, Shared, refuse_below_one
from forecast.networks.scan import scan, stepped

GATES = {"gru": 2, "lstm": 3}


class MinimalCell(nn.Module):
    """One layer: h(t) = (1 - z) h(t-1) + z g(h~), or with forget and input gates that are made to sum to 1.

    Parameters
    ----------
    width : int
        Features of a step, E.
    cell : {"gru", "lstm"}
        Update gate z, or forget and input gate; a candidate h~ goes with both.
    hidden_size : int
        Width D of the state.
    longest : int
        Steps that the units with the longest memory begin with.

    References
    ----------
    Feng et al. (2024), Were RNNs all we needed?, section 3 and appendix B (g keeps the candidate positive).
    """

    def __init__(self, width: int, *, cell: Literal["gru", "lstm"], hidden_size: int, longest: int) -> None:
        super().__init__()
        if cell not in GATES:
            raise ValueError(f"cell is one of {', '.join(GATES)}, got {cell!r}.")
        self.gates = nn.Linear(width, GATES[cell] * hidden_size)
        self.count = GATES[cell]
        # In the order candidate, update gate; or candidate, forget gate, input gate.
        forget = forget_logits(hidden_size, longest=longest)
        biases = [-forget] if cell == "gru" else [forget, -forget]
        self.gates.bias.data = torch.cat([torch.zeros(hidden_size), *biases])

    def forward(self, encoded: Tensor, padded: Tensor) -> Tensor:
        """Return states (B, L, D) of steps (B, L, E), 0 where `padded` (B, L) is 1.

        Training scans all steps at once; prediction takes one after the other, which is less work.
        """
        keep, add = self.coefficients(encoded)
        add = add.masked_fill(padded[..., None] == 1, 0.0)  # a state of 0 stays 0
        return scan(keep, add) if self.training else stepped(keep, add)

    def coefficients(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a step keeps of the state, and what it adds: (..., D) each."""
        # Where mixed precision halves the map, what is kept of a long memory would be rounded to all of it.
        candidate, *gates = self.gates(encoded).to(encoded.dtype).chunk(self.count, dim=-1)
        # Of two sigmoids, f / (f + i) without dividing.
        forget = -gates[0] if len(gates) == 1 else F.softplus(-gates[1]) - F.softplus(-gates[0])
        positive = torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
        return torch.sigmoid(forget), torch.sigmoid(-forget) * positive


class Minimal(Network):
    """A minGRU or minLSTM whose last state forecasts every step of the horizon.

    The first layer reads the features; each above adds what it makes of the normalised states below to them.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    cell : {"gru", "lstm"}
        minGRU or minLSTM.
    hidden_size : int
        Width D of the state.
    layers : int
        Recurrent layers on top of each other; the gates of the first know nothing of the steps before.
    dropout : float
        Share of the states that training drops between layers and before the output.
    **shared
        As of `Network`.

    References
    ----------
    Feng et al. (2024), Were RNNs all we needed?
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        cell: Literal["gru", "lstm"] = "gru",
        hidden_size: int = 64,
        layers: int = 2,
        dropout: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(sizes, **shared)
        refuse_below_one(hidden_size=hidden_size, layers=layers)
        widths = [self.features.encoder_width, *[hidden_size] * (layers - 1)]
        self.layers = nn.ModuleList(
            MinimalCell(width, cell=cell, hidden_size=hidden_size, longest=sizes.context_length) for width in widths
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in widths[1:])
        self.dropout = nn.Dropout(dropout)
        self.head = Head(sizes, summary=hidden_size, decoder=self.features.decoder_width)

    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K), all steps at once: neither teacher nor feedback is read."""
        padded = padding(inputs.observed)
        first, *above = self.layers
        states = first(self.features.encoder(inputs), padded)  # (B, L, D)
        for norm, layer in zip(self.norms, above, strict=True):
            states = states + layer(norm(self.dropout(states)), padded)
        return self.head(self.dropout(states[:, -1]), self.features.decoder(inputs))
