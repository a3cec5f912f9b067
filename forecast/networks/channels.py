"""Several targets forecast by one network, each from its own values: the only place that folds them into the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from forecast.batch import Inputs, Outcome, Sizes, usual_width
from forecast.networks.network import Feedback, Network


class ByChannel(nn.Module):
    """A network of one target that forecasts several: each is a window of its own, which a code tells apart.

    Parameters
    ----------
    make : callable
        Sizes -> network.
    sizes : Sizes
        Those of all targets.
    """

    def __init__(self, make: Callable[[Sizes], nn.Module], sizes: Sizes) -> None:
        super().__init__()
        self.targets = sizes.targets
        codes = sizes.targets + 1
        self.network = make(
            replace(
                sizes,
                targets=1,
                static_cardinalities=(*sizes.static_cardinalities, codes),
                embeddings=(*sizes.widths, usual_width(codes)),
            )
        )
        self.reads_teacher = getattr(self.network, "reads_teacher", False)
        self.paths = getattr(self.network, "paths", 0)
        self.forking = getattr(self.network, "forking", False)

    def forward(self, inputs: Inputs, teacher: Outcome | None = None, feedback: Callable | None = None) -> Tensor:
        """Return raw outputs (B, H, C, K)."""
        taught = None if teacher is None else Outcome(*map(self._folded, teacher))
        raw = self.network(self.each(inputs), taught, feedback and self._by_channel(feedback, inputs.target.shape[0]))
        return self._unfolded(raw, inputs.target.shape[0])

    def forks(self, inputs: Inputs) -> Tensor:
        """Return raw outputs from every step of the context (B, L, H, C, K), of a network that forks."""
        raw = self.network.forks(self.each(inputs))  # type: ignore[operator]  # (B C, L, H, 1, K)
        return raw.squeeze(3).unflatten(0, (-1, self.targets)).movedim(1, 3)

    def refuse(self, loss: nn.Module) -> None:
        """Refuse a loss that makes no sense for the network."""
        if isinstance(self.network, Network):
            self.network.refuse(loss)

    def each(self, inputs: Inputs) -> Inputs:
        """Return the windows of each target: (B C, ...)."""
        return Inputs(*(self._repeated(part) for part in inputs))._replace(
            target=self._folded(inputs.target),
            observed=self._folded(inputs.observed),
            scale=inputs.scale.reshape(-1, 1),
            static_codes=self._coded(inputs.static_codes),
        )

    def _by_channel(self, feedback: Feedback, windows: int) -> Feedback:
        """Return a feedback for (B C, 1, K), or with n paths (B C n, 1, K), that asks for all targets together."""

        def folded(raw: Tensor) -> Tensor:
            values = feedback(self._unfolded(raw[:, None], windows)[:, 0])  # (B n, C)
            return values.unflatten(0, (windows, -1)).transpose(1, 2).reshape(-1, 1)

        return folded

    def _unfolded(self, raw: Tensor, windows: int) -> Tensor:
        """Return (B C, T, 1, K) as (B, T, C, K); with n paths (B C n, T, 1, K) as (B n, T, C, K)."""
        parted = raw.squeeze(2).unflatten(0, (windows, self.targets, -1))  # (B, C, n, T, K)
        return parted.permute(0, 2, 3, 1, 4).flatten(0, 1)

    def _folded(self, values: Tensor) -> Tensor:
        """Return (B, T, C) as (B C, T, 1)."""
        return values.transpose(1, 2).flatten(0, 1)[..., None]

    def _repeated(self, part: Tensor) -> Tensor:
        return part.repeat_interleave(self.targets, dim=0)

    def _coded(self, codes: Tensor) -> Tensor:
        """Return static codes (B, S') with the number of the target behind: (B C, S' + 1)."""
        channels = torch.arange(1, self.targets + 1, device=codes.device).repeat(codes.shape[0])
        return torch.cat([self._repeated(codes), channels[:, None]], dim=1)
