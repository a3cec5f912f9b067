"""What a forecaster knows of an event, in sentences: beside the simple methods, and beside a coin."""

from __future__ import annotations

import numpy as np

from forecast.evaluation.tables import Backtest

Told = dict[str, tuple[float, float, float]]  # value and ends of the interval of each metric

EVEN = (0.35, 0.65)  # share of events within which a coin is the rival that a reader thinks of
OFF = 0.05  # mean distance of probabilities from shares of events, from which on a sentence says so


def event_verdict(scored: Backtest, *, name: str, target: str = "a target") -> str:
    """Return whether a forecaster tells an event better than the best simple method, and better than a coin.

    Parameters
    ----------
    scored : Backtest
        Of a forecaster of events and baselines.
    name : str
        Of the forecaster.
    target : str
        What the event is one of.
    """
    row = scored.scores.set_index("model")
    steps, events = int(row["steps"][name]), int(row["events"][name])
    if not steps:
        return f"Nothing is known of the worth of {name}: no value of the scored windows was observed."
    if events in (0, steps):
        how = "none" if not events else "each"
        return f"On {how} of the {steps:,} scored steps {target} {scored.event}: of {name} they tell nothing."
    assert scored.intervals is not None
    told = {metric: (value, low, high) for metric, value, low, high in scored.intervals.to_numpy()}
    apart, is_known = float(row["calibration"][name]), not np.isnan(told["auc"][1])
    off = f" Its probabilities lie {apart:.0%} from the shares of events on average." * (is_known and apart > OFF)
    beside_simple = _beside_simple(scored, told, name=name, target=target)
    return beside_simple + _beside_coin(told, steps=steps, events=events) + off


def _beside_simple(scored: Backtest, told: Told, *, name: str, target: str) -> str:
    ranked = scored.scores.set_index("model")["brier"]
    ours, others = ranked[name], ranked.drop(name).sort_values(kind="stable")
    if others.empty:
        return f"{name} has a Brier score of {ours:.4f}; no baseline was asked for."
    rival, theirs = others.index[0], others.iloc[0]
    skill, low, high = told["skill"]
    apart = f"{abs(skill):.1%} {'below' if skill >= 0 else 'above'} that of {rival} ({theirs:.4f})"
    values = f"Brier score {ours:.4f}, {apart}"
    if np.isnan(low):
        return (
            f"{name} has a {values}, the best simple method. Too few windows for an interval: that may be chance "
            "(forecast backtest backtest.folds=50 scores more)."
        )
    values += f", 95 % interval {_signed(-high)} to {_signed(-low)} %"
    what = f"whether {target} {scored.event}"
    if low > 0:
        return f"{name} tells {what} better than the best simple method: {values}."
    if high < 0:
        return f"{name} tells {what} worse than {rival}: {values}. On these windows {rival} is the safer choice."
    return f"{name} tells {what} no better than {rival}: {values}. The simple method will do."


def _beside_coin(told: Told, *, steps: int, events: int) -> str:
    """Return how often the more likely answer is right, or of rarer or commoner events how well steps are ranked."""
    share = events / steps
    if EVEN[0] <= share <= EVEN[1]:
        value, low, high = told["accuracy"]
        values = f"right on {value:.1%} of {steps:,} steps{_percents(low, high)}"
        always = f"; the commoner answer alone is right on {max(share, 1 - share):.1%}."
    else:
        value, low, high = told["auc"]
        values = f"it ranks a step with the event above one without in {value:.1%} of pairs{_percents(low, high)}"
        always = f"; {share:.1%} of steps have it."
    if np.isnan(low):
        return f" {values[0].upper()}{values[1:]}{always}"
    if low > 0.5:
        return f" Better than a coin: {values}{always}"
    return f" {'Worse' if high < 0.5 else 'No better'} than a coin: {values}{always}"


def _percents(low: float, high: float) -> str:
    return "" if np.isnan(low) else f" (95 % interval {100 * low:.1f} to {100 * high:.1f})"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")
