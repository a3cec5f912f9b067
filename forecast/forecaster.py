"""Forecaster: fit on a table, predict a table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from forecast.building import built, make_ready
from forecast.choice import first_choice, is_auto
from forecast.config import GROUPS, Setting, build, name_of, settings, usual
from forecast.data.columns import Columns
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.data.splits import refuse_short, usual_context, validation_ends
from forecast.data.windows import HeldBack, TrainingWindows, Windows
from forecast.errors import ArtifactError, ConfigError, TrainingError
from forecast.losses import EventLoss
from forecast.memory import within_memory
from forecast.parameters import about, accelerator_of, checked, completed, plain_parameters
from forecast.predictor import Table
from forecast.releases import refuse_known_bad
from forecast.saved.artifact import plain_yaml
from forecast.trained import TrainedNetwork
from forecast.training.around import Around
from forecast.training.settings import Training
from forecast.training.warm_start import Start, encoding_of, fixed

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback
    from lightning.pytorch.loggers import Logger

    from forecast.training.loop import Trained

log = logging.getLogger("forecast")
LEARNED = ("encoding_", "sizes_", "model_")


class Forecaster(TrainedNetwork):
    """A recurrent (or any other) network that learns from a table of series and forecasts each of them.

    Parameters
    ----------
    model : str, partial or dict
        The name of a file in conf/model, a network class with its options, or what such a file holds; "auto" takes
        the network to try first on series of this kind.
    horizon : int
        Steps to forecast.
    context_length : int
        Steps that the network reads; by default three seasons or the horizon, whichever is longer (24 to 512).
    freq : str
        A pandas alias such as "h", "D", "MS"; inferred where it is not given.
    seasonality : int
        The period in steps; that of the frequency where it is not given.
    columns : Columns
        Roles of the table's columns.
    loss, scaling : str, partial or dict
        Names of files in conf/loss and conf/scaling, classes, or what such files hold; by default those that go with
        the model and the loss, "quantile" and "last" for most.
    training : Training
        Steps, batch size, learning rate and so on.
    accelerator : str or dict
        A name in conf/accelerator (auto, cpu, gpu, mps), or arguments of Lightning's trainer, of which a saved
        forecaster keeps where it computes (accelerator, devices, precision, strategy, num_nodes).
    seed : int
        Same seed, same machine, same forecast.
    progress : bool
        Show a bar while training.

    Attributes
    ----------
    model_ : Model
        The trained scaler, network and loss.
    chosen_ : str, partial or dict
        The model as used, where it was "auto" the one chosen.
    history_ : DataFrame
        By step: losses, learning rate, and the norms of the gradient before it is clipped and of the weights.
    encoding_ : Encoding
        Statistics and vocabularies of the training span.
    horizon_, context_length_, seasonality_, freq_, panel_
        As of every `Predictor`.

    Examples
    --------
    >>> forecaster = Forecaster("gru", horizon=14, context_length=56)  # doctest: +SKIP
    >>> forecaster.fit(frame).predict()  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Setting = "gru",
        *,
        horizon: int,
        context_length: int | None = None,
        freq: str | None = None,
        seasonality: int | None = None,
        columns: Columns | None = None,
        loss: Setting | None = None,
        scaling: Setting | None = None,
        training: Training | None = None,
        accelerator: str | dict[str, Any] = "auto",
        seed: int = 0,
        progress: bool = True,
    ) -> None:
        self.model = model
        self.horizon = horizon
        self.context_length = context_length
        self.freq = freq
        self.seasonality = seasonality
        self.columns = columns
        self.loss = loss
        self.scaling = scaling
        self.training = training
        self.accelerator = accelerator
        self.seed = seed
        self.progress = progress

    @property
    def event(self) -> EventLoss | None:
        """What forecasts are the probability of, fitted or not; None where they are values."""
        if hasattr(self, "model_"):
            return super().event
        loss = build("loss", self.loss or usual("loss", self.model))
        return loss if isinstance(loss, EventLoss) else None

    def fit(
        self,
        frame: Table,
        *,
        warm_start: bool = False,
        update_statistics: bool = False,
        folder: Path | None = None,
        logger: Logger | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Self:
        """Train on everything given.

        Parameters
        ----------
        frame : DataFrame, Series or Panel
            Long or wide, any order of rows.
        warm_start : bool
            Go on from what was learned before, on the same or other series; `training.freeze` names parts of the
            network that stay. Statistics of covariates and vocabularies stay too, so that inputs mean the same:
            a new series or category is one never seen.
        update_statistics : bool
            With `warm_start`, take statistics anew, and learn new series and categories, each from where those
            never seen stand.
        folder : Path
            Where checkpoints go; none are written without it.
        logger : Logger
            A Lightning logger for losses.
        callbacks : sequence of Callback
            Lightning callbacks beside those of the package; not called again where a refit follows.

        Raises
        ------
        ValueError
            If the table or a parameter cannot be used, or training diverges; the message says which and what to do.
        KeyboardInterrupt
            If it is interrupted: after the step that runs, or at once the second time. From the first step on the
            forecaster is fitted nonetheless, a warm start too, as far as it got: with the best weights where it
            validates, else the latest; before that it is what it was. With a folder the same call goes on from there, a
            warm start on a forecaster as it was before. SIGTERM does the same and raises SystemExit.
        """
        if not warm_start and update_statistics:
            raise ConfigError("update_statistics goes with warm_start=True; without it all is learned anew.")
        before = dict(self.__dict__)
        start = self._start(update_statistics) if warm_start else None
        lower = "Lower training.batch_size, context_length or the size of the model, or train on fewer series."
        try:
            with within_memory(TrainingError, lower):
                stopped = self._fit(frame, start, Around(folder, logger, callbacks))
        except BaseException as error:
            if warm_start or not isinstance(error, Exception):  # what was learned before is not lost
                self.__dict__.update(before)
            raise
        if stopped is not None:
            raise stopped
        return self

    def _fit(self, frame: Table, start: Start | None, around: Around) -> BaseException | None:
        """Fit, and return what a signal asked for meanwhile."""
        training = checked(self)
        self.__dict__.pop("panel_", None)
        panel = self.as_panel(frame, freq=self.freq if start is None else self.freq_)
        if start is None:
            if not isinstance(frame, Panel):  # a part of a longer span may be shorter than the context
                refuse_short(panel, horizon=self.horizon, context_length=self.context_length)
            self._settle(panel)
        else:
            start.refuse_other_columns(panel.columns)
        if training.validation:  # whole rounds, so that the end of the schedule is validated too
            training.check_every = min(training.check_every, training.steps)
            training.steps = -(-training.steps // training.check_every) * training.check_every
        self._tell_of_unsaveable(panel.columns)
        held_back = None
        if training.validation:
            held_back = validation_ends(panel, horizon=self.horizon, windows=training.validation)
        trained = self._trained(panel, training, start, around, held_back=held_back)
        stopped = trained.stopped
        if training.validation and training.refit and stopped is None:
            stopped = self._refit(panel, training, start, trained, folder=around.folder)
        self.history_ = trained.history
        self._parameters_ = plain_parameters(self._settled(), panel.columns)  # whatever is set later
        self.panel_ = panel.tail(self.context_length_)
        return stopped

    def check(self, panel: Panel) -> None:
        """Refuse what a fit to a panel would refuse, without training.

        Raises
        ------
        ValueError
            If a parameter, or a value of the table with it, cannot be used.
        """
        trial = clone(self)
        training = checked(trial)
        trial._settle(panel)
        if training.validation:
            validation_ends(panel, horizon=trial.horizon, windows=training.validation)
        accelerator_of(trial.accelerator)
        trial.encoding_ = Encoding.fit(panel)
        trial._settle_model(trial._windows(panel, device=torch.device("cpu")), panel, panel, None)
        with trial.model_.frozen(training.freeze):
            build("optimizer", training.optimizer, list(trial.model_.parameters()), lr=1.0)

    def context_on(self, panel: Panel) -> int:
        """Return how many steps a network fitted to a panel reads."""
        season = self.seasonality or panel.season
        return int(self.context_length or usual_context(panel, horizon=self.horizon, season=season))

    def _tell_of_unsaveable(self, columns: Columns) -> None:
        """Say before training, not after it, that what is trained can be used but not saved."""
        try:
            plain_yaml(plain_parameters(self._settled(), columns))
        except ArtifactError as error:
            log.warning("%s", error)

    def _refit(
        self, panel: Panel, training: Training, start: Start | None, trained: Trained, *, folder: Path | None
    ) -> BaseException | None:
        """Train on everything as many steps as were best; where that is interrupted, stay with what there was."""
        learned = {name: self.__dict__[name] for name in LEARNED}
        again = deepcopy(training)
        again.steps, again.validation, again.learning_rate = trained.best_step, 0, trained.learning_rate
        try:
            around = Around(folder and folder / "refit")
            stopped = self._trained(panel, again, start, around, held_back=None).stopped
        except (KeyboardInterrupt, SystemExit) as stop:
            stopped = stop
        if stopped is not None:
            self.__dict__.update(learned)
        return stopped

    def set_params(self, **params: Any) -> Forecaster:
        """Set parameters by name; ``training__steps=...`` sets one of training."""
        if self.training is None and any(name.startswith("training__") for name in params):
            self.training = Training()
        super().set_params(**params)
        return self

    def _settle(self, panel: Panel) -> None:
        """Fix what is learned from the table before training."""
        self.horizon_, self.freq_ = int(self.horizon), panel.freq.name
        self.seasonality_, self.context_length_ = int(self.seasonality or panel.season), self.context_on(panel)
        self.chosen_ = first_choice(self.model, panel)

    def _settled(self) -> dict[str, Any]:
        """Return the parameters with the model chosen, and the loss and scaling that go with it if none are given."""
        model = self.chosen_ if is_auto(self.model) else self.model
        return completed({**self.get_params(deep=False), "model": model})

    def _start(self, update: bool) -> Start:
        """Return what a warm start goes on from, apart from what training will change."""
        check_is_fitted(self)
        for name in ("horizon", "context_length", "seasonality"):
            given, was = getattr(self, name), getattr(self, f"{name}_")
            if given is not None and given != was:
                raise ConfigError(fixed(name, given, was))
        for group in GROUPS:
            given, was = settings(group, self._settled()[group]), self._parameters_[group]
            if given != was:
                raise ConfigError(fixed(group, given, was))
        return Start(deepcopy(self.model_), self.encoding_, self.sizes_, self.panel_.columns, update)

    def _trained(
        self, panel: Panel, training: Training, start: Start | None, around: Around, *, held_back: np.ndarray | None
    ) -> Trained:
        """Build a model and train it; steps after `held_back` are looked at for early stopping alone."""
        refuse_known_bad()
        from forecast.training.fitting import checkpoints_for, trainers_for  # lightning takes seconds to import
        from forecast.training.loop import train

        span = panel if held_back is None else panel.until(held_back)
        self.encoding_ = encoding_of(span, start)
        trainers = trainers_for(
            training,
            accelerator_of(self.accelerator),
            around,
            shown=f"training {name_of('model', self._settled()['model'])}" if self.progress else None,
            validates=held_back is not None,
        )
        device = trainers().strategy.root_device

        cut = partial(self._windows, device=device)
        draws = TrainingWindows(cut(span), batch_size=training.batch_size, seed=self.seed, steps=training.steps)
        self._settle_model(draws.windows, panel, span, start)
        known = [*about(self._settled(), training), self.horizon, self.context_length_, self.seasonality_]
        trained = train(
            self.model_.placed(device),
            draws,
            training,
            trainers=trainers,
            seed=self.seed,
            validation=None if held_back is None else HeldBack(cut(panel), held_back),
            checkpoints=checkpoints_for(training, known, panel, start, folder=around.folder),
        )
        self.model_.cpu()
        return trained

    def _windows(self, part: Panel, *, device: torch.device) -> Windows:
        lengths = {"context_length": self.context_length_, "horizon": self.horizon}
        return Windows(part, self.encoding_, device=device, **lengths)

    def _settle_model(self, windows: Windows, panel: Panel, span: Panel, start: Start | None) -> None:
        """Make the model for these windows, with what it starts from."""
        self.sizes_ = windows.sizes(season=self.seasonality_, outputs=build("loss", self._settled()["loss"]).outputs)
        if start is not None:  # more categories make no wider embedding
            self.sizes_ = replace(self.sizes_, embeddings=start.sizes.widths)
        self.model_ = built(self._settled(), self.sizes_, panel.columns)
        make_ready(self.model_, self.encoding_, panel=panel, span=span, start=start)
