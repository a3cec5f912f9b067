"""Probabilities of events: losses, what occurs, simple methods, scores, verdicts and jobs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from batches import SIZES, made_batch
from command import TINY, files_in, forecast, streams_in
from frames import made_frame
from sklearn import metrics
from torch.nn import functional as F

from forecast import Columns, Ensemble, Forecaster, Panel, Training, backtest, make_codes
from forecast.batch import Affine, Inputs, Outcome, Sizes, last_seen
from forecast.config import build, names, networks
from forecast.errors import ConfigError, DataError
from forecast.evaluation import bootstrap
from forecast.evaluation.chances import WEIGHT, BaseRate, Persistence, last_before, occurrences
from forecast.evaluation.event_verdict import event_verdict
from forecast.evaluation.events import tabulated_events
from forecast.evaluation.verdict import conclusion
from forecast.losses import Direction, EventLoss, Occurrence, Threshold
from forecast.model import Model
from forecast.networks.channels import ByChannel
from forecast.report import figures
from forecast.report.calibration import reliability

EVENTS = [name for name in names("loss") if build("loss", name).is_event]
READ_ON = ("seq2seq", "attention", "deepar")  # what they forecast, step by step
ONE = torch.ones(1)
PLAIN = Affine(torch.full((6, 1, 1), 10.0).double(), torch.full((6, 1, 1), 2.0).double())


@pytest.fixture(params=EVENTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_kind_is_there() -> None:
    assert EVENTS == ["direction", "event", "threshold"]


# Losses


def test_the_loss_is_the_binary_cross_entropy_of_torch_over_observed_steps() -> None:
    raw, target = _raw(), (_raw(seed=1)[..., 0] > 0).double()
    observed = torch.ones_like(target)
    observed[:, 1] = 0
    got = Occurrence()(raw, Outcome(target, observed), made_batch(SIZES, count=6)[0], _one())
    expected = F.binary_cross_entropy_with_logits(raw[..., 0], target.float(), weight=observed.float())
    assert float(got) == pytest.approx(float(expected) * 4 / 3, rel=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e5])
def test_losses_and_gradients_are_finite_and_probabilities_lie_between_0_and_1(name: str, size: float) -> None:
    loss = _loss(name)
    for occurs in (0.0, 1.0):
        raw = (_raw() * size).requires_grad_()
        value = loss.stepwise(raw, torch.full((6, 4, 1), occurs), ONE).mean()
        value.backward()
        assert value.isfinite() and raw.grad.isfinite().all()
    chances = loss.point(raw.detach(), PLAIN)
    assert chances.shape == (6, 4, 1) and chances.dtype == torch.float64
    assert ((chances >= 0) & (chances <= 1)).all()


def test_by_then_is_what_hazards_come_to_and_never_falls() -> None:
    loss, raw = Threshold(below=0, within=True), _raw(windows=50, horizon=9) * 5
    chances = loss.point(raw, PLAIN)
    assert (chances.diff(dim=1) >= 0).all()
    hazards = torch.sigmoid(raw[..., 0].double() - np.log(9))
    torch.testing.assert_close(chances, 1 - (1 - hazards).cumprod(dim=1), rtol=1e-6, atol=1e-9)
    losses = loss.stepwise(raw, (torch.rand(50, 9, 1) < 0.5).float().cummax(dim=1).values, ONE)
    assert losses.isfinite().all()


def test_draws_are_0_and_1_as_often_as_forecast_and_by_then_stay(name: str) -> None:
    loss, raw = _loss(name), _raw()
    draws = loss.draws(raw, 20_000, PLAIN, torch.Generator().manual_seed(1))
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(draws.mean(dim=-1), loss.point(raw, PLAIN), atol=0.015, rtol=0)
    if name == "threshold":
        assert (draws.diff(dim=1) >= 0).all()


def test_there_are_no_quantiles(name: str) -> None:
    loss = _loss(name)
    assert not loss.covers(0.5) and loss.levels == ()
    assert loss.quantiles(_raw(), [], PLAIN).shape == (6, 4, 1, 0)
    with pytest.raises(ConfigError, match=r"probability of an event.*no quantiles.*\[0\.1\].*Leave levels out"):
        loss.quantiles(_raw(), [0.1], PLAIN)


@pytest.mark.parametrize("options", [{}, {"below": 1, "above": 2}])
def test_a_threshold_is_one_number(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="either below or above"):
        Threshold(**options)


@pytest.mark.parametrize("below", [float("nan"), "zero", True])
def test_a_threshold_that_is_no_number_is_refused(below: Any) -> None:
    with pytest.raises(ConfigError, match="below is a finite number or null"):
        build("loss", {"_target_": "forecast.losses.events.Threshold", "below": below})


# What occurs


def test_direction_is_that_of_a_plain_loop_over_gaps_and_ties() -> None:
    values = _walk_with_gaps()
    found = occurrences(Direction(), values, horizon=5)
    for origin, ahead, channel in np.ndindex(found.shape):
        seen = values[: origin + 1, channel]
        seen, step = seen[~np.isnan(seen)], origin + 1 + ahead
        came = values[step, channel] if step < len(values) else np.nan
        expected = np.nan if np.isnan(came) or not len(seen) else float(came > seen[-1])
        np.testing.assert_equal(found[origin, ahead, channel], expected)
    assert (np.diff(values[:, 0]) == 0).any() and (found == 1).any() and (found == 0).any()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_threshold_by_then_is_that_of_a_plain_loop_over_gaps(sign: int) -> None:
    values, event = _walk_with_gaps(), Threshold(**{"above" if sign > 0 else "below": 1.0}, within=True)
    found = occurrences(event, values, horizon=5)
    for origin, ahead, channel in np.ndindex(found.shape):
        part = values[origin + 1 : origin + 2 + ahead, channel]
        hit = (sign * (part - 1.0) >= 0).any()
        expected = 1.0 if hit else np.nan if len(part) <= ahead or np.isnan(part).any() else 0.0
        np.testing.assert_equal(found[origin, ahead, channel], expected)


@pytest.mark.parametrize("scaling", names("scaling"))
def test_events_are_those_of_the_unit_of_the_series_whatever_the_scaling(scaling: str) -> None:
    sizes = replace(SIZES, outputs=1, season=2)
    inputs, outcome = made_batch(sizes, count=6)
    outcome.target[:, 0] = inputs.target[:, -1]  # ties, which no rounding may break
    level, last = float(outcome.target[0, 1]), inputs.target[:, -1:]
    cases = {
        Direction(): outcome.target > last,
        Threshold(above=level): outcome.target >= level,
        Threshold(below=level): outcome.target <= level,
    }
    for loss, expected in cases.items():
        model = _model(loss, scaling, sizes)
        _, read, _, affine = model._learning(inputs, outcome)
        assert torch.equal(affine.scaled(read.target), expected.double())
        assert model.judged(inputs, outcome)[0].all()


def test_forks_are_asked_of_the_last_value_at_their_own_origin() -> None:
    sizes = replace(SIZES, outputs=1)
    inputs, outcome = made_batch(sizes, count=3)
    network = {"_target_": "forecast.networks.mqrnn.MQRNN", "forking": True, "dropout": 0.0}
    model = _model(Direction(), "none", sizes, network=network).train()
    inputs.observed[0, :3] = 0
    _, read, _, _ = model._learning(inputs, outcome)
    whole = torch.cat([inputs.target, outcome.target], dim=1)
    for window, origin, ahead in np.ndindex(3, 12, 4):
        row = window * 12 + origin
        step = origin + 1 + ahead
        assert bool(read.observed[row, ahead, 0]) == (window > 0 or origin >= 3)
        if read.observed[row, ahead, 0]:
            assert bool(read.target[row, ahead, 0]) == bool(whole[window, step, 0] > whole[window, origin, 0])


def test_a_target_never_seen_in_the_context_teaches_no_direction() -> None:
    target = torch.tensor([[[1.0, 5.0], [2.0, 5.0]]])
    observed = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    last = last_seen(target, observed)[:, -1]
    assert float(last[0, 0]) == 2 and bool(last[0, 1].isnan())
    read = Direction().occurred(Outcome(torch.full((1, 3, 2), 9.0), torch.ones(1, 3, 2)), last)
    assert read.observed[0, :, 0].tolist() == [1, 1, 1] and read.observed[0, :, 1].tolist() == [0, 0, 0]


# Forecasters


@pytest.mark.parametrize("model", networks())
def test_a_network_forecasts_probabilities_or_says_why_not(model: str) -> None:
    sizes = replace(SIZES, outputs=1, season=2)
    inputs, outcome = made_batch(sizes, count=6)
    try:
        trained = _model(Direction(), "last", sizes, network=model)
    except ConfigError as error:
        assert model in READ_ON and "reads" in str(error) and "Choose" in str(error)
        return
    assert model not in READ_ON
    trained.training_loss(inputs, outcome).backward()
    chances = trained.eval().forecast(inputs, ())
    assert chances.shape == (6, 4, 1, 1) and ((chances > 0) & (chances < 1)).all()


@pytest.mark.parametrize("by_channel", [True, False])
@pytest.mark.parametrize("model", ["seq2seq", "attention"])
def test_networks_that_read_their_own_forecast_are_refused(model: str, by_channel: bool) -> None:
    sizes = replace(SIZES, outputs=1, targets=2)
    network = ByChannel(lambda one: build("model", model, one), sizes) if by_channel else build("model", model, sizes)
    with pytest.raises(ConfigError, match="reads its own forecast.*Direction.*model=gru"):
        Model(network, build("scaling", "last"), Direction())


@pytest.mark.parametrize("joint", [True, False])
def test_several_targets_have_probabilities_that_no_minimum_raises(joint: bool) -> None:
    frame = made_frame().assign(wind=lambda table: table.y + 100)
    columns = Columns(target=("y", "wind"), joint=joint, minimum=5)
    predicted = _forecaster("direction", columns=columns).fit(frame).predict()
    assert list(predicted) == ["unique_id", "ds", "target", "forecast"] and len(predicted) == 2 * 2 * 3
    assert predicted.forecast.between(0, 1).all()


def test_saved_and_loaded_it_forecasts_bit_equal(name: str, tmp_path: Path) -> None:
    fitted = _forecaster(name).fit(_events_frame())
    loaded = Forecaster.load(fitted.save(tmp_path / "model"))
    assert isinstance(loaded.event, EventLoss) and loaded.event.words == fitted.event.words
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict(), check_exact=True)
    pd.testing.assert_frame_equal(loaded.sample(paths=7), fitted.sample(paths=7), check_exact=True)


def test_sample_paths_are_0_and_1_and_levels_are_refused() -> None:
    fitted = _forecaster("direction").fit(made_frame())
    paths = fitted.sample(paths=4000)
    assert set(paths.forecast) == {0.0, 1.0}
    shares = paths.groupby(["unique_id", "ds"]).forecast.mean().to_numpy()
    np.testing.assert_allclose(shares, fitted.predict().forecast, atol=0.03)
    with pytest.raises(ConfigError, match="no quantiles"):
        fitted.predict(levels=[0.1])


def test_what_comes_after_an_origin_changes_no_probability_and_no_simple_method(name: str) -> None:
    frame = _events_frame()
    known = Panel.from_frame(frame, Columns())
    fitted, ends, series = _forecaster(name).fit(known), np.array([40, 33]), np.arange(2)
    later = np.concatenate([np.arange(60) >= end for end in ends])
    poisoned = replace(known, target=np.where(later[:, None], 1 - known.target, known.target))
    assert not np.array_equal(poisoned.target, known.target)
    for got, expected in zip(*(_all(fitted, panel, series, ends) for panel in (poisoned, known)), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_future_given_to_the_direction_is_never_in_the_inputs() -> None:
    """The outcome is read by the loss alone: with another outcome the network reads the same."""
    sizes = replace(SIZES, outputs=1)
    inputs, outcome = made_batch(sizes, count=6)
    model, seen = _model(Direction(), "last", sizes), []
    model.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for other in (outcome, outcome._replace(target=-outcome.target)):
        model.training_loss(inputs, other)
    assert all(torch.equal(one, two) for one, two in zip(*seen, strict=True))
    assert isinstance(seen[0], Inputs)


def test_values_other_than_0_and_1_are_refused_with_their_place() -> None:
    frame = _events_frame()
    frame.loc[70, "y"] = 2
    with pytest.raises(DataError, match="series 's1' has 2 in step 10 of column 'y'.*takes 0 and 1.*loss=direction"):
        _forecaster("event").fit(frame)


def test_an_ensemble_has_the_median_of_probabilities_of_one_event(tmp_path: Path) -> None:
    frame = made_frame()
    fitted = Ensemble([_forecaster("direction", seed=seed) for seed in range(3)]).fit(frame)
    own = np.stack([member.predict().forecast for member in fitted.members_])
    np.testing.assert_array_equal(fitted.predict().forecast, np.median(own, axis=0))
    loaded = Ensemble.load(fitted.save(tmp_path / "model"))
    assert fitted.event.words == loaded.event.words == Direction.words
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict(), check_exact=True)
    other = Ensemble([_forecaster("direction"), _forecaster(None)])
    with pytest.raises(ConfigError, match="member 0.*is above its last value and member 1.*values"):
        other.fit(frame)
    with pytest.raises(ConfigError, match="weights='validation'.*probabilities"):
        Ensemble(fitted.members, weights="validation").fit(frame)


# Simple methods


def test_base_rate_is_the_share_of_events_that_leans_on_all_series() -> None:
    panel = Panel.from_frame(_events_frame(), Columns())
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
    panel, horizon = Panel.from_frame(_events_frame(), Columns()), 2
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
    values = _walk_with_gaps()[:, :1]
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


# Scores


def test_scores_equal_those_of_scikit_learn_in_every_group() -> None:
    forecasts = _forecasts()
    scored = tabulated_events(forecasts, columns=Columns(), event="is 1")
    tables = {"scores": [], "per_fold": ["fold"], "per_series": ["unique_id"]}
    for table, by in tables.items():
        for _, row in getattr(scored, table).iterrows():
            own = forecasts[(forecasts[["model", *by]] == row[["model", *by]]).all(axis=1)].dropna(subset="y")
            y, p = own.y.to_numpy(), own.forecast.to_numpy()
            assert (row.steps, row.events) == (len(y), y.sum())
            assert row.log_loss == pytest.approx(metrics.log_loss(y, p))
            assert row.brier == pytest.approx(metrics.brier_score_loss(y, p))
            assert row.auc == pytest.approx(metrics.roc_auc_score(y, p))
            assert row.accuracy == pytest.approx(metrics.accuracy_score(y, p > 0.5))
    assert scored.scores["series"].tolist() == [3, 3] and scored.per_step["step"].max() == 4
    assert scored.event == "is 1" and list(scored.scores["model"]) == ["net", "base_rate"]


def test_calibration_is_the_mean_distance_over_bins_of_equal_width_by_hand() -> None:
    forecasts = _forecasts(windows=250)
    own = forecasts[forecasts.model == "net"].dropna(subset="y")
    edges = np.linspace(own.forecast.min(), own.forecast.max(), 11)
    place = np.minimum(np.searchsorted(edges, own.forecast, side="right"), 10)
    parts = [own[place == one] for one in range(1, 11)]
    expected = sum(abs(part.y.sum() - part.forecast.sum()) for part in parts) / len(own)
    got = tabulated_events(forecasts, columns=Columns(), event="is 1").scores
    assert got.calibration[0] == pytest.approx(expected, abs=1e-3)
    constant = forecasts[forecasts.model == "base_rate"].dropna(subset="y")
    assert got.calibration[1] == pytest.approx(abs(constant.y.mean() - constant.forecast.mean()))
    table = reliability(own)
    assert table["count"].sum() == len(own) and len(table) == 10
    assert ((table.low < table.y) & (table.y < table.high) & (table.high <= 1) & (table.low >= 0)).all()


def test_steps_that_are_alike_have_no_area_and_certainties_that_fail_a_finite_loss() -> None:
    forecasts = _forecasts().assign(y=1.0)
    forecasts.loc[forecasts.model == "net", "forecast"] = 0.0
    scored = tabulated_events(forecasts, columns=Columns(), event="is 1")
    assert scored.scores.auc.isna().all() and np.isfinite(scored.scores.log_loss).all()
    assert event_verdict(scored, name="net").startswith("On each of the")
    nothing = tabulated_events(forecasts.assign(y=np.nan), columns=Columns(), event="is 1")
    assert event_verdict(nothing, name="net").startswith("Nothing is known")


def test_models_on_other_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="not scored on the same rows"):
        tabulated_events(_forecasts().iloc[:-1], columns=Columns(), event="is 1")


def test_intervals_resample_blocks_of_origins_that_overlap_and_are_the_same_again() -> None:
    rows = _rows(folds=60, horizon=5, step=2)
    by = bootstrap.clusters(rows)
    assert by is not None and by.counts.shape == (bootstrap.RESAMPLES, 60)
    assert (by.counts.sum(axis=1) == 60).all()
    runs = np.diff(np.flatnonzero(by.counts[0] == 0))
    assert runs.max() > 1 and np.array_equal(by.counts, bootstrap.clusters(rows).counts)
    assert bootstrap._overlap(rows) == 3  # of steps 1 to 5, those that begin 2 and 4 later share some
    assert bootstrap.clusters(_rows(folds=29, horizon=5, step=2)) is None
    many = bootstrap.clusters(_rows(folds=2, horizon=5, step=5, pairs=40))
    assert many is not None and many.counts.shape[1] == 40


def test_intervals_are_those_of_a_plain_loop_and_hold_what_they_should() -> None:
    rows, draw = _rows(folds=40, horizon=2, step=2), np.random.default_rng(3)
    p = np.round(draw.random(len(rows)), 1)
    y = (draw.random(len(rows)) < p).astype(float)
    by = bootstrap.clusters(rows)
    assert by is not None
    repeated = [np.repeat(np.arange(len(rows)), counts[by.of_row].astype(int)) for counts in by.counts[:300]]
    short = by._replace(counts=by.counts[:300])
    areas = [metrics.roc_auc_score(y[one], p[one]) for one in repeated]
    np.testing.assert_allclose(bootstrap.auc_interval(y, p, short), np.percentile(areas, bootstrap.ENDS))
    means = [p[one].mean() for one in repeated]
    np.testing.assert_allclose(bootstrap.mean_interval(p, short), np.percentile(means, bootstrap.ENDS))
    skills = [1 - p[one].mean() / y[one].mean() for one in repeated]
    np.testing.assert_allclose(bootstrap.skill_interval(p, y, short), np.percentile(skills, bootstrap.ENDS))


def test_a_random_walk_is_told_no_better_than_a_coin_and_a_wave_better() -> None:
    steps = np.arange(400)
    waves = np.concatenate([np.sin(2 * np.pi * steps / 12 + phase) for phase in (0, 1, 2)])
    walks = np.random.default_rng(5).normal(size=1200).reshape(3, 400).cumsum(axis=1).ravel()
    told = {}
    for label, values in {"walk": walks, "wave": waves}.items():
        frame = made_frame(series=3, rows=400).assign(y=values + 50)
        scored = backtest(_forecaster("direction", steps=60), frame, folds=40, name="net")
        told[label] = conclusion(scored, name="net", columns=Columns())
    assert "no better than" in told["walk"] or "worse than" in told["walk"]
    assert "No better than a coin: right on" in told["walk"]
    assert told["wave"].startswith("net tells whether y is above its last value better than the best simple method")
    assert "Better than a coin" in told["wave"]


def test_few_windows_are_said_to_be_few() -> None:
    scored = backtest(_forecaster("direction"), made_frame(), folds=3, name="net")
    assert list(scored.scores["model"]) == ["net", "base_rate", "persistence"]
    assert "Too few windows for an interval" in event_verdict(scored, name="net")
    assert scored.intervals["low"].isna().all() and scored.per_fold["fold"].nunique() == 3


def test_truth_of_a_backtest_is_the_direction_from_each_cutoff() -> None:
    frame = made_frame()
    found = backtest(_forecaster("direction"), frame, folds=4, name="net").forecasts
    values = frame.set_index(["unique_id", "ds"])["y"]
    assert len(found) == 3 * 2 * 4 * 3
    for row in found.itertuples():
        assert row.y == float(values[row.unique_id, row.ds] > values[row.unique_id, row.cutoff])


def test_baselines_of_the_other_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="'ridge' does not forecast probabilities.*base_rate, persistence"):
        backtest(_forecaster("direction"), made_frame(), baselines=["ridge"])
    with pytest.raises(ConfigError, match="'base_rate' does not forecast values.*naive"):
        backtest(_forecaster(None), made_frame(), baselines=["base_rate"])


# Made codes


def test_alarms_follow_the_order_of_codes_and_not_the_codes() -> None:
    made = make_codes(machines=20, steps=800)
    pd.testing.assert_frame_equal(made, make_codes(machines=20, steps=800))
    followed = {"overheat": [], "vent": []}
    for _, one in made.groupby("unique_id", sort=False):
        codes, alarms = one.code.to_numpy(), one.y.to_numpy()
        places = np.flatnonzero(np.isin(codes, list(followed)))
        for first, second in zip(places, places[1:], strict=False):
            if second - first <= 5 and codes[first] != codes[second] and second + 7 < len(codes):
                followed[codes[first]].append(alarms[second + 6 : second + 8].all())
    assert np.mean(followed["overheat"]) > 0.85 and np.mean(followed["vent"]) < 0.25
    assert set(made.y) == {0.0, 1.0} and 0.03 < made.y.mean() < 0.08


def test_a_network_reads_the_order_of_codes() -> None:
    forecaster = _forecaster("event", horizon=6, columns=Columns(past=("code",)), steps=250, context_length=14)
    scored = backtest(forecaster, make_codes(machines=12, steps=400), folds=15, name="net")
    table = scored.scores.set_index("model")
    assert table.auc["net"] > 0.93 > 0.75 > table.auc[["base_rate", "persistence"]].max()
    assert event_verdict(scored, name="net").startswith("net tells whether a target is 1 better than the best")


# Jobs


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which a training, a forecast from it and a backtest ran, and what they wrote on the terminal."""
    folder = tmp_path_factory.mktemp("events")
    made_frame(rows=90).assign(y=lambda table: table.y.cumsum() % 7).to_csv(folder / "my.csv", index=False)
    words = (*TINY, "data.path=my.csv", "horizon=3", "loss=direction")
    with streams_in(folder) as (out, _):
        assert forecast("train", *words, "hydra.run.dir=run") == 0
        assert forecast("predict", "run=run", "data.path=my.csv", "accelerator=cpu", "hydra.run.dir=new") == 0
        assert forecast("backtest", *words, "backtest.folds=12", "hydra.run.dir=folds") == 0
    return folder, out.getvalue()


def test_jobs_leave_probabilities_scores_and_figures(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    scores = {f"metrics{what}.csv" for what in ("", "_by_fold", "_by_step", "_by_series", "_intervals")}
    drawn = {f"figures/{what}.png" for what in ("forecast", "error_by_step", "calibration", "training")}
    assert scores | drawn | {"report.html", "forecast.csv"} <= files_in(folder / "run")
    assert scores | {"figures/folds.png", "figures/calibration.png"} <= files_in(folder / "folds")
    for run in ("run", "new"):
        predicted = pd.read_csv(folder / run / "forecast.csv")
        assert list(predicted) == ["unique_id", "ds", "forecast"] and predicted.forecast.between(0, 1).all()
    table = pd.read_csv(folder / "folds" / "metrics.csv")
    assert list(table["model"]) == ["gru", "base_rate", "persistence"]
    assert pd.read_csv(folder / "folds" / "metrics_intervals.csv").notna().all(axis=None)


def test_a_person_reads_scores_intervals_and_a_verdict(ran: tuple[Path, str]) -> None:
    folder, out = ran
    assert "probability that a target is above its last value" in out
    assert "gru, with 95 % intervals" in out and "Too few windows for an interval" in out
    assert "than a coin: right on" in " ".join(out.split())
    report = (folder / "folds" / "report.html").read_text(encoding="utf-8")
    assert "What may be chance" in report and "Probabilities beside shares of events" in report


@pytest.mark.slow
def test_a_sweep_tells_the_brier_score(tmp_path: Path) -> None:
    made_frame().to_csv(tmp_path / "my.csv", index=False)
    with streams_in(tmp_path) as (out, _):
        words = ("data.path=my.csv", "horizon=3", "loss=direction", "test.windows=1", "final=false")
        assert forecast("train", "-m", *TINY, *words, "seed=0,1", "hydra.sweep.dir=sweep") == 0
    assert "2 runs, Brier score on held-back data" in out.getvalue() and "best simple method" in out.getvalue()


def test_the_wrong_baselines_are_refused_before_training(tmp_path: Path) -> None:
    made_frame().to_csv(tmp_path / "my.csv", index=False)
    words = (*TINY, "data.path=my.csv", "horizon=3", "hydra.run.dir=run")
    with streams_in(tmp_path) as (_, err):
        assert forecast("train", *words, "loss=direction", "test.baselines=[naive]") == 2
        assert forecast("train", *words, "loss=event") == 2
    assert "'naive' does not forecast probabilities" in err.getvalue()
    assert "loss=event takes 0 and 1" in err.getvalue()


@pytest.mark.parametrize("targets", [("y",), ("y", "wind")])
def test_the_figure_has_values_above_and_probabilities_below(targets: tuple[str, ...]) -> None:
    frame = made_frame(series=3).assign(wind=lambda table: table.y + 3)
    columns = Columns(target=targets[0] if len(targets) == 1 else targets, unit="m")
    fitted = _forecaster("direction", columns=columns).fit(frame)
    scored, future = backtest(fitted, frame, folds=3, name="net").forecasts, fitted.predict()
    figure = figures.event_figure(frame, scored, future, columns=columns, model="net", event="is up", context=8)
    count = 3 if len(targets) == 1 else 4
    assert len(figure.axes) == 2 * count
    for above, below in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        assert above.get_xlim() == below.get_xlim() and below.get_ylabel() == "probability"
        lines = {line.get_label(): line for line in below.get_lines()}
        assert {"net", "base_rate", "cutoff"} <= lines.keys() and {"it came", "it did not"} & lines.keys()
    scenarios = pd.concat([future.assign(scenario=one) for one in ("up", "down")])
    drawn = figures.event_figure(frame, None, scenarios, columns=columns, model="net", event="is up", context=8)
    assert {"up", "down"} <= {line.get_label() for line in drawn.axes[1].get_lines()}


def test_the_calibration_plot_has_equal_axes_and_every_model() -> None:
    figure = figures.calibration_figure(_forecasts(), event="is 1")
    axis, beside = figure.axes
    assert axis.get_xlim() == axis.get_ylim() and axis.get_box_aspect() == 1
    assert {line.get_label() for line in axis.get_lines()} == {"as it should be", "net", "base_rate"}
    assert axis.get_xlabel() == "probability that a target is 1" and beside.get_ylabel() == "number of steps"


def _loss(name: str) -> EventLoss:
    loss = build("loss", name)
    loss.prepare(Sizes(context_length=12, horizon=4))
    return loss


def _raw(*, windows: int = 6, horizon: int = 4, seed: int = 7) -> torch.Tensor:
    return torch.randn(windows, horizon, 1, 1, generator=torch.Generator().manual_seed(seed))


def _one() -> Affine:
    return Affine(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))


def _model(loss: EventLoss, scaling: str, sizes: Sizes, *, network: Any = "gru") -> Model:
    scaler = build("scaling", scaling)
    loss.prepare(sizes), scaler.prepare(sizes)
    return Model(build("model", network, sizes), scaler, loss)


def _walk_with_gaps() -> np.ndarray:
    """Two series of whole numbers (40, 2), so that there are ties, with gaps, the first of them at the start."""
    draw = np.random.default_rng(0)
    values = draw.integers(-1, 2, (40, 2)).cumsum(axis=0).astype(float)
    values[draw.random((40, 2)) < 0.15] = np.nan
    values[:3, 1] = np.nan
    return values


def _events_frame() -> pd.DataFrame:
    """Two series of 0 and 1 that last a while."""
    draw = np.random.default_rng(2)
    return made_frame().assign(y=np.repeat(draw.random(40) < 0.4, 3).astype(float))


def _forecaster(loss: str | None, *, horizon: int = 3, steps: int = 3, **options: Any) -> Forecaster:
    options = {"context_length": 8, "accelerator": "cpu", "progress": False, **options}
    return Forecaster("gru", horizon=horizon, loss=loss, training=Training(steps=steps), **options)


def _all(fitted: Forecaster, panel: Panel, series: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    known = panel.until(ends)
    simple = [kind(fitted.event, horizon=3).fit(known).predict(panel, series, ends) for kind in (BaseRate, Persistence)]
    return [fitted.predict_origins(panel, series, ends, levels=()), *simple]


def _forecasts(windows: int = 30) -> pd.DataFrame:
    """Forecasts of two models for three series, four steps a fold, a tenth of them unobserved."""
    draw, size = np.random.default_rng(1), 3 * windows * 4
    fold, step = np.divmod(np.tile(np.arange(windows * 4), 3), 4)
    own = draw.random(size).round(3)
    frame = pd.DataFrame(
        {"unique_id": np.repeat(["a", "b", "c"], windows * 4), "ds": 10 + 4 * fold + step, "cutoff": 9 + 4 * fold}
    )
    frame = frame.assign(fold=fold + 1, model="net", forecast=own, y=(draw.random(size) < own).astype(float))
    frame.loc[draw.random(size) < 0.1, "y"] = np.nan
    return pd.concat([frame, frame.assign(model="base_rate", forecast=0.4)], ignore_index=True)


def _rows(*, folds: int, horizon: int, step: int, pairs: int = 2) -> pd.DataFrame:
    pair, fold, ahead = (part.ravel() for part in np.mgrid[:pairs, :folds, :horizon])
    return pd.DataFrame({"pair": pair, "fold": fold + 1, "time": fold * step + ahead})
