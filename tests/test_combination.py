"""Combined quantiles and the weights of members are those worked out by hand, or by a library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from forecast.combination import best_weights, mean, median, spread_of


@pytest.mark.parametrize(
    ("values", "weights", "expected"),
    [
        ([1, 5, 2], [1 / 3, 1 / 3, 1 / 3], (8 / 3, 2)),
        ([1, 5, 2, 4], [0.25, 0.25, 0.25, 0.25], (3, 3)),
        ([1, 5, 2], [0.6, 0.2, 0.2], (2, 1)),
        ([1, 5, 2], [0.2, 0.5, 0.3], (3.3, 3.5)),
        ([1, 5, 2], [0.0, 1.0, 0.0], (5, 5)),
        ([7], [1.0], (7, 7)),
    ],
)
def test_mean_and_median_are_those_worked_out_by_hand(values: list, weights: list, expected: tuple) -> None:
    stacked, shares = np.array(values, float)[:, None], np.array(weights)
    assert (mean(stacked, shares).item(), median(stacked, shares).item()) == pytest.approx(expected)


@pytest.mark.parametrize("members", [1, 2, 3, 4, 9])
def test_equal_weights_give_what_numpy_gives(members: int) -> None:
    values = np.random.default_rng(members).normal(size=(members, 40, 3))
    equal = np.full(members, 1 / members)
    np.testing.assert_allclose(median(values, equal), np.median(values, axis=0), rtol=1e-15)
    np.testing.assert_allclose(mean(values, equal), values.mean(axis=0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("combine", [mean, median])
def test_combined_quantiles_do_not_cross_where_no_member_crosses(combine: Any) -> None:
    random = np.random.default_rng(0)
    for members in range(2, 9):
        values = np.sort(random.normal(size=(members, 200, 9)).round(1), axis=-1)  # rounded: many are alike
        weights = random.integers(0, 4, members) + 1e-3
        assert (np.diff(combine(values, weights / weights.sum()), axis=-1) >= 0).all()


@pytest.mark.parametrize("combine", [mean, median])
def test_where_one_member_has_no_forecast_there_is_none(combine: Any) -> None:
    values = np.array([[1.0, 2.0], [np.nan, 4.0], [5.0, 6.0]])
    assert np.isnan(combine(values, np.full(3, 1 / 3))).tolist() == [True, False]


def test_best_weights_are_those_of_a_linear_programme() -> None:
    random = np.random.default_rng(0)
    for members in (2, 3, 5):
        truth = random.normal(size=12)
        levels = np.array([0.1, 0.5, 0.9])
        centre = truth + random.normal(size=(members, 12)) * np.linspace(0.5, 1.5, members)[:, None]
        values = centre[..., None] + np.array([-1, 0, 1])
        weights = best_weights(values[:, :, None, None], truth[:, None, None], np.ones((12, 1)), levels)
        assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
        assert _pinball(weights, values, truth, levels) == pytest.approx(_least(values, truth, levels), rel=1e-3)


def test_best_weights_leave_out_what_was_not_observed_or_has_no_scale() -> None:
    truth = np.array([[[1.0]], [[np.nan]], [[5.0]]])
    values = np.array([[1.0, 7.0, 0.0], [3.0, 7.0, 5.0]])[:, :, None, None, None]
    scale = np.array([[1.0], [1.0], [np.nan]])
    np.testing.assert_allclose(best_weights(values, truth, scale, [0.5]), [1, 0], atol=1e-6)
    nothing = np.full_like(scale, np.nan)
    assert best_weights(values, truth, nothing, [0.5]).tolist() == [0.5, 0.5]


def test_no_series_dominates_the_weights_by_its_unit() -> None:
    """The second member is right of the series with large numbers, the first of the two others."""
    truth = np.array([1.0, 1.0, 1e6])[:, None, None]
    values = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1e6]])[:, :, None, None, None]
    np.testing.assert_allclose(best_weights(values, truth, np.array([[1.0], [1.0], [1e6]]), [0.5]), [1, 0], atol=1e-6)
    np.testing.assert_allclose(best_weights(values, truth, np.ones((3, 1)), [0.5]), [0, 1], atol=1e-6)


def test_the_scale_is_that_of_seasonal_differences_or_of_neighbours() -> None:
    history = np.array([[1, 4, 5, 5], [3, np.nan, 5, 6], [2, np.nan, 5, 5], [6, np.nan, 5, 6]], float)
    got = spread_of(history, seasonality=2)
    np.testing.assert_array_equal(got, [2, np.nan, np.nan, 1])  # |2 - 1|, |6 - 3|; neighbours for the last


def _pinball(weights: np.ndarray, values: np.ndarray, truth: np.ndarray, levels: np.ndarray) -> float:
    total = 0.0
    for row in range(len(truth)):
        for at, level in enumerate(levels):
            error = truth[row] - sum(weight * value[row, at] for weight, value in zip(weights, values, strict=True))
            total += max(level * error, (level - 1) * error)
    return total / truth.size / len(levels)


def _least(values: np.ndarray, truth: np.ndarray, levels: np.ndarray) -> float:
    """Return the least pinball loss, by a linear programme in weights and errors above and below."""
    members, rows = len(values), truth.size * len(levels)
    above = np.tile(levels, truth.size)
    cost = np.concatenate([np.zeros(members), above, 1 - above]) / rows
    errors = np.hstack([values.reshape(members, -1).T, np.eye(rows), -np.eye(rows)])
    total = np.concatenate([np.ones(members), np.zeros(2 * rows)])
    right = np.append(np.repeat(truth, len(levels)), 1)
    return linprog(cost, A_eq=np.vstack([errors, total]), b_eq=right).fun
