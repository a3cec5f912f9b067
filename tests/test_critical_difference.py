"""The critical-difference diagram: where names and bars lie."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from forecast.comparison.significance.standings import ranks_table
from forecast.report.critical_difference import critical_difference_figure, diagram


def _ranks(series: int = 200, *, models: int = 15, spread: float = 0.8) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    levels = np.exp(np.linspace(0, spread, models))
    names = [f"model_number_{number}_with_a_long_name" if number % 4 == 3 else f"m{number}" for number in range(models)]
    return ranks_table(pd.DataFrame(levels * draw.lognormal(0, 0.5, (series, models)), columns=names))


def test_better_models_stand_on_the_left_and_lines_do_not_cross() -> None:
    ranks = _ranks()
    laid = diagram(ranks)
    assert [label.model for label in laid.labels] == ranks["model"].tolist()
    left = [label for label in laid.labels if label.side == "left"]
    right = [label for label in laid.labels if label.side == "right"]
    assert len(left) == 8 and max(label.rank for label in left) <= min(label.rank for label in right)
    # A line goes down at its rank and outward at its row: farther in means farther down.
    assert [label.row for label in left] == list(range(8)) and [label.row for label in right] == list(range(7))[::-1]
    assert laid.low <= ranks["mean_rank"].min() and ranks["mean_rank"].max() <= laid.high


def test_models_share_a_bar_where_they_lie_closer_than_the_critical_difference() -> None:
    ranks = _ranks()
    laid = diagram(ranks)
    for one, other in combinations(laid.labels, 2):
        shared = any(bar.low <= one.rank and other.rank <= bar.high for bar in laid.bars)
        assert shared == (other.rank - one.rank < laid.critical_difference)
    for one, other in combinations(laid.bars, 2):
        assert one.row != other.row or one.high < other.low or other.high < one.low


def test_the_critical_difference_fits_on_the_line() -> None:
    laid = diagram(_ranks(4, spread=0.1))
    assert laid.low + laid.critical_difference <= laid.high
    assert len(laid.bars) == 1 and (laid.bars[0].low, laid.bars[0].high) == (
        laid.labels[0].rank,
        laid.labels[-1].rank,
    )


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.8])
@pytest.mark.parametrize("series", [1, 6, 400])
def test_texts_do_not_overlap_nor_leave_the_figure(spread: float, series: int) -> None:
    figure = critical_difference_figure(_ranks(series, spread=spread), title="M4 Hourly, horizon 48")
    figure.draw_without_rendering()
    texts = [*figure.axes[0].texts, *figure.texts]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert len(boxes) >= 15
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0 for box in boxes)


def test_every_model_is_named_with_its_rank() -> None:
    ranks = _ranks(models=3)
    texts = {text.get_text() for text in critical_difference_figure(ranks).axes[0].texts}
    best = ranks.iloc[0]
    assert f"{best['model']}  {best['mean_rank']:.2f}" in texts
    assert f"critical difference {best['critical_difference']:.2f}" in texts
