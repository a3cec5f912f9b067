"""Tables of errors that are parted over folds, chunks or fits, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecast.evaluation.averages import CELL, pooled
from forecast.evaluation.metrics import METRICS

PAIR = ["series", "channel"]


def joined(tables: Sequence[pd.DataFrame], by: list[str]) -> pd.DataFrame:
    """Return the metrics of cells that are parted over tables or rows, over all their observed steps."""
    table = pd.concat(tables, ignore_index=True)
    terms = [name for name in METRICS if name not in ("rmse", "wql")]
    values = table[terms].assign(rmsse=table["rmsse"] ** 2)
    steps = pd.DataFrame({name: table["nonzero" if name == "mape" else "n"] for name in terms}).where(values.notna(), 0)
    keys = {name: table[name] for name in by}
    sums = (values * steps).assign(**keys).groupby(by, sort=False)[terms].sum()
    weights = steps.assign(**keys).groupby(by, sort=False)[terms].sum()
    means = sums / weights.where(weights > 0)
    extra = table.groupby(by, sort=False)[["n", "nonzero", "loss", "size"]].sum(min_count=1)
    means = means.assign(rmsse=np.sqrt(means["rmsse"]), rmse=np.sqrt(means["mse"]), **extra)
    return means.assign(wql=pooled(means))[list(CELL)].reset_index()
