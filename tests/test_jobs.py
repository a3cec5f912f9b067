"""The jobs end to end, with a few steps of training: settings in, files out, and nothing beside them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from command import TINY, files_in, forecast, streams_in
from frames import made_frame

from forecast import Forecaster
from forecast.config import conf_folder
from forecast.data.catalogue import data_names, data_settings
from forecast.evaluation.baselines import USUAL
from forecast.training.module import ForecastModule

MODEL = {"forecaster.yaml", "encoding.json", "panel.json", "panel.safetensors", "weights.safetensors", "checksums.json"}
FIGURES = {"figures/forecast.png", "figures/error_by_step.png", "figures/training.png"}
SCORES = {"metrics.csv", *(f"metrics_by_{what}.csv" for what in ("fold", "series", "step", "time")), "test.parquet"}
FORECAST = {"forecast.csv", "forecast.parquet"}
ALWAYS = {
    *(f"model/{name}" for name in MODEL), "report.html", "card.json", "log.txt", "training.csv", "figures/training.png",
    ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml",
}  # fmt: skip
PUBLIC = [
    path.stem
    for path in sorted((conf_folder() / "data").glob("*.yaml"))
    if "\npublic:" in path.read_text(encoding="utf-8")
]
CHECKPOINTS = {"checkpoints/test/last.safetensors", "checkpoints/final/last.safetensors"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder in which a run began, and what it wrote on the terminal."""
    folder = tmp_path_factory.mktemp("trained")
    made_frame().to_csv(folder / "my.csv", index=False)
    with streams_in(folder) as (out, err):
        assert forecast("train", *TINY, "data.path=my.csv", "horizon=4", "hydra.run.dir=run") == 0
    return folder, out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_leaves_the_promised_files_and_no_other(trained: tuple[Path, str, str]) -> None:
    folder = trained[0]
    assert {path.name for path in folder.iterdir()} == {"my.csv", "run"}
    assert files_in(folder / "run") == ALWAYS | SCORES | FORECAST | FIGURES | CHECKPOINTS


def test_no_name_has_an_equals_sign_and_nothing_is_left_half_written(trained: tuple[Path, str, str]) -> None:
    assert not [path for path in trained[0].rglob("*") if "=" in path.name or path.name.endswith(".part")]


def test_a_person_reads_every_method_the_winner_and_where_things_lie(trained: tuple[Path, str, str]) -> None:
    folder, out, err = trained
    metrics = pd.read_csv(folder / "run" / "metrics.csv")
    assert list(metrics["model"]) == ["gru", *USUAL]
    for method in metrics["model"]:
        assert re.search(rf"(?m)^{method} +[\d-]", out)
    winner = metrics.set_index("model")["mase"].idxmin()
    assert f"{winner} wins: MASE {metrics['mase'].min():.4g}" in out
    for place in ("run folder: run", "figures/forecast.png", "report.html", "forecast predict run=run"):
        assert place in out
    assert err == ""


def test_the_log_tells_what_was_done(trained: tuple[Path, str, str]) -> None:
    text = (trained[0] / "run" / "log.txt").read_text(encoding="utf-8")
    for told in ("table: 2 series, 120 steps", "fitted again on everything: 3 steps\n", "wins: MASE", "wrote "):
        assert text.count(told) == 1
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line) for line in text.splitlines() if " forecast:" in line)


def test_tables_agree_with_each_other(trained: tuple[Path, str, str]) -> None:
    run = trained[0] / "run"
    future = pd.read_parquet(run / "forecast.parquet")
    as_text = pd.read_csv(run / "forecast.csv", parse_dates=["ds"])
    pd.testing.assert_frame_equal(as_text, future, check_dtype=False)
    assert len(future) == 2 * 4 and future["ds"].min() == made_frame()["ds"].max() + pd.Timedelta("1D")
    scored = pd.read_parquet(run / "test.parquet")
    assert len(scored) == 2 * 3 * 4 * (1 + len(USUAL))
    mae = (scored["y"] - scored["forecast"]).abs().groupby(scored["model"]).mean()
    metrics = pd.read_csv(run / "metrics.csv").set_index("model")["mae"]
    pd.testing.assert_series_equal(mae.sort_index(), metrics.sort_index(), check_names=False)


def test_the_card_holds_what_repeats_a_run(trained: tuple[Path, str, str]) -> None:
    card = json.loads((trained[0] / "run" / "card.json").read_text(encoding="utf-8"))
    assert card["seed"] == 0 and card["threads"] == 1 and card["device"] == "cpu"
    assert "torch 2." in card["versions"] and len(card["data"]) == 64
    assert card["settings"]["training"]["steps"] == 3 and card["settings"]["horizon"] == 4


def test_the_saved_model_is_the_one_that_forecast(trained: tuple[Path, str, str]) -> None:
    run = trained[0] / "run"
    predicted = Forecaster.load(run / "model").predict()
    pd.testing.assert_frame_equal(predicted, pd.read_parquet(run / "forecast.parquet"), check_exact=True)


def test_predict_reads_newer_data(trained: tuple[Path, str, str], tmp_path: Path) -> None:
    newer = made_frame(rows=70)
    newer.to_csv("newer.csv", index=False)
    run = trained[0] / "run"
    words = ("predict", f"run='{run}'", "data.path=newer.csv", "levels=[0.2,0.8]", "accelerator=cpu")
    assert forecast(*words, "hydra.run.dir=new") == 0
    predicted = pd.read_parquet("new/forecast.parquet")
    assert list(predicted) == ["unique_id", "ds", "forecast", "q0.2", "q0.8"]
    assert predicted["ds"].min() == newer["ds"].max() + pd.Timedelta("1D")
    expected = Forecaster.load(run / "model").predict(newer, levels=[0.2, 0.8])
    pd.testing.assert_frame_equal(predicted, expected, check_dtype=False, check_exact=True)
    assert files_in(tmp_path / "new") == FORECAST | {"log.txt", "figures/forecast.png"} | {
        name for name in ALWAYS if ".hydra" in name
    }


def test_predict_without_data_goes_on_from_what_was_seen(
    trained: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained[0] / "run"
    assert forecast("predict", f"run='{run / 'model'}'", "hydra.run.dir=new") == 0
    assert Path("new/forecast.csv").read_bytes() == (run / "forecast.csv").read_bytes()
    told = capsys.readouterr().out
    assert "2 series forecast 4 steps ahead" in told
    assert "run folder: new" in told and "figures/forecast.png       the plot to open" in told


def test_a_future_without_its_history_is_refused(
    trained: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained[0] / "run"
    assert forecast("predict", f"run='{run}'", "data.future=later.csv") == 2
    assert capsys.readouterr().err == "forecast: data.future needs the history that it follows. Add data.path=FILE.\n"


@pytest.mark.parametrize("name", [name for name in data_names() if data_settings(name)["public"] is None])
def test_every_data_set_trains(name: str) -> None:
    size = ("data.made.stores=1", "data.made.items=2", "data.made.days=120") if name == "made_sales" else ()
    assert forecast("train", *TINY, f"data={name}", *size, "context_length=8", "hydra.run.dir=run") == 0
    has_known = "known:" in (conf_folder() / "data" / f"{name}.yaml").read_text(encoding="utf-8")
    assert files_in(Path("run")) >= FORECAST or has_known


@pytest.mark.slow
@pytest.mark.skipif("FORECAST_DATASETS" not in os.environ, reason="FORECAST_DATASETS names no folder of public series")
@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_data_set_trains(name: str) -> None:
    assert forecast("train", *TINY, f"data={name}", "hydra.run.dir=run") == 0
    has_known = "known:" in (conf_folder() / "data" / f"{name}.yaml").read_text(encoding="utf-8")
    assert files_in(Path("run")) >= FORECAST or has_known


def test_series_that_have_ended_are_trained_on_and_get_no_forecast(capsys: pytest.CaptureFixture[str]) -> None:
    table = made_frame(series=3)
    first = table["unique_id"].unique()[0]
    table.loc[(table["unique_id"] == first) & (table.groupby("unique_id").cumcount() > 10), "y"] = None
    table.to_csv("my.csv", index=False)
    words = ("data.path=my.csv", "horizon=4", "context_length=8", "paths=2", "hydra.run.dir=run")
    assert forecast("train", *TINY, *words) == 0
    assert "1 of 3 series have no observed value in their last 8 steps" in capsys.readouterr().err
    for name in ("forecast", "paths"):
        assert set(pd.read_csv(f"run/{name}.csv")["unique_id"]) == set(table["unique_id"]) - {first}


def test_known_covariates_are_asked_for_before_the_future_is_forecast(capsys: pytest.CaptureFixture[str]) -> None:
    made_frame(covariates=True).to_csv("my.csv", index=False)
    words = ("data.path=my.csv", "data.columns.known=[price,promo]", "horizon=4", "hydra.run.dir=run")
    assert forecast("train", *TINY, *words) == 0
    told = capsys.readouterr().err
    assert told.startswith("forecast: no forecast beyond the data: it needs price, promo there")
    assert not FORECAST & files_in(Path("run"))
    later = made_frame(rows=64, covariates=True)
    later[later["ds"] > "2024-02-29"].drop(columns="y").to_csv("later.csv", index=False)
    words = ("run=run", "data.path=my.csv", "data.future=later.csv", "hydra.run.dir=new")
    assert forecast("predict", *words) == 0
    assert len(pd.read_csv("new/forecast.csv")) == 8
    assert forecast("predict", "run=run", "data.path=my.csv") == 2
    assert "missing for" in capsys.readouterr().err


def test_ragged_ends_with_known_covariates_are_scored_where_they_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    table = made_frame(covariates=True)
    table.drop(index=[58, 59]).to_csv("my.csv", index=False)
    words = ("data.path=my.csv", "data.columns.known=[price,promo]", "horizon=4", "hydra.run.dir=run")
    assert forecast("train", *TINY, *words) == 0
    assert "1 held-back windows lack a known covariate within the horizon: not scored." in capsys.readouterr().err
    counts = pd.read_parquet("run/test.parquet").groupby(["model", "unique_id"])["cutoff"].nunique().unstack()
    assert (counts["s0"] == 2).all() and (counts["s1"] == 3).all()


def test_what_could_not_be_scored_is_refused_before_training(capsys: pytest.CaptureFixture[str]) -> None:
    table = made_frame(covariates=True)
    late = pd.concat([table.iloc[:59], table.iloc[-2:]])  # the other series begins after the only origin
    late.to_csv("my.csv", index=False)
    words = ("data.path=my.csv", "data.columns.known=[price,promo]", "horizon=4", "test.windows=1")
    assert forecast("train", *TINY, *words, "hydra.run.dir=run") == 2
    assert "no held-back window has price, promo over its whole horizon" in capsys.readouterr().err
    assert not Path("run/checkpoints").exists()


def test_a_loss_that_gives_no_interval_is_scored_without(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast("train", *TINY, "loss.levels=[0.5]", "hydra.run.dir=run") == 0
    told = capsys.readouterr().out
    assert re.search(r"(?m)^naive +[\d-]", told) and "80%" not in told
    assert pd.read_csv("run/metrics.csv")["coverage"].isna().all()


def test_a_run_that_fails_leaves_the_sweep_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("model.hidden_size=abc,4", "hydra.sweep.dir=sweep", "test.windows=1")
    assert forecast("train", "-m", *[word for word in TINY if "hidden" not in word], *words) == 2
    told = capsys.readouterr()
    assert told.err.startswith("forecast: run 0 failed: Recurrent: ") and "Traceback" not in told.err
    table = told.out.split("2 runs, MASE on held-back data")[1]
    assert re.search(r"│ 0 +│ model.hidden_size=abc +│ failed │ - +│ +- │", table)
    assert re.search(r"│ 1 +│ model.hidden_size=4 +│ +\d", table)
    assert re.search(r"run 0 \(.*model.hidden_size=abc.*\) failed: Recurrent: ", table)


def test_a_sweep_of_forecasts_tells_of_a_run_that_failed(
    trained: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained[0] / "run"
    assert forecast("predict", "-m", f"run='{run}',none", "hydra.sweep.dir=sweep") == 2
    assert Path("sweep/0/forecast.csv").is_file()
    assert "run 1 (run=none) failed: there is no saved forecaster" in capsys.readouterr().out


def test_a_sweep_leaves_a_run_for_each_combination_and_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("model=rnn,gru", "horizon=3,4", "hydra.sweep.dir=sweep", "test.windows=1")
    assert forecast("train", "-m", *TINY, *words) == 0
    assert {path.name for path in Path("sweep").iterdir() if path.is_dir()} == {"0", "1", "2", "3"}
    assert all((Path("sweep") / str(run) / "forecast.csv").is_file() for run in range(4))
    summary = capsys.readouterr().out.split("4 runs, MASE on held-back data")[1]
    for number, settings in enumerate(("rnn horizon=3", "rnn horizon=4", "gru horizon=3", "gru horizon=4")):
        metrics = pd.read_csv(f"sweep/{number}/metrics.csv").set_index("model")["mase"]
        simple = metrics.iloc[1:]
        row = rf"│ {number} +│ model={settings} +│ +{metrics.iloc[0]:.3f} │ {simple.idxmin()} +│ +{simple.min():.3f} │"
        assert re.search(row, summary)
    assert "run folders: sweep" in summary


def test_without_held_back_windows_nothing_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast("train", *TINY, "test.windows=0", "hydra.run.dir=run") == 0
    expected = ALWAYS | FORECAST | {"figures/forecast.png", "checkpoints/final/last.safetensors"}
    assert files_in(Path("run")) == expected
    out = capsys.readouterr().out
    assert "nothing is known of its worth" in out and "wins" not in out


def test_without_a_final_fit_the_scored_model_is_saved() -> None:
    assert forecast("train", *TINY, "final=false", "hydra.run.dir=run") == 0
    assert files_in(Path("run")) == ALWAYS | SCORES | FORECAST | FIGURES | {"checkpoints/test/last.safetensors"}
    future = pd.read_csv("run/forecast.csv", parse_dates=["month"])
    assert future["month"].min() > pd.read_parquet("run/test.parquet")["month"].max()


def test_validation_leaves_its_losses_in_the_history() -> None:
    words = ("training.validation=1", "training.check_every=1", "hydra.run.dir=run", "logger=none")
    assert forecast("train", *TINY, *words) == 0
    assert "checkpoints/final/refit/last.safetensors" in files_in(Path("run"))
    log = Path("run/log.txt").read_text(encoding="utf-8")
    assert "fitted again on everything: 3 steps beside validation, then anew up to the best of them" in log


def test_the_csv_logger_writes_the_losses() -> None:
    assert forecast("train", *TINY, "training.steps=20", "test.windows=0", "hydra.run.dir=run") == 0
    assert pd.read_csv("run/training/metrics.csv")["train_loss"].notna().any()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_logger_of_an_extra_stays_in_the_run_folder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(name, reason=f"the extra {name} is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert forecast("train", *TINY, f"logger={name}", "test.windows=0", "hydra.run.dir=run") == 0
    assert [path.name for path in Path().iterdir()] == ["run"]


def test_a_table_of_ones_own_keeps_its_names_and_whole_numbers_as_time() -> None:
    table = made_frame(freq="1").rename(columns={"unique_id": "shop", "ds": "week", "y": "sold"})
    table.to_parquet("my.parquet")
    roles = ("data.columns.id=shop", "data.columns.time=week", "data.columns.target=sold")
    words = ("data.path=my.parquet", *roles, "horizon=4", "hydra.run.dir=run")
    assert forecast("train", *TINY, *words) == 0
    future = pd.read_parquet("run/forecast.parquet")
    assert list(future)[:3] == ["shop", "week", "forecast"]
    assert sorted(set(future["week"])) == [60, 61, 62, 63]
    assert pd.read_parquet("run/test.parquet")["week"].max() == 59


def test_gaps_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    made_frame().drop(index=[20, 21]).to_csv("my.csv", index=False)
    assert forecast("train", *TINY, "data.path=my.csv", "horizon=4", "hydra.run.dir=run") == 0
    assert capsys.readouterr().err.count("2 of 120 steps of the time grid") == 1


def test_a_run_that_breaks_off_leaves_a_checkpoint_and_no_half_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = ForecastModule.training_step

    def stop(module: ForecastModule, batch: object, index: int) -> object:
        if module.done == 4:
            raise RuntimeError("enough")
        return step(module, batch, index)  # type: ignore[arg-type]

    monkeypatch.setattr(ForecastModule, "training_step", stop)
    words = ("training.steps=6", "training.checkpoint_every=3", "hydra.run.dir=run")
    assert forecast("train", *TINY, *words) == 1
    assert capsys.readouterr().err.startswith("forecast: stopped midway. To go on: forecast train resume=run\n")
    left = {name for name in files_in(Path("run")) if not name.startswith((".hydra/", "training/"))}
    assert left == {"log.txt", "checkpoints/test/last.safetensors"}


def test_nothing_is_promised_where_no_checkpoint_was_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(module: ForecastModule, batch: object, index: int) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(ForecastModule, "training_step", stop)
    assert forecast("train", *TINY, "hydra.run.dir=run") == 130
    assert capsys.readouterr().err == "forecast: stopped, with nothing to go on from yet.\n"
