"""What is entered in a comparison, and what is refused at the door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparing import LastValue
from frames import made_frame

from forecast import compare
from forecast.comparison.adapters import AdapterEntry
from forecast.comparison.cells import Cell, run
from forecast.comparison.entries import Shared, entries_of
from forecast.comparison.entry import Entry, Fitted
from forecast.comparison.protocols import Contested, Part, Task, task_of
from forecast.comparison.settings import Protocol
from forecast.errors import ConfigError


class Seeded(LastValue):
    """With a seed of some kind."""

    def __init__(self, **seeds: Any) -> None:
        super().__init__()
        vars(self).update(seeds)


class Methodical(LastValue):
    """With a method of that name."""

    random_state = None

    def seed(self) -> None:
        """Do nothing."""


class Torn(Entry):
    """An entry whose settings cannot be told."""

    def settings(self, task: Task, *, seed: int) -> dict[str, Any]:
        raise RecursionError("too deep")

    def fit(self, task: Task, part: Part, *, seed: int) -> Fitted:
        raise AssertionError


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([{"small": {"model": {"gru": {"layers": 2}}}}], "models: small: model is a name"),
        ([{"gru": {"training": 5}}], "models: gru: training is settings by name"),
        ({"naive": "linear"}, "'naive' is the name of a simple method"),
        ({"ridge": LastValue()}, "'ridge' is the name of a simple method"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(models: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        entries_of(models, shared=Shared())


@pytest.mark.parametrize("store", ["", " "])
def test_a_store_without_a_name_is_refused(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="store is a folder"):
        compare(made_frame(), "naive", horizons=4, store=store)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Seeded(seed=3), "seed"),
        (Seeded(random_state=np.int64(3)), "random_state"),
        (Seeded(random_state=np.random.RandomState(0)), None),
        (Seeded(seed=True), None),
        (Methodical(), "random_state"),
        (LastValue(), None),
    ],
)
def test_only_a_whole_number_or_none_takes_a_seed(model: Any, name: str | None) -> None:
    entry = AdapterEntry("mine", model)
    assert entry.is_seeded == (name is not None)
    made = entry._made(4)
    assert name is None or getattr(made, name) == (getattr(model, name) or 0) + 4


def test_settings_that_cannot_be_told_fail_the_cell_alone() -> None:
    task = task_of(Contested("made", made_frame()), horizon=4, protocol=Protocol(folds=1))
    cell = Cell(task, Torn("torn"), 0, task.parts[0])
    assert len(cell.hash) == 64 and cell.reason_not_kept
    assert run(cell).reason == "RecursionError: too deep"
