"""A linear map, the control that every other network has to beat."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from forecast.batch import Inputs, Outcome, Sizes
from forecast.networks.network import Feedback, Network, Shared


class Linear(Network):
    """Each raw output is one linear function of all of the context and of what is known ahead of its step.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    **shared
        As of `Network`.

    References
    ----------
    Zeng et al. (2023), Are transformers effective for time series forecasting?
    """

    def __init__(self, sizes: Sizes, **shared: Unpack[Shared]) -> None:
        super().__init__(sizes, **shared)
        self.shape = (sizes.horizon, sizes.targets, sizes.outputs)
        outputs = sizes.targets * sizes.outputs
        self.context = nn.Linear(sizes.context_length * self.features.encoder_width, sizes.horizon * outputs)
        self.ahead = nn.Parameter(torch.randn(self.features.decoder_width, outputs) * 0.01)

    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K)."""
        raw = self.context(self.features.encoder(inputs).flatten(1)).unflatten(-1, self.shape)
        if not self.ahead.numel():  # nothing is known ahead
            return raw
        return raw + (self.features.decoder(inputs) @ self.ahead).unflatten(-1, self.shape[1:])
