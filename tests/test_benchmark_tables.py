"""The page of benchmarks and its peers: what is run, what is written, and that published figures come out."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import forecast
from comparing import Spoiled
from comparisons import made
from frames import made_frame

from forecast import Columns, DataSet, compare, load_data
from forecast.comparison.settings import Protocol
from forecast.errors import ConfigError
from forecast.evaluation.simple import SCORED

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # scripts, not a package
peers, tables, summary = map(importlib.import_module, ("peers", "tables", "summary"))

EMPTY = f"# Words\n\n{tables.begin(tables.NOT_RUN)}\n{tables.end(tables.NOT_RUN)}\n\nMore words.\n"
LENGTHS = peers.Lengths(horizon=4, context=14, columns=Columns(), freq=None)


def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["tables.py", *words])
    tables.main()


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORECAST_DATASETS", raising=False)
    (tmp_path / "page.md").write_text(EMPTY, encoding="utf-8")
    return tmp_path / "page.md"


def test_a_page_is_the_same_after_a_second_call_and_its_command_runs_nothing_new(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("sales", "--page", "page.md", "--models", "linear", "drift", "--steps", "2")
    called(monkeypatch, *words)
    told = page.read_text(encoding="utf-8")
    line = next(line for line in told.splitlines() if line.startswith("    forecast compare"))
    called(monkeypatch, *words)
    assert page.read_text(encoding="utf-8") == told
    capsys.readouterr()
    assert forecast(*shlex.split(line)[1:], "hydra.run.dir=run") == 0
    assert "4 cells, 4 of them in the store" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["summary.py", "sales", *words[3:]])
    summary.main()
    short = capsys.readouterr().out
    assert f"| {' | '.join(summary.HEADS)} |" in short and "\n| sales | 3.176 | 1.692 | – |" in short
    assert short.endswith("\nOf 1 tested: 0 better, 1 worse, 0 mixed, 0 not told apart.\n")
    assert "2 series, horizon 12, 16 windows; protocol `rolling`; 1 seed." in told
    assert all(f"\n| {name} |" in told for name in ("linear", "drift", "naive", r"seasonal\_naive"))
    assert "Not entered: `attention`" in told and "`gru`" in told and told.endswith("\n\nMore words.\n")


def test_a_section_takes_the_place_of_its_former_self_and_what_has_none_is_named() -> None:
    first = tables.with_section(EMPTY, "sales", "old")
    both = tables.with_section(first, "stocks", "shares")
    again = tables.with_section(both, "sales", "new")
    assert tables.sections_of(again) == ["sales", "stocks", tables.NOT_RUN]
    assert "old" not in again and again.count("new") == 1
    left = again.split("Not run yet: ")[1].split("\n")[0]
    assert "`m4_weekly`" in left and "`sales`" not in left and "`made_sales`" not in left


def test_a_page_without_a_place_for_tables_is_refused_before_anything_runs(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.write_text("# Words\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="begin what was not run"):
        called(monkeypatch, "sales", "--page", "page.md", "--quick")


def test_a_model_that_failed_is_told_with_its_reason() -> None:
    data = DataSet("made", "made", made_frame(), Columns(), horizon=4, about="Made up.")
    plan = tables.Plan(changes={"folds": 2})
    found = compare(data, {"spoiled": Spoiled(lambda table: 1 / 0)}, protocol=plan.resolved)
    told = tables.section(data, plan, found, command="forecast compare")
    assert "Failed: `spoiled`: ZeroDivisionError: division by zero" in told and r"| seasonal\_naive |" in told


def test_every_plan_is_for_a_data_set_and_its_words_are_its_protocol() -> None:
    assert tables.PLANS.keys() <= set(tables.data_names())
    plan = tables.PLANS["exchange_rate"]
    spans = ["backtest.train=5311", "backtest.validation=760", "backtest.test=1517"]
    assert plan.words() == ["protocol=long_horizon", *spans, "horizons=[96]"]
    assert (plan.resolved.train, plan.resolved.step, plan.resolved.standardised) == (5311, 1, True)


@pytest.mark.slow
def test_repeat_last_has_the_published_error_on_exchange_rates() -> None:
    """.081 / .196 in the tables of long-horizon papers for the last value repeated over 96 steps."""
    if not os.environ.get("FORECAST_DATASETS"):
        pytest.skip("FORECAST_DATASETS does not name a folder with the public series")
    plan = tables.PLANS["exchange_rate"]
    found = compare(load_data("exchange_rate", fetch=False), "naive", horizons=plan.horizon, protocol=plan.resolved)
    naive = found.leaderboard.set_index("model").loc["naive"]
    assert (naive["mse"], naive["mae"]) == pytest.approx((0.081, 0.196), abs=6e-4)


class Network(dict[str, Any]):
    """Stands for a network of NeuralForecast: its arguments, and seven numbers."""

    def parameters(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(numel=lambda: 3), SimpleNamespace(numel=lambda: 4)]


class Repeating:
    """Stands for NeuralForecast: repeats the last value of each series, and adds a quantile's distance from .5."""

    fits: list[int] = []

    def __init__(self, models: list[Any], freq: int) -> None:
        self.models, self.freq = models, freq

    def fit(self, table: pd.DataFrame) -> None:
        assert table["y"].notna().all()
        self.fits.append(len(table))

    def predict(self, df: pd.DataFrame) -> pd.DataFrame:
        network, last = self.models[0], df.groupby("unique_id").last()
        levels = network.get("loss", [0.5])
        steps = np.arange(1, network["h"] + 1) * self.freq
        rows = [
            {
                "unique_id": name,
                "ds": row["ds"] + step,
                **{f"level {level}": row["y"] + level - 0.5 for level in levels},
            }
            for name, row in last.iterrows()
            for step in steps
        ]
        return pd.DataFrame(rows).sample(frac=1, random_state=0)


@pytest.fixture
def standing_in(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("neuralforecast")
    package.NeuralForecast = Repeating  # type: ignore[attr-defined]
    package.models = SimpleNamespace(GRU=Network)  # type: ignore[attr-defined]
    losses = ModuleType("neuralforecast.losses.pytorch")
    losses.MQLoss = lambda quantiles: quantiles  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "neuralforecast", package)
    monkeypatch.setitem(sys.modules, "neuralforecast.losses", ModuleType("neuralforecast.losses"))
    monkeypatch.setitem(sys.modules, "neuralforecast.losses.pytorch", losses)
    monkeypatch.setattr(peers, "version", lambda name: "0")
    monkeypatch.setattr(Repeating, "fits", [])


@pytest.mark.parametrize(("freq", "gaps"), [("MS", "mask"), ("D", "mask"), ("B", "rows"), ("1", "mask")])
def test_forecasts_of_a_peer_land_on_their_series_and_times(standing_in: None, freq: str, gaps: Any) -> None:
    frame = made_frame(series=3, rows=60, freq=freq)
    frame = frame.drop(index=[20, 70]).sample(frac=1, random_state=0)  # gaps, in no order
    lengths = LENGTHS._replace(columns=Columns(gaps=gaps))
    entered = {
        "point": peers.NeuralForecastPeer("GRU", lengths, options={}),
        "levels": peers.NeuralForecastPeer("GRU", lengths, options={}, levels=SCORED),
    }
    found = compare(frame, entered, horizons=4, protocol=Protocol(folds=3), columns=lengths.columns)
    board = found.leaderboard.set_index("model")
    assert board.loc[["point", "levels"], "mae"].to_numpy() == pytest.approx(board.loc["naive", "mae"])
    assert board["width"]["levels"] == pytest.approx(0.8) and np.isnan(board["width"]["point"])
    assert len(Repeating.fits) == 2 and list(board["parameters"][["point", "levels"]]) == [7, 7]


def test_a_peer_refuses_several_targets(standing_in: None) -> None:
    frame, columns = made_frame().assign(z=1.0), Columns(target=("y", "z"))
    peer = peers.NeuralForecastPeer("GRU", LENGTHS._replace(columns=columns), options={})
    found = compare(frame, {"peer": peer}, horizons=4, protocol=Protocol(folds=2), columns=columns)
    assert "peers forecast one target, and the table has 2" in found.cells.set_index("model")["reason"]["peer"]


def test_without_peers_installed_it_is_told_how_to_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="neither neuralforecast nor darts is installed"):
        peers.peers(LENGTHS, budget="equal")


@pytest.mark.slow
@pytest.mark.parametrize("library", ["neuralforecast", "darts"])
def test_the_libraries_train_at_equal_budget(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library)
    monkeypatch.setattr(peers, "find_spec", lambda name: name == library or None)
    entered = peers.peers(LENGTHS, budget="equal", training=tables.Training(steps=2))
    data = DataSet("made", "made", made_frame(), Columns(), horizon=4)
    found = compare(data, entered, protocol=Protocol(folds=2))
    assert set(found.cells["status"]) == {"done"} and found.leaderboard["coverage"].notna().all()
    assert (found.leaderboard.set_index("model").loc[list(entered), "parameters"] > 1000).all()


@pytest.mark.slow
@pytest.mark.parametrize("library", ["neuralforecast", "darts"])
def test_the_libraries_forecast_the_same_from_the_same_history(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library)
    monkeypatch.setattr(peers, "find_spec", lambda name: name == library or None)
    frame = made_frame()
    early, later = (frame[frame.groupby("unique_id").cumcount() < steps] for steps in (50, 54))
    options = {"neuralforecast": {"max_steps": 2}, "darts": {"n_epochs": 1, "pl_trainer_kwargs": {"max_steps": 2}}}
    for peer in peers.peers(LENGTHS, budget="defaults").values():
        peer.options = {**peer.options, **options[library]}  # type: ignore[attr-defined]
        fitted = peer.fit(early).predict(4)
        moved = peer.update(later).predict(4)  # type: ignore[attr-defined]
        again = peer.update(early).predict(4)  # type: ignore[attr-defined]
        pd.testing.assert_frame_equal(fitted, again)
        assert moved["ds"].min() == fitted["ds"].min() + pd.Timedelta("4D")
        assert (moved["forecast"] != fitted["forecast"]).all()


def test_networks_are_counted_by_what_is_shown_of_them() -> None:
    found = made(data=["weather"], horizons=[7], failed=False)
    pairs = found.against[(found.against["other"] == "seasonal_naive") & (found.against["model"] != "naive")]
    skill = {"segrnn": 0.3, "gru": 0.2, "lstm": -0.1, "deepar": 0.1, "auto_ets": 0.1, "ridge": 0.1}
    rate = {"segrnn": 0.8, "gru": 0.4, "lstm": 0.3, "deepar": 0.9, "auto_ets": 0.9, "ridge": 0.9}
    told = pairs.assign(significant=True, skill=pairs["model"].map(skill), win_rate=pairs["model"].map(rate))
    told.loc[told["model"] == "deepar", "significant"] = False
    assert summary.verdicts(replace(found, against=told)) == (1, 1, 1, 1)  # simple methods count for nothing
