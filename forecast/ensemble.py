"""Several forecasters as one: seeds of one model, or different models.

Saved it is one folder, whose members are saved forecasters:

    ensemble.yaml     format, class, settings, weights, number of members
    checksums.json    see `forecast.saved.nested`
    members/0/ ...    a saved forecaster each: see `forecast.saved.artifact`
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from forecast.agreement import refuse_different, refuse_odd_events
from forecast.calibration import reordered
from forecast.combination import combination, given_weights
from forecast.composite import Composite
from forecast.data.panel import Panel
from forecast.data.splits import refuse_short
from forecast.errors import ArtifactError, ConfigError, check_count
from forecast.forecaster import Forecaster
from forecast.losses import EventLoss
from forecast.members import fit_members, label, log_histories, naming
from forecast.predictor import Table
from forecast.saved import artifact
from forecast.saved.nested import Nested
from forecast.trained import Yardstick
from forecast.weighing import common_levels, unseen_ends, weights_after

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

log = logging.getLogger("forecast")
FOLDER = Nested("ensemble", of="Ensemble", settings=artifact.ENSEMBLE, models=rf"members/\d+/({artifact.OWN})")


class Ensemble(Composite):
    """Several forecasters whose forecasts are made one, step by step and level by level.

    Parameters
    ----------
    members : sequence of Forecaster
        With the same horizon, columns, freq and seasonality; contexts, models and seeds may differ. They stay as
        they are: copies are fitted.
    combine : {"median", "mean"}
        Over members, of the point and of each quantile.
    weights : "validation" or sequence of float, optional
        What each member counts for: all the same by default; numbers; or what was best on horizons held back,
        after which every member is fitted again on everything.
    validation : int
        Horizons that ``weights="validation"`` holds back at the end of what `fit` is given.
    processes : int
        Members trained at the same time, each in a process of its own.

    Attributes
    ----------
    members_ : list of Forecaster
        Fitted.
    weights_ : ndarray (M,)
        What each member counts for, 1 in all.
    context_length_ : int
        The shortest of the members': what each of them reads.
    history_ : DataFrame
        Of all members, told apart by the column ``member``.
    horizon_, seasonality_, freq_, panel_
        As of every `Predictor`.

    Examples
    --------
    >>> seeds = [Forecaster("gru", horizon=14, seed=seed) for seed in range(5)]  # doctest: +SKIP
    >>> Ensemble(seeds).fit(frame).predict()  # doctest: +SKIP
    """

    members_: list[Forecaster]
    weights_: np.ndarray

    def __init__(
        self,
        members: Sequence[Forecaster],
        *,
        combine: str = "median",
        weights: str | Sequence[float] | None = None,
        validation: int = 1,
        processes: int = 1,
    ) -> None:
        self.members = members
        self.combine = combine
        self.weights = weights
        self.validation = validation
        self.processes = processes

    @property
    def _first(self) -> Forecaster:
        self._checked()
        return self.members[0]

    @property
    def _first_fitted(self) -> Forecaster:
        return self.members_[0]

    @property
    def event(self) -> EventLoss | None:
        """What forecasts are the probability of, one for all members; None where they are values."""
        return (self.members_ if hasattr(self, "members_") else self.members)[0].event

    @property
    def device(self) -> torch.device:
        """Where the first member's predictions are made."""
        return self.members_[0].device

    def fit(
        self,
        frame: Table,
        *,
        warm_start: bool = False,
        update_statistics: bool = False,
        folder: Path | None = None,
        logger: Logger | None = None,
    ) -> Self:
        """Train every member on everything given.

        With the same number of threads for each member, the number of processes changes no bit of a forecast.

        Parameters
        ----------
        frame : DataFrame, Series or Panel
            Long or wide, any order of rows.
        warm_start : bool
            Go on from what each member learned before, with the settings that `members` have now. Weights found
            by validation stay: a held-back span would tell nothing of members that have seen it.
        update_statistics : bool
            As of `Forecaster.fit`.
        folder : Path
            Where checkpoints go, in a folder ``member-0`` ... for each; none are written without it.
        logger : Logger
            A Lightning logger, given each member's losses when all are trained.

        Raises
        ------
        ValueError
            If the table or a parameter cannot be used. What one member refuses begins with its number and name.
        KeyboardInterrupt
            If it is interrupted; the ensemble is what it was, since a forecast takes all members. With a folder the
            same call goes on, and repeats no member that was trained.
        """
        before = dict(self.__dict__)
        try:
            return self._fit(frame, warm_start, update_statistics, folder=folder, logger=logger)
        except (KeyboardInterrupt, SystemExit):
            self.__dict__.update(before)
            raise

    def _fit(
        self, frame: Table, warm_start: bool, update_statistics: bool, *, folder: Path | None, logger: Logger | None
    ) -> Self:
        given = self._checked()
        options = {"warm_start": warm_start, "update_statistics": update_statistics}
        if warm_start:
            members = self._started()
        else:
            self.__dict__.pop("panel_", None)
            members = self._copies()
        panel = self.as_panel(frame, freq=self.freq_ if warm_start else self.freq)
        if not warm_start:
            for number, member in enumerate(members):  # the last one may refuse what the first took hours to learn
                with naming(number, member):
                    if not isinstance(frame, Panel):  # a part of a longer span may be shorter than the context
                        refuse_short(panel, horizon=member.horizon, context_length=member.context_length)
                    member.check(panel)
            refuse_odd_events(members, weighs=isinstance(self.weights, str))
        if given is not None:
            weights = given
        elif warm_start:
            weights = self.weights_
        else:
            weights = self._validated(panel, folder=folder and folder / "validation")
        self.members_ = fit_members(members, panel, options, folder=folder, processes=self.processes)
        self._settle(weights)
        histories = [member.history_.assign(member=number) for number, member in enumerate(self.members_)]
        self.history_ = pd.concat(histories, ignore_index=True)
        if logger is not None:
            log_histories(logger, histories)
        return self

    def covers(self, level: float) -> bool:
        """Return whether every member can give a quantile of this level."""
        return all(member.covers(level) for member in self.members_)

    def own_levels(self) -> tuple[float, ...]:
        """Return the levels of the first member, or those of any member that all can give where one lacks some."""
        return common_levels(self.members_)

    def save(self, path: str | Path) -> Path:
        """Write the fitted ensemble as a folder of saved forecasters; whole or not at all."""
        check_is_fitted(self)
        head = {
            "combine": self.combine,
            "weights": self.weights if self.weights is None or isinstance(self.weights, str) else list(self.weights),
            "validation": self.validation,
            "processes": self.processes,
            "members": len(self.members_),
            "fitted": {"weights": self.weights_.tolist()},
        }
        return FOLDER.write(Path(path), head, models={_place(number): one for number, one in enumerate(self.members_)})

    @classmethod
    def _read(cls, path: Path, allow: tuple[type, ...]) -> Self:
        head, _ = FOLDER.read(path)
        with artifact.refusing(path, kind=FOLDER.kind):
            settings = {name: head[name] for name in ("combine", "weights", "validation", "processes")}
            count, weights = head["members"], head["fitted"]["weights"]
            lie_there = type(count) is int and all((path / _place(number)).is_dir() for number in range(count))
            if not lie_there or count < 1:
                raise ArtifactError(f"it has {count!r} members, which do not all lie in the folder members/.")
            given_weights(weights, count)
        places = [_place(number) for number in range(count)]
        FOLDER.check_models(path, places)
        members = [Forecaster.load(path / place, allow=allow) for place in places]
        with artifact.refusing(path, kind=FOLDER.kind):
            ensemble = cls([clone(member) for member in members], **settings)
            ensemble._checked()
            ensemble.members_ = members
            ensemble._settle(np.asarray(weights, np.float64))
        return ensemble

    def _values(self, panel: Panel, series: np.ndarray, ends: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Return forecasts (N, H, C, 1 + Q), NaN where a member has none."""
        values = []
        for number, member in enumerate(self.members_):
            with naming(number, member):
                values.append(member.predict_origins(panel, series, ends, levels=levels))
        combined = combination(self.combine)(np.stack(values), self.weights_)
        combined[..., 1:] = self._whole(combined[..., 1:])
        return combined

    @property
    def networks(self) -> Sequence[Forecaster]:
        """The members."""
        return self.members_

    @property
    def is_whole(self) -> bool:
        """Whether the quantiles are whole numbers, which those of every member have to be."""
        return all(member.is_whole for member in self.members_)

    def yardstick(self, panel: Panel, series: np.ndarray, ends: np.ndarray) -> Yardstick:
        """Return how the first member scales the windows of some origins: series and ends (N,)."""
        return self.members_[0].yardstick(panel, series, ends)

    def _paths(self, panel: Panel, series: np.ndarray, ends: np.ndarray, n: int, *, seed: int) -> np.ndarray:
        """Return n courses (N, H, C, n).

        At each step the members' draws, in order of size, are made one, as their quantiles are; they follow one another
        as those of the first member do. Of events each course is that of a member, drawn by weight.
        """
        values = np.stack([member._paths(panel, series, ends, n, seed=seed) for member in self.members_])
        if self.event is not None:
            member = np.random.default_rng(seed).choice(len(values), n, p=self.weights_)
            return np.take_along_axis(values, member[None, None, None, None], axis=0)[0]
        combined = combination(self.combine)(np.sort(values, axis=-1), self.weights_)
        return reordered(np.round(combined) if self.is_whole else combined, values[0], seed=seed)

    def _whole(self, values: np.ndarray) -> np.ndarray:
        """Round quantiles of whole numbers; half a count rounds up, so that a quantile holds what it says."""
        return np.ceil(values - 1e-9) if self.is_whole else values

    def _checked(self) -> np.ndarray | None:
        """Refuse settings that make no sense; return the weights (M,), None where they are to be found."""
        refuse_different(self.members)
        combination(self.combine)
        check_count("processes", self.processes)
        if isinstance(self.weights, str) and self.weights == "validation":
            check_count("validation", self.validation)
            return None
        return given_weights(self.weights, len(self.members))

    def _copies(self) -> list[Forecaster]:
        return [clone(member) for member in self.members]

    def _started(self) -> list[Forecaster]:
        """Return members with what was learned before and the settings of now."""
        check_is_fitted(self)
        if len(self.members) != len(self.members_):
            raise ConfigError(
                f"there are {len(self.members)} members and {len(self.members_)} were trained. A warm start goes on "
                "with those: fit anew, or give as many."
            )
        now = (member.get_params(deep=False) for member in self.members)
        return [copy(fitted).set_params(**params) for fitted, params in zip(self.members_, now, strict=True)]

    def _settle(self, weights: np.ndarray) -> None:
        """Take from the fitted members what all share."""
        members = self.members_
        self.weights_ = weights
        self.horizon_, self.freq_, self.seasonality_ = (
            getattr(members[0], name) for name in ("horizon_", "freq_", "seasonality_")
        )
        self.context_length_ = min(member.context_length_ for member in members)
        self.panel_ = max(members, key=lambda member: member.context_length_).panel_

    def _validated(self, panel: Panel, *, folder: Path | None) -> np.ndarray:
        """Return the best weights on horizons held back, of members that have not seen them."""
        ends = unseen_ends(panel, horizon=self.horizon, windows=self.validation)
        known = panel.until(ends[0])
        members = fit_members(self._copies(), known, {}, folder=folder, processes=self.processes)
        weights, are_told = weights_after(members, panel, ends)
        if not are_told:
            log.warning("every series is constant before the steps held back, so that members weigh the same.")
        told = [f"{weight:.2f} {label(*one)}" for one, weight in zip(enumerate(members), weights, strict=True)]
        log.info("weights by validation: %s", ", ".join(told))
        return weights


def _place(number: int) -> str:
    return f"members/{number}"
