"""forecast train warm_start=FOLDER: goes on from a saved run, and scores nothing that it was trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from command import TINY, forecast
from frames import made_frame

from forecast import Columns, Forecaster, Panel, Training
from forecast.calibrated import load
from forecast.ensemble import Ensemble
from forecast.errors import DataError
from forecast.jobs.learner import Learner

WARM = ("train", "training.steps=3", "progress=false", "accelerator=cpu", "hydra.run.dir=run")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that ends on 29 February 2024, the table it has seen, and a newer one."""
    folder = tmp_path_factory.mktemp("runs")
    made_frame(rows=90).to_csv(folder / "newer.csv", index=False)
    made_frame(rows=90)[lambda frame: frame["ds"] < "2024-03-01"].to_csv(folder / "old.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert forecast("train", *TINY, "data.path=old.csv", "horizon=4", "hydra.run.dir=saved", "model=lstm") == 0
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("old.csv", "newer.csv"):
        shutil.copy(runs / name, name)
    shutil.copytree(runs / "saved", "saved")


def test_both_fits_begin_with_the_saved_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*WARM, "warm_start=saved", "data.path=newer.csv") == 0
    assert "going on from saved, horizon 4" in capsys.readouterr().out
    table = pd.read_csv("newer.csv", parse_dates=["ds"])
    expected = Forecaster.load("saved/model").set_params(training=Training(steps=3))
    expected.fit(table, warm_start=True)
    got = load("run/model")
    _assert_same_weights(got, expected)
    pd.testing.assert_frame_equal(got.predict(), pd.read_parquet("run/forecast.parquet"), check_exact=True)
    expected = Forecaster.load("saved/model").set_params(training=Training(steps=3))
    expected.fit(table[table["ds"] <= "2024-03-18"], warm_start=True)
    first = pd.read_parquet("run/test.parquet").iloc[:4]  # of the first series, by the network
    assert first["forecast"].tolist() == pytest.approx(expected.predict()["forecast"].iloc[:4].tolist(), rel=1e-6)


@pytest.mark.parametrize("model", ["saved", "saved/model"])
def test_a_score_on_what_was_trained_on_is_refused(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*WARM, f"warm_start={model}", "data.path=old.csv") == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "forecast: the saved run was trained on series 's0' up to 2024-02-29 00:00:00, and the held-back windows begin "
        "after 2024-02-17 00:00:00 (2 such series): such a score says nothing. Set test.windows=0"
    )
    assert not Path("run/checkpoints").exists()


def test_one_series_that_was_trained_on_is_enough_to_refuse(capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv("old.csv")
    table.assign(unique_id=table["unique_id"].replace("s0", "other")).to_csv("mixed.csv", index=False)
    assert forecast(*WARM, "warm_start=saved", "data.path=mixed.csv") == 2
    assert "was trained on series 's1' up to" in capsys.readouterr().err


def test_what_was_held_back_then_may_be_scored_now() -> None:
    words = ("data.path=old.csv", "horizon=4", "final=false", "hydra.run.dir=honest")
    assert forecast("train", *TINY, *words) == 0
    assert forecast(*WARM, "warm_start=honest", "data.path=old.csv") == 0
    assert Path("run/metrics.csv").is_file()


def test_other_series_may_be_scored_at_any_time() -> None:
    table = pd.read_csv("old.csv")
    table.assign(unique_id="new " + table["unique_id"]).to_csv("others.csv", index=False)
    assert forecast(*WARM, "warm_start=saved", "data.path=others.csv") == 0
    assert set(pd.read_csv("run/forecast.csv")["unique_id"]) == {"new s0", "new s1"}
    assert Path("run/metrics.csv").is_file()


def test_without_a_score_learning_goes_on_with_the_same_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*WARM, "warm_start=saved", "data.path=old.csv", "test.windows=0") == 0
    assert "nothing is known of its worth" in capsys.readouterr().out
    assert json.loads(Path("run/card.json").read_text(encoding="utf-8"))["went on from"] == str(Path("saved").resolve())


@pytest.mark.slow
def test_a_chain_of_runs_is_looked_at_to_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv("old.csv")
    table.assign(unique_id="new " + table["unique_id"]).to_csv("others.csv", index=False)
    assert forecast(*WARM[:-1], "warm_start=saved", "data.path=others.csv", "hydra.run.dir=between") == 0
    assert forecast(*WARM, "warm_start=between", "data.path=old.csv") == 2
    assert "was trained on series 's0' up to 2024-02-29" in capsys.readouterr().err
    shutil.rmtree("saved")
    assert forecast(*WARM, "warm_start=between", "data.path=old.csv") == 2
    told = capsys.readouterr().err
    assert "the run in 'between' went on from" in told and "which is gone" in told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("model=gru", "model cannot change in a warm start: the weights of the saved run are made for lstm with "),
        ("model.hidden_size=5", "model.hidden_size cannot change in a warm start: the weights of the saved run are "),
        ("loss=mae", "loss cannot change"),
        ("loss.levels=[0.5]", "loss.levels cannot change"),
        ("scaling=window", "scaling cannot change"),
        ("horizon=5", "horizon cannot change in a warm start: the weights of the saved run are made for 4."),
        ("data.horizon=5", "data.horizon cannot change"),
        ("context_length=9", "context_length cannot change"),
        ("data.freq=h", "data.freq cannot change"),
        ("data.seasonality=5", "data.seasonality cannot change"),
        ("ensemble.seeds=2", "goes on with the members of the saved run"),
        ("data.columns.target=x", "columns.target is 'x', and the saved run has 'y': it cannot change"),
        ("data.minimum=0", "columns.minimum is 0.0, and the saved run has None"),
        ("data.calendar=[]", "columns.calendar is (), and the saved run has 'auto'"),
        ("training.freeze=[recurent]", "no part of the network to freeze 'recurent'. Choose one of: recurrent, "),
    ],
)  # fmt: skip
def test_what_the_weights_are_made_for_cannot_change(word: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*WARM, "warm_start=saved", "data.path=newer.csv", word) == 2
    written = capsys.readouterr().err
    assert written.startswith("forecast: ") and told in written and written.count("\n") == 1


def test_what_stays_as_it_is_may_be_named() -> None:
    context = f"context_length={load('saved/model').context_length_}"
    same = ("model.hidden_size=4", "horizon=4", "loss=quantile", "data.freq=D", context)
    assert forecast(*WARM, "warm_start=saved", "data.path=newer.csv", "test.windows=0", *same) == 0


def test_another_data_set_is_refused_by_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*WARM, "warm_start=saved") == 2
    assert "columns.id is 'product', and the saved run has 'unique_id'" in capsys.readouterr().err


def test_frozen_parts_stay_bit_by_bit() -> None:
    words = ("data.path=newer.csv", "training.freeze=[recurrent]", "training.learning_rate=0.1", "test.windows=0")
    assert forecast(*WARM, "warm_start=saved", *words) == 0
    before, after = (Forecaster.load(f"{run}/model").model_.network.state_dict() for run in ("saved", "run"))
    same = {name: torch.equal(weights, after[name]) for name, weights in before.items()}
    assert all(same[name] for name in same if "recurrent" in name) and any("recurrent" in name for name in same)
    assert not all(same.values())


@pytest.mark.slow
def test_an_ensemble_goes_on_as_one() -> None:
    words = ("data.path=old.csv", "horizon=4", "ensemble.seeds=2", "hydra.run.dir=both")
    assert forecast("train", *TINY, *words) == 0
    assert forecast(*WARM, "warm_start=both", "data.path=newer.csv", "test.windows=0") == 0
    before, after = load("both/model"), load("run/model")
    assert isinstance(before, Ensemble) and isinstance(after, Ensemble) and len(after.members_) == 2
    assert [member.seed for member in after.members_] == [0, 1]
    with pytest.raises(AssertionError):
        _assert_same_weights(after.members_[0], before.members_[0])
    assert forecast(*WARM, "warm_start=both", "data.path=old.csv") == 2


def _assert_same_weights(one: Forecaster, other: Forecaster) -> None:
    torch.testing.assert_close(one.model_.state_dict(), other.model_.state_dict(), rtol=0, atol=0)


def test_a_series_is_known_again_whether_its_id_is_text_or_a_number() -> None:
    frame = made_frame().assign(unique_id=lambda table: table["unique_id"].str[1:])
    trained = Forecaster("linear", horizon=2, context_length=4, training=Training(steps=1), progress=False).fit(frame)
    learner = Learner("linear", "", Columns(), None, 2, make=lambda: trained, saved=(trained,))
    panel = Panel.from_frame(frame.assign(unique_id=frame["unique_id"].astype(int)))
    with pytest.raises(DataError, match="the saved run was trained on series 0 up to"):
        learner.refuse_seen(panel, panel.ends - 2)
