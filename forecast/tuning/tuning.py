"""What a search found, and the function that searches."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast.choice import is_auto
from forecast.config import name_of
from forecast.data.panel import Panel
from forecast.data.splits import Split
from forecast.errors import ConfigError, check_count
from forecast.forecaster import Forecaster
from forecast.parameters import about
from forecast.predictor import Table
from forecast.training.checkpoint import fingerprint
from forecast.training.settings import Training
from forecast.tuning.budget import seconds_of
from forecast.tuning.changes import Domains, changed, fitting
from forecast.tuning.objective import Objective, checked_metric
from forecast.tuning.space import Space, read_space, space_of

if TYPE_CHECKING:
    import optuna
    from rich.console import Console

log = logging.getLogger("forecast")
TRIALS = 30  # where neither trials nor a budget are named
FEWEST = 20  # finished trials: of fewer the shares of settings are chance
DONE, PRUNED, FAILED = "done", "pruned", "failed"


@dataclass(frozen=True, eq=False)
class Tuning:
    """What a search found.

    Parameters
    ----------
    best : dict
        The settings of the lowest error by their dotted names; empty where no trial was better than default settings.
    forecaster : Forecaster
        With these settings, not fitted.
    metric : str
        What settings are judged by.
    error, default_error : float
        The lowest, and that of default settings, on the same windows. The lowest of many flatters: score it elsewhere.
    trials : DataFrame
        `trial` (from 1, which is that of default settings), `state` ("done", "pruned" or "failed"), `error` (NaN where
        not done), `midway` (the error at which one was given up, "pruned"), `seconds`, a column for each setting, and
        `reason` of a failure.
    importance : DataFrame
        `setting` and `importance`, the share of the errors' variance that it explains (fANOVA), highest first; empty
        where fewer than twenty trials are done, of which the shares would be chance.
    is_stopped : bool
        Whether an interrupt ended the search.

    References
    ----------
    Hutter, Hoos and Leyton-Brown (2014), "An efficient approach for assessing hyperparameter importance".
    """

    best: dict[str, Any]
    forecaster: Forecaster
    metric: str
    error: float
    default_error: float
    trials: pd.DataFrame
    importance: pd.DataFrame
    is_stopped: bool

    @property
    def finished(self) -> int:
        """How many trials are done."""
        return int((self.trials["state"] == DONE).sum())


def tune(
    forecaster: Forecaster,
    frame: Table,
    *,
    space: Mapping[str, Any] | None = None,
    trials: int | None = None,
    budget: str | float | None = None,
    metric: str | None = None,
    validation: int = 3,
    split: Split | None = None,
    mase_season: int | None = None,
    prune: bool = True,
    storage: str | Path | None = None,
    console: Console | None = None,
) -> Tuning:
    """Search for the settings of a forecaster with the lowest error on the last windows of a table.

    Each trial fits a copy to what lies before these windows, and forecasts them one after another; the first trial has
    the settings of the forecaster as given. Keep back what the result is to be scored on: the table is all searched.

    Parameters
    ----------
    forecaster : Forecaster
        Left as it is. Its seed is that of every trial, and of what is drawn.
    frame : DataFrame, Series or Panel
        The training span.
    space : mapping, optional
        Settings and the values they may take, as a file of conf/space holds them; by default that of the model.
    trials : int, optional
        How many there are at most, 30 where no budget is named.
    budget : str or float, optional
        The time for all of them, such as "20min"; the trial that runs then is finished.
    metric : {"mase", "mae", "rmse", "smape", "crps", "wql", "msis"}, optional
        The first by default; of events "brier" (by default) or "log_loss".
    validation : int
        Windows, a horizon apart, at the end of the table.
    split, mase_season
        As of `backtest`.
    prune : bool
        Give a trial up halfway where it lags behind half of the others.
    storage : path, optional
        Of an SQLite file, from which the same call goes on.
    console : Console, optional
        Where progress is shown; the terminal by default, if the forecaster has `progress`.

    Raises
    ------
    ConfigError
        If a setting makes no sense, or optuna is not installed.
    DataError
        If the windows leave nothing to train on.
    WriteError
        If another process works on the study in `storage`.
    KeyboardInterrupt
        If it is interrupted before default settings are judged; later it returns what is found so far.

    References
    ----------
    Bergstra et al. (2011), "Algorithms for hyper-parameter optimization"; Akiba et al. (2019), "Optuna".
    """
    refuse_without_optuna()
    from forecast.tuning.progress import TuningBar
    from forecast.tuning.study import Search, alone, open_study

    seconds = check_limits(trials, budget)
    trials = TRIALS if trials is None and seconds is None else trials
    searched = searched_space(forecaster, space)
    metric = checked_metric(metric, of_events=forecaster.event is not None)
    panel = forecaster.as_panel(frame, freq=forecaster.freq)
    judged_on: dict[str, Any] = {"metric": metric, "horizon": forecaster.horizon, "windows": validation}
    objective = Objective(panel, **judged_on, split=split, mase_season=mase_season)
    domains = fitting(searched, forecaster, objective.known)
    base = changed(forecaster, {}).set_params(progress=False)
    name = name_of("model", forecaster.model)
    bar = TuningBar(name, trials=trials, seconds=seconds, console=console, is_shown=forecaster.progress)
    path = None if storage is None else Path(storage)
    with alone(path):
        study = open_study(path, about=_about(base, panel, [judged_on, split, mase_season, prune, domains]))
        search = Search(study, base, objective, domains, seed=forecaster.seed, prune=prune)
        stopped = search.run(trials=trials, seconds=seconds, bar=bar)
    if stopped is not None:
        log.warning("the search was interrupted; what is found so far is kept.")
    return _tuning(study, forecaster, metric, domains, stopped)


def refuse_without_optuna() -> None:
    """Refuse to search where the library that does is not installed.

    Raises
    ------
    ConfigError
        Names the extra.
    """
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            "tuning needs a package that is not installed: pip install 'recurrent-forecast[tune]'."
        ) from error


def check_limits(trials: int | None, budget: str | float | None) -> float | None:
    """Refuse limits of a search that make no sense, and return its time in seconds.

    Raises
    ------
    ConfigError
        Names the limit.
    """
    if trials is not None:
        check_count("trials", trials)
    return seconds_of(budget)


def searched_space(forecaster: Forecaster, space: Mapping[str, Any] | None) -> Space:
    """Return the space to search, by default that of the model.

    Raises
    ------
    ConfigError
        If the model is not chosen yet, or the space makes no sense.
    """
    if is_auto(forecaster.model):
        raise ConfigError("model=auto chooses a network once there is a table. Name the one to tune.")
    return space_of(read_space(name_of("model", forecaster.model)) if space is None else space)


def _about(forecaster: Forecaster, panel: Panel, known: list[object]) -> str:
    """Return what tells a study from any other."""
    settled = forecaster._settled()
    own = [
        *about(settled, forecaster.training or Training()),
        *(settled[name] for name in ("horizon", "context_length")),
    ]
    return fingerprint([*own, forecaster.seasonality, *known], panel, None)


def _tuning(
    study: optuna.Study, forecaster: Forecaster, metric: str, domains: Domains, stopped: KeyboardInterrupt | None
) -> Tuning:
    from forecast.tuning.study import best_trial, settings_of, told_trials

    told, best = told_trials(study), best_trial(study)
    if best is None or best.value is None:
        raise stopped or ConfigError("no trial was made: the budget is spent. Give more.")
    first = told[0]
    settings = {} if best.number == first.number else settings_of(best, domains)
    return Tuning(
        best=settings,
        forecaster=changed(forecaster, settings),
        metric=metric,
        error=float(best.value),
        default_error=math.nan if first.value is None else float(first.value),
        trials=_trials_frame(told, domains),
        importance=_importance(study, domains, told),
        is_stopped=stopped is not None,
    )


def _trials_frame(told: list[optuna.trial.FrozenTrial], domains: Domains) -> pd.DataFrame:
    from forecast.tuning.study import REASON, SECONDS, settings_of

    states = {"COMPLETE": DONE, "PRUNED": PRUNED, "FAIL": FAILED}
    rows = []
    for number, trial in enumerate(told, start=1):
        state, settings = states[trial.state.name], settings_of(trial, domains)
        rows.append(
            {
                "trial": number,
                "state": state,
                "error": trial.value if state == DONE else math.nan,
                "midway": trial.value if state == PRUNED else math.nan,
                "seconds": round(trial.user_attrs[SECONDS], 2),
                **{key: settings.get(key) for key in domains},
                "reason": trial.user_attrs.get(REASON, ""),
            }
        )
    return pd.DataFrame(rows)


def _importance(study: optuna.Study, domains: Domains, told: list[optuna.trial.FrozenTrial]) -> pd.DataFrame:
    """Return how much of the errors' variance each setting explains; nothing where the trials cannot tell."""
    import optuna

    if sum(trial.state is optuna.trial.TrialState.COMPLETE for trial in told) < FEWEST:
        return pd.DataFrame({"setting": [], "importance": []})
    searched = [key for key, domain in domains.items() if not domain.distribution().single()]
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    try:
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator, params=searched)
    except (ValueError, RuntimeError):  # of errors that are all alike
        shares = {}
    return pd.DataFrame({"setting": list(shares), "importance": list(shares.values())})
