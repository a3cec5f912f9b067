"""Baselines against cases worked out by hand, plain loops and simulated series."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from forecast.evaluation import metrics
from forecast.evaluation.baselines import BASELINES, USUAL
from forecast.evaluation.boosting import GradientBoosting
from forecast.evaluation.classical import CLASSICAL
from forecast.evaluation.histories import Prediction
from forecast.evaluation.local import Drift, Naive, Naive2, SeasonalNaive, WindowAverage
from forecast.evaluation.ridge import Ridge

NAN = np.nan
LOCAL = (Naive, SeasonalNaive, Drift, Naive2, WindowAverage)
OWN = [name for name in BASELINES if name not in CLASSICAL]  # those have a test of their own


def predict(name: str, *histories: list[float], horizon: int = 3, seasonality: int = 1) -> Prediction:
    arrays = [np.array(history, dtype=float) for history in histories]
    return BASELINES[name]().fit(arrays, horizon=horizon, seasonality=seasonality).predict(arrays)


def random_walks(*, series: int, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(series, length)).cumsum(axis=1)


def trend_and_season(*, series: int, length: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    steps = np.arange(length)
    slope, size, phase = generator.uniform([[0.2], [5], [0]], [[0.6], [15], [12]], (3, series))[..., None]
    noise = generator.normal(size=(series, length))
    return 100 + slope * steps + size * np.sin(2 * np.pi * (steps + phase) / 12) + noise


def test_naive_repeats_the_last_value_and_spreads_with_the_root_of_the_step() -> None:
    point, spread = predict("naive", [1.0, 3.0, 2.0, 4.0])
    sigma = np.sqrt((4 + 1 + 4) / 3)
    np.testing.assert_allclose(point, [[4.0, 4.0, 4.0]])
    np.testing.assert_allclose(spread, [sigma * np.sqrt([1, 2, 3])])


def test_naive_counts_the_steps_since_the_last_observation() -> None:
    point, spread = predict("naive", [NAN, 1.0, NAN, 3.0, NAN, NAN])
    np.testing.assert_allclose(point, [[3.0, 3.0, 3.0]])
    np.testing.assert_allclose(spread, [np.sqrt(4 / 2) * np.sqrt([3, 4, 5])])


def test_drift_is_the_line_through_the_first_and_last_value() -> None:
    point, spread = predict("drift", [1.0, 3.0, 2.0, 7.0])
    sigma = np.sqrt((0 + 9 + 9) / 2)  # differences 2, -1, 5 about the slope 2; one parameter
    np.testing.assert_allclose(point, [[9.0, 11.0, 13.0]])
    steps = np.array([1, 2, 3])
    np.testing.assert_allclose(spread, [sigma * np.sqrt(steps * (1 + steps / 3))])


def test_drift_passes_over_gaps_at_either_end() -> None:
    np.testing.assert_allclose(predict("drift", [NAN, 1.0, NAN, 5.0, NAN]).point, [[9.0, 11.0, 13.0]])
    np.testing.assert_allclose(predict("drift", [NAN, 4.0, NAN]).point, [[4.0, 4.0, 4.0]])


def test_seasonal_naive_repeats_the_last_season() -> None:
    point, spread = predict("seasonal_naive", [9.0, 1.0, 2.0, 3.0, 2.0, 4.0, 6.0], horizon=7, seasonality=3)
    sigma = np.sqrt((36 + 1 + 4 + 9) / 4)
    np.testing.assert_allclose(point, [[2, 4, 6, 2, 4, 6, 2]])
    np.testing.assert_allclose(spread, [sigma * np.sqrt([1, 1, 1, 2, 2, 2, 3])])


def test_seasonal_naive_goes_further_back_where_a_season_ago_is_missing() -> None:
    history = [1.0, 2.0, NAN, 3.0, NAN, NAN, 5.0, NAN, NAN]
    point, spread = predict("seasonal_naive", history, horizon=4, seasonality=3)
    np.testing.assert_allclose(point, [[5.0, 2.0, 5.0, 5.0]])  # the third phase was never observed
    sigma = np.sqrt((4 + 4) / 2)
    np.testing.assert_allclose(spread[0, [0, 1, 3]], sigma * np.sqrt([1, 3, 2]))
    assert spread[0, 2] > 0


def test_seasonal_naive_is_naive_where_the_history_is_shorter_than_a_season() -> None:
    short = [1.0, 5.0, 2.0]
    found, expected = predict("seasonal_naive", short, seasonality=4), predict("naive", short)
    np.testing.assert_array_equal(found, expected)


def test_seasonal_naive_of_a_single_season_has_a_spread() -> None:
    point, spread = predict("seasonal_naive", [1.0, 5.0, 2.0], seasonality=3)
    np.testing.assert_allclose(point, [[1.0, 5.0, 2.0]])
    np.testing.assert_allclose(spread, np.full((1, 3), np.sqrt(3 * (16 + 9) / 2)))


def test_a_window_average_is_the_mean_of_whole_seasons() -> None:
    history = [50.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    np.testing.assert_allclose(predict("window_average", history, horizon=2, seasonality=3).point, [[3.5, 3.5]])
    np.testing.assert_allclose(predict("window_average", history, horizon=4, seasonality=1).point, [[4.5] * 4])
    own = WindowAverage(window=2).fit([], horizon=1, seasonality=3).predict([np.array([*history, NAN])])
    np.testing.assert_allclose(own.point, [[5.5]])


def test_a_window_average_spreads_as_its_errors_did_in_the_history() -> None:
    history = [1.0, 4.0, 2.0, 6.0, 3.0]
    found = WindowAverage(window=2).fit([], horizon=3, seasonality=1).predict([np.array(history)]).spread[0]
    means = [1.0, 2.5, 3.0, 4.0]
    first = np.mean([(history[at + 1] - means[at]) ** 2 for at in range(4)])
    final = np.mean([(history[at + 3] - means[at]) ** 2 for at in range(2)])
    np.testing.assert_allclose(found**2, [first, (first + final) / 2, final])


def test_the_spread_of_a_window_average_is_right_for_random_walks_and_for_noise() -> None:
    walks, noise = random_walks(series=40, length=3000), np.random.default_rng(1).normal(size=(40, 3000))
    window, steps = 8, np.arange(1, 13)
    model = WindowAverage(window=window).fit([], horizon=12, seasonality=1)
    weights = np.arange(1, window) / window
    expected = np.sqrt(steps + weights @ weights)
    np.testing.assert_allclose(model.predict(list(walks)).spread.mean(axis=0), expected, rtol=0.02)
    np.testing.assert_allclose(model.predict(list(noise)).spread.mean(axis=0), np.sqrt(1 + 1 / window), rtol=0.02)


@pytest.mark.parametrize("season", [3, 4])
def test_naive2_removes_and_restores_the_season(season: int) -> None:
    factors = np.array([0.5, 1.5, 0.8, 1.2][:season])
    factors /= factors.mean()
    cycles = np.tile(factors, 8)[: 7 * season + 1]  # ends on the first phase
    point, spread = predict("naive2", list(20 * cycles), horizon=5, seasonality=season)
    np.testing.assert_allclose(point[0], 20 * factors[(1 + np.arange(5)) % season])
    np.testing.assert_allclose(spread, 0, atol=1e-12)


def test_naive2_matches_a_plain_decomposition() -> None:
    steps = np.arange(65)
    series = 100 + steps / 4 + 30 * np.sin(steps * np.pi / 6) + np.random.default_rng(0).normal(size=65)
    ratios: list[list[float]] = [[] for _ in range(12)]
    for at in range(6, 59):
        inner = series[at - 5 : at + 6].sum() + (series[at - 6] + series[at + 6]) / 2
        ratios[at % 12].append(series[at] / (inner / 12))
    season = np.array([np.mean(ratio) for ratio in ratios])
    season /= season.mean()
    point, spread = predict("naive2", list(series), horizon=14, seasonality=12)
    ahead = season[(65 + np.arange(14)) % 12]
    np.testing.assert_allclose(point[0], series[-1] / season[64 % 12] * ahead)
    differences = np.diff(series / season[np.arange(65) % 12])
    sigma = np.sqrt(np.mean(differences**2))
    np.testing.assert_allclose(spread[0], sigma * np.sqrt(np.arange(1, 15)) * ahead)


def test_naive2_keeps_the_phase_across_gaps() -> None:
    series = 20 * np.tile([0.5, 1.5, 1.0], 30)
    series[[0, 1, 40, 88, 89]] = NAN
    point, _ = predict("naive2", list(series), horizon=4, seasonality=3)
    np.testing.assert_allclose(point, [[10, 30, 20, 10]], rtol=0.05)


@pytest.mark.parametrize(
    "history",
    [
        list(np.random.default_rng(0).uniform(1, 2, 60)),
        [0.0, 5.0, 1.0] * 10,
        [1.0, 5.0, 1.0] * 2,
        [4.0] * 30,
    ],
    ids=["not seasonal", "not positive", "under three seasons", "constant"],
)
def test_naive2_is_naive_without_a_season_it_can_use(history: list[float]) -> None:
    found, expected = predict("naive2", history, seasonality=3), predict("naive", history)
    np.testing.assert_array_equal(found, expected)


def test_naive2_looks_for_no_season_beyond_the_lags_that_r_computes() -> None:
    history = list(20 + np.tile(np.arange(30.0), 5))  # 10 log10(150) is 21.8
    np.testing.assert_array_equal(predict("naive2", history, seasonality=30).point, 49.0)
    np.testing.assert_allclose(predict("naive2", history * 7, seasonality=30).point, [[20, 21, 22]], rtol=0.1)


@pytest.mark.parametrize("name", ["naive", "drift", "naive2", "seasonal_naive"])
def test_intervals_cover_simulated_random_walks(name: str) -> None:
    walks = 1000 + random_walks(series=1500, length=220)
    model = BASELINES[name]().fit(list(walks[:, :200]), horizon=20, seasonality=1)
    point, spread = model.predict(list(walks[:, :200]))
    reach = NormalDist().inv_cdf(0.9) * spread
    covered = metrics.coverage(walks[:, 200:].T, (point - reach).T, (point + reach).T)  # by step
    np.testing.assert_allclose(covered, 0.8, atol=0.05)


def test_ridge_intervals_cover_series_like_those_of_training() -> None:
    series = trend_and_season(series=300, length=132)
    point, spread = _ridge(series[:, :120], horizon=12)
    reach = NormalDist().inv_cdf(0.9) * spread
    covered = metrics.coverage(series[:, 120:], point - reach, point + reach)
    assert covered.mean() == pytest.approx(0.8, abs=0.06)


def test_ridge_beats_seasonal_naive_on_trend_and_season() -> None:
    series = trend_and_season(series=40, length=132)
    histories, truth = list(series[:, :120]), series[:, 120:]
    seasonal = SeasonalNaive().fit(histories, horizon=12, seasonality=12).predict(histories)
    ridge = _ridge(series[:, :120], horizon=12)
    assert metrics.mae(truth, ridge.point).mean() < 0.6 * metrics.mae(truth, seasonal.point).mean()


def test_ridge_follows_shift_and_scale_of_a_series() -> None:
    series = trend_and_season(series=10, length=100)
    model = Ridge().fit(list(series), horizon=6, seasonality=12)
    plain, moved = model.predict(list(series)), model.predict(list(1e4 * series - 5))
    np.testing.assert_allclose(moved.point, 1e4 * plain.point - 5)
    np.testing.assert_allclose(moved.spread, 1e4 * plain.spread)


def test_ridge_with_unobserved_targets_matches_a_fit_on_the_observed_ones() -> None:
    from sklearn.linear_model import Ridge as Regression

    series = trend_and_season(series=1, length=200)[0]
    history = series.copy()
    history[150:160] = NAN
    model = Ridge(lags=8).fit([history], horizon=2, seasonality=1)
    at = np.maximum.accumulate(np.where(np.isnan(history), 0, np.arange(200)))
    filled = history[at]
    for step in range(2):
        rows = [o for o in range(8, 199) if not np.isnan(history[o + step]) and filled[o - 8 : o].std() > 0]
        lags = np.stack([filled[o - 8 : o] for o in rows])
        loc, scale = lags[:, -1:], lags.std(axis=1, keepdims=True)
        target = (history[[o + step for o in rows]] - loc[:, 0]) / scale[:, 0]
        inside = np.clip(target, -10, 10)
        expected = Regression(alpha=1.0).fit((lags - loc) / scale, inside)
        np.testing.assert_allclose(model.coefficients_[:, step], expected.coef_, atol=1e-5)


def test_ridge_is_not_led_by_jumps_after_nearly_constant_windows() -> None:
    series = list(trend_and_season(series=20, length=100))
    jump = 5 + 1e-6 * np.random.default_rng(0).normal(size=100)
    jump[60:] += 1e6
    expected = Ridge().fit(series, horizon=6, seasonality=12).predict(series)
    found = Ridge().fit([*series, jump], horizon=6, seasonality=12).predict(series)
    assert np.median(found.spread / expected.spread) < 3
    np.testing.assert_allclose(found.point, expected.point, rtol=0.1)


def test_ridge_is_reproducible_when_windows_are_drawn() -> None:
    series = list(trend_and_season(series=5, length=80))
    results = [Ridge(windows=50).fit(series, horizon=4, seasonality=6).predict(series) for _ in range(2)]
    np.testing.assert_array_equal(results[0].point, results[1].point)
    other = Ridge(windows=50, seed=1).fit(series, horizon=4, seasonality=6).predict(series)
    assert not np.array_equal(other.point, results[0].point)


def test_ridge_shortens_its_lags_until_there_are_as_many_windows() -> None:
    short = [np.arange(20.0) ** 2]
    assert Ridge().fit(short, horizon=5, seasonality=12).lags_ == 8  # 20 - 5 - 8 + 1 windows
    assert Ridge().fit(short * 50, horizon=5, seasonality=12).lags_ == 15
    assert Ridge().fit([np.arange(200.0)], horizon=5, seasonality=12).lags_ == 24


@pytest.mark.parametrize("span", [[1.0, 2.0, 4.0], [7.0] * 50, [NAN] * 50], ids=["short", "constant", "unobserved"])
def test_ridge_is_naive_where_training_holds_no_window(span: list[float]) -> None:
    histories = [np.array([1.0, 3.0, 2.0]), np.array([5.0])]
    found = Ridge().fit([np.array(span)], horizon=3, seasonality=2).predict(histories)
    expected = Naive().fit([], horizon=3, seasonality=2).predict(histories)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_ridge_forecasts_histories_that_are_short_constant_or_have_gaps() -> None:
    model = Ridge().fit(list(trend_and_season(series=5, length=80)), horizon=4, seasonality=6)
    histories = [np.array([3.0, 4.0]), np.full(30, 6.0), np.r_[NAN, np.arange(30.0), NAN]]
    point, _ = model.predict(histories)
    assert np.isfinite(point).all()
    np.testing.assert_array_equal(point[1], 6.0)


@pytest.mark.parametrize("name", OWN)
def test_rows_follow_the_histories_and_inputs_stay_as_they_were(name: str) -> None:
    histories = list(trend_and_season(series=4, length=60))
    histories[1] = histories[1][:30]
    copies = [history.copy() for history in histories]
    model = BASELINES[name]().fit(histories, horizon=5, seasonality=12)
    point, spread = model.predict(histories)
    assert point.shape == spread.shape == (4, 5)
    assert np.isfinite(point).all() and (spread > 0).all()
    again = model.predict(histories[::-1])
    np.testing.assert_allclose(again.point[::-1], point)
    np.testing.assert_allclose(again.spread[::-1], spread)
    for history, copy in zip(histories, copies, strict=True):
        np.testing.assert_array_equal(history, copy)
    assert model.predict([]).point.shape == (0, 5)


@pytest.mark.parametrize("name", [*USUAL, "window_average", pytest.param("gradient_boosting", marks=pytest.mark.slow)])
def test_many_histories_at_once_are_forecast_as_each_is_alone(name: str) -> None:
    generator = np.random.default_rng(0)
    histories = [50 + generator.normal(size=length).cumsum() for length in generator.integers(1, 60, size=1100)]
    for history in histories[::3]:
        history[generator.random(len(history)) < 0.5] = NAN
        history[generator.integers(len(history))] = 50.0
    model = BASELINES[name]().fit(histories, horizon=9, seasonality=7)
    point, spread = model.predict(histories)
    for row in range(0, 1100, 25):
        alone = model.predict(histories[row : row + 1])
        np.testing.assert_allclose(point[row], alone.point[0])
        np.testing.assert_allclose(spread[row], alone.spread[0])


@pytest.mark.parametrize("name", OWN)
def test_histories_without_observation_are_refused(name: str) -> None:
    model = BASELINES[name]().fit([np.arange(40.0)], horizon=2, seasonality=3)
    for history in (np.array([]), np.full(4, NAN)):
        with pytest.raises(ValueError, match=f"history 1 has {len(history)} rows and no observed value"):
            model.predict([np.arange(10.0), history])
    with pytest.raises(ValueError, match="one axis"):
        model.predict([np.ones((2, 3))])


@pytest.mark.parametrize("name", OWN)
def test_a_single_observation_is_repeated_with_unknown_spread(name: str) -> None:
    point, spread = predict(name, [NAN, 4.0], seasonality=2)
    np.testing.assert_array_equal(point, [[4.0, 4.0, 4.0]])
    assert np.isnan(spread).all()


@pytest.mark.parametrize("name", OWN)
def test_lengths_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="horizon must be at least 1, got 0"):
        BASELINES[name]().fit([np.arange(9.0)], horizon=0, seasonality=1)
    with pytest.raises(ValueError, match="seasonality must be at least 1, got 0"):
        BASELINES[name]().fit([np.arange(9.0)], horizon=1, seasonality=0)


@pytest.mark.parametrize(
    "model", [Naive, SeasonalNaive, Drift, Naive2, WindowAverage], ids=lambda model: model.__name__
)
def test_local_methods_learn_nothing_from_training_spans(model: type) -> None:
    history = [trend_and_season(series=1, length=50)[0]]
    one = model().fit(history, horizon=4, seasonality=12).predict(history)
    other = model().fit([np.full(90, 7.0)], horizon=4, seasonality=12).predict(history)
    np.testing.assert_array_equal(one.point, other.point)


def _ridge(histories: np.ndarray, *, horizon: int) -> Prediction:
    return Ridge().fit(list(histories), horizon=horizon, seasonality=12).predict(list(histories))


def test_trees_learn_what_a_line_cannot() -> None:
    """The next value follows the last one by a tent map, whose best line is a constant."""
    histories = [np.empty(400) for _ in range(3)]
    for number, history in enumerate(histories):
        history[0] = 0.3 + 0.1 * number
        for at in range(1, 400):
            history[at] = 1.98 * min(history[at - 1], 1 - history[at - 1])
    known, truth = [history[:380] for history in histories], np.stack([history[380] for history in histories])
    errors = {}
    for method in (GradientBoosting(trees=60), Ridge()):
        point = method.fit(known, horizon=1, seasonality=1).predict(known).point[:, 0]
        errors[type(method)] = np.abs(point - truth).mean()
    assert errors[GradientBoosting] < errors[Ridge] / 3


def test_the_spread_of_trees_is_that_of_errors_held_back() -> None:
    histories = [50 + values for values in np.random.default_rng(0).normal(size=(10, 300))]
    model = GradientBoosting(trees=30).fit([history[:200] for history in histories], horizon=4, seasonality=1)
    errors, spreads = [], []
    for end in range(200, 296):
        point, spread = model.predict([history[:end] for history in histories])
        errors.append(point - np.stack([history[end : end + 4] for history in histories]))
        spreads.append(spread)
    assert np.std(errors) == pytest.approx(np.mean(spreads), rel=0.1)


def test_trees_are_the_same_each_time() -> None:
    histories = list(trend_and_season(series=3, length=120))
    one, other = (
        GradientBoosting(trees=30).fit(histories, horizon=12, seasonality=12).predict(histories) for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


def test_trees_forecast_a_season_and_take_the_naive_method_where_there_is_too_little() -> None:
    series = trend_and_season(series=6, length=132)
    known = list(series[:, :120])
    errors = {}
    for method in (GradientBoosting(trees=30), SeasonalNaive()):
        point = method.fit(known, horizon=12, seasonality=12).predict(known).point
        errors[type(method)] = metrics.mae(series[:, 120:], point).mean()
    assert errors[GradientBoosting] < errors[SeasonalNaive]
    short = [history[:14] for history in known]
    found = GradientBoosting(trees=30).fit(short, horizon=12, seasonality=12).predict(short)
    np.testing.assert_array_equal(found, Naive().fit(short, horizon=12, seasonality=12).predict(short))


def test_trees_learn_from_series_of_which_some_have_ended() -> None:
    draw = np.random.default_rng(0)
    histories = [draw.poisson(2.0, 39).astype(float) for _ in range(20)]
    for history in histories[:8]:
        history[12:] = np.nan  # as parts that are no longer sold
    model = GradientBoosting(trees=5).fit(histories, horizon=12, seasonality=12)
    assert model.model_ is not None and model.lags_ < 24  # too few for what two seasons before held
    assert np.isfinite(model.predict(histories).point).all()
