"""Windows: what they are, how they are drawn, and how a span is split. Nothing else knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from forecast.batch import Batch, Inputs, Outcome, Sizes
from forecast.data.encoding import Encoding, counted
from forecast.data.panel import Panel
from forecast.errors import ConfigError, DataError, named

Split = Literal["calendar", "series_end"]
LISTED = 20  # series with missing rows that an error names
AT_ONCE = 2**19  # steps whose calendar is worked out in one go


class Windows:
    """Cut batches of windows out of a panel, each batch one vectorised gather.

    A window is named by its series and its end: how many steps of the series are known at the origin.

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
        past, known = encoding.encode(panel.past, steps), encoding.encode(panel.known, steps)
        static = encoding.encode(panel.static, series)
        self._gap = max(context_length, horizon)  # zeros around each series, so that no window meets two
        before = self._gap * np.arange(1, series + 1)
        self._rows = np.arange(steps) + np.repeat(before, panel.lengths)
        self._begins = self._moved(panel.offsets[:-1] + before - context_length)
        seen = np.isfinite(panel.target)
        precision = np.float32 if self.device.type == "mps" else np.float64
        self._target = self._laid(np.where(seen, panel.target, 0), dtype=precision).to(self.device)
        self._observed = self._laid(seen, dtype=np.float32).to(self.device)
        seen = np.isfinite(past.numbers)
        self._past = self._laid(np.concatenate([np.where(seen, past.numbers, 0), seen], axis=1), dtype=np.float32).to(
            self.device
        )
        self._past_codes = self._laid(past.codes, dtype=np.int64).to(self.device)
        # A step without a row has no known covariates; its target is unobserved, which tells the network.
        beside = encoding.calendar_widths()
        numbers = self._laid(np.nan_to_num(known.numbers), dtype=np.float32, beside=beside[0])
        codes = self._laid(known.codes, dtype=np.int64, beside=beside[1])
        if any(beside):
            self._fill_calendar(numbers.numpy(), codes.numpy(), before)
        self._known, self._known_codes = numbers.to(self.device), codes.to(self.device)
        self._static, self._static_codes = self._moved(static.numbers), self._moved(static.codes)
        self._numbers = self._moved(encoding.numbers_of(panel.ids))
        self._offsets = self._moved(panel.offsets)
        if panel.times is None:
            every, at = np.arange(series), np.zeros(series, np.int64)
        else:
            every = np.repeat(np.arange(series), panel.lengths)
            at = np.arange(steps) - panel.offsets[every]
        self._positions = self._moved(panel.positions(every, at))  # of each series' start, or of each row

    def sizes(self, *, season: int, outputs: int) -> Sizes:
        """Return the shapes that a network for these windows must have."""
        panel, encoding = self.panel, self._encoding
        return Sizes(
            context_length=self.context_length,
            horizon=self.horizon,
            targets=self._target.shape[1],
            past=self._past.shape[1],
            known=self._known.shape[1],
            static=self._static.shape[1],
            past_cardinalities=encoding.cardinalities(panel.past),
            known_cardinalities=encoding.cardinalities(panel.known) + encoding.calendar_cardinalities(),
            static_cardinalities=encoding.cardinalities(panel.static),
            series=len(encoding.ids) + 1,
            season=season,
            outputs=outputs,
        )

    def batch(self, series: Tensor, ends: Tensor) -> tuple[Inputs, Outcome]:
        """Gather the windows of `series` (B,) that end after `ends` (B,) steps.

        Steps before the start of a series and after its last row are unobserved. No end lies beyond that row. What
        follows a context in which a target was never observed counts as unobserved too: nothing scales it.
        """
        length = self.context_length
        begins = self._begins[series] + ends
        target, observed = self._cut(self._target, begins), self._cut(self._observed, begins)
        inputs = Inputs(
            target=target[:, :length],
            observed=observed[:, :length],
            past=self._cut(self._past, begins)[:, :length],
            known=self._cut(self._known, begins),
            static=self._static[series],
            past_codes=self._cut(self._past_codes, begins)[:, :length],
            known_codes=self._cut(self._known_codes, begins),
            static_codes=self._static_codes[series],
            series=self._numbers[series],
            position=self._position(series, ends - 1),
        )
        ahead = observed[:, length:]
        if ahead.shape[2] > 1:
            ahead = ahead * inputs.observed.amax(dim=1, keepdim=True)
        return inputs, Outcome(target[:, length:], ahead)

    def _fill_calendar(self, numbers: np.ndarray, codes: np.ndarray, before: np.ndarray) -> None:
        """Write what the calendar tells, up to a horizon beyond the end of each series, into the last columns."""
        panel, lengths = self.panel, self.panel.lengths + self.horizon
        parts = np.cumsum(lengths) // AT_ONCE
        for part in np.unique(parts):
            own = np.flatnonzero(parts == part)
            series, steps = np.repeat(own, lengths[own]), counted(lengths[own])
            told = self._encoding.encode_calendar(panel, series, steps)
            rows = (panel.offsets[:-1] + before)[series] + steps
            numbers[rows, numbers.shape[1] - told.numbers.shape[1] :] = told.numbers
            codes[rows, codes.shape[1] - told.codes.shape[1] :] = told.codes

    def _laid(self, values: np.ndarray, *, dtype: type, beside: int = 0) -> Tensor:
        """Return values over time (T, width) with zeros around each series, and in columns beside them."""
        width = values.shape[1]
        total = len(values) + self._gap * (len(self.panel.ids) + 1)
        laid: np.ndarray = np.zeros((total, width + beside), dtype)
        laid[self._rows, :width] = values
        return torch.as_tensor(laid)

    def _moved(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, device=self.device)

    def _cut(self, laid: Tensor, begins: Tensor) -> Tensor:
        """Return the windows that begin at `begins` (B,), copied in whole rows: (B, L + H, width)."""
        steps, width = self.context_length + self.horizon, laid.shape[1]
        if not width:
            return laid.new_empty((len(begins), steps, 0))
        windows = laid.view(-1).unfold(0, steps * width, width)  # a view: one row for each step of the panel
        return windows.index_select(0, begins).view(-1, steps, width)

    def _position(self, series: Tensor, steps: Tensor) -> Tensor:
        if self.panel.times is None:
            return self._positions[series] + steps
        return self._positions[self._offsets[series] + steps]


class TrainingWindows:
    """The windows to learn from, drawn at random as a pure function of seed and step.

    A series has one window for each origin that leaves a full horizon and has a full context behind it. One
    shorter than two contexts has windows with a left-padded context too, down to half its history. Windows whose
    context or horizon holds no observation are left out: neither scaler nor loss has anything to read there.

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
                f"no series is long enough to train on: the longest, {named(panel.ids[longest])}, has "
                f"{panel.ends[longest]} steps, and a horizon of {horizon} needs at least {horizon + 1}. "
                "Shorten the horizon, or give longer series."
            )
        totals = np.cumsum(counts)
        self._totals = torch.as_tensor(totals)
        self._first = torch.as_tensor(first - (totals - counts))
        self._kept = None if np.isfinite(panel.target).any(axis=1).all() else self._observed(counts)

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[tuple[Inputs, Outcome]]:
        for step in range(self.start, self.steps):
            yield self.draw(step)

    @property
    def count(self) -> int:
        """How many windows there are."""
        return int(self._totals[-1]) if self._kept is None else len(self._kept)

    def draw(self, step: int) -> tuple[Inputs, Outcome]:
        """Return the batch of a step: always the same for the same seed."""
        generator = torch.Generator().manual_seed(step_seed(self.seed, step))
        numbers = torch.randint(self.count, (self.batch_size,), generator=generator)
        if self._kept is not None:
            numbers = self._kept[numbers]
        series = torch.searchsorted(self._totals, numbers, right=True)
        ends = self._first[series] + numbers
        device = self.windows.device
        return self.windows.batch(series.to(device), ends.to(device))

    def _observed(self, counts: np.ndarray) -> Tensor | None:
        """Return the numbers of the windows with an observation on both sides of the origin, None if all have."""
        panel, horizon, context = self.windows.panel, self.windows.horizon, self.windows.context_length
        series = np.repeat(np.arange(len(counts)), counts)
        ends = self._first.numpy()[series] + np.arange(len(series))
        both = observed_around(panel, series, ends, context_length=context, horizon=horizon)
        if both.all():
            return None
        if not both.any():
            longest = int(panel.ends.argmax())
            raise DataError(
                f"no window to train on has an observed value in its context of {context} steps and in its horizon of "
                f"{horizon}; the longest series is {named(panel.ids[longest])}. Lengthen the context or the horizon, "
                "or give series with fewer gaps."
            )
        return torch.as_tensor(np.flatnonzero(both))


def windows_after(windows: Windows, ends: np.ndarray) -> list[Batch]:
    """Return the windows that follow `ends` (n,) horizon by horizon to the end of the span, a batch for each.

    Windows whose context holds no observation are left out.

    Raises
    ------
    DataError
        If nothing was observed there.
    """
    batches = []
    panel = windows.panel
    for begin in range(int((panel.ends - ends).max()) // windows.horizon):
        at = ends + begin * windows.horizon
        series = np.flatnonzero((ends > 0) & (at < panel.ends))
        series = series[panel.observed(series, at[series] - windows.context_length, at[series])]
        if len(series):
            parts = (torch.as_tensor(part, device=windows.device) for part in (series, at[series]))
            batches.append(windows.batch(*parts))
    if not any(float(outcome.observed.sum()) for _, outcome in batches):
        raise DataError("no series has a value left to validate on. Lower training.validation, or give longer series.")
    return batches


def observed_around(
    panel: Panel, series: np.ndarray, ends: np.ndarray, *, context_length: int, horizon: int
) -> np.ndarray:
    """Return which windows have a target that is observed both in their context and in their horizon: bool (N,)."""
    before = panel.observed_targets(series, ends - context_length, ends)
    around: np.ndarray = np.logical_or.reduce(before & panel.observed_targets(series, ends, ends + horizon), axis=1)
    return around


def refuse_missing_known(panel: Panel, series: np.ndarray, ends: np.ndarray, *, horizon: int) -> None:
    """Refuse origins after which a known covariate is not given for a step beyond the history.

    Steps of the history that have no row need none: nothing is observed there.

    Raises
    ------
    DataError
        Names covariate, and series and time of the rows that are missing.
    """
    if not panel.known:
        return
    ahead = ends[:, None] + np.arange(horizon)
    beyond = ahead >= panel.ends[series][:, None]
    inside = ahead < panel.lengths[series][:, None]
    flat = np.where(inside, panel.offsets[series][:, None] + ahead, 0)
    absent = {}
    for covariate in panel.known:
        values = covariate.values[flat]
        absent[covariate.name] = beyond & (~inside | (np.isnan(values) if covariate.categories is None else values < 0))
    names = [name for name, missing in absent.items() if missing.any()]
    if not names:
        return
    row, step = np.nonzero(np.any(list(absent.values()), axis=0))
    stamps = panel.stamp_column(panel.stamps(series[row], ahead[row, step]))
    rows = pd.DataFrame({"series": series[row], "time": stamps.array}).drop_duplicates()
    lines = []
    for number in rows["series"].unique()[:LISTED]:
        times = rows.loc[rows["series"] == number, "time"]
        span = f"{times.iloc[0]} to {times.iloc[-1]} ({len(times)} rows)" if len(times) > 1 else str(times.iloc[0])
        lines.append(f"\n  series {named(panel.ids[number])}: {span}")
    more = rows["series"].nunique() - LISTED
    raise DataError(
        f"known covariate{'s' * (len(names) > 1)} {', '.join(map(repr, names))} missing for {len(rows)} "
        f"row{'s' * (len(rows) > 1)} of the horizon. Add them to the future: predict(frame, future=rows), "
        f"data.future=FILE.{''.join(lines)}" + (f"\n  and {more} more series" if more > 0 else "")
    )


def step_seed(seed: int, step: int) -> int:
    """Return the seed of one step's random numbers."""
    return (int(seed) * 1_000_003 + step * 7_919 + 1) % (2**63)


def split_ends(panel: Panel, *, horizon: int, windows: int, split: Split, step: int | None = None) -> np.ndarray:
    """Return where the known part of each series ends at each held-back origin; the last is one horizon from the end.

    Parameters
    ----------
    panel : Panel
        The whole span.
    horizon, windows : int
        Steps of one held-back window, and how many there are.
    step : int
        Steps from one origin to the next; the horizon by default, so that windows do not overlap.
    split : {"calendar", "series_end"}
        One cutoff for all series, counted back from the last stamp of the panel (where rows are the grid, a
        series with fewer rows than others has earlier ones); or from each series' own end.

    Returns
    -------
    int64 (windows, n). A series with an end of 0 has no history there; one whose end is its length, no truth.
    """
    step = horizon if step is None else step
    back = horizon + step * np.arange(windows - 1, -1, -1)[:, None]
    if split == "series_end":
        return np.maximum(panel.ends - back, 0)
    if split != "calendar":
        raise ConfigError(f"split is calendar or series_end, got {split!r}.")
    series = np.arange(len(panel.ids))
    if panel.times is None:
        first = panel.positions(series, np.zeros(len(series), np.int64))
        last = (first + panel.ends).max()
        return np.clip(last - back - first, 0, panel.ends)
    spans = [panel.times[begin : begin + end] for begin, end in zip(panel.offsets, panel.ends, strict=False)]
    stamps = np.unique(np.concatenate(spans))
    last_known = len(stamps) - back[:, 0] - 1
    cutoffs = stamps[np.maximum(last_known, 0)]
    ends = np.stack([np.searchsorted(span, cutoffs, side="right") for span in spans], axis=1)
    ends[last_known < 0] = 0
    for early, late in reversed(list(zip(ends[:-1], ends[1:], strict=True))):
        short = (late < panel.ends) & (late - early < step)  # of a series with fewer rows than the others
        early[short] = np.maximum(late[short] - step, 0)
    return ends
