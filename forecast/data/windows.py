"""Windows: what they are, how they are drawn, and how a span is split. Nothing else knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from forecast.batch import Inputs, Outcome, Sizes
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.errors import DataError

Split = Literal["calendar", "series_end"]


class Windows:
    """Cut batches of windows out of a panel, each batch one vectorised gather.

    A window is named by its series and its end: the number of steps of the series that are known at the origin.

    Parameters
    ----------
    panel : Panel
        Regular series; gaps are NaN.
    encoding : Encoding
        Statistics and vocabularies of the training span.
    context_length, horizon : int
        Steps that a network reads, and forecasts.
    device : torch.device
        Where the panel is laid and batches come out. On devices without float64 targets are float32.
    """

    def __init__(
        self,
        panel: Panel,
        encoding: Encoding,
        *,
        context_length: int,
        horizon: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.panel, self.context_length, self.horizon = panel, context_length, horizon
        self.device = torch.device(device)
        self._encoding = encoding
        steps, series = len(panel.target), len(panel.ids)
        precision = torch.float32 if self.device.type == "mps" else torch.float64
        self._target = self._laid(panel.target[:, None], float("nan"), precision)
        past, known = encoding.encode(panel.past, steps), encoding.encode(panel.known, steps)
        static = encoding.encode(panel.static, series)
        self._past, self._past_codes = self._laid(past.numbers, float("nan")), self._laid(past.codes, 0)
        self._known, self._known_codes = self._laid(known.numbers, float("nan")), self._laid(known.codes, 0)
        if np.isnan(static.numbers).any():
            row, column = np.argwhere(np.isnan(static.numbers))[0]
            names = [c.name for c in panel.static if c.categories is None]
            raise DataError(f"static covariate {names[column]!r} of series {panel.ids[row]!r} is empty. Fill it.")
        self._static = torch.as_tensor(static.numbers, device=self.device)
        self._static_codes = torch.as_tensor(static.codes, device=self.device)
        self._numbers = torch.as_tensor(encoding.numbers_of(panel.ids), device=self.device)
        self._offsets = torch.as_tensor(panel.offsets, device=self.device)
        self._first = torch.as_tensor(panel.positions(np.arange(series), np.zeros(series, np.int64)), device=self.device)
        self._steps = torch.arange(context_length + horizon, device=self.device)

    def sizes(self, *, season: int, outputs: int) -> Sizes:
        """Return the shapes that a network for these windows must have."""
        panel, encoding = self.panel, self._encoding
        return Sizes(
            context_length=self.context_length,
            horizon=self.horizon,
            past=2 * self._past.shape[1],
            known=self._known.shape[1],
            static=self._static.shape[1],
            past_cardinalities=encoding.cardinalities(panel.past),
            known_cardinalities=encoding.cardinalities(panel.known),
            static_cardinalities=encoding.cardinalities(panel.static),
            series=len(encoding.ids) + 1,
            season=season,
            outputs=outputs,
        )

    def batch(self, series: Tensor, ends: Tensor) -> tuple[Inputs, Outcome]:
        """Gather the windows of `series` (B,) that end after `ends` (B,) steps.

        Steps before the start of a series and after its last row are unobserved.
        """
        length = self.context_length
        begins = self._offsets[series] + ends  # of the window: the laid values have a context of padding in front
        until = length + self._offsets[series + 1] - begins
        outside = (self._steps < (length - ends)[:, None]) | (self._steps >= until[:, None])  # (B, L + H)
        target, missing = self._gathered(self._target, begins, outside)
        past, unseen = self._gathered(self._past, begins, outside)
        observed = (~missing).to(torch.float32)
        inputs = Inputs(
            target=target[:, :length],
            observed=observed[:, :length],
            past=torch.cat([past, (~unseen).to(torch.float32)], dim=-1)[:, :length],
            known=self._gathered(self._known, begins, outside)[0],
            static=self._static[series],
            past_codes=self._gathered(self._past_codes, begins, outside)[0][:, :length],
            known_codes=self._gathered(self._known_codes, begins, outside)[0],
            static_codes=self._static_codes[series],
            series=self._numbers[series],
            position=self._first[series] + ends - 1,
        )
        return inputs, Outcome(target[:, length:], observed[:, length:])

    def _laid(self, values: np.ndarray, missing: float, dtype: torch.dtype | None = None) -> Tensor:
        """Return values over time on the device, padded by a context in front and a horizon behind."""
        laid = torch.as_tensor(values)
        laid = laid.to(dtype or laid.dtype)
        front = laid.new_full((self.context_length, laid.shape[1]), missing)
        behind = laid.new_full((self.horizon, laid.shape[1]), missing)
        return torch.cat([front, laid, behind]).to(self.device)

    def _gathered(self, laid: Tensor, begins: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
        """Return windows that begin at `begins` (B,), 0 where missing, and where they are: (B, L + H, width) each."""
        windows = laid.unfold(0, len(self._steps), 1).index_select(0, begins).transpose(1, 2)
        missing = outside[..., None] | windows.isnan()
        return windows.masked_fill(missing, 0), missing


class TrainingWindows:
    """The windows to learn from, drawn at random as a pure function of seed and step.

    A series has one window for each origin that leaves a full horizon and has a full context behind it. A series
    shorter than two contexts has windows with a left-padded context too, down to half its history.

    Parameters
    ----------
    windows : Windows
        Where batches are cut.
    batch_size, seed, steps : int
        Windows a step; what draws them; how many steps one pass of the iteration has.
    start : int
        The first step, past 0 where a run is resumed.
    """

    def __init__(self, windows: Windows, *, batch_size: int, seed: int, steps: int, start: int = 0) -> None:
        self.windows, self.batch_size, self.seed = windows, batch_size, seed
        self.steps, self.start = steps, start
        panel, horizon, context = windows.panel, windows.horizon, windows.context_length
        room = panel.ends - horizon  # the latest end of a window with a full horizon
        first = np.minimum(context, np.maximum(room // 2, 1))
        counts = np.maximum(room - first + 1, 0)
        if not counts.any():
            longest = int(panel.ends.argmax())
            raise DataError(
                f"no series is long enough to train on: the longest, {panel.ids[longest]!r}, has "
                f"{panel.ends[longest]} steps, and a horizon of {horizon} needs at least {horizon + 1}. "
                "Shorten the horizon, or give longer series."
            )
        self._totals = torch.as_tensor(np.cumsum(counts))
        self._first = torch.as_tensor(first - (np.cumsum(counts) - counts))

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[tuple[Inputs, Outcome]]:
        for step in range(self.start, self.steps):
            yield self.draw(step)

    @property
    def count(self) -> int:
        """How many windows there are."""
        return int(self._totals[-1])

    def draw(self, step: int) -> tuple[Inputs, Outcome]:
        """Return the batch of a step: always the same for the same seed."""
        generator = torch.Generator().manual_seed(step_seed(self.seed, step))
        numbers = torch.randint(self.count, (self.batch_size,), generator=generator)
        series = torch.searchsorted(self._totals, numbers, right=True)
        ends = self._first[series] + numbers
        device = self.windows.device
        return self.windows.batch(series.to(device), ends.to(device))


def step_seed(seed: int, step: int) -> int:
    """Return the seed of one step's random numbers."""
    return (seed * 1_000_003 + step * 7_919 + 1) % (2**63)


def split_ends(panel: Panel, *, horizon: int, windows: int, split: Split) -> np.ndarray:
    """Return where the known part of each series ends at each held-back origin.

    Parameters
    ----------
    panel : Panel
        The whole span.
    horizon, windows : int
        Steps of one held-back window, and how many follow one another without overlap at the end of the span.
    split : {"calendar", "series_end"}
        One cutoff for all series, counted back from the last stamp of the panel; or from each series' own end.

    Returns
    -------
    int64 (windows, n). A series with an end of 0 has no history there; one whose end is its length has no truth.
    """
    back = horizon * np.arange(windows, 0, -1)[:, None]
    if split == "series_end":
        return np.maximum(panel.ends - back, 0)
    if split != "calendar":
        raise ValueError(f"split is calendar or series_end, got {split!r}.")
    series = np.arange(len(panel.ids))
    if panel.times is None:
        first = panel.positions(series, np.zeros(len(series), np.int64))
        last = (first + panel.ends).max()
        return np.clip(last - back - first, 0, panel.ends)
    stamps = np.unique(panel.times)
    if len(stamps) <= back.max():
        return np.zeros((windows, len(series)), np.int64)
    cutoffs = stamps[-back[:, 0] - 1]
    return np.stack([np.searchsorted(panel.times[a:b], cutoffs, side="right") for a, b in _spans(panel)], axis=1)


def _spans(panel: Panel) -> Iterator[tuple[int, int]]:
    return zip(panel.offsets[:-1], panel.offsets[1:], strict=True)
