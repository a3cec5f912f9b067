"""Events: the forecast is the probability that something happens, at each step of the horizon or by then.

What happens is told by values in the unit of the series, before any scaling, so that a tie is a tie and a threshold is
where it was set. The probability is no value of the series: no scaler, no unit and no minimum applies to it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from forecast.batch import Affine, Outcome
from forecast.data.panel import Panel
from forecast.errors import ConfigError
from forecast.losses.loss import Loss

LEAST = 1e-30  # probability, so that its logarithm is finite in float32


class EventLoss(Loss):
    """Parent of losses that read the raw output as the logit of an event: binary cross entropy.

    There are no quantiles. Draws are 0 and 1, joint over steps as of any loss, but less so than events are: what is 0
    or 1 tells little of how steps go together.
    """

    outputs = 1
    is_event = True
    levels: tuple[float, ...] = ()

    @property
    @abstractmethod
    def words(self) -> str:
        """What a target does where the event occurs, in words."""

    @abstractmethod
    def occurred(self, outcome: Outcome, last: Tensor) -> Outcome:
        """Return where the event occurred.

        Parameters
        ----------
        outcome : Outcome
            Target (B, H, C) in the unit of the series.
        last : Tensor (B, C)
            The last value observed at the origin, NaN where there is none.

        Returns
        -------
        Outcome whose target is 1 where the event occurred and else 0, observed where that is known.
        """

    def log_chances(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logarithms of the probability and of its complement: (B, H, C) each."""
        return F.logsigmoid(raw[..., 0]), F.logsigmoid(-raw[..., 0])

    def stepwise(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> Tensor:
        """Return the binary cross entropy, where `scaled` is 1 or 0: (B, H, C)."""
        yes, no = self.log_chances(raw)
        return -(scaled * yes + (1 - scaled) * no)

    def point(self, raw: Tensor, affine: Affine) -> Tensor:
        """Return the probability: (B, H, C)."""
        return self.log_chances(raw.to(affine.loc.dtype))[0].exp()

    def quantiles(self, raw: Tensor, levels: Sequence[float], affine: Affine) -> Tensor:
        """Return no quantile: (B, H, C, 0)."""
        if len(levels):
            raise ConfigError(
                f"{type(self).__name__} gives the probability of an event, which has no quantiles, got levels "
                f"{list(levels)}. Leave levels out."
            )
        return raw.new_zeros(*raw.shape[:-1], 0, dtype=affine.loc.dtype)

    def scaled_quantiles(self, raw: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
        """Return 1 at levels beyond the probability that nothing occurs, else 0: (B, H, C, Q)."""
        return (levels > self.log_chances(raw)[1].exp()[..., None]).to(raw.dtype)

    def reached(self, raw: Tensor, scaled: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability below what happened, and the one up to it: (B, H, C) each."""
        none, happened = self.log_chances(raw)[1].exp(), scaled > 0.5
        return torch.where(happened, none, 0.0), torch.where(happened, 1.0, none)

    def restored(self, scaled: Tensor, affine: Affine) -> Tensor:
        """Return draws as they are, same shape."""
        return scaled.to(affine.loc.dtype)

    def covers(self, level: float) -> bool:
        """Return that there is no quantile of any level."""
        return False


class Occurrence(EventLoss):
    """The target is itself an event: 1 where it occurs, 0 where it does not."""

    words = "is 1"

    def check(self, panel: Panel) -> None:
        """Refuse values other than 0 and 1."""
        wrong = ~np.isnan(panel.target) & (panel.target != 0) & (panel.target != 1)
        panel.refuse(
            wrong, "loss=event takes 0 and 1. Choose loss=threshold, or loss=direction for a rise, of other values."
        )

    def occurred(self, outcome: Outcome, last: Tensor) -> Outcome:
        """Return the outcome."""
        return outcome


class Direction(EventLoss):
    """Is the value above the last one observed at the origin? One that equals it is not."""

    words = "is above its last value"

    def occurred(self, outcome: Outcome, last: Tensor) -> Outcome:
        """Return where the value is above the last one."""
        known = outcome.observed * ~last.isnan()[:, None]
        return Outcome((outcome.target > last[:, None]).to(outcome.target.dtype), known)


class Threshold(EventLoss):
    """Is the value at a threshold or beyond it, at a step or by then?

    By then is a probability that never falls along the horizon: each step has that of the event under the condition
    that there was none before it (hazard), and what is trained and forecast is what these come to together.

    Parameters
    ----------
    below, above : float, optional
        The event is a value of this or less, or of this or more; one of the two.
    within : bool
        It counts from the first step of the horizon on where it occurs. After a step that was not observed it is not
        known that there was none.

    References
    ----------
    Gensheimer and Narasimhan (2019), A scalable discrete-time survival model for neural networks, for hazards.
    """

    def __init__(self, *, below: float | None = None, above: float | None = None, within: bool = False) -> None:
        super().__init__()
        if below is not None and above is None:
            self.level, self.is_above = below, False
        elif above is not None and below is None:
            self.level, self.is_above = above, True
        else:
            raise ConfigError(f"a threshold is either below or above, got below={below!r} and above={above!r}.")
        self.within = within

    @property
    def words(self) -> str:
        """What a target does where the event occurs, in words."""
        at = f"is {self.level:g} or {'above' if self.is_above else 'below'}"
        return f"{at} by then" if self.within else at

    def occurred(self, outcome: Outcome, last: Tensor) -> Outcome:
        """Return where the value is at the threshold or beyond it."""
        beyond = outcome.target >= self.level if self.is_above else outcome.target <= self.level
        hit = (beyond & (outcome.observed > 0)).to(outcome.target.dtype)
        if not self.within:
            return Outcome(hit, outcome.observed)
        hit = hit.cummax(dim=1).values
        whole = outcome.observed.cummin(dim=1).values
        return Outcome(hit, torch.maximum(whole, hit.to(whole.dtype)))

    def log_chances(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logarithms of the probability and of its complement: (B, H, C) each."""
        if not self.within:
            return super().log_chances(raw)
        hazards = raw[..., 0] - math.log(raw.shape[1])  # or that of a long horizon would begin at 1
        none = F.logsigmoid(-hazards).cumsum(dim=1).clamp(max=-LEAST)
        return (-torch.expm1(none)).log(), none

    def draws(self, raw: Tensor, n: int, affine: Affine, generator: torch.Generator) -> Tensor:
        """Draw n courses, which by then stay at 1 once they are there: (B, H, C, n)."""
        if not self.within:
            return super().draws(raw, n, affine, generator)
        level = torch.rand(raw.shape[2], n, generator=generator, device=generator.device).to(raw)
        return self.values_at(raw, level.expand(*raw.shape[:2], -1, -1), affine)
