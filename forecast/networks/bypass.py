"""A straight way around a network: from the values of the context to the forecast, linear and learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecast.batch import Inputs, Sizes


class Bypass(nn.Module):
    """A linear map of the scaled context, which a network has added to the output that a loss reads its centre from.

    It begins at zero: the network trains as if alone, and what is linear moves over where that is easier. Averages and
    seasons, which a recurrent state keeps poorly, are linear.

    Parameters
    ----------
    sizes : Sizes
        Lengths and targets.

    References
    ----------
    Lai et al. (2018), Modeling long- and short-term temporal patterns with deep neural networks, section 3.6.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.shape = (sizes.horizon, sizes.targets)
        self.weight = nn.Parameter(torch.zeros(sizes.context_length * sizes.targets, sizes.horizon * sizes.targets))

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the linear forecast (B, H, C)."""
        return (inputs.target.flatten(1) @ self.weight).unflatten(1, self.shape)
