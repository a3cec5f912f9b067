"""What a comparison found: tidy frames, whatever the data sets and models were."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

SHOWN = ("data", "horizon", "model", "mase", "mae", "crps", "skill", "rank", "fit_seconds")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Models beside one another on the same windows. Keys are `data`, `horizon`, `model` and `seed`.

    Series are named by their id, and by "id / target" where there are several targets; times are text. Metrics are
    those of `forecast.evaluation.metrics.METRICS`, NaN where undefined. A model that failed anywhere on a data set and
    horizon has no scores there.

    Parameters
    ----------
    cells : DataFrame
        `fold`, `status` ("done" or "failed"), `reason`, `fit_seconds`, `predict_seconds`, `peak_memory_mb`,
        `parameters` (missing where a model does not tell) and `hash` of each cell.
    scores : DataFrame
        `series_count`, the metrics (means over series; `wql` over all at once), `owa` (NaN without naive2), and the
        costs, seconds summed over folds.
    per_series, per_window, per_step : DataFrame
        The metrics by `series`; by `series`, `fold`, `cutoff`, with `n` steps observed; by `step`, from 1.
    forecasts : DataFrame
        `series`, `fold`, `cutoff`, `time`, `forecast`, four quantiles and `y` of a few series for a person to look at.
    history : DataFrame
        `data`, `series`, `time`, `y`: observed values of these before their last cutoff.
    calibration : DataFrame
        `level`, and the `share` of observed steps at or below its quantile.
    leaderboard : DataFrame
        Means over `seeds`, with `mase_sd`, `owa`, `skill` (`skill_low`, `skill_high`), `rank`, `wins` and costs.
    pairs, against, ranks : DataFrame
        Each model beside each other, each beside the method to beat, and mean ranks; as `findings` tells.
    sentences : list of str
        The plain words.
    settings : dict
        What was asked for, resolved, and `commands` that repeat it.
    """

    cells: pd.DataFrame
    scores: pd.DataFrame
    per_series: pd.DataFrame
    per_window: pd.DataFrame
    per_step: pd.DataFrame
    forecasts: pd.DataFrame
    history: pd.DataFrame
    calibration: pd.DataFrame
    leaderboard: pd.DataFrame
    pairs: pd.DataFrame
    against: pd.DataFrame
    ranks: pd.DataFrame
    sentences: list[str]
    settings: dict[str, Any]

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return every table by its name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, pd.DataFrame)}

    def __repr__(self) -> str:
        failed = int((self.cells["status"] == "failed").sum())
        more = f", {failed} failed" if failed else ""
        table = self.leaderboard[list(SHOWN)].to_string(index=False, float_format="{:.4g}".format)
        return f"Comparison of {len(self.cells)} cells{more}:\n{table}"
