"""Importance of covariates: what decides is found, what is noise is not, and nothing beyond an origin is read."""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import made_frame, made_roles

from forecast import Columns, Ensemble, Forecaster, Panel, Shuffling, Training, backtest, permutation_importance
from forecast.data.grid import Covariate
from forecast.errors import ConfigError, DataError
from forecast.evaluation.importance import (
    Errors,
    errors_when_shuffled,
    importance_table,
)
from forecast.evaluation.origins import Origins
from forecast.evaluation.shuffled import CALENDAR, Group, ShuffledWindows
from forecast.evaluation.verdict import importance_note
from forecast.report.figures import importance_figure

HORIZON, CONTEXT = 4, 8


def _driven(*, series: int = 3, rows: int = 150) -> pd.DataFrame:
    """Return series that a known covariate decides, beside two that are noise."""
    random = np.random.default_rng(0)
    frame = made_frame(series, rows)
    frame["driver"] = random.normal(size=len(frame))
    frame["noise"] = random.normal(size=len(frame))
    frame["rumour"] = random.choice(["yes", "no"], len(frame))
    frame["y"] = 10 + 4 * frame["driver"] + random.normal(size=len(frame))
    return frame


DRIVEN = Columns(past=("rumour",), known=("driver", "noise"))


def _forecaster(model: Any = "linear", *, columns: Columns | None = None, **more: Any) -> Forecaster:
    settings = {"context_length": CONTEXT, "training": Training(steps=60), "progress": False, "accelerator": "cpu"}
    return Forecaster(model, horizon=HORIZON, columns=columns, **{**settings, **more})


@pytest.fixture(scope="module")
def driven() -> tuple[Forecaster, pd.DataFrame]:
    """A network, and a table of which it has not seen the last six horizons."""
    frame = _driven(series=6, rows=250)
    known = frame[frame.groupby("unique_id").cumcount() < 250 - 6 * HORIZON]
    return _forecaster("gru", columns=DRIVEN, training=Training(steps=100)).fit(known), frame


@pytest.fixture(scope="module")
def told() -> tuple[Forecaster, Panel]:
    """A network with covariates of every role and kind, and the panel that it was fitted on."""
    columns = Columns(**made_roles())
    panel = Panel.from_frame(made_frame(series=3, rows=50, covariates=True), columns)
    return _forecaster(columns=columns, training=Training(steps=5)).fit(panel), panel


def _errors(fitted: Any, panel: Panel, ends: list[int], **more: Any) -> Errors:
    count = len(panel.ids)
    window = np.repeat(np.arange(len(ends)), count)
    origins = Origins(window, np.tile(np.arange(count), len(ends)), np.repeat(ends, count))
    found = errors_when_shuffled(fitted, panel, origins, Shuffling(**more))
    assert found is not None
    return found


def test_what_decides_is_important_and_noise_is_not(driven: tuple[Forecaster, pd.DataFrame]) -> None:
    table = permutation_importance(*driven, folds=6)
    assert list(table.columns) == ["covariate", "role", "importance", "deviation", "metric", "error"]
    assert table["covariate"].iloc[0] == "driver" and table["role"].iloc[0] == "known"
    assert set(table["covariate"]) == {"driver", "noise", "rumour", CALENDAR}
    rises = table.set_index("covariate")["importance"]
    assert rises["driver"] > 200
    assert rises.drop("driver").abs().max() < 8
    assert (table["deviation"] >= 0).all() and set(table["metric"]) == {"mase"}
    assert table["importance"].is_monotonic_decreasing


def test_a_backtest_tells_it_of_networks_that_have_not_seen_the_fold() -> None:
    shuffling = Shuffling(repeats=2)
    options = {"folds": 2, "baselines": ["naive"], "name": "net"}
    scored = backtest(_forecaster(columns=DRIVEN), _driven(), shuffling=shuffling, refit=True, **options)
    assert scored.importance is not None and scored.importance["covariate"].iloc[0] == "driver"
    own = scored.scores.set_index("model")["mase"]["net"]
    assert scored.importance["error"].iloc[0] == pytest.approx(own, rel=1e-5)
    assert backtest(_forecaster(columns=DRIVEN), _driven(), **options).importance is None


def test_the_calendar_is_important_also_where_folds_lie_a_week_apart() -> None:
    frame = made_frame(series=2, rows=140)
    frame["y"] = np.where(frame["ds"].dt.day_of_week == 2, 50.0, 10.0) + np.random.default_rng(0).normal(
        size=len(frame)
    )
    fitted = _forecaster("gru", context_length=3, columns=Columns(calendar=("day_of_week",))).fit(frame)
    table = permutation_importance(fitted, frame, folds=3, step=7)
    assert table["role"].tolist() == ["calendar"]
    assert table["importance"].iloc[0] > 50


def test_the_seed_alone_decides_and_nothing_given_is_changed(driven: tuple[Forecaster, pd.DataFrame]) -> None:
    fitted, frame = driven
    panel = fitted.as_panel(frame, freq=None)
    kept, origins = deepcopy(panel), {"series": np.arange(6), "ends": np.full(6, 80), "levels": [0.1]}
    before = fitted.predict_origins(panel, **origins)
    tables = [permutation_importance(fitted, panel, folds=3, shuffling=Shuffling(2, seed=seed)) for seed in (0, 0, 1)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0]["importance"].equals(tables[2]["importance"])
    np.testing.assert_array_equal(fitted.predict_origins(panel, **origins), before)
    np.testing.assert_array_equal(panel.target, kept.target)
    for role in ("past", "known"):
        for now, was in zip(getattr(panel, role), getattr(kept, role), strict=True):
            np.testing.assert_array_equal(now.values, was.values)


def test_an_ensemble_of_several_contexts_is_shuffled_as_one() -> None:
    frame = _driven()
    members = [_forecaster(columns=DRIVEN), _forecaster(columns=DRIVEN, context_length=2 * CONTEXT)]
    fitted = Ensemble(members).fit(frame)
    table = permutation_importance(fitted, frame, folds=2)
    assert table["covariate"].iloc[0] == "driver"
    panel = fitted.as_panel(frame, freq=None)
    values = fitted.predict_origins(panel, np.arange(3), np.full(3, 80), levels=[])[..., 0]
    expected = np.abs(values - np.stack([panel.series(number)[80:84] for number in range(3)])).sum(axis=1)
    np.testing.assert_allclose(_errors(fitted, panel, [80]).unshuffled, expected, rtol=1e-5)


def test_several_targets_have_an_importance_in_common() -> None:
    frame = _driven().assign(z=lambda rows: rows["y"] * 100)
    columns = Columns(target=("y", "z"), known=("driver", "noise"))
    table = permutation_importance(_forecaster(columns=columns).fit(frame), frame, folds=2)
    assert table["covariate"].iloc[0] == "driver" and table["importance"].iloc[0] > 50


def test_what_comes_after_an_origin_changes_no_error(told: tuple[Forecaster, Panel]) -> None:
    fitted, panel = told
    end = 30
    later = np.tile(np.arange(50) >= end, 3)

    def poisoned(covariate: Covariate) -> Covariate:
        return replace(covariate, values=np.where(later, 1, covariate.values).astype(covariate.values.dtype))

    ahead = np.tile(np.arange(50) >= end + HORIZON, 3)
    known = tuple(replace(c, values=np.where(ahead, 1, c.values).astype(c.values.dtype)) for c in panel.known)
    target = np.where(ahead[:, None], 1e6, panel.target)
    other = replace(panel, past=tuple(map(poisoned, panel.past)), known=known, target=target)
    found, expected = _errors(fitted, other, [end]), _errors(fitted, panel, [end])
    np.testing.assert_array_equal(found.unshuffled, expected.unshuffled)
    for group, errors in expected.shuffled.items():
        np.testing.assert_array_equal(found.shuffled[group], errors, err_msg=str(group))
    assert not np.array_equal(
        _errors(fitted, other, [end + 3]).unshuffled, _errors(fitted, panel, [end + 3]).unshuffled
    )


@pytest.mark.parametrize("group", [Group("temp", "past"), Group("mood", "past"), Group("price", "known")])
def test_a_window_takes_its_course_from_an_earlier_origin_of_its_series(
    told: tuple[Forecaster, Panel], group: Group
) -> None:
    panel = told[1]
    origins = Origins(np.repeat([0, 1], 3), np.tile(np.arange(3), 2), np.repeat([5, 40], 3))
    windows = ShuffledWindows(panel, origins, context_length=CONTEXT, horizon=HORIZON)
    drawn = windows.shuffled(group, np.random.default_rng(0))
    place = [covariate.name for covariate in getattr(panel, group.role)].index(group.covariate)
    before, after, whole = (getattr(one, group.role)[place].values for one in (windows.panel, drawn, panel))
    changed = 0
    for number, (series, end) in enumerate(zip(origins.series, origins.ends, strict=True)):
        own = slice(*windows.panel.offsets[[number, number + 1]])
        course = whole[50 * series : 50 * (series + 1)]
        steps = np.arange(windows.panel.lengths[number]) - windows.ends[number]
        earlier = [course[np.maximum(other + steps, 0)] for other in range(1, end)]
        assert any(np.array_equal(after[own], one) for one in earlier)
        changed += not np.array_equal(after[own], before[own])
    assert changed == 6
    others = {name: getattr(drawn, role) for role in ("past", "known") for name in [role] if role != group.role}
    assert all(values is getattr(windows.panel, role) for role, values in others.items())
    np.testing.assert_array_equal(drawn.target, windows.panel.target)


def test_no_series_keeps_its_static_covariates_and_all_its_windows_change_alike(told: tuple[Forecaster, Panel]) -> None:
    panel = told[1]
    origins = Origins(np.repeat([0, 1], 3), np.tile(np.arange(3), 2), np.repeat([20, 40], 3))
    windows = ShuffledWindows(panel, origins, context_length=CONTEXT, horizon=HORIZON)
    own = windows.panel.static[0].values
    for seed in range(5):
        drawn = windows.shuffled(Group("size", "static"), np.random.default_rng(seed)).static[0].values
        assert (drawn != own).all() and sorted(drawn) == sorted(own)
        np.testing.assert_array_equal(drawn[:3], drawn[3:])


@pytest.mark.parametrize("freq", ["D", "MS", "rows"])
def test_a_shuffled_calendar_is_that_of_an_earlier_origin(freq: str) -> None:
    frame = made_frame(series=1, rows=60, freq="B" if freq == "rows" else freq)
    panel = Panel.from_frame(frame, Columns(gaps="rows" if freq == "rows" else "mask"))
    origins = Origins(np.zeros(8, int), np.zeros(8, int), np.arange(44, 52))
    windows = ShuffledWindows(panel, origins, context_length=CONTEXT, horizon=HORIZON)
    np.testing.assert_array_equal(
        windows.panel.stamps(windows.series, windows.ends), panel.stamps(origins.series, origins.ends)
    )
    drawn = windows.shuffled(Group(CALENDAR, CALENDAR), np.random.default_rng(0))
    for ahead in (-CONTEXT, 0, HORIZON - 1):
        stamps = drawn.stamps(windows.series, windows.ends + ahead)
        first = panel.stamps(np.zeros(60, int), np.arange(60))
        steps = np.searchsorted(first, stamps)
        np.testing.assert_array_equal(first[steps], stamps)
        assert (steps - ahead < origins.ends).all() and (steps - ahead >= CONTEXT).all()


def test_the_table_is_that_of_a_plain_loop(told: tuple[Forecaster, Panel]) -> None:
    fitted, panel = told
    unseen = np.tile(np.arange(50) >= 48, 3)  # the last horizon has two steps that were observed
    panel = replace(panel, target=np.where(unseen[:, None], np.nan, panel.target))
    parts = [_errors(fitted, panel, [30], repeats=3), _errors(fitted, panel, [42, 46], repeats=3)]
    scale = pd.Series([2.0, np.nan, 0.5], index=panel.ids)
    table = importance_table(parts, panel, scale).set_index("covariate")

    def mase(sums: list[np.ndarray]) -> float:
        each = []
        for number, divisor in ((0, 2.0), (2, 0.5)):
            own = [part.origins.series == number for part in parts]
            total = sum(one[mask].sum() for one, mask in zip(sums, own, strict=True))
            each.append(total / sum(part.counts[mask].sum() for part, mask in zip(parts, own, strict=True)) / divisor)
        return float(np.mean(each))

    assert sum(part.counts.sum() for part in parts) == 3 * (4 + 4 + 2)
    error = mase([part.unshuffled for part in parts])
    assert table["error"].to_numpy() == pytest.approx(error)
    for group in parts[0].shuffled:
        rises = [100 * (mase([part.shuffled[group][number] for part in parts]) / error - 1) for number in range(3)]
        assert table["importance"][group.covariate] == pytest.approx(np.mean(rises))
        assert table["deviation"][group.covariate] == pytest.approx(np.std(rises))


def test_without_any_scale_the_absolute_error_is_compared(told: tuple[Forecaster, Panel]) -> None:
    fitted, panel = told
    errors = _errors(fitted, panel, [40])
    table = importance_table([errors], panel, pd.Series(np.nan, index=panel.ids))
    assert set(table["metric"]) == {"mae"}
    assert table["error"].iloc[0] == pytest.approx(errors.unshuffled.mean() / HORIZON)


def test_of_what_was_not_observed_nothing_is_told(told: tuple[Forecaster, Panel]) -> None:
    fitted, panel = told
    unseen = replace(panel, target=np.where(np.tile(np.arange(50) >= 40, 3)[:, None], np.nan, panel.target))
    table = importance_table([_errors(fitted, unseen, [40])], unseen, pd.Series(1.0, index=panel.ids))
    assert table["importance"].isna().all() and importance_note(table) == ""


def test_of_many_origins_as_many_as_asked_for_are_drawn(told: tuple[Forecaster, Panel]) -> None:
    fitted, panel = told
    found = _errors(fitted, panel, [20, 30, 40], origins=4, repeats=2)
    assert len(found.origins.series) == 4 and found.shuffled[Group("price", "known")].shape == (2, 4, 1)


def test_a_network_that_draws_paths_is_asked_from_an_eighth_as_many() -> None:
    columns = Columns(past=("temp",))
    panel = Panel.from_frame(made_frame(series=3, rows=50, covariates=True)[["unique_id", "ds", "y", "temp"]], columns)
    fitted = _forecaster("deepar", columns=columns, training=Training(steps=1)).fit(panel)
    assert len(_errors(fitted, panel, [20, 30, 40], origins=16, repeats=1).origins.series) == 2


def test_the_static_covariates_of_one_series_are_left_out_with_a_word(
    told: tuple[Forecaster, Panel], caplog: pytest.LogCaptureFixture
) -> None:
    fitted, panel = told
    with caplog.at_level(logging.WARNING, logger="forecast"):
        found = errors_when_shuffled(fitted, panel, Origins(*np.array([[0], [1], [40]])), Shuffling())
    assert found is not None and not any(group.role == "static" for group in found.shuffled)
    assert "one series is scored" in caplog.text


def test_shuffling_says_nothing_of_its_forecasts(caplog: pytest.LogCaptureFixture) -> None:
    frame = _driven().assign(y=lambda rows: rows["y"].clip(lower=10))
    fitted = _forecaster(columns=replace(DRIVEN, minimum=10.0)).fit(frame)
    with caplog.at_level(logging.WARNING, logger="forecast"):
        permutation_importance(fitted, frame, folds=2)
        assert not caplog.records
        fitted.predict_origins(fitted.as_panel(frame, freq=None), np.arange(3), np.full(3, 80), levels=[])
    assert "below the minimum" in caplog.text


def test_what_cannot_be_told_is_refused(driven: tuple[Forecaster, pd.DataFrame]) -> None:
    with pytest.raises(DataError, match="nothing was shuffled"):
        plain = made_frame(freq="1")
        permutation_importance(_forecaster(training=Training(steps=1)).fit(plain), plain)
    with pytest.raises(ConfigError, match="importance.repeats is a whole number of 0 or more, got -1"):
        permutation_importance(*driven, shuffling=Shuffling(repeats=-1))
    with pytest.raises(ConfigError, match="importance.origins is a whole number of 1 or more, got 2.5"):
        backtest(_forecaster(columns=DRIVEN), _driven(), shuffling=Shuffling(origins=2.5))  # type: ignore[arg-type]


def _table(**rises: tuple[float, float]) -> pd.DataFrame:
    rows = [(name, "known", *numbers, "mase", 0.8) for name, numbers in rises.items()]
    return pd.DataFrame(rows, columns=["covariate", "role", "importance", "deviation", "metric", "error"])


def test_the_note_names_what_helps_and_says_where_nothing_does() -> None:
    assert importance_note(None) == ""
    table = _table(price=(12.0, 1.0), promo=(9.4, 1.0), wind=(8.0, 5.0), rain=(0.5, 0.01))
    assert importance_note(table) == " The MASE rises most with price (+12 %) and promo (+9 %) shuffled."
    assert importance_note(table.head(1)) == " The MASE rises most with price (+12 %) shuffled."
    assert "No covariate helps" in importance_note(table.tail(2))


def test_the_figure_has_a_bar_and_its_spread_for_each_covariate() -> None:
    [axis] = importance_figure(_table(price=(12.0, 1.0), wind=(-1.0, 0.5))).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["price (known)", "wind (known)"]
    assert axis.get_xlabel() == "rise of the MASE when shuffled, %"
    assert [bar.get_width() for bar in axis.patches] == [12.0, -1.0]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]  # the first on top
    many = importance_figure(_table(**{f"c{number}": (30.0 - number, 1.0) for number in range(25)}))
    assert len(many.axes[0].patches) == 20 and "the first 20 of 25 covariates" in many._suptitle.get_text()
    with pytest.raises(ValueError, match="nothing to draw"):
        importance_figure(_table(price=(np.nan, np.nan)))
