"""What is learned from the training span about covariates and series: statistics, vocabularies, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from forecast.data import calendar
from forecast.data.grid import Covariate
from forecast.data.panel import Panel
from forecast.errors import DataError, named

ROLES = ("past", "known", "static")


class Encoded(NamedTuple):
    """Covariates of one role: numbers with NaN and codes with 0 = never seen, (rows, width) each."""

    numbers: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True)
class Encoding:
    """Statistics of numeric covariates, vocabularies of categorical ones, and the numbers of the series.

    Parameters
    ----------
    ids : tuple of str
        Series trained on; the first has number 1.
    statistics : dict
        Mean and deviation of each numeric covariate over the training span.
    categories : dict
        Categories of each categorical covariate; the first has code 1.
    calendar : tuple of str
        Calendar features that networks are told.
    holidays : str, optional
        Country whose holidays they are told.
    holiday_names : tuple of str
        Its holidays in the training span; the first has code 1.
    """

    ids: tuple[str, ...]
    statistics: dict[str, tuple[float, float]]
    categories: dict[str, tuple[str, ...]]
    calendar: tuple[str, ...] = ()
    holidays: str | None = None
    holiday_names: tuple[str, ...] = ()

    @classmethod
    def fit(cls, panel: Panel) -> Encoding:
        """Learn from every step of the panel up to its ends."""
        statistics, categories = {}, {}
        columns = panel.columns
        over_time = np.zeros(len(panel.target) + 1, np.int8)  # 1 where a step lies before its series' end
        np.add.at(over_time, panel.offsets[:-1], 1)
        np.add.at(over_time, panel.offsets[:-1] + panel.ends, -1)
        known_span = np.cumsum(over_time[:-1]).astype(bool)
        for role in ROLES:
            for covariate in getattr(panel, role):
                values = covariate.values if role == "static" else covariate.values[known_span]
                if covariate.categories is None:
                    statistics[covariate.name] = _statistics(covariate.name, values)
                else:
                    met = np.unique(values[values >= 0])  # sorted by name: codes tell nothing of what comes later
                    categories[covariate.name] = tuple(sorted(covariate.categories[code] for code in met))
        names: tuple[str, ...] = ()
        if columns.holidays is not None:
            series = np.repeat(np.arange(len(panel.ids)), panel.ends)
            stamps = np.unique(panel.stamps(series, counted(panel.ends)))
            met = calendar.holidays_of(columns.holidays, stamps, panel.freq, panel.zone)[1]
            names = tuple(sorted({name for name in met if name}))
        return cls(
            tuple(str(name) for name in panel.ids),
            statistics,
            categories,
            calendar.chosen(columns.calendar, panel.freq, int(panel.ends.max())),
            columns.holidays,
            names,
        )

    def extended(self, other: Encoding) -> Encoding:
        """Return this encoding with the statistics of another, and what the other has met beyond this one.

        Numbers and codes of this one stay what they are.
        """
        if self.statistics.keys() != other.statistics.keys() or self.categories.keys() != other.categories.keys():
            raise DataError("the covariates differ from those of the training. Give the same columns.")
        return replace(
            self,
            ids=_joined(self.ids, other.ids),
            statistics=other.statistics,
            categories={name: _joined(own, other.categories[name]) for name, own in self.categories.items()},
            holiday_names=_joined(self.holiday_names, other.holiday_names),
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Encoding:
        """Return what `as_dict` gave."""
        return cls(
            tuple(values["ids"]),
            {name: (float(mean), float(deviation)) for name, (mean, deviation) in values["statistics"].items()},
            {name: tuple(categories) for name, categories in values["categories"].items()},
            tuple(values.get("calendar", ())),
            values.get("holidays"),
            tuple(values.get("holiday_names", ())),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def numbers_of(self, ids: pd.Index) -> np.ndarray:
        """Return the number of each series (n,), 0 for one never trained on."""
        return np.fromiter(map(self._numbers.get, map(str, ids.tolist()), repeat(0)), np.int64, len(ids))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.ids, start=1)}

    def encode(self, covariates: Sequence[Covariate], rows: int) -> Encoded:
        """Return covariates of one role as standardised numbers and codes."""
        covariates = [self._as_trained(covariate) for covariate in covariates]
        numeric = [c for c in covariates if c.name in self.statistics]
        coded = [c for c in covariates if c.name in self.categories]
        numbers = np.empty((rows, len(numeric)), np.float32)
        for column, covariate in enumerate(numeric):
            mean, deviation = self.statistics[covariate.name]
            numbers[:, column] = (covariate.values - mean) / deviation
        codes = np.empty((rows, len(coded)), np.int64)
        for column, covariate in enumerate(coded):
            vocabulary = pd.Index(self.categories[covariate.name], dtype=object)
            table = vocabulary.get_indexer(pd.Index(covariate.categories or (), dtype=object)) + 1
            codes[:, column] = np.append(table, 0)[covariate.values]  # code -1, missing, reads the last entry
        return Encoded(numbers, codes)

    def strangers(self, panel: Panel) -> list[str]:
        """Return what a panel holds that training has not met, in words: categories of each covariate, and series."""
        told = []
        for role in ROLES:
            for covariate in getattr(panel, role):
                if covariate.categories is None or covariate.name not in self.categories:
                    continue
                new = [name for name in covariate.categories if name not in self.categories[covariate.name]]
                held = np.isin(covariate.values, [covariate.categories.index(name) for name in new])
                if held.any():
                    first = covariate.categories[covariate.values[held][0]]
                    told.append(f"{first!r} in column {covariate.name!r} ({held.sum()} such cells)")
        unseen = self.numbers_of(panel.ids) == 0
        if unseen.any():
            told.append(f"series {named(panel.ids[unseen.argmax()])} ({unseen.sum()} such series)")
        return told

    def _as_trained(self, covariate: Covariate) -> Covariate:
        """Return a covariate of the kind that it was in training, which a column without a value does not show."""
        name, is_number = covariate.name, covariate.categories is None
        if name not in self.statistics and name not in self.categories:
            raise DataError(f"column {name!r} was no covariate in training. Leave it out, or train with it.")
        if is_number == (name in self.statistics):
            return covariate
        empty = not (np.isfinite(covariate.values).any() if is_number else (covariate.values >= 0).any())
        if not empty:
            was, now = ("text", "numbers") if is_number else ("numbers", f"text ({_not_numbers(covariate)})")
            raise DataError(f"column {name!r} held {was} in training and holds {now} now. Mend its cells.")
        if is_number:
            return Covariate(name, np.full(len(covariate.values), -1, np.int32), ())
        return Covariate(name, np.full(len(covariate.values), np.nan, np.float32))

    def encode_calendar(self, panel: Panel, series: np.ndarray, steps: np.ndarray) -> Encoded:
        """Return what the calendar tells of steps (N,), which may lie beyond the end of their series."""
        stamps = panel.stamps(series, steps)
        numbers, codes = calendar.features(self.calendar, stamps, panel.freq, panel.zone)
        if self.holidays is None:
            return Encoded(numbers, codes)
        counts, names = calendar.holidays_of(self.holidays, stamps, panel.freq, panel.zone)
        named = pd.Index(self.holiday_names, dtype=object).get_indexer(pd.Index(names, dtype=object)) + 1
        return Encoded(np.column_stack([numbers, counts]), np.column_stack([codes, named]))

    def calendar_widths(self) -> tuple[int, int]:
        """Return how many numbers and codes the calendar gives each step."""
        return calendar.widths(self.calendar)[0] + (self.holidays is not None), len(self.calendar_cardinalities())

    def calendar_cardinalities(self) -> tuple[int, ...]:
        """Return how many codes each coded calendar feature has, code 0 included."""
        own = calendar.widths(self.calendar)[1]
        return own if self.holidays is None else (*own, len(self.holiday_names) + 1)

    def cardinalities(self, covariates: Sequence[Covariate]) -> tuple[int, ...]:
        """Return how many codes each categorical covariate has, code 0 included."""
        return tuple(len(self.categories[c.name]) + 1 for c in covariates if c.categories is not None)


def _not_numbers(covariate: Covariate) -> str:
    """Return the first category that is no number, or the first of all."""
    categories = pd.Series(covariate.categories, dtype=object)
    other = categories[pd.to_numeric(categories, errors="coerce").isna()]
    return repr((other if len(other) else categories).iloc[0])


def _statistics(name: str, values: np.ndarray) -> tuple[float, float]:
    seen = values[np.isfinite(values)].astype(np.float64)
    if not len(seen):
        raise DataError(f"covariate {name!r} has no value in the training span. Leave it out.")
    mean, deviation = float(seen.mean()), float(seen.std())
    return mean, deviation if deviation > 1e-7 * abs(mean) else 1.0  # below what float32 tells apart, it is constant


def counted(lengths: np.ndarray) -> np.ndarray:
    """Return 0, 1, ... up to each length, one after another: (sum of lengths,)."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _joined(own: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*own, *other]))
