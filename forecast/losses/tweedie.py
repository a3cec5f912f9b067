"""The Tweedie distribution: amounts that are often exactly zero, and else anything above it."""

from __future__ import annotations

import math

import torch
from scipy.special import gammaincinv
from torch import Tensor

from forecast.data.panel import Panel
from forecast.errors import ConfigError
from forecast.losses.loss import Loss, positive

TERMS = 80  # of the series of the density; where the largest lies beyond half of them, a saddle point stands for it
MANY = 30.0  # expected number of parts, from which on the sum of parts is nearly a gamma variable
LEAST = 0.01  # dispersion
HALVINGS = 14  # of the bracket in which a quantile is sought, before a straight line
REACH = 25.0  # deviations above the mean within which quantiles lie


class Tweedie(Loss):
    """Negative log-likelihood of a Poisson number of gamma parts: variance = dispersion · mean ** power.

    On the scaled axis; a Tweedie variable times a factor is one again. The point is the mean.

    Parameters
    ----------
    power : float
        Between 1, where it is a scaled Poisson, and 2, a gamma distribution.

    References
    ----------
    Jørgensen (1987), Exponential dispersion models; Dunn and Smyth (2005), Series evaluation of Tweedie exponential
    dispersion model densities, equations 2 to 6 for the series, and section 2 for the saddle point.
    """

    outputs = 2
    is_distribution = True
    from_zero = True

    def __init__(self, *, power: float = 1.5) -> None:
        super().__init__()
        if not 1 < power < 2:
            raise ConfigError(f"power lies between 1 and 2, both excluded, got {power!r}.")
        self.power = power
        self.shape = (2 - power) / (power - 1)  # of each part

    def check(self, panel: Panel) -> None:
        """Refuse values below zero."""
        panel.refuse(
            panel.target < 0, "loss=tweedie takes no values below zero. Choose another, such as loss=quantile."
        )

    def parameters_of(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and dispersion: (B, H, C) each."""
        return positive(raw[..., 0]), positive(raw[..., 1]) + LEAST

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return -log p(y) on the scaled axis: (B, H, C)."""
        mean, dispersion = self.parameters_of(raw)
        power = self.power
        zero = mean ** (2 - power) / (dispersion * (2 - power))  # -log of the probability of no part
        amount = torch.where(scaled > 0, scaled, 1.0)
        tilt = amount * mean ** (1 - power) / (dispersion * (power - 1)) + zero
        series = tilt + amount.log() - self._log_series(amount, dispersion)
        saddle = self._deviance(amount, mean) / (2 * dispersion)
        saddle = saddle + 0.5 * (2 * math.pi * dispersion * amount**power).log()
        many = amount ** (2 - power) / (dispersion * (2 - power)) > TERMS / 2
        return torch.where(scaled > 0, torch.where(many, saddle, series), zero)

    def scaled_point(self, raw: Tensor) -> Tensor:
        """Return the mean: (..., C)."""
        return positive(raw[..., 0])

    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles, 0 up to the probability of no part: (B, H, C, Q)."""
        mean, dispersion = (part[..., None] for part in self.parameters_of(raw))
        deviation = (dispersion * mean**self.power).sqrt()
        levels = levels.expand(torch.broadcast_shapes(levels.shape, mean.shape))
        few = self._sum_of_few(mean, dispersion, deviation, levels)
        parts = mean ** (2 - self.power) / (dispersion * (2 - self.power))
        if not (parts > MANY).any():
            return few
        # Gamma, moved to the same mean, deviation and skewness, which is power · deviation / mean.
        bend = (2 / (self.power * deviation / mean)).square()
        points = gammaincinv(bend.double().cpu().numpy(), levels.double().cpu().numpy())
        many = mean + deviation * (torch.as_tensor(points).to(raw) - bend) / bend.sqrt()
        return torch.where(parts > MANY, many.clamp(min=0), few)

    def _log_series(self, amount: Tensor, dispersion: Tensor) -> Tensor:
        """Return the logarithm of the sum over numbers of parts, of what the mean has no share in: (B, H, C)."""
        power, shape = self.power, self.shape
        number = torch.arange(1, TERMS + 1, dtype=amount.dtype, device=amount.device)
        each = shape * (amount.log() - math.log(power - 1)) - (1 + shape) * dispersion.log() - math.log(2 - power)
        terms = number * each[..., None] - torch.lgamma(number + 1) - torch.lgamma(number * shape)
        return terms.logsumexp(dim=-1)

    def _deviance(self, amount: Tensor, mean: Tensor) -> Tensor:
        power = self.power
        first = amount ** (2 - power) / ((1 - power) * (2 - power))
        second = amount * mean ** (1 - power) / (1 - power)
        return 2 * (first - second + mean ** (2 - power) / (2 - power))

    def _sum_of_few(self, mean: Tensor, dispersion: Tensor, deviation: Tensor, levels: Tensor) -> Tensor:
        """Return quantiles (..., Q) by the distribution function, up to MANY parts expected."""
        parts = (mean ** (2 - self.power) / (dispersion * (2 - self.power))).clamp(max=MANY)
        size = dispersion * (self.power - 1) * mean ** (self.power - 1)  # scale of each part
        most = float(parts.max()) if parts.numel() else 0.0
        number = torch.arange(1, math.ceil(most + 6 * math.sqrt(most) + 6), dtype=mean.dtype, device=mean.device)
        shares = (number * parts[..., None].log() - parts[..., None] - torch.lgamma(number + 1)).exp()

        def reached(values: Tensor) -> Tensor:
            each = torch.special.gammainc(number * self.shape, (values / size).clamp(min=0)[..., None])
            return (-parts).exp() + (shares * each).sum(dim=-1)

        low, high = torch.zeros_like(levels), (mean + REACH * deviation).expand_as(levels)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = reached(middle) < levels
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        first, last = reached(low), reached(high)
        share = ((levels - first) / (last - first).clamp(min=1e-12)).clamp(0, 1)
        return torch.where(levels <= (-parts).exp(), 0.0, torch.lerp(low, high, share))
