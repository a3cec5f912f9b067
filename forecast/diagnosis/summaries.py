"""A diagnosis in short tables that a person reads."""

from __future__ import annotations

import pandas as pd

from forecast.diagnosis.findings import REACHED, far_share

WHEN = ["before", "after"]


def summaries_of(
    gradients: pd.DataFrame, reach: pd.DataFrame, saturation: pd.DataFrame, *, nearest: int
) -> dict[str, pd.DataFrame]:
    """Return short tables under their captions; `nearest` is the context that gates are told of."""
    tables = {}
    layers = gradients[gradients["layer"] != "input"]
    if len(layers):
        caption = "Gradient at the far end of the context, relative to the last step"
        tables[caption] = _side_by_side(_far(layers), ["context", "layer"], "share")
    caption = f"Latest steps, of which the farthest moves the forecast by {REACHED:.0%} of the most or more"
    named = reach.rename(columns={"part": "forecast by"})
    tables[caption] = _side_by_side(named, ["context", "forecast by"], "steps")
    own = saturation[saturation["context"] == nearest]
    if len(own):
        tables[f"Shares of gates that are shut and open, before and after training, context {nearest}"] = _gates(own)
    return tables


def _far(layers: pd.DataFrame) -> pd.DataFrame:
    keys = ["context", "layer", "when"]
    rows = [(*key, far_share(part)) for key, part in layers.groupby(keys, sort=False)]
    return pd.DataFrame(rows, columns=[*keys, "share"])


def _gates(own: pd.DataFrame) -> pd.DataFrame:
    """Return the shares of shut and open gates in per cent, before and after training in one cell."""
    table = own[["layer", "gate"]].drop_duplicates()
    for side in ("shut", "open"):
        shares = _side_by_side(own, ["layer", "gate"], side)[WHEN].to_numpy()
        table[side] = [f"{before:.1%} \N{RIGHTWARDS ARROW} {after:.1%}" for before, after in shares]
    return table


def _side_by_side(table: pd.DataFrame, keys: list[str], values: str) -> pd.DataFrame:
    """Return values before and after training beside each other, rows in the order in which they came."""
    first = table[keys].drop_duplicates()
    wide = table.pivot(index=keys, columns="when", values=values).reset_index().rename_axis(columns=None)
    return first.merge(wide, on=keys)[[*keys, *WHEN]]
