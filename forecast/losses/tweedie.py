"""The Tweedie distribution: amounts that are often exactly zero, and else anything above it."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from scipy.special import gammainc, gammaincinv, gammaln, ndtr
from torch import Tensor

from forecast.data.panel import Panel
from forecast.errors import ConfigError
from forecast.losses.loss import Loss, positive

TERMS = 80  # of the series of the density; where the largest lies beyond half of them, a saddle point stands for it
FEWEST, MANY = 1e-4, 30.0  # expected number of parts, from which on the sum of parts is nearly a gamma variable
LEAST = 0.01  # dispersion
RATES, SCORES, REACH = 96, 97, 4.5  # of the table of quantiles: rows, columns, and normal scores at its ends
HALVINGS = 40  # of the bracket in which an entry is sought


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
        panel.refuse(panel.target < 0, "loss=tweedie takes no values below zero. Choose loss=quantile or another.")

    def parameters_of(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and dispersion: (B, H, C) each."""
        return positive(raw[..., 0]), positive(raw[..., 1]) + LEAST

    def parts_of(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return the expected number of parts, and the scale of each: (B, H, C)."""
        mean, dispersion = self.parameters_of(raw)
        number = mean ** (2 - self.power) / (dispersion * (2 - self.power))
        return number, dispersion * (self.power - 1) * mean ** (self.power - 1)

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return -log p(y) on the scaled axis: (B, H, C)."""
        mean, dispersion = self.parameters_of(raw)
        power, (zero, _) = self.power, self.parts_of(raw)  # the probability of no part is exp(-zero)
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

    def reached(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability below an outcome, and the one up to it: they differ at zero."""
        parts, size = self.parts_of(raw)
        bend, middle, width = self._gamma_of(raw)
        many = torch.special.gammainc(bend, (bend + (scaled - middle) / width * bend.sqrt()).clamp(min=0))
        few = torch.as_tensor(_reached((scaled / size).cpu().double().numpy(), parts.cpu().numpy(), self.shape)).to(raw)
        to = torch.where(parts > MANY, many, few)
        return torch.where(scaled > 0, to, 0.0), to

    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles, 0 up to the probability of no part: (B, H, C, Q)."""
        parts, size = (part[..., None] for part in self.parts_of(raw))
        levels = levels.expand(torch.broadcast_shapes(levels.shape, parts.shape))
        none = (-parts).exp()
        few = size * self._amounts(parts, ((levels - none) / (1 - none)).clamp(2**-24, 1 - 2**-24))
        few = torch.where(levels <= none, 0.0, few)
        if not (parts > MANY).any():
            return few
        bend, middle, width = (part[..., None] for part in self._gamma_of(raw))
        points = gammaincinv(bend.cpu().double().numpy(), levels.cpu().double().numpy())
        many = middle + width * (torch.as_tensor(points).to(raw) - bend) / bend.sqrt()
        return torch.where(parts > MANY, many.clamp(min=0), few)

    def _gamma_of(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return shape, mean and deviation of the moved gamma variable with the same three moments: (B, H, C) each."""
        mean, dispersion = self.parameters_of(raw)
        deviation = (dispersion * mean**self.power).sqrt()
        return (
            (2 / (self.power * deviation / mean)).square(),
            mean,
            deviation,
        )  # the skewness is power · deviation / mean

    def _amounts(self, parts: Tensor, levels: Tensor) -> Tensor:
        """Return quantiles of a positive sum of parts of scale 1, at levels (..., Q), from a table."""
        table = torch.as_tensor(_table(self.shape)).to(parts)
        row = (parts / FEWEST).clamp(1, MANY / FEWEST).log() / math.log(MANY / FEWEST) * (RATES - 1)
        column = (torch.special.ndtri(levels).clamp(-REACH, REACH) + REACH) / (2 * REACH) * (SCORES - 1)
        row, column = torch.broadcast_tensors(row, column)
        top, left = row.floor().long().clamp(max=RATES - 2), column.floor().long().clamp(max=SCORES - 2)
        down, right = row - top, column - left
        upper, lower = (torch.lerp(table[at, left], table[at, left + 1], right) for at in (top, top + 1))
        return torch.lerp(upper, lower, down).exp()

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


def _reached(amounts: np.ndarray, parts: np.ndarray, shape: float) -> np.ndarray:
    """Return the probability that a sum of gamma parts of scale 1 is up to amounts, of expected numbers of parts."""
    parts = np.minimum(parts, MANY)
    most = float(parts.max(initial=0))
    number = np.arange(1, math.ceil(most + 6 * math.sqrt(most) + 6))
    shares = np.exp(number * np.log(parts[..., None]) - parts[..., None] - gammaln(number + 1))
    found: np.ndarray = np.exp(-parts) + (shares * gammainc(number * shape, amounts[..., None])).sum(axis=-1)
    return found


@cache
def _table(shape: float) -> np.ndarray:
    """Return logarithms of quantiles of a positive sum of parts of scale 1: by expected number, and normal score."""
    parts = np.geomspace(FEWEST, MANY, RATES)
    levels = ndtr(np.linspace(-REACH, REACH, SCORES))
    most = 4 * (MANY + 6 * MANY**0.5 + 6) * (shape + 10)
    low, high = np.full((RATES, SCORES), -40.0 / shape), np.full((RATES, SCORES), np.log(most))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        # Of few parts the difference of probabilities near 1 has no digits left: the positive share is compared.
        below = _positive_share(np.exp(middle), parts, shape) < levels * -np.expm1(-parts)[:, None]
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def _positive_share(amounts: np.ndarray, parts: np.ndarray, shape: float) -> np.ndarray:
    """Return the probability of a sum above 0 and up to amounts (R, S), of expected numbers of parts (R,)."""
    total = np.zeros_like(amounts)
    for row, own in enumerate(parts):
        number = np.arange(1, math.ceil(own + 6 * math.sqrt(own) + 6))
        shares = np.exp(number * np.log(own) - own - gammaln(number + 1))
        total[row] = gammainc(number * shape, amounts[row][:, None]) @ shares
    return total
