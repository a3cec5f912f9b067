"""Networks and ensembles forecast probabilities of events, or say why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from batches import SIZES, made_batch
from eventful import EVENTS, event_forecaster, event_model, events_frame
from frames import made_frame

from forecast import Columns, Ensemble, Forecaster, Panel, backtest, make_codes
from forecast.batch import Inputs
from forecast.config import build, networks
from forecast.errors import ConfigError, DataError
from forecast.evaluation.chances import BaseRate, Persistence
from forecast.evaluation.event_verdict import event_verdict
from forecast.losses import Direction, EventLoss
from forecast.model import Model
from forecast.networks.channels import ByChannel

READ_ON = ("seq2seq", "attention", "deepar")  # what they forecast, step by step


@pytest.fixture(params=EVENTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("model", networks())
def test_a_network_forecasts_probabilities_or_says_why_not(model: str) -> None:
    sizes = replace(SIZES, outputs=1, season=2)
    inputs, outcome = made_batch(sizes, count=6)
    try:
        trained = event_model(Direction(), "last", sizes, network=model)
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
    predicted = event_forecaster("direction", columns=columns).fit(frame).predict()
    assert list(predicted) == ["unique_id", "ds", "target", "forecast"] and len(predicted) == 2 * 2 * 3
    assert predicted.forecast.between(0, 1).all()


def test_saved_and_loaded_it_forecasts_bit_equal(name: str, tmp_path: Path) -> None:
    fitted = event_forecaster(name).fit(events_frame())
    loaded = Forecaster.load(fitted.save(tmp_path / "model"))
    assert isinstance(loaded.event, EventLoss) and loaded.event.words == fitted.event.words
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict(), check_exact=True)
    pd.testing.assert_frame_equal(loaded.sample(paths=7), fitted.sample(paths=7), check_exact=True)


def test_sample_paths_are_0_and_1_and_levels_are_refused() -> None:
    fitted = event_forecaster("direction").fit(made_frame())
    paths = fitted.sample(paths=4000)
    assert set(paths.forecast) == {0.0, 1.0}
    shares = paths.groupby(["unique_id", "ds"]).forecast.mean().to_numpy()
    np.testing.assert_allclose(shares, fitted.predict().forecast, atol=0.03)
    with pytest.raises(ConfigError, match="no quantiles"):
        fitted.predict(levels=[0.1])


def test_what_comes_after_an_origin_changes_no_probability_and_no_simple_method(name: str) -> None:
    frame = events_frame()
    known = Panel.from_frame(frame, Columns())
    fitted, ends, series = event_forecaster(name).fit(known), np.array([40, 33]), np.arange(2)
    later = np.concatenate([np.arange(60) >= end for end in ends])
    poisoned = replace(known, target=np.where(later[:, None], 1 - known.target, known.target))
    assert not np.array_equal(poisoned.target, known.target)
    for got, expected in zip(*(_all(fitted, panel, series, ends) for panel in (poisoned, known)), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_future_given_to_the_direction_is_never_in_the_inputs() -> None:
    """The outcome is read by the loss alone: with another outcome the network reads the same."""
    sizes = replace(SIZES, outputs=1)
    inputs, outcome = made_batch(sizes, count=6)
    model, seen = event_model(Direction(), "last", sizes), []
    model.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for other in (outcome, outcome._replace(target=-outcome.target)):
        model.training_loss(inputs, other)
    assert all(torch.equal(one, two) for one, two in zip(*seen, strict=True))
    assert isinstance(seen[0], Inputs)


def test_values_other_than_0_and_1_are_refused_with_their_place() -> None:
    frame = events_frame()
    frame.loc[70, "y"] = 2
    with pytest.raises(DataError, match="series 's1' has 2 in step 10 of column 'y'.*takes 0 and 1.*loss=direction"):
        event_forecaster("event").fit(frame)


def test_an_ensemble_has_the_median_of_probabilities_of_one_event(tmp_path: Path) -> None:
    frame = made_frame()
    fitted = Ensemble([event_forecaster("direction", seed=seed) for seed in range(3)]).fit(frame)
    own = np.stack([member.predict().forecast for member in fitted.members_])
    np.testing.assert_array_equal(fitted.predict().forecast, np.median(own, axis=0))
    loaded = Ensemble.load(fitted.save(tmp_path / "model"))
    assert fitted.event.words == loaded.event.words == Direction.words
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict(), check_exact=True)
    other = Ensemble([event_forecaster("direction"), event_forecaster(None)])
    with pytest.raises(ConfigError, match="member 0.*is above its last value and member 1.*values"):
        other.fit(frame)
    with pytest.raises(ConfigError, match="weights='validation'.*probabilities"):
        Ensemble(fitted.members, weights="validation").fit(frame)


@pytest.mark.slow
def test_a_network_reads_the_order_of_codes() -> None:
    forecaster = event_forecaster("event", horizon=6, columns=Columns(past=("code",)), steps=250, context_length=14)
    scored = backtest(forecaster, make_codes(machines=12, steps=400), folds=15, name="net")
    table = scored.scores.set_index("model")
    assert table.auc["net"] > 0.93 > 0.75 > table.auc[["base_rate", "persistence"]].max()
    assert event_verdict(scored, name="net").startswith("net tells whether a target is 1 better than the best")


def _all(fitted: Forecaster, panel: Panel, series: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    known = panel.until(ends)
    simple = [kind(fitted.event, horizon=3).fit(known).predict(panel, series, ends) for kind in (BaseRate, Persistence)]
    return [fitted.predict_origins(panel, series, ends, levels=()), *simple]
