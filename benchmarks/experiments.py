"""What the benchmarks of accuracy share: experiments by name, fitted as `forecast train` does, and rows printed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict

from forecast import Panel
from forecast.config import conf_folder, name_of, names
from forecast.errors import ConfigError, unknown_name
from forecast.forecaster import Forecaster
from forecast.jobs.learner import Learner, members_of, new_learner
from forecast.jobs.settings import plain
from forecast.predictor import Predictor
from forecast.schema import register

ORIGINS = 2048  # forecast in one go: bounds the memory of long horizons
Scores = Any  # a named tuple of floats
NAME, CELL = 34, 9  # widths in print


@dataclass(frozen=True)
class Fit:
    """What was fitted, and what it took."""

    predictor: Predictor
    panel: Panel
    seconds: float
    steps: int  # of the optimiser, of all networks of an ensemble together
    parameters: int

    def alone(self, member: Forecaster) -> Fit:
        """Return a member of an ensemble, as if it were all of it."""
        return replace(self, predictor=member)

    def points(self, panel: Panel, series: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return point forecasts (N, H) of one target from origins (N,), a bounded number at a time."""
        parts = [slice(begin, begin + ORIGINS) for begin in range(0, len(series), ORIGINS)]
        levels = self.predictor.levels([0.5])
        return np.concatenate(
            [
                self.predictor.predict_origins(panel, series[part], ends[part], levels=levels)[..., 0, 0]
                for part in parts
            ]
        )


def parsed(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, list[str]]:
    """Return the arguments that all benchmarks of experiments have, and the overrides: words with an equals sign."""
    parser.add_argument("--experiment", nargs="*", default=[], metavar="NAME", help="of conf/experiment or conf/model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", action="store_true", help="score the span that settings are chosen by")
    words = sys.argv[1:]
    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    return parser.parse_args([word for word in words if word not in overrides]), overrides


def folder() -> Path:
    """Return the folder of the public data sets."""
    if "FORECAST_DATASETS" not in os.environ:
        raise ConfigError("FORECAST_DATASETS is not set. Name the folder that holds the Parquet files.")
    return Path(os.environ["FORECAST_DATASETS"])


def learner(name: str, overrides: Sequence[str], *, run: int, horizon: int, seasonality: int) -> Learner:
    """Return what an experiment trains.

    Parameters
    ----------
    name : str
        Of a file in conf/experiment, else of one in conf/model, which then has the defaults of everything else.
    overrides : sequence of str
        As on the command line of `forecast train`; they win over the experiment.
    run : int
        From 0; each has networks of seeds that the others have not.
    horizon, seasonality : int
        Of the protocol; the experiment may name another season.
    """
    settings = _settings(name, [f"horizon={horizon}", *overrides])
    settings["data"]["seasonality"] = settings["data"]["seasonality"] or seasonality
    settings["seed"] += run * settings["ensemble"]["seeds"]
    return new_learner(settings)


def fitted(learner: Learner, frame: pd.DataFrame) -> Fit:
    """Fit what an experiment trains to a table, and time it: imports and the laying of the table do not count."""
    import forecast.training.fitting  # noqa: F401

    panel = Panel.from_frame(frame, learner.columns, freq=learner.freq)
    predictor = learner.make()
    began = time.perf_counter()
    predictor.fit(panel)
    seconds = time.perf_counter() - began

    return Fit(
        predictor,
        panel,
        seconds,
        steps=len(predictor.history_),
        parameters=sum(weights.numel() for network in predictor.networks for weights in network.model_.parameters()),
    )


def scored_runs(
    name: str,
    overrides: Sequence[str],
    frame: pd.DataFrame,
    scores_of: Callable[[Fit], Scores],
    *,
    runs: int,
    horizon: int,
    seasonality: int,
    ranged: str,
    title: str | None = None,
) -> list[Fit]:
    """Fit an experiment with several seeds, and print a row of scores for each and one of their mean.

    Parameters
    ----------
    name, overrides, horizon, seasonality
        As in `learner`.
    frame : DataFrame
        What is trained on.
    scores_of : callable
        Returns the scores of a fit, by name.
    runs : int
        How many seeds.
    ranged : str
        The score whose lowest and highest value are printed.
    title : str
        Of the rows; the name by default.
    """
    fits: list[Fit] = []
    scores: list[Scores] = []
    title = title or name
    for run in range(runs):
        fits.append(fitted(learner(name, overrides, run=run, horizon=horizon, seasonality=seasonality), frame))
        scores.append(scores_of(fits[-1]))
        row(f"{title}, run {run + 1}", *scores[-1], "", "", *_cost(fits[-1:]))
        for member in members_of(fits[-1].predictor):
            row(f"- {name_of('model', member.model)}, seed {member.seed}", *scores_of(fits[-1].alone(member)))
    if runs > 1:
        own = [getattr(score, ranged) for score in scores]
        row(f"{title}, mean", *map(float, np.mean(scores, axis=0)), min(own), max(own), *_cost(fits))
    return fits


def heading(*scores: str) -> None:
    """Print what the columns of `scored_runs` are."""
    row("", *scores, "lowest", "highest", "fit s", "steps", "weights")


def row(name: str, *cells: object) -> None:
    """Print a row of a table at once: the next one may take minutes."""
    shown = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells]
    print(f"{name:{NAME}}" + "".join(f"{cell:>{CELL}}" for cell in shown), flush=True)


def _cost(fits: Sequence[Fit]) -> tuple[str, int, int]:
    """Return the mean seconds of a fit, and steps and weights of the last."""
    return f"{np.mean([fit.seconds for fit in fits]):.1f}", fits[-1].steps, fits[-1].parameters


def _settings(name: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the settings of the job train with an experiment or a model chosen."""
    group = "experiment" if name in names("experiment") else "model"
    if name not in names(group):
        raise ConfigError(unknown_name("experiment or model", name, [*names("experiment"), *names("model")]))
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose("train", ["data=table", f"{group}={name}", "progress=false", *words], return_hydra_config=True)
    HydraConfig.instance().set_config(config)  # where a learner looks up which model was chosen
    with open_dict(config):
        del config["hydra"]
    return plain(config)
