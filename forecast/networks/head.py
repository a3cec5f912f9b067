"""From one summary of the context to raw outputs at every step of the horizon."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecast.batch import Sizes


class Head(nn.Module):
    """A linear map of the summary, plus a response to what is known ahead whose strength the summary sets.

    The response is a sum over the decoder's features and twice as many smooth functions of them, each with a
    coefficient that is linear in the summary. Without decoder features it is 0.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    summary, decoder : int
        Width of the summary, and G of what is known ahead of each step.
    """

    def __init__(self, sizes: Sizes, *, summary: int, decoder: int) -> None:
        super().__init__()
        self.shape = (sizes.targets, sizes.outputs)
        self.horizon = sizes.horizon
        outputs = sizes.targets * sizes.outputs
        self.direct = nn.Linear(summary, sizes.horizon * outputs)
        # Plain parameters: a zero-width nn.Linear warns.
        self.basis = nn.Parameter(torch.randn(decoder, 2 * decoder) / max(decoder, 1) ** 0.5)
        self.strength = nn.Parameter(torch.randn(summary, 3 * decoder * outputs) * 0.01)
        self.level = nn.Parameter(torch.randn(3 * decoder * outputs) * 0.01)

    def forward(self, summary: Tensor, decoder: Tensor) -> Tensor:
        """Return raw outputs (B, H, C, K) from a summary (B, D) and decoder features (B, H, G)."""
        raw = self.direct(summary).unflatten(-1, (self.horizon, *self.shape))
        if not self.basis.numel():  # nothing is known ahead
            return raw
        functions = torch.cat([decoder, torch.tanh(decoder @ self.basis)], dim=-1)  # (B, H, 3 G)
        strength = (summary @ self.strength + self.level).unflatten(-1, (functions.shape[-1], *self.shape))
        return raw + torch.einsum("bhg,bgck->bhck", functions, strength)
