"""Convolution, recurrence, and recurrence that skips a season."""

from __future__ import annotations

import logging
from functools import cache
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Inputs, Outcome, Sizes
from forecast.networks.encoder import Encoder
from forecast.networks.features import padding
from forecast.networks.head import Head
from forecast.networks.initialisation import initialise
from forecast.networks.network import Feedback, Network, Shared, refuse_below_one

log = logging.getLogger("forecast")


class LSTNet(Network):
    """Filters over a few steps, read by a GRU and by one whose state comes from a season before.

    The last state of the GRU and the states of the skipping one over the last season, one of each phase, are joined
    linearly into all steps of the horizon. The skipping part is there where a season, of 2 steps or more, fits into the
    context. The paper's fourth part, the linear autoregression beside the network, is `bypass`, over the whole context
    and on by default in conf/model. Candidate states go through tanh, as in the authors' program; the paper has ReLU.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    filters : int
        Width of what the convolution gives.
    kernel : int
        Steps that a filter reads, its own and those before: the context at most.
    hidden_size : int
        Width D of the state.
    skip_size : int
        Width of the skipping state.
    dropout : float
        Share of the filters' output, and of the states before the output, that training drops.
    **shared
        As of `Network`.

    References
    ----------
    Lai et al. (2018), Modeling long- and short-term temporal patterns with deep neural networks, section 3.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        filters: int = 64,
        kernel: int = 6,
        hidden_size: int = 64,
        skip_size: int = 5,
        dropout: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(sizes, **shared)
        refuse_below_one(filters=filters, kernel=kernel, skip_size=skip_size)
        self.convolution = nn.Conv1d(self.features.encoder_width, filters, min(kernel, sizes.context_length))
        self.recurrent = Encoder(filters, hidden_size=hidden_size)
        self.skip, width = None, hidden_size
        if 2 <= sizes.season <= sizes.context_length:
            self.skip = Encoder(filters, hidden_size=skip_size, dilations=(sizes.season,))
            width += sizes.season * skip_size
        elif sizes.season > 1:
            _tell_no_skip(sizes.season, sizes.context_length)
        self.dropout = nn.Dropout(dropout)
        self.head = Head(sizes, summary=width, decoder=self.features.decoder_width)
        initialise(self)

    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K), all steps at once: neither teacher nor feedback is read."""
        padded = padding(inputs.observed)
        filtered = self._filtered(self.features.encoder(inputs))
        states, _ = self.recurrent(filtered, padded)
        summary = states[:, -1]
        if self.skip is not None:
            skipping, _ = self.skip(filtered, padded)
            summary = torch.cat([summary, skipping[:, -self.sizes.season :].flatten(1)], dim=1)
        return self.head(self.dropout(summary), self.features.decoder(inputs))

    def _filtered(self, encoded: Tensor) -> Tensor:
        """Return the filters' output over steps (B, L, E), each from its own and earlier ones: (B, L, filters)."""
        front = F.pad(encoded.transpose(1, 2), (self.convolution.kernel_size[0] - 1, 0))
        return self.dropout(F.relu(self.convolution(front)).transpose(1, 2))


@cache  # a model is built more than once
def _tell_no_skip(season: int, context_length: int) -> None:
    log.warning(
        "lstnet leaves out the part that skips a season: the season has %d steps and the context %d. "
        "It takes a context of two seasons or more to be of use.",
        season,
        context_length,
    )
