"""Windows: what they are, and how they are drawn. Nothing else knows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from forecast.batch import Batch, Inputs, Outcome, Sizes
from forecast.data.encoding import Encoding, counted
from forecast.data.panel import Panel
from forecast.data.splits import refuse_short
from forecast.errors import DataError, named

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
        self.encoding = encoding
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
        self._known = self._laid(np.nan_to_num(known.numbers), dtype=np.float32).to(self.device)
        self._known_codes = self._laid(known.codes, dtype=np.int64).to(self.device)
        self._lay_calendar()
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
        panel, encoding = self.panel, self.encoding
        return Sizes(
            context_length=self.context_length,
            horizon=self.horizon,
            targets=self._target.shape[1],
            past=self._past.shape[1],
            known=self._known.shape[1] + self._calendar.shape[1],
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
        begins, calendar_begins = self._begins[series] + ends, self._calendar_begins[series] + ends
        target, observed = self._cut(self._target, begins), self._cut(self._observed, begins)
        inputs = Inputs(
            target=target[:, :length],
            observed=observed[:, :length],
            past=self._cut(self._past, begins)[:, :length],
            known=_beside(self._cut(self._known, begins), self._cut(self._calendar, calendar_begins)),
            static=self._static[series],
            past_codes=self._cut(self._past_codes, begins)[:, :length],
            known_codes=_beside(self._cut(self._known_codes, begins), self._cut(self._calendar_codes, calendar_begins)),
            static_codes=self._static_codes[series],
            series=self._numbers[series],
            position=self._position(series, ends - 1),
            scale=observed.new_zeros(len(series), observed.shape[2]),
        )
        ahead = observed[:, length:]
        if ahead.shape[2] > 1:
            ahead = ahead * inputs.observed.amax(dim=1, keepdim=True)
        return inputs, Outcome(target[:, length:], ahead)

    def _lay_calendar(self) -> None:
        """Lay what the calendar tells, up to a horizon beyond each series' end; once for series that start together."""
        panel, lengths = self.panel, self.panel.lengths + self.horizon
        first = alike = np.arange(len(panel.ids))
        if panel.times is None:
            _, first, alike = np.unique(panel.starts, return_index=True, return_inverse=True)
        spans = np.zeros(len(first), np.int64)
        np.maximum.at(spans, alike, lengths)
        begins = np.cumsum(spans) - spans + self._gap * np.arange(1, len(first) + 1)
        widths = self.encoding.calendar_widths()
        total = int(spans.sum()) + self._gap * (len(first) + 1)
        numbers, codes = np.zeros((total, widths[0]), np.float32), np.zeros((total, widths[1]), np.int64)
        parts = np.cumsum(spans) // AT_ONCE
        for part in np.unique(parts) if any(widths) else ():
            own = np.flatnonzero(parts == part)
            group, steps = np.repeat(own, spans[own]), counted(spans[own])
            told = self.encoding.encode_calendar(panel, first[group], steps)
            numbers[begins[group] + steps], codes[begins[group] + steps] = told
        self._calendar, self._calendar_codes = self._moved(numbers), self._moved(codes)
        self._calendar_begins = self._moved((begins - self.context_length)[alike])

    def _laid(self, values: np.ndarray, *, dtype: type) -> Tensor:
        """Return values over time (T, width) with zeros around each series."""
        width = values.shape[1]
        total = len(values) + self._gap * (len(self.panel.ids) + 1)
        laid: np.ndarray = np.zeros((total, width), dtype)
        if width:
            laid[self._rows] = values
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


def prediction_windows(
    panel: Panel,
    encoding: Encoding,
    series: np.ndarray,
    ends: np.ndarray,
    *,
    context_length: int,
    horizon: int,
    device: torch.device,
) -> tuple[Windows, Tensor, Tensor]:
    """Lay those steps alone that the windows of some origins reach.

    Parameters
    ----------
    series, ends : ndarray of int64 (N,)
        The origins: number of the series in the panel, and how many of its steps are known.

    Returns
    -------
    Windows, and what `Windows.batch` calls the same origins: series (N,) and ends (N,) on the device.
    """
    keep, own = np.unique(series, return_inverse=True)
    lengths = panel.lengths[keep]
    begins, until = lengths.copy(), np.zeros_like(lengths)
    np.minimum.at(begins, own, np.maximum(ends - context_length, 0))
    np.maximum.at(until, own, np.minimum(ends + horizon, lengths[own]))
    part = panel.part(keep, begins, until)
    ends = ends - (until - part.lengths)[own]
    windows = Windows(part, encoding, context_length=context_length, horizon=horizon, device=device)
    return windows, torch.as_tensor(own, device=device), torch.as_tensor(ends, device=device)


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
        refuse_short(panel, horizon=horizon)
        room = panel.ends - horizon  # the latest end of a window with a full horizon
        first = np.minimum(context, np.maximum(room // 2, 1))
        counts = np.maximum(room - first + 1, 0)
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


class HeldBack:
    """The windows that follow `ends` (n,) horizon by horizon to the end of the span, cut a batch at a time.

    Windows whose context or horizon holds no observation are left out.

    Raises
    ------
    DataError
        If there are none.
    """

    def __init__(self, windows: Windows, ends: np.ndarray, *, batch_size: int = 2048) -> None:
        self.windows, panel = windows, windows.panel
        self._origins: list[tuple[np.ndarray, np.ndarray]] = []
        lengths = {"context_length": windows.context_length, "horizon": windows.horizon}
        for begin in range(int((panel.ends - ends).max()) // windows.horizon):
            at = ends + begin * windows.horizon
            series = np.flatnonzero((ends > 0) & (at < panel.ends))
            series = series[observed_around(panel, series, at[series], **lengths)]
            parts = (series[first : first + batch_size] for first in range(0, len(series), batch_size))
            self._origins += [(part, at[part]) for part in parts]
        if not self._origins:
            raise DataError(
                "no series has a value left to validate on. Lower training.validation, or give longer series."
            )

    def __len__(self) -> int:
        return len(self._origins)

    def __getitem__(self, number: int) -> Batch:
        return self.windows.batch(
            *(torch.as_tensor(part, device=self.windows.device) for part in self._origins[number])
        )


def observed_around(
    panel: Panel, series: np.ndarray, ends: np.ndarray, *, context_length: int, horizon: int
) -> np.ndarray:
    """Return which windows have a target that is observed both in their context and in their horizon: bool (N,)."""
    before = panel.observed_targets(series, ends - context_length, ends)
    around: np.ndarray = np.logical_or.reduce(before & panel.observed_targets(series, ends, ends + horizon), axis=1)
    return around


def observed_origins(
    panel: Panel, ends: np.ndarray, *, context_length: int, horizon: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return window, series and end (N,) of the origins in `ends` (W, n) with a target observed on both sides.

    Those whose horizon goes beyond the end of their series are left out.
    """
    window, series = np.nonzero((ends > 0) & (ends + horizon <= panel.ends))
    origins = ends[window, series]
    both = observed_around(panel, series, origins, context_length=context_length, horizon=horizon)
    return window[both], series[both], origins[both]


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


def _beside(own: Tensor, calendar: Tensor) -> Tensor:
    """Return known covariates and what the calendar tells side by side: (B, L + H, F)."""
    if not own.shape[2] or not calendar.shape[2]:
        return own if own.shape[2] else calendar
    return torch.cat([own, calendar], dim=2)


def step_seed(seed: int, step: int) -> int:
    """Return the seed of one step's random numbers."""
    return (int(seed) * 1_000_003 + step * 7_919 + 1) % (2**63)
