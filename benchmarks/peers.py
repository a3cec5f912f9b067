"""Recurrent networks of NeuralForecast and Darts as entries of a comparison: see benchmarks/tables.py --peers.

They are no dependencies. In an environment of their own, beside this package:

    python -m venv peers && peers/bin/pip install -c constraints.txt -e . neuralforecast darts
    peers/bin/python benchmarks/tables.py sales --peers equal

Two budgets. `defaults`: the settings that a library comes with, and what its guides add: Darts gets its `Scaler`. Of
its 100 epochs it gets one: each goes over every window of every series.
`equal`: the training steps, windows a step, hidden size, layers, context and quantiles of this package's networks;
learning rate and scaling stay theirs (Darts: reversible instance normalisation, or its `Scaler` where a network lacks
that). Both libraries forecast each series from its own past, and neither takes gaps: these are filled by straight
lines. Like the networks here they are fitted once, before the first origin, and read newer history at the others.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from forecast import Columns, Panel, Training
from forecast.comparison.adapters import Adapter
from forecast.config import read
from forecast.errors import ConfigError, DataError
from forecast.evaluation.simple import SCORED
from forecast.frames import forecast_frame

BUDGETS = ("defaults", "equal")
SAMPLES = 500  # paths that quantiles of Darts are read from
ID, STEP, VALUE = "unique_id", "ds", "y"  # as NeuralForecast calls them
LOGGERS = ("lightning.pytorch", "pytorch_lightning", "lightning_fabric", "lightning_fabric.utilities.seed", "darts")
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}


class Lengths(NamedTuple):
    """What a peer has to be told before it sees a table."""

    horizon: int
    context: int
    columns: Columns
    freq: str | None


class NeuralForecastPeer:
    """A network of NeuralForecast.

    Parameters
    ----------
    network : str
        Its class, such as "GRU".
    lengths : Lengths
        Horizon, context and columns.
    options : dict
        Arguments of the class.
    levels : tuple of float
        Quantiles that it learns; none for its own loss, which is MAE.
    """

    def __init__(
        self, network: str, lengths: Lengths, *, options: dict[str, Any], levels: tuple[float, ...] = ()
    ) -> None:
        self.network, self.lengths, self.options, self.levels = network, lengths, options, levels
        self.seed = 1  # the library's own
        self.version = version("neuralforecast")

    def fit(self, frame: pd.DataFrame) -> NeuralForecastPeer:
        """Train on every series up to its end."""
        from neuralforecast import NeuralForecast, models
        from neuralforecast.losses.pytorch import MQLoss

        loss = {"loss": MQLoss(quantiles=list(self.levels))} if self.levels else {}
        network = getattr(models, self.network)(
            h=self.lengths.horizon, random_seed=self.seed, **self.options, **loss, **QUIET
        )
        self.update(frame)
        with _quiet():
            self.fitted = NeuralForecast(models=[network], freq=1)
            self.fitted.fit(self.history)
        self.parameters = _count(self.fitted.models[0])
        return self

    def update(self, frame: pd.DataFrame) -> NeuralForecastPeer:
        """Take what is read before a forecast."""
        self.panel = Panel.from_frame(frame, self.lengths.columns, freq=self.lengths.freq)
        self.history = _filled(self.panel)
        return self

    def predict(self, horizon: int) -> pd.DataFrame:
        """Forecast; quantiles come in the order in which they were asked for."""
        with _quiet():
            given = self.fitted.predict(df=self.history).sort_values([ID, STEP])
        values = given.drop(columns=[ID, STEP]).to_numpy(float).reshape(len(self.panel.ids), horizon, -1)
        return _told(self.panel, values, self.levels)


class DartsPeer:
    """A network of Darts.

    Parameters
    ----------
    network : str
        Its class, "BlockRNNModel" (direct) or "RNNModel" (step by step).
    lengths : Lengths
        Horizon, context and columns.
    options : dict
        Arguments of the class.
    levels : tuple of float
        Quantiles that it learns; none for its own loss, which is MSE. Series are scaled by its `Scaler` where the
        options do not ask for instance normalisation.
    """

    def __init__(
        self, network: str, lengths: Lengths, *, options: dict[str, Any], levels: tuple[float, ...] = ()
    ) -> None:
        self.network, self.lengths, self.options, self.levels = network, lengths, options, levels
        self.seed = 0
        self.version = version("darts")
        self.is_scaled = not options.get("use_reversible_instance_norm")

    def fit(self, frame: pd.DataFrame) -> DartsPeer:
        """Train on every series up to its end."""
        self.scalers: dict[Any, Any] = {}
        self.update(frame)
        with _quiet():
            self.fitted = self._model()
            self.fitted.fit(self.series)
        self.parameters = _count(self.fitted.model)
        return self

    def update(self, frame: pd.DataFrame) -> DartsPeer:
        """Take what is read before a forecast: scaled as at the fit, a series that began since by its own history."""
        from darts import TimeSeries

        self.panel = Panel.from_frame(frame, self.lengths.columns, freq=self.lengths.freq)
        filled = _filled(self.panel).astype({VALUE: np.float32})
        with _quiet():
            self.series = TimeSeries.from_group_dataframe(
                filled, group_cols=ID, time_col=STEP, value_cols=VALUE, freq=1
            )
            if self.is_scaled:
                self.series = self._scaled(self.series)
        return self

    def predict(self, horizon: int) -> pd.DataFrame:
        """Forecast; with levels, draw paths, and read quantiles off them."""
        drawn = {"num_samples": SAMPLES} if self.levels else {}
        with _quiet():
            found = self.fitted.predict(horizon, series=self.series, verbose=False, **drawn)
            if self.is_scaled:
                found = [
                    self.scalers[name].inverse_transform(own) for name, own in zip(self.panel.ids, found, strict=True)
                ]
        paths = np.stack([one.all_values()[:, 0] for one in found])  # (n, H, S)
        if not self.levels:
            return _told(self.panel, paths, ())
        return _told(self.panel, np.moveaxis(np.quantile(paths, self.levels, axis=2), 0, 2), self.levels)

    def _scaled(self, series: list[Any]) -> list[Any]:
        from darts.dataprocessing.transformers import Scaler

        for name, own in zip(self.panel.ids, series, strict=True):
            if name not in self.scalers:
                self.scalers[name] = Scaler().fit(own)
        return [self.scalers[name].transform(own) for name, own in zip(self.panel.ids, series, strict=True)]

    def _model(self) -> Any:
        from darts import models
        from darts.utils.likelihood_models import QuantileRegression

        options = {**self.options, "pl_trainer_kwargs": {**QUIET, **self.options.get("pl_trainer_kwargs", {})}}
        if self.levels:
            options["likelihood"] = QuantileRegression(list(self.levels))
        if self.network == "BlockRNNModel":
            options["output_chunk_length"] = self.lengths.horizon
        else:
            options.setdefault("training_length", self.lengths.context + self.lengths.horizon)
        return getattr(models, self.network)(input_chunk_length=self.lengths.context, random_state=self.seed, **options)


def peers(lengths: Lengths, *, budget: str, training: Training | None = None) -> dict[str, Adapter]:
    """Return the entries of the libraries that are installed.

    Parameters
    ----------
    lengths : Lengths
        Horizon, context, columns and frequency of the data set.
    budget : {"defaults", "equal"}
        The libraries' settings (of Darts one epoch), or this package's.
    training : Training
        Whose steps and windows a step "equal" takes.

    Raises
    ------
    ConfigError
        If no such budget is known, or neither library is installed.
    """
    if budget not in BUDGETS:
        raise ConfigError(f"a budget is one of {', '.join(BUDGETS)}, got {budget!r}.")
    makers = {"neuralforecast": _neuralforecast, "darts": _darts}
    found = [makers[name] for name in makers if find_spec(name) is not None]
    if not found:
        raise ConfigError(
            "neither neuralforecast nor darts is installed. benchmarks/peers.py tells how to install them."
        )
    return {name: peer for maker in found for name, peer in maker(lengths, budget, training or Training()).items()}


def versions() -> dict[str, str]:
    """Return the versions of the libraries that are installed."""
    return {name: version(name) for name in ("neuralforecast", "darts") if find_spec(name) is not None}


def _neuralforecast(lengths: Lengths, budget: str, training: Training) -> dict[str, Adapter]:
    names = {cell: f"neuralforecast_{cell.lower()}" for cell in ("GRU", "LSTM")}
    if budget == "defaults":
        return {name: NeuralForecastPeer(cell, lengths, options={}) for cell, name in names.items()}
    hidden = read("model", "gru")["hidden_size"]
    options = {
        "input_size": lengths.context, "start_padding_enabled": True, "max_steps": training.steps,
        "windows_batch_size": training.batch_size, "encoder_n_layers": 1, "encoder_hidden_size": hidden,
        "decoder_layers": 1, "decoder_hidden_size": hidden,
    }  # fmt: skip
    return {
        f"{name}_equal": NeuralForecastPeer(cell, lengths, options=options, levels=SCORED)
        for cell, name in names.items()
    }


def _darts(lengths: Lengths, budget: str, training: Training) -> dict[str, Adapter]:
    names = {"BlockRNNModel": "darts_block_gru", "RNNModel": "darts_gru"}
    if budget == "defaults":
        return {name: DartsPeer(kind, lengths, options={"model": "GRU", "n_epochs": 1}) for kind, name in names.items()}
    options = {
        "model": "GRU", "hidden_dim": read("model", "gru")["hidden_size"], "batch_size": training.batch_size,
        "n_epochs": training.steps, "pl_trainer_kwargs": {"max_steps": training.steps},
    }  # fmt: skip
    own = {"BlockRNNModel": {"use_reversible_instance_norm": True}, "RNNModel": {}}  # which ignores it
    return {
        f"{name}_equal": DartsPeer(kind, lengths, options={**options, **own[kind]}, levels=SCORED)
        for kind, name in names.items()
    }


def _filled(panel: Panel) -> pd.DataFrame:
    """Return a panel of one target by number of series and step, gaps filled by straight lines, ends by the nearest."""
    if len(panel.columns.targets) > 1:
        raise DataError(f"peers forecast one target, and the table has {len(panel.columns.targets)}. Leave them out.")
    values = [pd.Series(panel.series(number)[:, 0]) for number in range(len(panel.ids))]
    filled = [own.interpolate(limit_direction="both") for own in values]
    return pd.concat(
        pd.DataFrame({ID: number, STEP: np.arange(len(own)), VALUE: own}) for number, own in enumerate(filled)
    ).reset_index(drop=True)


def _count(network: Any) -> int:
    return sum(one.numel() for one in network.parameters())


def _told(panel: Panel, values: np.ndarray, levels: tuple[float, ...]) -> pd.DataFrame:
    """Return points, or quantiles (n, H, Q) whose median is the point, as a table under the user's names."""
    point = values[..., [levels.index(0.5)]] if levels else values[..., :1]
    quantiles = np.sort(values, axis=2) if levels else values[..., :0]
    every = np.arange(len(panel.ids))
    return forecast_frame(panel, every, panel.ends, np.concatenate([point, quantiles], axis=2)[:, :, None], levels)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out advice of the trainer, and warnings that no setting of ours can mend."""
    loggers = [
        logging.getLogger(name) for name in ("lightning.pytorch", "pytorch_lightning", "lightning_fabric", "darts")
    ]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
