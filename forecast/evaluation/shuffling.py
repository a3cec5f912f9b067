"""How covariates are shuffled to tell their importance, in one record."""

from __future__ import annotations

from dataclasses import dataclass

from forecast.errors import check_count

LEAST = {"repeats": 0, "origins": 1, "seed": 0}


@dataclass
class Shuffling:
    """How often, and from how many origins, the importance of covariates is told.

    Parameters
    ----------
    repeats : int
        How often each covariate is shuffled; 0 tells no importance.
    origins : int
        The most origins of one fit that are forecast again; of more, as many are drawn at random. A network that
        forecasts by drawing paths has an eighth of them, since each forecast takes it many times as long.
    seed : int
        Of what is drawn.
    """

    repeats: int = 5
    origins: int = 256
    seed: int = 0

    def check(self) -> None:
        """Refuse numbers that make no sense."""
        for name, least in LEAST.items():
            check_count(f"importance.{name}", getattr(self, name), least=least)
