"""The baseline that learns: one linear map for all series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from forecast.evaluation.histories import Array, Prediction, check_lengths, checked, filled, from_first_observed
from forecast.evaluation.local import Naive

_FARTHEST = 10.0  # deviations of the window from its last value that a target of the ridge may lie away


class Ridge:
    """One linear map from the last values of a series to all steps of the horizon, learned from all series.

    Each window is shifted by its last value and divided by its deviation. The naive method takes over for
    windows that are constant, and where the training spans hold no other window.

    Parameters
    ----------
    lags : int, optional
        Values that are read; by default the longer of two seasons and the horizon. Shortened until the
        training spans hold as many windows as lags.
    alpha : float
        Penalty on the squared coefficients.
    windows : int
        Most windows to train on; of more, a random choice is taken.
    seed : int
        Seed of that choice.
    """

    def __init__(self, lags: int | None = None, *, alpha: float = 1.0, windows: int = 20_000, seed: int = 0) -> None:
        self.lags = lags
        self.alpha = alpha
        self.windows = windows
        self.seed = seed

    def fit(self, histories: Sequence[Array], *, horizon: int, seasonality: int) -> Self:
        check_lengths(horizon=horizon, seasonality=seasonality, lags=self.lags, windows=self.windows)
        if not self.alpha > 0:
            raise ValueError(f"alpha must be above 0, got {self.alpha}.")
        self.naive_ = Naive().fit(histories, horizon=horizon, seasonality=seasonality)
        spans = [span for span in map(from_first_observed, histories) if len(span)]
        lengths = np.array([len(span) for span in spans], dtype=np.int64)
        wanted = max(2 * seasonality, horizon) if self.lags is None else self.lags
        self.lags_ = _affordable_lags(lengths, wanted=wanted, horizon=horizon)
        self.coefficients_ = np.zeros((self.lags_, horizon))
        self.intercept_ = np.zeros(horizon)
        self.deviation_ = np.full(horizon, np.nan)
        if self.lags_:
            self._fit_windows(*self._cut(spans, lengths, horizon))
        return self

    def predict(self, histories: Sequence[Array]) -> Prediction:
        histories = checked(histories)
        point, spread = self.naive_.predict(histories)
        if not self.lags_ or not histories:
            return Prediction(point, spread)
        windows = np.stack([_last_values(history, self.lags_) for history in histories])  # (n, lags)
        loc, scale = _loc_scale(windows)
        known = scale[:, 0] > 0
        features = (windows[known] - loc[known]) / scale[known]
        point[known] = loc[known] + scale[known] * (features @ self.coefficients_ + self.intercept_)
        spread[known] = scale[known] * self.deviation_
        return Prediction(point, spread)

    def _cut(self, spans: list[Array], lengths: NDArray[np.int64], horizon: int) -> tuple[Array, Array]:
        """Choose windows of the training spans: lags (n, lags), gaps filled, and targets (n, H), gaps NaN."""
        offsets = np.cumsum(lengths) - lengths
        counts = np.maximum(lengths - self.lags_ - horizon + 1, 0)
        starts = np.concatenate([offset + np.arange(count) for offset, count in zip(offsets, counts, strict=True)])
        if len(starts) > self.windows:
            starts = np.random.default_rng(self.seed).choice(starts, self.windows, replace=False)
        known = np.concatenate([filled(span) for span in spans])
        lags = sliding_window_view(known, self.lags_)[starts]
        targets = sliding_window_view(np.concatenate(spans), horizon)[starts + self.lags_]
        return lags, targets

    def _fit_windows(self, lags: Array, targets: Array) -> None:
        from sklearn.linear_model import Ridge as Regression  # takes a second to import

        loc, scale = _loc_scale(lags)
        known = (scale[:, 0] > 0) & ~np.isnan(targets).all(axis=1)
        if not known.any():
            self.lags_ = 0
            return
        features = (lags[known] - loc[known]) / scale[known]
        # A jump after a nearly constant window would outweigh all the rest.
        truth = np.clip((targets[known] - loc[known]) / scale[known], -_FARTHEST, _FARTHEST)
        observed = ~np.isnan(truth)
        model = Regression(alpha=self.alpha)
        target = np.where(observed, truth, 0.0)
        # An unobserved target takes its fitted value, which converges to the fit on the observed ones alone.
        for _ in range(1 if observed.all() else 6):
            fitted = model.fit(features, target).predict(features).reshape(truth.shape)
            target = np.where(observed, truth, fitted)
        self.coefficients_ = model.coef_.reshape(-1, features.shape[1]).T
        self.intercept_ = model.intercept_
        self.deviation_ = self._residual_deviation(features, np.where(observed, truth - fitted, np.nan))

    def _residual_deviation(self, features: Array, residuals: Array) -> Array:
        """Root mean squared residual per step (H,), net of the degrees of freedom that the fit used up."""
        centred = features - features.mean(axis=0)
        power = np.clip(np.linalg.eigvalsh(centred.T @ centred), 0, None)
        used = 1 + np.sum(power / (power + self.alpha))
        free = np.sum(~np.isnan(residuals), axis=0) - used
        deviation: Array = np.sqrt(np.nansum(residuals**2, axis=0) / np.where(free > 0, free, np.nan))
        return deviation


def _affordable_lags(lengths: NDArray[np.int64], *, wanted: int, horizon: int) -> int:
    """Most lags, up to those wanted, for which the spans hold at least as many windows; 0 for no window."""
    for lags in range(wanted, 0, -1):
        if np.sum(np.maximum(lengths - horizon - lags + 1, 0)) >= lags:
            return lags
    return 0


def _last_values(history: Array, lags: int) -> Array:
    values = filled(history)[-lags:]
    return values if len(values) == lags else np.pad(values, (lags - len(values), 0), mode="edge")


def _loc_scale(windows: Array) -> tuple[Array, Array]:
    """Last value and deviation of each window, (n, 1) each; the deviation of a constant window is 0."""
    loc = windows[:, -1:]
    scale = windows.std(axis=1, keepdims=True)
    rounding = 1e-10 * np.abs(windows).max(axis=1, keepdims=True)
    return loc, np.where(scale > rounding, scale, 0.0)
