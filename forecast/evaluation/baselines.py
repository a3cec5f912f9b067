"""Simple methods that a network has to beat.

A history is a 1-D array up to the origin, oldest first, NaN where nothing was observed. The local methods
follow Hyndman and Athanasopoulos, "Forecasting: Principles and Practice" (3rd ed.), sections 5.2 and 5.5.
Where values are missing, a difference over d steps counts as one error of a random walk after division by
sqrt(d), and the steps between the last observation and the origin are added to the horizon. A spread is NaN
where too few values were observed to tell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float64]

_FARTHEST = 10.0  # deviations of the window from its last value that a target of the ridge may lie away


class Prediction(NamedTuple):
    """Forecasts of several series; `spread` is the standard deviation of the error at each step."""

    point: Array  # (n, H)
    spread: Array  # (n, H)


class Baseline(Protocol):
    """What every baseline can do."""

    def fit(self, histories: Sequence[Array], *, horizon: int, seasonality: int) -> Self: ...

    def predict(self, histories: Sequence[Array]) -> Prediction: ...


class _Local(ABC):
    """A method that forecasts each series from its own history and learns nothing from the others."""

    def fit(self, histories: Sequence[Array], *, horizon: int, seasonality: int) -> Self:
        _check_lengths(horizon=horizon, seasonality=seasonality)
        self.horizon_ = horizon
        self.seasonality_ = seasonality
        return self

    def predict(self, histories: Sequence[Array]) -> Prediction:
        steps = np.arange(1, self.horizon_ + 1)
        rows = [self._forecast(history, steps) for history in _checked(histories)]
        point, spread = np.array(rows).reshape(len(rows), 2, self.horizon_).swapaxes(0, 1)
        return Prediction(point, spread)

    @abstractmethod
    def _forecast(self, history: Array, steps: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return point and spread for the steps after a history."""


class Naive(_Local):
    """The last observed value."""

    def _forecast(self, history: Array, steps: NDArray[np.int64]) -> tuple[Array, Array]:
        return _naive(history, steps)


class Drift(_Local):
    """The line through the first and the last observed value."""

    def _forecast(self, history: Array, steps: NDArray[np.int64]) -> tuple[Array, Array]:
        at = np.flatnonzero(~np.isnan(history))
        values = history[at]
        span = at[-1] - at[0]
        if span == 0:
            return _naive(history, steps)
        slope = (values[-1] - values[0]) / span
        ahead = steps + (len(history) - 1 - at[-1])
        sigma = _random_walk_sigma(at, values, slope=slope)
        return values[-1] + slope * ahead, sigma * np.sqrt(ahead * (1 + ahead / span))


class SeasonalNaive(_Local):
    """The value one season ago, or as many more seasons ago as it takes to find one observed.

    A phase of the season that was never observed takes the last observed value, and so does every phase where
    the history is shorter than a season.
    """

    def _forecast(self, history: Array, steps: NDArray[np.int64]) -> tuple[Array, Array]:
        season = self.seasonality_
        point, spread = _naive(history, steps)
        if season == 1 or len(history) < season:
            return point, spread
        cycles = np.pad(history, (-len(history) % season, 0), constant_values=np.nan).reshape(-1, season)
        age = np.argmax(~np.isnan(cycles[::-1]), axis=0)  # (season,) whole cycles back from the latest
        latest = cycles[-1 - age, np.arange(season)]
        phase = (steps - 1) % season
        seasons_back = 1 + (steps - 1) // season + age[phase]
        seen = ~np.isnan(latest[phase])
        sigma = _root_mean_square(history[season:] - history[:-season])
        if np.isnan(sigma):
            sigma = spread[0] * np.sqrt(season)
        return (
            np.where(seen, latest[phase], point),
            np.where(seen, sigma * np.sqrt(seasons_back), spread),
        )


class Naive2(_Local):
    """The last observed value of the seasonally adjusted series, times the season: the yardstick of M4.

    A series counts as seasonal where its autocorrelation passes M4's test at 90 %. As in R, autocorrelations
    reach back no further than 10 log10(T) steps, so a longer season is never found. Series that are not
    seasonal, or not positive, are forecast by the naive method.

    References
    ----------
    M4 competition, "Benchmarks and Evaluation.R"; R's `stats::decompose`.
    """

    def _forecast(self, history: Array, steps: NDArray[np.int64]) -> tuple[Array, Array]:
        history = _from_first_observed(history)
        if np.nanmin(history) > 0 and _is_seasonal(_filled(history), self.seasonality_):
            season = _multiplicative_season(history, self.seasonality_)
            if np.isfinite(season).all():
                point, spread = _naive(history / np.resize(season, len(history)), steps)
                ahead = season[(len(history) + steps - 1) % self.seasonality_]
                return point * ahead, spread * ahead
        return _naive(history, steps)


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
        _check_lengths(horizon=horizon, seasonality=seasonality, lags=self.lags, windows=self.windows)
        if not self.alpha > 0:
            raise ValueError(f"alpha must be above 0, got {self.alpha}.")
        self.naive_ = Naive().fit(histories, horizon=horizon, seasonality=seasonality)
        spans = [span for span in map(_from_first_observed, histories) if len(span)]
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
        histories = _checked(histories)
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
        filled = np.concatenate([_filled(span) for span in spans])
        lags = sliding_window_view(filled, self.lags_)[starts]
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


BASELINES: dict[str, type[Baseline]] = {
    "naive": Naive,
    "seasonal_naive": SeasonalNaive,
    "drift": Drift,
    "naive2": Naive2,
    "ridge": Ridge,
}


def _check_lengths(**lengths: int | None) -> None:
    for name, value in lengths.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")


def _as_series(history: Array) -> Array:
    values = np.asarray(history, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"a history must have one axis, got shape {values.shape}. Pass one array a series.")
    return values


def _from_first_observed(history: Array) -> Array:
    """Drop what lies before the first observation: all of a history without one."""
    values = _as_series(history)
    at = np.flatnonzero(~np.isnan(values))
    return values[at[0] :] if len(at) else values[:0]


def _checked(histories: Sequence[Array]) -> list[Array]:
    arrays = [_as_series(history) for history in histories]
    for number, history in enumerate(arrays):
        if np.isnan(history).all():
            raise ValueError(
                f"history {number} has {len(history)} rows and no observed value. "
                "Drop the series, or choose an origin after its first observation."
            )
    return arrays


def _naive(history: Array, steps: NDArray[np.int64]) -> tuple[Array, Array]:
    at = np.flatnonzero(~np.isnan(history))
    values = history[at]
    ahead = steps + (len(history) - 1 - at[-1])
    return np.full(len(steps), values[-1]), _random_walk_sigma(at, values) * np.sqrt(ahead)


def _random_walk_sigma(at: NDArray[np.int64], values: Array, *, slope: float | None = None) -> float:
    """Deviation of one step of a random walk that was seen at the positions `at`."""
    distance = np.diff(at)
    errors = (np.diff(values) - (slope or 0.0) * distance) / np.sqrt(distance)
    free = len(errors) - (slope is not None)  # a slope was estimated from the same values
    return float(np.sqrt(np.sum(errors**2) / free)) if free > 0 else np.nan


def _root_mean_square(errors: Array) -> float:
    known = errors[~np.isnan(errors)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else np.nan


def _filled(history: Array) -> Array:
    """Fill gaps with the last known value; what lies before the first observation takes that one."""
    at = np.flatnonzero(~np.isnan(history))
    last = np.searchsorted(at, np.arange(len(history)), side="right") - 1
    return history[at[np.maximum(last, 0)]]


def _is_seasonal(values: Array, season: int) -> bool:
    """M4's test: the autocorrelation at one season against its 90 % limit, Bartlett's formula."""
    size = len(values)
    if season == 1 or size < 3 * season or season > int(10 * np.log10(size)) or np.ptp(values) == 0:
        return False
    centred = values - values.mean()
    products = [centred[lag:] @ centred[:-lag] for lag in range(1, season + 1)]
    correlation = np.array(products) / (centred @ centred)
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(correlation[:-1] ** 2)) / size)
    return bool(abs(correlation[-1]) > limit)


def _multiplicative_season(history: Array, season: int) -> Array:
    """Seasonal factors (season,) of the classical decomposition, the first for the first value; mean 1."""
    weights = np.ones(season + (season % 2 == 0))
    if season % 2 == 0:
        weights[[0, -1]] = 0.5
    weights /= season
    half = season // 2
    trend = np.convolve(_filled(history), weights, mode="valid")
    ratio = history[half : len(history) - half] / trend
    phase = np.arange(half, half + len(ratio)) % season
    known = ~np.isnan(ratio)
    count = np.bincount(phase[known], minlength=season)
    total = np.bincount(phase[known], weights=ratio[known], minlength=season)
    factors: Array = np.divide(total, count, out=np.full(season, np.nan), where=count > 0)
    return factors / np.mean(factors)


def _affordable_lags(lengths: NDArray[np.int64], *, wanted: int, horizon: int) -> int:
    """Most lags, up to those wanted, for which the spans hold at least as many windows; 0 for no window."""
    for lags in range(wanted, 0, -1):
        if np.sum(np.maximum(lengths - horizon - lags + 1, 0)) >= lags:
            return lags
    return 0


def _last_values(history: Array, lags: int) -> Array:
    filled = _filled(history)[-lags:]
    return np.pad(filled, (lags - len(filled), 0), mode="edge")


def _loc_scale(windows: Array) -> tuple[Array, Array]:
    """Last value and deviation of each window, (n, 1) each; the deviation of a constant window is 0."""
    loc = windows[:, -1:]
    scale = windows.std(axis=1, keepdims=True)
    rounding = 1e-10 * np.abs(windows).max(axis=1, keepdims=True)
    return loc, np.where(scale > rounding, scale, 0.0)
