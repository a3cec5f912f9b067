"""The baseline that learns without a network what is not linear: boosted trees for all series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from forecast.evaluation.histories import Array, Prediction, check_lengths, checked, from_first_observed
from forecast.evaluation.local import Naive
from forecast.evaluation.spans import FARTHEST, affordable_lags, cut_windows, last_values, loc_scale

_RECENT = 24  # latest values that trees read one by one
_SEASONS = 3  # back, whose value at the phase of the step they read
_HELD_BACK = 0.2  # share of each span, at its end, that chooses the number of trees
_LOSS = "absolute_error"  # a jump after a nearly constant window would outweigh all the rest
_ROWS = 500_000  # that are forecast at once: about 130 MB


class _Rows(NamedTuple):
    """What trees learn from: features (n, F), target (n,), and the step (n,) from 1."""

    features: Array
    target: Array
    step: NDArray[np.int64]


class GradientBoosting:
    """Gradient boosted trees on lags, one model for all series and all steps of the horizon.

    Each window is shifted by its last value and divided by its deviation, as ridge does. A tree reads the number of
    the step, the latest values, what the last seasons held at the phase of the step, and means over them; so one
    model forecasts all steps directly, none from another. The number of trees is chosen on the last fifth of each
    span, whose errors are the spread; then trees are fitted on everything. The naive method takes over for windows
    that are constant, and where the training spans are too short to hold something back.

    Parameters
    ----------
    windows : int
        Most windows to train on; of more, a random choice is taken.
    steps : int
        Most steps of a window that are learned from, drawn at random; all count over the windows.
    trees : int
        Most trees.
    learning_rate : float
        What each tree adds.
    seed : int
        Seed of the random choices.

    References
    ----------
    Friedman (2001), "Greedy function approximation"; scikit-learn's HistGradientBoostingRegressor. Scaled lags with
    trees won M5: Makridakis, Spiliotis and Assimakopoulos (2022), "M5 accuracy competition".
    """

    def __init__(
        self,
        *,
        windows: int = 10_000,
        steps: int = 8,
        trees: int = 150,
        learning_rate: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.windows = windows
        self.steps = steps
        self.trees = trees
        self.learning_rate = learning_rate
        self.seed = seed

    def fit(self, histories: Sequence[Array], *, horizon: int, seasonality: int) -> Self:
        check_lengths(horizon=horizon, seasonality=seasonality, windows=self.windows, steps=self.steps)
        self.horizon_, self.season_ = horizon, seasonality
        self.naive_ = Naive().fit(histories, horizon=horizon, seasonality=seasonality)
        self.model_: Any = None
        self.deviation_ = np.full(horizon, np.nan)
        spans = [span for span in map(from_first_observed, histories) if len(span)]
        wanted = max(_SEASONS * seasonality, _RECENT)
        held = [max(horizon, int(_HELD_BACK * len(span))) for span in spans]
        early = [span[: max(len(span) - count, 0)] for span, count in zip(spans, held, strict=True)]
        self.lags_ = affordable_lags(early, wanted=wanted, horizon=horizon)
        late = [span[max(len(span) - count - self.lags_, 0) :] for span, count in zip(spans, held, strict=True)]
        known, unseen = self._rows(early), self._rows(late)
        if known is None or unseen is None:
            return self
        guesses = self._model(self.trees).fit(known.features, known.target).staged_predict(unseen.features)
        self.trees_, residual = _best(guesses, unseen.target)
        self.deviation_ = _deviation(residual, unseen.step, horizon=horizon)
        every = self._rows(spans)
        if every is not None:
            self.model_ = self._model(self.trees_).fit(every.features, every.target)
        return self

    def predict(self, histories: Sequence[Array]) -> Prediction:
        histories = checked(histories)
        point, spread = self.naive_.predict(histories)
        if self.model_ is None or not histories:
            return Prediction(point, spread)
        windows = np.stack([last_values(history, self.lags_) for history in histories])  # (n, lags)
        loc, scale = loc_scale(windows)
        known = np.flatnonzero(scale[:, 0] > 0)
        steps = np.arange(1, self.horizon_ + 1)
        chunk = max(1, _ROWS // self.horizon_)
        for at in range(0, len(known), chunk):
            rows = known[at : at + chunk]
            features = self._features((windows[rows] - loc[rows]) / scale[rows], np.tile(steps, (len(rows), 1)))
            guess = self.model_.predict(features).reshape(len(rows), -1)
            point[rows] = loc[rows] + scale[rows] * guess
        spread[known] = scale[known] * self.deviation_
        return Prediction(point, spread)

    def _rows(self, spans: list[Array]) -> _Rows | None:
        """Return rows of windows of the spans, some steps of each; None where there are none that tell something."""
        spans = [span for span in spans if not np.isnan(span).all()]
        if not self.lags_ or not any(len(span) >= self.lags_ + self.horizon_ for span in spans):
            return None
        lags, targets = cut_windows(spans, self.lags_, self.horizon_, most=self.windows, seed=self.seed)
        loc, scale = loc_scale(lags)
        known = scale[:, 0] > 0
        lags, truth = ((part[known] - loc[known]) / scale[known] for part in (lags, targets))
        if self.horizon_ > self.steps:
            random = np.random.default_rng(self.seed)
            steps = 1 + random.random(truth.shape).argpartition(self.steps, axis=1)[:, : self.steps]
        else:
            steps = np.tile(np.arange(1, self.horizon_ + 1), (len(truth), 1))
        target = np.take_along_axis(truth, steps - 1, axis=1).ravel()
        observed = ~np.isnan(target)
        if not observed.any():
            return None
        features = self._features(lags, steps)[observed]
        features[:, np.isnan(features).all(axis=0)] = 0.0  # trees refuse a column without a number
        return _Rows(features, np.clip(target[observed], -FARTHEST, FARTHEST), steps.ravel()[observed])

    def _features(self, lags: Array, steps: NDArray[np.int64]) -> Array:
        """Return what trees read of scaled lags (n, lags) for steps (n, S): (n S, F)."""
        season, length = self.season_, lags.shape[1]
        recent = lags[:, -min(_RECENT, length) :]
        means = np.stack([lags[:, -span:].mean(axis=1) for span in (season, length)], axis=1)
        shared = np.repeat(np.concatenate([recent, means], axis=1), steps.shape[1], axis=0)
        back = length - 1 + steps[..., None] - season * (-(-steps[..., None] // season) + np.arange(_SEASONS))
        phases = np.where(back >= 0, np.take_along_axis(lags[:, None], np.maximum(back, 0), axis=2), np.nan)
        phases = phases.reshape(-1, _SEASONS)
        return np.concatenate([shared, phases, steps.reshape(-1, 1)], axis=1)

    def _model(self, trees: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor  # takes a second to import

        return HistGradientBoostingRegressor(
            loss=_LOSS, learning_rate=self.learning_rate, max_iter=trees, max_leaf_nodes=31,
            l2_regularization=1.0, early_stopping=False, random_state=self.seed,
        )  # fmt: skip


def _best(guesses: Iterable[Array], target: Array) -> tuple[int, Array]:
    """Return after how many trees the errors were least, and those errors."""
    trees, least, residual = 0, np.inf, target
    for number, guess in enumerate(guesses, start=1):
        error = float(np.abs(guess - target).mean())
        if error < least:
            trees, least, residual = number, error, guess - target
    return trees, residual


def _deviation(residual: Array, step: NDArray[np.int64], *, horizon: int) -> Array:
    """Return the root mean squared error of each step (H,); one without an error takes those of its neighbours."""
    total, count = (np.bincount(step - 1, part, minlength=horizon) for part in (residual**2, np.ones(len(step))))
    known = np.flatnonzero(count)
    deviation: Array = np.sqrt(np.interp(np.arange(horizon), known, total[known] / count[known]))
    return deviation
