"""A recurrent encoder with two decoders, one for the whole horizon and one for each step of it."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Inputs, Outcome, Sizes, sliding
from forecast.networks.encoder import Cell, Encoder
from forecast.networks.features import padding
from forecast.networks.initialisation import initialise
from forecast.networks.network import Feedback, Network, Shared, added, refuse_below_one


class MQRNN(Network):
    """A recurrent encoder, a global decoder and a local one; all steps of the horizon at once.

    The global decoder turns the last state and what is known of the whole horizon into one vector for each step ahead
    and one for all of them. The local decoder, the same for every step, turns the two and what is known of the step
    into its raw outputs. With `forking`, training forecasts from every step of the context, each from the state there:
    many more forecasts to learn from in one pass. That asks for a scaling that looks no further than each of them.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    cell : {"lstm", "gru", "rnn"}
        Kind of cell.
    hidden_size : int
        Width D of the state.
    layers : int
        Recurrent layers on top of each other.
    vector : int
        Width of the vector of each step ahead, and of the one for all.
    local : int
        Width of the hidden layer of the local decoder.
    dropout : float
        Share of the state that training drops between layers and before the decoders.
    forking : bool
        Train on forecasts from every step of the context.

    References
    ----------
    Wen et al. (2017), A multi-horizon quantile recurrent forecaster, sections 3.2 and 3.3.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        cell: Cell = "lstm",
        hidden_size: int = 64,
        layers: int = 1,
        vector: int = 16,
        local: int = 32,
        dropout: float = 0.1,
        forking: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(sizes, **shared)
        refuse_below_one(vector=vector, local=local)
        self.forking = forking
        self.recurrent = Encoder(
            self.features.encoder_width, cell=cell, hidden_size=hidden_size, layers=layers, dropout=dropout
        )
        self.dropout = nn.Dropout(dropout)
        ahead = self.features.decoder_width
        self.whole = nn.Linear(hidden_size + sizes.horizon * ahead, (sizes.horizon + 1) * vector)
        self.local = nn.Sequential(
            nn.Linear(2 * vector + ahead, local), nn.ReLU(), nn.Linear(local, sizes.targets * sizes.outputs)
        )
        initialise(self)

    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K), all steps at once: neither teacher nor feedback is read."""
        return self._decoded(self._states(inputs)[:, -1], self.features.decoder(inputs))

    def forks(self, inputs: Inputs) -> Tensor:
        """Return forecasts from every step of the context, each of which sees no target after it: (B, L, H, C, K)."""
        states, origins = self._states(inputs), self._origins(inputs)
        raw = self._decoded(states.flatten(0, 1), self.features.decoder(origins))
        if self.bypass is not None:
            raw = added(raw, self.bypass(origins))
        return raw.unflatten(0, states.shape[:2])

    def _states(self, inputs: Inputs) -> Tensor:
        states, _ = self.recurrent(self.features.encoder(inputs), padding(inputs.observed))
        return self.dropout(states)

    def _decoded(self, state: Tensor, ahead: Tensor) -> Tensor:
        """Return raw outputs (B, H, C, K) from states (B, D) and what is known of each step ahead (B, H, G)."""
        vectors = self.whole(torch.cat([state, ahead.flatten(1)], dim=-1)).unflatten(-1, (self.sizes.horizon + 1, -1))
        own, shared = vectors[:, :-1], vectors[:, -1:].expand(-1, self.sizes.horizon, -1)
        return self.local(torch.cat([own, shared, ahead], dim=-1)).unflatten(
            -1, (self.sizes.targets, self.sizes.outputs)
        )

    def _origins(self, inputs: Inputs) -> Inputs:
        """Return what decoder and bypass read, from every step of the context: a window each, (B L, ...)."""
        length = inputs.target.shape[1]
        origins = inputs._replace(
            known=sliding(inputs.known[:, 1:], self.sizes.horizon),
            known_codes=sliding(inputs.known_codes[:, 1:], self.sizes.horizon),
            static=inputs.static.repeat_interleave(length, dim=0),
            static_codes=inputs.static_codes.repeat_interleave(length, dim=0),
        )
        if self.features.lags or self.bypass is not None:  # else L contexts of L steps each would be laid for nothing
            behind = (F.pad(part, (0, 0, length - 1, 0)) for part in (inputs.target, inputs.observed))
            target, observed = (sliding(part, length) for part in behind)
            origins = origins._replace(target=target, observed=observed)
        return origins
