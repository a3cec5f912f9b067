"""How long a search may take, in words such as 20min."""

from __future__ import annotations

import re

from forecast.errors import ConfigError

UNITS = {"s": 1, "min": 60, "h": 3600}


def seconds_of(budget: str | float | None) -> float | None:
    """Return a budget in seconds, None where there is none.

    Parameters
    ----------
    budget : str or float, optional
        A number with a unit, such as "90s", "20min" or "1.5h", several of them ("1h30min"), or seconds.

    Raises
    ------
    ConfigError
        If it is none of these, or not above 0.
    """
    if budget is None:
        return None
    text = str(budget).replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|min|s)", text)
    if isinstance(budget, int | float) and not isinstance(budget, bool):
        seconds = float(budget)
    else:
        seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
        if "".join(map("".join, parts)) != text:
            seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"budget is a time such as 90s, 20min or 2h, got {budget!r}.")
    return seconds


def in_words(seconds: float) -> str:
    """Return a duration as a person says it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
