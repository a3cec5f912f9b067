"""Classical methods: the same values as statsforecast called directly, and errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames import made_frame

from forecast import Forecaster, Training, backtest
from forecast.errors import ConfigError, DataError
from forecast.evaluation import classical
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.classical import CLASSICAL, TSB, AutoARIMA
from forecast.evaluation.metrics import coverage

NAN = np.nan
INTERMITTENT = ("croston", "croston_sba", "tsb", "adida", "imapa")


@pytest.fixture(scope="module")
def models() -> Any:
    return pytest.importorskip("statsforecast.models")


def _seasonal(length: int, *, seed: int = 0) -> np.ndarray:
    steps, noise = np.arange(length), np.random.default_rng(seed).normal(size=length)
    return 100 + 0.3 * steps + 10 * np.sin(steps * np.pi / 3) + noise


def _sold(length: int = 40) -> np.ndarray:
    random = np.random.default_rng(1)
    return random.poisson(3.0, length) * (random.random(length) < 0.3) * 1.0


@pytest.mark.parametrize("name", ["auto_ets", "auto_arima", "auto_theta"])
def test_points_and_spreads_are_those_of_the_library(models: Any, name: str) -> None:
    made = {
        "auto_ets": models.AutoETS(season_length=6),
        "auto_arima": models.AutoARIMA(season_length=6),
        "auto_theta": models.AutoTheta(season_length=6),
    }[name]
    histories = [_seasonal(36), _seasonal(30, seed=1)]
    found = CLASSICAL[name]().fit([], horizon=4, seasonality=6).predict(histories)
    for row, history in enumerate(histories):
        expected = made.forecast(y=history, h=4, level=[80])
        np.testing.assert_allclose(found.point[row], expected["mean"])
        bound = found.point[row] + 1.2815515655446004 * found.spread[row]
        tolerance = 1e-6 if name != "auto_theta" else 0.05  # whose interval is simulated, and not quite even
        reach = (expected["hi-80"] - expected["lo-80"]) / 2
        np.testing.assert_allclose(bound, expected["mean"] + reach, rtol=tolerance)


@pytest.mark.parametrize("name", INTERMITTENT)
def test_rates_of_demand_are_those_of_the_library_and_tell_no_spread(models: Any, name: str) -> None:
    made = {
        "croston": models.CrostonClassic(),
        "croston_sba": models.CrostonSBA(),
        "tsb": models.TSB(alpha_d=0.1, alpha_p=0.1),
        "adida": models.ADIDA(),
        "imapa": models.IMAPA(),
    }[name]
    found = CLASSICAL[name]().fit([], horizon=3, seasonality=12).predict([_sold(), np.zeros(9)])
    np.testing.assert_allclose(found.point[0], np.broadcast_to(made.forecast(y=_sold(), h=3)["mean"], 3))
    np.testing.assert_array_equal(found.point[1], 0.0)
    assert np.isnan(found.spread).all()


def test_croston_by_hand(models: Any) -> None:
    """Sizes 2 and 4 after 2 and 3 steps: (2 + 0.1 * 2) / (2 + 0.1 * 1); SBA takes 0.95 of it."""
    history = [np.array([0.0, 2.0, 0.0, 0.0, 4.0, 0.0])]
    rates = [CLASSICAL[name]().fit([], horizon=1, seasonality=1).predict(history).point for name in INTERMITTENT[:2]]
    np.testing.assert_allclose(rates, [[[2.2 / 2.1]], [[0.95 * 2.2 / 2.1]]])


def test_what_lies_before_the_first_observation_is_left_out_and_gaps_are_filled(models: Any) -> None:
    history = _seasonal(30)
    history[10] = history[9]
    gappy = np.r_[NAN, NAN, history]
    gappy[12] = NAN
    one, other = (CLASSICAL["auto_ets"]().fit([], horizon=3, seasonality=6).predict([own]) for own in (history, gappy))
    np.testing.assert_array_equal(one, other)


def test_exponential_smoothing_has_no_season_above_24_steps(models: Any) -> None:
    long, none = (CLASSICAL["auto_ets"]().fit([], horizon=3, seasonality=season) for season in (52, 1))
    np.testing.assert_array_equal(long.predict([_seasonal(120)]), none.predict([_seasonal(120)]))


def test_auto_arima_reads_the_latest_steps_alone(models: Any) -> None:
    history = np.r_[np.full(10, 1e3), _seasonal(24)]
    cut = AutoARIMA(longest=24).fit([], horizon=3, seasonality=1).predict([history])
    np.testing.assert_array_equal(
        cut.point, AutoARIMA().fit([], horizon=3, seasonality=1).predict([history[10:]]).point
    )


def test_intervals_hold_what_they_say(models: Any) -> None:
    walks = 100 + np.random.default_rng(2).normal(size=(60, 44)).cumsum(axis=1)
    point, spread = CLASSICAL["auto_ets"]().fit([], horizon=4, seasonality=1).predict(list(walks[:, :40]))
    held = coverage(walks[:, 40:], point - 1.2816 * spread, point + 1.2816 * spread).mean()
    assert held == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize(
    ("name", "histories", "told"),
    [
        ("auto_ets", [_seasonal(20), _seasonal(3)], "auto_ets cannot forecast history 1 of 3 steps: tiny datasets"),
        ("croston", [np.array([0.0, -2.0])], "croston .* history 0 of 2 steps: .* 0 or more, the least value is -2"),
        ("tsb", [np.full(4, NAN)], "history 0 has 4 rows and no observed value"),
    ],
)
def test_what_cannot_be_forecast_is_refused(models: Any, name: str, histories: list[np.ndarray], told: str) -> None:
    method = CLASSICAL[name]().fit([], horizon=2, seasonality=1)
    with pytest.raises(ValueError, match=told):
        method.predict(histories)


def test_a_forecast_that_is_not_finite_is_refused(models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"mean": np.array([1.0, np.inf]), "lo-80": np.zeros(2), "hi-80": np.ones(2)}
    monkeypatch.setattr(models.AutoETS, "forecast", lambda *_, **__: broken)
    with pytest.raises(DataError, match="auto_ets cannot forecast history 0 of 8 steps: its forecast is not finite"):
        CLASSICAL["auto_ets"]().fit([], horizon=2, seasonality=1).predict([_seasonal(8)])


@pytest.mark.parametrize("name", CLASSICAL)
def test_without_the_library_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(classical, "find_spec", lambda _: None)
    with pytest.raises(
        ConfigError, match=rf"{name} needs statsforecast. Install it: .*recurrent-forecast\[classical\]"
    ):
        CLASSICAL[name]().fit([], horizon=2, seasonality=1)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="alpha lies above 0 and is at most 1, got 0"):
        TSB(alpha=0)
    with pytest.raises(ValueError, match="longest must be at least 1, got 0"):
        AutoARIMA(longest=0)


def test_naming_the_methods_loads_no_library() -> None:
    assert set(CLASSICAL) < set(BASELINES)
    script = "import sys, forecast.evaluation.baselines; sys.exit('statsforecast' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1]).returncode == 0


def test_a_backtest_scores_methods_that_are_named(models: Any) -> None:
    forecaster = Forecaster("rnn", horizon=2, context_length=6, training=Training(steps=1), progress=False)
    names = ["naive", "window_average", "croston", "auto_theta"]
    scored = backtest(forecaster, made_frame(), folds=2, baselines=names).scores.set_index("model")
    assert list(scored.index) == ["rnn", *names] and scored["mase"].notna().all()
    assert np.isnan(scored.loc["croston", "width"]) and scored.loc["auto_theta", "width"] > 0
