"""What the measures come to: a sentence, and warnings with what to try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecast.diagnosis.measures import ALONE, WHOLE

VANISHED = 1e-4  # of the gradient at the last step: below it, the far end of a context teaches next to nothing
EXPLODED = 1e3  # times the gradient at the last step
REACHED = 0.01  # of the largest effect: a step with less does not move the forecast
SATURATED = 0.5  # share of a gate's values
SPIKE = 30.0  # times the median gradient of the training steps around
AROUND = 51  # training steps of which that is the median
KEEPS = ("forget", "update")  # gates that are open where a state is kept: as they should be for a long memory

GATED = "gates that carry a state on: model=gru or model=lstm"
SHORTER = (
    "fewer steps on the way back: model=segrnn, model=dilated, or a shorter context_length; a way around: "
    "model=attention, or model.lags=1 for the value one season back"
)
CALMER = "a lower training.learning_rate, or a lower training.gradient_clip"


class Finding(NamedTuple):
    """A warning: its kind, what was found, and what to try."""

    kind: str
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what} Try {self.advice}."


def reach_of(memory: pd.DataFrame) -> pd.DataFrame:
    """Return of how many of the latest steps the farthest still moves the forecast: context, when, part, steps."""
    keys = ["context", "when", "part"]
    moves = memory.assign(steps=(memory["back"] + 1).where(memory["effect"] > REACHED, 0))
    return moves.groupby(keys, sort=False)["steps"].max().reset_index()


def findings_of(
    *,
    gradients: pd.DataFrame,
    saturation: pd.DataFrame,
    reach: pd.DataFrame,
    history: pd.DataFrame,
    context: int,
    seasonality: int,
    is_truncated: bool,
) -> tuple[Finding, ...]:
    """Return what to be warned of after training.

    Parameters
    ----------
    gradients, saturation, reach, history : DataFrame
        As in `Diagnosis`.
    context, seasonality : int
        Of the run.
    is_truncated : bool
        Whether the network cuts gradients off itself.
    """
    after = gradients[(gradients["when"] == "after") & (gradients["layer"] != "input")]
    found: list[Finding] = []
    for (layer, cell), rows in after.groupby(["layer", "cell"], sort=False):
        found += _of_layer(str(layer), str(cell), rows, own=context, is_truncated=is_truncated)
    found += _spikes(history)
    found += _saturated(saturation[(saturation["when"] == "after") & (saturation["context"] == context)])
    own = reach[(reach["when"] == "after") & (reach["part"] == WHOLE) & (reach["context"] == context)]
    found += [_short(int(steps), context, seasonality) for steps in own["steps"] if steps < seasonality <= context]
    return tuple(found)


def far_share(rows: pd.DataFrame) -> float:
    """Return the gradient at the far end as a share of that at the last step, of the state that carries it furthest."""
    return max((_shares(state)[-1] for _, state in rows.groupby(["layer", "state"], sort=False)), default=np.nan)


def told(gradients: pd.DataFrame, reach: pd.DataFrame, findings: Sequence[Finding], *, model: str, nearest: int) -> str:
    """Return in words how far back a network can learn and does look, at the context nearest to its own."""
    layers = gradients[(gradients["context"] == nearest) & (gradients["layer"] != "input")]
    steps = reach[reach["context"] == nearest].set_index(["when", "part"])["steps"]
    sentence = f"{model} has no recurrent state. "
    if len(layers):
        after, before = (far_share(layers[layers["when"] == when]) for when in ("after", "before"))
        sentence = (
            f"{nearest - 1} steps back, the gradient in {model} has {_percent(after)} of its norm at the last step "
            f"({_percent(before)} before training). "
        )
    sentence += f"The forecast is moved by the latest {steps['after', WHOLE]} of {nearest} steps"
    if ("after", ALONE) in steps:
        sentence += f", and by {steps['after', ALONE]} without the linear bypass"
    kinds = dict.fromkeys(finding.kind for finding in findings)
    return f"{sentence}. " + (f"Warnings: {', '.join(kinds)}." if kinds else "Nothing to be warned of.")


def _of_layer(layer: str, cell: str, rows: pd.DataFrame, *, own: int, is_truncated: bool) -> Iterator[Finding]:
    """Give what is found of the gradients of a layer, all contexts together."""
    by_context = {int(context): rows[rows["context"] == context] for context in sorted(rows["context"].unique())}
    shares = {context: far_share(part) for context, part in by_context.items()}
    vanished = [context for context, share in shares.items() if share < VANISHED]
    exploded = [context for context, share in shares.items() if share > EXPLODED]
    if vanished:
        last = max(_last(by_context[context]) for context in vanished)
        where = f"from {last + 1} steps back on, the gradient in layer {layer!r}"
        small = f"is below 1/{1 / VANISHED:,.0f} of that at the last step"
        if is_truncated:
            yield Finding("truncated gradient", f"{where} is 0: it is cut off there.", "model.detach_every=0")
        else:
            advice = f"{GATED}; {SHORTER}" if cell == "rnn" else SHORTER
            kind = f"vanishing gradient{_beyond(vanished, own)}"
            yield Finding(kind, f"{where} {small} ({_contexts(vanished)}).", advice)
    if exploded:
        times = max(shares[context] for context in exploded)
        large = f"{times:.2g} times that at the last step" if np.isfinite(times) else "more than a number can hold"
        what = f"at the far end, the gradient in layer {layer!r} is {large} ({_contexts(exploded)})."
        advice = f"{CALMER}; {GATED}" if cell == "rnn" else CALMER
        yield Finding(f"exploding gradient{_beyond(exploded, own)}", what, advice)


def _last(rows: pd.DataFrame) -> int:
    """Return the farthest step back whose gradient has not vanished, of any state."""
    states = (state.sort_values("back") for _, state in rows.groupby("state", sort=False))
    return max(int(state["back"].to_numpy()[_shares(state) >= VANISHED].max()) for state in states)


def _shares(state: pd.DataFrame) -> np.ndarray:
    """Return the gradients of one state by steps back, relative to the first that is not 0; infinite on overflow."""
    values = state.sort_values("back")["median"].to_numpy(float)
    positive = values[(values > 0) & np.isfinite(values)]
    shares = values / positive[0] if len(positive) else values
    return np.where(np.isfinite(shares), shares, np.inf)


def _spikes(history: pd.DataFrame) -> Iterator[Finding]:
    if "gradient_norm" not in history or not len(history):
        return
    norms = history["gradient_norm"].astype(float)
    times = (norms / norms.rolling(AROUND, center=True, min_periods=1).median()).to_numpy()
    if np.nanmax(times) > SPIKE:
        at = int(np.nanargmax(times))
        step = history["step"].iloc[at]
        what = f"at training step {step} the gradient is {times[at]:.0f} times as large as around it."
        yield Finding("spike", what, f"{CALMER}; training.on_divergence=lower_rate where the loss ends up not finite")


def _saturated(saturation: pd.DataFrame) -> Iterator[Finding]:
    for row in saturation.to_dict("records"):
        share = row["shut"] if row["gate"] in KEEPS else row["saturated"]
        if share > SATURATED:
            name = f"state of {row['layer']}" if row["gate"] == "state" else f"{row['gate']} gate of {row['layer']}"
            what = f"{share:.0%} of the {name} are saturated, where next to no gradient passes."
            yield Finding("saturation", what, "a lower training.learning_rate, or scaling=window for smaller inputs")


def _short(steps: int, context: int, season: int) -> Finding:
    what = f"the forecast is moved by the latest {steps} of {context} steps, and a season has {season}."
    return Finding("short memory", what, "model.lags=1, model.bypass=true, scaling.cycle=true, or model=segrnn")


def _contexts(contexts: Sequence[int]) -> str:
    return f"context {', '.join(map(str, contexts))}"


def _beyond(contexts: Sequence[int], own: int) -> str:
    """Return what makes a warning one for those who want a longer context than that of the run."""
    return " at longer contexts" if min(contexts) > own else ""


def _percent(share: float) -> str:
    """Return a share as a person reads it, however small."""
    if share >= 1e-4:
        return f"{100 * share:.2g} %"
    return f"{100 * share:.0e} %" if share > 0 else "nothing"
