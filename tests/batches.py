"""The one helper that builds batches of windows without a table."""

from __future__ import annotations

import torch
from torch import Tensor

from forecast.batch import Inputs, Outcome, Sizes

SIZES = Sizes(context_length=12, horizon=4, outputs=3, season=4)
WIDE = Sizes(
    context_length=12,
    horizon=4,
    past=4,
    known=3,
    static=2,
    past_cardinalities=(4,),
    known_cardinalities=(3, 5),
    static_cardinalities=(6,),
    series=7,
    season=4,
    outputs=3,
)


def made_batch(sizes: Sizes = SIZES, *, count: int = 5, seed: int = 0) -> tuple[Inputs, Outcome]:
    """Return fully observed windows of random numbers that fit `sizes`, targets in float64."""
    draw = torch.Generator().manual_seed(seed)
    length, horizon = sizes.context_length, sizes.horizon

    def numbers(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=draw)

    def codes(cardinalities: tuple[int, ...], *shape: int) -> Tensor:
        columns = [torch.randint(most, (count, *shape), generator=draw) for most in cardinalities]
        return torch.stack(columns, dim=-1) if columns else torch.zeros(count, *shape, 0, dtype=torch.int64)

    inputs = Inputs(
        target=10 + numbers(length, sizes.targets).double(),
        observed=torch.ones(count, length, sizes.targets),
        past=numbers(length, sizes.past),
        known=numbers(length + horizon, sizes.known),
        static=numbers(sizes.static),
        past_codes=codes(sizes.past_cardinalities, length),
        known_codes=codes(sizes.known_cardinalities, length + horizon),
        static_codes=codes(sizes.static_cardinalities),
        series=torch.randint(sizes.series, (count,), generator=draw),
        position=torch.arange(count) + length,
        scale=torch.zeros(count, sizes.targets),
    )
    target = 10 + numbers(horizon, sizes.targets).double()
    return inputs, Outcome(target, torch.ones(count, horizon, sizes.targets))
