"""Continuous distributions: normal, Student's t, log-normal, a mixture of normals."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import stdtr, stdtrit
from torch import Tensor

from forecast.data.panel import Panel
from forecast.errors import ConfigError
from forecast.losses.loss import Loss, positive

HALVINGS = 40  # of the bracket in which a quantile is sought


class Gaussian(Loss):
    """Negative log-likelihood of a normal distribution."""

    outputs = 2
    is_distribution = True

    def parameters_of(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return location and deviation: (B, H, C) each."""
        return raw[..., 0], positive(raw[..., 1])

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return -log p(y): (B, H, C)."""
        loc, deviation = self.parameters_of(raw)
        return 0.5 * ((scaled - loc) / deviation).square() + deviation.log() + 0.5 * np.log(2 * np.pi)

    def reached(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability below an outcome, twice."""
        loc, deviation = self.parameters_of(raw)
        return (torch.special.ndtr((scaled - loc) / deviation),) * 2

    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Return loc + deviation · z(level): (B, H, C, Q)."""
        loc, deviation = self.parameters_of(raw)
        return loc[..., None] + deviation[..., None] * torch.special.ndtri(levels)

    def scaled_draws(self, raw: Tensor, uniform: Tensor, scale: Tensor) -> Tensor:
        """Draw by the method of Box and Muller (1958): a radius from one number, an angle from the other."""
        loc, deviation = self.parameters_of(raw)
        return loc + deviation * _normal(uniform)


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
        return raw[..., 0], positive(raw[..., 1]), 2 + positive(raw[..., 2])

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return -log p(y): (B, H, C)."""
        loc, width, df = self.parameters_of(raw)
        z = (scaled - loc) / width
        norm = torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - 0.5 * (df * np.pi).log() - width.log()
        return (df + 1) / 2 * torch.log1p(z.square() / df) - norm

    def reached(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability below an outcome, twice."""
        loc, width, df = self.parameters_of(raw)
        level = stdtr(df.cpu().double().numpy(), ((scaled - loc) / width).cpu().double().numpy())
        return (torch.as_tensor(level, dtype=raw.dtype, device=raw.device),) * 2

    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Return loc + scale · t(level, df): (B, H, C, Q)."""
        loc, width, df = self.parameters_of(raw)
        points = stdtrit(df[..., None].cpu().double().numpy(), levels.cpu().double().numpy())
        return loc[..., None] + width[..., None] * torch.as_tensor(points, dtype=raw.dtype, device=raw.device)

    def scaled_draws(self, raw: Tensor, uniform: Tensor, scale: Tensor) -> Tensor:
        """Draw by Bailey's polar method, which is Box and Muller's with a longer radius."""
        loc, width, df = self.parameters_of(raw)
        radius = (df * torch.expm1(-2 / df * uniform[..., 0].log())).sqrt()
        return loc + width * radius * torch.cos(2 * np.pi * uniform[..., 1])


class LogNormal(Loss):
    """Negative log-likelihood of a log-normal distribution, for values above zero; the point is its median."""

    outputs = 2
    is_distribution = True
    from_zero = True

    def check(self, panel: Panel) -> None:
        """Refuse values of zero or less."""
        panel.refuse(
            panel.target <= 0, "loss=log_normal takes values above zero. Choose another, such as loss=quantile."
        )

    def parameters_of(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return the median and the deviation of the logarithm: (B, H, C) each."""
        return positive(raw[..., 0]), positive(raw[..., 1])

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return -log p(y) on the scaled axis: (B, H, C)."""
        median, deviation = self.parameters_of(raw)
        logs = scaled.clamp(min=torch.finfo(scaled.dtype).tiny).log()
        return 0.5 * ((logs - median.log()) / deviation).square() + deviation.log() + logs + 0.5 * np.log(2 * np.pi)

    def scaled_point(self, raw: Tensor) -> Tensor:
        """Return the median: (..., C)."""
        return self.parameters_of(raw)[0]

    def reached(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability below an outcome, twice."""
        median, deviation = self.parameters_of(raw)
        logs = scaled.clamp(min=torch.finfo(scaled.dtype).tiny).log()
        return (torch.special.ndtr((logs - median.log()) / deviation),) * 2

    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Return median · exp(deviation · z(level)): (B, H, C, Q)."""
        median, deviation = self.parameters_of(raw)
        return median[..., None] * (deviation[..., None] * torch.special.ndtri(levels)).clamp(max=60).exp()


class Mixture(Loss):
    """Negative log-likelihood of a mixture of normal distributions; the point is its mean.

    Raw output 0 moves all components; each has a place beside it, a deviation and a weight of its own.

    Parameters
    ----------
    components : int
        How many.

    References
    ----------
    Bishop (1994), Mixture density networks.
    """

    is_distribution = True

    def __init__(self, *, components: int = 3) -> None:
        super().__init__()
        if components < 2:
            raise ConfigError(f"components is a whole number of 2 or more, got {components!r}. One is loss=gaussian.")
        self.components, self.outputs = components, 1 + 3 * components

    def parameters_of(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return weights, locations and deviations: (B, H, C, M) each."""
        weights, places, widths = raw[..., 1:].chunk(3, dim=-1)
        apart = torch.linspace(
            -0.5, 0.5, self.components, dtype=raw.dtype, device=raw.device
        )  # or all would stay alike
        return weights.softmax(dim=-1), raw[..., :1] + places + apart, positive(widths)

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return -log p(y): (B, H, C)."""
        weights, locs, deviations = self.parameters_of(raw)
        z = (scaled[..., None] - locs) / deviations
        return -torch.logsumexp(weights.log() - 0.5 * z.square() - deviations.log(), dim=-1) + 0.5 * np.log(2 * np.pi)

    def scaled_point(self, raw: Tensor) -> Tensor:
        """Return the mean: (..., C)."""
        weights, locs, _ = self.parameters_of(raw)
        return (weights * locs).sum(dim=-1)

    def reached(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability below an outcome, twice."""
        weights, locs, deviations = self.parameters_of(raw)
        return ((weights * torch.special.ndtr((scaled[..., None] - locs) / deviations)).sum(dim=-1),) * 2

    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Return where the weighted sum of normal distributions reaches each level: (B, H, C, Q)."""
        weights, locs, deviations = (part[..., None, :] for part in self.parameters_of(raw))  # (B, H, C, 1, M)
        each = locs + deviations * torch.special.ndtri(levels)[..., None]  # the quantile lies among those of the parts
        low, high = each.amin(dim=-1), each.amax(dim=-1)
        for _ in range(HALVINGS):  # down to neighbouring numbers: no quantiles cross in their last digits
            middle = (low + high) / 2
            below = (weights * torch.special.ndtr((middle[..., None] - locs) / deviations)).sum(dim=-1) < levels
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def scaled_draws(self, raw: Tensor, uniform: Tensor, scale: Tensor) -> Tensor:
        """Draw a component by the first number, whose place within its share goes on as uniform, and a value of it."""
        weights, locs, deviations = self.parameters_of(raw)
        ends = weights.cumsum(dim=-1)
        ends = torch.cat([ends[..., :-1], torch.ones_like(ends[..., :1])], dim=-1)
        number = (uniform[..., :1] > ends).sum(dim=-1, keepdim=True).clamp(max=self.components - 1)
        shape = number.shape[:-1]
        end, weight, loc, deviation = (
            part.expand(*shape, -1).gather(-1, number)[..., 0] for part in (ends, weights, locs, deviations)
        )
        place = ((uniform[..., 0] - end) / weight + 1).clamp(min=2**-24, max=1)
        return loc + deviation * _normal(torch.stack([place, uniform[..., 1].expand_as(place)], dim=-1))


def _normal(uniform: Tensor) -> Tensor:
    """Return normal draws from two uniform numbers each: (...) of (..., 2)."""
    return (-2 * uniform[..., 0].log()).sqrt() * torch.cos(2 * math.pi * uniform[..., 1])
