"""What is worked out for a picture of models: which do not differ, and which no other beats in all respects."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite


def bars(mean_ranks: Sequence[float], *, critical_difference: float) -> list[tuple[int, int]]:
    """Find the groups of models whose mean ranks differ by less than the critical difference.

    Parameters
    ----------
    mean_ranks : sequence of float
        In ascending order.
    critical_difference : float
        In ranks; where it is NaN there are no groups.

    Returns
    -------
    First and last place of each group that no other group holds, of two models or more.

    References
    ----------
    Demšar (2006), "Statistical comparisons of classifiers over multiple data sets", figure 1.
    """
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(mean_ranks):
        near = [place for place, other in enumerate(mean_ranks) if other - rank < critical_difference]
        last = max(near, default=first)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def bars_of_groups(groups: Sequence[str]) -> list[tuple[int, int]]:
    """Find the same in what each model's groups are called, such as "1 2", models in ascending order of mean rank."""
    places: dict[str, list[int]] = {}
    for place, names in enumerate(groups):
        for name in names.split():
            places.setdefault(name, []).append(place)
    return [(held[0], held[-1]) for held in places.values() if len(held) > 1]


def pareto_front(costs: Sequence[float], errors: Sequence[float]) -> list[bool]:
    """Tell of each model whether no other one has both lower cost and lower error; NaN is never on the front."""
    pairs = list(zip(costs, errors, strict=True))
    known = [pair for pair in pairs if all(map(isfinite, pair))]
    return [
        pair in known
        and not any(
            other[0] <= pair[0] and other[1] <= pair[1] and other != pair for other in known
        )
        for pair in pairs
    ]  # fmt: skip
