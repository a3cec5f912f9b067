"""What an ensemble and a calibrated forecaster share: settings, and a folder around those of other forecasters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from forecast.data.columns import Columns
from forecast.data.encoding import Encoding
from forecast.folders import steadily
from forecast.predictor import Predictor


class Composite(Predictor):
    """Parent of what forecasts with copies of the forecasters that it is given."""

    @property
    @abstractmethod
    def _first(self) -> Predictor:
        """The first one given, with which all others agree on horizon, columns and freq."""

    @property
    @abstractmethod
    def _first_fitted(self) -> Predictor:
        """The fitted copy of the first one."""

    @classmethod
    @abstractmethod
    def _read(cls, path: Path, allow: tuple[type, ...]) -> Self:
        """Return what a folder holds."""

    @property
    def horizon(self) -> int:  # type: ignore[override]
        """Steps to forecast."""
        return self._first.horizon

    @property
    def columns(self) -> Columns | None:  # type: ignore[override]
        """Roles of the table's columns."""
        return self._first.columns

    @property
    def freq(self) -> str | None:  # type: ignore[override]
        """Step of time."""
        return self._first.freq

    @property
    def encoding(self) -> Encoding:
        """Statistics and vocabularies of the training span."""
        return self._first_fitted.encoding

    @property
    def path_seed(self) -> int:
        """What sample paths are drawn with."""
        return self._first_fitted.path_seed

    @classmethod
    def load(cls, path: str | Path, *, allow: Iterable[type] = ()) -> Self:
        """Read a saved one; no code in it is run.

        Parameters
        ----------
        path : path
            What `save` wrote.
        allow : iterable of type
            Network, loss or scaler classes of one's own that what is saved may name.
        """
        path, allow = Path(path), tuple(allow)
        return steadily(path, lambda place: cls._read(place, allow))
