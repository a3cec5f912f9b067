"""The store of a comparison: nothing is computed twice, nothing damaged is believed, nothing depends on who ran it."""

from __future__ import annotations

import logging
import sqlite3
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import pandas as pd
import pytest
from comparing import SMALL, TINY, LastValue, Spoiled
from frames import made_frame

from forecast import compare
from forecast.comparison import running
from forecast.comparison.cells import TABLES, Cell, Result, run
from forecast.comparison.comparison import Comparison
from forecast.comparison.settings import Protocol
from forecast.comparison.store import Store
from forecast.errors import ArtifactError, DataError, ExtraError, WriteError

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
    assert ran[3:] == ["drift"] and caplog.text.count("a cell of the store is damaged and computed again") == 1
    _same(found, first)


def test_a_failed_cell_is_kept_as_such_and_run_again_on_request(ran: list[str], tmp_path: Path) -> None:
    spoiled = {"spoiled": Spoiled(_without_rows)}
    for retry in (False, False, True):
        found = _compared(tmp_path, spoiled, retry_failed=retry)
        assert found.cells.set_index("model")["status"]["spoiled"] == "failed"
    assert ran == ["spoiled", "naive", "seasonal_naive", "spoiled"]


def test_a_failure_is_said_to_be_kept_only_where_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for store, told in ((None, ""), (tmp_path, " (kept, retry_failed=true runs it again)")):
        caplog.clear()
        found = _compared(store, {"spoiled": Spoiled(_without_rows)})
        [warning] = [line for line in caplog.messages if line.startswith("failed: ")]
        assert warning.endswith(f"{found.cells.set_index('model')['reason']['spoiled']}{told}")


def test_where_every_model_fails_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run", lambda cell: Result({}, "no luck"))
    with pytest.raises(DataError, match=r"every model failed; drift: no luck$"):
        _compared(None, ["drift"])


def test_an_index_that_is_none_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(ArtifactError, match="Give another folder"):
        _compared(tmp_path, ["drift"])


@pytest.mark.parametrize("store", ["a file", "a file/below", "cells that are a file", "/proc/store"])
def test_a_store_that_cannot_be_written_is_refused_before_anything_is_run(
    store: str, ran: list[str], tmp_path: Path
) -> None:
    (tmp_path / "a file").write_text("a table", encoding="utf-8")
    (tmp_path / "cells that are a file").mkdir()
    (tmp_path / "cells that are a file" / "cells").write_text("", encoding="utf-8")
    told = r"the store '.*' cannot be written: .*\. Give another folder \(store=FOLDER\)"
    with pytest.raises(WriteError, match=told):
        _compared(tmp_path / store, ["drift"])
    assert ran == [] and (tmp_path / "a file").read_text(encoding="utf-8") == "a table"


def test_a_store_that_has_every_cell_need_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _compared(tmp_path, ["drift"])
    monkeypatch.setattr(Store, "make_ready", lambda self: pytest.fail("nothing is missing"))
    _compared(tmp_path, ["drift"])


def test_the_index_tells_what_each_cell_was(tmp_path: Path) -> None:
    found = _compared(tmp_path, ["drift"])
    with sqlite3.connect(tmp_path / "store.sqlite") as index:
        rows = dict(index.execute("SELECT hash, model FROM cells"))
        assert index.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert rows == dict(zip(found.cells["hash"], found.cells["model"], strict=True))


class Locked(LastValue):
    """An adapter with something that cannot be pickled, though it can be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = _Lock()


class _Lock:
    def __deepcopy__(self, memo: dict[int, Any]) -> _Lock:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("cannot pickle a lock")


def test_a_model_that_cannot_be_told_from_others_is_scored_and_not_kept(
    ran: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in "ab":
        with caplog.at_level(logging.WARNING, "forecast"):
            found = _compared(tmp_path, {"locked": Locked()})
        assert "locked" in set(found.leaderboard["model"])
    assert ran == ["locked", "naive", "seasonal_naive", "locked"]
    assert "locked cannot be told from other models" in caplog.text
    with sqlite3.connect(tmp_path / "store.sqlite") as index:
        assert index.execute("SELECT count(*) FROM cells").fetchone() == (2,)


@pytest.mark.parametrize("error", [MemoryError("all of it"), OSError("no room"), ExtraError("needs a package")])
def test_what_lies_in_the_machine_is_tried_again(error: Exception, ran: list[str], tmp_path: Path) -> None:
    for _ in "ab":
        found = _compared(tmp_path, {"spoiled": Spoiled(partial(_raised, error))})
        assert found.cells.set_index("model")["status"]["spoiled"] == "failed"
    assert ran == ["spoiled", "naive", "seasonal_naive", "spoiled"]


def test_a_cell_is_read_in_the_instant_between_two_moves(tmp_path: Path) -> None:
    found = _compared(tmp_path, ["drift"])
    key = found.cells["hash"].iloc[0]
    place = tmp_path / "cells" / key
    place.rename(place.with_name(f".{key}.0123abcd.old"))
    store = Store(tmp_path)
    assert store.record(key) is not None and set(store.tables(key)) == set(TABLES)


def test_a_whole_cell_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[Cell, Result]] = []
    keep = Store.keep
    monkeypatch.setattr(Store, "keep", lambda self, *given: (kept.append(given), keep(self, *given))[1])
    _compared(tmp_path, ["drift"])
    folder = tmp_path / "cells" / kept[0][0].hash
    was = folder.stat().st_ino
    record = Store(tmp_path).keep(*kept[0])
    assert record.status == "done" and folder.stat().st_ino == was


def test_an_index_that_is_busy_is_waited_for(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.sqlite", check_same_thread=False) as other:
        other.execute("CREATE TABLE held (x)")
        other.execute("BEGIN EXCLUSIVE")
        release = Timer(0.3, other.commit)
        release.start()
        assert Store(tmp_path).record("none") is None
        release.join()
    other.close()


@pytest.mark.slow
def test_processes_find_what_one_alone_finds(whole: Comparison, tmp_path: Path) -> None:
    _same(_compared(tmp_path, processes=2), whole)


def _raised(error: Exception, table: pd.DataFrame) -> pd.DataFrame:
    raise error


def _without_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table.head(0)


def test_a_model_that_cannot_be_pickled_is_no_end_of_the_others(tmp_path: Path) -> None:
    class Local(LastValue):
        """Of a function: no process can import it."""

    found = _compared(tmp_path, ["ridge", ("local", Local())], processes=2)
    told = found.cells.set_index("model")
    assert told["status"].to_dict() == {"ridge": "done", "local": "failed", "naive": "done", "seasonal_naive": "done"}
    assert "pickle" in told["reason"]["local"] and "processes=1" in told["reason"]["local"]


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), False),
        (RuntimeError("wrong shape"), True),
        (SystemExit(3), True),
        (DataError(""), True),
    ],
)
def test_what_a_model_raises_is_a_failure_of_its_cells_alone(
    tmp_path: Path, error: BaseException, is_kept: bool
) -> None:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        raise error

    found = _compared(tmp_path, ["ridge", ("spoiled", Spoiled(spoil))])
    cell = found.cells.set_index("model").loc["spoiled"]
    assert (cell["status"], found.cells.set_index("model")["status"]["ridge"]) == ("failed", "done")
    assert type(error).__name__ in cell["reason"]
    assert (Store(tmp_path).record(cell["hash"]) is not None) == is_kept
