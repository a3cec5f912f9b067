"""What settings are judged by: the error on the last windows of the training span, of a fit that has not seen them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from forecast.data.panel import Panel
from forecast.data.splits import Split
from forecast.errors import ConfigError, check_count, unknown_name
from forecast.evaluation.backtest import evaluate
from forecast.evaluation.origins import fold_ends, scored_origins, truth_after
from forecast.evaluation.step_errors import training_scales
from forecast.forecaster import Forecaster

OF_VALUES = ("mase", "mae", "rmse", "smape", "crps", "wql", "msis")  # the first is the usual one
OF_EVENTS = ("brier", "log_loss")
LABELS = {"smape": "sMAPE", "brier": "Brier score", "log_loss": "log loss"}


class Judged(NamedTuple):
    """The error of some settings, over how many steps that were observed it was taken, and the metrics with a value."""

    error: float
    steps: int
    told: tuple[str, ...] = ()


def label(metric: str) -> str:
    """Return a metric as a person writes it."""
    return LABELS.get(metric, metric.upper())


def checked_metric(metric: str | None, *, of_events: bool) -> str:
    """Return the metric that settings are judged by, the usual one where none is named.

    Raises
    ------
    ConfigError
        If there is no such metric of what is forecast.
    """
    known = OF_EVENTS if of_events else OF_VALUES
    if metric is None:
        return known[0]
    if metric not in known:
        raise ConfigError(unknown_name("metric to tune by", metric, known))
    return metric


class Objective:
    """Fits forecasters to what lies before the last windows of a panel, and scores them there.

    Parameters
    ----------
    panel : Panel
        The training span alone.
    metric : str
        One of `OF_VALUES`, or of `OF_EVENTS`.
    horizon : int
        Steps of a window.
    windows : int
        How many there are, a horizon apart. A forecaster is fitted once, before the first of them.
    split : {"calendar", "series_end"}, optional
        How they are laid, as of `backtest`.
    mase_season : int, optional
        Period of MASE's scale; the season of the panel where it is not given.

    Raises
    ------
    ConfigError
        If there are no windows.
    DataError
        If they leave nothing to train on.
    """

    def __init__(
        self,
        panel: Panel,
        *,
        metric: str,
        horizon: int,
        windows: int,
        split: Split | None = None,
        mase_season: int | None = None,
    ) -> None:
        check_count("validation", windows)
        self.panel, self.metric, self.mase_season = panel, metric, mase_season
        self.ends = fold_ends(panel, horizon=horizon, folds=windows, step=None, split=split)  # (W, n)
        self.known = panel.until(self.ends[0])
        self._origins = scored_origins(panel, self.ends, horizon=horizon)
        self._truth = truth_after(panel, self._origins, horizon=horizon)  # (N, H, C)
        self._scales = self._seasonal_errors(mase_season or panel.season)  # (n, C)

    def judge(self, forecaster: Forecaster, report: Callable[[int, float], None] | None) -> Judged:
        """Fit a forecaster, and return its error.

        Parameters
        ----------
        forecaster : Forecaster
            Unfitted; fitted here.
        report : callable, optional
            Is given percent of the training and the error of the point forecast there, at some steps on the way; what
            it raises ends the training. A forecaster of events, or one that draws paths, is not looked at.
        """
        from forecast.tuning.midway import Midway  # lightning takes seconds to import

        def look(percent: int) -> None:
            if report is not None and not forecaster.draws and np.isfinite(error := self._point_error(forecaster)):
                report(percent, error)

        watched = [] if report is None or forecaster.event is not None else [Midway(look)]
        forecaster.fit(self.known, callbacks=watched)
        scored = evaluate(forecaster, self.panel, self.ends, name="tuned", baselines=(), mase_season=self.mase_season)
        steps = int(scored.forecasts["y"].notna().sum())
        own = scored.scores.iloc[0]
        told = [name for name in (*OF_VALUES, *OF_EVENTS) if np.isfinite(own.get(name, np.nan))]
        return Judged(float(own[self.metric]), steps, tuple(told))

    def _point_error(self, forecaster: Forecaster) -> float:
        """Return the absolute error of the point forecast over that of a seasonal naive in training, mean over all."""
        windows = self._origins
        seen = self.panel.observed(windows.series, windows.ends - forecaster.context_length_, windows.ends)
        origins = windows.taken(seen)
        points = forecaster._values(self.panel, origins.series, origins.ends, ())[..., 0]  # (N, H, C)
        errors = np.abs(points - self._truth[seen]) / self._scales[origins.series][:, None]
        return float(np.nanmean(errors))

    def _seasonal_errors(self, season: int) -> np.ndarray:
        """Return the error of a seasonal naive before the windows (n, C), 1 where it has none."""
        scales = [
            [training_scales(values[:end, target], seasonality=season).mase for target in range(values.shape[1])]
            for values, end in zip(map(self.panel.series, range(len(self.panel.ids))), self.ends[0], strict=True)
        ]
        found = np.asarray(scales, np.float64)
        return np.where(found > 0, found, 1.0)
