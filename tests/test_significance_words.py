"""What the tests of a comparison say in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
from windows import found_in, made_errors, per_series, row_of, wide_errors

from forecast.comparison.significance.findings import findings
from forecast.comparison.significance.pairs import pairs_table
from forecast.comparison.significance.standings import ranks_table
from forecast.comparison.significance.words import pair_sentence, sentences


def test_words_on_a_winner() -> None:
    found = found_in(made_errors())
    row = row_of(found.pairs, "lstm", "seasonal_naive")
    percent = {name: f"{100 * row[name]:.0f}" for name in ("win_rate", "skill", "skill_low", "skill_high")}
    assert found.sentences[0] == (
        f"lstm beats seasonal naive on {percent['win_rate']} % of series, with a mean error {percent['skill']} % lower "
        f"(95 % interval {percent['skill_low']} to {percent['skill_high']} %); the difference is significant at 5 % "
        "(p < .001 after Holm's correction, Wilcoxon over 40 series)."
    )
    p = f"{row_of(found.pairs, 'gru', 'lstm')['p_corrected']:.2g}".lstrip("0")
    assert found.sentences[1:] == [
        "So does gru, significantly.",
        "naive is significantly worse than seasonal naive.",
        f"The difference between lstm and gru is not significant (p = {p} after Holm's correction, Wilcoxon over 40 "
        "series): 40 series do not tell them apart.",
    ]


def test_a_row_of_the_table_is_a_sentence() -> None:
    row = row_of(pairs_table(wide_errors()[["gru", "naive"]]), "naive", "gru")
    told = pair_sentence(row, tests=1)
    assert told.startswith("naive loses to gru on 100 % of series, with a mean error ")
    assert told.endswith("; the difference is significant at 5 % (p < .001, Wilcoxon over 40 series).")


def test_words_where_nobody_beats_the_simple_method() -> None:
    worse = found_in(made_errors(models={"gru": 1.5, "naive": 1.0})).sentences
    assert worse[0] == "No model here is better than repeating the last value."
    assert worse[1].startswith("gru loses to naive on 100 % of series, with a mean error ")
    assert worse[1].endswith("the difference is significant at 5 % (p < .001, Wilcoxon over 40 series).")
    level = found_in(made_errors(models={"gru": 0.999, "seasonal_naive": 1.0}, noise=0.5)).sentences
    assert level[0] in (
        "No model here is shown to be better than repeating the last season.",
        "No model here is better than repeating the last season.",
    )
    assert "is not significant" in level[1]


def test_words_on_too_few_series() -> None:
    few = findings(per_series(made_errors(3))).sentences
    assert few[-1].startswith("The difference between ") and few[-1].endswith(
        "after Holm's correction, Wilcoxon over 3 series): 3 series are too few for a test over them to reach 5 %."
    )
    more = findings(per_series(made_errors(7))).sentences
    told = "after Holm's correction, Wilcoxon over 7 series): 7 series cannot reach 5 % in 6 comparisons, 8 are needed."
    assert more[-2].startswith("The difference between ") and more[-2].endswith(told)
    windows = found_in(made_errors(1, folds=5)).sentences
    assert windows[-1] == "5 windows are too few for a test: take 8 folds or more (backtest.folds=8)."
    shared = found_in(made_errors(1, folds=25), step=2).sentences
    told = "25 windows are too few for a test; 4 in a row have steps in common: take 40 folds or more"
    assert shared[-1] == f"{told} (backtest.folds=40)."
    assert not any("significant" in sentence for sentence in (*windows, *shared))


def test_what_is_said_to_be_out_of_reach_is_and_what_is_said_to_be_enough_is() -> None:
    ideal = pd.DataFrame({"a": np.arange(8.0), "b": 1.1 * np.arange(8) + 1, "c": 1.2 * np.arange(8) + 2})
    ideal["d"] = ideal["c"] + np.arange(8) + 1
    assert pairs_table(ideal)["significant"].all() and (pairs_table(ideal)["reason"] == "").all()
    assert not pairs_table(ideal[:7])["significant"].any()
    assert not pairs_table(ideal[["a", "b"]][:5])["significant"].any()
    assert pairs_table(ideal[["a", "b"]][:6])["significant"].all()


def test_words_on_equal_forecasts() -> None:
    windows = made_errors(models={"seasonal_naive": 1.0, "naive": 2.0})
    same = windows[windows["model"] == "seasonal_naive"].assign(model="copy")
    found = found_in(pd.concat([windows, same]))
    row = row_of(found.pairs, "copy", "seasonal_naive")
    assert (row["win_rate"], row["p_corrected"], row["significant"]) == (0.5, 1, False)
    assert "copy and seasonal naive have the same errors." in found.sentences


def test_words_where_most_series_and_the_mean_disagree() -> None:
    errors = pd.DataFrame({"often": np.full(30, 1.0), "rarely": np.full(30, 1.1) + np.arange(30) / 1e3})
    errors.loc[:2, "often"] = 20.0
    [told, *_] = sentences(pairs_table(errors), ranks_table(errors))
    assert "no plain winner: often is better on 90 % of series, with a mean error 160 % higher" in told
    assert told.endswith("so a few series weigh much.")


def test_the_better_of_the_two_simple_methods_has_to_be_beaten() -> None:
    found = found_in(made_errors(models={"gru": 0.95, "naive": 0.9, "seasonal_naive": 1.3}))
    assert set(found.standing["reference"]) == {"naive"} and set(found.against["other"]) >= {"naive"}
    assert found.sentences[0] == "No model here is better than repeating the last value."
    found = found_in(made_errors(models={"gru": 0.95, "naive": 1.4, "seasonal_naive": 1.3}))
    assert set(found.standing["reference"]) == {"seasonal_naive"}


def test_the_method_to_beat_is_the_better_one_on_the_windows_that_are_tested() -> None:
    windows = made_errors(1, folds=30, models={"gru": 1.0, "naive": 0.8, "seasonal_naive": 1.2}, noise=0.01)
    longer = per_series(windows).assign(mase=[0.9, 1.2, 0.8])  # the mean over steps: one window has far more of them
    found = findings(longer, windows)
    assert set(found.standing["reference"]) == {"naive"}
    assert (found.against["test"] == "Diebold-Mariano").all() and "naive" in set(found.against["other"])


def test_what_all_pairs_lack_is_not_said_of_the_tests_of_the_method_to_beat() -> None:
    models = {"gru": 0.5, "naive": 1.0} | {f"m{number}": 1.5 for number in range(8)}
    found = found_in(made_errors(9, models=models))
    assert "the difference is significant" in found.sentences[0]
    assert found.sentences[-1].startswith("Of the pairs of all models: 9 series cannot reach 5 %")


def test_the_reference_without_a_season_is_called_naive() -> None:
    windows = made_errors(models={"gru": 1.5, "naive": 1.0})
    same = windows[windows["model"] == "naive"].assign(model="seasonal_naive")
    assert found_in(pd.concat([windows, same])).sentences[0] == "No model here is better than repeating the last value."


def test_several_data_sets_and_horizons_are_told_apart() -> None:
    one, other = made_errors(), made_errors(folds=2).assign(horizon=14)
    found = findings(per_series(pd.concat([one, other])))
    assert {key for key, _ in found.pairs.groupby(["data", "horizon"])} == {("made", 7), ("made", 14)}
    assert all(sentence.startswith(("made, horizon 7: ", "made, horizon 14: ")) for sentence in found.sentences)
    apart = findings(per_series(pd.concat([one, one.assign(data="more")])))
    assert all(sentence.startswith(("made: ", "more: ")) for sentence in apart.sentences)


def test_one_model_alone_proves_nothing() -> None:
    found = found_in(made_errors(models={"gru": 1.0}))
    assert found.pairs.empty and found.ranks.empty and found.sentences == []


def test_one_window_is_one() -> None:
    told = found_in(made_errors(1, folds=1)).sentences[-1]
    assert told == "1 window is too few for a test: take 8 folds or more (backtest.folds=8)."
