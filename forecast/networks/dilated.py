"""Recurrent layers that step further and further back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from numbers import Integral
from typing import Unpack

from torch import Tensor, nn

from forecast.batch import Inputs, Outcome, Sizes
from forecast.networks.encoder import Cell, Encoder
from forecast.networks.features import padding
from forecast.networks.head import Head
from forecast.networks.initialisation import initialise
from forecast.networks.network import Feedback, Network, Shared

log = logging.getLogger("forecast")


class Dilated(Network):
    """A stack in which the state of each layer comes from some steps back, usually twice as many as one layer below.

    What lies long ago is few steps away for the upper layers, and what lies between reaches them through the lower
    ones. The last states forecast every step of the horizon: of the top layer the last one, or, where the first
    layer itself leaps over steps, as many as it leaps over, joined by a linear map.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    dilations : sequence of int
        How many steps back the state of each layer comes from. A layer that would leap over the whole context is
        left out.
    cell : {"gru", "lstm", "rnn"}
        Kind of cell.
    hidden_size : int
        Width D of the state.
    dropout : float
        Share of the states that training drops between layers and before the output.
    residual : bool
        A layer above the first adds its input to its output. The paper does without; Smyl's network has it.
    **shared
        As of `Network`.

    References
    ----------
    Chang et al. (2017), Dilated recurrent neural networks, section 2; Smyl (2020), A hybrid method of exponential
    smoothing and recurrent neural networks for time series forecasting (residuals).
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        dilations: Sequence[int] = (1, 2, 4, 8),
        cell: Cell = "gru",
        hidden_size: int = 64,
        dropout: float = 0.0,
        residual: bool = True,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(sizes, **shared)
        whole = [isinstance(step, Integral) and not isinstance(step, bool) and step > 0 for step in dilations]
        if not dilations or not all(whole):
            raise ValueError(f"dilations are one or more whole numbers of 1 or more, got {list(dilations)}.")
        within = [dilation for dilation in dilations if dilation < sizes.context_length] or [1]
        if within != list(dilations):
            _tell_of_layers(tuple(dilations), tuple(within), sizes.context_length)
        self.recurrent = Encoder(
            self.features.encoder_width,
            cell=cell,
            hidden_size=hidden_size,
            layers=len(within),
            dropout=dropout,
            residual=residual,
            dilations=within,
        )
        self.leap = within[0]
        self.fuse = nn.Linear(self.leap * hidden_size, hidden_size) if self.leap > 1 else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = Head(sizes, summary=hidden_size, decoder=self.features.decoder_width)
        initialise(self)

    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K), all steps at once: neither teacher nor feedback is read."""
        states, _ = self.recurrent(self.features.encoder(inputs), padding(inputs.observed))
        summary = self.fuse(states[:, -self.leap :].flatten(1))
        return self.head(self.dropout(summary), self.features.decoder(inputs))


@cache  # a model is built more than once
def _tell_of_layers(given: tuple[int, ...], within: tuple[int, ...], context_length: int) -> None:
    log.warning(
        "of layers that go %s steps back, those within the context of %d are built: %s.",
        ", ".join(map(str, given)), context_length, ", ".join(map(str, within)),
    )  # fmt: skip
