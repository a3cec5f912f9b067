"""A study: trials one after another, each known to the next, on disk where they are to outlive the program."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from forecast.errors import ArtifactError, ConfigError, ForecastError
from forecast.files import give_back, held, writing
from forecast.forecaster import Forecaster
from forecast.tuning.changes import Domains, changed, default
from forecast.tuning.objective import Judged, Objective
from forecast.tuning.progress import TuningBar

log = logging.getLogger("forecast")
NAME = "tuning"
STARTUP = 5  # trials that are never given up on their way, for there is little to compare them with
ABOUT, SECONDS, STEPS, REASON, OWN = "about", "seconds", "steps", "reason", "own"  # what a study keeps beside errors


@contextmanager
def alone(path: Path | None) -> Iterator[None]:
    """Let no other process work on the study of a file: its trials would be taken for those of one that was killed.

    Raises
    ------
    WriteError
        If another one does, or the folder cannot be written.
    """
    if path is None:
        yield
        return
    refusal = f"another process works on the study in '{path}'. Wait till it has ended, or give another file."
    with writing(path):
        lock = held(path.with_name(f"{path.name}.lock"), refusal)
    try:
        yield
    finally:
        give_back(lock)


def open_study(path: Path | None, *, about: str) -> optuna.Study:
    """Return the study of a file, a new one where there is none, or one in memory.

    Parameters
    ----------
    path : Path, optional
        Of an SQLite file.
    about : str
        What tells the data and settings of a study from any other.

    Raises
    ------
    ConfigError
        If the file holds a study of other data or settings.
    ArtifactError
        If it is no study, or cannot be written.
    """
    url = None if path is None else URL.create("sqlite", database=str(path)).render_as_string()
    with _quiet(), _refusing(path):
        study = optuna.create_study(storage=url, study_name=NAME, load_if_exists=True)
        if study.user_attrs.setdefault(ABOUT, about) != about:
            raise ConfigError(
                f"the study in '{path}' was made with other data or other settings. Give another folder "
                "(hydra.run.dir=FOLDER), or the same data and settings."
            )
        study.set_user_attr(ABOUT, about)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)  # of a process that was killed
    return study


def told_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that ended by themselves, the first of them that of default settings."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state.is_finished() and SECONDS in trial.user_attrs]


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """Return the trial of the lowest error, of equal ones the first; None before any has one."""
    whole = [trial for trial in told_trials(study) if trial.state is TrialState.COMPLETE]
    return min(whole, key=lambda trial: (trial.value, trial.number), default=None)


@dataclass
class Search:
    """What stays the same while trials are made.

    Parameters
    ----------
    study : optuna.Study
        As of `open_study`.
    forecaster : Forecaster
        Default settings; each trial changes some of them.
    objective : Objective
        What judges a trial.
    domains : dict
        Values that each setting may take.
    seed : int
        What a trial draws follows from it and from the trials before, whether they were made in one go or not.
    prune : bool
        Give a trial up on its way where it lags behind half of the others.
    """

    study: optuna.Study
    forecaster: Forecaster
    objective: Objective
    domains: Domains
    seed: int
    prune: bool

    def run(self, *, trials: int | None, seconds: float | None, bar: TuningBar) -> KeyboardInterrupt | None:
        """Make trials until there are enough, or the time is spent; return what interrupted them.

        Raises
        ------
        ForecastError
            If default settings cannot be judged.
        """
        patience = optuna.pruners.MedianPruner(n_startup_trials=STARTUP) if self.prune else optuna.pruners.NopPruner()
        self.study.pruner = patience
        with _quiet(), bar:
            while True:
                made = told_trials(self.study)
                spent = sum(trial.user_attrs[SECONDS] for trial in made)
                bar.show(made=len(made), spent=spent, best=best_trial(self.study))
                if (trials is not None and len(made) >= trials) or (seconds is not None and spent >= seconds):
                    return None
                try:
                    self._default() if not made else self._next(len(made), made[0])
                except KeyboardInterrupt as stop:
                    return stop

    def _default(self) -> None:
        """Judge default settings: what the others are measured by."""
        reports: dict[int, float] = {}
        began = time.monotonic()
        judged = self.objective.judge(changed(self.forecaster, {}), reports.__setitem__)
        if not np.isfinite(judged.error):
            others = f"Choose another: {', '.join(judged.told)}." if judged.told else "No other has one either."
            raise ConfigError(f"metric={self.objective.metric} has no value on the validation windows. {others}")
        own = {key: default(self.forecaster, key, self.objective.known) for key in self.domains}
        drawn = {key: domain.drawn(own[key]) for key, domain in self.domains.items()}
        kept = {key: value for key, value in drawn.items() if value is not None}
        self.study.add_trial(
            optuna.create_trial(
                value=judged.error,
                params=kept,
                distributions={key: self.domains[key].distribution() for key in kept},
                intermediate_values=reports,
                user_attrs={SECONDS: time.monotonic() - began, STEPS: judged.steps, OWN: own},
            )
        )

    def _next(self, number: int, first: FrozenTrial) -> None:
        """Make a trial of settings that follow from those before."""
        seed = np.random.SeedSequence([self.seed, number]).generate_state(1)[0]
        self.study.sampler = optuna.samplers.TPESampler(seed=int(seed))
        began = time.monotonic()
        trial = self.study.ask({key: domain.distribution() for key, domain in self.domains.items()})
        try:
            judged = self._judged(trial)
            if judged.steps != first.user_attrs[STEPS]:
                told = f"{judged.steps} steps of the validation windows were scored, not {first.user_attrs[STEPS]}"
                raise ConfigError(f"{told}: this context holds no observation before some of them.")
            if not np.isfinite(judged.error):
                raise ConfigError("the error is not finite.")
        except optuna.TrialPruned:
            self._tell(trial, began, state=TrialState.PRUNED)
        except Exception as error:  # one trial that cannot be made does not sink the study
            log.debug("trial %d failed", number + 1, exc_info=not isinstance(error, ForecastError))
            self._tell(trial, began, state=TrialState.FAIL, reason=f"{type(error).__name__}: {error}")
        except BaseException:
            self.study.tell(trial, state=TrialState.FAIL)  # without its seconds: it is made again
            raise
        else:
            trial.set_user_attr(STEPS, judged.steps)
            self._tell(trial, began, value=judged.error)

    def _judged(self, trial: optuna.Trial) -> Judged:
        def report(percent: int, error: float) -> None:
            trial.report(error, percent)
            if trial.should_prune():
                raise optuna.TrialPruned

        values = {key: self.domains[key].value(drawn) for key, drawn in trial.params.items()}
        with _warnings_once():
            return self.objective.judge(changed(self.forecaster, values), report)

    def _tell(
        self,
        trial: optuna.Trial,
        began: float,
        *,
        value: float | None = None,
        state: TrialState | None = None,
        reason: str = "",
    ) -> None:
        before = best_trial(self.study)
        trial.set_user_attr(REASON, reason)
        trial.set_user_attr(SECONDS, time.monotonic() - began)
        self.study.tell(trial, value, state=state)
        if reason:
            log.info("trial %d failed: %s", len(told_trials(self.study)), reason)
        elif value is not None and before is not None and before.value is not None and value < before.value:
            settings = ", ".join(f"{key}={self.domains[key].value(drawn)}" for key, drawn in trial.params.items())
            log.info("trial %d is the best so far, %.4g: %s", len(told_trials(self.study)), value, settings)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave it to this package to tell of trials."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def _refusing(path: Path | None) -> Iterator[None]:
    """Name the file that is no study, or cannot be written."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        told = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ArtifactError(
            f"'{path}' cannot be used as a study ({told}). Take a whole copy, or another folder."
        ) from error


@contextmanager
def _warnings_once() -> Iterator[None]:
    """Silence what the trial of default settings has said of the data already."""
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def settings_of(trial: FrozenTrial, domains: Domains) -> dict[str, Any]:
    """Return the settings of a trial by their dotted names."""
    return trial.user_attrs.get(OWN) or {key: domains[key].value(drawn) for key, drawn in trial.params.items()}
