"""A span is split into what is known and what is held back, without overlap."""

from __future__ import annotations

import numpy as np
import pytest
from cutting import ragged_frame
from frames import made_frame, made_roles
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.data.columns import Columns
from forecast.data.panel import Panel
from forecast.data.splits import split_ends

quick = settings(max_examples=50, deadline=None, derandomize=True)


def _spans(ends: np.ndarray, lengths: np.ndarray, horizon: int) -> None:
    """Hold what every split must: no overlap, no end beyond the data."""
    assert ends.dtype == np.int64
    assert (ends >= 0).all()
    assert (ends <= lengths).all()
    for early, late in zip(ends[:-1], ends[1:], strict=True):
        has_truth = (early > 0) & (late < lengths)
        assert (late - early >= horizon)[has_truth].all()


@pytest.mark.parametrize("freq", ["D", "h", "B", "MS", "1"])
def test_a_calendar_split_has_one_cutoff_for_all(freq: str) -> None:
    frame = made_frame(series=3, rows=30, freq=freq)
    step = frame.groupby("unique_id").cumcount()
    frame = frame[~((frame.unique_id == "s1") & (step >= 22)) & ~((frame.unique_id == "s2") & (step < 20))]
    panel = Panel.from_frame(frame, freq=freq)
    ends = split_ends(panel, horizon=4, windows=3, split="calendar")
    # cutoffs after 18, 22 and 26 steps; s1 ends after 22, s2 begins after 20
    assert ends.tolist() == [[18, 18, 0], [22, 22, 2], [26, 22, 6]]
    _spans(ends, panel.lengths, 4)


@pytest.mark.parametrize("freq", ["D", "1"])
@pytest.mark.parametrize("gaps", ["mask", "rows"])
def test_a_split_by_series_counts_back_from_each_end(freq: str, gaps: str) -> None:
    frame = made_frame(series=3, rows=30, freq=freq)
    step = frame.groupby("unique_id").cumcount()
    frame = frame[~((frame.unique_id == "s1") & (step >= 9)) & ~((frame.unique_id == "s2") & (step < 20))]
    panel = Panel.from_frame(frame, Columns(gaps=gaps), freq=freq)
    ends = split_ends(panel, horizon=4, windows=3, split="series_end")
    assert ends.tolist() == [[18, 0, 0], [22, 1, 2], [26, 5, 6]]
    _spans(ends, panel.lengths, 4)


def test_rows_that_some_series_lack_never_make_spans_overlap() -> None:
    frame = made_frame(series=2, rows=40, freq="B")
    frame = frame.drop(index=[66, 70, 71, 74])  # of s1
    panel = Panel.from_frame(frame, Columns(gaps="rows"))
    ends = split_ends(panel, horizon=5, windows=3, split="calendar")
    assert ends[:, 0].tolist() == [25, 30, 35]
    # s1 has 36 rows: 31 of them by the last cutoff; the earlier origins give way
    assert ends[:, 1].tolist() == [21, 26, 31]
    _spans(ends, panel.lengths, 5)


@quick
@given(
    seed=st.integers(0, 999),
    horizon=st.integers(1, 12),
    windows=st.integers(1, 5),
    split=st.sampled_from(["calendar", "series_end"]),
    gaps=st.sampled_from(["mask", "rows"]),
)
def test_held_back_spans_never_overlap(seed: int, horizon: int, windows: int, split: str, gaps: str) -> None:
    panel = Panel.from_frame(ragged_frame(seed, covariates=False), Columns(gaps=gaps), freq="D")
    ends = split_ends(panel, horizon=horizon, windows=windows, split=split)  # type: ignore[arg-type]
    assert ends.shape == (windows, 3)
    _spans(ends, panel.lengths, horizon)


def test_future_rows_are_no_part_of_a_split() -> None:
    frame = made_frame(rows=20, freq="B", covariates=True)
    is_past = frame.groupby("unique_id").cumcount() < 15
    for gaps in ("mask", "rows"):
        columns = Columns(gaps=gaps, **made_roles())
        panel = Panel.from_frame(frame[is_past], columns, future=frame[~is_past])
        assert split_ends(panel, horizon=4, windows=2, split="calendar").tolist() == [[7, 7], [11, 11]]


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split is calendar or series_end, got 'random'"):
        split_ends(Panel.from_frame(made_frame()), horizon=2, windows=1, split="random")  # type: ignore[arg-type]
