"""What passes between windows, scalers, networks and losses.

Letters of every shape: B windows, L context, H horizon, C targets, P past, F known, S static, K outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

LONGEST = 1_000_000  # steps of a context, a horizon or a season


class Inputs(NamedTuple):
    """All that is known at the origin of each window. Absent covariates are zero-width, never None."""

    target: Tensor  # (B, L, C)           0 where not observed, also after scaling
    observed: Tensor  # (B, L, C)         1 where measured; 0 in left padding and gaps
    past: Tensor  # (B, L, P)
    known: Tensor  # (B, L + H, F)
    static: Tensor  # (B, S)
    past_codes: Tensor  # (B, L, P')      int64 category codes, 0 = never seen
    known_codes: Tensor  # (B, L + H, F')
    static_codes: Tensor  # (B, S')
    series: Tensor  # (B,)                int64 series number, 0 = never seen
    position: Tensor  # (B,)              int64 grid index of the origin; phase = position mod season
    scale: Tensor  # (B, C)               logarithm of what the scaler divides by; 0 before it did


class Outcome(NamedTuple):
    """What happened after the origin. No network sees it, except a decoder in training, as its teacher."""

    target: Tensor  # (B, H, C)           0 where not observed
    observed: Tensor  # (B, H, C)


Batch = tuple[Inputs, Outcome]


@dataclass(frozen=True)
class Sizes:
    """Lengths, widths and cardinalities that fix the shape of a network.

    ``past_cardinalities`` and its kin count the codes of each categorical covariate, code 0 included;
    ``outputs`` is what the loss reads per step and target (K); ``season`` is the seasonality in steps.
    ``embeddings`` are the widths of the embeddings, past, known and static; by the number of codes where empty.
    """

    context_length: int
    horizon: int
    targets: int = 1
    past: int = 0
    known: int = 0
    static: int = 0
    past_cardinalities: tuple[int, ...] = ()
    known_cardinalities: tuple[int, ...] = ()
    static_cardinalities: tuple[int, ...] = ()
    series: int = 1
    season: int = 1
    outputs: int = 1
    embeddings: tuple[int, ...] = ()

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """All of them: past, known, static."""
        return (*self.past_cardinalities, *self.known_cardinalities, *self.static_cardinalities)

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each embedding: by the root of its number of codes where none is given."""
        return self.embeddings or tuple(usual_width(count) for count in self.cardinalities)


def usual_width(count: int) -> int:
    """Return how wide an embedding of so many codes usually is."""
    return min(16, max(2, round(count**0.5)))


class Affine(NamedTuple):
    """How scaled values return to the unit of the series: ``scaled * scale + loc``.

    Both are broadcastable to (B, L + H, C), so that a scaler may give each step its own level; an axis of one
    step stands for all of them.
    """

    loc: Tensor
    scale: Tensor

    def context(self, length: int) -> Affine:
        """Return the part for the first `length` steps, the context."""
        return self._steps(slice(None, length))

    def horizon(self, horizon: int) -> Affine:
        """Return the part for the last `horizon` steps."""
        return self._steps(slice(-horizon, None))

    def scaled(self, values: Tensor) -> Tensor:
        """Return values in the unit of the series on the scaled axis, same shape."""
        return (values - self.loc) / self.scale

    def restored(self, values: Tensor) -> Tensor:
        """Return scaled values in the unit of the series, same shape."""
        return values * self.scale + self.loc

    def _steps(self, steps: slice) -> Affine:
        loc, scale = (part if part.shape[1] == 1 else part[:, steps] for part in self)
        return Affine(loc, scale)


def held(target: Tensor, observed: Tensor) -> Tensor:
    """Return at each step the last value observed up to it, 0 before there is any: (B, T, C) of (B, T, C)."""
    steps = torch.arange(target.shape[1], device=target.device)[:, None]
    return target.gather(1, (steps * (observed > 0)).cummax(dim=1).values)


def last_seen(target: Tensor, observed: Tensor) -> Tensor:
    """Return the same with NaN before there is any: (B, T, C)."""
    return held(target, observed).masked_fill(observed.cumsum(dim=1) == 0, float("nan"))


def sliding(values: Tensor, steps: int) -> Tensor:
    """Return every run of `steps` steps of values (B, T, C), window by window: (B (T - steps + 1), steps, C)."""
    return values.unfold(1, steps, 1).transpose(2, 3).flatten(0, 1)


def joined(batches: Sequence[Batch]) -> Batch:
    """Return several batches as one."""
    inputs, outcomes = zip(*batches, strict=True)
    return (
        Inputs(*(torch.cat(parts) for parts in zip(*inputs, strict=True))),
        Outcome(*(torch.cat(parts) for parts in zip(*outcomes, strict=True))),
    )
