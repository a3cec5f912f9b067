"""From a table to a panel that can be learned from and forecast; what it lacks is told."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.data.panel import Panel
from forecast.errors import DataError, named

log = logging.getLogger("forecast")


def laid(
    table: pd.DataFrame | pd.Series,
    columns: Columns | None,
    *,
    freq: str | None,
    future: pd.DataFrame | None = None,
) -> Panel:
    """Return a table on its grid, each series with an observation; tell of the steps that have no row."""
    panel = observed(Panel.from_frame(table, columns, freq=freq, future=future))
    if panel.absent:
        log.warning(
            "%d of %d steps of the time grid (freq %s) have no row; they count as unobserved.",
            panel.absent, len(panel.target), panel.freq.name,
        )  # fmt: skip
    return panel


def observed(panel: Panel) -> Panel:
    """Return the panel, each of whose series has an observation.

    Raises
    ------
    DataError
        Names the first series that has none.
    """
    every = np.arange(len(panel.ids))
    seen = panel.observed(every, np.zeros_like(every), panel.lengths)
    if not seen.all():
        empty = panel.ids[~seen]
        columns = " or ".join(map(repr, panel.columns.targets))
        raise DataError(
            f"series {named(empty[0])} has no observed value in column {columns} ({len(empty)} such series of "
            f"{len(panel.ids)}). Leave them out, or give them values."
        )
    return panel
