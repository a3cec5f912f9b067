"""Baselines that forecast each series from its own history alone.

They follow Hyndman and Athanasopoulos, "Forecasting: Principles and Practice" (3rd ed.), sections 5.2 and 5.5. Where
values are missing, a difference over d steps counts as one error of a random walk after division by sqrt(d), and the
steps between the last observation and the origin are added to the horizon. A spread is NaN where too few values were
observed to tell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecast.evaluation.histories import Array, Prediction, check_lengths, checked, filled, from_first_observed

Steps = NDArray[np.int64]

_BATCH = 1024  # histories at a time


class _Local(ABC):
    """A method that forecasts each series from its own history and learns nothing from the others."""

    def fit(self, histories: Sequence[Array], *, horizon: int, seasonality: int) -> Self:
        check_lengths(horizon=horizon, seasonality=seasonality)
        self.horizon_ = horizon
        self.seasonality_ = seasonality
        return self

    def predict(self, histories: Sequence[Array]) -> Prediction:
        steps, arrays = np.arange(1, self.horizon_ + 1), checked(histories)
        parts = [self._forecast(arrays[at : at + _BATCH], steps) for at in range(0, len(arrays), _BATCH)]
        nothing = np.zeros((0, self.horizon_))
        points, spreads = zip(Prediction(nothing, nothing), *parts, strict=True)
        return Prediction(np.concatenate(points), np.concatenate(spreads))

    @abstractmethod
    def _forecast(self, histories: list[Array], steps: Steps) -> Prediction:
        """Return points and spreads for the steps after each history."""


class Naive(_Local):
    """The last observed value."""

    def _forecast(self, histories: list[Array], steps: Steps) -> Prediction:
        return _random_walk(histories, steps)


class Drift(_Local):
    """The line through the first and the last observed value."""

    def _forecast(self, histories: list[Array], steps: Steps) -> Prediction:
        return _random_walk(histories, steps, drift=True)


class SeasonalNaive(_Local):
    """The value one season ago, or as many more seasons ago as it takes to find one observed.

    A phase of the season that was never observed takes the last observed value, and so does every phase where
    the history is shorter than a season.
    """

    def _forecast(self, histories: list[Array], steps: Steps) -> Prediction:
        season = self.seasonality_
        point, spread = _random_walk(histories, steps)
        phase, whole = (steps - 1) % season, 1 + (steps - 1) // season
        for row, history in enumerate(histories):
            if season == 1 or len(history) < season:
                continue
            latest, age = _last_season(history, season)
            seen = ~np.isnan(latest[phase])
            sigma = _root_mean_square(history[season:] - history[:-season])
            if np.isnan(sigma):
                sigma = spread[row, 0] * np.sqrt(season)
            point[row, seen] = latest[phase][seen]
            spread[row, seen] = sigma * np.sqrt(whole + age[phase])[seen]
        return Prediction(point, spread)


class WindowAverage(_Local):
    """The mean of the last values, of as many whole seasons as the horizon spans, two at least.

    A window of whole seasons weighs every phase alike. It ends at the last observed value. The variance of the error
    is measured in the history at the first and the last step of the horizon, from every earlier origin, and goes
    straight in between: so it stays for values that scatter about a level, and grows by the step for a random walk.

    Parameters
    ----------
    window : int, optional
        Steps to average over.
    """

    def __init__(self, window: int | None = None) -> None:
        check_lengths(window=window)
        self.window = window

    def _forecast(self, histories: list[Array], steps: Steps) -> Prediction:
        season, horizon = self.seasonality_, len(steps)
        window = max(2, -(-horizon // season)) * season if self.window is None else self.window
        rows = [_window_average(history, window, steps) for history in histories]
        points, spreads = zip(*rows, strict=True)
        return Prediction(np.repeat(np.array(points)[:, None], horizon, axis=1), np.stack(spreads))


class Naive2(_Local):
    """The last observed value of the seasonally adjusted series, times the season: the yardstick of M4.

    A series counts as seasonal where its autocorrelation passes M4's test at 90 %. As in R, autocorrelations
    reach back no further than 10 log10(T) steps, so a longer season is never found. Series that are not
    seasonal, or not positive, are forecast by the naive method.

    References
    ----------
    M4 competition, "Benchmarks and Evaluation.R"; R's `stats::decompose`.
    """

    def _forecast(self, histories: list[Array], steps: Steps) -> Prediction:
        adjusted, ahead = [], np.ones((len(histories), len(steps)))
        for row, whole in enumerate(histories):
            history = from_first_observed(whole)
            factors = self._season(history)
            if factors is not None:
                ahead[row] = factors[(len(history) + steps - 1) % self.seasonality_]
                history = history / factors[np.arange(len(history)) % self.seasonality_]
            adjusted.append(history)
        point, spread = _random_walk(adjusted, steps)
        return Prediction(point * ahead, spread * ahead)

    def _season(self, history: Array) -> Array | None:
        """Return the factors of a season, the first for the first value; None where there is none to remove."""
        if not (np.nanmin(history) > 0 and _is_seasonal(filled(history), self.seasonality_)):
            return None
        factors = _multiplicative_season(history, self.seasonality_)
        return factors if np.isfinite(factors).all() else None


def _random_walk(histories: list[Array], steps: Steps, *, drift: bool = False) -> Prediction:
    """Continue each history from its last value, with the slope between its ends where it drifts."""
    ends = np.cumsum([len(history) for history in histories])
    flat = np.concatenate(histories)
    at = np.flatnonzero(~np.isnan(flat))  # each history has one or more
    values = flat[at]
    tails = np.searchsorted(at, ends) - 1
    heads = np.append(0, tails[:-1] + 1)
    counts, span = tails - heads + 1, at[tails] - at[heads]
    slope = drift * (values[tails] - values[heads]) / np.maximum(span, 1)
    distance = np.diff(at)
    errors = np.zeros(len(at))  # from each observation to the next
    errors[:-1] = (np.diff(values) - np.repeat(slope, counts)[1:] * distance) / np.sqrt(distance)
    errors[tails] = 0  # the next one belongs to another history
    free = counts - 1 - drift  # a slope was estimated from the same values
    sigma = np.sqrt(np.add.reduceat(errors**2, heads) / np.where(free > 0, free, np.nan))
    ahead = steps + (ends - 1 - at[tails])[:, None]
    growth = ahead * (1 + drift * ahead / np.maximum(span, 1)[:, None])
    return Prediction(values[tails, None] + slope[:, None] * ahead, sigma[:, None] * np.sqrt(growth))


def _window_average(history: Array, window: int, steps: Steps) -> tuple[float, Array]:
    """Return the mean of the last window of a history, and the spread (H,) about it."""
    last = int(np.flatnonzero(~np.isnan(history))[-1])
    centred = history[: last + 1] - history[last]  # so that a constant has no rounding
    sums, counts = (np.append(0.0, np.cumsum(part)) for part in (np.nan_to_num(centred), ~np.isnan(centred)))
    begins = np.maximum(np.arange(1, last + 2) - window, 0)
    count = counts[1:] - counts[begins]
    means = np.where(count > 0, sums[1:] - sums[begins], np.nan) / np.maximum(count, 1)  # of windows that end at each
    first, final = (
        _root_mean_square(centred[step:] - means[:-step]) ** 2 if step <= last else np.nan for step in (1, len(steps))
    )
    slope = max(final - first, 0.0) / max(len(steps) - 1, 1)
    if np.isnan(final):  # too short to tell: as for a random walk
        slope = first / (1 + (window - 1) * (2 * window - 1) / (6 * window))
    ahead = steps + len(history) - 1 - last
    return history[last] + means[-1], np.sqrt(first + slope * (ahead - 1))


def _last_season(history: Array, season: int) -> tuple[Array, Steps]:
    """Return the latest observed value of each phase, from one season back, and its age in whole seasons more."""
    if not np.isnan(history[-season:]).any():
        return history[-season:], np.zeros(season, np.int64)
    cycles = np.pad(history, (-len(history) % season, 0), constant_values=np.nan).reshape(-1, season)
    age = np.argmax(~np.isnan(cycles[::-1]), axis=0)
    return cycles[-1 - age, np.arange(season)], age


def _root_mean_square(errors: Array) -> float:
    known = errors[~np.isnan(errors)]
    return float(np.sqrt(known @ known / len(known))) if len(known) else np.nan


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
    trend = np.convolve(filled(history), weights, mode="valid")
    ratio = history[half : len(history) - half] / trend
    phase = np.arange(half, half + len(ratio)) % season
    known = ~np.isnan(ratio)
    count = np.bincount(phase[known], minlength=season)
    total = np.bincount(phase[known], weights=ratio[known], minlength=season)
    factors: Array = np.divide(total, count, out=np.full(season, np.nan), where=count > 0)
    return factors / np.mean(factors)
