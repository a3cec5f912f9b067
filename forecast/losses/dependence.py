"""How the errors of one step ahead go with those of others: a normal copula over the steps of the horizon."""

from __future__ import annotations

from functools import partial

import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor, nn

from forecast.batch import Sizes

MOST_FACTORS = 64  # of a long horizon; up to as many steps every correlation is kept


class Dependence(nn.Module):
    """The correlation of normal scores over steps, one matrix a target; targets are drawn apart.

    A network that forecasts all steps at once has a distribution for each, and none for a sum of them: errors that last
    make sums spread wider than independent steps would. Here the scores are joint normal. The correlation of a horizon
    of more than 64 steps is kept by its 64 largest principal components, and what they leave is each step's own.

    Parameters
    ----------
    sizes : Sizes
        Horizon H and targets C.

    References
    ----------
    Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, for shrinkage.
    """

    factors: Tensor  # (C, H, R)

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        rank = min(sizes.horizon, MOST_FACTORS)
        self.register_buffer("factors", torch.zeros(sizes.targets, sizes.horizon, rank))

    def fit(self, scores: Tensor, observed: Tensor) -> None:
        """Learn from normal scores (B, H, C) of windows, where they were observed (B, H, C)."""
        for target in range(scores.shape[2]):
            own, seen = scores[..., target].cpu().double(), observed[..., target].cpu().double()
            self.factors[target] = _factors(_correlation(own, seen), rank=self.factors.shape[2]).to(self.factors)

    def levels(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw n courses as levels in (0, 1), each uniform by itself: (H, C, n)."""
        targets, horizon, rank = self.factors.shape
        factors = self.factors.to(generator.device)
        own = (1 - factors.square().sum(dim=-1)).clamp(min=0).sqrt()  # (C, H)
        normal = partial(torch.randn, generator=generator, device=generator.device)
        common, each = normal(targets, rank, n), normal(targets, horizon, n)
        return torch.special.ndtr((factors @ common + own[..., None] * each).clamp(-5, 5)).transpose(0, 1)


def _correlation(scores: Tensor, seen: Tensor) -> Tensor:
    """Return the shrunk correlation over steps of scores (B, H), over windows in which both were seen: (H, H)."""
    count = seen.sum(dim=0).clamp(min=1)
    centred = (scores - (scores * seen).sum(dim=0) / count) * seen
    spread = (centred.square().sum(dim=0) / count).sqrt()
    standard = centred / spread.clamp(min=1e-6)
    share = float(ledoit_wolf_shrinkage(standard.numpy(), assume_centered=True)) if len(scores) > 1 else 1.0
    together = (seen.T @ seen).clamp(min=1)
    identity = torch.eye(scores.shape[1], dtype=scores.dtype)
    return (1 - share) * (standard.T @ standard) / together + share * identity


def _factors(correlation: Tensor, *, rank: int) -> Tensor:
    """Return (H, R) whose products are nearest to a correlation (H, H), with rows no longer than 1."""
    values, vectors = torch.linalg.eigh(correlation)
    factors = vectors[:, -rank:] * values[-rank:].clamp(min=0).sqrt()
    return factors / factors.norm(dim=1, keepdim=True).clamp(min=1)
