"""The figures of a run, each from the frames that the run writes; `save` makes a file of one."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from forecast.files import write_whole
from forecast.report import style
from forecast.report.attention import attention_figure
from forecast.report.calibration import calibration_figure
from forecast.report.critical_difference import critical_difference_figure
from forecast.report.diagnosis import gate_figure, gradient_figure, memory_figure, norm_figure
from forecast.report.events import event_figure
from forecast.report.folds import folds_figure
from forecast.report.forecasts import forecast_figure
from forecast.report.importance import importance_figure
from forecast.report.panels import PANELS
from forecast.report.scores import error_figure, fold_error_figure
from forecast.report.series import FEWEST_SERIES, series_error_figure, with_ratio
from forecast.report.times import time_error_figure, told_by_time
from forecast.report.training import training_figure

__all__ = [
    "FEWEST_SERIES",
    "PANELS",
    "attention_figure",
    "calibration_figure",
    "critical_difference_figure",
    "error_figure",
    "event_figure",
    "fold_error_figure",
    "folds_figure",
    "forecast_figure",
    "importance_figure",
    "gate_figure",
    "gradient_figure",
    "memory_figure",
    "norm_figure",
    "save",
    "series_error_figure",
    "time_error_figure",
    "told_by_time",
    "training_figure",
    "with_ratio",
]


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, whole or not at all."""
    buffer = io.BytesIO()
    # Without the version of matplotlib, equal figures are equal files.
    figure.savefig(buffer, format="png", dpi=style.DPI, metadata={"Software": None})
    return write_whole(path, buffer.getvalue())
