"""A linear map, the control that every other network has to beat."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from forecast.batch import Inputs, Outcome, Sizes
from forecast.networks.features import Features


class Linear(nn.Module):
    """Each raw output is one linear function of all of the context and of what is known ahead of its step.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.

    References
    ----------
    Zeng et al. (2023), Are transformers effective for time series forecasting?
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.features = Features(sizes)
        self.shape = (sizes.horizon, sizes.targets, sizes.outputs)
        outputs = sizes.targets * sizes.outputs
        self.context = nn.Linear(sizes.context_length * self.features.encoder_width, sizes.horizon * outputs)
        self.ahead = nn.Parameter(torch.randn(self.features.decoder_width, outputs) * 0.01)

    def forward(self, inputs: Inputs, teacher: Outcome | None = None, feedback: Callable | None = None) -> Tensor:
        """Return raw outputs (B, H, C, K)."""
        raw = self.context(self.features.encoder(inputs).flatten(1)).unflatten(-1, self.shape)
        return raw + (self.features.decoder(inputs) @ self.ahead).unflatten(-1, self.shape[1:])
