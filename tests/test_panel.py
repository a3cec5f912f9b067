"""A panel lays any table on its grid, the same whatever the order of rows."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from frames import made_frame, made_roles
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.data.columns import Columns
from forecast.data.freq import Freq
from forecast.data.grid import Covariate
from forecast.data.panel import Panel
from forecast.errors import DataError

ROLES = Columns(**made_roles())
quick = settings(max_examples=30, deadline=None, derandomize=True)


@st.composite
def ragged_frames(draw: st.DrawFn) -> pd.DataFrame:
    """Series of any length and start, with rows and values missing, in any order."""
    seed = draw(st.integers(0, 10_000))
    random = np.random.default_rng(seed)
    freq = draw(st.sampled_from(["h", "D", "B", "MS", "ME", "1"]))
    parts = []
    for number in range(draw(st.integers(1, 4))):
        rows = draw(st.integers(6, 25))
        part = made_frame(series=1, rows=40, freq=freq, seed=seed + number, covariates=True)
        start = draw(st.integers(0, 15))
        part = part.iloc[start : start + rows].assign(unique_id=f"s{number}", size=float(number), region=f"r{number}")
        part = part.drop(index=part.index[1:-1][random.random(rows - 2)[: len(part) - 2] < 0.1])
        part.loc[random.random(len(part)) < 0.1, "y"] = np.nan
        part.loc[random.random(len(part)) < 0.1, "temp"] = np.nan
        part.loc[random.random(len(part)) < 0.1, "mood"] = None
        parts.append(part)
    frame = pd.concat(parts)
    frame.attrs["freq"] = freq
    return frame


def _roles(gaps: str) -> Columns:
    """Return roles of a frame that lacks rows: on a grid with absent steps no covariate is known ahead."""
    if gaps == "rows":
        return replace(ROLES, gaps="rows")
    return replace(ROLES, past=(*ROLES.past, *ROLES.known), known=())


def _values(covariate: Covariate) -> np.ndarray:
    """Return a covariate as numbers or text, whatever its codes."""
    if covariate.categories is None:
        return covariate.values.astype(object)
    return np.array([*covariate.categories, None], dtype=object)[covariate.values]


def _described(panel: Panel) -> dict[object, tuple]:
    """Return what a panel holds, by the name of the series."""
    described = {}
    for number, name in enumerate(panel.ids):
        rows = slice(panel.offsets[number], panel.offsets[number + 1])
        steps = np.arange(panel.lengths[number])
        series = np.full(len(steps), number)
        frame = pd.DataFrame({"stamp": panel.stamps(series, steps), "at": panel.positions(series, steps)})
        frame["y"] = panel.target[rows]
        for covariate in (*panel.past, *panel.known):
            frame[covariate.name] = pd.Series(_values(covariate)[rows], dtype=object)
        described[name] = (
            frame,
            [_values(covariate)[number] for covariate in panel.static],
            panel.ends[number],
        )
    return described


def _assert_same(one: Panel, other: Panel) -> None:
    first, second = _described(one), _described(other)
    assert set(first) == set(second)
    for name in first:
        pd.testing.assert_frame_equal(first[name][0], second[name][0])
        assert first[name][1:] == second[name][1:]


@quick
@given(frame=ragged_frames(), seed=st.integers(0, 99), gaps=st.sampled_from(["mask", "rows"]))
def test_the_order_of_rows_does_not_matter(frame: pd.DataFrame, seed: int, gaps: str) -> None:
    columns = _roles(gaps)
    shuffled = frame.sample(frac=1, random_state=seed)
    freq = frame.attrs["freq"]
    _assert_same(Panel.from_frame(frame, columns, freq=freq), Panel.from_frame(shuffled, columns, freq=freq))


@quick
@given(frame=ragged_frames())
def test_each_cell_lies_on_its_step_and_the_rest_is_unobserved(frame: pd.DataFrame) -> None:
    panel = Panel.from_frame(frame, _roles("mask"), freq=frame.attrs["freq"])
    described = _described(panel)
    met = 0
    for name, rows in frame.groupby("unique_id"):
        cells = described[name][0].set_index("stamp")
        given_cells = rows.set_index("ds")
        inside = cells.loc[given_cells.index]
        np.testing.assert_array_equal(inside["y"], given_cells["y"])
        np.testing.assert_allclose(inside["temp"].astype(float), given_cells["temp"], rtol=1e-6)
        assert inside["mood"].isna().equals(given_cells["mood"].isna())
        assert inside["mood"].dropna().tolist() == given_cells["mood"].dropna().tolist()
        assert cells.drop(given_cells.index)[["y", "temp", "mood", "price"]].isna().all(axis=None)
        assert (cells.index[0], cells.index[-1]) == (rows["ds"].min(), rows["ds"].max())
        met += len(cells) - len(given_cells)
    assert met == panel.absent


@quick
@given(frame=ragged_frames(), cut=st.integers(1, 20), gaps=st.sampled_from(["mask", "rows"]))
def test_a_stamp_has_one_position_in_every_table(frame: pd.DataFrame, cut: int, gaps: str) -> None:
    columns = Columns(gaps=gaps)
    later = frame.groupby("unique_id").tail(cut)
    positions: dict[object, int] = {}
    for table in (frame, later):
        for whole, _, _ in _described(Panel.from_frame(table, columns, freq=frame.attrs["freq"])).values():
            for stamp, position in zip(whole["stamp"], whole["at"], strict=True):
                assert positions.setdefault(stamp, position) == position


@quick
@given(frame=ragged_frames(), share=st.floats(0.1, 1.2), gaps=st.sampled_from(["mask", "rows"]))
def test_until_is_the_panel_of_the_rows_before(frame: pd.DataFrame, share: float, gaps: str) -> None:
    columns = _roles(gaps)
    freq = frame.attrs["freq"]
    panel = Panel.from_frame(frame, columns, freq=freq)
    ends = np.maximum((panel.lengths * share).astype(np.int64), 1)
    last = panel.stamps(np.arange(len(panel.ids)), np.minimum(ends, panel.lengths) - 1)
    before = pd.concat(
        [frame[(frame.unique_id == name) & (frame.ds <= at)] for name, at in zip(panel.ids, last, strict=True)]
    )
    seen = [np.isfinite(panel.series(number)[:end]).any() for number, end in enumerate(ends)]
    if not any(seen):
        return
    cut = panel.until(ends)
    assert cut.lengths.tolist() == np.minimum(ends, panel.lengths)[seen].tolist()
    before = before[before.unique_id.isin(cut.ids)]
    if not np.isnan(cut.target[cut.offsets[1:] - 1]).any():  # else the rebuilt grid may end on an earlier row
        _assert_same(cut, Panel.from_frame(before, columns, freq=freq))


@quick
@given(frame=ragged_frames(), steps=st.integers(1, 30), gaps=st.sampled_from(["mask", "rows"]))
def test_tail_is_the_end_of_every_series(frame: pd.DataFrame, steps: int, gaps: str) -> None:
    panel = Panel.from_frame(frame, _roles(gaps), freq=frame.attrs["freq"])
    whole, tail = _described(panel), _described(panel.tail(steps))
    for name in whole:
        end = whole[name][0].tail(steps).reset_index(drop=True)
        pd.testing.assert_frame_equal(tail[name][0], end)
        assert tail[name][1] == whole[name][1]


def test_until_leaves_out_series_without_history() -> None:
    panel = Panel.from_frame(made_frame(series=3, rows=10)).until(np.array([4, 0, -2]))
    assert (list(panel.ids), panel.lengths.tolist()) == (["s0"], [4])


def test_until_leaves_out_series_without_an_observation() -> None:
    frame = made_frame(series=3, rows=10)
    frame.loc[10:15, "y"] = np.nan
    panel = Panel.from_frame(frame)
    assert list(panel.until(np.array([6, 6, 6])).ids) == ["s0", "s2"]
    assert list(panel.until(np.array([6, 7, 6])).ids) == ["s0", "s1", "s2"]
    with pytest.raises(DataError, match="no series has an observed value in column 'y' before the steps held back"):
        panel.until(np.array([0, 6, 0]))


def test_steps_without_a_row_have_no_known_covariates() -> None:
    frame = made_frame(rows=10, covariates=True).drop(index=[13, 14])
    panel = Panel.from_frame(frame, ROLES)
    assert panel.absent == 2
    price, promo = panel.known
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(price.values)), [13, 14])
    np.testing.assert_array_equal(np.flatnonzero(promo.values < 0), [13, 14])
    assert np.isnan(panel.target[13:15]).all()


def test_an_empty_cell_of_a_known_covariate_is_refused() -> None:
    frame = made_frame(rows=10, covariates=True)
    frame.loc[13, "price"] = np.nan
    with pytest.raises(DataError, match="known covariate 'price' is empty in row 13 .series 's1', 2024-01-04"):
        Panel.from_frame(frame, ROLES)


def test_several_targets_lie_side_by_side() -> None:
    frame = made_frame(rows=10).assign(z=lambda table: table["y"] * 100)
    frame.loc[[2, 15], "z"] = np.nan
    frame = frame.drop(index=[4]).sample(frac=1, random_state=0)
    panel = Panel.from_frame(frame, Columns(target=("y", "z")))
    one, other = (Panel.from_frame(frame, Columns(target=name)) for name in ("y", "z"))
    np.testing.assert_array_equal(panel.target, np.hstack([one.target, other.target]))
    every = np.array([0, 1])
    seen = panel.observed_targets(every, np.array([2, 2]), np.array([3, 3]))
    s0 = list(panel.ids).index("s0")
    assert seen[s0].tolist() == [True, False] and seen[1 - s0].tolist() == [True, True]
    assert panel.observed(every, np.array([4, 4]), np.array([5, 5])).tolist() == [number != s0 for number in (0, 1)]


@pytest.mark.parametrize("dtype", ["str", "object", "category", "string[python]"])
@pytest.mark.parametrize("order", ["by series", "by time", "shuffled"])
def test_series_are_laid_alike_whatever_the_kind_and_order_of_their_ids(dtype: str, order: str) -> None:
    plain = made_frame(series=3, rows=8)
    keys = {"by series": ["unique_id", "ds"], "by time": ["ds", "unique_id"]}
    frame = plain.sort_values(keys[order]) if order in keys else plain.sample(frac=1, random_state=0)
    panel = Panel.from_frame(frame.astype({"unique_id": dtype}))
    assert list(panel.ids) == list(frame["unique_id"].unique())
    for number, name in enumerate(panel.ids):
        assert panel.series(number)[:, 0].tolist() == plain.loc[plain["unique_id"] == name, "y"].tolist()


def test_ids_in_pieces_and_whole_numbers_are_told_apart() -> None:
    frame = made_frame(series=3, rows=8)
    pieces = pd.concat([frame.iloc[:5], frame.iloc[5:11], frame.iloc[11:]])  # a column of several chunks
    assert Panel.from_frame(pieces).lengths.tolist() == [8, 8, 8]
    numbers = frame.assign(unique_id=frame["unique_id"].str[1:].astype("Int64") + 7)
    assert Panel.from_frame(numbers).ids.tolist() == [7, 8, 9]


@pytest.mark.parametrize("missing", [[], [3, 4, 5, 12]])
def test_what_is_observed_is_what_a_loop_finds(missing: list[int]) -> None:
    frame = made_frame(series=2, rows=8)
    frame.loc[missing, "y"] = np.nan
    panel = Panel.from_frame(frame)
    for begin, end in [(-3, 0), (0, 0), (2, 2), (3, 6), (4, 5), (0, 8), (6, 20), (9, 12)]:
        found = panel.observed(np.array([0, 1]), np.full(2, begin), np.full(2, end))
        steps = [panel.series(number)[max(begin, 0) : max(end, 0)] for number in (0, 1)]
        assert found.tolist() == [bool(np.isfinite(part).any()) for part in steps]


def test_a_panel_does_not_change_with_the_table_it_came_from() -> None:
    for gaps in ("mask", "rows"):
        frame = made_frame(series=2, rows=8)
        panel = Panel.from_frame(frame, Columns(gaps=gaps))
        before = panel.target.copy(), panel.stamps(np.array([0, 1]), np.array([7, 7]))
        frame["y"] = frame["y"].to_numpy(copy=True)
        frame.loc[:, "y"] = 0.0
        frame.loc[:, "ds"] = pd.Timestamp("1999-01-01")
        np.testing.assert_array_equal(panel.target, before[0])
        np.testing.assert_array_equal(panel.stamps(np.array([0, 1]), np.array([7, 7])), before[1])


def test_a_value_below_the_minimum_is_refused_by_name() -> None:
    frame = made_frame(rows=10).sample(frac=1, random_state=1)
    frame.loc[[13, 15], "y"] = -0.5
    with pytest.raises(DataError, match="'s1' has -0.5 at 2024-01-04 .* column 'y', below the minimum of 0 .2 such"):
        Panel.from_frame(frame, Columns(minimum=0))
    assert Panel.from_frame(frame, Columns(minimum=-0.5)).columns.minimum == -0.5


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([1.5, 2.5], r"'unique_id' holds 1.5 \(float\)"),
        ([pd.Timestamp("2024"), pd.Timestamp("2025")], "'unique_id' holds .*Timestamp"),
        ([1, "1"], "names series '1' both as text and as a number"),
    ],
)
def test_ids_that_cannot_be_saved_are_refused(names: list, message: str) -> None:
    frame = made_frame(rows=5).assign(unique_id=pd.Series(np.repeat(np.array(names, dtype=object), 5)).infer_objects())
    with pytest.raises(DataError, match=message):
        Panel.from_frame(frame)


def test_absent_steps_are_counted_refused_or_closed_up() -> None:
    frame = made_frame(rows=10).drop(index=[3, 4, 17])
    panel = Panel.from_frame(frame)
    assert (panel.absent, len(panel.target)) == (3, 20)
    assert np.flatnonzero(np.isnan(panel.target)).tolist() == [3, 4, 17]
    rows = Panel.from_frame(frame, Columns(gaps="rows"), freq="D")
    assert (rows.absent, rows.lengths.tolist()) == (0, [8, 9])
    with pytest.raises(DataError, match="'s0' has no row between 2024-01-03.* and 2024-01-06.*3 steps absent"):
        Panel.from_frame(frame, Columns(gaps="error"))


def test_future_brings_known_covariates_and_no_target() -> None:
    frame = made_frame(rows=12, covariates=True)
    is_past = frame.groupby("unique_id").cumcount() < 8
    for future in (frame[~is_past], frame[~is_past][["unique_id", "ds", "price", "promo"]].sample(frac=1)):
        panel = Panel.from_frame(frame[is_past], ROLES, future=future)
        assert (panel.lengths.tolist(), panel.ends.tolist()) == ([12, 12], [8, 8])
        described = _described(panel)
        for name, rows in frame.groupby("unique_id"):
            cells = described[name][0]
            np.testing.assert_array_equal(cells["promo"], rows["promo"])
            np.testing.assert_allclose(cells["price"].astype(float), rows["price"], rtol=1e-6)
            assert cells.loc[8:, ["y", "temp", "mood"]].isna().all(axis=None)
            np.testing.assert_array_equal(cells.loc[:7, "y"], rows["y"][:8])


def test_future_keeps_the_dtypes_of_its_history() -> None:
    frame = made_frame(rows=6, covariates=True).astype({"unique_id": "category", "promo": "category"})
    frame["mood"] = pd.Categorical(frame["y"] > 10)
    frame["ds"] = frame["ds"].dt.as_unit("ns").dt.tz_localize("Europe/Berlin")
    future = pd.DataFrame(
        {"unique_id": ["s0", "s1"], "ds": pd.Timestamp("2024-01-06T23:00Z"), "price": 1, "promo": "new"}
    )
    panel = Panel.from_frame(frame, ROLES, future=future)
    assert panel.ids.dtype == frame["unique_id"].dtype
    assert panel.dtype == frame["ds"].dtype
    assert panel.lengths.tolist() == [7, 7]
    assert _values(panel.known[1])[[6, 13]].tolist() == ["new", "new"]
    assert set(panel.past[1].categories or ()) == {"True", "False"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unique_id": "stranger"}, "future has rows of series 'stranger', which the table lacks"),
        ({"price": np.nan}, "known covariate 'price' is empty in the future .series 's0', 2024-01-07"),
        ({"ds": 7}, "column 'ds' is int64 in future and datetime64"),
        ({"ds": pd.Timestamp("2024-01-07", tz="UTC")}, "column 'ds' is datetime64.*UTC. in future"),
    ],
)
def test_a_wrong_future_is_refused(change: dict, message: str) -> None:
    frame = made_frame(rows=6, covariates=True)
    future = frame.iloc[:1].assign(ds=pd.Timestamp("2024-01-07")).assign(**change)
    with pytest.raises(DataError, match=message):
        Panel.from_frame(frame, ROLES, future=future)


def test_static_values_are_one_for_each_series() -> None:
    frame = made_frame(series=3, rows=4, covariates=True)
    frame.loc[0, ["size", "region"]] = None
    panel = Panel.from_frame(frame.sample(frac=1, random_state=1), ROLES)
    static = {name: cells[1] for name, cells in _described(panel).items()}
    assert static == {"s0": [100.0, "north"], "s1": [200.0, "south"], "s2": [300.0, "north"]}
    for name, value in (("size", 5.0), ("region", "east")):
        changed = frame.copy()
        changed.loc[6, name] = value
        with pytest.raises(DataError, match=f"static column '{name}' changes within series 's1' .row 6"):
            Panel.from_frame(changed, ROLES)
        empty = frame.copy()
        empty.loc[4:7, name] = None
        with pytest.raises(DataError, match=f"static covariate '{name}' of series 's1' is empty"):
            Panel.from_frame(empty, ROLES)


def test_text_flags_and_categories_become_codes_and_the_rest_numbers() -> None:
    frame = made_frame(series=1, rows=4)
    cells = {
        "text": ["a", None, "b", "a"],
        "flag": [True, False, True, True],
        "category": pd.Categorical([1, 2, 1, 1]),
        "mixed": [1, "1", 2, 2],
        "whole": [1, 2, 3, 4],
        "numbers": pd.Series([1, None, 3, 4], dtype=object),
        "nullable": pd.Series([1, None, 3, 4], dtype="Int64"),
    }
    panel = Panel.from_frame(frame.assign(**cells), Columns(past=tuple(cells)))
    found = {c.name: (c.categories, c.values.tolist()) for c in panel.past}
    assert found["text"] == (("a", "b"), [0, -1, 1, 0])
    assert found["flag"] == (("True", "False"), [0, 1, 0, 0])
    assert found["category"] == (("1", "2"), [0, 1, 0, 0])
    assert found["mixed"] == (("1", "2"), [0, 0, 1, 1])
    assert found["whole"] == (None, [1, 2, 3, 4])
    for name in ("numbers", "nullable"):
        assert found[name][0] is None
        np.testing.assert_array_equal(found[name][1], [1, np.nan, 3, 4])


def test_the_kind_of_the_times_must_fit_the_frequency() -> None:
    with pytest.raises(DataError, match="'ds' holds int64, which freq '1D' does not fit"):
        Panel.from_frame(made_frame(rows=5, freq="1"), freq="D")
    with pytest.raises(DataError, match="'ds' holds datetime64.*, which freq '1' does not fit"):
        Panel.from_frame(made_frame(rows=5), freq="1")


def test_each_series_keeps_its_own_phase() -> None:
    frame = pd.concat(
        [
            made_frame(series=1, rows=5, freq="h"),
            made_frame(series=1, rows=5, freq="h").assign(unique_id="half"),
        ]
    )
    frame.loc[frame.unique_id == "half", "ds"] += pd.Timedelta("30min")
    panel = Panel.from_frame(frame)
    assert (panel.freq, panel.absent) == (Freq.parse("h"), 0)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_panel_costs_little_more_than_its_frame(shuffled: bool) -> None:
    frame = made_frame(series=100, rows=2000, freq="h")
    for name in ("a", "b", "c", "d"):
        frame[name] = frame["y"]
    if shuffled:
        frame = frame.sample(frac=1, random_state=0)
    tracemalloc.start()
    panel = Panel.from_frame(frame, Columns(past=("a", "b")))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(panel.target) == 200_000
    assert peak / len(frame) < 120
