"""Windows are what a plain loop would cut, and know nothing of what comes after their origin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from frames import made_frame, made_roles
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.batch import Inputs, Outcome, joined
from forecast.data import calendar
from forecast.data.columns import Columns
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.data.splits import split_ends
from forecast.data.windows import HeldBack, TrainingWindows, Windows, prediction_windows
from forecast.errors import DataError

ROLES = Columns(**made_roles())
quick = settings(max_examples=50, deadline=None, derandomize=True)


def _ragged(seed: int = 0, *, covariates: bool = True, freq: str = "D") -> pd.DataFrame:
    """Return three series of 30, 9 and 21 rows with gaps, missing values and an unseen category."""
    random = np.random.default_rng(seed)
    frame = made_frame(series=3, rows=30, seed=seed, covariates=covariates, freq=freq)
    number, step = frame["unique_id"].str[1:].astype(int), frame.groupby("unique_id").cumcount()
    frame = frame[step < np.array([30, 9, 21])[number]]
    present = (random.random(len(frame)) > 0.15) | (step.reindex(frame.index) == 0)
    if covariates:  # known ones need all rows
        frame.loc[~present, ["y", "temp", "mood"]] = None
    else:
        frame = frame[present]
    frame.loc[random.random(len(frame)) < 0.1, "y"] = np.nan
    if covariates:
        frame.loc[random.random(len(frame)) < 0.1, "temp"] = np.nan
        frame.loc[random.random(len(frame)) < 0.1, "mood"] = None
    return frame


def _offset(freq: str) -> Callable[[int], pd.Timedelta | pd.DateOffset]:
    return lambda steps: pd.DateOffset(months=2 * steps) if freq == "2M" else pd.Timedelta(steps, freq)


def _windows(panel: Panel, *, context: int, horizon: int, encoding: Encoding | None = None) -> Windows:
    return Windows(panel, encoding or Encoding.fit(panel), context_length=context, horizon=horizon)


def _all_origins(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    series = np.repeat(np.arange(len(panel.ids)), panel.lengths)
    return series, np.arange(len(series)) - panel.offsets[series] + 1


def _looped(windows: Windows, encoding: Encoding, series: np.ndarray, ends: np.ndarray) -> tuple[Inputs, Outcome]:
    """Cut the same windows one step of one window at a time."""
    panel, length, total = windows.panel, windows.context_length, windows.context_length + windows.horizon
    steps = len(panel.target)
    past, known = encoding.encode(panel.past, steps), encoding.encode(panel.known, steps)
    static = encoding.encode(panel.static, len(panel.ids))
    shapes = {"target": 1, "observed": 1, "past": 2 * past.numbers.shape[1], "known": known.numbers.shape[1]}
    shapes |= {"past_codes": past.codes.shape[1], "known_codes": known.codes.shape[1]}
    out = {name: np.zeros((len(series), total, width)) for name, width in shapes.items()}
    for row, (number, end) in enumerate(zip(series, ends, strict=True)):
        for column in range(total):
            step = end - length + column
            if not 0 <= step < panel.lengths[number]:
                continue
            at = panel.offsets[number] + step
            if np.isfinite(panel.target[at]):
                out["target"][row, column], out["observed"][row, column] = panel.target[at], 1
            seen = np.isfinite(past.numbers[at])
            out["past"][row, column] = [*np.where(seen, past.numbers[at], 0), *seen]
            out["known"][row, column] = np.where(np.isfinite(known.numbers[at]), known.numbers[at], 0)
            out["past_codes"][row, column], out["known_codes"][row, column] = past.codes[at], known.codes[at]
    inputs = Inputs(
        target=out["target"][:, :length],
        observed=out["observed"][:, :length],
        past=out["past"][:, :length],
        known=out["known"],
        static=static.numbers[series],
        past_codes=out["past_codes"][:, :length],
        known_codes=out["known_codes"],
        static_codes=static.codes[series],
        series=encoding.numbers_of(panel.ids)[series],
        position=panel.positions(series, ends - 1),
        scale=np.zeros((len(series), out["target"].shape[2])),
    )
    return inputs, Outcome(out["target"][:, length:], out["observed"][:, length:])


def _assert_equal(found: tuple[torch.Tensor, ...], wanted: tuple) -> None:
    for name, one, other in zip(found._fields, found, wanted, strict=True):  # type: ignore[attr-defined]
        assert tuple(one.shape) == tuple(other.shape), name
        np.testing.assert_array_equal(one.numpy(), np.asarray(other), err_msg=name)


def _batch(windows: Windows, series: np.ndarray, ends: np.ndarray) -> tuple[Inputs, Outcome]:
    return windows.batch(torch.as_tensor(series), torch.as_tensor(ends))


@quick
@given(
    seed=st.integers(0, 999),
    context=st.integers(1, 12),
    horizon=st.integers(1, 12),
    covariates=st.booleans(),
    gaps=st.sampled_from(["mask", "rows"]),
)
def test_a_batch_is_what_a_loop_cuts(seed: int, context: int, horizon: int, covariates: bool, gaps: str) -> None:
    roles = made_roles() if covariates else {}
    columns = Columns(gaps=gaps, calendar=(), **roles)
    panel = Panel.from_frame(_ragged(seed, covariates=covariates), columns, freq="D")
    encoding = Encoding.fit(panel.until(panel.lengths // 2))  # series and categories that it never saw
    windows = _windows(panel, context=context, horizon=horizon, encoding=encoding)
    origins = _all_origins(panel)
    for found, wanted in zip(_batch(windows, *origins), _looped(windows, encoding, *origins), strict=True):
        _assert_equal(found, wanted)


@quick
@given(
    seed=st.integers(0, 999),
    context=st.integers(1, 12),
    covariates=st.booleans(),
    gaps=st.sampled_from(["mask", "rows"]),
    freq=st.sampled_from(["D", "h", "2M"]),
)
def test_windows_laid_for_some_origins_alone_are_those_of_the_whole_panel(
    seed: int, context: int, covariates: bool, gaps: str, freq: str
) -> None:
    random, frame = np.random.default_rng(seed), _ragged(seed, covariates=covariates)
    frame["ds"] = pd.Timestamp("2023-08-31") + frame["ds"].rank(method="dense").astype(int).map(_offset(freq))
    panel = Panel.from_frame(frame, Columns(gaps=gaps, **(made_roles() if covariates else {})), freq=freq)
    encoding = Encoding.fit(panel)
    chosen = random.integers(0, len(panel.target), 5)
    series, ends = (part[chosen] for part in _all_origins(panel))
    lengths = {"context_length": context, "horizon": 4}
    windows, *own = prediction_windows(panel, encoding, series, ends, device=torch.device("cpu"), **lengths)
    assert len(windows.panel.ids) == len(set(series))
    whole = _batch(Windows(panel, encoding, **lengths), series, ends)
    _assert_equal(windows.batch(*own)[0], whole[0])
    _assert_equal(windows.batch(*own)[1], whole[1])


@pytest.mark.parametrize("gaps", ["mask", "rows"])
def test_each_series_has_the_calendar_of_its_own_stamps(gaps: str) -> None:
    frame = made_frame(series=4, rows=30)
    late = frame["unique_id"].isin(["s1", "s3"])  # two and two start together, and end apart
    frame.loc[late, "ds"] += pd.Timedelta(days=3)
    frame = frame.drop(frame.index[[50, 51, 52]])
    panel = Panel.from_frame(frame, Columns(gaps=gaps, calendar=("day_of_week", "month_of_year/codes")), freq="D")
    encoding = Encoding.fit(panel)
    inputs, _ = _batch(_windows(panel, context=7, horizon=5, encoding=encoding), np.arange(4), panel.ends)
    for number, end in enumerate(panel.ends):
        told = encoding.encode_calendar(panel, np.full(12, number), end - 7 + np.arange(12))
        np.testing.assert_array_equal(inputs.known[number].numpy(), told.numbers)
        np.testing.assert_array_equal(inputs.known_codes[number].numpy(), told.codes)


def test_known_covariates_reach_past_the_last_target() -> None:
    frame = made_frame(rows=20, covariates=True)
    is_past = frame.groupby("unique_id").cumcount() < 15
    panel = Panel.from_frame(frame[is_past], ROLES, future=frame[~is_past])
    windows = _windows(panel, context=6, horizon=5)
    inputs, outcome = _batch(windows, np.array([0, 1]), panel.ends)
    assert outcome.observed.sum() == 0
    assert (inputs.known_codes[:, 6:] > 0).all()
    mean, deviation = Encoding.fit(panel).statistics["price"]
    ahead = frame[~is_past]["price"].to_numpy().reshape(2, 5)
    np.testing.assert_allclose(inputs.known[:, 6:, 0].numpy(), (ahead - mean) / deviation, rtol=1e-4, atol=1e-5)


def test_left_padding_is_zero_and_unobserved() -> None:
    panel = Panel.from_frame(made_frame(rows=10))
    inputs, outcome = _batch(_windows(panel, context=8, horizon=3), np.array([1, 1]), np.array([2, 9]))
    assert inputs.observed[:, :, 0].tolist() == [[0] * 6 + [1] * 2, [1] * 8]
    assert (inputs.target[0, :6] == 0).all()
    assert outcome.observed[:, :, 0].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert (outcome.target[1, 1:] == 0).all()


@pytest.mark.parametrize("poison", [np.nan, 1e9])
def test_nothing_after_the_origin_changes_inputs(poison: float) -> None:
    frame = _ragged(freq="h")
    panel = Panel.from_frame(frame, ROLES, freq="h")
    ends = np.maximum(panel.lengths * 2 // 3, 1)
    last = panel.stamps(np.arange(3), ends - 1)
    poisoned = frame.copy()
    after = poisoned["ds"].to_numpy() > last[poisoned["unique_id"].str[1:].astype(int)]
    poisoned.loc[after, ["y", "temp"]] = poison
    poisoned.loc[after, "mood"] = "poison"
    batches = []
    for table in (frame, poisoned):
        whole = Panel.from_frame(table, ROLES, freq="h")
        windows = _windows(whole, context=7, horizon=4, encoding=Encoding.fit(whole.until(ends)))
        batches.append(_batch(windows, np.arange(3), ends))
    _assert_equal(batches[0][0], batches[1][0])
    assert not torch.equal(batches[0][1].target, batches[1][1].target)


def test_absent_covariates_are_zero_wide() -> None:
    panel = Panel.from_frame(made_frame(), Columns(calendar=()))
    inputs, _ = _batch(_windows(panel, context=8, horizon=3), np.array([0]), np.array([20]))
    widths = {name: tuple(getattr(inputs, name).shape) for name in inputs._fields}
    assert widths["past"] == widths["past_codes"] == (1, 8, 0)
    assert widths["known"] == widths["known_codes"] == (1, 11, 0)
    assert widths["static"] == widths["static_codes"] == (1, 0)
    empty = _batch(_windows(Panel.from_frame(made_frame()), context=8, horizon=3), np.arange(0), np.arange(0))[0]
    assert (empty.target.shape, empty.past.shape) == ((0, 8, 1), (0, 8, 0))


@pytest.mark.parametrize(("freq", "rows"), [("D", 900), ("h", 60), ("MS", 40), ("B", 40), ("W-SUN", 120)])
def test_the_calendar_reaches_past_the_end_of_each_series(freq: str, rows: int) -> None:
    frame = made_frame(series=3, rows=rows, freq=freq)
    frame = frame[frame.groupby("unique_id").cumcount() < rows - 3 * frame["unique_id"].str[1:].astype(int)]
    panel = Panel.from_frame(frame, Columns(), freq=freq)
    encoding = Encoding.fit(panel)
    windows = _windows(panel, context=6, horizon=5)
    inputs, _ = _batch(windows, np.arange(3), panel.ends)
    for series, end in enumerate(panel.ends):
        stamps = panel.stamps(np.full(11, series), np.arange(end - 6, end + 5))
        expected, _ = calendar.features(encoding.calendar, stamps, panel.freq)
        assert expected.shape[1] > 0
        np.testing.assert_array_equal(inputs.known[series].numpy(), expected)
    sizes = windows.sizes(season=1, outputs=1)
    assert (sizes.known, sizes.known_cardinalities) == (inputs.known.shape[2], ())


def test_codes_of_the_calendar_and_holidays_stand_behind_those_of_the_table() -> None:
    frame = made_frame(rows=400, covariates=True)  # from 2024-01-01
    columns = Columns(known=("promo",), calendar=["day_of_week/codes", "day_of_week"], holidays="US")
    panel = Panel.from_frame(frame, columns)
    encoding = Encoding.fit(panel.until(np.array([200, 200])))
    assert "New Year's Day" in encoding.holiday_names and "Christmas Day" not in encoding.holiday_names
    windows = _windows(panel, context=2, horizon=2, encoding=encoding)
    inputs, _ = _batch(windows, np.array([0, 0]), np.array([2, 360]))  # origins of 2 January and 25 December
    assert windows.sizes(season=1, outputs=1).known_cardinalities == (3, 8, len(encoding.holiday_names) + 1)
    assert inputs.known[:, :, -1].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]  # whether it is a holiday
    assert inputs.known_codes[0, :, 1].tolist() == [1, 2, 3, 4]  # Monday first
    assert encoding.holiday_names[int(inputs.known_codes[0, 0, 2]) - 1] == "New Year's Day"
    assert inputs.known_codes[1, :, 2].tolist() == [0, 0, 0, 0]  # Christmas was never met


def test_sizes_are_those_of_the_batches() -> None:
    windows = _windows(Panel.from_frame(_ragged(), ROLES), context=6, horizon=4)
    sizes = windows.sizes(season=7, outputs=9)
    inputs, _ = _batch(windows, np.array([0]), np.array([8]))
    assert (sizes.past, sizes.known, sizes.static) == tuple(
        getattr(inputs, n).shape[-1] for n in ("past", "known", "static")
    )
    assert (sizes.past_cardinalities, sizes.known_cardinalities, sizes.static_cardinalities) == (
        (4,),
        (3,),
        (3,),
    )
    assert (sizes.series, sizes.season, sizes.outputs, sizes.context_length, sizes.horizon) == (4, 7, 9, 6, 4)


def _drawn(panel: Panel, *, context: int, horizon: int, seed: int = 0, batch: int = 64, steps: int = 40) -> set:
    """Return every window drawn, as (series number, steps known)."""
    windows = _windows(panel, context=context, horizon=horizon)
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
    windows = _windows(panel, context=context, horizon=horizon)
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
    windows = _windows(panel, context=context, horizon=horizon)
    assert TrainingWindows(windows, batch_size=1, seed=0, steps=1).count == len(wanted) < 2 * 32


def test_a_few_missing_values_move_no_draw() -> None:
    frame = made_frame()
    whole = Panel.from_frame(frame)
    frame.loc[::5, "y"] = np.nan
    draws = [
        TrainingWindows(_windows(panel, context=6, horizon=3), batch_size=32, seed=0, steps=1).draw(0)
        for panel in (whole, Panel.from_frame(frame))
    ]
    assert torch.equal(draws[0][0].position, draws[1][0].position)


def test_a_panel_without_a_window_to_learn_from_is_refused_by_name() -> None:
    frame = made_frame(series=1, rows=40)
    frame.loc[5:34, "y"] = np.nan
    with pytest.raises(DataError, match="no window to train on .* the longest series is 's0'"):
        TrainingWindows(_windows(Panel.from_frame(frame), context=10, horizon=10), batch_size=4, seed=0, steps=1)


def test_windows_held_back_need_an_observation_on_both_sides() -> None:
    batches = HeldBack(_windows(_gapped(), context=6, horizon=10), np.array([10, 20]))
    assert [inputs.series.tolist() for inputs, _ in batches] == [[2]]  # s0 has gaps alone after 10 and before 20


def test_windows_held_back_are_the_same_in_batches_of_any_size() -> None:
    windows = _windows(Panel.from_frame(made_frame(series=5, rows=40)), context=6, horizon=4)
    ends = np.array([28, 32, 36, 40, 32])
    whole, parts = HeldBack(windows, ends), HeldBack(windows, ends, batch_size=2)
    assert [len(inputs.series) for inputs, _ in whole] == [4, 3, 1]
    assert [len(inputs.series) for inputs, _ in parts] == [2, 2, 2, 1, 1]
    for one, other in zip(joined(list(whole)), joined(list(parts)), strict=True):
        _assert_equal(one, other)


def test_draws_are_a_pure_function_of_seed_and_step() -> None:
    windows = _windows(Panel.from_frame(_ragged(), ROLES), context=6, horizon=3)
    draws = TrainingWindows(windows, batch_size=32, seed=3, steps=6)
    whole = list(draws)
    torch.manual_seed(99)
    resumed = TrainingWindows(windows, batch_size=32, seed=3, steps=6, start=4)
    assert (len(draws), len(resumed)) == (6, 2)
    for one, other in zip([*whole[4:], draws.draw(2)], [*resumed, whole[2]], strict=True):
        _assert_equal(one[0], other[0])
        _assert_equal(one[1], other[1])
    assert not torch.equal(whole[0][0].target, whole[1][0].target)
    another = TrainingWindows(windows, batch_size=32, seed=4, steps=6).draw(0)
    assert not torch.equal(whole[0][0].target, another[0].target)


def test_drawing_leaves_the_global_random_state_alone() -> None:
    draws = TrainingWindows(
        _windows(Panel.from_frame(made_frame()), context=6, horizon=3), batch_size=4, seed=0, steps=2
    )
    before = torch.get_rng_state()
    list(draws)
    assert torch.equal(before, torch.get_rng_state())


def test_a_panel_too_short_to_train_on_is_refused_by_name() -> None:
    frame = pd.concat([made_frame(series=1, rows=5), made_frame(series=1, rows=7).assign(unique_id="longest")])
    windows = _windows(Panel.from_frame(frame), context=4, horizon=7)
    with pytest.raises(DataError, match="the longest, 'longest', has 7 steps, and a horizon of 7 needs at least 8"):
        TrainingWindows(windows, batch_size=4, seed=0, steps=1)


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
    panel = Panel.from_frame(_ragged(seed, covariates=False), Columns(gaps=gaps), freq="D")
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
