"""Training: batches, early stopping, averaging, schedules, the learning-rate finder, settings."""

from __future__ import annotations

import math
import random
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from frames import made_frame

from forecast import Forecaster, Panel, Training
from forecast.config import names
from forecast.data.encoding import Encoding
from forecast.data.windows import TrainingWindows, Windows, step_seed
from forecast.errors import ConfigError
from forecast.model import Model
from forecast.networks.recurrent import Recurrent
from forecast.training.module import ForecastModule

VALIDATED = {"validation": 2, "check_every": 5, "steps": 40}


def test_batches_are_a_pure_function_of_seed_and_step() -> None:
    windows = _windows()
    draws = TrainingWindows(windows, batch_size=8, seed=3, steps=6)
    again = list(TrainingWindows(windows, batch_size=8, seed=3, steps=6, start=4))
    assert len(again) == 2
    for step, batch in zip((4, 5), again, strict=True):
        torch.manual_seed(step)
        _assert_same(draws.draw(step), batch)
    other = TrainingWindows(windows, batch_size=8, seed=4, steps=6)
    assert not torch.equal(draws.draw(0)[0].target, other.draw(0)[0].target)
    assert not torch.equal(draws.draw(0)[0].target, draws.draw(1)[0].target)


def test_history_has_a_row_for_each_step() -> None:
    history = _fitted(steps=7).history_
    columns = ["step", "train_loss", "valid_loss", "learning_rate", "gradient_norm", "weight_norm"]
    assert list(history.columns) == columns
    assert history.step.tolist() == list(range(1, 8))
    assert history.drop(columns="valid_loss").notna().all(axis=None) and history.valid_loss.isna().all()


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_norms_of_gradient_and_weights_are_those_before_the_first_step(clip: float) -> None:
    """Worked out from the model as it began and the first batch; clipping comes after."""
    forecaster = _fitted(steps=3, gradient_clip=clip)
    panel = Panel.from_frame(made_frame(series=2, rows=40))
    windows = forecaster._windows(panel, device=torch.device("cpu"))
    draws = TrainingWindows(windows, batch_size=forecaster.training.batch_size, seed=0, steps=3)
    model = forecaster.fresh_model()
    model.scaler.fit(panel, forecaster.encoding_.numbers_of(panel.ids))
    torch.manual_seed(step_seed(0, 0))
    model.train().training_loss(*draws.draw(0)).backward()
    gradients = [weights.grad.square().sum() for weights in model.parameters()]
    squares = [weights.detach().square().sum() for weights in model.parameters()]
    first = forecaster.history_.iloc[0]
    assert first["gradient_norm"] == pytest.approx(float(sum(gradients)) ** 0.5, rel=1e-5)
    assert first["weight_norm"] == pytest.approx(float(sum(squares)) ** 0.5, rel=1e-5)


@pytest.mark.parametrize("optimizer", names("optimizer"))
def test_every_optimizer_lowers_the_loss(optimizer: str) -> None:
    losses = _fitted(steps=60, optimizer=optimizer, learning_rate=0.05, batch_size=32).history_.train_loss
    assert losses[-10:].mean() < 0.9 * losses[:5].mean()


def test_early_stopping_keeps_the_best_weights() -> None:
    """At so high a rate the loss rises again; what is kept must score the lowest loss that was seen."""
    forecaster = _fitted(**VALIDATED, learning_rate=0.3, schedule="constant", patience=2, refit=False)
    seen = forecaster.history_.set_index("step").valid_loss.dropna()
    assert (seen.index % 5 == 0).all()
    assert float(_held_back_loss(forecaster)) == pytest.approx(seen.min(), rel=1e-5)


def test_patience_ends_training() -> None:
    """A rate of almost 0 gains nothing after the first look, so training ends `patience` looks later."""
    forecaster = _fitted(**VALIDATED, learning_rate=1e-30, patience=3, refit=False)
    assert len(forecaster.history_) == 5 * (1 + 3)


def test_a_look_comes_even_where_training_is_shorter_than_its_interval() -> None:
    history = _fitted(steps=6, validation=1, check_every=50).history_
    assert history.valid_loss.notna().tolist() == [False] * 5 + [True]


def test_refit_trains_as_many_steps_as_were_best_on_everything() -> None:
    settings = {**VALIDATED, "learning_rate": 0.3, "schedule": "constant"}
    refitted = _fitted(**settings)
    seen = refitted.history_.set_index("step").valid_loss
    plain = _fitted(steps=int(seen.idxmin()), learning_rate=0.3, schedule="constant")
    _assert_same_weights(refitted.model_, plain.model_)
    assert not _has_same_weights(refitted.model_, _fitted(**settings, refit=False).model_)


def test_series_too_short_to_hold_anything_back_do_not_stop_training() -> None:
    frame = made_frame(series=3, rows=40)
    keep = (frame.unique_id != "s1") | (frame.groupby("unique_id").cumcount() < 3)
    forecaster = _forecaster(steps=4, validation=1, check_every=2).fit(frame[keep])
    assert forecaster.history_.valid_loss.notna().sum() == 2
    assert np.isfinite(forecaster.predict().forecast).all()


def test_held_back_horizons_without_a_value_do_not_spoil_the_validation_loss() -> None:
    frame = made_frame(series=2, rows=40)
    frame.loc[frame.groupby("unique_id").cumcount() >= 38, "y"] = np.nan
    history = _fitted(steps=4, validation=2, check_every=2, frame=frame).history_
    assert np.isfinite(history.valid_loss.dropna()).all() and history.valid_loss.notna().sum() == 2


def test_weight_averaging_keeps_the_moving_average() -> None:
    """Worked out by a plain loop over the weights after each step."""
    decay, steps = 0.9, 6
    settings = {"schedule": "constant", "learning_rate": 0.01}
    averaged = None
    for step in range(1, steps + 1):
        weights = dict(_fitted(steps=step, **settings).model_.named_parameters())
        if averaged is None:
            averaged = {label: weight.detach().clone() for label, weight in weights.items()}
        else:
            averaged = {label: decay * averaged[label] + (1 - decay) * weight for label, weight in weights.items()}
    got = dict(_fitted(steps=steps, weight_averaging=decay, **settings).model_.named_parameters())
    for label, weight in averaged.items():
        torch.testing.assert_close(got[label], weight, rtol=1e-5, atol=1e-6)


def test_early_stopping_keeps_the_averaged_weights_that_it_scored() -> None:
    forecaster = _fitted(**VALIDATED, weight_averaging=0.9, learning_rate=0.05, refit=False)
    seen = forecaster.history_.valid_loss.dropna()
    assert float(_held_back_loss(forecaster)) == pytest.approx(seen.min(), rel=1e-5)


def test_gradients_are_clipped_to_the_norm() -> None:
    """Plain gradient descent moves by the rate times the clipped norm, however steep the loss is."""
    settings: dict[str, Any] = {"steps": 1, "learning_rate": 1.0, "schedule": "constant"}
    settings["optimizer"] = {"_target_": "torch.optim.SGD"}
    start = _fitted(**{**settings, "learning_rate": 1e-30})
    for norm in (0.01, 0.1):
        moved = _distance(_fitted(**settings, gradient_clip=norm).model_, start.model_)
        assert moved == pytest.approx(norm, rel=1e-3)
    assert _distance(_fitted(**settings, gradient_clip=0.0).model_, start.model_) > 0.2


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", lambda step: 1.0),
        ("cosine", lambda step: 0.001 + 0.999 * (1 + math.cos(math.pi * step / 20)) / 2),
        (
            "one_cycle",
            lambda step: (
                1.0 + (0.04 - 1.0) * (1 + math.cos(math.pi * step / 4)) / 2
                if step < 4
                else 0.001 + 0.999 * (1 + math.cos(math.pi * (step - 4) / 16)) / 2
            ),
        ),
    ],
)
def test_schedules_move_the_rate_of_the_optimizer(schedule: str, expected: Any) -> None:
    training = Training(steps=20, schedule=schedule, learning_rate=0.5)
    model = _fitted(steps=1).model_
    options = ForecastModule(model, training, seed=0).configure_optimizers()
    optimizer, scheduler = options["optimizer"], options["lr_scheduler"]["scheduler"]
    assert options["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates, [0.5 * expected(step) for step in range(20)], rtol=1e-6)
    fitted = _fitted(steps=20, schedule=schedule, learning_rate=0.5)
    np.testing.assert_allclose(fitted.history_.learning_rate, rates, rtol=1e-6)


def test_the_learning_rate_found_leaves_weights_and_random_numbers_as_they_were() -> None:
    found = _fitted(steps=3, learning_rate="find")
    rate = found.history_.learning_rate.iloc[0] / 0.04  # one cycle starts at 4 % of its peak
    assert 1e-5 <= rate <= 0.3
    given = _fitted(steps=3, learning_rate=float(rate))
    np.testing.assert_allclose(found.history_.train_loss, given.history_.train_loss, rtol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"learning_rate": "find"}, {"validation": 1, "check_every": 2}])
def test_training_leaves_the_random_state_of_the_caller(settings: dict[str, Any]) -> None:
    torch.manual_seed(11), np.random.seed(11), random.seed(11)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    _fitted(steps=3, **settings)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1] and random.getstate() == before[2]


def test_dropout_is_drawn_from_the_seed_alone() -> None:
    model = partial(Recurrent, cell="gru", hidden_size=8, layers=2, dropout=0.5)
    torch.manual_seed(1)
    first = _fitted(model, steps=4)
    torch.manual_seed(2)
    second = _fitted(model, steps=4)
    _assert_same_weights(first.model_, second.model_)
    without = _fitted(partial(Recurrent, cell="gru", hidden_size=8, layers=2), steps=4)
    assert not _has_same_weights(first.model_, without.model_)
    assert first.predict().equals(first.predict())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", 1.5),
        ("batch_size", "many"),
        ("validation", -1),
        ("check_every", 0),
        ("patience", True),
        ("checkpoint_every", -5),
        ("learning_rate", 0),
        ("learning_rate", "best"),
        ("learning_rate", -0.1),
        ("schedule", "linear"),
        ("gradient_clip", -1.0),
        ("weight_averaging", 1.0),
        ("weight_averaging", "some"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"training\.{name}.*{value}"):
        _fitted(**{"steps": 2, name: value})


def test_an_unknown_optimizer_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"there is no optimizer 'adm'. Choose one of: adam"):
        _fitted(steps=1, optimizer="adm")


def test_too_much_held_back_is_refused() -> None:
    with pytest.raises(ValueError, match="validat|train on"):
        _fitted(steps=2, validation=100)


def _forecaster(model: Any = "gru", **settings: Any) -> Forecaster:
    return Forecaster(
        model,
        horizon=2,
        context_length=6,
        training=Training(**{"batch_size": 8, **settings}),
        accelerator="cpu",
        progress=False,
    )


def _fitted(model: Any = "gru", frame: Any = None, **settings: Any) -> Forecaster:
    return _forecaster(model, **settings).fit(made_frame(series=2, rows=40) if frame is None else frame)


def _windows() -> Windows:
    panel = Panel.from_frame(made_frame(series=2, rows=40))
    return Windows(panel, Encoding.fit(panel), context_length=6, horizon=2)


def _held_back_loss(forecaster: Forecaster) -> torch.Tensor:
    """Return the loss over the two held-back horizons, by hand."""
    panel = Panel.from_frame(made_frame(series=2, rows=40))
    windows = Windows(panel, forecaster.encoding_, context_length=6, horizon=2)
    series = torch.arange(2)
    batches = [windows.batch(series, torch.full((2,), end)) for end in (36, 38)]
    with torch.no_grad():
        return torch.stack([forecaster.model_.training_loss(*batch) for batch in batches]).mean()


def _distance(model: Model, other: Model) -> float:
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return math.sqrt(sum(float((a - b).detach().square().sum()) for a, b in pairs))


def _has_same_weights(model: Model, other: Model) -> bool:
    others = deepcopy(other.state_dict())
    return all(torch.equal(value, others[label]) for label, value in model.state_dict().items())


def _assert_same_weights(model: Model, other: Model) -> None:
    assert _has_same_weights(model, other)


def _assert_same(batch: tuple, other: tuple) -> None:
    for one, two in zip((*batch[0], *batch[1]), (*other[0], *other[1]), strict=True):
        assert torch.equal(one, two)
