"""Tables of pairs and ranks, and the words that are made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from windows import MODELS, found_in, made_errors, per_series, row_of, wide_errors

from forecast.comparison.significance.correction import corrected
from forecast.comparison.significance.diebold_mariano import diebold_mariano
from forecast.comparison.significance.findings import findings
from forecast.comparison.significance.paired import wilcoxon
from forecast.comparison.significance.pairs import PAIRS, pairs_table
from forecast.comparison.significance.standings import RANKS, ranks_table
from forecast.comparison.significance.words import pair_sentence
from forecast.errors import ConfigError, DataError


def test_pairs_are_worked_out_over_series() -> None:
    errors = wide_errors()
    pairs = pairs_table(errors, metric="mase")
    assert list(pairs.columns) == list(PAIRS) and len(pairs) == 12
    row = row_of(pairs, "gru", "naive")
    assert (row["series"], row["n"], row["test"], row["metric"], row["reason"]) == (40, 40, "Wilcoxon", "mase", "")
    assert row["p"] == pytest.approx(wilcoxon(errors["gru"], errors["naive"]))
    assert row["win_rate"] == (errors["gru"] < errors["naive"]).mean()
    assert row["skill"] == pytest.approx(1 - errors["gru"].mean() / errors["naive"].mean())
    assert row["skill_low"] < row["skill"] < row["skill_high"] and row["significant"]


def test_each_pair_is_corrected_once_though_it_has_two_rows() -> None:
    pairs = pairs_table(wide_errors())
    once = pairs[pairs["model"] < pairs["other"]]
    assert len(once) == 6
    assert once["p_corrected"].to_numpy() == pytest.approx(corrected(once["p"]))
    for row in pairs.itertuples():
        back = row_of(pairs, row.other, row.model)
        assert (row.p, row.p_corrected) == (back["p"], back["p_corrected"])
        assert row.win_rate == pytest.approx(1 - back["win_rate"])


def test_a_reference_alone_leaves_fewer_tests_to_correct_for() -> None:
    errors = wide_errors()
    pairs = pairs_table(errors, reference="naive")
    assert {frozenset(pair) for pair in zip(pairs["model"], pairs["other"], strict=True)} == {
        frozenset(("naive", model)) for model in ("gru", "lstm", "seasonal_naive")
    }
    assert pairs["p_corrected"].max() <= 3 * pairs["p"].max()
    with pytest.raises(ConfigError, match="no model 'nave'"):
        pairs_table(errors, reference="nave")


def test_what_is_said_of_the_method_to_beat_is_corrected_for_its_own_tests_alone() -> None:
    models = {f"m{number}": 0.97 for number in range(12)} | {"gru": 0.7, "seasonal_naive": 1.0}
    windows = made_errors(11, models=models, noise=0.09)
    found = found_in(windows)
    assert len(found.pairs) == 14 * 13 and len(found.against) == 2 * 13
    own, all_pairs = row_of(found.against, "gru", "seasonal_naive"), row_of(found.pairs, "gru", "seasonal_naive")
    assert own["p"] == all_pairs["p"]
    against = found.against[found.against["other"] == "seasonal_naive"]
    assert own["p_corrected"] == corrected(against["p"])[list(against["model"]).index("gru")]
    assert own["p_corrected"] < 0.05 < all_pairs["p_corrected"]
    said = next(sentence for sentence in found.sentences if "seasonal naive" in sentence)
    assert said.startswith("gru beats seasonal naive") and f"p = {own['p_corrected']:.2g}".replace("0.", ".") in said


def test_the_best_two_are_told_apart_among_all_pairs_unless_one_is_the_method_to_beat() -> None:
    found = found_in(made_errors(12, models={"gru": 0.8, "lstm": 0.85, "seasonal_naive": 1.0}, noise=0.1))
    first, second = found.ranks["model"][:2]
    p = row_of(found.pairs, first, second)["p_corrected"]
    assert any({first, second} <= set(sentence.replace(",", "").split()) for sentence in found.sentences[1:])
    assert any(f"p = {p:.2g}".replace("0.", ".") in sentence for sentence in found.sentences)
    alone = found_in(made_errors(12, models={"gru": 0.8, "seasonal_naive": 1.0, "lstm": 1.4}, noise=0.1))
    assert list(alone.ranks["model"][:2]) == ["gru", "seasonal_naive"]
    assert sum("gru" in sentence for sentence in alone.sentences) == 1  # said once


def test_one_series_is_tested_over_windows() -> None:
    windows = made_errors(1, folds=40)
    wide = windows.pivot(index="fold", columns="model", values="mase")
    pairs = found_in(windows).pairs
    row = row_of(pairs, "gru", "seasonal_naive")
    assert (row["series"], row["n"], row["test"]) == (1, 40, "Diebold-Mariano")
    assert row["p"] == pytest.approx(diebold_mariano(wide["gru"], wide["seasonal_naive"]).p)
    assert row["significant"] and row["win_rate"] > 0.9 and np.isfinite(row["win_low"])


def test_few_series_are_tested_over_windows_of_their_mean() -> None:
    windows = made_errors(3, folds=40, seeds=2)
    wide = windows.groupby(["fold", "model"])["mase"].mean().unstack()
    found = found_in(windows, step=3)  # three windows in a row share steps of a horizon of 7
    row = row_of(found.pairs, "gru", "naive")
    assert row["p"] == pytest.approx(diebold_mariano(wide["gru"], wide["naive"], steps_overlap=3).p)
    assert np.isnan(row["win_low"])
    assert any("Diebold-Mariano over 40 windows of 3 series" in sentence for sentence in found.sentences)


def test_a_fold_that_lacks_a_series_is_left_out() -> None:
    windows = made_errors(2, folds=20)
    lacking = windows[~((windows["fold"] == 5) & (windows["series"] == "s1") & (windows["model"] == "gru"))]
    assert set(found_in(lacking).pairs["n"]) == {19}


def test_windows_without_numbers_of_their_own_are_refused() -> None:
    with pytest.raises(DataError, match="several rows of one model and seed"):
        found_in(made_errors(1, folds=20).assign(fold=1))


def test_series_that_a_model_has_no_error_of_are_left_out_and_told() -> None:
    windows = made_errors()
    windows.loc[(windows["model"] == "lstm") & windows["series"].isin(["s3", "s7"]), "mase"] = np.nan
    found = found_in(windows)
    assert set(found.pairs["series"]) == set(found.ranks["series"]) == {38}
    assert "2 of 40 series are left out: not every model (least often lstm) has an error there." in found.sentences
    with pytest.raises(DataError, match="'gru' has the fewest"):
        pairs_table(wide_errors().assign(gru=np.nan))


@pytest.mark.parametrize(("count", "named"), [(2, "s3, s4"), (5, "s3, s4, s5 and 2 more")])
def test_series_without_a_scale_are_said_to_have_none(count: int, named: str) -> None:
    windows = made_errors()
    bare = [f"s{number}" for number in range(3, 3 + count)]
    windows.loc[windows["series"].isin(bare), "mase"] = np.nan
    windows.loc[(windows["model"] == "lstm") & (windows["series"] == "s9"), "mase"] = np.nan
    windows.loc[windows["series"] == "s11", ["mase", "mae"]] = np.nan
    assert found_in(windows).sentences[-2:] == [
        f"{count} of 40 series are left out: MASE is undefined there (constant, or fewer than eight differences before "
        f"the first window): {named}.",
        "2 of 40 series are left out: not every model (least often lstm) has an error there.",
    ]


def test_what_the_correction_forbids_is_said_of_each_table_by_itself() -> None:
    found = found_in(made_errors(8, models={**MODELS, "drift": 1.1}))
    assert set(found.against["reason"]) == {""}
    assert set(found.pairs["reason"]) == {"8 series cannot reach 5 % in 10 comparisons, 9 are needed"}
    assert sum("8 series cannot reach 5 % in 10 comparisons, 9 are needed." in one for one in found.sentences) == 1
    assert not any("do not tell them apart" in sentence for sentence in found.sentences)


def test_series_without_an_error_of_any_model_leave_the_tests_over_windows_to_the_others() -> None:
    windows = made_errors(3, folds=30)
    windows.loc[windows["series"] == "s2", ["mase", "mae"]] = np.nan
    found = found_in(windows)
    assert set(found.pairs["test"]) == {"Diebold-Mariano"} and set(found.pairs["n"]) == {30}
    assert "1 of 3 series are left out: no model has an error there." in found.sentences


def test_skill_is_that_of_the_errors_shown_where_windows_lack_a_series() -> None:
    windows = made_errors(2, folds=30)
    windows = windows[~((windows["series"] == "s1") & (windows["fold"] <= 12))]
    windows.loc[(windows["model"] == "gru") & (windows["fold"] <= 12), "mase"] *= 9  # in the windows that lack a series
    found = found_in(windows)
    means = per_series(windows).groupby("model")["mase"].mean()
    standing = found.standing.set_index("model")
    assert standing["skill"]["gru"] == pytest.approx(1 - means["gru"] / means["seasonal_naive"])
    assert standing["skill"]["gru"] < 0 < row_of(found.pairs, "gru", "seasonal_naive")["skill"]
    assert standing[["skill_low", "skill_high"]].isna().all(axis=None)
    told = "12 of 30 windows are left out of the tests: they lack a series, most often s1. Where"
    assert any(sentence.startswith(told) for sentence in found.sentences)


def test_a_method_without_any_error_is_beaten_by_nobody_and_told() -> None:
    errors = wide_errors(12).assign(seasonal_naive=0.0)
    told = pair_sentence(row_of(pairs_table(errors), "gru", "seasonal_naive"))
    assert told.startswith("gru loses to seasonal naive on 100 % of series, with errors where the other makes none;")
    found = found_in(
        made_errors(12).assign(mase=lambda rows: rows["mase"].where(rows["model"] != "seasonal_naive", 0.0))
    )
    assert "No model here is better than repeating the last season." in found.sentences


def test_a_model_that_shares_no_series_with_the_rest_is_left_out_and_told() -> None:
    windows = made_errors()
    gone = windows["series"].isin([f"s{number}" for number in range(30)])
    windows.loc[(windows["model"] == "gru") & gone, "mase"] = np.nan
    windows.loc[(windows["model"] != "gru") & ~gone, "mase"] = np.nan
    windows.loc[(windows["model"] == "gru") & (windows["series"] == "s2"), "mase"] = np.inf
    found = found_in(windows)
    assert set(found.ranks["model"]) == {"lstm", "seasonal_naive", "naive"} and set(found.pairs["series"]) == {30}
    assert any(sentence.startswith("gru is left out of the tests") for sentence in found.sentences)


def test_seeds_are_averaged_and_not_counted_as_series() -> None:
    windows = made_errors(seeds=3)
    pairs = found_in(windows).pairs
    averaged = windows.groupby(["series", "model"])["mase"].mean().unstack()
    assert set(pairs["n"]) == {40}
    assert row_of(pairs, "gru", "lstm")["p"] == pytest.approx(wilcoxon(averaged["gru"], averaged["lstm"]))


def test_the_metric_is_mase_where_every_model_has_it_else_mae() -> None:
    windows = made_errors()
    assert set(found_in(windows).pairs["metric"]) == {"mase"}
    windows.loc[windows["model"] == "gru", "mase"] = np.nan
    assert set(found_in(windows).pairs["metric"]) == {"mae"}


def test_ranks_tell_groups_and_intervals() -> None:
    ranks = ranks_table(wide_errors())
    assert list(ranks.columns) == list(RANKS)
    assert ranks["mean_rank"].is_monotonic_increasing and ranks["mean_rank"].sum() == pytest.approx(10)
    assert set(ranks["model"][:2]) == {"gru", "lstm"}
    assert ranks["groups"].tolist() == ["1", "1", "2", "3"]
    assert (ranks["high"] - ranks["low"]).to_numpy() == pytest.approx(ranks["critical_difference"].to_numpy())
    assert (ranks["friedman_p"] < 1e-9).all()


def test_ranks_of_one_series_tell_nobody_apart() -> None:
    ranks = ranks_table(wide_errors(1))
    assert ranks["mean_rank"].tolist() == [1, 2, 3, 4]
    assert ranks["critical_difference"].isna().all() and set(ranks["groups"]) == {"1"}


def test_standing_tells_rank_wins_and_skill_against_the_reference() -> None:
    found = found_in(made_errors())
    table = found.standing.set_index("model")
    errors = wide_errors()
    assert set(table["reference"]) == {"seasonal_naive"}
    assert table["rank"].to_dict() == pytest.approx(errors.rank(axis=1).mean().to_dict())
    best = errors.idxmin(axis=1)
    assert table["wins"].to_dict() == {model: (best == model).sum() for model in errors}
    expected = 1 - errors.mean() / errors["seasonal_naive"].mean()
    assert table["skill"].to_dict() == pytest.approx(expected.to_dict())
    assert table.loc["gru", "skill_low"] < table.loc["gru", "skill"] < table.loc["gru", "skill_high"]
    asked = found_in(made_errors(), reference={("made", 7): "naive"}).standing
    assert set(asked["reference"]) == {"naive"}


@pytest.mark.slow
def test_equal_models_differ_in_five_comparisons_of_a_hundred_at_most() -> None:
    draw = np.random.default_rng(1)
    found = nemenyi = 0
    for _ in range(300):
        errors = pd.DataFrame(draw.lognormal(0, 0.5, (40, 1)) * draw.lognormal(0, 0.2, (40, 5)))
        found += pairs_table(errors)["significant"].any()
        nemenyi += ranks_table(errors)["groups"].nunique() > 1
    most = 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)
    assert 0 < found <= most and 0 < nemenyi <= most


def test_skill_has_no_interval_where_windows_weigh_otherwise_than_steps() -> None:
    windows = made_errors(2, folds=30).assign(n=7)
    assert found_in(windows).standing["skill_low"].notna().any()
    uneven = windows.assign(n=windows["fold"].map(lambda fold: 7 if fold % 2 else 1))
    assert found_in(uneven).standing[["skill_low", "skill_high"]].isna().all(axis=None)


def test_windows_that_overlap_are_tested_without_a_hole_between_them() -> None:
    windows = made_errors(2, folds=60)
    lacking = windows[~((windows["series"] == "s1") & windows["fold"].isin([15, 30]))]
    found = found_in(lacking, step=4)
    assert set(found.pairs["n"]) == {30}  # folds 31 to 60
    told = "2 of 60 windows are left out of the tests: they lack a series, most often s1. 28 more lie apart"
    assert any(sentence.startswith(told) for sentence in found.sentences)
    assert set(found_in(lacking).pairs["n"]) == {58}  # without overlap there are no lags


def test_errors_in_several_units_are_not_tested_without_a_mase() -> None:
    windows = made_errors(8)
    assert not findings(per_series(windows), mixed=[("made", 7)]).pairs.empty
    found = findings(per_series(windows), metric="mae", mixed=[("made", 7)])
    assert found.pairs.empty and found.sentences == [
        "Nothing is tested: mae is in several units, and MASE is undefined."
    ]


def test_of_equal_ranks_the_lower_mean_error_comes_first() -> None:
    errors = pd.DataFrame({"lstm": [1.0, 2.0], "segrnn": [1.5, 1.1], "naive": [3.0, 3.0]}, index=["a", "b"])
    ranks = ranks_table(errors)
    assert ranks["model"].tolist() == ["segrnn", "lstm", "naive"] and ranks["mean_rank"].tolist() == [1.5, 1.5, 3.0]
