"""A loss that is not finite: it stops training at its step, or training goes back and on at a lower rate."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from command import forecast
from frames import made_frame
from test_resume import Stopped, stops

from forecast import Ensemble, Forecaster, Training
from forecast.errors import ConfigError, DataError, TrainingError
from forecast.losses import MSE
from forecast.training.divergence import Diverged
from forecast.training.module import ForecastModule
from forecast.training.snapshot import loaded

WILD = {"loss": MSE, "learning_rate": 100.0, "gradient_clip": 0.0, "schedule": "constant", "optimizer": "sgd"}


def test_a_loss_that_is_not_finite_stops_training_before_the_weights_move(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    clip = ForecastModule.configure_gradient_clipping

    def remembering(module: ForecastModule, *arguments: Any, **options: Any) -> None:
        seen["before"] = [weights.detach().clone() for weights in module.model.parameters()]
        seen["model"] = module.model
        clip(module, *arguments, **options)

    monkeypatch.setattr(ForecastModule, "configure_gradient_clipping", remembering)
    with pytest.raises(Diverged, match=r"is not finite at step \d+ of 60, .* of the 16 windows"):
        _forecaster(**WILD).fit(made_frame())
    for weights, before in zip(seen["model"].parameters(), seen["before"], strict=True):
        assert torch.equal(weights, before) and weights.isfinite().all()


def test_a_rate_too_high_is_named_with_the_way_out() -> None:
    with pytest.raises(TrainingError, match=r"series 's0', 's1'.*learning rate \(1e\+30\).*on_divergence=lower_rate"):
        _forecaster(**{**WILD, "learning_rate": 1e30}).fit(made_frame())


def test_values_too_large_for_the_scaling_are_named_with_their_series() -> None:
    frame = made_frame(series=3)
    frame.loc[frame["unique_id"] == "s1", "y"] *= 1e30
    with pytest.raises(TrainingError, match=r"of its batch: series 's1'\. Scaled, .* 's1' reach .*scaling=window"):
        _forecaster(scaling="none", loss=MSE).fit(frame)


def test_a_gradient_alone_that_is_not_finite_stops_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(module: ForecastModule) -> None:
        if module.done == 4:
            next(module.model.parameters()).grad.fill_(float("inf"))

    monkeypatch.setattr(ForecastModule, "on_after_backward", spoil)
    for clip in (0.0, 1.0):
        with pytest.raises(Diverged, match="the gradient is not finite at step 5 of 60, though the loss of each of"):
            _forecaster(gradient_clip=clip).fit(made_frame())


def test_a_loss_on_steps_held_back_that_is_not_finite_stops_training() -> None:
    frame = made_frame()
    frame.loc[frame.groupby("unique_id").cumcount() == 59, "y"] = 1e30
    match = r"not finite on the steps held back, after step 2 of 60, in 2 of the 2 windows"
    with pytest.raises(Diverged, match=match):
        _forecaster(loss=MSE, scaling="none", validation=1, check_every=2).fit(frame)


def test_intervals_from_errors_that_are_not_finite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MSE, "calibrate", lambda *_: pytest.fail("took the errors"))
    monkeypatch.setattr(ForecastModule, "on_train_end", lambda module: _fill(module, 3e38))
    with pytest.raises(Diverged, match="on the windows that intervals are taken from"):
        _forecaster(loss=MSE).fit(made_frame())


@pytest.mark.slow
@pytest.mark.parametrize("folder", [True, False])
def test_a_lower_rate_goes_on_from_the_last_checkpoint_or_the_start(
    folder: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = _lowered().fit(made_frame(), folder=tmp_path if folder else None)
    assert np.isfinite(first.predict()["forecast"]).all()
    rates = first.history_["learning_rate"]
    assert rates.iloc[-1] < 100 and np.isfinite(first.history_["train_loss"]).all()
    told = [record.getMessage() for record in caplog.records if "Going back to step" in record.getMessage()]
    assert 1 <= len(told) <= 3 and f"learning rate of {rates.iloc[-1]:g}" in told[-1]
    again = _lowered().fit(made_frame())
    pd.testing.assert_frame_equal(again.history_, first.history_, check_exact=True)
    pd.testing.assert_frame_equal(again.predict(), first.predict(), check_exact=True)


def test_only_steps_after_the_checkpoint_have_the_lower_rate(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _diverging(monkeypatch, at=25, above=0.005)
    history = (
        _forecaster(on_divergence="lower_rate", schedule="constant", learning_rate=0.01).fit(made_frame()).history_
    )
    np.testing.assert_allclose(history["learning_rate"], [0.01] * 24 + [0.001] * 36)
    assert "Going back to step 24, and on at a learning rate of 0.001" in caplog.text


def test_a_second_divergence_from_one_checkpoint_goes_back_to_the_start_and_a_fourth_stops(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _diverging(monkeypatch, at=25, above=0)
    with pytest.raises(Diverged, match="lowered 3 times"):
        _forecaster(on_divergence="lower_rate", learning_rate=0.01).fit(made_frame())
    steps = [record.args[1] for record in caplog.records if "Going back" in str(record.msg)]
    assert steps == [24, 0, 24]


@pytest.mark.parametrize("at", [pytest.param(10, marks=pytest.mark.slow), 30, pytest.param(45, marks=pytest.mark.slow)])
def test_a_training_at_a_lower_rate_resumes_bit_equal(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _diverging(monkeypatch, at=41, above=0.0005)
    settings = {"on_divergence": "lower_rate", "learning_rate": 0.01}
    whole = _forecaster(**settings).fit(made_frame())
    with stops(at, skip=1 if at == 30 else 0), pytest.raises(Stopped):
        _forecaster(**settings).fit(made_frame(), folder=tmp_path)
    resumed = _forecaster(**settings).fit(made_frame(), folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.history_, whole.history_, check_exact=True)
    pd.testing.assert_frame_equal(resumed.predict(), whole.predict(), check_exact=True)


def test_what_stopped_may_go_on_at_a_lower_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _diverging(monkeypatch, at=41, above=0.005)
    with pytest.raises(Diverged):
        _forecaster(learning_rate=0.01).fit(made_frame(), folder=tmp_path)
    steps = {path.name: loaded(path.read_bytes())["step"] for path in tmp_path.iterdir()}
    assert steps == {"last.safetensors": 36, "stopped.safetensors": 41}
    whole = _forecaster(learning_rate=0.01, on_divergence="lower_rate").fit(made_frame())
    resumed = _forecaster(learning_rate=0.01, on_divergence="lower_rate").fit(made_frame(), folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.history_, whole.history_, check_exact=True)
    pd.testing.assert_frame_equal(resumed.predict(), whole.predict(), check_exact=True)


@pytest.mark.slow
def test_the_command_line_says_how_to_go_on_and_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _diverging(monkeypatch, at=5, above=0.005)
    words = ("training.steps=8", "training.checkpoint_every=2", "progress=false", "accelerator=cpu", "horizon=4")
    more = ("training.schedule=constant", "model.hidden_size=4", "hydra.run.dir=run", "logger=none")
    assert forecast("train", *words, *more) == 2
    way_on = "forecast train resume=run training.on_divergence=lower_rate"
    told = capsys.readouterr().err
    assert told.count("forecast: ") == 1 and f"To go on with this run: {way_on}" in told
    assert forecast(*way_on.split()[1:]) == 0
    assert np.isfinite(pd.read_csv("run/forecast.csv")["forecast"]).all()


def test_an_answer_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no training\.on_divergence 'lower'. Choose one of: lower_rate, stop"):
        _forecaster(on_divergence="lower").fit(made_frame())


@pytest.mark.parametrize("scaling", ["last", "log"])
def test_a_forecast_that_is_not_finite_is_refused_by_series_and_step(scaling: str) -> None:
    fitted = _forecaster(steps=2, scaling=scaling).fit(made_frame())
    _fill(fitted.model_, 3e38)
    with pytest.raises(DataError, match=r"forecast of series 's0' is (nan|inf|-inf) at step 1"):
        fitted.predict()
    ensemble = Ensemble([_forecaster(steps=2), _forecaster(steps=2, seed=1)]).fit(made_frame())
    _fill(ensemble.members_[1].model_, math.nan)
    with pytest.raises(DataError, match=r"member 1 .*forecast of series 's0' is nan"):
        ensemble.predict()


ON_CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), ON_CPU])
def test_memory_that_does_not_suffice_says_what_to_lower(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = _forecaster(steps=2).fit(made_frame())

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(ForecastModule, "training_step", fail)
    with pytest.raises(TrainingError, match=r"memory does not suffice.*Lower training\.batch_size, context_length"):
        _forecaster().fit(made_frame())
    monkeypatch.setattr(type(fitted.model_), "forward", fail)
    with pytest.raises(DataError, match=r"memory does not suffice.*Forecast fewer series at a time"):
        fitted.predict()


def _diverging(monkeypatch: pytest.MonkeyPatch, *, at: int, above: float) -> None:
    """Make the loss infinite at one step, as long as the peak of the learning rate is above something."""
    step = ForecastModule.training_step

    def training_step(module: ForecastModule, batch: Any, index: int) -> Any:
        loss = step(module, batch, index)
        if module.done == at and module.learning_rate > above:
            module.losses[-1] = module.losses[-1] * math.inf
        return loss

    monkeypatch.setattr(ForecastModule, "training_step", training_step)


def _fill(module: torch.nn.Module, value: float) -> None:
    with torch.no_grad():
        for weights in module.parameters():
            weights.fill_(value)


def _lowered() -> Forecaster:
    return _forecaster(**WILD, on_divergence="lower_rate")


def _forecaster(*, loss: Any = "quantile", scaling: Any = "last", seed: int = 0, **training: Any) -> Forecaster:
    settings = {"steps": 60, "batch_size": 16, "checkpoint_every": 12, **training}
    return Forecaster(
        {"_target_": "forecast.networks.recurrent.Recurrent", "hidden_size": 4, "dropout": 0.2, "layers": 2},
        horizon=4,
        context_length=8,
        loss=loss,
        scaling=scaling,
        seed=seed,
        training=Training(**settings),
        accelerator="cpu",
        progress=False,
    )
