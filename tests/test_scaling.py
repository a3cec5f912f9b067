"""Every scaling of conf/scaling: exact inverses, equivariant forecasts, and extreme values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from batches import SIZES, made_batch
from frames import made_frame
from scipy.special import boxcox
from scipy.stats import boxcox_normmax

from forecast import Forecaster, Panel, Training
from forecast.batch import Inputs, Sizes
from forecast.config import build, names
from forecast.errors import DataError
from forecast.scaling import Scaler, SeriesScaler

SCALINGS = names("scaling")
POSITIVE = [name for name in SCALINGS if build("scaling", name).transform != "none"]
# The shift that each follows.
EQUIVARIANT = {
    "window": -3e7,
    "last": -3e7,
    "level": -3e7,
    "series": -3e7,
    "mean_abs": 0.0,
}


@pytest.fixture(params=SCALINGS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("unit", [1e-30, 1e-3, 1.0, 1e9, 1e30])
def test_restored_undoes_scaled(name: str, unit: float) -> None:
    """Log and Box-Cox stretch the roundings of the logarithm, so they return to about nine digits."""
    frame = _walk().assign(y=lambda table: table.y * unit)
    scaler = _fitted(name, frame)
    inputs = _windows(frame)
    scaled, affine = scaler(inputs)
    assert scaled.target.dtype == torch.float32 and scaled.target.isfinite().all()
    exact = affine.context(12).scaled(scaler.transformed(inputs.target))
    restored = scaler.restored(affine.context(12).restored(exact))
    torch.testing.assert_close(restored, inputs.target, rtol=1e-12 if scaler.transform == "none" else 1e-8, atol=0)


def test_loc_and_scale_broadcast_over_context_and_horizon(name: str) -> None:
    inputs, outcome = made_batch(Sizes(context_length=12, horizon=4, targets=2))
    scaler = build("scaling", name)
    scaler.prepare(Sizes(context_length=12, horizon=4, targets=2))
    _, affine = scaler(inputs)
    both = torch.cat([inputs.target, outcome.target], dim=1)
    assert affine.scaled(both).shape == both.shape
    assert (affine.scale > 0).all()
    torch.testing.assert_close(affine.scaled(both)[:, 12:], affine.horizon(4).scaled(outcome.target))


def test_each_target_of_a_window_has_a_scale(name: str) -> None:
    sizes = Sizes(context_length=12, horizon=4, targets=2)
    scaler, (inputs, _) = build("scaling", name), made_batch(sizes)
    scaler.prepare(sizes)
    scaled, affine = scaler(inputs)
    assert scaled.scale.shape == inputs.scale.shape
    torch.testing.assert_close(scaled.scale, affine.scale[:, -1].log().expand(5, 2).float())


def test_a_forward_pass_keeps_nothing(name: str) -> None:
    scaler = _fitted(name, _walk())
    state = {label: value.clone() for label, value in scaler.state_dict().items()}
    attributes = set(vars(scaler))
    scaler(_windows(_walk(seed=1)))
    assert set(vars(scaler)) == attributes
    for label, value in scaler.state_dict().items():
        torch.testing.assert_close(value, state[label], equal_nan=True)


def test_unobserved_steps_are_zero_and_move_no_statistic(name: str) -> None:
    scaler = _fitted(name, _walk())
    inputs = _windows(_walk())
    inputs.observed[:, :5] = 0
    clean, affine = scaler(inputs)
    poisoned, same = scaler(inputs._replace(target=inputs.target.masked_fill(inputs.observed == 0, 1e30)))
    assert (clean.target[:, :5] == 0).all()
    torch.testing.assert_close(poisoned.target, clean.target, rtol=0, atol=0)
    torch.testing.assert_close(tuple(same), tuple(affine), rtol=0, atol=0)


def test_box_cox_of_unobserved_steps_is_no_infinity() -> None:
    """At a negative exponent the transform of 0 is minus infinity, which no mask of 0 takes back."""
    scaler = _fitted("box_cox", _walk())
    scaler.exponent.fill_(-1.0)
    inputs = _windows(_walk())
    inputs.observed[:, :5] = 0
    scaled, affine = scaler(inputs._replace(target=inputs.target * inputs.observed))
    assert scaled.target.isfinite().all() and (scaled.target[:, :5] == 0).all()
    assert affine.loc.isfinite().all() and affine.scale.isfinite().all()


@pytest.mark.parametrize("level", [0.1, 7.0, 123456.7, 1e30])
def test_constant_windows_stay_sane(name: str, level: float) -> None:
    frame = _walk().assign(y=level)
    scaler = _fitted(name, frame)
    scaled, affine = scaler(_windows(frame))
    assert scaled.target.isfinite().all() and (affine.scale > 0).all()
    one_off = scaler.restored(affine.restored(torch.ones(1, 1, 1, dtype=torch.float64)))
    assert one_off.isfinite().all()
    if name != "none":
        assert (scaled.target.abs() < 2).all()


@pytest.mark.parametrize("name", [name for name in SCALINGS if name not in POSITIVE])
def test_all_zero_windows_stay_zero(name: str) -> None:
    frame = _walk().assign(y=0.0)
    scaler = _fitted(name, frame)
    scaled, affine = scaler(_windows(frame))
    assert (scaled.target == 0).all() and (affine.scale > 0).all() and affine.scale.isfinite().all()


def test_a_window_without_any_observation_stays_finite(name: str) -> None:
    inputs = _windows(_walk())
    inputs = inputs._replace(target=inputs.target * 0, observed=inputs.observed * 0, series=inputs.series * 0)
    scaled, affine = _fitted(name, _walk())(inputs)
    assert (scaled.target == 0).all()
    assert affine.loc.abs().max() < 1e6 and (affine.scale > 0).all() and (affine.scale < 1e6).all()


@pytest.mark.parametrize("name", ["window", "last", "mean_abs"])
def test_statistics_are_those_of_a_plain_loop(name: str) -> None:
    inputs = _windows(_walk())
    inputs.observed[0, 3:5], inputs.observed[1, -2:] = 0, 0
    _, affine = build("scaling", name)(inputs)
    for row in range(3):
        values = inputs.target[row, inputs.observed[row] > 0].numpy()
        loc, scale = {
            "window": (values.mean(), values.std()),
            "last": (values[-1], values.std()),
            "mean_abs": (0.0, np.abs(values).mean()),
        }[name]
        assert float(affine.loc[row, 0, 0]) == pytest.approx(loc)
        assert float(affine.scale[row, 0, 0]) == pytest.approx(scale)


def test_series_statistics_come_from_the_training_span() -> None:
    frame = _walk()
    panel = Panel.from_frame(frame)
    ends = panel.ends - 10
    scaler = SeriesScaler()
    scaler.prepare(Sizes(context_length=12, horizon=4, series=4))
    scaler.fit(panel.until(ends))
    for number in range(3):
        values = panel.series(number)[: ends[number]]
        assert float(scaler.loc[number + 1, 0]) == pytest.approx(values.mean())
        assert float(scaler.scale[number + 1, 0]) == pytest.approx(values.std())


def test_a_transform_minds_the_values_up_to_the_ends_alone() -> None:
    frame = made_frame(series=2, rows=12)
    frame.loc[22, "y"] = -1.0
    panel, scaler = Panel.from_frame(frame), build("scaling", "log")
    scaler.check(panel, np.array([12, 10]))
    with pytest.raises(DataError, match="'s1' has -1 in step 10"):
        scaler.check(panel, np.array([12, 11]))


def test_series_without_statistics_are_scaled_by_their_window() -> None:
    """One never seen, and one whose training span holds no observation."""
    frame = _walk()
    frame.loc[(frame.unique_id == "s2") & (frame.ds < 30), "y"] = np.nan
    panel = Panel.from_frame(frame)
    scaler = SeriesScaler()
    scaler.prepare(Sizes(context_length=12, horizon=4, series=4))
    scaler.fit(panel.until(panel.ends - 10))
    inputs = _windows(_walk())
    _, affine = scaler(inputs._replace(series=torch.tensor([0, 1, 3])))
    _, window = build("scaling", "window")(inputs)
    for row, is_window in enumerate([True, False, True]):
        assert torch.equal(affine.loc[row], window.loc[row]) == is_window
        assert torch.equal(affine.scale[row], window.scale[row]) == is_window


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0.0, -2.5])
def test_log_and_box_cox_refuse_what_is_not_positive(name: str, value: float) -> None:
    frame = made_frame(series=2, rows=40)
    broken = frame.copy()
    broken.loc[50, "y"] = value
    forecaster = _forecaster(name)
    with pytest.raises(
        DataError, match=rf"series 's1' has {value:g} in step 10 of column 'y', at 2024-01-11 00:00:00; .*positive"
    ):
        forecaster.fit(broken)
    with pytest.raises(DataError, match="series 's1'"):
        forecaster.fit(frame).predict(broken)


def test_box_cox_takes_the_exponent_of_greatest_likelihood() -> None:
    random = np.random.default_rng(0)
    frame = _walk().assign(y=lambda table: 1e6 * random.normal(10, 2, len(table)) ** 2)
    scaler = _fitted("box_cox", frame)
    values = frame.y.to_numpy().copy()
    assert float(scaler.exponent) == pytest.approx(boxcox_normmax(values / 1e6, method="mle"), abs=0.051)
    middle = np.exp(np.log(values).mean())
    transformed = scaler.transformed(torch.as_tensor(values)).numpy()
    np.testing.assert_allclose(transformed, boxcox(values / middle, float(scaler.exponent)), rtol=1e-9)


def test_box_cox_forecasts_beyond_the_axis_end_at_what_exists() -> None:
    scaler = _fitted("box_cox", _walk())
    for exponent in (-0.5, 0.5):
        scaler.exponent.fill_(exponent)
        restored = scaler.restored(torch.tensor([-1e6, -1.0, 0.0, 1.0, 1e6]).double())
        assert (restored.diff() >= 0).all() and (restored >= 0).all() and restored.isfinite().all()


def test_an_unknown_transform_is_refused() -> None:
    with pytest.raises(ValueError, match="transform is none, log or box_cox, got 'sqrt'"):
        Scaler(transform="sqrt")


@pytest.mark.parametrize("steps", [0, 20], ids=["untrained", "trained"])
@pytest.mark.parametrize("name", EQUIVARIANT)
def test_forecasts_follow_the_unit_of_the_series(name: str, steps: int) -> None:
    """Fitted on a y + b as on y, and then asked for forecasts of either: a f(y) + b."""
    frame = _walk()
    _, expected = _forecasts(name, frame, steps)
    for scale, shift in [(3.0, 0.0), (1e6, EQUIVARIANT[name]), (1e-3, EQUIVARIANT[name] / 1e9)]:
        _, got = _forecasts(name, frame.assign(y=scale * frame.y + shift), steps)
        np.testing.assert_allclose((got - shift) / scale, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", [name for name in EQUIVARIANT if name not in ("series", "level")])
def test_a_fitted_model_follows_the_unit_of_newer_series(name: str) -> None:
    frame = _walk()
    forecaster, expected = _forecasts(name, frame, 20)
    newer = frame.assign(y=1e6 * frame.y + EQUIVARIANT[name])
    got = forecaster.predict(newer).iloc[:, 2:].to_numpy()
    np.testing.assert_allclose((got - EQUIVARIANT[name]) / 1e6, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("unit", [1e-30, 1e30])
@pytest.mark.parametrize("name", [name for name in SCALINGS if name != "none"])
def test_forecasts_of_tiny_and_huge_units_stay_finite(name: str, unit: float) -> None:
    """Without scaling the network reads the unit itself."""
    frame = _walk()
    _, got = _forecasts(name, frame.assign(y=frame.y * unit), 5)
    assert np.isfinite(got).all()
    assert (np.abs(got / unit) < 100 * frame.y.max()).all()


def _walk(seed: int = 0) -> pd.DataFrame:
    """Return three positive series whose level and spread differ."""
    random = np.random.default_rng(seed)
    frame = made_frame(series=3, rows=40, freq="1", seed=seed)
    return frame.assign(y=frame.y * random.uniform(0.8, 1.25, len(frame)))


def _fitted(name: str, frame: pd.DataFrame) -> Scaler:
    panel = Panel.from_frame(frame)
    scaler = build("scaling", name)
    scaler.prepare(Sizes(context_length=12, horizon=4, series=len(panel.ids) + 1))
    scaler.fit(panel)
    return scaler


def _windows(frame: pd.DataFrame) -> Inputs:
    """Return the last 12 steps of each of three series as a batch."""
    target = np.stack([values.to_numpy()[-12:] for _, values in frame.groupby("unique_id").y])
    inputs, _ = made_batch(SIZES, count=3)
    return inputs._replace(target=torch.as_tensor(target)[..., None], series=torch.arange(1, 4))


def _forecaster(name: str, steps: int = 1) -> Forecaster:
    return Forecaster(
        "gru",
        horizon=4,
        context_length=12,
        scaling=name,
        # A rate of almost 0 leaves the network as it was built: untrained.
        training=Training(steps=max(steps, 1), batch_size=16, learning_rate=0.005 if steps else 1e-30),
        accelerator="cpu",
        progress=False,
    )


def _forecasts(name: str, frame: pd.DataFrame, steps: int) -> tuple[Forecaster, np.ndarray]:
    forecaster = _forecaster(name, steps).fit(frame)
    return forecaster, forecaster.predict().iloc[:, 2:].to_numpy()
