"""Counts: Poisson, negative binomial, and either with zeros of their own kind.

The mean is a multiple of the scale, so that one network serves small and large series; likelihoods, quantiles and
draws are those of whole numbers in the unit of the series. The point is the mean, which need not be whole.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np
import torch
from scipy import stats
from scipy.special import betainc, pdtr
from torch import Tensor
from torch.nn import functional as F

from forecast.data.panel import Panel
from forecast.errors import ConfigError
from forecast.losses.loss import Loss, positive

MOST = 2**53  # up to which a whole number is one in float64


class Counts(Loss):
    """Parent of distributions over the whole numbers from 0 on."""

    is_distribution = True
    is_whole = True
    from_zero = True

    def check(self, panel: Panel) -> None:
        """Refuse what is no count."""
        values = panel.target
        with np.errstate(invalid="ignore"):
            wrong = (values < 0) | (values > MOST) | (values != np.floor(values)) & ~np.isnan(values)
        name = type(self).__name__
        other = "quantile" if (values < 0).any() else "tweedie"
        panel.refuse(wrong, f"the loss {name} counts whole numbers from 0 on. Choose another, such as loss={other}.")

    @abstractmethod
    def log_likelihood(self, raw: Tensor, counts: Tensor, scale: Tensor) -> Tensor:
        """Return log p(y) of counts (..., C) in the unit of the series, in float64 where the device has it."""

    @abstractmethod
    def reached_by(self, raw: Tensor, counts: np.ndarray, scale: Tensor) -> np.ndarray:
        """Return the probability up to counts (..., C), which is 0 below 0."""

    @abstractmethod
    def counts_at(self, raw: Tensor, levels: np.ndarray, scale: Tensor) -> np.ndarray:
        """Return the least count whose distribution function reaches each level: (..., C, Q)."""

    def mean(self, raw: Tensor) -> Tensor:
        """Return the mean on the scaled axis: (..., C)."""
        return positive(raw[..., 0])

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return -log p(y): (B, H, C)."""
        counts = (_precise(scaled) * _precise(scale)).round()
        return -self.log_likelihood(_precise(raw), counts, _precise(scale)).to(raw.dtype)

    def scaled_point(self, raw: Tensor) -> Tensor:
        """Return the mean: (..., C)."""
        return self.mean(raw)

    def reached(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability below a count, and the one up to it."""
        own, unit = raw.cpu().double(), scale.cpu().double()
        counts = (scaled.cpu().double() * unit).round().numpy()
        below, to = (torch.as_tensor(self.reached_by(own, number, unit)).to(raw) for number in (counts - 1, counts))
        return below, to

    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles that are whole numbers in the unit of the series: (B, H, C, Q)."""
        raw, scale = raw.cpu().double(), scale.cpu().double()
        counts = self.counts_at(raw, levels.cpu().double().numpy(), scale)
        return (torch.as_tensor(counts) / scale[..., None]).to(levels)


class Poisson(Counts):
    """Negative log-likelihood of a Poisson distribution: the variance is the mean."""

    outputs = 1

    def log_likelihood(self, raw: Tensor, counts: Tensor, scale: Tensor) -> Tensor:
        """Return log p(y): (..., C)."""
        mean = self.mean(raw) * scale
        return counts * mean.log() - mean - torch.lgamma(counts + 1)

    def reached_by(self, raw: Tensor, counts: np.ndarray, scale: Tensor) -> np.ndarray:
        """Return the probability up to counts: (..., C)."""
        return np.where(counts < 0, 0.0, pdtr(np.maximum(counts, 0), (self.mean(raw) * scale).numpy()))

    def counts_at(self, raw: Tensor, levels: np.ndarray, scale: Tensor) -> np.ndarray:
        """Return quantiles: (..., C, Q)."""
        return stats.poisson.ppf(levels, (self.mean(raw) * scale)[..., None].numpy())


class NegativeBinomial(Counts):
    """Negative log-likelihood of a negative binomial distribution: the variance is mean + dispersion · mean².

    References
    ----------
    Salinas et al. (2020), DeepAR, section 3.1: mean and dispersion, and how either goes with the scale.
    """

    outputs = 2

    def dispersion(self, raw: Tensor, scale: Tensor) -> Tensor:
        """Return the dispersion: (..., C)."""
        return positive(raw[..., 1]) / scale.sqrt()

    def log_likelihood(self, raw: Tensor, counts: Tensor, scale: Tensor) -> Tensor:
        """Return log p(y): (..., C)."""
        mean, size = self.mean(raw) * scale, 1 / self.dispersion(raw, scale)
        ways = torch.lgamma(counts + size) - torch.lgamma(counts + 1) - torch.lgamma(size)
        return ways - size * torch.log1p(mean / size) - counts * torch.log1p(size / mean)

    def reached_by(self, raw: Tensor, counts: np.ndarray, scale: Tensor) -> np.ndarray:
        """Return the probability up to counts: (..., C)."""
        mean, size = (self.mean(raw) * scale).numpy(), (1 / self.dispersion(raw, scale)).numpy()
        return np.where(counts < 0, 0.0, betainc(size, np.maximum(counts, 0) + 1, size / (size + mean)))

    def counts_at(self, raw: Tensor, levels: np.ndarray, scale: Tensor) -> np.ndarray:
        """Return quantiles: (..., C, Q)."""
        mean, size = self.mean(raw) * scale, 1 / self.dispersion(raw, scale)
        return stats.nbinom.ppf(levels, size[..., None].numpy(), (size / (size + mean))[..., None].numpy())


class ZeroInflated(Counts):
    """Negative log-likelihood of counts of which a share is zero whatever the others are: a shop that is closed.

    Parameters
    ----------
    counts : {"negative_binomial", "poisson"}
        Distribution of the others.

    References
    ----------
    Lambert (1992), Zero-inflated Poisson regression, with an application to defects in manufacturing.
    """

    def __init__(self, *, counts: Literal["negative_binomial", "poisson"] = "negative_binomial") -> None:
        super().__init__()
        kinds: dict[str, type[Counts]] = {"negative_binomial": NegativeBinomial, "poisson": Poisson}
        if counts not in kinds:
            raise ConfigError(f"counts is {' or '.join(kinds)}, got {counts!r}.")
        self.others = kinds[counts]()
        self.outputs = self.others.outputs + 1

    def share(self, raw: Tensor) -> Tensor:
        """Return the share of zeros of their own kind: (..., C)."""
        return raw[..., -1].sigmoid()

    def log_likelihood(self, raw: Tensor, counts: Tensor, scale: Tensor) -> Tensor:
        """Return log p(y): (..., C)."""
        zero, other = F.logsigmoid(raw[..., -1]), F.logsigmoid(-raw[..., -1])
        drawn = other + self.others.log_likelihood(raw, counts, scale)
        return torch.where(counts == 0, torch.logaddexp(zero.expand_as(drawn), drawn), drawn)

    def scaled_point(self, raw: Tensor) -> Tensor:
        """Return the mean, zeros included: (..., C)."""
        return (1 - self.share(raw)) * self.mean(raw)

    def reached_by(self, raw: Tensor, counts: np.ndarray, scale: Tensor) -> np.ndarray:
        """Return the probability up to counts: (..., C)."""
        share = self.share(raw).numpy()
        return np.where(counts < 0, 0.0, share + (1 - share) * self.others.reached_by(raw, counts, scale))

    def counts_at(self, raw: Tensor, levels: np.ndarray, scale: Tensor) -> np.ndarray:
        """Return quantiles: (..., C, Q)."""
        share = self.share(raw)[..., None].numpy()
        left = np.clip((levels - share) / np.maximum(1 - share, 1e-12), 0, 1 - 2**-24)
        return np.where(levels <= share, 0, np.maximum(self.others.counts_at(raw, left, scale), 0))


def _precise(values: Tensor) -> Tensor:
    """Return values in float64, where differences of large logarithms keep their digits; mps has none."""
    return values if values.device.type == "mps" else values.double()
