"""Several targets forecast by one network, each from its own values: the only place that folds them into the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from forecast.batch import Inputs, Outcome, Sizes, usual_width


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

    def forward(self, inputs: Inputs, teacher: Outcome | None = None, feedback: Callable | None = None) -> Tensor:
        """Return raw outputs (B, H, C, K)."""
        folded = Inputs(*(self._repeated(part) for part in inputs))._replace(
            target=self._folded(inputs.target),
            observed=self._folded(inputs.observed),
            static_codes=self._coded(inputs.static_codes),
        )
        taught = None if teacher is None else Outcome(*map(self._folded, teacher))
        raw = self.network(folded, taught, feedback)  # (B C, H, 1, K)
        return raw.squeeze(2).unflatten(0, (-1, self.targets)).transpose(1, 2)

    def _folded(self, values: Tensor) -> Tensor:
        """Return (B, T, C) as (B C, T, 1)."""
        return values.transpose(1, 2).flatten(0, 1)[..., None]

    def _repeated(self, part: Tensor) -> Tensor:
        return part.repeat_interleave(self.targets, dim=0)

    def _coded(self, codes: Tensor) -> Tensor:
        """Return static codes (B, S') with the number of the target behind: (B C, S' + 1)."""
        channels = torch.arange(1, self.targets + 1, device=codes.device).repeat(len(codes))
        return torch.cat([self._repeated(codes), channels[:, None]], dim=1)
