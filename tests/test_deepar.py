"""DeepAR: what each step reads, and that its paths are drawn, fed back and distributed as they should be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from batches import SIZES, WIDE, made_batch
from frames import made_frame, made_roles

from forecast import Columns, Forecaster, Training
from forecast.batch import Inputs, Outcome, Sizes
from forecast.config import build, read
from forecast.errors import ConfigError
from forecast.losses import StudentT
from forecast.losses.loss import uniforms
from forecast.model import Model, empirical_quantiles
from forecast.networks.channels import ByChannel
from forecast.networks.deepar import DeepAR

TWO = replace(WIDE, targets=2)
ONE = torch.ones(1)  # scale


def test_parameters_are_those_of_the_stack_and_one_map_for_all_steps() -> None:
    network = DeepAR(replace(SIZES, season=3), cell="lstm", hidden_size=8, layers=2, lags=2)
    read = 1 + 1 + 1 + 2 * 2  # value, mask, scale; value and mask of two lags
    first, second = 4 * 8 * (read + 8 + 2), 4 * 8 * (8 + 8 + 2)
    assert sum(weights.numel() for weights in network.parameters()) == first + second + (8 + 1) * SIZES.outputs


@pytest.mark.parametrize("options", [{}, {"lags": 1, "bypass": True}, {"cell": "gru", "layers": 1}], ids=str)
def test_free_running_on_the_true_values_is_the_teacher_forced_pass(options: dict) -> None:
    """One pass over context and horizon, and one step after the other, are the same recursion."""
    network, inputs, teacher = _network(TWO, **options), _inputs(TWO), _teacher(TWO)
    truth = iter(teacher.target.unbind(1))
    torch.testing.assert_close(
        network(inputs, None, lambda raw: next(truth)), network(inputs, teacher), rtol=1e-4, atol=1e-5
    )


def test_each_step_is_centred_on_the_value_before_it() -> None:
    network, inputs, teacher = _network(SIZES), _inputs(SIZES), _teacher(SIZES)
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.zero_()
    expected = torch.cat([inputs.target[:, -1:], teacher.target[:, :-1]], dim=1)
    torch.testing.assert_close(network(inputs, teacher)[..., 0], expected)


def test_a_step_reads_lags_of_the_step_that_follows() -> None:
    network, inputs = _network(SIZES, lags=1), _inputs(SIZES)
    value, mask = network._lagged(inputs.target, inputs.observed)
    back = SIZES.season - 1
    torch.testing.assert_close(value[:, back:], inputs.target[:, :-back])
    assert (value[:, :back] == 0).all() and (mask[:, :back] == 0).all() and (mask[:, back:] == 1).all()


def test_the_outputs_of_a_step_see_no_value_of_it_or_later() -> None:
    network, inputs, teacher = _network(SIZES).train(), _inputs(SIZES), _teacher(SIZES)
    network.dropout.p = network.recurrent.dropout.p = 0.0
    before = network(inputs, teacher)
    assert before.shape[1] == SIZES.context_length - 1 + SIZES.horizon
    for step in range(SIZES.horizon):
        poisoned = teacher._replace(target=teacher.target.clone())
        poisoned.target[:, step:] = 1e6
        own = SIZES.context_length - 1 + step  # of step 2 the outputs come first
        torch.testing.assert_close(network(inputs, poisoned)[:, : own + 1], before[:, : own + 1], rtol=0, atol=0)


def test_training_learns_from_every_step_but_the_first_and_validation_from_the_horizon() -> None:
    model, (inputs, outcome) = _model(SIZES), made_batch(SIZES)
    model.network.dropout.p = model.network.recurrent.dropout.p = 0.0
    scaled, affine = model.scaler(inputs)
    teacher = outcome._replace(target=affine.horizon(4).scaled(outcome.target).float())
    truth = torch.cat([scaled.target[:, 1:], teacher.target], dim=1)
    expected = model.loss.stepwise(model.network.train()(scaled, teacher), truth, ONE)
    torch.testing.assert_close(model.train().training_loss(inputs, outcome), expected.mean())
    torch.testing.assert_close(model.eval().training_loss(inputs, outcome), expected[:, -SIZES.horizon :].mean())


def test_a_step_before_which_nothing_was_observed_teaches_nothing() -> None:
    model, (inputs, outcome) = _model(SIZES), made_batch(SIZES)
    model.network.dropout.p = model.network.recurrent.dropout.p = 0.0
    inputs.observed[:, :5] = inputs.target[:, :5] = 0
    scaled, affine = model.scaler(inputs)
    teacher = outcome._replace(target=affine.horizon(4).scaled(outcome.target).float())
    truth = torch.cat([scaled.target[:, 1:], teacher.target], dim=1)
    expected = model.loss.stepwise(model.network.train()(scaled, teacher), truth, ONE)[:, 5:]  # outputs begin at step 2
    torch.testing.assert_close(model.train().training_loss(inputs, outcome), expected.mean())


def test_a_gap_in_the_horizon_of_a_training_window_teaches_nothing() -> None:
    model, (inputs, outcome) = _model(SIZES).eval(), made_batch(SIZES)
    outcome.observed[:, 1] = 0
    outcome.target[:, 1] = 0
    before = model.training_loss(inputs, outcome)
    outcome.target[:, 1] = 1e9
    assert before.isfinite() and torch.equal(model.training_loss(inputs, outcome), before)


def test_a_step_after_a_gap_is_centred_on_the_last_observed_value() -> None:
    network, inputs, teacher = _network(SIZES), _inputs(SIZES), _teacher(SIZES)
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.zero_()
    for part in (inputs.target, inputs.observed):
        part[:, -2:] = 0
    for part in teacher:
        part[:, 1] = 0
    last = inputs.target[:, -3]
    expected = torch.stack([last, teacher.target[:, 0], teacher.target[:, 0], teacher.target[:, 2]], dim=1)
    torch.testing.assert_close(network(inputs, teacher)[..., 0], expected)
    torch.testing.assert_close(network(inputs)[..., 0], last[:, None].expand(-1, SIZES.horizon, -1))


@pytest.mark.parametrize("paths", [0, 10_001])
def test_a_number_of_paths_that_makes_no_sense_is_refused(paths: int) -> None:
    with pytest.raises(ConfigError, match=f"paths is a whole number from 1 to 10,000, got {paths}"):
        DeepAR(SIZES, paths=paths)


@pytest.mark.parametrize("loss", ["quantile", "mae", "mse", "huber"])
def test_losses_without_a_distribution_are_refused(loss: str) -> None:
    with pytest.raises(ConfigError, match="Choose loss=student_t or loss=gaussian"):
        Model(_network(SIZES), build("scaling", "last"), build("loss", loss))


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("options", [{}, {"bypass": True, "lags": 1}], ids=str)
def test_paths_returned_are_those_fed_back(by_channel: bool, options: dict) -> None:
    """Each row of the network, run alone on the values of a path, tells the distribution that they were drawn from."""
    model, (inputs, _) = _model(TWO, by_channel=by_channel, **options).eval(), made_batch(TWO, count=3)
    draw = {"n": 4, "generator": torch.Generator().manual_seed(5)}
    paths = model.paths(inputs, **draw)  # (B, H, C, n)
    scaled, affine = model.scaler(inputs)
    uniform = uniforms(TWO.horizon, 4, 2, generator=torch.Generator().manual_seed(5), like=scaled.target)
    for path in range(4):
        values = affine.horizon(TWO.horizon).scaled(paths[..., path]).float()
        fed = iter(values.unbind(1))
        with torch.no_grad():
            raw = model.network(scaled, None, lambda raw, fed=fed: next(fed))
        own = model.loss.scaled_draws(raw, uniform[:, path], ONE)  # (B, H, C)
        torch.testing.assert_close(own, values, rtol=1e-3, atol=1e-3)


def test_a_forecast_does_not_depend_on_what_else_is_in_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (inputs, _) = _model(WIDE).eval(), made_batch(WIDE)
    whole = model.forecast(inputs, [0.1, 0.9])
    monkeypatch.setattr("forecast.model.ROWS", 250)  # two windows of 100 paths at a time
    torch.testing.assert_close(model.forecast(inputs, [0.1, 0.9]), whole, rtol=1e-4, atol=1e-4)
    for row in range(len(inputs.target)):
        alone = Inputs(*(part[row : row + 1] for part in inputs))
        torch.testing.assert_close(model.forecast(alone, [0.1, 0.9]), whole[row : row + 1], rtol=1e-4, atol=1e-4)


def test_the_forecast_is_the_median_and_the_quantiles_of_the_paths() -> None:
    model, (inputs, _) = _model(SIZES).eval(), made_batch(SIZES)
    paths = model.paths(inputs, 100, torch.Generator().manual_seed(3))
    levels = [0.5, 0.02, 0.3, 0.97]
    expected = np.quantile(paths.numpy(), levels, axis=-1, method="median_unbiased")
    np.testing.assert_allclose(model.forecast(inputs, levels[1:], seed=3).numpy(), np.moveaxis(expected, 0, -1))


def test_quantiles_of_few_draws_stay_within_them() -> None:
    draws = torch.tensor([[3.0, 1.0, 2.0]])
    torch.testing.assert_close(empirical_quantiles(draws, [0.01, 0.5, 0.99]), torch.tensor([[1.0, 2.0, 3.0]]))


def test_sample_gives_the_same_paths_again_as_a_table() -> None:
    frame = made_frame(covariates=True).assign(z=lambda table: 100 * table["y"])
    is_future = frame.groupby("unique_id").cumcount() >= 57
    columns = Columns(**{**made_roles(), "target": ("y", "z"), "joint": False, "minimum": 0})
    quick = {"training": Training(steps=2, batch_size=4), "accelerator": "cpu", "progress": False}
    forecaster = Forecaster("deepar", horizon=3, context_length=8, columns=columns, **quick).fit(frame[~is_future])
    call = {"frame": frame[~is_future], "future": frame[is_future], "paths": 5}
    drawn = forecaster.sample(**call)
    assert list(drawn) == ["unique_id", "ds", "target", "sample", "forecast"]
    assert len(drawn) == 2 * 2 * 5 * 3 and drawn["sample"].unique().tolist() == [0, 1, 2, 3, 4]
    assert (drawn["forecast"] >= 0).all() and drawn.groupby(["unique_id", "ds", "target"])[
        "forecast"
    ].nunique().min() == 5
    pd.testing.assert_frame_equal(forecaster.sample(**call), drawn)
    pd.testing.assert_frame_equal(
        forecaster.predict(frame[~is_future], future=frame[is_future]),
        forecaster.predict(frame[~is_future], future=frame[is_future]),
    )
    with pytest.raises(ConfigError, match="paths is a whole number of 1 or more, got 0"):
        forecaster.sample(paths=0)


def test_networks_that_do_not_feed_back_draw_each_step_by_itself() -> None:
    quick = {"training": Training(steps=2, batch_size=4), "accelerator": "cpu", "progress": False}
    forecaster = Forecaster("gru", horizon=3, context_length=8, **quick).fit(made_frame())
    drawn = forecaster.sample(paths=400)
    told = drawn.groupby(["unique_id", "ds"])["forecast"].median().to_numpy()
    wide = forecaster.predict()
    np.testing.assert_allclose(told, wide["forecast"], atol=float((wide["q0.7"] - wide["q0.3"]).max()) / 2)


@pytest.mark.slow
def test_paths_of_an_autoregression_move_as_it_does() -> None:
    """y = .8 y' + e: at lag 1 paths correlate by .8 far ahead, and sums over the horizon spread as theory says."""
    random, rows, horizon = np.random.default_rng(0), 400, 12
    noise = random.normal(size=(20, rows))
    values = np.zeros((20, rows))
    for step in range(1, rows):
        values[:, step] = 0.8 * values[:, step - 1] + noise[:, step]
    frame = made_frame(series=20, rows=rows, freq="1").assign(y=values.reshape(-1))
    model = {**read("model", "deepar"), "hidden_size": 16, "layers": 1, "dropout": 0.0}
    forecaster = Forecaster(
        model, horizon=horizon, context_length=24, seasonality=1, loss="gaussian", scaling="none",
        training=Training(steps=300), accelerator="cpu", progress=False,
    ).fit(frame)  # fmt: skip
    drawn = forecaster.sample(paths=2000).pivot_table(index=["unique_id", "sample"], columns="ds", values="forecast")
    paths = drawn.to_numpy().reshape(20, 2000, horizon)
    centred = paths - paths.mean(axis=1, keepdims=True)
    late = np.mean([np.corrcoef(centred[number, :, -2], centred[number, :, -1])[0, 1] for number in range(20)])
    ahead = np.arange(horizon)
    theory_late = 0.8 * np.sqrt((1 - 0.64 ** (horizon - 1)) / (1 - 0.64**horizon))
    assert abs(late - theory_late) < 0.05
    spread = sum(((1 - 0.8 ** (horizon - step)) / 0.2) ** 2 for step in ahead)  # of the sum of all steps
    assert abs(centred.sum(axis=2).var(axis=1).mean() / spread - 1) < 0.15
    order = sorted(range(20), key=str)  # the table goes by name: s0, s1, s10, ...
    last = values[order, -1, None] * 0.8 ** (ahead + 1)
    assert np.abs(paths.mean(axis=1) - last).mean() < 0.3


def _network(sizes: Sizes, **options: object) -> DeepAR:
    torch.manual_seed(0)
    return DeepAR(sizes, **{"hidden_size": 8, **options}).eval()  # type: ignore[arg-type]


def _model(sizes: Sizes, *, by_channel: bool = False, **options: object) -> Model:
    scaler = build("scaling", "last")
    scaler.prepare(sizes)
    network = ByChannel(lambda own: _network(own, **options), sizes) if by_channel else _network(sizes, **options)
    return Model(network, scaler, StudentT())


def _inputs(sizes: Sizes) -> Inputs:
    inputs, _ = made_batch(sizes)
    return inputs._replace(target=(inputs.target - 10).float(), scale=torch.randn(5, sizes.targets))


def _teacher(sizes: Sizes) -> Outcome:
    _, outcome = made_batch(sizes)
    return outcome._replace(target=(outcome.target - 10).float())
