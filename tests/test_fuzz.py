"""The doors under random input: a saved forecaster, a CSV file, the words of a command."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from command import forecast
from forging import FILES, sign
from frames import made_frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from forecast import Columns, Forecaster, Panel, Training, jobs
from forecast.calibrated import load
from forecast.data.sources import read_table
from forecast.errors import ForecastError

SECONDS = 20.0  # that one example may take
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-3, 3), st.sampled_from([10**6 + 1, 10**12, 2**63, -(2**63)]),
    st.floats(), st.text(max_size=8), 
    st.sampled_from(["s0", "y", "D", "1", "rows:D", "h", "os.system", "${a:b}", "gru"]),
    st.lists(st.integers(-2, 9), max_size=3), st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
KEYS = """
    data model loss scaling optimizer accelerator logger experiment horizon seed final context_length progress training
    training.steps training.learning_rate training.freeze test test.windows data.path data.columns data.columns.target
    data.columns.past data.minimum data.unit data.calendar data.made data.freq model._target_ model.hidden_size
    loss.levels ensemble ensemble.members ensemble.seeds warm_start hydra hydra.job.name nothing data.nothing a/b
"""
DTYPES = (np.int64, np.int32, np.float64, np.float32, np.uint8, np.bool_)


def _depths(quick: int, slow: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test with few examples, and with many where slow tests are run."""

    def parametrized(test: Callable[..., None]) -> Callable[..., None]:
        depths = [quick, pytest.param(slow, marks=pytest.mark.slow)]
        return pytest.mark.parametrize("examples", depths)(test)

    return parametrized


def _search(examples: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Let a check meet so many examples, the same in every run."""
    options = settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    options(given(strategy)(check))()


@_depths(quick=25, slow=1200)
def test_a_saved_forecaster_that_was_changed_forecasts_or_is_refused(examples: int) -> None:
    _search(examples, st.tuples(_changes(), st.booleans()), lambda drawn: _loads_or_refuses(*drawn))


def _loads_or_refuses(change: Callable[[Path], None], signed: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(_kept(), Path(place) / "model"))
        change(folder)
        if signed:
            sign(folder)
        began = time.monotonic()
        try:
            values = load(folder).predict()[["forecast", "q0.1", "q0.9"]].to_numpy()
        except ForecastError:
            pass
        else:
            assert np.isfinite(values).all()
        assert time.monotonic() - began < SECONDS


@cache
def _kept() -> Path:
    network = {"_target_": "forecast.networks.recurrent.Recurrent", "hidden_size": 2}
    forecaster = Forecaster(
        network, horizon=2, context_length=4, training=Training(steps=2), accelerator="cpu", progress=False,
        columns=Columns(past=("temp", "mood"), static=("region",)), scaling="series",
    )  # fmt: skip
    folder = Path(tempfile.mkdtemp()) / "model"
    return forecaster.fit(made_frame(rows=20, covariates=True)).save(folder)


def _changes() -> st.SearchStrategy[Callable[[Path], None]]:
    """Draw what is done to the folder of a saved forecaster: to bytes, to values, to arrays."""
    names, where = st.sampled_from(FILES), st.integers(0, 10**6)
    texts = st.sampled_from([name for name in FILES if not name.endswith("tensors")])
    tensors = st.sampled_from([name for name in FILES if name.endswith("tensors")])
    return st.one_of(
        st.builds(lambda *drawn: lambda folder: _spoil(folder, *drawn), names, where, st.binary(max_size=9)),
        st.builds(lambda *drawn: lambda folder: _replace(folder, *drawn), texts, st.data(), ODD),
        st.builds(lambda *drawn: lambda folder: _bend(folder, *drawn), tensors, where, st.integers(0, 9), ODD),
    )


def _spoil(folder: Path, name: str, where: int, new: bytes) -> None:
    """Put other bytes in the place of some."""
    content = bytearray((folder / name).read_bytes())
    where %= len(content)
    content[where : where + len(new)] = new
    (folder / name).write_bytes(content if new else content[:where])


def _replace(folder: Path, name: str, data: st.DataObject, value: Any) -> None:
    """Put an odd value in the place of another, somewhere in a tree."""
    import yaml

    values = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    node, place = {"root": values}, "root"
    root: Any = node
    while isinstance(node[place], (dict, list)) and node[place] and data.draw(st.integers(0, 4)):
        node = node[place]  # type: ignore[assignment]
        place = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))  # type: ignore[assignment]
    if data.draw(st.integers(0, 4)):
        node[place] = value
    else:
        del node[place]
    text = json.dumps(root.get("root"), default=str)
    (folder / name).write_text(text, encoding="utf-8")


def _bend(folder: Path, name: str, where: int, how: int, value: Any) -> None:
    """Change one array in its values, shape or dtype."""
    arrays = {key: np.array(values) for key, values in load_file(folder / name).items()}
    key = sorted(arrays)[where % len(arrays)]
    given = arrays[key]
    number = value if isinstance(value, (int, float)) and abs(value) < 2**62 else 7
    bent = {
        0: lambda: given[:-1],
        1: lambda: given[None],
        2: lambda: given.astype(DTYPES[where % len(DTYPES)]),
        3: lambda: np.concatenate([given, given]),
        4: lambda: given[::-1],
        5: lambda: given.reshape(-1),
    }.get(how)
    if bent is not None:
        arrays[key] = np.ascontiguousarray(bent())
    elif how == 6:
        del arrays[key]
    else:
        with np.errstate(all="ignore"):
            given.reshape(-1)[where % max(given.size, 1) :] = np.float64(number).astype(given.dtype)
    save_file(arrays, folder / name)


@_depths(quick=120, slow=1200)
def test_a_file_named_csv_is_a_panel_or_is_refused(examples: int) -> None:
    _search(examples, _csv_files(), _reads_or_refuses)


def _reads_or_refuses(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "table.csv"
        path.write_bytes(content)
        began = time.monotonic()
        try:
            panel = Panel.from_frame(read_table(path), Columns())
        except ForecastError as error:
            assert str(error)
        else:
            assert len(panel.ids) and len(panel.target) == panel.offsets[-1]
            assert not np.isinf(panel.target).any()
        assert time.monotonic() - began < SECONDS


def _csv_files() -> st.SearchStrategy[bytes]:
    table = made_frame(rows=6).to_csv(index=False).encode()
    cells = st.one_of(
        st.sampled_from([b"", b"NaN", b"1e999", b"-1e308", b"2024-13-01", b"9999-12-31", b'"', b"s0", b"1,5", b"\0"]),
        st.sampled_from([b"2024-01-01 00:00:00+05:00", b"1", b"1.5", b"true", b"inf", b"0001-01-01", b"\xff", b";"]),
        st.binary(max_size=6), st.text(max_size=6).map(lambda text: text.encode("utf-8", "replace")),
    )  # fmt: skip

    def put_cell(row: int, column: int, cell: bytes) -> bytes:
        lines = [line.split(b",") for line in table.splitlines()]
        lines[row][column] = cell
        return b"\n".join(b",".join(line) for line in lines)

    def put_bytes(where: int, cell: bytes, length: int) -> bytes:
        return table[:where] + cell + table[where + length :]

    return st.one_of(
        st.binary(max_size=200),
        st.builds(put_cell, st.integers(0, 12), st.integers(0, 2), cells),
        st.builds(put_bytes, st.integers(0, len(table)), cells, st.integers(0, 40)),
        st.lists(cells, max_size=12).map(lambda parts: b"unique_id,ds,y\n" + b",".join(parts)),
        st.lists(cells, max_size=12).map(lambda parts: b"\n".join([b"ds,y", *parts])),
    )


@_depths(quick=15, slow=600)
def test_any_words_of_a_command_are_settings_or_are_refused(examples: int) -> None:
    _search(examples, st.lists(_words(), min_size=1, max_size=3), _runs_or_refuses)


def _runs_or_refuses(words: list[str]) -> None:
    from forecast.jobs.learner import new_learner
    from forecast.jobs.settings import plain

    told = io.StringIO()
    quiet = patch.dict(jobs.JOBS, {"train": lambda config: new_learner(plain(config)) and None})
    with tempfile.TemporaryDirectory() as place, chdir(place), quiet, redirect_stderr(told), redirect_stdout(told):
        began = time.monotonic()
        code = forecast("train", "horizon=3", *words)
        assert time.monotonic() - began < SECONDS
    text = told.getvalue()
    assert code in (0, 2) and "Traceback" not in text, (code, text)
    assert code == 0 or text.count("forecast: ") == 1, text


def _words() -> st.SearchStrategy[str]:
    keys = st.sampled_from(KEYS.split())
    values = st.recursive(
        st.one_of(
            st.sampled_from(["", "null", "true", "3", "-1", "1e999", "nan", "gru", "a,b", "???", "../evil"]),
            st.sampled_from(["'", '"', "\\", "${", "[", "]", "{", "${horizon}", "${a}", "${oc.env:NONE}", "9" * 5000]),
            st.text(max_size=5), st.integers().map(str), st.floats().map(str),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]"),
            st.lists(st.tuples(st.sampled_from(["a", "y", "_target_", "name"]), inner), max_size=2).map(
                lambda pairs: "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"
            ),
            inner.map(lambda text: f"'{text}'"),
            inner.map(lambda text: "[" * 20 + text + "]" * 20),
        ),
        max_leaves=4,
    )  # fmt: skip
    signs = st.sampled_from(["", "", "", "+", "++", "~"])
    word = st.builds(lambda sign, key, value: f"{sign}{key}={value}", signs, keys, values)
    plain_words = st.one_of(word, st.text(max_size=10), st.builds(lambda key, value: f"{key}@{value}", keys, values))
    return plain_words.filter(lambda text: not text.startswith("-") and "hydra." not in text and "\0" not in text)
