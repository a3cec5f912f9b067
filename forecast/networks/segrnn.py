"""A recurrent network over segments: few long steps back, and all segments ahead at once."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Inputs, Outcome, Sizes
from forecast.errors import ConfigError
from forecast.networks.encoder import Cell, Encoder
from forecast.networks.features import UNSEEN, padding
from forecast.networks.initialisation import initialise
from forecast.networks.network import Feedback, Network, Shared, refuse_below_one

LONGEST_SEGMENT = 64  # of a season that is a segment by default


class SegRNN(Network):
    """Segments of the context are the steps of a recurrent network; every segment ahead is one further step of its own.

    The context is cut into segments of w steps, aligned to the origin, the oldest filled up with zeros. Each becomes
    one token, and one recurrent layer reads the tokens, without those of nothing but left padding. From its last state
    the same layer takes one step for each segment ahead, all side by side: what it reads there tells how far ahead the
    segment lies, of which series it is, and what is known ahead of its steps. The last segment is cut at the horizon.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    segment : int
        Steps of a segment, w. By default the season where that is 2 to 64 steps and fits into the context, else
        the whole number nearest to the root of the context's length.
    cell : {"gru", "lstm", "rnn"}
        Kind of cell.
    hidden_size : int
        Width D of tokens and state.
    dropout : float
        Share of each state ahead that training drops before the output.
    series_embedding : bool
        Tell series apart by a learned vector each, the paper's channel position encoding; one never seen has a vector
        of its own. Without it all series share that one. Static covariates are read in either case.
    **shared
        As of `Network`.

    References
    ----------
    Lin et al. (2023), SegRNN: segment recurrent neural network for long-term time series forecasting, section IV;
    decoding in parallel is its PMF.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        segment: int | None = None,
        cell: Cell = "gru",
        hidden_size: int = 128,
        dropout: float = 0.0,
        series_embedding: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(sizes, **shared)
        self.segment = _usual_segment(sizes) if segment is None else segment
        refuse_below_one(segment=self.segment)
        if hidden_size < 2:
            raise ConfigError(f"hidden_size is 2 or more, half of it for the position of a segment, got {hidden_size}.")
        self.segments = -(-sizes.horizon // self.segment)  # ahead
        self.token = nn.Linear(self.segment * self.features.encoder_width, hidden_size)
        self.recurrent = Encoder(hidden_size, cell=cell, hidden_size=hidden_size)
        self.position = nn.Parameter(torch.randn(self.segments, hidden_size // 2))
        self.series = nn.Embedding(sizes.series if series_embedding else 1, hidden_size - hidden_size // 2)
        # A plain parameter: a zero-width nn.Linear warns.
        width = self.segment * self.features.decoder_width
        self.ahead = nn.Parameter(torch.randn(width, hidden_size) / max(width, 1) ** 0.5)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_size, self.segment * sizes.targets * sizes.outputs)
        initialise(self)

    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K), all steps at once: neither teacher nor feedback is read."""
        _, state = self.recurrent(*self._behind(inputs))
        ahead = self._ahead(inputs)  # (B, m, D)
        side_by_side = [tuple(part.repeat_interleave(self.segments, dim=1) for part in layer) for layer in state]
        states, _ = self.recurrent.onward(ahead.flatten(0, 1)[:, None], side_by_side)  # (B m, 1, D)
        steps = self.output(self.dropout(states)).unflatten(-1, (self.segment, self.sizes.targets, self.sizes.outputs))
        return steps.reshape(ahead.shape[0], -1, *steps.shape[-2:])[:, : self.sizes.horizon]

    def _behind(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return the tokens of the context and 1 where a token is padding throughout: (B, n, D) and (B, n)."""
        encoded, padded = self.features.encoder(inputs), padding(inputs.observed)
        short = -encoded.shape[1] % self.segment
        encoded, padded = F.pad(encoded, (0, 0, short, 0)), F.pad(padded, (short, 0), value=1.0)
        tokens = F.relu(self.token(encoded.unflatten(1, (-1, self.segment)).flatten(2)))
        return tokens, padded.unflatten(1, (-1, self.segment)).amin(dim=2)

    def _ahead(self, inputs: Inputs) -> Tensor:
        """Return the tokens of the segments ahead: (B, m, D)."""
        rows = self.series(self._numbers(inputs.series))[:, None].expand(-1, self.segments, -1)
        position = self.position.expand(rows.shape[0], -1, -1)
        tokens = torch.cat([position, rows], dim=-1)
        if not self.ahead.numel():  # nothing is known ahead
            return tokens
        known = F.pad(self.features.decoder(inputs), (0, 0, 0, self.segments * self.segment - self.sizes.horizon))
        return tokens + known.unflatten(1, (self.segments, -1)).flatten(2) @ self.ahead

    def _numbers(self, series: Tensor) -> Tensor:
        """Return rows of the embedding (B,): at times 0 in training, so that the vector of new series is learned."""
        if self.series.num_embeddings == 1:
            return torch.zeros_like(series)
        if self.training:
            return series * (torch.rand(series.shape, device=series.device) >= UNSEEN)
        return series


def _usual_segment(sizes: Sizes) -> int:
    if 2 <= sizes.season <= min(LONGEST_SEGMENT, sizes.context_length):
        return sizes.season
    return max(1, round(sizes.context_length**0.5))
