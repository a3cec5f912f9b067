"""Recurrent networks that read the context and forecast all steps of the horizon at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from forecast.batch import Inputs, Outcome, Sizes
from forecast.networks.bypass import Bypass
from forecast.networks.features import Features, padding
from forecast.networks.head import Head
from forecast.networks.initialisation import initialise

Cell = Literal["rnn", "gru", "lstm"]
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(nn.Module):
    """A simple recurrent network, GRU or LSTM whose last state forecasts every step of the horizon.

    The state after the last step of the context (of both directions, where there are two) becomes one vector
    per step of the horizon; with what is known ahead of that step it gives the raw outputs. Every step sees
    the whole context.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    cell : {"rnn", "gru", "lstm"}
        Kind of cell.
    nonlinearity : {"tanh", "relu"}
        Of the simple cell.
    hidden_size : int
        Width D of the state.
    layers : int
        Recurrent layers on top of each other.
    bidirectional : bool
        Read the context in both directions.
    dropout : float
        Share of the state that training drops between layers and before the output.
    bypass : bool
        Add a linear map of the context.

    References
    ----------
    Elman (1990), Finding structure in time; Hochreiter and Schmidhuber (1997), Long short-term memory; Cho et
    al. (2014), Learning phrase representations using RNN encoder-decoder; Schuster and Paliwal (1997),
    Bidirectional recurrent neural networks.
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
        bypass: bool = False,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell is one of {', '.join(CELLS)}, got {cell!r}.")
        self.features = Features(sizes)
        self.recurrent = CELLS[cell](
            self.features.encoder_width,
            hidden_size,
            layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,
            **({"nonlinearity": nonlinearity} if cell == "rnn" else {}),
        )
        self.dropout = nn.Dropout(dropout)
        self.width = hidden_size * (2 if bidirectional else 1)
        self.head = Head(sizes, summary=self.width, decoder=self.features.decoder_width)
        self.bypass = Bypass(sizes) if bypass else None
        initialise(self)

    def forward(self, inputs: Inputs, teacher: Outcome | None = None, feedback: Callable | None = None) -> Tensor:
        """Return raw outputs (B, H, C, K), all steps at once: neither teacher nor feedback is read."""
        summary = self._summary(self.features.encoder(inputs), padding(inputs.observed))
        raw = self.head(self.dropout(summary), self.features.decoder(inputs))
        return raw if self.bypass is None else self.bypass(raw, inputs)

    def _summary(self, encoded: Tensor, padded: Tensor) -> Tensor:
        """Return the last state of each direction: (B, D) or (B, 2 D)."""
        lengths = (encoded.shape[1] - padded.sum(dim=1)).long()
        short = lengths < encoded.shape[1]
        if not short.any():
            return self._last(encoded)
        summary = encoded.new_empty(len(encoded), self.width)
        if not short.all():  # packing is slow: only what is padded goes that way
            summary[~short] = self._last(encoded[~short])
        # Move the padding behind, where a packed sequence ends before it: it never touches a state.
        encoded, lengths = encoded[short], lengths[short]
        steps = torch.arange(encoded.shape[1], device=encoded.device)
        order = (steps + (encoded.shape[1] - lengths)[:, None]) % encoded.shape[1]  # (B, L)
        moved = encoded.gather(1, order[..., None].expand_as(encoded))
        ends = lengths.clamp(min=1).cpu()
        summary[short] = self._last(pack_padded_sequence(moved, ends, batch_first=True, enforce_sorted=False))
        return summary

    def _last(self, encoded: Tensor | PackedSequence) -> Tensor:
        _, state = self.recurrent(encoded)
        hidden = state[0] if isinstance(state, tuple) else state  # (layers * directions, B, D)
        return hidden[-2:].transpose(0, 1).flatten(1) if self.recurrent.bidirectional else hidden[-1]
