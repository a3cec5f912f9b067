"""The figures of a diagnosis: a panel a context, nothing cut off, and numbers that a person can read."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from forecast.report.figures import gate_figure, gradient_figure, memory_figure, norm_figure

CONTEXTS, WHEN = (24, 96), ("before", "after")


def test_gradients_have_a_panel_a_context_and_a_colour_a_state() -> None:
    figure = gradient_figure(_gradients("hidden", "cell"))
    figure.draw_without_rendering()
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["context 24", "context 96"]
    assert _legend(figure) == ["recurrent, hidden state", "recurrent, cell state", "before training"]
    assert [len(axis.lines) for axis in figure.axes] == [5, 4]  # one more, for what dashes mean
    assert figure.axes[0].get_xlim() == (0, 23) and figure.axes[0].get_yscale() == "log"


def test_one_state_needs_no_name_and_lines_may_be_models() -> None:
    assert _legend(gradient_figure(_gradients("hidden"))) == ["recurrent", "before training"]
    two = pd.concat([_gradients("hidden").assign(model=name) for name in ("rnn", "gru")])
    assert _legend(gradient_figure(two, lines="model")) == ["rnn", "gru", "before training"]


def test_a_gradient_that_is_gone_leaves_the_axis_readable() -> None:
    table = _gradients("hidden", factor=0.1)
    figure = gradient_figure(table)
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    assert high / low < 1e10
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert 3 <= len(labels) <= 7 and labels[0].startswith("10") and not any("e-" in label for label in labels)


def test_what_has_no_recurrent_layer_shows_the_gradient_of_its_input() -> None:
    table = _gradients("value").assign(layer="input")
    assert _legend(gradient_figure(table)) == ["input", "before training"]


def test_effects_are_drawn_with_the_line_that_counts() -> None:
    rows = [
        {"context": context, "when": when, "part": "network", "back": back, "effect": 0.9**back}
        for context, when in itertools.product(CONTEXTS, WHEN)
        for back in range(context)
    ]
    figure = memory_figure(pd.DataFrame(rows))
    figure.draw_without_rendering()
    assert _legend(figure) == ["network", "1 % of the largest", "before training"]
    assert figure.axes[0].get_ylim()[1] > 1


def test_gates_say_their_share_even_where_it_is_nothing() -> None:
    rows = [
        {"when": when, "layer": "recurrent", "gate": gate, "shut": shut, "open": 0.1, "saturated": shut + 0.1}
        for when, (gate, shut) in itertools.product(WHEN, (("reset", 0.0), ("update", 0.55)))
    ]
    figure = gate_figure(pd.DataFrame(rows))
    (axis,) = figure.axes
    figure.draw_without_rendering()
    assert [label.get_text() for label in axis.get_yticklabels()] == ["recurrent: reset", "recurrent: update"]
    assert {text.get_text() for text in axis.texts} == {"10%", "65%"} and axis.get_xlim()[1] > 0.65


def test_norms_are_drawn_over_the_steps() -> None:
    steps = np.arange(1, 61)
    history = pd.DataFrame({"step": steps, "gradient_norm": 1 / steps, "weight_norm": 20 + steps / 60})
    figure = norm_figure(history)
    figure.draw_without_rendering()
    assert figure.axes[0].get_yscale() == "log" and figure.axes[1].get_xlabel() == "training step"


def _gradients(*states: str, factor: float = 0.9) -> pd.DataFrame:
    rows = [
        {"context": context, "when": when, "layer": "recurrent", "state": state, "back": back, "median": factor**back}
        for context, when, state in itertools.product(CONTEXTS, WHEN, states)
        for back in range(context)
    ]
    return pd.DataFrame(rows)


def _legend(figure: Figure) -> list[Any]:
    return [text.get_text() for text in figure.legends[0].get_texts()]
