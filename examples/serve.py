"""Forecast with an exported network: numpy and onnxruntime are all that it needs.

    python examples/serve.py outputs/export/.../graph history.csv

The history has the columns of the training: id, time, targets and covariates. Known covariates of the steps to forecast
follow in rows whose targets are empty. An ensemble is a folder of members, whose forecasts are made one.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime

DAY = 86_400_000_000  # microseconds
LENGTHS = {"second_of_minute": DAY // 1440, "minute_of_hour": DAY // 24, "hour_of_day": DAY}


def main(folder: Path, history: Path) -> None:
    """Print a forecast of each series as CSV."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    series = read(history, manifest["columns"])
    writer = csv.writer(sys.stdout)
    columns, levels = manifest["columns"], manifest["levels"]
    writer.writerow([columns["id"], "step", "target", "forecast", *(f"q{level:g}" for level in levels)])
    for name, rows in series.items():
        values = forecast(folder, name, rows)  # (H, C, 1 + Q)
        for target, own in zip(columns["targets"], values.transpose(1, 0, 2), strict=True):
            for step, numbers in enumerate(own, start=1):
                writer.writerow([name, step, target, *(f"{number:.6g}" for number in numbers)])


def forecast(folder: Path, name: str, rows: list[dict[str, str]]) -> np.ndarray:
    """Return the point and the quantiles of the steps after the last target of one series: (H, C, 1 + Q)."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if "members" in manifest:
        each = np.stack([forecast(folder / member, name, rows) for member in manifest["members"]])
        return combined(each, manifest["combine"], np.array(manifest["weights"]))
    session = onnxruntime.InferenceSession(folder / manifest["graphs"]["forecast"]["file"])
    every = inputs(manifest, name, rows)
    given = {wanted.name: every[wanted.name][None] for wanted in session.get_inputs()}
    point, *quantiles = session.run(None, given)
    return np.concatenate([point[0, ..., None], *(part[0] for part in quantiles)], axis=-1)


def combined(values: np.ndarray, how: str, weights: np.ndarray) -> np.ndarray:
    """Return what members say (M, ...) as one, by their weights (M,)."""
    if how == "mean":
        return np.tensordot(weights, values, 1)
    order = values.argsort(axis=0)
    ordered, below = np.take_along_axis(values, order, 0), weights[order].cumsum(axis=0)
    low, high = ((below >= 0.5 - 1e-9).argmax(0)[None], (below > 0.5 + 1e-9).argmax(0)[None])
    return sum(np.take_along_axis(ordered, at, 0)[0] for at in (low, high)) / 2


def inputs(manifest: dict, name: str, rows: list[dict[str, str]]) -> dict[str, np.ndarray]:
    """Return every input that a graph may have, for one series whose rows lie in order of time."""
    if manifest["calendar"]["holidays"]:
        raise SystemExit(
            f"holidays {manifest['calendar']['holidays']} are not written out here: give calendar yourself."
        )
    length, horizon, columns = manifest["context_length"], manifest["horizon"], manifest["columns"]
    grid = Grid(manifest["freq"], [row[columns["time"]] for row in rows])
    measured = [number for number, row in enumerate(rows) if any(row[target] for target in columns["targets"])]
    origin = int(grid.positions[measured[-1]])
    place = {int(position): row for position, row in zip(grid.positions, rows, strict=True)}
    context = [place.get(at, {}) for at in range(origin - length + 1, origin + 1)]
    whole = context + [place.get(at, {}) for at in range(origin + 1, origin + horizon + 1)]
    stamps = grid.stamps(origin, measured[-1], np.arange(1 - length, horizon + 1))
    given = {
        "target": table(context, columns["targets"]),
        "calendar": waves(manifest["calendar"]["features"], stamps),
        "series": np.array(manifest["series"].index(name) + 1 if name in manifest["series"] else 0),
        "position": np.array(origin),
    }
    for role, steps in (("past", context), ("known", whole), ("static", rows[measured[-1] :][:1])):
        numbers = [one["name"] for one in manifest["covariates"][role] if one["kind"] == "number"]
        texts = [one for one in manifest["covariates"][role] if one["kind"] == "category"]
        parts = table(steps, numbers), np.column_stack([codes(steps, one) for one in texts] or [np.zeros((0, 0))])
        given[role], given[f"{role}_codes"] = (part[0] if role == "static" and len(part) else part for part in parts)
    return given


class Grid:
    """Which step of time each row is, and when the steps after the last one are."""

    def __init__(self, freq: dict, times: list[str]) -> None:
        self.freq = freq
        if freq["rows"] or freq["kind"] == "sessions":
            raise SystemExit(f"freq {freq['name']} is not written out here: give position and calendar yourself.")
        self.is_integer = freq["kind"] == "integer"
        self.times = np.array(times, dtype=np.int64 if self.is_integer else "datetime64[us]")
        self.positions = self._positions()

    def _positions(self) -> np.ndarray:
        if self.is_integer:
            return self.times
        if self.freq["kind"] == "months":
            return self.times.astype("datetime64[M]").astype(np.int64) // self.freq["size"]
        if self.freq["kind"] == "business":
            return np.busday_count(np.datetime64(0, "D"), self.times.astype("datetime64[D]"))
        return self.times.astype(np.int64) // self.freq["size"]

    def stamps(self, origin: int, last: int, steps: np.ndarray) -> np.ndarray:
        """Return the stamps of steps before and after the origin, of which row `last` tells the time."""
        if self.is_integer:
            return steps
        if self.freq["kind"] == "months":  # the calendar of months and longer knows the month alone
            return ((origin + steps) * self.freq["size"]).astype("datetime64[M]").astype("datetime64[us]")
        if self.freq["kind"] == "business":
            return np.busday_offset(self.times[last].astype("datetime64[D]"), steps).astype("datetime64[us]")
        return self.times[last] + (steps * self.freq["size"]).astype("timedelta64[us]")


def waves(features: list[str], stamps: np.ndarray) -> np.ndarray:
    """Return where stamps lie in the cycles of the calendar, a sine and a cosine each: (T, 2 N)."""
    shares = [share(feature, stamps) for feature in features]
    parts = [wave(2 * np.pi * part) for part in shares for wave in (np.sin, np.cos)]
    return np.column_stack(parts or [np.zeros((len(stamps), 0))]).astype(np.float32)


def share(feature: str, stamps: np.ndarray) -> np.ndarray:
    """Return which share of a cycle has passed at each stamp."""
    days, months, years = (stamps.astype(f"datetime64[{unit}]") for unit in "DMY")
    if feature in LENGTHS:
        return (stamps - days).astype(np.int64) % LENGTHS[feature] / LENGTHS[feature]
    if feature == "day_of_week":
        return (days.astype(np.int64) + 3) % 7 / 7  # 1970 began on a Thursday
    if feature == "month_of_year":
        return (months - years).astype(np.int64) / 12
    if feature == "quarter_of_year":
        return (months - years).astype(np.int64) // 3 / 4
    periods = {"day_of_month": months, "day_of_year": years}
    if feature not in periods:
        raise SystemExit(f"calendar feature {feature} is not written out here: add it to `share`.")
    begin, end = (part.astype("datetime64[D]") for part in (periods[feature], periods[feature] + 1))
    return (days - begin) / (end - begin)


def table(steps: list[dict[str, str]], names: list[str]) -> np.ndarray:
    """Return the numbers of columns, NaN where a cell or a row is missing: (T, N)."""
    return np.array([[float(step.get(name) or "nan") for name in names] for step in steps]).reshape(len(steps), -1)


def codes(steps: list[dict[str, str]], covariate: dict) -> np.ndarray:
    """Return the code of each category, from 1; 0 where training has not met it: (T,)."""
    known = {category: code for code, category in enumerate(covariate["categories"], start=1)}
    return np.array([known.get(step.get(covariate["name"], ""), 0) for step in steps], np.int64)


def read(path: Path, columns: dict) -> dict[str, list[dict[str, str]]]:
    """Return the rows of each series in order of time: ISO dates, or whole numbers from 0."""
    series: dict[str, list[dict[str, str]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            series.setdefault(row[columns["id"]], []).append(row)
    time = columns["time"]
    return {name: sorted(rows, key=lambda row: (len(row[time]), row[time])) for name, rows in sorted(series.items())}


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, as behind `| head`; Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
