"""Whether forecasters can be members of one ensemble: what they have to agree on."""

from __future__ import annotations

from collections.abc import Sequence

from forecast.data.columns import Columns
from forecast.errors import ConfigError
from forecast.forecaster import Forecaster
from forecast.members import label

SAME = ("horizon", "columns", "freq", "seasonality")  # settings in which members agree


def refuse_different(members: Sequence[Forecaster]) -> None:
    """Refuse members that forecast other steps or columns than the first, and what are no members at all.

    Raises
    ------
    ConfigError
        Names the setting and the two members.
    """
    if not isinstance(members, Sequence) or not members or not all(isinstance(one, Forecaster) for one in members):
        raise ConfigError(f"members is a list of one Forecaster or more, got {members!r}.")
    for number, member in enumerate(members[1:], start=1):
        _refuse_other(members[0], number, member)


def refuse_odd_events(members: Sequence[Forecaster], *, weighs: bool) -> None:
    """Refuse members of different events, and weights by errors of values for probabilities.

    Raises
    ------
    ConfigError
        Names the members and what they forecast.
    """
    told = ["" if member.event is None else member.event.words for member in members]
    for number, words in enumerate(told):
        if words != told[0]:
            raise ConfigError(
                f"{label(0, members[0])} forecasts {_forecast_of(told[0])} and {label(number, members[number])} "
                f"{_forecast_of(words)}. Members forecast the same: give them one loss of events, or none."
            )
    if told[0] and weighs:
        raise ConfigError(
            "weights='validation' weighs by errors of values, and these members give probabilities. Give numbers, "
            "or leave weights out: all count the same."
        )


def _refuse_other(first: Forecaster, number: int, member: Forecaster) -> None:
    for name in SAME:
        ours, theirs = (getattr(one, name) for one in (first, member))
        if name == "columns":
            ours, theirs = (columns or Columns() for columns in (ours, theirs))
        if ours != theirs:
            raise ConfigError(
                f"{label(0, first)} has {name}={ours!r} and {label(number, member)} has {theirs!r}. "
                f"Members forecast the same steps: give them one {name}."
            )


def _forecast_of(words: str) -> str:
    return f"the probability that a target {words}" if words else "values"
