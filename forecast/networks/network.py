"""What all networks share: features in front, a straight way around, one signature."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TypedDict

from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Inputs, Outcome, Sizes
from forecast.errors import ConfigError
from forecast.networks.bypass import Bypass
from forecast.networks.features import Features

Feedback = Callable[[Tensor], Tensor]  # raw outputs of one step (B, C, K) -> its value (B, C)


class Shared(TypedDict, total=False):
    """Options of every network."""

    bypass: bool
    lags: int


class Network(nn.Module, ABC):
    """Parent of the networks: `raw` is what each of them is, `forward` what they share.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    bypass : bool
        Add a linear map of the context.
    lags : int
        Seasons back of which every step is given the value, in the context and ahead.
    """

    reads_teacher = False  # True: training hands it the outcome, scaled and with its mask
    paths = 0  # sample paths that a forecast is made of; 0: all steps come at once

    def __init__(self, sizes: Sizes, *, bypass: bool = False, lags: int = 0) -> None:
        super().__init__()
        self.sizes = sizes
        self.features = Features(sizes, lags=lags)
        self.bypass = Bypass(sizes) if bypass else None

    def forward(self, inputs: Inputs, teacher: Outcome | None = None, feedback: Feedback | None = None) -> Tensor:
        """Return raw outputs (B, H, C, K).

        Parameters
        ----------
        inputs : Inputs
            Scaled.
        teacher : Outcome
            What came, in training; read by networks that say so.
        feedback : callable
            The value (B, C) of a step from its raw outputs (B, C, K), for networks that read their own forecast: called
            once a step, the last one included. For a network that draws `paths` it may return n values a window,
            (B n, C) in the order of `branched`: from there on the network forecasts B n rows, one a path.
        """
        if self.bypass is None:
            return self.raw(inputs, teacher, feedback)
        linear = self.bypass(inputs)  # (B, H, C)
        if teacher is not None:  # the network learns what the linear map leaves
            teacher = teacher._replace(target=(teacher.target - linear) * teacher.observed)
        raw = self.raw(inputs, teacher, feedback and _around(feedback, linear))
        return added(raw, linear)

    @abstractmethod
    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K) without the linear map."""

    def progress(self, done: float) -> None:
        """Take note, before a training step, of the share of them done."""

    def refuse(self, loss: nn.Module) -> None:
        """Refuse a loss that makes no sense for this network.

        Raises
        ------
        ConfigError
            Says why, and which would.
        """
        if self.reads_teacher and getattr(loss, "is_event", False):
            raise ConfigError(
                "this network reads its own forecast of a step for the next, and the probability that "
                f"{type(loss).__name__} gives is no value to go on from. Choose a network that forecasts all steps at "
                "once, such as model=gru, or another loss."
            )


def _around(feedback: Feedback, linear: Tensor) -> Feedback:
    """Return a feedback on the axis that the linear map (B, H, C) leaves over."""
    steps: Iterator[Tensor] = iter(linear.unbind(dim=1))

    def around(raw: Tensor) -> Tensor:
        step = next(steps)
        value = feedback(added(raw, step))
        return value - branched(step, value.shape[0])

    return around


def refuse_below_one(**options: int) -> None:
    """Refuse a number of units or layers that leaves none."""
    for name, value in options.items():
        if value < 1:
            raise ConfigError(f"{name} is a whole number of 1 or more, got {value!r}.")


def branched(part: Tensor, rows: int) -> Tensor:
    """Return each row of (B, ...) as often as paths begin there: (rows, ...)."""
    return part if part.shape[0] == rows else part.repeat_interleave(rows // part.shape[0], dim=0)


def added(raw: Tensor, linear: Tensor) -> Tensor:
    """Add values (..., C) to output 0 of raw outputs (..., C, K), from which a loss reads its centre.

    Raw outputs may have a row for each path, and in training begin before the horizon.
    """
    linear = branched(linear, raw.shape[0])
    if linear.ndim == 3:
        linear = F.pad(linear, (0, 0, raw.shape[1] - linear.shape[1], 0))
    return F.pad(linear[..., None], (0, raw.shape[-1] - 1)) + raw
