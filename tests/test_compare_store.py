"""The store of a comparison: nothing is computed twice, nothing damaged is believed, nothing depends on who ran it."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from comparing import SMALL, TINY, LastValue, Spoiled
from frames import made_frame

from forecast import compare
from forecast.comparison import running
from forecast.comparison.cells import Cell, Result, run
from forecast.comparison.comparison import Comparison
from forecast.comparison.settings import Protocol
from forecast.errors import ArtifactError, DataError

MODELS = ["ridge", SMALL, LastValue()]
OPTIONS: dict[str, Any] = {"horizons": 4, "protocol": Protocol(folds=2), "shared": TINY}


def _compared(store: Path | None, models: Any = MODELS, **options: Any) -> Comparison:
    return compare(made_frame(), models, store=store, **{**OPTIONS, **options})


@pytest.fixture(scope="module")
def whole() -> Comparison:
    """What is found without interruption and without a store."""
    return _compared(None)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the entries that are run."""
    names: list[str] = []

    def watched(cell: Cell) -> Result:
        names.append(cell.entry.name)
        return run(cell)

    monkeypatch.setattr(running, "run", watched)
    return names


def _same(found: Comparison, expected: Comparison, *, costs: bool = False) -> None:
    for name, table in expected.frames().items():
        dropped = [] if costs else [column for column in table if column.endswith(("_seconds", "_mb"))]
        ours = found.frames()[name].drop(columns=dropped)
        pd.testing.assert_frame_equal(ours, table.drop(columns=dropped), check_exact=True, obj=name)


def test_an_interrupted_comparison_goes_on_and_ends_as_one_that_was_not(
    whole: Comparison, ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = running.run

    def stop(cell: Cell) -> Result:
        if cell.entry.name == "small":
            raise KeyboardInterrupt
        return watched(cell)

    monkeypatch.setattr(running, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        _compared(tmp_path / "store")
    assert ran == ["ridge"]
    monkeypatch.setattr(running, "run", watched)
    found = _compared(tmp_path / "store")
    assert ran == ["ridge", "small", "lastvalue", "naive", "seasonal_naive"]
    _same(found, whole)
    again = _compared(tmp_path / "store")
    assert len(ran) == 5
    _same(again, found, costs=True)


def test_only_what_is_new_is_run(ran: list[str], tmp_path: Path) -> None:
    _compared(tmp_path, ["drift"])
    assert ran == ["drift", "naive", "seasonal_naive"]
    _compared(tmp_path, ["drift", "naive2"])
    assert ran[3:] == ["naive2"]
    _compared(tmp_path, ["drift", "naive2"], horizons=[4, 5])
    assert ran[4:] == ["drift", "naive2", "naive", "seasonal_naive"]
    frame = made_frame()
    frame.loc[3, "y"] += 1
    compare(frame, ["drift"], store=tmp_path, **OPTIONS)
    assert ran[8:] == ["drift", "naive", "seasonal_naive"]
    compare({"another name": frame}, {"drift": "drift"}, store=tmp_path, **OPTIONS)
    assert len(ran) == 11


@pytest.mark.parametrize("harm", ["change", "remove"])
def test_a_damaged_cell_is_computed_again_with_a_word(
    harm: str, ran: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = _compared(tmp_path, ["drift"])
    broken = first.cells.loc[first.cells["model"] == "drift", "hash"].iloc[0]
    file = tmp_path / "cells" / broken / "windows.parquet"
    if harm == "change":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
    else:
        file.unlink()
    with caplog.at_level(logging.WARNING, "forecast"):
        found = _compared(tmp_path, ["drift"])
    assert ran[3:] == ["drift"] and "a cell of the store is damaged and computed again" in caplog.text
    _same(found, first)


def test_a_failed_cell_is_kept_as_such_and_run_again_on_request(ran: list[str], tmp_path: Path) -> None:
    spoiled = {"spoiled": Spoiled(_without_rows)}
    for retry in (False, False, True):
        found = _compared(tmp_path, spoiled, retry_failed=retry)
        assert found.cells.set_index("model")["status"]["spoiled"] == "failed"
    assert ran == ["spoiled", "naive", "seasonal_naive", "spoiled"]


def test_where_every_model_fails_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run", lambda cell: Result({}, "no luck"))
    with pytest.raises(DataError, match="every model failed; drift: no luck"):
        _compared(None, ["drift"])


def test_an_index_that_is_none_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(ArtifactError, match="Give another folder"):
        _compared(tmp_path, ["drift"])


def test_the_index_tells_what_each_cell_was(tmp_path: Path) -> None:
    found = _compared(tmp_path, ["drift"])
    with sqlite3.connect(tmp_path / "store.sqlite") as index:
        rows = dict(index.execute("SELECT hash, model FROM cells"))
        assert index.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert rows == dict(zip(found.cells["hash"], found.cells["model"], strict=True))


@pytest.mark.slow
def test_processes_find_what_one_alone_finds(whole: Comparison, tmp_path: Path) -> None:
    _same(_compared(tmp_path, processes=2), whole)


def _without_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table.head(0)
