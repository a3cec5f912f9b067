"""Quantiles at any levels, trained together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from forecast.losses.loss import LEVELS, Loss, interpolated


class Quantile(Loss):
    """Pinball loss over levels that cannot cross: the median is output 0, the others step outward from it.

    Parameters
    ----------
    levels : sequence of float
        Levels to train; 0.5 is always among them. Levels between are interpolated, levels outside are
        refused.

    References
    ----------
    Koenker and Bassett (1978), Regression quantiles.
    """

    trained: Tensor

    def __init__(self, *, levels: Sequence[float] = LEVELS) -> None:
        super().__init__()
        wrong = [level for level in levels if not 0 < level < 1]
        if wrong:
            raise ValueError(f"a quantile level lies between 0 and 1, got {wrong[0]}.")
        self.levels = tuple(sorted({0.5, *levels}))
        self.outputs = len(self.levels)
        self.below = self.levels.index(0.5)
        self.register_buffer("trained", torch.tensor(self.levels), persistent=False)

    def all_levels(self, raw: Tensor) -> Tensor:
        """Return every trained quantile in ascending order of level: (B, H, C, K)."""
        steps = F.softplus(raw[..., 1:] - 1)  # softplus(-1) = 0.31: at first about a Gaussian's spacing
        median, above, below = raw[..., :1], steps[..., self.below :], steps[..., : self.below]
        return torch.cat([median - below.cumsum(-1).flip(-1), median, median + above.cumsum(-1)], dim=-1)

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return twice the mean pinball loss over levels, which at the median is |y - f|: (B, H, C)."""
        error = scaled[..., None] - self.all_levels(raw)
        return 2 * torch.maximum(self.trained * error, (self.trained - 1) * error).mean(dim=-1)

    def covers(self, level: float) -> bool:
        """Return whether a level lies within those trained."""
        return self.levels[0] <= level <= self.levels[-1]

    def covered(self) -> str:
        """Return what levels are covered, and what to do about others, in words."""
        trained = f"the trained levels {self.levels[0]:g} to {self.levels[-1]:g}"
        return f"{trained}. Train with it: loss.levels=[...], or choose"

    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Interpolate between trained levels: (B, H, C, Q)."""
        trained = self.trained.to(raw)
        if torch.equal(levels, trained):
            return self.all_levels(raw)
        return interpolated(self.all_levels(raw), trained, levels)
