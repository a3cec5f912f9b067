"""Protocols on public series: figures that others have published come out."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast import compare
from forecast.comparison import measured
from forecast.comparison.measured import notices_peaks, peak_memory
from forecast.comparison.protocols import Contested
from forecast.comparison.settings import Protocol

FOLDER = Path(os.environ.get("FORECAST_DATASETS", "nowhere"))
public = pytest.mark.skipif(not FOLDER.is_dir(), reason="FORECAST_DATASETS names no folder")


@public
@pytest.mark.slow
def test_m4_hourly_has_the_figures_of_the_competition() -> None:
    frame = pd.concat([pd.read_parquet(FOLDER / f"m4_hourly_{part}.parquet") for part in ("train", "test")])
    hourly = Contested("m4_hourly", frame, seasonality=24, horizon=48)
    board = compare(hourly, "naive2", protocol="m4").leaderboard.set_index("model")
    published = {"naive2": (18.383, 2.395, 1.0), "seasonal_naive": (13.912, 1.193, 0.627)}
    for model, scores in published.items():
        assert tuple(board.loc[model, ["smape", "mase", "owa"]]) == pytest.approx(scores, abs=0.001)


@public
@pytest.mark.slow
def test_exchange_rates_have_the_published_errors_of_the_last_value() -> None:
    frame = pd.read_parquet(FOLDER / "exchange_rate.parquet")
    spans = Protocol(train=5311, validation=760, test=1517, standardised=True)
    scores = compare(frame, "naive", horizons=96, protocol=spans).scores.set_index("model")
    assert tuple(scores.loc["naive", ["mse", "mae"]]) == pytest.approx((0.081, 0.196), abs=0.001)


def _hold(size: int) -> None:
    """Take memory from the system, and give it back: what is freed within the process may be used again instead."""
    with mmap.mmap(-1, size) as held:
        held.write(b"x" * size)


@pytest.mark.skipif(not notices_peaks(), reason="the system does not tell")
def test_the_memory_of_a_cell_is_what_it_held_at_most() -> None:
    with peak_memory() as peak:
        _hold(40_000_000)
        assert 38 < peak() < 100


def test_memory_is_unknown_where_the_peak_is_of_long_ago(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hold(40_000_000)
    monkeypatch.setattr(measured, "_RESET", tmp_path / "no folder" / "clear_refs")
    notices_peaks.cache_clear()
    with peak_memory() as peak:
        assert np.isnan(peak())
    notices_peaks.cache_clear()


def test_memory_is_unknown_where_the_system_tells_only_what_is_held_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = tmp_path / "status"
    status.write_text("VmHWM:\t 500000 kB\nVmRSS:\t 500000 kB\n", encoding="utf-8")
    monkeypatch.setattr(measured, "_STATUS", status)
    notices_peaks.cache_clear()
    with peak_memory() as peak:
        _hold(40_000_000)
        assert np.isnan(peak())
    notices_peaks.cache_clear()
