"""The one helper that builds the small frames of the tests."""

from __future__ import annotations

import numpy as np
import pandas as pd


def made_frame(
    series: int = 2, rows: int = 60, freq: str = "D", seed: int = 0, covariates: bool = False
) -> pd.DataFrame:
    """Return a long table with seasonal values in the default columns.

    Parameters
    ----------
    series, rows : int
        How many series, and rows of each.
    freq : str
        A pandas alias; "1" makes the times whole numbers from 0.
    seed : int
        Seeds the noise.
    covariates : bool
        Adds "temp" and "mood" (past), "price" and "promo" (known), "size" and "region" (static): a number and
        a text of each kind.
    """
    random = np.random.default_rng(seed)
    times = np.arange(rows) if freq == "1" else pd.date_range("2024-01-01", periods=rows, freq=freq)
    frame = pd.DataFrame({"unique_id": np.repeat([f"s{i}" for i in range(series)], rows), "ds": np.tile(times, series)})
    step = np.tile(np.arange(rows), series)
    number = np.repeat(np.arange(series), rows)
    frame["y"] = 10.0 * (number + 1) + np.sin(2 * np.pi * step / 7) + random.normal(0, 0.1, len(frame))
    if covariates:
        frame["temp"] = random.normal(20, 5, len(frame))
        frame["mood"] = random.choice(["good", "bad", "mixed"], len(frame))
        frame["price"] = random.uniform(1, 2, len(frame))
        frame["promo"] = random.choice(["yes", "no"], len(frame))
        frame["size"] = 100.0 * (number + 1)
        frame["region"] = np.where(number % 2 == 0, "north", "south")
    return frame


def made_roles() -> dict[str, tuple[str, ...]]:
    """Return the roles of the covariates that `made_frame` adds, as arguments of `Columns`."""
    return {"past": ("temp", "mood"), "known": ("price", "promo"), "static": ("size", "region")}


def made_two_targets(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    """Return the table of `made_frame` with covariates and a second target, "wind", of another size."""
    frame = made_frame(rows=rows, covariates=True, seed=seed)
    return frame.assign(wind=1000 + 50 * np.cos(np.arange(len(frame))))


def semicolons(value: str = "12,5") -> str:
    """Return the text of a table whose cells semicolons part, with the same value in each row."""
    return "unique_id;ds;y\n" + "".join(f"a;2024-01-{day:02d};{value}\n" for day in range(1, 21))
