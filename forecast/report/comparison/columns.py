"""The columns that tables of a comparison show: their heads, what they mean, and which value is best."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

from forecast.report.numbers import ABSENT, is_number, number, written


class Column(NamedTuple):
    """How one column of a table is shown.

    Parameters
    ----------
    name : str
        Of the column in the frame.
    head : str
        What stands above it.
    meaning : str
        In words, with the unit.
    best : float or None
        The value nearest to which is best: 0 for errors, a coverage, infinity where more is better; None for none.
    extra : bool
        Whether it is shown only when a reader asks for all columns.
    share : bool
        Whether it is shown in percent.
    """

    name: str
    head: str
    meaning: str
    best: float | None = 0.0
    extra: bool = False
    share: bool = False

    def texts(self, values: Sequence[Any]) -> list[str]:
        """Write the values of the column."""
        return percent(values) if self.share else written(list(values))


METRICS = (
    Column("mase", "MASE", "mean absolute error over that of repeating the last season in the training span"),
    Column("mae", "MAE", "mean absolute error, in the unit of the series"),
    Column("rmse", "RMSE", "root mean squared error, in the unit of the series"),
    Column("smape", "sMAPE, %", "symmetric mean absolute percentage error as in M4, 0 to 200 %"),
    Column("crps", "CRPS", "continuous ranked probability score: MAE of a distribution, in the unit of the series"),
    Column("wql", "WQL", "weighted quantile loss: pinball losses over the sum of absolute values"),
    Column("coverage", "80 % covers, %", "steps inside the 80 % interval; best at 80", best=0.8, share=True),
    Column("mse", "MSE", "mean squared error, in the squared unit of the series", extra=True),
    Column("mape", "MAPE, %", "mean absolute percentage error; undefined near 0", extra=True),
    Column("rmsse", "RMSSE", "root mean squared error over that of repeating the last value in training", extra=True),
    Column("mse_scaled", "MSE, scaled", "mean squared error on the axis z-scored by the training span", extra=True),
    Column("mae_scaled", "MAE, scaled", "mean absolute error on the axis z-scored by the training span", extra=True),
    Column("bias", "bias", "mean of forecast minus truth, in the unit of the series; best at 0", extra=True),
    Column("msis", "MSIS 80", "mean scaled interval score of the 80 % interval: width, and misses", extra=True),
    Column("width", "80 % width", "mean width of the 80 % interval, in the series' unit", best=None, extra=True),
    Column("coverage_95", "95 % covers, %", "steps inside the 95 % interval; best at 95", 0.95, extra=True, share=True),
    Column("msis_95", "MSIS 95", "mean scaled interval score of the 95 % interval", extra=True),
    Column("width_95", "95 % width", "mean width of the 95 % interval, in the series' unit", best=None, extra=True),
)  # fmt: skip
METRIC = {column.name: column for column in METRICS}
COVERAGE = tuple(
    METRIC[name]._replace(extra=False) for name in ("coverage", "width", "msis", "coverage_95", "width_95", "msis_95")
)
COSTS = (
    Column("fit_seconds", "fit, s", "seconds of training, mean over seeds"),
    Column("predict_seconds", "predict, s", "seconds of forecasting, mean over seeds"),
    Column(
        "peak_memory_mb",
        "memory grown, MB",
        "by how much the process grew, so that whoever runs first pays for what all need: no ranking",
        best=None,
    ),
    Column(
        "parameters",
        "parameters",
        "numbers that training sets; 0 for simple methods; not every model tells",
        best=None,
    ),
)
_OWA = Column("owa", "OWA", "overall weighted average of M4: sMAPE and MASE over those of Naive2, averaged")
_OTHERS = (
    Column("wins", "wins", "series on which no model has a lower error", best=float("inf")),
    Column("fit_seconds", "fit, s", "seconds of training, mean over seeds", best=None),
    Column("seeds", "seeds", "runs that differ in their random numbers alone", best=None, extra=True),
)


def leaderboard_columns(metric: str, *, reference: str) -> tuple[Column, ...]:
    """Return the columns of a leaderboard: the ranking metric first, what is seldom asked for last."""
    others = [column for column in METRICS if column.name != metric]
    skill = Column("skill", "skill, %", f"error saved against {reference or 'the reference'}, and its 95 % interval")
    skill = skill._replace(best=float("inf"), share=True)
    return (
        Column("rank", "rank", f"mean rank over series by {METRIC[metric].head}; 1 is best"),
        METRIC[metric]._replace(extra=False),
        Column("mase_sd", "± MASE", "standard deviation of MASE over seeds", best=None),
        skill,
        _OWA,
        *(column for column in others if not column.extra),
        *_OTHERS,
        *(column for column in others if column.extra),
    )


def percent(values: Sequence[Any]) -> list[str]:
    """Write shares in percent."""
    return [number(100 * value, 1) if is_number(value) else ABSENT for value in values]


def intervals(lows: Sequence[Any], highs: Sequence[Any]) -> list[str]:
    """Write intervals of shares in percent; nothing where there is none."""
    known = [is_number(low) and is_number(high) for low, high in zip(lows, highs, strict=True)]
    ends = zip(percent(lows), percent(highs), known, strict=True)
    return [f"({low} to {high})" if both else "" for low, high, both in ends]


def best_of(column: Column, values: Sequence[Any], texts: Sequence[str] | None = None) -> list[bool]:
    """Tell which values of a column are best; of two that read alike, both; none where there is nothing to choose."""
    held = [float(value) for value in values if is_number(value) and isfinite(value)]
    if column.best is None or len(held) < 2 or len(set(held)) == 1:
        return [False] * len(values)
    best = max(held) if column.best == float("inf") else min(held, key=lambda value: abs(value - column.best))  # type: ignore[operator]
    texts = column.texts(values) if texts is None else texts
    numbered = [float(value) if is_number(value) else None for value in values]
    own = texts[numbered.index(best)]
    return [value is not None and text == own for value, text in zip(numbered, texts, strict=True)]
