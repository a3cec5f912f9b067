"""The sentence about a backtest is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast.evaluation.tables import Backtest
from forecast.evaluation.verdict import distribution_note, interval_note, shown, verdict


@pytest.mark.parametrize(
    ("ours", "told"),
    [
        (
            [0.5, 0.7],
            "network wins: MASE 0.6, 40% below the best simple method, naive (1); network is better on 2 of 2 series.",
        ),
        (
            [0.9, 1.5],
            "naive wins: MASE 1; network (1.2) is 20% above it; network is better on 1 of 2 series. "
            "On these windows naive is the safer choice.",
        ),
        (
            [1e6, 3e6],
            "naive wins: MASE 1; network (2,000,000) is far above it; network is better on 0 of 2 series. "
            "On these windows naive is the safer choice.",
        ),
        (
            [0.8, 1.2],
            "network and naive are level (MASE 1 and 1); network is better on 1 of 2 series. "
            "The simple method will do.",
        ),
    ],
)
def test_the_sentence_says_who_won(ours: list[float], told: str) -> None:
    scored = _scored({"network": ours, "drift": [3.0, 3.0], "naive": [1.0, 1.0]})
    assert verdict(scored, name="network") == told


def test_a_series_of_several_targets_is_counted_once_for_each() -> None:
    mases = {"network": [0.5, 0.7, 2.0, 0.8], "naive": [1.0, 1.0, 1.0, 1.0]}
    told = verdict(_scored(mases, targets=("y", "z")), name="network")
    assert told.endswith("network is better on 3 of 4 pairs of series and target. The simple method will do.")


def test_the_sentence_falls_back_on_mae_where_nobody_has_a_mase() -> None:
    scored = _scored({"network": [0.5, 0.7], "naive": [1.0, 1.0]})
    scored.scores["mase"] = scored.per_series["mase"] = np.nan
    assert verdict(scored, name="network").startswith("network wins: MAE 6, 40% below")


def test_the_sentence_falls_back_on_smape_where_targets_have_no_common_unit_either() -> None:
    scored = _scored({"network": [0.5, 0.7], "naive": [1.0, 1.0]}, targets=("y", "z"))
    scored.scores[["mase", "mae"]] = scored.per_series["mase"] = np.nan
    assert verdict(scored, name="network").startswith("network wins: sMAPE 0.06, 40% below")


def test_the_sentence_admits_that_nothing_was_observed() -> None:
    scored = _scored({"network": [np.nan, np.nan], "naive": [np.nan, np.nan]})
    assert verdict(scored, name="network").startswith("Nothing is known of the worth of network")
    assert interval_note(scored, name="network") == ""


def test_the_sentence_tells_small_units_apart() -> None:
    told = verdict(_scored({"network": [2e-6, 2e-6], "naive": [4e-6, 4e-6]}), name="network")
    assert told.startswith("network wins: MASE 2e-06, 50% below the best simple method, naive (4e-06)")


def test_the_sentence_does_without_baselines() -> None:
    told = verdict(_scored({"network": [0.5, 0.7]}), name="network")
    assert told == "network has a MASE of 0.6; no baseline was asked for."


def test_the_sentence_bears_a_perfect_rival() -> None:
    told = verdict(_scored({"network": [0.5, 0.7], "naive": [0.0, 0.0]}), name="network")
    assert told.startswith("naive wins: MASE 0; network (0.6) is far above it")


def test_a_note_tells_intervals_that_are_too_narrow_or_too_wide() -> None:
    for held, told in ((0.57, "hold 57% of the truth, too narrow"), (0.97, "too wide"), (0.78, "")):
        note = interval_note(_held(held), name="network")
        assert told in note and bool(note) == bool(told)
    assert "they were calibrated" in interval_note(_held(0.5), name="network", is_calibrated=True)


def test_a_note_on_intervals_admits_that_few_windows_tell_little() -> None:
    assert interval_note(_held(1.0, windows=1), name="network").endswith(
        "hold 100% of the truth of 1 window, which may be chance."
    )
    assert "too narrow" not in interval_note(_held(0.6, windows=9), name="network")
    half = _held(0.0, windows=12)  # seven of twelve windows wholly inside: 58 %, give or take 30
    half.forecasts.loc[half.forecasts["unique_id"].isin([f"s{number}" for number in range(7)]), "y"] = 0.0
    assert interval_note(half, name="network").endswith("hold 58% of the truth of 12 windows, which may be chance.")


def test_truth_on_a_bound_makes_no_interval_too_wide_nor_too_narrow() -> None:
    scored = _held(1.0)
    scored.forecasts["y"] = scored.forecasts["q0.1"]
    assert interval_note(scored, name="network") == ""


def test_the_sentence_tells_where_the_distribution_says_otherwise() -> None:
    scored = _scored({"network": [2.0], "naive": [1.0], "ridge": [1.5]})
    scored.scores["crps"] = [0.5, 1.0, 2.0]
    assert distribution_note(scored, name="network") == (
        " By CRPS, which judges the whole distribution, network is 50% below naive."
    )
    scored.scores["crps"] = [3.0, 1.0, 2.0]
    assert distribution_note(scored, name="network") == ""
    scored = _scored({"network": [1.0], "naive": [2.0]})
    scored.scores["crps"] = [1.0, 0.8]
    assert "naive is 20% below network" in distribution_note(scored, name="network")


def test_numbers_are_shown_with_four_digits_in_any_unit() -> None:
    assert [shown(value) for value in (0.00012345, 1234.5, 9.8e6, np.nan)] == ["0.0001234", "1234", "9,800,000", "-"]


def _held(share: float, *, windows: int = 20) -> Backtest:
    """Return the tables of a network whose intervals, from -1 to 1, hold a share of the 100 steps of each window."""
    truth = np.where(np.arange(100) < round(100 * share), 0.0, 2.0)
    rows = [
        pd.DataFrame({"unique_id": f"s{number}", "fold": 1, "model": "network", "q0.1": -1.0, "q0.9": 1.0, "y": truth})
        for number in range(windows)
    ]
    return replace(_scored({"network": [1.0]}), forecasts=pd.concat(rows, ignore_index=True))


def _scored(mases: dict[str, list[float]], targets: tuple[str, ...] = ()) -> Backtest:
    """Return tables of models by their MASE on each series, or pair of series and target."""
    rows = []
    for model, values in mases.items():
        for number, mase in enumerate(values):
            key = {"unique_id": f"s{number}"}
            if targets:
                key = {"unique_id": f"s{number // len(targets)}", "target": targets[number % len(targets)]}
            rows.append({"model": model, **key, "mase": mase, "mae": 10 * mase, "smape": mase / 10, "coverage": mase})
    per_series = pd.DataFrame(rows)
    means = per_series.groupby("model", sort=False)[["mase", "mae", "smape", "coverage"]].mean().reset_index()
    nothing = pd.DataFrame()
    return Backtest(forecasts=nothing, scores=means, per_fold=nothing, per_step=nothing, per_series=per_series)
