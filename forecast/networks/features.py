"""From `Inputs` to what an encoder and a decoder read, the same for every network.

Letters: B windows, L context, H horizon, E encoder features, G decoder features.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Inputs, Sizes
from forecast.errors import ConfigError

UNSEEN = 0.02  # share of codes that training replaces by 0, so that the row for new categories is learned


class Features(nn.Module):
    """Join targets, covariates and embeddings.

    Parameters
    ----------
    sizes : Sizes
        Widths and cardinalities of the covariates.
    lags : int
        Seasons back of which every step is given the value, each with whether it was observed: in the context the
        values one to `lags` seasons before, ahead the last so many values known of the same phase.
    """

    def __init__(self, sizes: Sizes, *, lags: int = 0) -> None:
        super().__init__()
        refuse_far_lags(sizes, lags)
        self.horizon, self.season, self.lags = sizes.horizon, sizes.season, lags
        tables = map(nn.Embedding, sizes.cardinalities, sizes.widths)
        self.past, self.known, self.static = (
            nn.ModuleList(itertools.islice(tables, len(cardinalities)))
            for cardinalities in (
                sizes.past_cardinalities,
                sizes.known_cardinalities,
                sizes.static_cardinalities,
            )
        )
        self.static_width = sizes.static + _total(self.static)
        self.decoder_width = sizes.known + _total(self.known) + self.static_width + 2 * lags * sizes.targets  # G
        self.encoder_width = 2 * sizes.targets + sizes.past + _total(self.past) + self.decoder_width  # E

    def encoder(self, inputs: Inputs) -> Tensor:
        """Return what is known of each step of the context, 0 in left padding: (B, L, E)."""
        length = inputs.target.shape[1]
        parts = [
            inputs.target,
            inputs.observed,
            inputs.past,
            self._embedded(self.past, inputs.past_codes),
            inputs.known[:, :length],
            self._embedded(self.known, inputs.known_codes[:, :length]),
            self._statics(inputs, length),
            *self._before(inputs),
        ]
        joined = torch.cat(parts, dim=-1)
        return joined * (padding(inputs.observed) == 0)[..., None]

    def decoder(self, inputs: Inputs) -> Tensor:
        """Return what is known ahead of each step of the horizon: (B, H, G)."""
        parts = [
            inputs.known[:, -self.horizon :],
            self._embedded(self.known, inputs.known_codes[:, -self.horizon :]),
            self._statics(inputs, self.horizon),
            *self._latest(inputs),
        ]
        return torch.cat(parts, dim=-1)

    def _before(self, inputs: Inputs) -> list[Tensor]:
        """Return target and mask one season back, two seasons and so on, 0 before the context: (B, L, C) each."""
        length = inputs.target.shape[1]
        back = [number * self.season for number in range(1, self.lags + 1)]
        return [F.pad(part[:, : length - steps], (0, 0, steps, 0)) for steps in back for part in inputs[:2]]

    def _latest(self, inputs: Inputs) -> list[Tensor]:
        """Return target and mask where each step of the horizon had its phase last, and before: (B, H, C) each."""
        length, ahead = inputs.target.shape[1], torch.arange(self.horizon, device=inputs.target.device)
        last = length - self.season + ahead % self.season
        back = [number * self.season for number in range(self.lags)]
        return [part[:, last - steps] for steps in back for part in inputs[:2]]

    def _statics(self, inputs: Inputs, steps: int) -> Tensor:
        static = torch.cat([inputs.static, self._embedded(self.static, inputs.static_codes)], dim=-1)
        return static[:, None].expand(-1, steps, -1)

    def _embedded(self, tables: nn.ModuleList, codes: Tensor) -> Tensor:
        """Return the joined embeddings of codes (..., N): (..., width)."""
        if self.training and codes.numel():
            codes = codes * (torch.rand(codes.shape, device=codes.device) >= UNSEEN)
        rows = [table(codes[..., number]) for number, table in enumerate(tables)]
        return torch.cat([codes.new_empty(*codes.shape[:-1], 0, dtype=torch.float32), *rows], dim=-1)


def refuse_far_lags(sizes: Sizes, lags: int) -> None:
    """Refuse lags, in seasons, that the context does not hold."""
    if lags < 0:
        raise ValueError(f"lags is a whole number of seasons of 0 or more, got {lags!r}.")
    if lags * sizes.season > sizes.context_length:
        raise ConfigError(
            f"lags={lags} seasons of {sizes.season} steps lie beyond the context of {sizes.context_length}. Lower "
            f"lags, or take context_length={lags * sizes.season} or more."
        )


def padding(observed: Tensor) -> Tensor:
    """Return 1 for steps before anything of the window was observed, else 0: (B, L)."""
    return (observed.amax(dim=-1).cumsum(dim=1) == 0).to(observed.dtype)


def latest(target: Tensor, observed: Tensor) -> Tensor:
    """Return the last value observed of each window, 0 where there is none: (B, C) of (B, T, C)."""
    steps = torch.arange(1, target.shape[1] + 1, device=target.device)[:, None]
    return target.gather(1, (steps * (observed > 0)).argmax(dim=1, keepdim=True))[:, 0]


def _total(tables: nn.ModuleList) -> int:
    return sum(table.embedding_dim for table in tables)  # type: ignore[misc]
