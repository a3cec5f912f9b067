"""What all losses share: the way to the scaled axis and back, quantiles, and draws that hang together over steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Affine, Inputs, Outcome, Sizes
from forecast.data.panel import Panel
from forecast.errors import ConfigError
from forecast.losses.dependence import Dependence

MOST_CELLS = 2**18  # steps and targets of windows that tell how steps go together
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Loss(nn.Module, ABC):
    """Parent of all losses.

    A loss reads raw outputs on the scaled axis. One that counts in the unit of the series needs what one scaled unit is
    there: `scale`, broadcastable to (B, H, C); the others leave it alone.
    """

    outputs: int  # K: raw outputs per step and target
    is_distribution = False  # True: each step has a whole distribution, tails included, from which to draw
    is_whole = False  # True: what is drawn are whole numbers in the unit of the series
    from_zero = False  # True: values are multiples of the scale, and zero stays zero
    is_event = False  # True: the point is the probability of an event, see `EventLoss`

    def prepare(self, sizes: Sizes) -> None:
        """Make room for what `calibrate` learns."""
        self.dependence = Dependence(sizes)

    def check(self, panel: Panel) -> None:
        """Refuse values of a table that the loss is not defined for."""

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
        loss = self.stepwise(raw, *self._scaled(raw, outcome, affine))
        return (loss * outcome.observed).sum() / outcome.observed.sum().clamp(min=1)

    def point(self, raw: Tensor, affine: Affine) -> Tensor:
        """Return the point forecast: (B, H, C)."""
        return affine.horizon(raw.shape[1]).restored(self.scaled_point(raw).to(affine.loc.dtype))

    def quantiles(self, raw: Tensor, levels: Sequence[float], affine: Affine) -> Tensor:
        """Return a quantile for each level: (B, H, C, Q)."""
        self._refuse_uncovered(levels)
        return self.values_at(raw, torch.tensor(list(levels), dtype=raw.dtype, device=raw.device), affine)

    def values_at(self, raw: Tensor, levels: Tensor, affine: Affine) -> Tensor:
        """Return the values at levels (Q,), or (B, H, C, Q) where each step has its own: (B, H, C, Q).

        Levels beyond those that `covers` knows are read off a normal tail: draws need some.
        """
        part = affine.horizon(raw.shape[1])
        scaled = self.scaled_quantiles(raw, levels, part.scale.to(raw.dtype))
        return self.restored(scaled, Affine(part.loc[..., None], part.scale[..., None]))

    def restored(self, scaled: Tensor, affine: Affine) -> Tensor:
        """Return quantiles or draws off the scaled axis, same shape."""
        values = affine.restored(scaled.to(affine.loc.dtype))
        return values.round() if self.is_whole else values

    def draws(self, raw: Tensor, n: int, affine: Affine, generator: torch.Generator) -> Tensor:
        """Draw n courses, with random numbers that all windows share: (B, H, C, n).

        Each step has its own distribution; how steps go together is what `calibrate` has learned.
        """
        levels = self.dependence.levels(n, generator=generator).to(raw)  # (H, C, n)
        return self.values_at(raw, levels.expand(len(raw), -1, -1, -1), affine)

    @torch.no_grad()
    def calibrate(self, raw: Tensor, outcome: Outcome, affine: Affine) -> None:
        """Learn from windows what training did not: how the errors of one step go with those of others."""
        raw, scaled, scale = (part.cpu() for part in (raw, *self._scaled(raw, outcome, affine)))
        few = slice(max(MOST_CELLS // scaled[0].numel(), 1))  # windows of a long horizon take much memory
        below, to = self.reached(raw[few], scaled[few], scale if len(scale) == 1 else scale[few])
        drawn = torch.rand(below.shape, generator=torch.Generator().manual_seed(0)).to(below)
        scores = torch.special.ndtri((below + drawn * (to - below)).clamp(1e-4, 1 - 1e-4))
        self.dependence.fit(scores, outcome.observed[few].cpu())

    @abstractmethod
    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return the loss of each step: (B, H, C)."""

    def scaled_point(self, raw: Tensor) -> Tensor:
        """Return the point forecast on the scaled axis: (..., C)."""
        return raw[..., 0]

    @abstractmethod
    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles on the scaled axis: (..., C, Q).

        Parameters
        ----------
        raw : Tensor (..., C, K)
        levels : Tensor
            (Q,), or (..., C, Q) where each step has its own.
        scale : Tensor
            Broadcastable to (..., C).
        """

    def scaled_draws(self, raw: Tensor, uniform: Tensor, scale: Tensor) -> Tensor:
        """Draw on the scaled axis: (..., C).

        Parameters
        ----------
        raw : Tensor (..., C, K)
        uniform : Tensor (..., 2)
            Uniform on (0, 1], two numbers a draw, broadcastable to raw[..., 0].
        scale : Tensor
            Broadcastable to (..., C).
        """
        shape = torch.broadcast_shapes(raw.shape[:-1], uniform.shape[:-1])
        level = within(uniform[..., 0]).expand(shape)[..., None]
        return self.scaled_quantiles(raw.expand(*shape, -1), level, scale)[..., 0]

    def covers(self, level: float) -> bool:
        """Return whether a quantile of this level can be given."""
        return 0 < level < 1

    def covered(self) -> str:
        """Return what levels are covered, and what to do about others, in words."""
        return "0 to 1. Choose another"

    def _refuse_uncovered(self, levels: Sequence[float]) -> None:
        outside = [level for level in levels if not self.covers(level)]
        if outside:
            raise ConfigError(
                f"level {outside[0]:g} lies outside {self.covered()} loss=gaussian or student_t, or calibrate the "
                "intervals (calibration.windows=)."
            )

    def _scaled(self, raw: Tensor, outcome: Outcome, affine: Affine) -> tuple[Tensor, Tensor]:
        """Return the outcome on the scaled axis (B, H, C), 0 where not observed, and the scale."""
        part = affine.horizon(raw.shape[1])
        scaled = part.scaled(outcome.target).masked_fill(outcome.observed == 0, 0.0)
        return scaled.to(raw.dtype), part.scale.to(raw.dtype)

    def reached(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability below an outcome and the one up to it, which differ where it has one itself.

        Parameters
        ----------
        raw : Tensor (B, H, C, K)
        scaled : Tensor (B, H, C)
        scale : Tensor
            Broadcastable to (B, H, C).

        Returns
        -------
        (B, H, C) each; here read off quantiles, with straight lines between on the axis of normal scores.
        """
        grid = torch.linspace(-3.2, 3.2, 33, dtype=raw.dtype, device=raw.device)
        quantiles = self.scaled_quantiles(raw, torch.special.ndtr(grid), scale)  # (B, H, C, 33)
        right = (quantiles < scaled[..., None]).sum(dim=-1).clamp(1, len(grid) - 1)
        below, above = (quantiles.gather(-1, at[..., None])[..., 0] for at in (right - 1, right))
        share = ((scaled - below) / (above - below).clamp(min=1e-12)).clamp(0, 1)
        level = torch.special.ndtr(grid[right - 1] + share * (grid[1] - grid[0]))
        return level, level


def uniforms(*shape: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """Return numbers uniform on (0, 1], two for each draw of `scaled_draws`: (*shape, 2)."""
    # Drawn where the generator lies, so that a seed gives the same paths on every device.
    return 1 - torch.rand(*shape, 2, generator=generator, device=generator.device, dtype=torch.float32).to(like)


def within(level: Tensor) -> Tensor:
    """Return levels that are uniform on (0, 1] without the end, at which quantiles may be infinite."""
    return level.clamp(max=1 - 2**-24)


def positive(raw: Tensor) -> Tensor:
    """Return raw outputs as numbers above 0."""
    return F.softplus(raw) + 1e-4


def interpolated(values: Tensor, grid: Tensor, wanted: Tensor) -> Tensor:
    """Return `values` (..., K) at levels `grid` (K,) read at `wanted`: (..., Q).

    Between levels lie straight lines, beyond the outermost the tails of a normal distribution that goes through them
    and the median.

    Parameters
    ----------
    values : Tensor (..., K)
        Not descending; the median is among them.
    grid, wanted : Tensor
        Levels: (K,), and (..., Q), or (Q,) where all read the same.
    """
    if len(grid) == 1:
        return values.expand(*values.shape[:-1], wanted.shape[-1])
    right = torch.searchsorted(grid, wanted.contiguous() - 1e-6).clamp(1, len(grid) - 1)
    low, high = grid[right - 1], grid[right]
    share = ((wanted - low) / (high - low)).clamp(0, 1)
    if wanted.ndim == 1:
        inner = torch.lerp(values[..., right - 1], values[..., right], share)
    else:
        inner = torch.lerp(values.gather(-1, right - 1), values.gather(-1, right), share)
    outside = (wanted < grid[0] - 1e-6) | (wanted > grid[-1] + 1e-6)
    if not outside.any():
        return inner
    middle = values[..., int(torch.searchsorted(grid, 0.5 - 1e-6)), None]
    ends = torch.where(wanted < 0.5, grid[0], grid[-1])
    reach = torch.where(wanted < 0.5, values[..., :1], values[..., -1:]) - middle
    beyond = middle + reach * torch.special.ndtri(wanted) / torch.special.ndtri(ends)
    return torch.where(outside, beyond, inner)
