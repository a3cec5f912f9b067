"""The job backtest: scores at many origins, files, progress, and going on after an interruption."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import TINY, files_in, forecast, streams_in
from frames import made_frame

from forecast import Forecaster, Training
from forecast.evaluation.backtest import backtest
from forecast.evaluation.baselines import BASELINES
from forecast.training.module import ForecastModule

WORDS = ("backtest", *TINY, "data.path=my.csv", "horizon=4", "backtest.folds=3", "hydra.run.dir=run")
SCORES = {f"metrics{what}.csv" for what in ("", "_by_fold", "_by_step", "_by_time", "_by_series")}
FIGURES = {f"figures/{what}.png" for what in ("folds", "error_by_fold", "error_by_step")}
ALWAYS = {
    *SCORES, *FIGURES, "backtest.csv", "backtest.parquet", "report.html", "card.json", "log.txt",
    ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml",
}  # fmt: skip
MADE = [*SCORES, *FIGURES, "backtest.csv", "backtest.parquet"]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder in which a backtest ran, and what it wrote on the terminal."""
    folder = tmp_path_factory.mktemp("scored")
    made_frame().to_csv(folder / "my.csv", index=False)
    with streams_in(folder) as (out, err):
        assert forecast(*WORDS, "backtest.refit=true") == 0
    return folder, out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made_frame().to_csv("my.csv", index=False)


def test_a_backtest_leaves_the_promised_files_and_no_model(scored: tuple[Path, str, str]) -> None:
    checkpoints = {f"checkpoints/fold-{fold}/last.safetensors" for fold in (1, 2, 3)}
    assert files_in(scored[0] / "run") == ALWAYS | checkpoints
    assert {path.name for path in scored[0].iterdir()} == {"my.csv", "run"}


def test_a_person_reads_the_plan_each_fold_every_method_and_the_winner(scored: tuple[Path, str, str]) -> None:
    folder, out, err = scored
    assert "3 folds, 4 steps apart; trained before each" in out
    for fold in (1, 2, 3):
        assert f"fitted on what lies before fold {fold} of 3" in out
        assert re.search(rf"(?m)^{fold} +2024-02-{[17, 21, 25][fold - 1]} +\d", out)
    metrics = pd.read_csv(folder / "run" / "metrics.csv")
    assert list(metrics["model"]) == ["gru", *BASELINES]
    for method in metrics["model"]:
        assert re.search(rf"(?m)^{method} +[\d-]", out)
    assert "wins: MASE" in out and "No model is saved: forecast train" in out
    for place in ("run folder: run", "figures/folds.png", "report.html", "backtest.csv"):
        assert place in out
    assert err == ""


def test_sample_paths_are_written_and_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*WORDS, "paths=4") == 0
    assert set(pd.read_parquet("run/paths.parquet")["sample"]) == {0, 1, 2, 3}
    assert "sample paths" in capsys.readouterr().out
    with_paths = Path("run/figures/folds.png").read_bytes()
    assert forecast(*WORDS[:-1], "hydra.run.dir=other") == 0
    assert Path("other/figures/folds.png").read_bytes() != with_paths


@pytest.mark.parametrize("job", ["train", "backtest"])
def test_a_number_of_paths_that_makes_no_sense_is_refused_before_training(
    job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forecast(job, *TINY, "data.path=my.csv", "horizon=4", "paths=-1", "hydra.run.dir=odd") == 2
    assert "paths is a whole number of 0 or more, got -1" in capsys.readouterr().err


def test_a_backtest_is_the_one_of_the_library(scored: tuple[Path, str, str]) -> None:
    run = scored[0] / "run"
    training = Training(steps=3)
    settings = json.loads((run / "card.json").read_text(encoding="utf-8"))["settings"]
    forecaster = Forecaster(settings["model"], horizon=4, training=training, accelerator="cpu", progress=False)
    expected = backtest(forecaster, made_frame(), folds=3, refit=True, name="gru")
    written = pd.read_parquet(run / "backtest.parquet")
    pd.testing.assert_frame_equal(written, expected.forecasts, check_dtype=False, check_exact=True)
    for name, table in {"": expected.scores, "_by_fold": expected.per_fold, "_by_series": expected.per_series}.items():
        read = pd.read_csv(run / f"metrics{name}.csv").drop(columns="cutoff", errors="ignore")
        pd.testing.assert_frame_equal(read, table.drop(columns="cutoff", errors="ignore"), check_dtype=False)


def test_both_tables_of_forecasts_agree(scored: tuple[Path, str, str]) -> None:
    run = scored[0] / "run"
    written = pd.read_parquet(run / "backtest.parquet")
    as_text = pd.read_csv(run / "backtest.csv", parse_dates=["ds", "cutoff"])
    pd.testing.assert_frame_equal(as_text, written, check_dtype=False)
    assert len(written) == 2 * 3 * 4 * (1 + len(BASELINES))


def test_the_report_has_the_tables_and_the_figures(scored: tuple[Path, str, str]) -> None:
    page = (scored[0] / "run" / "report.html").read_text(encoding="utf-8")
    for told in ("gru on table, 3 folds of horizon 4", "MASE by fold", "MASE by series", "Error by fold", "wins: MASE"):
        assert told in page
    assert page.count("data:image/png") == 3


def test_the_card_holds_what_repeats_a_backtest(scored: tuple[Path, str, str]) -> None:
    card = json.loads((scored[0] / "run" / "card.json").read_text(encoding="utf-8"))
    assert card["folds"] == "3 folds, 4 steps apart; trained before each" and card["seed"] == 0
    assert card["settings"]["backtest"]["refit"] is True and len(card["data"]) == 64


@pytest.mark.parametrize(
    ("refit", "told", "fits"), [("false", "once, before the first", [1]), ("2", "once every 2 folds", [1, 3])]
)
def test_folds_may_share_a_fit(refit: str, told: str, fits: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*WORDS, f"backtest.refit={refit}", "backtest.step=2", "backtest.baselines=[naive]") == 0
    out = capsys.readouterr().out
    assert f"3 folds, 2 steps apart; trained {told}\n" in out
    assert [int(fold) for fold in re.findall(r"fitted on what lies before fold (\d)", out)] == fits
    written = pd.read_parquet("run/backtest.parquet")
    cutoffs = written.groupby("fold")["cutoff"].unique().explode()
    assert (np.diff(cutoffs) == pd.Timedelta("2D")).all() and set(written["model"]) == {"gru", "naive"}


def test_series_with_ends_of_their_own_have_cutoffs_of_their_own() -> None:
    made_frame().drop(index=[58, 59]).to_csv("my.csv", index=False)
    assert forecast(*WORDS, "backtest.split=series_end", "backtest.baselines=[naive]") == 0
    cutoffs = pd.read_parquet("run/backtest.parquet").groupby("unique_id")["cutoff"].max()
    assert cutoffs["s1"] - cutoffs["s0"] == pd.Timedelta("2D")
    assert files_in(Path("run")) >= FIGURES


def test_several_targets_are_scored_each_in_its_unit(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("data=weather", "data.columns.target=[temp_max,wind]", "backtest.folds=2", "context_length=8")
    assert forecast("backtest", *TINY, *words, "backtest.baselines=[naive]", "hydra.run.dir=run") == 0
    out = capsys.readouterr().out
    for target in ("temp_max, °C", "wind, m/s"):
        assert re.search(rf"\n{target}\n.*\nmodel +MAE ", out)
    assert "pairs of series and target" in out
    by_target = pd.read_csv("run/metrics_by_target.csv")
    assert list(by_target.groupby("model", sort=False)["target"].unique()["gru"]) == ["temp_max", "wind"]
    assert files_in(Path("run")) >= ALWAYS | {"metrics_by_target.csv"}


def test_an_ensemble_is_scored_as_one() -> None:
    words = ("ensemble.members=[gru,linear]", "backtest.baselines=[naive]")
    assert forecast(*WORDS, *words) == 0
    assert set(pd.read_csv("run/metrics.csv")["model"]) == {"ensemble", "naive"}
    assert {f"checkpoints/fold-1/member-{number}/last.safetensors" for number in (0, 1)} <= files_in(Path("run"))


def test_an_interrupted_backtest_goes_on_and_trains_no_finished_fold_again(
    scored: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step, trained = ForecastModule.training_step, []

    def stop(module: ForecastModule, batch: object, index: int) -> object:
        trained.append(module.done)
        if len(trained) == 5:  # two folds of three steps: amid the second
            raise KeyboardInterrupt
        return step(module, batch, index)  # type: ignore[arg-type]

    monkeypatch.setattr(ForecastModule, "training_step", stop)
    assert forecast(*WORDS, "backtest.refit=true") == 130
    assert capsys.readouterr().err == "forecast: stopped midway. To go on: forecast backtest resume=run\n"
    assert not files_in(Path("run")) & {"metrics.csv", "backtest.csv", "card.json"}
    trained.clear()
    trained += [0] * 5
    assert forecast("backtest", "resume=run", "progress=false") == 0
    assert len(trained) - 5 == 6  # the second and the third fold
    for name in MADE:
        assert (Path("run") / name).read_bytes() == (scored[0] / "run" / name).read_bytes(), name


def test_a_finished_backtest_may_be_resumed_and_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forecast(*WORDS, "backtest.baselines=[naive]") == 0
    before = Path("run/backtest.csv").read_bytes()

    def never(module: ForecastModule, batch: object, index: int) -> object:
        raise AssertionError("a finished fold is trained again")

    monkeypatch.setattr(ForecastModule, "training_step", never)
    assert forecast("backtest", "resume=run") == 0
    assert Path("run/backtest.csv").read_bytes() == before


@pytest.mark.slow
def test_a_sweep_of_backtests_ends_in_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in WORDS[1:] if "run.dir" not in word and "hidden" not in word]
    words += ["backtest.baselines=[naive,drift]", "model=linear,rnn", "hydra.sweep.dir=sweep"]
    assert forecast("backtest", "-m", *words) == 0
    summary = capsys.readouterr().out.split("2 runs, MASE on held-back data")[1]
    for number, model in enumerate(("linear", "rnn")):
        metrics = pd.read_csv(f"sweep/{number}/metrics.csv").set_index("model")["mase"]
        simple = metrics.iloc[1:]
        row = rf"│ {number} +│ model={model} +│ +{metrics[model]:.3f} │ {simple.idxmin()} +│ +{simple.min():.3f} │"
        assert re.search(row, summary)
