"""What a trained network answers: forecasts, sample paths, attention; and how it is kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted

from forecast.batch import Inputs, Sizes
from forecast.building import built
from forecast.data.columns import Columns
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.data.windows import prediction_windows
from forecast.errors import DataError
from forecast.frames import attention_frame
from forecast.losses import LEVELS, EventLoss
from forecast.memory import within_memory
from forecast.model import Model
from forecast.networks.attention import Attention, attention_of
from forecast.parameters import device_of
from forecast.predictor import Predictor, Table
from forecast.saved import artifact
from forecast.saved.vetting import filled
from forecast.scaling import Scaler
from forecast.training.settings import Training

PREDICTION_BATCH = 1024  # windows a pass in prediction


class Yardstick(NamedTuple):
    """The way from the unit of each origin's series to the axis of the network, and back.

    Letters: N origins, H horizon, C targets, Q values of each step.
    """

    loc: np.ndarray  # (N, H, C)
    scale: np.ndarray  # (N, H, C)
    scaler: Scaler

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return values (N, H, C, Q) on the scaled axis, same shape; NaN stays NaN."""
        moved = self.scaler.transformed(torch.as_tensor(np.moveaxis(values, -1, 1))).numpy()
        return np.where(
            np.isnan(values), np.nan, (np.moveaxis(moved, 1, -1) - self.loc[..., None]) / self.scale[..., None]
        )

    def restored(self, values: np.ndarray) -> np.ndarray:
        """Return scaled values (N, H, C, Q) in the unit of the series, same shape."""
        return self.scaler.restored(torch.as_tensor(values * self.scale[..., None] + self.loc[..., None])).numpy()


class TrainedNetwork(Predictor):
    """Parent of what forecasts with one network.

    Attributes
    ----------
    model_ : Model
        The trained scaler, network and loss.
    encoding_ : Encoding
        Statistics and vocabularies of the training span.
    sizes_ : Sizes
        Shapes of the network.
    """

    accelerator: str | dict[str, Any]
    seed: int
    model_: Model
    encoding_: Encoding
    sizes_: Sizes
    _parameters_: dict[str, Any]  # as plain values

    @property
    def encoding(self) -> Encoding:
        """Statistics and vocabularies of the training span."""
        return self.encoding_

    def attention(self, frame: Table | None = None, *, future: pd.DataFrame | None = None) -> pd.DataFrame:
        """Forecast as `predict` does, and return what each step ahead looked at; of networks with attention.

        Parameters
        ----------
        frame, future
            As of `predict`.

        Returns
        -------
        DataFrame with id, ``ahead`` (the step of the horizon, from 1), the time of the step of the context, ``back``
        (how many steps it lies before the last known one) and ``weight``; the weights of one step ahead add up to 1.
        Where several targets are forecast each by itself, a column ``target`` names them.

        Raises
        ------
        ConfigError
            If the network has no attention.
        """
        check_is_fitted(self)
        attention_of(self.model_.network)  # refuses a network without one
        panel = self._given(frame, future)
        return self.attention_origins(panel, np.arange(len(panel.ids)), panel.ends)

    def attention_origins(self, panel: Panel, series: np.ndarray, ends: np.ndarray) -> pd.DataFrame:
        """Return what `attention` does, for forecasts from any origins: series and ends (N,)."""
        self._seen(panel, series, ends)
        with within_memory(DataError, "Ask for fewer series at a time, or with accelerator=cpu."):
            weights = [self.model_.attention(inputs).cpu().numpy() for _, inputs in self._batches(panel, series, ends)]
        return attention_frame(panel, series, ends, np.concatenate(weights))

    def fresh_model(self, *, context_length: int | None = None) -> Model:
        """Return the model of a fitted forecaster with weights as its seed made them, for its context or another."""
        check_is_fitted(self)
        sizes = replace(self.sizes_, context_length=context_length or self.context_length_)
        vouched = [type(part) for part in self.model_.modules()]  # those of one's own have been let in before
        return built(self._settled(), sizes, self.panel_.columns, allow=vouched)

    @property
    def attends(self) -> bool:
        """Whether the network has attention."""
        return any(isinstance(module, Attention) for module in self.model_.network.modules())

    @property
    def draws(self) -> bool:
        """Whether the network forecasts by drawing paths, which takes many times as long."""
        return bool(getattr(self.model_.network, "paths", 0))

    @property
    def event(self) -> EventLoss | None:
        """What forecasts are the probability of; None where they are values."""
        return self.model_.loss if isinstance(self.model_.loss, EventLoss) else None

    def covers(self, level: float) -> bool:
        """Return whether a quantile of this level can be given."""
        return self.model_.loss.covers(level)

    def own_levels(self) -> tuple[float, ...]:
        """Return the levels of the loss, or 0.1 to 0.9."""
        return tuple(getattr(self.model_.loss, "levels", LEVELS))

    @property
    def is_whole(self) -> bool:
        """Whether the quantiles are whole numbers."""
        return self.model_.loss.is_whole

    @property
    def path_seed(self) -> int:
        """What sample paths are drawn with."""
        return self.seed

    @torch.inference_mode()
    def yardstick(self, panel: Panel, series: np.ndarray, ends: np.ndarray) -> Yardstick:
        """Return how the windows of some origins are scaled: series and ends (N,)."""
        parts = [self.yardstick_of(inputs) for _, inputs in self._batches(panel, series, ends)]
        loc, scale = (np.concatenate([getattr(part, name) for part in parts]) for name in ("loc", "scale"))
        return Yardstick(loc, scale, parts[0].scaler)

    @torch.inference_mode()
    def yardstick_of(self, inputs: Inputs) -> Yardstick:
        """Return how windows are scaled."""
        affine = self.model_.scaler(inputs)[1].horizon(self.horizon_)
        shape = (len(inputs.target), self.horizon_, inputs.target.shape[2])
        loc, scale = (part.expand(shape).cpu().double().numpy() for part in affine)
        return Yardstick(loc, scale, deepcopy(self.model_.scaler).cpu())

    @property
    def device(self) -> torch.device:
        """Where predictions are made."""
        return device_of(self.accelerator)

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
    def load(cls, path: str | Path, *, allow: Iterable[type] = ()) -> Self:
        """Read a saved forecaster; no code in it is run.

        Parameters
        ----------
        path : path
            What `save` wrote.
        allow : iterable of type
            Network, loss or scaler classes of one's own that the saved model may name.
        """
        saved, allow = artifact.load(Path(path)), tuple(allow)
        parameters = dict(saved.parameters)
        with artifact.refusing(Path(path), kind="forecaster"):
            columns = parameters["columns"] = Columns(**parameters["columns"])
            training = dict(parameters["training"])
            parameters["training"] = Training(**{**training, "freeze": tuple(training.get("freeze", ()))})
            network = cls(**parameters)
            network.horizon_ = saved.sizes.horizon
            network.context_length_ = saved.fitted["context_length"]
            network.seasonality_ = saved.fitted["seasonality"]
            network.freq_ = saved.fitted["freq"]
            network.encoding_, network.sizes_ = saved.encoding, saved.sizes

        def made() -> Model:
            return built(network._settled(), saved.sizes, columns, allow=allow)

        network.model_ = filled(made, saved.weights, vouched=bool(allow)).eval()
        network._parameters_, network.panel_ = saved.parameters, saved.panel
        return network

    @abstractmethod
    def _settled(self) -> dict[str, Any]:
        """Return the parameters with model, loss and scaling settled."""

    def _values(self, panel: Panel, series: np.ndarray, ends: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Return forecasts (N, H, C, 1 + Q), PREDICTION_BATCH origins at a time."""
        values = np.empty((len(series), self.horizon_, len(panel.columns.targets), 1 + len(levels)))
        with within_memory(DataError, "Forecast fewer series at a time, or with accelerator=cpu."):
            for batch, inputs in self._batches(panel, series, ends):
                values[batch] = self.model_.forecast(inputs, levels, seed=self.seed).cpu().numpy()
        return values

    def _paths(self, panel: Panel, series: np.ndarray, ends: np.ndarray, n: int, *, seed: int) -> np.ndarray:
        """Return n courses of each origin (N, H, C, n)."""
        drawn = []
        with within_memory(DataError, "Draw fewer paths, or of fewer series at a time."):
            for _, inputs in self._batches(panel, series, ends):
                draw = torch.Generator().manual_seed(seed)
                drawn.append(self.model_.paths(inputs, n, draw).cpu().numpy())
        return np.concatenate(drawn)

    def _batches(self, panel: Panel, series: np.ndarray, ends: np.ndarray) -> Iterator[tuple[slice, Inputs]]:
        """Make the model ready to forecast, and go through the windows of origins: which of them, and what is known."""
        latest = np.zeros(len(panel.ids), np.int64)
        np.maximum.at(latest, series, ends)
        self.model_.scaler.check(panel, latest)
        device, lengths = self.device, {"context_length": self.context_length_, "horizon": self.horizon_}
        windows, *origins = prediction_windows(panel, self.encoding_, series, ends, device=device, **lengths)
        self.model_.placed(device).eval()
        for begin in range(0, len(series), PREDICTION_BATCH):
            batch = slice(begin, begin + PREDICTION_BATCH)
            inputs, _ = windows.batch(*(part[batch] for part in origins))
            yield batch, inputs
