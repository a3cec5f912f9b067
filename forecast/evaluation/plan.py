"""The settings of a backtest, checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from forecast.errors import ConfigError, check_count, unknown_name
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.chances import EVENT_BASELINES


def check_baselines(
    baselines: Sequence[str] | None, *, name: str | None = None, of_events: bool | None = None
) -> tuple[str, ...]:
    """Return the simple methods to compare with, where none are named all that there are.

    Parameters
    ----------
    baselines : sequence of str, optional
        Names in `BASELINES`, or in `EVENT_BASELINES`.
    name : str, optional
        Of the forecaster, which none of them may have.
    of_events : bool, optional
        Whether they forecast probabilities of an event; where it is not known yet they may be of either kind.

    Raises
    ------
    ConfigError
        If a name is none of them, is there twice, or is that of the forecaster too.
    """
    kinds = {True: tuple(EVENT_BASELINES), False: tuple(BASELINES), None: (*BASELINES, *EVENT_BASELINES)}
    if baselines is None:
        baselines = kinds[of_events]
    if isinstance(baselines, str):
        raise ConfigError(f"baselines is a list of names, got {baselines!r}. Write [{baselines}].")
    for baseline in baselines:
        if baseline not in kinds[None]:
            raise ConfigError(unknown_name("baseline", baseline, kinds[of_events]))
        if baseline not in kinds[of_events]:
            what = "probabilities of an event" if of_events else "values"
            raise ConfigError(
                f"baseline {baseline!r} does not forecast {what}, as the forecaster does. Choose of "
                f"{', '.join(kinds[of_events])}."
            )
        if list(baselines).count(baseline) > 1:
            raise ConfigError(f"baseline {baseline!r} is named twice. Name it once.")
    if name in baselines:
        raise ConfigError(
            f"the forecaster is named {name!r}, as a baseline is. Give another name, or leave that one out."
        )
    return tuple(baselines)


def check_plan(*, folds: int, step: int | None, refit: bool | int, horizon: int, mase_season: int | None) -> int:
    """Return how many folds a fit serves."""
    for name, value in {"folds": folds, "step": step, "horizon": horizon, "mase_season": mase_season}.items():
        if value is None and name in ("step", "mase_season"):
            continue
        check_count(name, value)
    if isinstance(refit, bool):
        return 1 if refit else folds
    if not _is_count(refit):
        raise ConfigError(f"refit is False, True, or every how many folds to fit again (1 or more); got {refit!r}.")
    return refit


def _is_count(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
