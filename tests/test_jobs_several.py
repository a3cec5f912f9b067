"""The jobs train and predict with several targets, several networks, and several futures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from command import TINY, files_in, forecast
from frames import made_frame

from forecast.calibrated import load
from forecast.config import read
from forecast.ensemble import Ensemble

FAST = ("test.windows=1", "test.baselines=[naive]", "hydra.run.dir=run")
KNOWN = ("data.path=my.csv", "data.columns.known=[price,promo]", "horizon=4")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, two futures of it, one of which lacks rows, and a run that knows prices."""
    folder = tmp_path_factory.mktemp("known")
    made_frame(covariates=True).to_csv(folder / "my.csv", index=False)
    later = made_frame(rows=64, covariates=True)
    later = later[later["ds"] > "2024-02-29"].drop(columns="y")
    later.to_csv(folder / "up.csv", index=False)
    later.assign(price=later["price"] / 2).to_csv(folder / "price down.csv", index=False)
    later.iloc[:-2].to_csv(folder / "short.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert forecast("train", *TINY, *KNOWN, *FAST) == 0
    return folder


def test_several_targets_are_told_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("data=weather_joint", "context_length=8", *FAST)
    assert forecast("train", *TINY, *words) == 0
    told = capsys.readouterr().out
    assert "targets temp_max, temp_min, wind, precipitation;" in " ".join(told.split())
    assert "MAE" not in told.split("temp_max, °C")[0]  # of different units there is no mean error
    for target in ("temp_max, °C", "temp_min, °C", "wind, m/s", "precipitation, mm"):
        assert re.search(rf"\n{target}\n.*\nmodel +MAE ", told)
    by_target = pd.read_csv("run/metrics_by_target.csv")
    assert list(by_target["target"][:4]) == ["temp_max", "temp_min", "wind", "precipitation"]
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert "precipitation, mm" in page and "MASE by series" in page
    future = pd.read_csv("run/forecast.csv")
    assert list(future)[:3] == ["station", "date", "target"] and len(future) == 4 * 14


def test_predict_shows_some_rows_of_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("data=weather", "data.columns.target=[temp_max,wind]", "data.joint=false", "context_length=8", *FAST)
    assert forecast("train", *TINY, *words) == 0
    capsys.readouterr()
    assert forecast("predict", "run=run", "hydra.run.dir=new") == 0
    told = capsys.readouterr().out
    assert told.count(" temp_max ") == 6 and told.count(" wind ") == 6 and "... 16 more rows" in told
    assert load("run/model").columns.units == ("°C", "m/s")


def test_the_minimum_of_made_sales_holds_in_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    size = (
        "data.made.stores=1",
        "data.made.items=4",
        "data.made.days=120",
        "context_length=8",
        "data.columns.known=[]",
    )
    assert forecast("train", *TINY, "data=made_sales", *size, *FAST) == 0
    for name in ("forecast", "test"):
        frame = pd.read_parquet(f"run/{name}.parquet")
        assert frame.filter(regex=r"^forecast|^q").min().min() >= 0
    assert re.search(
        r"\d+ of \d+ .*below the minimum", capsys.readouterr().err + Path("run/log.txt").read_text(encoding="utf-8")
    )


def test_an_ensemble_of_models_and_seeds_is_trained_saved_and_forecasts(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("data.path=my.csv", "horizon=4", "ensemble.members=[gru,linear]", "ensemble.seeds=2", "seed=5", *FAST)
    made_frame().to_csv("my.csv", index=False)
    assert forecast("train", *TINY, *words) == 0
    assert "ensemble of gru, linear with 2 seeds each, horizon 4" in " ".join(capsys.readouterr().out.split())
    saved = load("run/model")
    assert isinstance(saved, Ensemble)
    made = [(member.model["_target_"].rsplit(".", 1)[1], member.seed) for member in saved.members_]
    assert made == [("Recurrent", 5), ("Recurrent", 6), ("Linear", 5), ("Linear", 6)]
    assert saved.members_[0].model["hidden_size"] == 4  # the model chosen keeps the settings given
    card = json.loads(Path("run/card.json").read_text(encoding="utf-8"))
    assert card["networks"] == 4 and card["weights"] == "0.25, 0.25, 0.25, 0.25"
    assert list(pd.read_csv("run/metrics.csv")["model"]) == ["ensemble", "naive"]
    assert forecast("predict", "run=run", "hydra.run.dir=new") == 0
    assert Path("new/forecast.csv").read_bytes() == Path("run/forecast.csv").read_bytes()


def test_weights_by_validation_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("ensemble.members=[gru,linear]", "ensemble.weights=validation", "ensemble.combine=mean", *FAST)
    assert forecast("train", *TINY, *words) == 0
    told = re.findall(r"weights by validation: (\d\.\d\d) member 0 .*, (\d\.\d\d) member 1 ", capsys.readouterr().out)
    assert len(told) == 2  # of the score, and of the final fit
    assert all(sum(map(float, weights)) == pytest.approx(1, abs=0.011) for weights in told)


def test_members_may_be_the_same_model_with_other_settings(capsys: pytest.CaptureFixture[str]) -> None:
    members = "ensemble.members=[gru,{gru:{layers:2,bypass:false}},{deepar:{layers:1}}]"
    assert forecast("train", *TINY, members, *FAST, "hydra.run.dir=run") == 0
    ensemble = load("run/model")
    assert isinstance(ensemble, Ensemble)
    first, second, third = (member.model for member in ensemble.members_)
    assert second == {**first, "layers": 2, "bypass": False} and first["hidden_size"] == 4
    assert third == {**read("model", "deepar"), "layers": 1}
    assert [type(member.model_.loss).__name__ for member in ensemble.members_] == ["Quantile", "Quantile", "StudentT"]
    assert "ensemble of gru, gru layers=2 bypass=False, deepar layers=1" in " ".join(capsys.readouterr().out.split())


def test_a_member_has_its_own_loss_and_scaling_beside_a_model_that_brings_others() -> None:
    words = ("model=deepar", "ensemble.members=[deepar,linear]", *TINY[:-1], *FAST, "training.steps=1")
    assert forecast("train", *words) == 0
    ensemble = load("run/model")
    assert isinstance(ensemble, Ensemble)
    assert [type(member.model_.loss).__name__ for member in ensemble.members_] == ["StudentT", "Quantile"]


def test_one_member_is_no_ensemble() -> None:
    assert forecast("train", *TINY, "ensemble.members=[gru]", *FAST) == 0
    assert list(pd.read_csv("run/metrics.csv")["model"]) == ["gru", "naive"]
    assert not isinstance(load("run/model"), Ensemble)


def test_scenarios_are_forecast_side_by_side(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("predict", f"run='{known / 'run'}'", f"data.path='{known / 'my.csv'}'")
    scenarios = f"{{price up: '{known / 'up.csv'}', price down: '{known / 'price down.csv'}'}}"
    assert forecast(*words, f"data.future={scenarios}", "hydra.run.dir=both") == 0
    assert "2 series forecast 4 steps ahead under 2 scenarios" in capsys.readouterr().out
    both = pd.read_parquet("both/forecast.parquet")
    assert list(both)[:4] == ["unique_id", "ds", "scenario", "forecast"]
    assert list(both["scenario"].unique()) == ["price up", "price down"] and len(both) == 16
    assert {"figures/forecast.png", "forecast.csv"} <= files_in(Path("both"))
    for name, file in (("price up", "up.csv"), ("price down", "price down.csv")):
        assert forecast(*words, f"data.future='{known / file}'", f"hydra.run.dir='{name}'") == 0
        alone = pd.read_parquet(Path(name) / "forecast.parquet")
        own = both[both["scenario"] == name].drop(columns="scenario").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, alone, check_exact=True)


@pytest.mark.parametrize(
    ("future", "told"),
    [
        ("short.csv", "known covariates 'price', 'promo' missing for 2 rows of the horizon."),
        ("{dear: up.csv, cheap: short.csv}", "scenario 'cheap': known covariates 'price', 'promo' missing for 2 rows"),
    ],
)
def test_rows_that_a_future_lacks_are_listed(
    future: str, told: str, known: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(known)
    assert forecast("predict", "run=run", "data.path=my.csv", f"data.future={future}", "hydra.run.dir=none") == 2
    first, *rows = capsys.readouterr().err.splitlines()
    assert first.startswith(f"forecast: {told}")
    assert rows == ["  series 's1': 2024-03-03 00:00:00 to 2024-03-04 00:00:00 (2 rows)"]


@pytest.mark.parametrize(
    ("future", "told"),
    [
        ("[up.csv]", "data.future is a file, or {NAME: FILE, ...} of scenarios, got ['up.csv']."),
        ("{dear: {cheap: up.csv}}", "data.future is a file, or {NAME: FILE, ...} of scenarios"),
        ("{}", "future names no scenario"),
        ("{dear: none.csv}", "there is no file 'none.csv'"),
        ("none.csv", "there is no file 'none.csv'"),
    ],
)
def test_what_is_no_future_is_refused(
    future: str, told: str, known: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(known)
    assert forecast("predict", "run=run", "data.path=my.csv", f"data.future={future}", "hydra.run.dir=none") == 2
    assert capsys.readouterr().err.startswith(f"forecast: {told}")
