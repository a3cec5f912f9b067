"""Quantiles of fixed levels as part of a graph: what losses ask scipy or a search for, in operations that ONNX has.

Each reader gives quantiles on the scaled axis, (B, H, C, Q), from raw outputs (B, H, C, K) and the scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.polynomial import chebyshev
from scipy.special import stdtrit
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from forecast.calibration import Shifts
from forecast.errors import ConfigError
from forecast.losses import (
    Counts,
    Gaussian,
    LogNormal,
    Loss,
    Mixture,
    NegativeBinomial,
    PointLoss,
    Poisson,
    Quantile,
    StudentT,
    Tweedie,
    ZeroInflated,
)
from forecast.losses.continuous import HALVINGS
from forecast.losses.loss import interpolated

Reader = Callable[[Tensor, Tensor], Tensor]
Sums = tuple[Tensor, Tensor, Tensor]
TERMS = 24  # of a Chebyshev series
BLOCK = 128  # counts that are summed at once


def reader_of(loss: Loss, levels: Sequence[float], *, most: int) -> Reader:
    """Return what reads quantiles of fixed levels; a loss of one's own reads its own.

    Parameters
    ----------
    loss : Loss
        Trained.
    levels : sequence of float (Q,)
        That the loss covers.
    most : int
        Up to where counts are told apart.

    Raises
    ------
    ConfigError
        If the quantiles of the loss cannot become part of a graph.
    """
    if isinstance(loss, Tweedie):
        raise ConfigError(
            "the quantiles of loss=tweedie are searched for with functions that no graph has, and it cannot be "
            "exported. Losses that can: quantile, mae, mse, huber, gaussian, student_t, log_normal, mixture, poisson, "
            "negative_binomial, zero_inflated."
        )
    make = next((READERS[kind] for kind in type(loss).__mro__ if kind in READERS), None)
    if make is not None:
        return make(loss, levels)
    if isinstance(loss, Counts):
        return CountReader(loss, levels, most=most)
    wanted = torch.tensor(list(levels))
    return lambda raw, scale: loss.scaled_quantiles(raw, wanted.to(raw), scale)


class CalibratedReader(nn.Module):
    """Quantiles of a network, moved as its calibration has them."""

    places: Tensor  # (T,)
    shifts: Tensor  # (H, C, T)
    right: Tensor  # (Q,)
    share: Tensor  # (Q,)

    def __init__(self, read: Reader, shifts: Shifts, levels: Sequence[float], *, from_zero: bool) -> None:
        super().__init__()
        self.read, bases = read, sorted(set(shifts.bases))
        self.register_buffer("places", torch.tensor([bases.index(base) for base in shifts.bases]))
        self.register_buffer("shifts", torch.as_tensor(shifts.values))
        grid, wanted = np.asarray(shifts.levels), np.asarray(levels, np.float64)
        right = np.clip(np.searchsorted(grid, wanted - 1e-6), 1, len(grid) - 1)
        share = np.clip((wanted - grid[right - 1]) / (grid[right] - grid[right - 1]), 0, 1)
        self.register_buffer("right", torch.as_tensor(right))
        self.register_buffer("share", torch.as_tensor(share))
        self.lowest = 0.0 if from_zero else -math.inf

    def forward(self, raw: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles: (B, H, C, Q)."""
        moved = self.read(raw, scale).index_select(-1, self.places).double() + self.shifts
        ordered = moved.sort(dim=-1).values  # NaN last: what is not told
        below, above = (ordered.index_select(-1, at) for at in (self.right - 1, self.right))
        mixed = torch.where(
            self.share == 0, below, torch.where(self.share == 1, above, torch.lerp(below, above, self.share))
        )
        return torch.where(mixed < self.lowest, self.lowest, mixed)


class OffsetReader(nn.Module):
    """The point, and the errors' quantiles at each step."""

    offsets: Tensor

    def __init__(self, loss: PointLoss, levels: Sequence[float]) -> None:
        super().__init__()
        zero = torch.zeros(*loss.errors.shape[:2], 1)
        self.register_buffer("offsets", loss.scaled_quantiles(zero, torch.tensor(list(levels)), zero[..., 0]))

    def forward(self, raw: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles: (B, H, C, Q)."""
        return raw[..., :1] + self.offsets


class TrainedReader(nn.Module):
    """Straight lines between trained levels: each quantile is a sum of two of them."""

    weights: Tensor  # (K, Q)

    def __init__(self, loss: Quantile, levels: Sequence[float]) -> None:
        super().__init__()
        self.loss = loss
        every = torch.eye(len(loss.levels))
        self.register_buffer("weights", interpolated(every, loss.trained, torch.tensor(list(levels))))

    def forward(self, raw: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles: (B, H, C, Q)."""
        return self.loss.all_levels(raw) @ self.weights


class NormalReader(nn.Module):
    """A location, and a deviation times the point of the standard normal distribution."""

    points: Tensor  # (Q,)

    def __init__(self, loss: Gaussian | LogNormal, levels: Sequence[float]) -> None:
        super().__init__()
        self.loss = loss
        self.register_buffer("points", torch.special.ndtri(torch.tensor(list(levels))))

    def forward(self, raw: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles: (B, H, C, Q)."""
        middle, deviation = (part[..., None] for part in self.loss.parameters_of(raw))
        if isinstance(self.loss, LogNormal):
            return middle * (deviation * self.points).clamp(max=60).exp()
        return middle + deviation * self.points


class StudentReader(nn.Module):
    """A location, and a scale times the point of Student's t.

    At a fixed level the point is a smooth function of one over the degrees of freedom, which are above 2: a Chebyshev
    series, fitted to scipy's values.
    """

    terms: Tensor  # (T, Q)

    def __init__(self, loss: StudentT, levels: Sequence[float]) -> None:
        super().__init__()
        self.loss = loss

        def points(at: np.ndarray) -> np.ndarray:  # on [-1, 1]
            inverse = np.maximum((at + 1) / 4, 1e-9)[:, None]
            return stdtrit(1 / inverse, np.asarray(levels, np.float32).astype(np.float64))  # as the loss has them

        nodes, check = chebyshev.chebpts1(2 * TERMS), np.linspace(-1, 1, 999)
        terms = chebyshev.chebfit(nodes, points(nodes), TERMS - 1)
        off = np.abs(chebyshev.chebval(check, terms).T - points(check)) / np.maximum(np.abs(points(check)), 1e-3)
        if off.max() > 1e-5:
            far = levels[int(off.max(axis=0).argmax())]
            raise ConfigError(f"level {far:g} of loss=student_t is too far out for a graph. Choose one nearer to 0.5.")
        self.register_buffer("terms", torch.tensor(terms))

    def forward(self, raw: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles: (B, H, C, Q)."""
        loc, width, df = (part[..., None] for part in self.loss.parameters_of(raw))
        at = 4 / df.double() - 1
        after, last = torch.zeros_like(at), torch.zeros_like(at)
        for term in reversed(self.terms[1:]):  # Clenshaw's recurrence
            after, last = term + 2 * at * after - last, after
        return loc + width * (self.terms[0] + at * after - last).to(raw.dtype)


class MixtureReader(nn.Module):
    """Where the weighted sum of normal distributions reaches each level, by halving a bracket."""

    points: Tensor  # (Q,)
    levels: Tensor  # (Q,)

    def __init__(self, loss: Mixture, levels: Sequence[float]) -> None:
        super().__init__()
        self.loss = loss
        self.register_buffer("levels", torch.tensor(list(levels)))
        self.register_buffer("points", torch.special.ndtri(torch.tensor(list(levels))))

    def forward(self, raw: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles: (B, H, C, Q)."""
        weights, locs, deviations = (part[..., None, :] for part in self.loss.parameters_of(raw))  # (B, H, C, 1, M)
        each = locs + deviations * self.points[:, None]
        levels = self.levels

        def halve(bracket: tuple[Tensor, Tensor], _: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
            low, high = bracket
            middle = (low + high) / 2
            z = (middle[..., None] - locs) / deviations
            below = (weights * (0.5 + 0.5 * torch.erf(z / math.sqrt(2)))).sum(dim=-1) < levels
            return (torch.where(below, middle, low), torch.where(below, high, middle)), below.new_zeros(1)

        (low, high), _ = scan(halve, (each.amin(dim=-1), each.amax(dim=-1)), torch.zeros(HALVINGS))
        return (low + high) / 2


class CountReader(nn.Module):
    """The least count whose distribution function reaches each level, by adding up probabilities from zero on.

    Each probability follows from the one before it. From `most` on a quantile is NaN: the graph does not tell.
    """

    levels: Tensor  # (Q,)
    numbers: Tensor  # (most / BLOCK, BLOCK)

    def __init__(self, loss: Counts, levels: Sequence[float], *, most: int) -> None:
        super().__init__()
        self.loss, self.share = loss, loss.share if isinstance(loss, ZeroInflated) else None
        self.others = loss.others if isinstance(loss, ZeroInflated) else loss
        if type(self.others) not in (Poisson, NegativeBinomial):
            raise ConfigError(f"the counts of {type(self.others).__name__} cannot be exported. Use loss=poisson.")
        self.register_buffer("levels", torch.tensor(list(levels)).double())
        self.register_buffer("numbers", torch.arange(most, dtype=torch.float64).unflatten(0, (-1, BLOCK)))

    def forward(self, raw: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles: (B, H, C, Q)."""
        wide = scale.double()
        first, start, slope = (part[..., None] for part in self._begin(raw, wide))
        share = torch.zeros(1).double() if self.share is None else self.share(raw)[..., None].double()
        # As the loss does: of what is no zero of its own kind, the level that is left over.
        levels = (
            ((self.levels - share) / (1 - share).clamp(min=1e-12)).clamp(0, 1 - 2**-24).expand(*first.shape[:-1], -1)
        )

        def add(held: Sums, numbers: Tensor) -> tuple[Sums, Tensor]:
            log, total, count = held  # of the next count, of all below it, and the counts below each quantile
            ways = torch.log((start + slope * numbers) / (numbers + 1))  # (B, H, C, BLOCK)
            logs = ways.cumsum(dim=-1)
            totals = total + (log + logs - ways).exp().cumsum(dim=-1)
            below = (totals[..., None, :] < levels[..., None]).to(count.dtype).sum(dim=-1)
            return (log + logs[..., -1:], totals[..., -1:].clone(), count + below), log.new_zeros(1)

        (_, _, count), _ = scan(add, (first, first * 0, levels * 0), self.numbers)
        count = count.masked_fill(count >= self.numbers.numel(), torch.nan)
        return (count / wide[..., None]).to(scale)

    def _begin(self, raw: Tensor, scale: Tensor) -> Sums:
        """Return log p(0), and the two of p(k + 1) / p(k) = (start + slope k) / (k + 1): (B, H, C) each."""
        mean = self.others.mean(raw).double() * scale
        if isinstance(self.others, NegativeBinomial):
            size = 1 / self.others.dispersion(raw, scale)
            slope = mean / (mean + size)
            return -size * torch.log1p(mean / size), size * slope, slope
        return -mean, mean, torch.zeros_like(mean)


READERS: dict[Any, Callable[[Any, Sequence[float]], Reader]] = {
    PointLoss: OffsetReader,
    Quantile: TrainedReader,
    Gaussian: NormalReader,
    LogNormal: NormalReader,
    StudentT: StudentReader,
    Mixture: MixtureReader,
}
