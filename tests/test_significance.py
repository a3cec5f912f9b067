"""Tests between models: held against worked values, published figures, other libraries, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from forecast.comparison.significance.correction import corrected
from forecast.comparison.significance.diebold_mariano import diebold_mariano, overlap
from forecast.comparison.significance.paired import (
    skill_intervals,
    skills,
    smallest_p,
    tied,
    wilcoxon,
    win_rate,
)
from forecast.comparison.significance.ranks import critical_difference, friedman, groups, mean_ranks
from forecast.errors import ConfigError, DataError

# Errors of ets and auto.arima on the last twenty values of WWWusage: the example of `dm.test` in R's package forecast.
ETS = np.array([
    0.002241270, -0.000661906, -1.200002613, -4.000218178, 3.799373533, 3.401005111, -1.199692125,
    -0.800490048, -1.200048999, 3.399847229, 7.000708948, 2.200989241, -4.800165569, -1.201043375,
    3.400167556, 3.000709085, 0.400267950, -6.800169207, -2.401259050, 1.200112198,
])  # fmt: skip
ARIMA = np.array([
    0.1209998, 8.0622269, -0.9189429, -1.7952436, 5.3431277, 2.0459823, -0.6073261, 0.5516816, -0.7633238,
    4.1229472, 5.8785333, 1.2828331, -3.4854233, 1.1971370, 3.1709314, 2.3408457, 0.4962286, -5.9841362,
    0.1537114, 0.4207951,
])  # fmt: skip
# Demšar (2006), table 6: the area under the curve of C4.5, with m, with cf, with both, on 14 data sets. Rounding hides
# there that the third and fourth value of "voting", the last row but one, differ; their ranks tell.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.975, 0.9749],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


@pytest.mark.parametrize(
    ("power", "steps", "alternative", "expected"),
    [
        (2, 1, "two-sided", 0.8871),
        (2, 1, "greater", 0.5565),
        (2, 1, "less", 0.4435),
        (2, 10, "two-sided", 0.9362),
        (2, 10, "less", 0.4681),
        (1, 1, "two-sided", 0.7818),
        (1, 1, "greater", 0.3909),
    ],
)
def test_diebold_mariano_gives_the_p_values_of_r(power: int, steps: int, alternative: str, expected: float) -> None:
    loss, other = np.abs(ETS) ** power, np.abs(ARIMA) ** power
    assert diebold_mariano(loss, other, steps_overlap=steps, alternative=alternative).p == pytest.approx(
        expected, abs=5.1e-5
    )


def test_diebold_mariano_worked_by_hand() -> None:
    # d = -1 ... 6: mean 2.5, g_0 = 42 / 8 = 5.25, g_1 = 26.25 / 8 = 3.28125.
    loss, other = np.arange(1.0, 9.0), np.full(8, 2.0)
    alone = diebold_mariano(loss, other)
    assert alone.statistic == pytest.approx(2.5 / np.sqrt(5.25 / 8) * np.sqrt(7 / 8))
    assert alone.p == pytest.approx(2 * stats.t.sf(alone.statistic, 7))
    pair = diebold_mariano(loss, other, steps_overlap=2)
    correction = (8 + 1 - 4 + 2 / 8) / 8
    assert pair.statistic == pytest.approx(2.5 / np.sqrt((5.25 + 2 * 3.28125) / 8) * np.sqrt(correction))
    assert pair.lags == 1


def test_diebold_mariano_of_windows_apart_is_the_t_test() -> None:
    """With an overlap of one, correction and divisor make it the paired t-test exactly."""
    loss, other = np.random.default_rng(0).random((2, 30))
    expected = stats.ttest_rel(loss, other)
    assert diebold_mariano(loss, other)[:2] == pytest.approx((expected.statistic, expected.pvalue))


def test_a_variance_that_is_not_positive_falls_back_to_no_overlap() -> None:
    loss, other = 0.1 + np.tile([1.0, -1.0], 6), np.zeros(12)
    result = diebold_mariano(loss, other, steps_overlap=2)
    assert result == diebold_mariano(loss, other) and result.lags == 0


def test_equal_losses_are_no_difference_and_a_constant_one_is_refused() -> None:
    loss = np.random.default_rng(0).random(20)
    assert diebold_mariano(loss, loss, steps_overlap=3)[:2] == (0.0, 1.0)
    with pytest.raises(DataError, match="same amount at every origin"):
        diebold_mariano(loss + 1, loss)


@pytest.mark.parametrize(
    ("loss", "other", "steps", "words"),
    [
        (np.ones(7), np.zeros(7), 1, "7 origins are too few"),
        (np.ones(9), np.zeros(8), 1, r"shapes \(9,\) and \(8,\)"),
        (np.append(np.ones(8), np.nan), np.zeros(9), 1, "not finite"),
        (np.ones(9), np.zeros(9), 9, "from 1 to 8"),
        (np.ones(9), np.zeros(9), 0, "from 1 to 8"),
    ],
)
def test_losses_that_cannot_be_compared_are_refused(loss: object, other: object, steps: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        diebold_mariano(loss, other, steps_overlap=steps)


@pytest.mark.parametrize(("origins", "steps"), [(8, 1), (40, 1), (400, 7)])
def test_diebold_mariano_keeps_its_level(origins: int, steps: int) -> None:
    """Differences are moving averages of as many shocks as windows overlap, as those of good forecasts are."""
    runs = 1000
    shocks = np.random.default_rng(1).standard_normal((runs, origins + steps - 1))
    losses = np.stack([np.convolve(row, np.ones(steps), mode="valid") for row in shocks])
    zeros = np.zeros(origins)
    found = np.mean([diebold_mariano(row, zeros, steps_overlap=steps).p <= 0.05 for row in losses])
    assert abs(found - 0.05) < 3 * np.sqrt(0.05 * 0.95 / runs) + (0.01 if steps > 1 else 0)


def test_diebold_mariano_without_the_overlap_would_find_far_too_much() -> None:
    shocks = np.random.default_rng(1).standard_normal((500, 206))
    losses = [np.convolve(row, np.ones(7), mode="valid") for row in shocks]
    assert np.mean([diebold_mariano(row, np.zeros(200)).p <= 0.05 for row in losses]) > 0.3


def test_diebold_mariano_has_the_power_of_the_t_test() -> None:
    draw = np.random.default_rng(2)
    found = np.mean([diebold_mariano(draw.normal(0.5, 1, 40), np.zeros(40)).p <= 0.05 for _ in range(1000)])
    critical = stats.t.ppf(0.975, 39)
    power = stats.nct.sf(critical, 39, 0.5 * np.sqrt(40)) + stats.nct.cdf(-critical, 39, 0.5 * np.sqrt(40))
    assert found == pytest.approx(power, abs=3 * np.sqrt(power * (1 - power) / 1000))


@pytest.mark.parametrize(("horizon", "step", "expected"), [(24, 24, 1), (24, 1, 24), (24, 7, 4), (7, 14, 1)])
def test_overlap_counts_windows_that_share_a_step_with_the_first(horizon: int, step: int, expected: int) -> None:
    first = set(range(horizon))
    assert overlap(horizon=horizon, step=step) == expected
    assert sum(bool(first & set(range(begin, begin + horizon))) for begin in range(0, 100, step)) == expected


def test_ranks_and_friedman_are_those_of_demsar() -> None:
    ranks = mean_ranks(-DEMSAR)
    assert ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    test = friedman(-DEMSAR)
    # He leaves out scipy's correction for ties: three pairs of 2 (6 each) and one of 4 (60), of 14 * (4^3 - 4).
    untied = test.chi_squared * (1 - (3 * 6 + 60) / (14 * 60))
    assert untied == pytest.approx(9.28, abs=0.005)
    assert 13 * untied / (14 * 3 - untied) == pytest.approx(3.69, abs=0.005)
    assert test.f == pytest.approx(13 * test.chi_squared / (14 * 3 - test.chi_squared))
    assert test.f_p == pytest.approx(stats.f.sf(test.f, 3, 39)) and test.f_p < test.p < 0.05


def test_critical_difference_is_that_of_demsar() -> None:
    assert critical_difference(models=4, series=14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(models=4, series=14, alpha=0.1) == pytest.approx(1.12, abs=0.005)
    tabled = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]  # table 5(a)
    for models, q in enumerate(tabled, start=2):
        # With N = M (M + 1) / 6 the difference is q itself.
        assert critical_difference(models=models, series=models * (models + 1) / 6) == pytest.approx(q, abs=1.1e-3)


def test_groups_are_those_of_demsar() -> None:
    ranks = mean_ranks(-DEMSAR)
    assert groups(ranks, apart=1.25) == [[3, 1, 2, 0]]
    # At 10 % C4.5 differs from both that are tuned for m, and "with cf" is told apart from none.
    assert groups(ranks, apart=1.12) == [[3, 1, 2], [2, 0]]


def test_groups_are_maximal_and_hold_every_model() -> None:
    draw = np.random.default_rng(3)
    for _ in range(50):
        ranks = draw.uniform(1, 9, 9).round(1)
        found = groups(ranks, apart=1.5)
        together = {(i, j) for i in range(9) for j in range(i) if any(i in group and j in group for group in found)}
        assert together == {(i, j) for i in range(9) for j in range(i) if abs(ranks[i] - ranks[j]) < 1.5}
        assert {model for group in found for model in group} == set(range(9))
        assert not any(set(one) < set(other) for one in found for other in found)
    assert groups([1.0, 2.5, 2.0], apart=np.nan) == [[0, 2, 1]]


def test_friedman_of_equal_errors_finds_nothing_and_of_one_order_everything() -> None:
    assert friedman(np.ones((20, 4)))[1] == 1
    assert friedman(np.tile(np.arange(4.0), (20, 1))).f_p == 0
    with pytest.raises(DataError, match="two series at least; got 1"):
        friedman(np.ones((1, 4)))
    with pytest.raises(DataError, match="by 3 models or more"):
        friedman(np.ones((20, 2)))
    with pytest.raises(DataError, match="is NaN"):
        friedman(np.full((20, 3), np.nan))


def test_wilcoxon_worked_by_hand() -> None:
    # Six differences of one sign: 2 of the 64 signings are as extreme.
    assert wilcoxon(np.arange(6.0), np.arange(6.0) + [1, 2, 3, 4, 5, 6]) == pytest.approx(2 / 64) == smallest_p(6)
    # Ranks 1 to 7 with one of rank 2 against: sums of 0, 1 and 2 (one signing each), both tails.
    assert wilcoxon(np.array([1.0, -2, 3, 4, 5, 6, 7]), np.zeros(7)) == pytest.approx(2 * 3 / 128)
    assert wilcoxon(np.ones(30), np.ones(30)) == 1
    assert smallest_p(5) > 0.05 >= smallest_p(6)


def test_equal_forecasts_on_most_series_are_no_evidence() -> None:
    errors, others = np.ones(200), np.ones(200)
    others[:6] += np.arange(1, 7)  # six wins, all else tied
    assert 0.01 < wilcoxon(errors, others) < 0.05


def test_win_rate_counts_ties_half_and_has_the_exact_interval() -> None:
    rate = win_rate([1, 1, 1, 2], [2, 2, 1, 1])
    assert rate.rate == 2.5 / 4
    for won in (0, 3, 10):
        errors = np.where(np.arange(10) < won, 0.0, 2.0)
        exact = stats.binomtest(won, 10).proportion_ci(method="exact")
        assert win_rate(errors, np.ones(10))[1:] == pytest.approx((exact.low, exact.high))


def test_errors_alike_but_for_rounding_are_ties() -> None:
    errors = np.array([[1.0, 1 + 1e-9, 2.0, 1 - 1e-9], [3.0, 2.0, 3 * (1 + 1e-8), 1.0], [0.0, 0.0, 1e-12, 5.0]])
    ranks = [stats.rankdata(row).tolist() for row in tied(errors)]
    assert ranks == [[2, 2, 4, 2], [3.5, 2, 3.5, 1], [1.5, 1.5, 3, 4]]
    assert np.allclose(tied(errors), errors, rtol=1e-6)


def test_skill_is_the_ratio_of_means() -> None:
    errors = np.array([[1.0, 2.0, 0.0], [3.0, 6.0, 0.0]])
    result = skills(errors)
    assert result[0, 1] == 0.5 and result[1, 0] == -1 and result[0, 0] == 0 and np.isnan(result[:, 2]).all()


def test_skill_interval_is_that_of_a_paired_bootstrap() -> None:
    draw = np.random.default_rng(4)
    size = draw.lognormal(0, 1, 60)
    errors = np.stack([size * draw.lognormal(-0.1, 0.2, 60), size * draw.lognormal(0, 0.2, 60)], axis=1)
    low, high = skill_intervals(errors)
    rows = [errors[draw.integers(0, 60, 60)].mean(axis=0) for _ in range(2000)]
    expected = np.percentile([1 - own / other for own, other in rows], [2.5, 97.5])
    assert (low[0, 1], high[0, 1]) == pytest.approx(tuple(expected), abs=0.012)
    assert (low[0, 0], high[0, 0]) == (0, 0)
    again, _ = skill_intervals(errors)
    assert (again == low).all()


def test_skill_interval_of_windows_that_overlap_is_wider_and_needs_ten_blocks() -> None:
    draw = np.random.default_rng(5)
    errors = 1 + np.stack([np.convolve(draw.random(209), np.ones(10) / 10, mode="valid") for _ in range(2)], axis=1)
    low, high = skill_intervals(errors)
    block_low, block_high = skill_intervals(errors, overlap=10)
    assert block_high[0, 1] - block_low[0, 1] > 2 * (high[0, 1] - low[0, 1])
    assert np.isnan(skill_intervals(errors[:99], overlap=10)).all()
    assert np.isnan(skill_intervals(errors[:9])).all()


def test_skill_interval_covers_the_truth() -> None:
    draw = np.random.default_rng(6)
    covered = 0
    for run in range(300):
        size = draw.lognormal(0, 0.5, 50)
        errors = np.stack([0.9 * size * draw.lognormal(0, 0.3, 50), size * draw.lognormal(0, 0.3, 50)], axis=1)
        low, high = skill_intervals(errors, seed=run)
        covered += low[0, 1] <= 0.1 <= high[0, 1]
    assert 0.90 <= covered / 300 <= 0.98


def test_holm_and_benjamini_hochberg_worked_by_hand() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert corrected(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # 3 * .01, max(.06, .04), 2 * .03, 4 * .005
    assert corrected(p, method="benjamini_hochberg") == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert corrected(p, method="none") == pytest.approx(p)
    assert corrected([0.6, 0.7]) == pytest.approx([1, 1])


def test_corrections_are_those_of_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(7).random(45) ** 3
    for ours, theirs in (("holm", "holm"), ("benjamini_hochberg", "fdr_bh")):
        assert corrected(p, method=ours) == pytest.approx(multitest.multipletests(p, method=theirs)[1])


def test_a_test_that_was_not_made_does_not_count() -> None:
    assert corrected([0.02, np.nan, 0.03]) == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)
    assert np.isnan(corrected([np.nan], method="benjamini_hochberg")).all()
    with pytest.raises(ConfigError, match="no correction 'bonferoni'"):
        corrected([0.1], method="bonferoni")
