"""Recurrent networks that read the context and forecast all steps of the horizon at once."""

from __future__ import annotations

from typing import Literal, Unpack

from torch import Tensor, nn

from forecast.batch import Inputs, Outcome, Sizes
from forecast.networks.encoder import Cell, Encoder
from forecast.networks.features import padding
from forecast.networks.head import Head
from forecast.networks.initialisation import initialise
from forecast.networks.network import Feedback, Network, Shared


class Recurrent(Network):
    """A simple recurrent network, GRU or LSTM whose last state forecasts every step of the horizon.

    The state after the last step of the context (of both directions, where there are two) becomes one vector
    per step of the horizon; with what is known ahead of that step it gives the raw outputs. Every step sees
    the whole context.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    cell, nonlinearity, hidden_size, layers, bidirectional, residual, detach_every
        As of `Encoder`.
    dropout : float
        Share of the state that training drops between layers and before the output.
    **shared
        As of `Network`.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        cell: Cell = "gru",
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        hidden_size: int = 64,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        residual: bool = False,
        detach_every: int = 0,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(sizes, **shared)
        self.recurrent = Encoder(
            self.features.encoder_width,
            cell=cell,
            nonlinearity=nonlinearity,
            hidden_size=hidden_size,
            layers=layers,
            bidirectional=bidirectional,
            dropout=dropout,
            residual=residual,
            detach_every=detach_every,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = Head(sizes, summary=self.recurrent.width, decoder=self.features.decoder_width)
        initialise(self)

    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K), all steps at once: neither teacher nor feedback is read."""
        padded = padding(inputs.observed)
        states, _ = self.recurrent(self.features.encoder(inputs), padded)
        summary = self.recurrent.summary(states, padded)
        return self.head(self.dropout(summary), self.features.decoder(inputs))
