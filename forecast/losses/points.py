"""Losses of a point: absolute, squared, and between the two."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from forecast.batch import Affine, Outcome, Sizes
from forecast.errors import ConfigError
from forecast.losses.loss import Loss, interpolated


class PointLoss(Loss):
    """Parent of losses with one output: their intervals come from the errors on windows, after training.

    The errors are those of the training windows given to `calibrate`, which are smaller than they will be.
    """

    outputs = 1
    grid = tuple(np.round(np.arange(0.01, 1.0, 0.01), 2).tolist())
    errors: Tensor

    def prepare(self, sizes: Sizes) -> None:
        """Make room for error quantiles per step of the horizon: (H, C, 99)."""
        super().prepare(sizes)
        shape = (sizes.horizon, sizes.targets, len(self.grid))
        self.register_buffer("errors", torch.full(shape, float("nan")))

    def calibrate(self, raw: Tensor, outcome: Outcome, affine: Affine) -> None:
        """Take the quantiles of scaled errors at each step."""
        error = self._scaled(raw, outcome, affine)[0] - raw[..., 0]
        error = error.masked_fill(outcome.observed == 0, float("nan"))  # (B, H, C)
        levels = torch.tensor(self.grid, dtype=error.dtype, device=error.device)
        quantiles = error.nanquantile(levels, dim=0).movedim(0, -1)  # (H, C, 99)
        self.errors.copy_(quantiles.nan_to_num(0.0))
        super().calibrate(raw, outcome, affine)

    def covers(self, level: float) -> bool:
        """Return whether errors on windows tell of a level: 0.01 to 0.99."""
        return self.grid[0] <= level <= self.grid[-1]

    def covered(self) -> str:
        """Return what levels are covered, and what to do about others, in words."""
        return f"the levels {self.grid[0]} to {self.grid[-1]} of errors. Choose"

    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Return the point plus the errors' quantiles: (B, H, C, Q)."""
        grid = torch.tensor(self.grid, dtype=raw.dtype, device=raw.device)
        errors = self.errors.to(raw)
        if levels.ndim > 1:
            errors = errors.expand(*levels.shape[:-1], -1)
        return raw[..., :1] + interpolated(errors, grid, levels)


class MAE(PointLoss):
    """Mean absolute error; the point is a median."""

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return |y - f|: (B, H, C)."""
        return (scaled - raw[..., 0]).abs()


class MSE(PointLoss):
    """Mean squared error; the point is a mean."""

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return (y - f)²: (B, H, C)."""
        return (scaled - raw[..., 0]).square()


class Huber(PointLoss):
    """Squared error up to `delta` scaled units, absolute beyond.

    References
    ----------
    Huber (1964), Robust estimation of a location parameter.
    """

    def __init__(self, *, delta: float = 1.0) -> None:
        super().__init__()
        if not delta > 0:
            raise ConfigError(f"delta is above 0, got {delta!r}.")
        self.delta = delta

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return the Huber loss: (B, H, C)."""
        return F.huber_loss(raw[..., 0], scaled, reduction="none", delta=self.delta)
