"""Windows are what a plain loop would cut, and know nothing of what comes after their origin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from cutting import assert_equal, ragged_frame, windows_of
from frames import made_frame, made_roles
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.batch import Inputs, Outcome
from forecast.data import calendar
from forecast.data.columns import Columns
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.data.windows import Windows, prediction_windows

ROLES = Columns(**made_roles())

quick = settings(max_examples=50, deadline=None, derandomize=True)


def _offset(freq: str) -> Callable[[int], pd.Timedelta | pd.DateOffset]:
    return lambda steps: pd.DateOffset(months=2 * steps) if freq == "2M" else pd.Timedelta(steps, freq)


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
    panel = Panel.from_frame(ragged_frame(seed, covariates=covariates), columns, freq="D")
    encoding = Encoding.fit(panel.until(panel.lengths // 2))  # series and categories that it never saw
    windows = windows_of(panel, context=context, horizon=horizon, encoding=encoding)
    origins = _all_origins(panel)
    for found, wanted in zip(_batch(windows, *origins), _looped(windows, encoding, *origins), strict=True):
        assert_equal(found, wanted)


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
    random, frame = np.random.default_rng(seed), ragged_frame(seed, covariates=covariates)
    frame["ds"] = pd.Timestamp("2023-08-31") + frame["ds"].rank(method="dense").astype(int).map(_offset(freq))
    panel = Panel.from_frame(frame, Columns(gaps=gaps, **(made_roles() if covariates else {})), freq=freq)
    encoding = Encoding.fit(panel)
    chosen = random.integers(0, len(panel.target), 5)
    series, ends = (part[chosen] for part in _all_origins(panel))
    lengths = {"context_length": context, "horizon": 4}
    windows, *own = prediction_windows(panel, encoding, series, ends, device=torch.device("cpu"), **lengths)
    assert len(windows.panel.ids) == len(set(series))
    whole = _batch(Windows(panel, encoding, **lengths), series, ends)
    assert_equal(windows.batch(*own)[0], whole[0])
    assert_equal(windows.batch(*own)[1], whole[1])


@pytest.mark.parametrize("gaps", ["mask", "rows"])
def test_each_series_has_the_calendar_of_its_own_stamps(gaps: str) -> None:
    frame = made_frame(series=4, rows=30)
    late = frame["unique_id"].isin(["s1", "s3"])  # two and two start together, and end apart
    frame.loc[late, "ds"] += pd.Timedelta(days=3)
    frame = frame.drop(frame.index[[50, 51, 52]])
    panel = Panel.from_frame(frame, Columns(gaps=gaps, calendar=("day_of_week", "month_of_year/codes")), freq="D")
    encoding = Encoding.fit(panel)
    inputs, _ = _batch(windows_of(panel, context=7, horizon=5, encoding=encoding), np.arange(4), panel.ends)
    for number, end in enumerate(panel.ends):
        told = encoding.encode_calendar(panel, np.full(12, number), end - 7 + np.arange(12))
        np.testing.assert_array_equal(inputs.known[number].numpy(), told.numbers)
        np.testing.assert_array_equal(inputs.known_codes[number].numpy(), told.codes)


def test_known_covariates_reach_past_the_last_target() -> None:
    frame = made_frame(rows=20, covariates=True)
    is_past = frame.groupby("unique_id").cumcount() < 15
    panel = Panel.from_frame(frame[is_past], ROLES, future=frame[~is_past])
    windows = windows_of(panel, context=6, horizon=5)
    inputs, outcome = _batch(windows, np.array([0, 1]), panel.ends)
    assert outcome.observed.sum() == 0
    assert (inputs.known_codes[:, 6:] > 0).all()
    mean, deviation = Encoding.fit(panel).statistics["price"]
    ahead = frame[~is_past]["price"].to_numpy().reshape(2, 5)
    np.testing.assert_allclose(inputs.known[:, 6:, 0].numpy(), (ahead - mean) / deviation, rtol=1e-4, atol=1e-5)


def test_left_padding_is_zero_and_unobserved() -> None:
    panel = Panel.from_frame(made_frame(rows=10))
    inputs, outcome = _batch(windows_of(panel, context=8, horizon=3), np.array([1, 1]), np.array([2, 9]))
    assert inputs.observed[:, :, 0].tolist() == [[0] * 6 + [1] * 2, [1] * 8]
    assert (inputs.target[0, :6] == 0).all()
    assert outcome.observed[:, :, 0].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert (outcome.target[1, 1:] == 0).all()


@pytest.mark.parametrize("poison", [np.nan, 1e9])
def test_nothing_after_the_origin_changes_inputs(poison: float) -> None:
    frame = ragged_frame(freq="h")
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
        windows = windows_of(whole, context=7, horizon=4, encoding=Encoding.fit(whole.until(ends)))
        batches.append(_batch(windows, np.arange(3), ends))
    assert_equal(batches[0][0], batches[1][0])
    assert not torch.equal(batches[0][1].target, batches[1][1].target)


def test_absent_covariates_are_zero_wide() -> None:
    panel = Panel.from_frame(made_frame(), Columns(calendar=()))
    inputs, _ = _batch(windows_of(panel, context=8, horizon=3), np.array([0]), np.array([20]))
    widths = {name: tuple(getattr(inputs, name).shape) for name in inputs._fields}
    assert widths["past"] == widths["past_codes"] == (1, 8, 0)
    assert widths["known"] == widths["known_codes"] == (1, 11, 0)
    assert widths["static"] == widths["static_codes"] == (1, 0)
    empty = _batch(windows_of(Panel.from_frame(made_frame()), context=8, horizon=3), np.arange(0), np.arange(0))[0]
    assert (empty.target.shape, empty.past.shape) == ((0, 8, 1), (0, 8, 0))


@pytest.mark.parametrize(("freq", "rows"), [("D", 900), ("h", 60), ("MS", 40), ("B", 40), ("W-SUN", 120)])
def test_the_calendar_reaches_past_the_end_of_each_series(freq: str, rows: int) -> None:
    frame = made_frame(series=3, rows=rows, freq=freq)
    frame = frame[frame.groupby("unique_id").cumcount() < rows - 3 * frame["unique_id"].str[1:].astype(int)]
    panel = Panel.from_frame(frame, Columns(), freq=freq)
    encoding = Encoding.fit(panel)
    windows = windows_of(panel, context=6, horizon=5)
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
    windows = windows_of(panel, context=2, horizon=2, encoding=encoding)
    inputs, _ = _batch(windows, np.array([0, 0]), np.array([2, 360]))  # origins of 2 January and 25 December
    assert windows.sizes(season=1, outputs=1).known_cardinalities == (3, 8, len(encoding.holiday_names) + 1)
    assert inputs.known[:, :, -1].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]  # whether it is a holiday
    assert inputs.known_codes[0, :, 1].tolist() == [1, 2, 3, 4]  # Monday first
    assert encoding.holiday_names[int(inputs.known_codes[0, 0, 2]) - 1] == "New Year's Day"
    assert inputs.known_codes[1, :, 2].tolist() == [0, 0, 0, 0]  # Christmas was never met


def test_sizes_are_those_of_the_batches() -> None:
    windows = windows_of(Panel.from_frame(ragged_frame(), ROLES), context=6, horizon=4)
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
