"""Errors of arrays: the same as those of a backtest's tables, as plain loops, and in chunks of any size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast import Columns
from forecast.comparison.joining import joined
from forecast.evaluation import metrics, window_errors
from forecast.evaluation.averages import averaged
from forecast.evaluation.metrics import METRICS
from forecast.evaluation.step_errors import DECILES, Scales
from forecast.evaluation.tables import tabulated
from forecast.evaluation.window_errors import WindowErrors

NAN = np.nan
LEVELS = (0.025, *DECILES, 0.975)
SERIES = np.array([7, 3, 7, 7, 3])  # of five origins, out of order
FOLD = np.array([1, 1, 2, 3, 2])
TARGETS = ("warm", "wet")


def _arrays(*, steps: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Five origins of two targets; a zero, a gap, and a window that was not forecast."""
    random = np.random.default_rng(0)
    truth = random.normal(3, 2, (len(SERIES), steps, 2))
    truth[0, 1, 0], truth[2, 2, 1], truth[3, :, 0] = 0.0, NAN, NAN
    centre = truth + random.normal(size=truth.shape)
    values = np.where(np.isnan(centre), 1.0, centre)[..., None] + np.array([0.1, *np.linspace(-2, 2, len(LEVELS))])
    values[4, :, 1] = NAN
    return truth, values


def _scales() -> Scales:
    """Return scales by origin and target: the same for all origins of a series."""
    mase = np.where(SERIES[:, None] == 7, [[2.0, 5.0]], [[NAN, 0.5]])
    return Scales(mase, mase**2, mase + 1)


def _errors(truth: np.ndarray, values: np.ndarray) -> WindowErrors:
    return window_errors.window_errors(truth, values, series=SERIES, levels=LEVELS, scales=_scales())


def test_tables_are_those_of_a_backtest() -> None:
    truth, values = _arrays()
    rows = []
    for origin, channel in np.ndindex(len(SERIES), 2):
        if (origin, channel) == (4, 1):
            continue
        about = {"unique_id": SERIES[origin], "target": TARGETS[channel], "fold": FOLD[origin], "model": "net"}
        own = values[origin, :, channel]
        quantiles = {f"q{level:g}": own[:, 1 + at] for at, level in enumerate(LEVELS)}
        times = 10 * FOLD[origin] + np.arange(4)
        seen = {"ds": times, "cutoff": times[0] - 1, "forecast": own[:, 0], "y": truth[origin, :, channel]}
        rows.append(pd.DataFrame({**about, **seen, **quantiles}))
    index = pd.MultiIndex.from_product([[7, 3], TARGETS])
    scales = pd.DataFrame({name: own[:2].ravel() for name, own in _scales()._asdict().items()}, index=index)
    columns = Columns(target=TARGETS, unit=("mm", "mm"))
    expected = tabulated(pd.concat(rows, ignore_index=True), columns=columns, scales=scales)
    found = _errors(truth, values)

    by_series = expected.per_series.assign(channel=expected.per_series["target"].map(TARGETS.index))
    by_series = by_series.sort_values(["unique_id", "channel"], ignore_index=True)
    pd.testing.assert_frame_equal(found.per_series[list(METRICS)], by_series[list(METRICS)])
    assert found.per_series["series"].tolist() == by_series["unique_id"].tolist() == [3, 3, 7, 7]
    per_step = averaged(found.per_step, ["step"])
    pd.testing.assert_frame_equal(per_step, expected.per_step[per_step.columns], check_dtype=False)
    folds = found.per_window.assign(fold=FOLD[found.per_window["origin"]])
    per_fold = averaged(folds, ["fold"]).sort_values("fold", ignore_index=True)
    pd.testing.assert_frame_equal(per_fold, expected.per_fold[per_fold.columns], check_dtype=False)


def test_a_window_is_scored_over_its_observed_steps() -> None:
    truth, values = _arrays()
    table = _errors(truth, values).per_window.set_index(["origin", "channel"])
    assert len(table) == 2 * len(SERIES) - 1 and (4, 1) not in table.index
    assert table.loc[(2, 1), "n"] == 3 and table.loc[(3, 0), "n"] == 0
    assert table.loc[(3, 0), list(METRICS)].isna().all()
    y, point = truth[0, :, 0], values[0, :, 0, 0]
    row = table.loc[(0, 0)]
    assert row["rmse"] == pytest.approx(metrics.rmse(y, point))
    assert row["rmsse"] == pytest.approx(metrics.rmsse(y, point, scale=4.0))
    assert row["mape"] == pytest.approx(metrics.mape(y, point))
    assert row["mae_scaled"] == pytest.approx(np.mean(abs(y - point)) / 3)
    assert row["wql"] == pytest.approx(metrics.weighted_quantile_loss(y, values[0, :, 0, 2:-1], DECILES))
    assert np.isnan(table.loc[(1, 0), "mase"])


@pytest.mark.parametrize("numbers", [1, 150, 400])
def test_the_size_of_chunks_does_not_matter(monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    whole = _errors(*_arrays())
    monkeypatch.setattr(window_errors, "_NUMBERS", numbers)
    for one, other in zip(_errors(*_arrays()), whole, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_without_quantiles_there_are_errors_of_points_alone() -> None:
    truth, values = _arrays()
    found = window_errors.window_errors(truth, values[..., :1], series=SERIES, levels=(), scales=_scales()).per_series
    assert found[["mae", "mape", "bias"]].notna().all(axis=None)
    assert found[["crps", "wql", "msis", "coverage", "width", "coverage_95"]].isna().all(axis=None)


def test_what_does_not_fit_is_refused() -> None:
    truth, values = _arrays()
    with pytest.raises(ValueError, match=r"truth \(5, 4, 2\), values \(5, 4, 2, 11\).* do not agree"):
        _errors(truth, values[..., 1:])
    values[1, 2, 0] = NAN
    with pytest.raises(ValueError, match="origin 1, step 3, channel 0 has no forecast"):
        _errors(truth, values)


def test_windows_joined_are_the_series_also_where_many_truths_are_zero() -> None:
    draw = np.random.default_rng(3)
    truth = draw.poisson(0.7, (12, 5, 2)).astype(float)
    truth[draw.random(truth.shape) < 0.2] = np.nan
    values = draw.random((12, 5, 2, 1))
    found = window_errors.window_errors(
        truth, values, series=np.repeat([0, 1, 2], 4), levels=(), scales=Scales(np.nan, np.nan, np.nan)
    )
    again = joined([found.per_window], ["series", "channel"]).sort_values(["series", "channel"], ignore_index=True)
    expected = found.per_series.sort_values(["series", "channel"], ignore_index=True)
    pd.testing.assert_frame_equal(again, expected, check_dtype=False)
    assert again["mape"].notna().any()
