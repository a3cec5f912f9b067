"""Training draws every window there is, by seed and step alone; what is held back is looked at in order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cutting import assert_equal, ragged_frame, windows_of
from frames import made_frame, made_roles

from forecast.batch import joined
from forecast.data.columns import Columns
from forecast.data.panel import Panel
from forecast.data.windows import HeldBack, TrainingWindows
from forecast.errors import DataError

ROLES = Columns(**made_roles())


def _drawn(panel: Panel, *, context: int, horizon: int, seed: int = 0, batch: int = 64, steps: int = 40) -> set:
    """Return every window drawn, as (series number, steps known)."""
    windows = windows_of(panel, context=context, horizon=horizon)
    draws = TrainingWindows(windows, batch_size=batch, seed=seed, steps=steps)
    first = panel.positions(np.arange(len(panel.ids)), np.zeros(len(panel.ids), int))
    found = set()
    for inputs, outcome in draws:
        assert inputs.target.shape == (batch, context, 1)
        assert outcome.target.shape == (batch, horizon, 1)
        numbers = inputs.series.numpy() - 1
        found |= set(zip(numbers.tolist(), (inputs.position.numpy() - first[numbers] + 1).tolist(), strict=True))
    return found


def test_every_admissible_window_is_drawn_and_no_other() -> None:
    parts = [made_frame(series=1, rows=rows).assign(unique_id=f"s{i}") for i, rows in enumerate([30, 12, 4, 3, 9])]
    panel = Panel.from_frame(pd.concat(parts))
    context, horizon = 6, 3
    wanted = set()
    for number, rows in enumerate(panel.lengths):
        room = rows - horizon
        shortest = context if room >= 2 * context else max(room // 2, 1)
        wanted |= {(number, end) for end in range(shortest, room + 1)}
    assert _drawn(panel, context=context, horizon=horizon) == wanted
    windows = windows_of(panel, context=context, horizon=horizon)
    assert TrainingWindows(windows, batch_size=1, seed=0, steps=1).count == len(wanted)


def _gapped() -> Panel:
    """Return a series with 20 unobserved steps in its middle, and one whose first 20 steps are."""
    frame = made_frame(rows=40)
    step = frame.groupby("unique_id").cumcount()
    frame.loc[(frame["unique_id"] == "s0") & step.between(10, 29), "y"] = np.nan
    frame.loc[(frame["unique_id"] == "s1") & (step < 20), "y"] = np.nan
    return Panel.from_frame(frame)


def test_windows_without_an_observation_on_either_side_are_not_drawn() -> None:
    panel, context, horizon = _gapped(), 6, 3
    wanted = {
        (number, end)
        for number in range(2)
        for end in range(context, 40 - horizon + 1)
        if np.isfinite(panel.series(number)[end - context : end]).any()
        and np.isfinite(panel.series(number)[end : end + horizon]).any()
    }
    assert _drawn(panel, context=context, horizon=horizon, steps=80) == wanted
    windows = windows_of(panel, context=context, horizon=horizon)
    assert TrainingWindows(windows, batch_size=1, seed=0, steps=1).count == len(wanted) < 2 * 32


def test_a_few_missing_values_move_no_draw() -> None:
    frame = made_frame()
    whole = Panel.from_frame(frame)
    frame.loc[::5, "y"] = np.nan
    draws = [
        TrainingWindows(windows_of(panel, context=6, horizon=3), batch_size=32, seed=0, steps=1).draw(0)
        for panel in (whole, Panel.from_frame(frame))
    ]
    assert torch.equal(draws[0][0].position, draws[1][0].position)


def test_a_panel_without_a_window_to_learn_from_is_refused_by_name() -> None:
    frame = made_frame(series=1, rows=40)
    frame.loc[5:34, "y"] = np.nan
    with pytest.raises(DataError, match="no window to train on .* the longest series is 's0'"):
        TrainingWindows(windows_of(Panel.from_frame(frame), context=10, horizon=10), batch_size=4, seed=0, steps=1)


def test_windows_held_back_need_an_observation_on_both_sides() -> None:
    batches = HeldBack(windows_of(_gapped(), context=6, horizon=10), np.array([10, 20]))
    assert [inputs.series.tolist() for inputs, _ in batches] == [[2]]  # s0 has gaps alone after 10 and before 20


def test_windows_held_back_are_the_same_in_batches_of_any_size() -> None:
    windows = windows_of(Panel.from_frame(made_frame(series=5, rows=40)), context=6, horizon=4)
    ends = np.array([28, 32, 36, 40, 32])
    whole, parts = HeldBack(windows, ends), HeldBack(windows, ends, batch_size=2)
    assert [len(inputs.series) for inputs, _ in whole] == [4, 3, 1]
    assert [len(inputs.series) for inputs, _ in parts] == [2, 2, 2, 1, 1]
    for one, other in zip(joined(list(whole)), joined(list(parts)), strict=True):
        assert_equal(one, other)


def test_draws_are_a_pure_function_of_seed_and_step() -> None:
    windows = windows_of(Panel.from_frame(ragged_frame(), ROLES), context=6, horizon=3)
    draws = TrainingWindows(windows, batch_size=32, seed=3, steps=6)
    whole = list(draws)
    torch.manual_seed(99)
    resumed = TrainingWindows(windows, batch_size=32, seed=3, steps=6, start=4)
    assert (len(draws), len(resumed)) == (6, 2)
    for one, other in zip([*whole[4:], draws.draw(2)], [*resumed, whole[2]], strict=True):
        assert_equal(one[0], other[0])
        assert_equal(one[1], other[1])
    assert not torch.equal(whole[0][0].target, whole[1][0].target)
    another = TrainingWindows(windows, batch_size=32, seed=4, steps=6).draw(0)
    assert not torch.equal(whole[0][0].target, another[0].target)


def test_drawing_leaves_the_global_random_state_alone() -> None:
    draws = TrainingWindows(
        windows_of(Panel.from_frame(made_frame()), context=6, horizon=3), batch_size=4, seed=0, steps=2
    )
    before = torch.get_rng_state()
    list(draws)
    assert torch.equal(before, torch.get_rng_state())


def test_a_panel_too_short_to_train_on_is_refused_by_name() -> None:
    frame = pd.concat([made_frame(series=1, rows=5), made_frame(series=1, rows=7).assign(unique_id="longest")])
    windows = windows_of(Panel.from_frame(frame), context=4, horizon=7)
    with pytest.raises(DataError, match="the longest, 'longest', has 7 steps, and a horizon of 7 needs at least 8"):
        TrainingWindows(windows, batch_size=4, seed=0, steps=1)
