"""How a page writes numbers, times and what is absent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, isfinite, isnan, log10
from numbers import Integral, Real
from typing import Any

import pandas as pd

ABSENT = "\N{EN DASH}"


def is_number(value: Any) -> bool:
    """Tell whether a value is a number: not a truth value, and not NaN."""
    return isinstance(value, Real) and not isinstance(value, bool) and not isnan(value)


def common_decimals(values: Iterable[Any]) -> int | None:
    """Decimals at which a whole column has three or four digits; None where its numbers differ too much."""
    present = [value for value in values if is_number(value)]
    if all(isinstance(value, Integral) for value in present):
        return 0
    numbers = [float(value) for value in present if isfinite(value)]
    sizes = [floor(log10(abs(number))) for number in numbers if number]
    if not sizes or max(sizes) - min(sizes) > 1 or max(sizes) < -4:
        return None
    decimals = max(0, 3 - max(sizes))
    while decimals and all(f"{number:.{decimals}f}".endswith("0") for number in numbers):
        decimals -= 1
    return decimals


def number(value: float, decimals: int | None) -> str:
    """Write a number with so many decimals, or where that is None, with about four digits."""
    if not isfinite(value):
        return "\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}"
    if decimals is not None:
        text = f"{value:,.{decimals}f}"
    elif value and not -5 < floor(log10(abs(value))) < 15:
        text = f"{value:.3e}"
    else:
        places = max(0, 3 - floor(log10(abs(value)))) if value else 1
        text = f"{value:,.{places}f}"
        text = text.rstrip("0").rstrip(".") if places else text
    return text.replace("-", "\N{MINUS SIGN}")


def share(value: float) -> str:
    """Write a share in whole percent."""
    return f"{value:.0%}"


def written(values: Sequence[Any]) -> list[str]:
    """Write a column: its numbers with common decimals, dates without an hour of 0, and what is absent as a dash."""
    decimals = common_decimals(values)
    return [number(value, decimals) if is_number(value) else _text(value) for value in values]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value is pd.NaT or (isinstance(value, float) and isnan(value)) or value is pd.NA:
        return ABSENT
    if isinstance(value, pd.Timestamp) and value == value.normalize():
        return str(value.date())
    return str(value)
