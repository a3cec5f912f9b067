"""Forecaster: fit on a table, predict a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from forecast import artifact
from forecast.batch import Sizes, joined
from forecast.config import TARGET, Setting, build, names, read, settings
from forecast.data.columns import Columns
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.data.windows import TrainingWindows, Windows, windows_after
from forecast.errors import ArtifactError, ConfigError, DataError
from forecast.losses import LEVELS, PointLoss
from forecast.model import Model
from forecast.networks.channels import ByChannel
from forecast.predictor import Predictor, Table
from forecast.training import Training
from forecast.warm_start import Start, fixed

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from forecast.module import Trained

PREDICTION_BATCH = 2048  # windows a pass in prediction
LONGEST_SEASON = 168  # of which a default context holds three: a longer one would cost more than it tells
CALIBRATION_BATCHES = 8  # batches of training windows whose errors give the intervals of point losses


class Forecaster(Predictor):
    """A recurrent (or any other) network that learns from a table of series and forecasts each of them.

    Parameters
    ----------
    model : str, partial or dict
        The name of a file in conf/model, a network class with its options, or what such a file holds.
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
        Names of files in conf/loss and conf/scaling, classes, or what such files hold.
    training : Training
        Steps, batch size, learning rate and so on.
    accelerator : str or dict
        A name in conf/accelerator (auto, cpu, gpu, mps), or arguments of Lightning's trainer.
    seed : int
        Same seed, same machine, same forecast.
    progress : bool
        Show a bar while training.

    Attributes
    ----------
    model_ : Model
        The trained scaler, network and loss.
    history_ : DataFrame
        Loss and learning rate by step.
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
        loss: Setting = "quantile",
        scaling: Setting = "last",
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

    def fit(
        self,
        frame: Table,
        *,
        warm_start: bool = False,
        update_statistics: bool = False,
        folder: Path | None = None,
        logger: Logger | None = None,
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

        Raises
        ------
        ValueError
            If the table or a parameter cannot be used; the message says which and what to do.
        """
        if not warm_start and update_statistics:
            raise ConfigError("update_statistics goes with warm_start=True; without it all is learned anew.")
        before = dict(self.__dict__)
        start = self._start(update_statistics) if warm_start else None
        try:
            return self._fit(frame, start, folder=folder, logger=logger)
        except BaseException:
            if warm_start:  # what was learned before is not lost
                self.__dict__.update(before)
            raise

    def _fit(self, frame: Table, start: Start | None, *, folder: Path | None, logger: Logger | None) -> Self:
        training = self._checked()
        self.__dict__.pop("panel_", None)
        panel = self.as_panel(frame, freq=self.freq if start is None else self.freq_)
        if start is None:
            self._settle(panel)
        else:
            start.refuse_other_columns(panel.columns)
        if training.validation:  # whole rounds, so that the end of the schedule is validated too
            training.check_every = min(training.check_every, training.steps)
            training.steps = -(-training.steps // training.check_every) * training.check_every
        held_back = None
        if training.validation:
            held_back = np.maximum(panel.ends - training.validation * self.horizon, 0)
            if not held_back.any():
                raise DataError(
                    f"training.validation={training.validation} holds back {training.validation * self.horizon} steps, "
                    f"and the longest series has {panel.ends.max()}. Lower it, or give longer series."
                )
        trained = self._trained(panel, training, start, held_back=held_back, folder=folder, logger=logger)
        if training.validation and training.refit:
            again = deepcopy(training)
            again.steps, again.validation, again.learning_rate = trained.best_step, 0, trained.learning_rate
            self._trained(panel, again, start, held_back=None, folder=folder and folder / "refit", logger=None)
        self.history_ = trained.history
        self._parameters_ = self._plain_parameters(panel.columns)  # those of this fit, whatever is set later
        self.panel_ = panel.tail(self.context_length_)
        return self

    @property
    def encoding(self) -> Encoding:
        """Statistics and vocabularies of the training span."""
        return self.encoding_

    def covers(self, level: float) -> bool:
        """Return whether a quantile of this level can be given."""
        return self.model_.loss.covers(level)

    def own_levels(self) -> tuple[float, ...]:
        """Return the levels of the loss, or 0.1 to 0.9."""
        return tuple(getattr(self.model_.loss, "levels", LEVELS))

    def set_params(self, **params: Any) -> Forecaster:
        """Set parameters by name; ``training__steps=...`` sets one of training."""
        if self.training is None and any(name.startswith("training__") for name in params):
            self.training = Training()
        super().set_params(**params)
        return self

    @property
    def device(self) -> torch.device:
        """Where predictions are made."""
        wanted = self._accelerator()["accelerator"]
        if wanted in ("gpu", "cuda") and torch.cuda.is_available():
            return torch.device("cuda")
        if wanted in ("gpu", "mps") and torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")

    def save(self, path: str | Path) -> Path:
        """Write the fitted forecaster as a folder of YAML, JSON and safetensors; whole or not at all."""
        check_is_fitted(self)
        return artifact.save(
            Path(path),
            parameters=self._parameters_,
            fitted={
                "context_length": self.context_length_,
                "seasonality": self.seasonality_,
                "freq": self.freq_,
                "trained_series": len(self.encoding_.ids),
            },
            encoding=self.encoding_.as_dict(),
            sizes=self.sizes_,
            weights=self.model_.state_dict(),
            panel=self.panel_,
        )

    @classmethod
    def load(cls, path: str | Path, *, allow: Iterable[type] = ()) -> Forecaster:
        """Read a saved forecaster; no code in it is run.

        Parameters
        ----------
        path : path
            What `save` wrote.
        allow : iterable of type
            Network, loss or scaler classes of one's own that the saved model may name.
        """
        saved = artifact.load(Path(path))
        parameters = dict(saved.parameters)
        try:
            parameters["columns"] = Columns(**parameters["columns"])
            training = dict(parameters["training"])
            parameters["training"] = Training(**{**training, "freeze": tuple(training.get("freeze", ()))})
            forecaster = cls(**parameters)
            forecaster.horizon_ = saved.sizes.horizon
            forecaster.context_length_ = saved.fitted["context_length"]
            forecaster.seasonality_ = saved.fitted["seasonality"]
            forecaster.freq_ = saved.fitted["freq"]
            forecaster.encoding_ = Encoding.from_dict(saved.encoding)
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{str(path)!r} is not a saved forecaster of this package: {error!r}.") from error
        forecaster.sizes_ = saved.sizes
        forecaster.model_ = forecaster._built(saved.sizes, parameters["columns"], allow=tuple(allow)).eval()
        artifact.fill(forecaster.model_, saved.weights)
        forecaster._parameters_, forecaster.panel_ = saved.parameters, saved.panel
        return forecaster

    def _values(self, panel: Panel, series: np.ndarray, ends: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Return forecasts (N, H, C, 1 + Q), PREDICTION_BATCH origins at a time."""
        latest = np.zeros(len(panel.ids), np.int64)
        np.maximum.at(latest, series, ends)
        self.model_.scaler.check(panel.until(latest))
        device = self.device
        windows = Windows(
            panel, self.encoding_, context_length=self.context_length_, horizon=self.horizon_, device=device
        )
        model = self.model_.placed(device).eval()
        parts = []
        for begin in range(0, len(series), PREDICTION_BATCH):
            batch = slice(begin, begin + PREDICTION_BATCH)
            inputs, _ = windows.batch(*(torch.as_tensor(part[batch], device=device) for part in (series, ends)))
            parts.append(model.forecast(inputs, levels).cpu().double().numpy())
        shape = (0, self.horizon_, len(panel.columns.targets), 1 + len(levels))
        return np.concatenate(parts) if parts else np.zeros(shape)

    def _checked(self) -> Training:
        for name in ("horizon", "context_length", "seasonality"):
            value = getattr(self, name)
            if value is None and name != "horizon":
                continue
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} is a whole number of 1 or more, got {value!r}.")
        training = deepcopy(self.training) if self.training is not None else Training()
        if not isinstance(training, Training):
            raise ConfigError(f"training is a Training, such as Training(steps=500), got {training!r}.")
        training.check()
        return training

    def _settle(self, panel: Panel) -> None:
        """Fix what is learned from the table before training."""
        season = self.seasonality or panel.season
        longest = int(panel.ends.max())
        cycles = 3 * season if season <= LONGEST_SEASON else 0
        wanted = max(cycles, self.horizon, 24)
        context = self.context_length or min(wanted, max(longest - self.horizon, 1), 512)
        self.horizon_, self.freq_ = int(self.horizon), panel.freq.name
        self.seasonality_, self.context_length_ = int(season), int(context)

    def _start(self, update: bool) -> Start:
        """Return what a warm start goes on from, apart from what training will change."""
        check_is_fitted(self)
        for name in ("horizon", "context_length", "seasonality"):
            given, was = getattr(self, name), getattr(self, f"{name}_")
            if given is not None and given != was:
                raise ConfigError(fixed(name, given, was))
        for group in ("model", "loss", "scaling"):
            given, was = settings(group, getattr(self, group)), self._parameters_[group]
            if given != was:
                raise ConfigError(fixed(group, given, was))
        return Start(deepcopy(self.model_), self.encoding_, self.sizes_, self.panel_.columns, update)

    def _built(self, sizes: Sizes, columns: Columns, *, allow: Iterable[type] = ()) -> Model:
        def network_of(sizes: Sizes) -> nn.Module:
            return build("model", self.model, sizes, allow=allow)

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            by_channel = sizes.targets > 1 and not columns.joint
            network = ByChannel(network_of, sizes) if by_channel else network_of(sizes)
        scaler = build("scaling", self.scaling, allow=allow)
        loss = build("loss", self.loss, allow=allow)
        scaler.prepare(sizes)
        loss.prepare(sizes)
        return Model(network, scaler, loss)

    def _trained(
        self,
        panel: Panel,
        training: Training,
        start: Start | None,
        *,
        held_back: np.ndarray | None,
        folder: Path | None,
        logger: Logger | None,
    ) -> Trained:
        """Build a model and train it; steps after `held_back` are looked at for early stopping alone."""
        from forecast import module  # lightning takes seconds to import, and prediction does not need it
        from forecast.checkpoint import Checkpoints, fingerprint
        from forecast.progress import ProgressBar

        span = panel if held_back is None else panel.until(held_back)
        self.encoding_ = self._encoding(span, start)
        callbacks: list[Any] = [module.TrainingLog()]
        if self.progress:
            callbacks.append(ProgressBar(f"training {self._name()}"))
        if folder is not None and training.checkpoint_every:
            # A checkpoint at a step that is validated too is written after its validation.
            every = -(-training.checkpoint_every // training.check_every) * training.check_every
            known = fingerprint(self._about(training, start), panel, None if start is None else start.model)
            callbacks.append(Checkpoints(folder, known, every=every))
        trainer = module.trainer_for(
            training,
            self._accelerator(),
            validates=held_back is not None,
            callbacks=callbacks,
            logger=logger,
            folder=folder,
        )
        device = trainer.strategy.root_device
        cut = {"context_length": self.context_length_, "horizon": self.horizon, "device": device}
        windows = Windows(span, self.encoding_, **cut)  # type: ignore[arg-type]
        draws = TrainingWindows(windows, batch_size=training.batch_size, seed=self.seed, steps=training.steps)
        loss = build("loss", self.loss)
        self.sizes_ = windows.sizes(season=self.seasonality_, outputs=loss.outputs)
        if start is not None:  # more categories make no wider embedding
            self.sizes_ = replace(self.sizes_, embeddings=start.sizes.widths)
        self.model_ = self._built(self.sizes_, panel.columns)
        if start is not None:
            self.model_.take_over(start.model)
        self.model_.scaler.check(panel)
        if start is None or start.update:
            self.model_.scaler.fit(span, self.encoding_.numbers_of(span.ids))
        validation = None if held_back is None else windows_after(Windows(panel, self.encoding_, **cut), held_back)  # type: ignore[arg-type]
        self.model_.placed(device)
        trained = module.train(self.model_, draws, training, trainer=trainer, seed=self.seed, validation=validation)
        if isinstance(self.model_.loss, PointLoss):
            batches = [draws.draw(-1 - number) for number in range(CALIBRATION_BATCHES)]
            self.model_.calibrate(*joined(batches))
        self.model_.cpu()
        return trained

    def _encoding(self, span: Panel, start: Start | None) -> Encoding:
        if start is None:
            return Encoding.fit(span)
        if start.update:
            return start.encoding.extended(Encoding.fit(span))
        return start.encoding

    def _accelerator(self) -> dict[str, Any]:
        """Return arguments of the trainer; auto means a CUDA device where there is one, else the CPU."""
        given = self.accelerator if isinstance(self.accelerator, dict) else read("accelerator", self.accelerator)
        if given.get("accelerator", "auto") == "auto":
            return {**given, "accelerator": "cuda" if torch.cuda.is_available() else "cpu"}
        return given

    def _name(self) -> str:
        """Return the name of the model's file, or that of its class."""
        if isinstance(self.model, str):
            return self.model
        own = settings("model", self.model)
        return next((name for name in names("model") if read("model", name) == own), own[TARGET].rpartition(".")[2])

    def _plain_parameters(self, columns: Columns) -> dict[str, Any]:
        """Return the parameters as plain values, for YAML."""
        parameters = self.get_params(deep=False)
        for group in ("model", "loss", "scaling"):
            parameters[group] = settings(group, parameters[group])
        training = (self.training or Training()).get_params()
        parameters["columns"] = columns.as_dict()
        if not isinstance(training["optimizer"], str):
            training["optimizer"] = settings("optimizer", training["optimizer"])
        parameters["training"] = training
        return parameters

    def _about(self, training: Training, start: Start | None) -> list[object]:
        """Return every setting that moves a weight, for the fingerprint of a checkpoint."""
        settings_ = {group: settings(group, getattr(self, group)) for group in ("model", "loss", "scaling")}
        training_ = {**training.get_params(), "optimizer": settings("optimizer", training.optimizer)}
        lengths = (self.horizon, self.context_length_, self.seasonality_)
        about = [training_, settings_, self._accelerator(), *lengths, self.seed]
        return about if start is None else [*about, start.encoding, start.update]
