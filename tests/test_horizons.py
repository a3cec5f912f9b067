"""The horizon of a table that names none."""

from __future__ import annotations

import pytest

from forecast.data.freq import Freq
from forecast.data.horizons import default_horizon


@pytest.mark.parametrize(
    ("alias", "steps"),
    [
        ("YE", 6), ("YS", 6), ("QS", 8), ("QE-NOV", 8), ("MS", 18), ("ME", 18), ("M", 18), ("M15", 18), ("W-WED", 13),
        ("D", 14), ("B", 14), ("rows:D", 14), ("h", 48),
    ],
)  # fmt: skip
def test_the_frequencies_of_m4_have_its_horizons(alias: str, steps: int) -> None:
    freq = Freq.parse(alias)
    found, told = default_horizon(freq, season=freq.season)
    assert found == steps and told.startswith("as M4 has for ")


@pytest.mark.parametrize(
    ("alias", "season", "expected"),
    [
        ("15min", 96, (96, "one season")),
        ("2W", 26, (26, "one season")),
        ("1", 1, (8, "as no season is known")),
        ("1", 12, (12, "one season")),
        ("7MS", 1, (8, "as no season is known")),
    ],
)
def test_others_have_one_season_or_eight_steps(alias: str, season: int, expected: tuple[int, str]) -> None:
    assert default_horizon(Freq.parse(alias), season=season) == expected
