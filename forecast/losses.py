"""Losses, and how the raw outputs of a network are read: as a point, as quantiles, as samples.

A loss works on the scaled axis and returns forecasts on the axis that its `Affine` leads to. Averages are
over what was observed. Letters: B windows, H horizon, C targets, K outputs, Q levels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import t as student_t
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Affine, Inputs, Outcome, Sizes
from forecast.errors import ConfigError

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Loss(nn.Module, ABC):
    """Parent of all losses: what they share is the way to the scaled axis and back."""

    outputs: int  # K: raw outputs per step and target
    is_distribution = False  # True: each step has a whole distribution, tails included, from which to draw

    def prepare(self, sizes: Sizes) -> None:
        """Make room for what `calibrate` learns."""

    def forward(self, raw: Tensor, outcome: Outcome, inputs: Inputs, affine: Affine) -> Tensor:
        """Return the mean loss over observed steps, a scalar.

        Parameters
        ----------
        raw : Tensor (B, H, C, K)
        outcome : Outcome
            Target (B, H, C) on the axis of the affine map.
        inputs : Inputs
            What the network read, for losses that weigh by it.
        affine : Affine
            The way from the scaled axis back.
        """
        loss = self.stepwise(raw, self._scaled(raw, outcome, affine))
        return (loss * outcome.observed).sum() / outcome.observed.sum().clamp(min=1)

    def point(self, raw: Tensor, affine: Affine) -> Tensor:
        """Return the point forecast: (B, H, C)."""
        return affine.horizon(raw.shape[1]).restored(self.scaled_point(raw).to(affine.loc.dtype))

    def quantiles(self, raw: Tensor, levels: Sequence[float], affine: Affine) -> Tensor:
        """Return a quantile for each level: (B, H, C, Q)."""
        scaled = self.scaled_quantiles(raw, levels).to(affine.loc.dtype)
        return self._restored(scaled, raw, affine)

    def sample(self, raw: Tensor, n: int, affine: Affine, generator: torch.Generator) -> Tensor:
        """Draw each step by itself, from random numbers that all windows share: (B, H, C, n)."""
        uniform = uniforms(n, 1, *raw.shape[1:3], generator=generator, like=raw)
        draws = self.scaled_draws(raw, uniform).movedim(0, -1)
        return self._restored(draws.to(affine.loc.dtype), raw, affine)

    def calibrate(self, raw: Tensor, outcome: Outcome, affine: Affine) -> None:
        """Learn the spread of errors from windows, where the loss itself does not train it."""

    @abstractmethod
    def stepwise(self, raw: Tensor, scaled: Tensor) -> Tensor:
        """Return the loss of each step: (B, H, C)."""

    def scaled_point(self, raw: Tensor) -> Tensor:
        """Return the point forecast on the scaled axis: (B, H, C)."""
        return raw[..., 0]

    @abstractmethod
    def scaled_quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles on the scaled axis: (B, H, C, Q)."""

    def scaled_draws(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """Return draws on the scaled axis: quantiles at random levels.

        Parameters
        ----------
        raw : Tensor (..., C, K)
        uniform : Tensor (..., 2)
            Uniform on (0, 1], two numbers a draw, broadcastable to raw[..., 0].
        """
        grid = np.round(np.arange(0.01, 1.0, 0.01), 2)
        grid = grid[[self.covers(level) for level in grid]]
        quantiles = self.scaled_quantiles(raw, grid.tolist())
        shape = torch.broadcast_shapes(raw.shape[:-1], uniform.shape[:-1])
        levels = uniform[..., 0].expand(shape)[..., None]
        whole = quantiles.expand(*shape, len(grid))
        return _interpolated(whole, torch.as_tensor(grid, dtype=raw.dtype, device=raw.device), levels)[..., 0]

    def covers(self, level: float) -> bool:
        """Return whether a quantile of this level can be given."""
        return 0 < level < 1

    def _refuse_uncovered(self, levels: Sequence[float], covered: str, way_out: str) -> None:
        outside = [level for level in levels if not self.covers(level)]
        if outside:
            raise ConfigError(f"level {outside[0]:g} lies outside {covered}. {way_out} loss=gaussian or student_t.")

    def _scaled(self, raw: Tensor, outcome: Outcome, affine: Affine) -> Tensor:
        scaled = affine.horizon(raw.shape[1]).scaled(outcome.target)
        return scaled.masked_fill(outcome.observed == 0, 0.0).to(raw.dtype)

    def _restored(self, scaled: Tensor, raw: Tensor, affine: Affine) -> Tensor:
        part = affine.horizon(raw.shape[1])
        return Affine(part.loc[..., None], part.scale[..., None]).restored(scaled)


class PointLoss(Loss):
    """Parent of losses with one output: their intervals come from the errors on windows, after training.

    The errors are those of the windows given to `calibrate`: windows held back where there are some, else
    training windows, on which errors are smaller than they will be.
    """

    outputs = 1
    grid = tuple(np.round(np.arange(0.01, 1.0, 0.01), 2).tolist())
    errors: Tensor

    def prepare(self, sizes: Sizes) -> None:
        """Make room for error quantiles per step of the horizon: (H, C, 99)."""
        shape = (sizes.horizon, sizes.targets, len(self.grid))
        self.register_buffer("errors", torch.full(shape, float("nan")))

    def calibrate(self, raw: Tensor, outcome: Outcome, affine: Affine) -> None:
        """Take the quantiles of scaled errors at each step."""
        error = self._scaled(raw, outcome, affine) - raw[..., 0]
        error = error.masked_fill(outcome.observed == 0, float("nan"))  # (B, H, C)
        levels = torch.tensor(self.grid, dtype=error.dtype, device=error.device)
        quantiles = error.nanquantile(levels, dim=0).movedim(0, -1)  # (H, C, 99)
        self.errors.copy_(quantiles.nan_to_num(0.0))

    def covers(self, level: float) -> bool:
        """Return whether errors on windows tell of a level: 0.01 to 0.99."""
        return self.grid[0] <= level <= self.grid[-1]

    def scaled_quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return the point plus the errors' quantiles: (B, H, C, Q)."""
        self._refuse_uncovered(levels, f"the levels {self.grid[0]} to {self.grid[-1]} of errors", "Choose")
        grid = torch.tensor(self.grid, dtype=raw.dtype, device=raw.device)
        wanted = torch.tensor(levels, dtype=raw.dtype, device=raw.device)
        return raw[..., :1] + _interpolated(self.errors.to(raw), grid, wanted)


class MAE(PointLoss):
    """Mean absolute error; the point is a median."""

    def stepwise(self, raw: Tensor, scaled: Tensor) -> Tensor:
        """Return |y - f|: (B, H, C)."""
        return (scaled - raw[..., 0]).abs()


class MSE(PointLoss):
    """Mean squared error; the point is a mean."""

    def stepwise(self, raw: Tensor, scaled: Tensor) -> Tensor:
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

    def stepwise(self, raw: Tensor, scaled: Tensor) -> Tensor:
        """Return the Huber loss: (B, H, C)."""
        return F.huber_loss(raw[..., 0], scaled, reduction="none", delta=self.delta)


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

    def stepwise(self, raw: Tensor, scaled: Tensor) -> Tensor:
        """Return twice the mean pinball loss over levels, which at the median is |y - f|: (B, H, C)."""
        error = scaled[..., None] - self.all_levels(raw)
        return 2 * torch.maximum(self.trained * error, (self.trained - 1) * error).mean(dim=-1)

    def covers(self, level: float) -> bool:
        """Return whether a level lies within those trained."""
        return self.levels[0] <= level <= self.levels[-1]

    def scaled_quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Interpolate between trained levels: (B, H, C, Q)."""
        trained = f"the trained levels {self.levels[0]:g} to {self.levels[-1]:g}"
        self._refuse_uncovered(levels, trained, "Train with it: loss.levels=[...], or choose")
        if tuple(levels) == self.levels:
            return self.all_levels(raw)
        wanted = torch.tensor(levels, dtype=raw.dtype, device=raw.device)
        return _interpolated(self.all_levels(raw), self.trained.to(raw.dtype), wanted)


class Gaussian(Loss):
    """Negative log-likelihood of a normal distribution."""

    outputs = 2
    is_distribution = True

    def parameters_of(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return location and deviation: (B, H, C) each."""
        return raw[..., 0], _positive(raw[..., 1])

    def stepwise(self, raw: Tensor, scaled: Tensor) -> Tensor:
        """Return -log p(y): (B, H, C)."""
        loc, deviation = self.parameters_of(raw)
        return 0.5 * ((scaled - loc) / deviation).square() + deviation.log() + 0.5 * np.log(2 * np.pi)

    def scaled_quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return loc + deviation · z(level): (B, H, C, Q)."""
        loc, deviation = self.parameters_of(raw)
        z = torch.special.ndtri(torch.tensor(levels, dtype=raw.dtype, device=raw.device))
        return loc[..., None] + deviation[..., None] * z

    def scaled_draws(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """Draw by the method of Box and Muller (1958): a radius from one number, an angle from the other."""
        loc, deviation = self.parameters_of(raw)
        return loc + deviation * (-2 * uniform[..., 0].log()).sqrt() * torch.cos(2 * np.pi * uniform[..., 1])


class StudentT(Loss):
    """Negative log-likelihood of Student's t with location, scale and more than two degrees of freedom.

    References
    ----------
    Bailey (1994), Polar generation of random variates with the t-distribution, for draws.
    """

    outputs = 3
    is_distribution = True

    def parameters_of(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return location, scale and degrees of freedom: (B, H, C) each."""
        return raw[..., 0], _positive(raw[..., 1]), 2 + _positive(raw[..., 2])

    def stepwise(self, raw: Tensor, scaled: Tensor) -> Tensor:
        """Return -log p(y): (B, H, C)."""
        loc, scale, df = self.parameters_of(raw)
        z = (scaled - loc) / scale
        norm = torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - 0.5 * (df * np.pi).log() - scale.log()
        return (df + 1) / 2 * torch.log1p(z.square() / df) - norm

    def scaled_quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return loc + scale · t(level, df): (B, H, C, Q)."""
        loc, scale, df = self.parameters_of(raw)
        points = student_t.ppf(np.asarray(levels), df[..., None].double().cpu().numpy())
        return loc[..., None] + scale[..., None] * torch.as_tensor(points, dtype=raw.dtype, device=raw.device)

    def scaled_draws(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """Draw by Bailey's polar method, which is Box and Muller's with a longer radius."""
        loc, scale, df = self.parameters_of(raw)
        radius = (df * torch.expm1(-2 / df * uniform[..., 0].log())).sqrt()
        return loc + scale * radius * torch.cos(2 * np.pi * uniform[..., 1])


def uniforms(*shape: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """Return numbers uniform on (0, 1], two for each draw of `scaled_draws`: (*shape, 2)."""
    # Drawn where the generator lies, so that a seed gives the same paths on every device.
    return 1 - torch.rand(*shape, 2, generator=generator, device=generator.device, dtype=torch.float32).to(like)


def _positive(raw: Tensor) -> Tensor:
    return F.softplus(raw) + 1e-4


def _interpolated(values: Tensor, grid: Tensor, wanted: Tensor) -> Tensor:
    """Return `values` (..., K) at levels `grid` (K,) read at `wanted`, straight lines between: (..., Q).

    `wanted` is (..., Q), or (Q,) where all read the same.
    """
    if len(grid) == 1:
        return values.expand(*values.shape[:-1], wanted.shape[-1])
    right = torch.searchsorted(grid, wanted.contiguous() - 1e-6).clamp(1, len(grid) - 1)
    low, high = grid[right - 1], grid[right]
    share = ((wanted - low) / (high - low)).clamp(0, 1)
    if wanted.ndim == 1:
        return torch.lerp(values[..., right - 1], values[..., right], share)
    return torch.lerp(values.gather(-1, right - 1), values.gather(-1, right), share)
