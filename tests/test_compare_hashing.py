"""What tells cells apart: other values, other code and other parents make another cell, and nothing else does."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from comparing import LastValue
from frames import made_frame
from sklearn.linear_model import LinearRegression

from forecast import Columns, Ensemble, Forecaster
from forecast.comparison.describing import described, reason_untold
from forecast.comparison.entries import NetworkEntry
from forecast.comparison.hashing import digest, panel_digest
from forecast.comparison.protocols import Contested, task_of
from forecast.comparison.settings import Protocol


def _closure(by: Any) -> Any:
    return lambda table: by


def _loop(by: int) -> Any:
    found: Any = SimpleNamespace(by=by)
    found.own = found
    return found


def _fitted(slope: float) -> LinearRegression:
    return LinearRegression().fit([[0.0], [1.0]], [0.0, slope])


def _network(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Linear(2, 2)


class Scaled:
    def __init__(self, by: int) -> None:
        self.by = by

    def times(self, value: float) -> float:
        return self.by * value


MADE = {
    "columns": lambda by: SimpleNamespace(columns=by),
    "verbose": lambda by: SimpleNamespace(verbose=by),
    "n_jobs": lambda by: SimpleNamespace(n_jobs=by),
    "processes": lambda by: SimpleNamespace(processes=by),
    "tensor": lambda by: torch.full((2,), float(by)),
    "dtype of tensor": lambda by: torch.zeros(2, dtype=(torch.float32, torch.int32)[by - 1]),
    "bfloat16": lambda by: torch.tensor(float(by), dtype=torch.bfloat16),
    "network": _network,
    "Path": lambda by: Path(f"weights-{by}"),
    "set": lambda by: {"a", "b", f"c{by}"},
    "bytes": lambda by: bytes([by]),
    "range": range,
    "complex": lambda by: complex(0, by),
    "timedelta": lambda by: timedelta(by),
    "Timedelta": lambda by: pd.Timedelta(by, "D"),
    "Timestamp": lambda by: pd.Timestamp(2024, 1, by, tz="UTC"),
    "datetime64": lambda by: np.datetime64(f"2024-01-0{by}", "ns"),
    "RandomState": np.random.RandomState,
    "Generator": np.random.default_rng,
    "fitted estimator": _fitted,
    "closure": _closure,
    "lambda": lambda by: (lambda: 1, lambda: 2)[by - 1],
    "default": lambda by: partial(_closure, by),
    "bound method": lambda by: Scaled(by).times,
    "column names": lambda by: pd.DataFrame({f"x{by}": [1.0]}),
    "dtypes": lambda by: pd.DataFrame({"x": np.ones(1, ("f4", "f8")[by - 1])}),
    "index": lambda by: pd.Series([1.0], index=[by]),
    "categories": lambda by: pd.Series(pd.Categorical(["a"], ["a", "b", "c"][: by + 1])),
    "keys": lambda by: {by: 1, "a": 2},
    "key or text": lambda by: {(1, "1")[by - 1]: 0},
    "defaultdict": lambda by: defaultdict((int, list)[by - 1]),
    "OrderedDict": lambda by: OrderedDict(a=by),
    "objects": lambda by: np.array([Scaled(by)], object),
    "masked": lambda by: np.ma.array([1, 2], mask=[by == 1, False]),
    "loop": _loop,
    "slots": lambda by: PurePosixPath(str(by)),
}


@pytest.mark.parametrize("kind", MADE)
def test_other_values_have_other_words_and_the_same_value_the_same(kind: str) -> None:
    made = MADE[kind]
    first, same, other = (described(SimpleNamespace(held=made(by))) for by in (1, 1, 2))
    assert not reason_untold(first)
    assert digest(first) == digest(same) != digest(other)


def test_a_set_has_the_same_words_in_another_process() -> None:
    script = (
        "from forecast.comparison.describing import described; from forecast.comparison.hashing import digest;"
        "print(digest(described({'a', 'b', 'c', 'd'})))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest(described({"d", "c", "b", "a"}))


def test_what_cannot_be_pickled_is_told_from_all_others() -> None:
    lock = threading.Lock()
    first, again = (described(SimpleNamespace(lock=lock)) for _ in "ab")
    assert "lock" in reason_untold(first) and digest(first) != digest(again)


def _module(folder: Path, name: str, text: str) -> Any:
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_other_code_of_a_parent_makes_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    words = []
    for value in (1, 1, 25):
        _module(tmp_path, "parental", f"class Parent:\n    def predict(self, horizon):\n        return {value}\n")
        child = _module(tmp_path, "filial", "from parental import Parent\n\n\nclass Child(Parent):\n    pass\n")
        words.append(digest(described(child.Child())))
    assert words[0] == words[1] != words[2]


def test_other_code_of_a_network_that_is_named_makes_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    words = []
    for value in (1, 1, 25):
        _module(tmp_path, "mynet", f"class Net:\n    def raw(self, inputs):\n        return {value}\n")
        words.append(digest(described(Forecaster({"_target_": "mynet.Net"}, horizon=2))))
    assert words[0] == words[1] != words[2]


def test_what_moves_no_forecast_of_our_own_is_left_out() -> None:
    one = Ensemble([Forecaster("gru", horizon=2, progress=True)], processes=1)
    other = Ensemble([Forecaster("gru", horizon=2, progress=False)], processes=2)
    assert described(one) == described(other)


def test_auto_is_the_accelerator_that_it_comes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for has_gpu in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has_gpu=has_gpu: has_gpu)
        told.append(described(Forecaster("gru", horizon=2))["accelerator"]["accelerator"])
    assert told == ["cpu", "cuda"]


def test_a_unit_makes_no_other_table() -> None:
    panels = [Contested("made", made_frame(), Columns(unit=unit)).panel for unit in ("", "kWh")]
    assert panel_digest(panels[0]) == panel_digest(panels[1])


def test_members_of_an_ensemble_have_no_seed_twice() -> None:
    ensemble = Ensemble([Forecaster("gru", horizon=2, seed=seed) for seed in (3, 4, 5)])
    task = task_of(Contested("made", made_frame()), horizon=2, protocol=Protocol(folds=1))
    entry = NetworkEntry("three", ensemble)
    seeds = [member["seed"] for seed in range(3) for member in entry.settings(task, seed=seed)["members"]]
    assert seeds == list(range(3, 12))


def test_an_adapter_that_holds_another_number_is_another_model() -> None:
    assert described(LastValue(width=1.0)) != described(LastValue(width=2.0))


@dataclass
class _Holding:
    """An adapter around one of our forecasters, whose columns it chooses."""

    forecaster: Forecaster


def test_columns_count_of_a_forecaster_that_an_adapter_holds() -> None:
    words = [
        digest(described(_Holding(Forecaster("gru", horizon=2, columns=columns))))
        for columns in (Columns(), Columns(known=("price",)))
    ]
    assert words[0] != words[1]


@pytest.mark.parametrize("value", [(1, 14), [1, 14], {"lags": 14}, np.array([1, 14]), frozenset({14})])
def test_values_of_a_class_count(value: Any) -> None:
    kinds = [type("Model", (), {"__module__": "__main__", "lags": lags}) for lags in (None, value, value)]
    first, second, again = (digest(described(kind())) for kind in kinds)
    assert first != second == again
