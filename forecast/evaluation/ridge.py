"""The baseline that learns: one linear map for all series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from forecast.evaluation.histories import Array, Prediction, check_lengths, checked, from_first_observed
from forecast.evaluation.local import Naive
from forecast.evaluation.spans import FARTHEST, affordable_lags, cut_windows, last_values, loc_scale


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
        wanted = max(2 * seasonality, horizon) if self.lags is None else self.lags
        self.lags_ = affordable_lags(spans, wanted=wanted, horizon=horizon)
        self.coefficients_ = np.zeros((self.lags_, horizon))
        self.intercept_ = np.zeros(horizon)
        self.deviation_ = np.full(horizon, np.nan)
        if self.lags_:
            self._fit_windows(*cut_windows(spans, self.lags_, horizon, most=self.windows, seed=self.seed))
        return self

    def predict(self, histories: Sequence[Array]) -> Prediction:
        histories = checked(histories)
        point, spread = self.naive_.predict(histories)
        if not self.lags_ or not histories:
            return Prediction(point, spread)
        windows = np.stack([last_values(history, self.lags_) for history in histories])  # (n, lags)
        loc, scale = loc_scale(windows)
        known = scale[:, 0] > 0
        features = (windows[known] - loc[known]) / scale[known]
        point[known] = loc[known] + scale[known] * (features @ self.coefficients_ + self.intercept_)
        spread[known] = scale[known] * self.deviation_
        return Prediction(point, spread)

    def _fit_windows(self, lags: Array, targets: Array) -> None:
        from sklearn.linear_model import Ridge as Regression  # takes a second to import

        loc, scale = loc_scale(lags)
        known = (scale[:, 0] > 0) & ~np.isnan(targets).all(axis=1)
        if not known.any():
            self.lags_ = 0
            return
        features = (lags[known] - loc[known]) / scale[known]
        # A jump after a nearly constant window would outweigh all the rest.
        truth = np.clip((targets[known] - loc[known]) / scale[known], -FARTHEST, FARTHEST)
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
