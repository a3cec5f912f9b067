"""The job compare: leaderboards, files, the store, and refusals before anything is trained."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from command import files_in, forecast, streams_in
from frames import made_frame

from forecast.comparison import running
from forecast.comparison.cells import Cell, Result
from forecast.comparison.comparison import Comparison

TABLES = [name for name, kind in Comparison.__annotations__.items() if "DataFrame" in kind]
QUICK = ("compare", "training.steps=2", "accelerator=cpu", "progress=false", "hydra.run.dir=run")
SETS = ("datasets=[sales,weather]", "horizons=[3]", "backtest.folds=2")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder in which a comparison of shipped data ran, and what it wrote on the terminal."""
    folder = tmp_path_factory.mktemp("compared")
    with streams_in(folder) as (out, err):
        assert forecast(*QUICK, *SETS, "models=[{small:{model:gru,hidden_size:4}},drift]") == 0
    return folder, out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made_frame().to_csv("my.csv", index=False)
    made_frame(rows=10).to_csv("short.csv", index=False)  # than the horizon of M4


def test_a_comparison_leaves_every_table_and_its_store(ran: tuple[Path, str, str]) -> None:
    tables = {f"comparison/{name}.{kind}" for name in TABLES for kind in ("csv", "parquet")}
    assert files_in(ran[0] / "run") >= {*tables, "comparison/sentences.txt", "comparison/settings.json", "log.txt"}
    assert len(list((ran[0] / "comparisons" / "cells").iterdir())) == 8
    for name in TABLES:
        table = pd.read_parquet(ran[0] / "run" / "comparison" / f"{name}.parquet")
        assert len(pd.read_csv(ran[0] / "run" / "comparison" / f"{name}.csv")) == len(table) > 0


def test_a_person_reads_a_leaderboard_for_each_data_set_and_who_is_best(ran: tuple[Path, str, str]) -> None:
    _, out, err = ran
    assert max(map(len, out.splitlines())) <= 120 and err == ""
    for data in ("sales", "weather"):
        assert f"{data}, horizon 3, the best rank first" in out
    sentences = (ran[0] / "run" / "comparison" / "sentences.txt").read_text(encoding="utf-8").split()
    assert " ".join(sentences) in " ".join(out.split())
    for model in ("small", "drift", "naive", "seasonal_naive"):
        assert len(re.findall(rf"(?m)^{model} +[\d.]+ ", out)) == 2
    assert re.search(r"8/8 weather 3 seasonal_naive seed 0: done, [\d.]+ s, 0:00 left", out)
    assert "comparison/leaderboard.csv" in out and "8 cells in" in out


def test_the_terminal_tells_skill_in_percent_as_the_page_does(ran: tuple[Path, str, str]) -> None:
    board = pd.read_csv(ran[0] / "run" / "comparison" / "leaderboard.csv")
    skill = board.query("data == 'sales' and model == 'small'")["skill"].item()
    heads, row = re.search(r"(?m)^(model .*skill, %.*)$[^$]*?^(small .*)$", ran[1]).groups()  # type: ignore[union-attr]
    end = heads.index("skill, %") + len("skill, %")
    assert float(row[:end].split()[-1]) == pytest.approx(100 * skill, abs=0.05001)


def test_the_settings_repeat_it(ran: tuple[Path, str, str]) -> None:
    settings = json.loads((ran[0] / "run" / "comparison" / "settings.json").read_text(encoding="utf-8"))
    assert settings["commands"][0].startswith("forecast compare training.steps=2")
    assert settings["training"]["steps"] == 2 and settings["models"]["small"]["model"]["hidden_size"] == 4
    assert settings["datasets"] == ["sales", "weather"] and settings["horizons"] == [3]


def test_the_same_words_again_run_nothing(
    ran: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ran[0])
    words = (*QUICK[:-1], *SETS, "models=[{small:{model:gru,hidden_size:4}},drift]", "hydra.run.dir=again")
    assert forecast(*words) == 0
    assert "8 cells, 8 of them in the store\n" in capsys.readouterr().out
    for name in TABLES:
        first, again = (ran[0] / run / "comparison" / f"{name}.csv" for run in ("run", "again"))
        assert first.read_bytes() == again.read_bytes(), name


def test_an_interrupted_comparison_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*QUICK, "data.path=my.csv", "horizons=[4]", "models=[drift]")
    run = running.run

    def stop(cell: Cell) -> Result:
        if cell.entry.name == "naive":
            raise KeyboardInterrupt
        return run(cell)

    with monkeypatch.context() as patch:
        patch.setattr(running, "run", stop)
        assert forecast(*words) == 130
    assert "kept in comparisons: the same words again go on" in capsys.readouterr().err
    assert forecast(*words) == 0
    assert "3 cells, 1 of them in the store\n" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("data.path=nix.csv",), ("data.path=my.csv", "store=my.csv")])
def test_what_was_no_interruption_is_not_said_to_be_one(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert forecast(*QUICK, *words, "models=[drift]", "horizons=[4]") == 2
    told = capsys.readouterr().err
    assert told.startswith("forecast: ") and "go on" not in told and "midway" not in told


def test_an_interruption_before_anything_is_finished_says_that_nothing_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(cell: Cell) -> Result:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run", stop)
    assert forecast(*QUICK, "data.path=my.csv", "horizons=[4]", "models=[drift]") == 130
    assert "stopped, with nothing to go on from yet." in capsys.readouterr().err


def test_the_time_left_is_the_least_where_a_model_has_not_been_seen(ran: tuple[Path, str, str]) -> None:
    [first] = re.findall(r"(?m)^1/8 .*", ran[1])
    [fifth] = re.findall(r"(?m)^5/8 .*", ran[1])
    assert re.search(r"1/8 sales 3 small seed 0: done, [\d.]+ s, [\d:]+ left at least", first)
    assert fifth.endswith("left")


def test_a_table_of_ones_own_is_compared_by_the_protocol_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*QUICK, "data.path=my.csv", "models=[drift]", "horizons=[4]", "protocol=m4") == 0
    board = pd.read_csv("run/comparison/leaderboard.csv").set_index("model")
    assert set(board.index) == {"drift", "naive", "seasonal_naive", "naive2"} and board["owa"]["naive2"] == 1
    assert set(pd.read_csv("run/comparison/per_window.csv")["fold"]) == {1}
    assert "my, horizon 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("datasets=[salez]",), "there is no data set 'salez'. Choose one of: sales"),
        (("datasets=[sales]", "data.path=my.csv"), "name data sets both"),
        (("models=[gruu]",), "there is no model 'gruu'. Choose one of: gru"),
        (("data.path=short.csv",), "horizon"),
        (("datasets=[sales,sales]",), "two data sets are called 'sales'. Name each once"),
        (("models=[3]",), "models has 3, a whole number; give names"),
        (("protocol=m5",), "there is no protocol 'm5'"),
        (("training.steps=0",), "training.steps is a whole number of 1 or more"),
        (("backtest.folds=99",), "99 folds"),
    ],
)
def test_what_makes_no_sense_ends_in_one_message(
    words: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert forecast(*QUICK, *words) == 2
    out, err = capfd.readouterr()
    assert message in err and err.startswith("forecast: ") and not Path("run").exists()
    assert not Path("comparisons").exists()
