"""Any forecaster with calibrated intervals, and how what was saved is read again.

Saved it is one folder:

    calibrated.yaml       format, class, settings, levels
    shifts.safetensors    what is added to each quantile
    checksums.json        see `forecast.saved.nested`
    model/                the saved forecaster or ensemble
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from forecast.calibration import Shifts, reordered
from forecast.choice import first_choice
from forecast.composite import Composite
from forecast.data.panel import Panel
from forecast.ensemble import FOLDER as ENSEMBLES
from forecast.ensemble import Ensemble
from forecast.errors import ArtifactError, ConfigError, check_count
from forecast.folders import standing
from forecast.forecaster import Forecaster
from forecast.predictor import Table
from forecast.saved import artifact
from forecast.saved.nested import Nested
from forecast.shifting import based, calibration_ends, calibration_origins, planned_levels, shifts_after
from forecast.trained import TrainedNetwork

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

log = logging.getLogger("forecast")
SETTINGS, SHIFTS, MODEL = "calibrated.yaml", "shifts.safetensors", "model"
FOLDER = Nested(
    "calibrated forecaster",
    of="Calibrated",
    settings=SETTINGS,
    files=(SHIFTS,),
    models=f"{MODEL}/({ENSEMBLES.own}|{artifact.OWN})",
)


class Calibrated(Composite):
    """A forecaster or ensemble whose intervals are moved until they hold what they say, step by step of the horizon.

    Horizons at the end of what `fit` is given are held back from training and from all that training chooses. The
    errors there, in units of the scaled axis and over all series together, tell how far each quantile has to move.

    That holds exactly where windows held back and windows to come are exchangeable. Series are not: levels break,
    seasons differ, neighbouring windows overlap. Coverage is then about right as long as errors to come are like those
    held back, on average over series and time; of one series or one season it may be far off.

    Parameters
    ----------
    predictor : Forecaster or Ensemble
        It stays as it is: copies are fitted.
    windows : int
        Horizons held back.
    step : int
        Steps from one origin in them to the next. Origins that overlap tell little more, but smooth what is told.
    refit : bool
        Fit again on everything afterwards, as the intervals of a model that has seen less are rather wide than narrow.
        Otherwise what is held back stays unseen by training, as the method has it.

    Attributes
    ----------
    predictor_ : Forecaster or Ensemble
        Fitted.
    shifts_ : Shifts
        What each quantile is moved by.
    origins_ : int
        From how many origins it was learned.
    horizon_, context_length_, seasonality_, freq_, history_, panel_
        As of every `Predictor`.

    Examples
    --------
    >>> Calibrated(Forecaster("gru", horizon=14), windows=10).fit(frame).predict()  # doctest: +SKIP
    """

    predictor_: Forecaster | Ensemble
    shifts_: Shifts
    origins_: int

    def __init__(
        self, predictor: Forecaster | Ensemble, *, windows: int = 10, step: int = 1, refit: bool = True
    ) -> None:
        self.predictor = predictor
        self.windows = windows
        self.step = step
        self.refit = refit

    @property
    def _first(self) -> Forecaster | Ensemble:
        return self.predictor

    @property
    def _first_fitted(self) -> Forecaster | Ensemble:
        return self.predictor_

    def fit(
        self,
        frame: Table,
        *,
        warm_start: bool = False,
        update_statistics: bool = False,
        folder: Path | None = None,
        logger: Logger | None = None,
    ) -> Self:
        """Train without the horizons held back, learn from them, and train again on everything.

        Parameters
        ----------
        frame : DataFrame, Series or Panel
            Long or wide, any order of rows.
        warm_start : bool
            Go on from what was learned before. The calibration stays: what is held back would tell nothing of a model
            that has seen it.
        update_statistics, logger
            As of `Forecaster.fit`.
        folder : Path
            Where checkpoints go, those of the second training in a folder ``everything``.

        Raises
        ------
        ValueError
            If the table or a parameter cannot be used, or too few origins are held back for the levels of the model.
        KeyboardInterrupt
            If it is interrupted; it is what it was. With a folder the same call goes on.
        """
        before = dict(self.__dict__)
        try:
            return self._fit(frame, warm_start, update_statistics, folder=folder, logger=logger)
        except BaseException:
            self.__dict__.update(before)
            raise

    def _fit(
        self, frame: Table, warm_start: bool, update_statistics: bool, *, folder: Path | None, logger: Logger | None
    ) -> Self:
        self._check()
        if warm_start:
            check_is_fitted(self)
            now = self.predictor.get_params(deep=False)
            started = copy(self.predictor_).set_params(**now)
            started.fit(frame, warm_start=True, update_statistics=update_statistics, folder=folder, logger=logger)
            return self._settle(started)
        self.__dict__.pop("panel_", None)
        panel = self.as_panel(frame, freq=self.freq)
        spacing = {"horizon": self.horizon, "step": self.step}
        ends = calibration_ends(panel, windows=self.windows, **spacing)
        longest, levels = int(panel.ends.max()), planned_levels(self.predictor)
        calibration_origins(panel, ends, context_length=longest, levels=levels, **spacing)  # before training
        known = panel.until(ends[0])
        plan = _chosen(self.predictor, known)
        fitted = clone(plan)
        fitted.fit(known, folder=folder, logger=logger)
        log.info("calibrating on %d horizons held back", self.windows)
        self.shifts_, self.origins_ = shifts_after(fitted, panel, ends, **spacing)
        if self.refit:
            fitted = clone(plan)
            fitted.fit(panel, folder=folder and folder / "everything")
            return self._settle(fitted)
        return self._settle(fitted, panel)

    def covers(self, level: float) -> bool:
        """Return whether a level lies within those calibrated."""
        return self.shifts_.levels[0] - 1e-9 <= level <= self.shifts_.levels[-1] + 1e-9

    def own_levels(self) -> tuple[float, ...]:
        """Return the levels of the model."""
        return self.predictor_.own_levels()

    def save(self, path: str | Path) -> Path:
        """Write model and calibration as one folder; whole or not at all."""
        check_is_fitted(self)
        head = {
            "windows": self.windows,
            "step": self.step,
            "refit": self.refit,
            "fitted": {
                "origins": self.origins_,
                "levels": list(self.shifts_.levels),
                "bases": list(self.shifts_.bases),
            },
        }
        files = {SHIFTS: save_arrays({"values": np.ascontiguousarray(self.shifts_.values)})}
        return FOLDER.write(Path(path), head, models={MODEL: self.predictor_}, files=files)

    @classmethod
    def _read(cls, path: Path, allow: tuple[type, ...]) -> Self:
        head, files = FOLDER.read(path)
        FOLDER.check_models(path, [MODEL])
        model = _uncalibrated(path / MODEL, allow)
        with artifact.refusing(path, kind=FOLDER.kind):
            calibrated = cls(clone(model), **{name: head[name] for name in ("windows", "step", "refit")})
            calibrated._check_numbers()
            fitted = head["fitted"]
            levels, bases = (tuple(map(float, fitted[name])) for name in ("levels", "bases"))
            values = load_arrays(files[SHIFTS])["values"].astype(np.float64)
            _refuse_odd(levels, bases, values, model)
            calibrated.shifts_, calibrated.origins_ = Shifts(levels, bases, values), int(fitted["origins"])
            return calibrated._settle(model)

    @property
    def event(self) -> None:
        """Nothing: forecasts are values."""
        return None

    @property
    def networks(self) -> Sequence[TrainedNetwork]:
        """Those of the model."""
        return self.predictor_.networks

    @property
    def is_whole(self) -> bool:
        """Whether the quantiles are whole numbers."""
        return self.predictor_.is_whole

    def _values(self, panel: Panel, series: np.ndarray, ends: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Return forecasts (N, H, C, 1 + Q): the point as it is, the quantiles moved."""
        if not levels:
            return self.predictor_._values(panel, series, ends, levels)
        beyond = [level for level in levels if not self.covers(level)]
        if beyond:
            first, last = self.shifts_.levels[0], self.shifts_.levels[-1]
            raise ConfigError(
                f"level {beyond[0]:g} lies outside the calibrated levels {first:g} to {last:g}. Hold back more "
                "(calibration.windows), or ask for another."
            )
        point, moved = self._moved(panel, series, ends, levels)
        return np.concatenate([point, moved], axis=-1)

    def _paths(self, panel: Panel, series: np.ndarray, ends: np.ndarray, n: int, *, seed: int) -> np.ndarray:
        """Return n courses (N, H, C, n): calibrated values in the order of those of the model."""
        like = self.predictor_._paths(panel, series, ends, n, seed=seed)
        _, moved = self._moved(panel, series, ends, (np.arange(n) + 0.5) / n)
        return reordered(moved, like, seed=seed)

    def _moved(
        self, panel: Panel, series: np.ndarray, ends: np.ndarray, levels: Sequence[float] | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the points (N, H, C, 1) and calibrated quantiles (N, H, C, Q)."""
        values, quantiles = based(self.predictor_, panel, series, ends, self.shifts_.bases)
        yardstick = self.predictor_.yardstick(panel, series, ends)
        moved = yardstick.restored(self.shifts_.moved(yardstick.scaled(quantiles), levels))
        if all(network.model_.loss.from_zero for network in self.networks):
            moved = np.maximum(moved, 0.0) + 0.0  # and no -0
        return values[..., :1], np.round(moved) if self.predictor_.is_whole else moved

    def _settle(self, fitted: Forecaster | Ensemble, panel: Panel | None = None) -> Self:
        """Take over what was fitted; forecasts go on from the end of a panel, where one is given."""
        self.predictor_ = fitted
        for name in ("horizon_", "freq_", "seasonality_", "context_length_"):
            setattr(self, name, getattr(fitted, name))
        if hasattr(fitted, "history_"):
            self.history_ = fitted.history_
        if panel is not None:  # forecasts begin at its end, which a network may not have been trained on
            for network in fitted.networks:
                network.panel_ = panel.tail(network.context_length_)
            longest = max(fitted.networks, key=lambda network: network.context_length_)
            fitted.panel_ = longest.panel_
        self.panel_ = fitted.panel_
        return self

    def _check(self) -> None:
        if not isinstance(self.predictor, Forecaster | Ensemble):
            raise ConfigError(f"predictor is a Forecaster or an Ensemble, got {self.predictor!r}.")
        if self.predictor.event is not None:
            raise ConfigError(
                "forecasts are probabilities of an event, which have no intervals to calibrate. Set "
                "calibration.windows=0."
            )
        self._check_numbers()

    def _check_numbers(self) -> None:
        for name in ("windows", "step"):
            check_count(f"calibration.{name}", getattr(self, name))
        if not isinstance(self.refit, bool):
            raise ConfigError(f"calibration.refit is true or false, got {self.refit!r}.")


def load(path: str | Path, *, allow: Iterable[type] = ()) -> Forecaster | Ensemble | Calibrated:
    """Read what was saved: a forecaster, an ensemble, or either with its calibration; no code in it is run.

    Parameters
    ----------
    path : path
        What `save` wrote.
    allow : iterable of type
        Network, loss or scaler classes of one's own that it may name.
    """
    if (standing(Path(path)) / SETTINGS).is_file():
        return Calibrated.load(path, allow=allow)
    return _uncalibrated(Path(path), tuple(allow))


def _uncalibrated(path: Path, allow: tuple[type, ...]) -> Forecaster | Ensemble:
    kind = Ensemble if (standing(path) / artifact.ENSEMBLE).is_file() else Forecaster
    return kind.load(path, allow=allow)


def _chosen(predictor: Forecaster | Ensemble, panel: Panel) -> Forecaster | Ensemble:
    """Return a copy in which model=auto is settled: what is calibrated is what forecasts."""
    plan = clone(predictor)
    for network in plan.members if isinstance(plan, Ensemble) else [plan]:
        network.model = first_choice(network.model, panel)
    return plan


def _refuse_odd(
    levels: tuple[float, ...], bases: tuple[float, ...], values: np.ndarray, model: Forecaster | Ensemble
) -> None:
    """Refuse a saved calibration that cannot be one of this model."""
    shape = (model.horizon_, len(model.panel_.columns.targets), len(levels))
    fits = (
        0 < len(levels) == len(bases)
        and all(0 < level < 1 for level in levels)
        and list(levels) == sorted(set(levels))
        and all(model.covers(base) for base in bases)
        and 0.5 in levels
        and values.shape == shape
        and np.isfinite(values).all()
    )
    if not fits:
        raise ArtifactError("its calibration does not fit its model. Take a whole copy.")
