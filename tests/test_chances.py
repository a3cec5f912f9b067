"""Simple methods for probabilities: shares of what came before, never certain."""

from __future__ import annotations

import numpy as np
import pytest
from eventful import events_frame, walk_with_gaps
from frames import made_frame

from forecast import Columns, Panel
from forecast.evaluation.chances import WEIGHT, BaseRate, Persistence, last_before, occurrences
from forecast.losses import Direction, Occurrence


def test_base_rate_is_the_share_of_events_that_leans_on_all_series() -> None:
    panel = Panel.from_frame(events_frame(), Columns())
    method = BaseRate(Occurrence(), horizon=3).fit(panel)
    rows = np.stack([panel.series(number)[:, 0] for number in range(2)])
    for step in range(3):
        hits, count = rows[:, step + 1 :].sum(axis=1), rows.shape[1] - step - 1
        common = (hits.sum() + 0.5) / (2 * count + 1)
        pooled = (hits.sum() + WEIGHT * common) / (2 * count + WEIGHT)
        own = (hits + WEIGHT * pooled) / (count + WEIGHT)
        got = method.predict(panel, np.arange(2), np.array([20, 30]))[:, step, 0]
        np.testing.assert_allclose(got, own)


def test_persistence_is_the_share_after_the_last_value_that_leans_on_all_series_and_all_windows() -> None:
    panel, horizon = Panel.from_frame(events_frame(), Columns()), 2
    rows = [panel.series(number)[:, 0] for number in range(2)]
    method = Persistence(Occurrence(), horizon=horizon).fit(panel)
    for step in range(horizon):
        ends = range(60 - step - 1)
        found = [(one, row[at] if at > step else 2, row[at + step + 1]) for one, row in enumerate(rows) for at in ends]
        common = (sum(hit for *_, hit in found) + 0.5) / (len(found) + 1)
        for series, end in ((0, 20), (0, 21), (1, 33), (1, 40)):
            state = rows[series][end - 1]
            after = [hit for _, last, hit in found if last == state]
            own = [hit for one, last, hit in found if (one, last) == (series, state)]
            pooled = (sum(after) + WEIGHT * common) / (len(after) + WEIGHT)
            expected = (sum(own) + WEIGHT * pooled) / (len(own) + WEIGHT)
            got = method.predict(panel, np.array([series]), np.array([end]))[0, step, 0]
            assert got == pytest.approx(expected)


def test_persistence_of_a_direction_asks_for_the_change_over_as_many_steps() -> None:
    values = walk_with_gaps()[:, :1]
    values[0] = 0
    state = Persistence(Direction(), horizon=3).state(occurrences(Direction(), values, horizon=3))
    for origin, step in np.ndindex(40, 3):
        before = values[: max(origin - step, 0), 0]
        before = before[~np.isnan(before)]
        known = len(before) and not np.isnan(values[origin, 0])
        assert state[origin, step, 0] == (values[origin, 0] > before[-1] if known else 2)


def test_simple_methods_are_never_certain_and_know_series_never_seen() -> None:
    frame = made_frame(series=2, rows=30).assign(y=lambda table: (table.unique_id == "s0").astype(float))
    panel = Panel.from_frame(frame, Columns())
    for method in (BaseRate(Occurrence(), horizon=2), Persistence(Occurrence(), horizon=2)):
        method.fit(panel.until(np.array([20, 0])))
        got = method.predict(panel, np.array([0, 1]), np.array([25, 25]))
        assert ((got > 0) & (got < 1)).all() and got[0].min() > 0.9


def test_the_last_value_before_an_origin_may_lie_before_a_gap() -> None:
    frame = made_frame(series=1, rows=20)
    frame.loc[10:14, "y"] = np.nan
    panel = Panel.from_frame(frame, Columns())
    got = last_before(panel, np.zeros(3, int), np.array([10, 15, 16]))[:, 0]
    np.testing.assert_array_equal(got, frame.y[[9, 9, 15]])
