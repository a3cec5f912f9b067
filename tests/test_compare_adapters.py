"""Adapters: those that take newer history are told of nothing that comes after an origin; and what they cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from comparing import LastValue, Updated
from frames import made_frame

from forecast import Columns, compare
from forecast.comparison.adapters import AdapterEntry
from forecast.comparison.comparison import Comparison
from forecast.comparison.protocols import Contested, task_of
from forecast.comparison.settings import Protocol
from forecast.report.comparison.columns import COSTS
from forecast.report.comparison.sheets import models_sheet
from forecast.report.numbers import ABSENT

PLAN = Protocol(folds=3, step=2)
CALLS: list[tuple[str, pd.DataFrame | None]] = []
CLOCK = [0.0]


class Watched(LastValue):
    """Tells what it is asked. A fit takes 100 seconds, a forecast one."""

    def fit(self, frame: pd.DataFrame) -> LastValue:
        CALLS.append(("fit", frame))
        CLOCK[0] += 100
        return super().fit(frame)

    def predict(self, horizon: int) -> pd.DataFrame:
        CALLS.append(("predict", None))
        CLOCK[0] += 1
        return super().predict(horizon)


class WatchedUpdate(Watched):
    """The same, which takes newer history in ten seconds."""

    def update(self, frame: pd.DataFrame) -> None:
        CALLS.append(("update", frame))
        CLOCK[0] += 10
        LastValue.fit(self, frame)


class Counted(LastValue):
    """Learns how many parameters it has."""

    def __init__(self, told: Any) -> None:
        super().__init__()
        self.told = told

    def fit(self, frame: pd.DataFrame) -> LastValue:
        self.parameters = self.told
        return super().fit(frame)


class Module(LastValue):
    """Has a method of that name, as networks of torch do."""

    def parameters(self) -> list[float]:
        return [1.0]


def _compared(model: Any, *, frame: pd.DataFrame | None = None, protocol: Protocol = PLAN) -> Comparison:
    CALLS.clear()
    return compare(made_frame() if frame is None else frame, {"mine": model}, horizons=4, protocol=protocol)


@pytest.mark.parametrize(
    ("model", "protocol", "expected"),
    [
        (WatchedUpdate(), PLAN, ["fit 52", "predict", "update 54", "predict", "update 56", "predict"]),
        (Watched(), PLAN, ["fit 52", "predict", "fit 54", "predict", "fit 56", "predict"]),
        (WatchedUpdate(), Protocol(folds=2, refit=True), ["fit 52", "predict", "fit 56", "predict"]),
        (
            WatchedUpdate(),
            Protocol(train=30, validation=10, test=5),
            ["fit 30", "update 40", "predict", "update 41", "predict"],
        ),
    ],
)
def test_it_is_fitted_where_networks_are_and_handed_the_table_up_to_each_origin(
    model: Any, protocol: Protocol, expected: list[str]
) -> None:
    _compared(model, protocol=protocol)
    source, told = made_frame(), []
    for call, frame in CALLS:
        steps = 0 if frame is None else len(frame) // 2
        told.append(call if frame is None else f"{call} {steps}")
        if frame is not None:
            known = source[source.groupby(Columns().id).cumcount() < steps].reset_index(drop=True)
            pd.testing.assert_frame_equal(frame, known, check_dtype=False)
    assert told == expected


def test_it_forecasts_from_each_origin_with_what_it_learned_before_the_first() -> None:
    found = _compared(Updated()).forecasts.query("model == 'mine' and series == 's1'")
    y = made_frame().query("unique_id == 's1'")["y"].to_numpy()
    for fold, end in enumerate((52, 54, 56), start=1):
        expected = (y[end - 1] + y[:52].mean()) / 2
        np.testing.assert_allclose(found.loc[found["fold"] == fold, "forecast"], expected, rtol=1e-6)


def test_what_comes_after_an_origin_changes_no_forecast_from_it() -> None:
    frame = made_frame()
    poisoned = frame.assign(y=frame["y"].where(frame.groupby(Columns().id).cumcount() < 54, 1e9))
    clean, other = (_compared(Updated(), frame=one).forecasts.query("model == 'mine'") for one in (frame, poisoned))
    until = clean["fold"] <= 2
    pd.testing.assert_frame_equal(clean[until].drop(columns="y"), other[until].drop(columns="y"), check_exact=True)
    assert (clean["forecast"] != other["forecast"])[~until].all()


@pytest.mark.parametrize(("model", "fit", "predict"), [(WatchedUpdate(), 100, 2 * 10 + 3), (Watched(), 300, 3)])
def test_newer_history_is_paid_as_forecasting(
    model: Any, fit: float, predict: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: CLOCK[0])
    row = _compared(model).cells.set_index("model").loc["mine"]
    assert (row["fit_seconds"], row["predict_seconds"]) == (fit, predict)


def test_a_model_that_has_update_is_not_the_one_that_was_fitted_at_each_fold() -> None:
    task = task_of(Contested("made", made_frame()), horizon=4, protocol=PLAN)
    entry = AdapterEntry("mine", Updated())
    new = entry.settings(task, seed=0)
    entry.is_updating = False
    assert new == {"updating": entry.settings(task, seed=0)}


def test_parameters_are_those_that_a_model_tells_or_unknown(tmp_path: Path) -> None:
    models = {"many": Counted(1234), "few": Counted(np.int64(7)), "none": Counted(0)}
    models |= {"missing": Counted(None), "silent": LastValue(), "method": Module()}
    expected = {"many": "1,234", "few": "7", **dict.fromkeys(("none", "naive", "seasonal_naive"), "0")}
    expected |= dict.fromkeys(("missing", "silent", "method"), ABSENT)
    for _ in ("ran", "read from the store"):
        found = compare(made_frame(), models, horizons=4, protocol=PLAN, store=tmp_path)
        sheet = models_sheet(found.leaderboard, COSTS)
        place = [head.text for head in sheet.heads].index("parameters")
        assert {row[0].text: row[place].text for row in sheet.rows} == expected
        told = found.cells.set_index("model")["parameters"]
        assert told["many"] == 1234 and told.isna().sum() == 3


def test_a_number_of_parameters_that_is_none_fails_the_cell() -> None:
    models = {f"told {told!r}": Counted(told) for told in (-1, 2.5, True, "12", float("nan"))}
    found = compare(made_frame(), models, horizons=4, protocol=PLAN)
    reasons = found.cells.set_index("model")["reason"]
    for name, model in models.items():
        told = f"parameters is a whole number of 0 or more, got {model.told!r}. Give their number, or None."
        assert reasons[name] == told


class _FailsOnce(LastValue):
    """Of several seeds the second fails."""

    random_state = 0

    def fit(self, frame: pd.DataFrame) -> LastValue:
        if self.random_state == 1:
            raise ValueError("it did not converge")
        return super().fit(frame)


def test_a_model_that_fails_with_one_seed_has_no_scores() -> None:
    """The mean of the seeds that came through would flatter it."""
    found = compare(made_frame(), {"mine": _FailsOnce()}, horizons=4, protocol=PLAN, seeds=3)
    own = found.cells[found.cells["model"] == "mine"]
    assert own["status"].tolist() == ["done", "failed", "done"]
    assert set(found.leaderboard["model"]) == {"naive", "seasonal_naive"}
