"""A forecaster beside its best rival: ratios of errors, the series that it fails on, and their figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.evaluation.relative import best_rival, relative_errors, worst_series
from forecast.evaluation.tables import Backtest
from forecast.report.figures import series_error_figure


def _scored(targets: tuple[str, ...] = (), **errors: list[float]) -> Backtest:
    """Return the tables of models whose MASE on series A, B, ... is given; with targets, of each pair in turn."""
    names = [chr(ord("A") + number) for number in range(len(next(iter(errors.values()))))]
    parts = []
    for model, values in errors.items():
        about = {"unique_id": [f"s{number // 2}" for number in range(len(values))]} if targets else {"unique_id": names}
        more = {"target": [targets[number % 2] for number in range(len(values))]} if targets else {}
        parts.append(pd.DataFrame({"model": model, **about, **more, "mase": values}))
    table = pd.concat(parts, ignore_index=True)
    scores = table.groupby("model", sort=False)["mase"].mean().reset_index()
    return Backtest(forecasts=table, scores=scores, per_fold=table, per_step=table, per_series=table)


def test_the_rival_is_the_best_of_the_others() -> None:
    scored = _scored(net=[1.0, 1.0], naive=[3.0, 3.0], ridge=[2.0, 2.0])
    assert best_rival(scored, metric="mase", name="net") == "ridge"
    assert best_rival(scored, metric="mase", name="ridge") == "net"
    assert best_rival(_scored(net=[1.0]), metric="mase", name="net") is None
    assert best_rival(_scored(net=[1.0], naive=[np.nan]), metric="mase", name="net") is None


def test_a_ratio_is_that_of_the_errors_of_one_series() -> None:
    scored = _scored(net=[1.0, 4.0, 0.0, 1.0, np.nan], ridge=[2.0, 2.0, 0.0, 0.0, 1.0])
    errors = relative_errors(scored, metric="mase", name="net", rival="ridge")
    assert errors["ratio"].to_dict() == {"A": 0.5, "B": 2.0, "C": 1.0, "D": np.inf}


def test_the_worst_series_are_those_with_the_largest_ratio_not_the_largest_error() -> None:
    scored = _scored(net=[9.0, 2.0, 3.0, 1.0], ridge=[10.0, 1.0, 2.0, 2.0])
    worst = worst_series(scored, metric="mase", name="net", count=4)
    assert (worst.series, worst.values, worst.beaten) == (["B", "C"], [2.0, 1.5], True)
    assert worst_series(scored, metric="mase", name="net", count=1).series == ["B"]


def test_where_no_series_is_lost_the_worst_have_the_largest_error() -> None:
    for others in ({"ridge": [3.0, 2.0, 9.0]}, {}):
        worst = worst_series(_scored(net=[1.0, 2.0, 1.5], **others), metric="mase", name="net", count=2)
        assert (worst.series, worst.values, worst.beaten) == (["B", "C"], [2.0, 1.5], False)


def test_of_several_targets_pairs_are_told_by_themselves() -> None:
    scored = _scored(("warm", "wet"), net=[1.0, 2.0, 3.0, 1.0], ridge=[1.0, 1.0, 1.0, 1.0])
    worst = worst_series(scored, metric="mase", name="net", count=4)
    assert (worst.series, worst.values) == ([("s1", "warm"), ("s0", "wet")], [3.0, 2.0])
    errors = relative_errors(scored, metric="mase", name="net", rival="ridge")
    [axis] = series_error_figure(errors, model="net", rival="ridge", metric="MASE").axes
    assert [label.get_text() for label in axis.get_yticklabels()][0] in ("s0 · warm", "s1 · wet")


def _errors(count: int) -> pd.DataFrame:
    ratio = np.geomspace(0.5, 2, count)
    return pd.DataFrame({"own": ratio, "other": 1.0, "ratio": ratio}, index=[f"s{number}" for number in range(count)])


def test_few_series_have_their_names_beside_their_dots() -> None:
    figure = series_error_figure(_errors(4), model="net", rival="ridge", metric="MASE")
    [axis] = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["s0", "s1", "s2", "s3"]
    assert axis.get_xlabel() == "MASE of net over that of ridge (logarithmic)" and axis.get_xscale() == "log"
    assert figure._suptitle.get_text() == "net is better on 2 of 4 series (50%); median ratio 1.03"


def test_many_series_are_dots_in_order() -> None:
    figure = series_error_figure(_errors(100), model="net", rival="ridge", metric="MASE")
    [axis] = figure.axes
    [dots] = [one for one in axis.collections if len(one.get_offsets()) == 100]
    assert (np.diff(dots.get_offsets()[:, 0]) > 0).all() and axis.get_ylabel() == "series, in order"
    assert figure.get_size_inches()[1] < 6


def test_errors_of_zero_are_counted_but_not_drawn() -> None:
    errors = pd.concat([_errors(4), pd.DataFrame({"own": [0.0], "other": 1.0, "ratio": 0.0}, index=["exact"])])
    text = series_error_figure(errors, model="net", rival="ridge", metric="MASE")._suptitle.get_text()
    assert "better on 3 of 5 series" in text and "1 with an error of 0 are not drawn" in text
    with pytest.raises(ValueError, match="2 series have a ratio that can be drawn; it takes 3"):
        series_error_figure(_errors(2), model="net", rival="ridge", metric="MASE")
