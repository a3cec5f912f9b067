"""What a page reads of a comparison, and how its parts are named."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from forecast.comparison.comparison import Comparison


class Panel(NamedTuple):
    """One data set and one horizon: what models are compared on."""

    data: str
    horizon: int

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of this data set, and of this horizon where the frame has horizons."""
        rows = frame["data"].eq(self.data)
        return frame[rows & frame["horizon"].eq(self.horizon) if "horizon" in frame else rows]


def panels_of(comparison: Comparison) -> list[Panel]:
    """Return data sets and horizons in the order in which they were asked for; those with failed cells alone too."""
    rows = pd.concat([frame[["data", "horizon"]] for frame in (comparison.leaderboard, comparison.cells)])
    found = rows.drop_duplicates().sort_values("horizon", kind="stable")
    order = {name: place for place, name in enumerate(rows["data"].unique())}
    found = found.sort_values("data", key=lambda names: names.map(order), kind="stable")
    return [Panel(str(data), int(horizon)) for data, horizon in found.itertuples(index=False)]


def models_of(comparison: Comparison) -> list[str]:
    """Return the models that have scores, best first, by their mean rank over data sets and horizons.

    A mean over fewer of them is another mean: models that lack some come after those that have all.
    """
    ranks = comparison.leaderboard.groupby("model", sort=False)["rank"].agg(["count", "mean"])
    ordered = ranks.sort_values(["count", "mean"], ascending=[False, True], kind="stable")
    return [str(name) for name in ordered.index]


def ranking_metric(board: pd.DataFrame) -> str:
    """Return the metric by which the rows of a leaderboard are ranked: MASE where every model has it, else MAE."""
    return "mase" if board["mase"].notna().all() else "mae"


def reference_of(rows: pd.DataFrame) -> str:
    """Return the simple method that skill is measured against: the one in a leaderboard whose skill is 0."""
    own = rows.loc[rows["skill"].eq(0), "model"].tolist()
    return next((name for name in ("naive", "seasonal_naive") if name in own), "")
