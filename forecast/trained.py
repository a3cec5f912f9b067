"""What a trained network answers: forecasts, sample paths, attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted

from forecast.batch import Inputs, Sizes
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.data.windows import prediction_windows
from forecast.errors import ConfigError, DataError
from forecast.frames import attention_frame, sample_frame
from forecast.losses import LEVELS
from forecast.memory import within_memory
from forecast.model import Model
from forecast.networks.attention import Attention, attention_of
from forecast.parameters import device_of
from forecast.predictor import Predictor, Table

PREDICTION_BATCH = 1024  # windows a pass in prediction


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

    @property
    def encoding(self) -> Encoding:
        """Statistics and vocabularies of the training span."""
        return self.encoding_

    def sample(
        self, frame: Table | None = None, *, future: pd.DataFrame | None = None, paths: int = 100
    ) -> pd.DataFrame:
        """Draw sample paths of the steps after the end of each series; the same call draws the same.

        A network that reads its own draws, such as deepar, gives the paths that it was fed. Of others each step has its
        own distribution, and steps are drawn together by a normal copula, as their errors went together on training
        windows, each target by itself. Series share the random numbers of a path: sum over steps, not over series.

        Parameters
        ----------
        frame, future
            As of `predict`.
        paths : int
            How many for each series.

        Returns
        -------
        DataFrame with id, time, ``sample`` (the number of the path, from 0) and ``forecast``; with several targets a
        column ``target`` after the time. Values below the minimum of a target are raised to it.
        """
        check_is_fitted(self)
        if not isinstance(paths, (int, np.integer)) or isinstance(paths, bool) or paths < 1:
            raise ConfigError(f"paths is a whole number of 1 or more, got {paths!r}.")
        panel = self._given(frame, future)
        series = np.arange(len(panel.ids))
        seen = self._seen(panel, series, panel.ends)
        drawn = []
        with within_memory(DataError, "Draw fewer paths, or of fewer series at a time."):
            for _, inputs in self._batches(panel, series, panel.ends):
                draw = torch.Generator().manual_seed(self.seed)
                drawn.append(self.model_.paths(inputs, paths, draw).cpu().numpy())
        values = self._finished(np.concatenate(drawn), seen, panel.ids)
        self._tell_of_unforecast(panel, values)
        return sample_frame(panel, series, panel.ends, values)

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

    @property
    def attends(self) -> bool:
        """Whether the network has attention."""
        return any(isinstance(module, Attention) for module in self.model_.network.modules())

    def covers(self, level: float) -> bool:
        """Return whether a quantile of this level can be given."""
        return self.model_.loss.covers(level)

    def own_levels(self) -> tuple[float, ...]:
        """Return the levels of the loss, or 0.1 to 0.9."""
        return tuple(getattr(self.model_.loss, "levels", LEVELS))

    @property
    def device(self) -> torch.device:
        """Where predictions are made."""
        return device_of(self.accelerator)

    def _values(self, panel: Panel, series: np.ndarray, ends: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Return forecasts (N, H, C, 1 + Q), PREDICTION_BATCH origins at a time."""
        values = np.empty((len(series), self.horizon_, len(panel.columns.targets), 1 + len(levels)))
        with within_memory(DataError, "Forecast fewer series at a time, or with accelerator=cpu."):
            for batch, inputs in self._batches(panel, series, ends):
                values[batch] = self.model_.forecast(inputs, levels, seed=self.seed).cpu().numpy()
        return values

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
