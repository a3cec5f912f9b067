"""The jobs tell why a network forecasts as it does, and where it fails: tables, figures, the report, one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from command import TINY, files_in, forecast
from frames import made_frame

COVARIATES = (
    "data.columns.past=[temp,mood]", "data.columns.known=[price,promo]", "data.columns.static=[size,region]",
)  # fmt: skip
WORDS = (*TINY, "data.path=my.csv", "horizon=4", "hydra.run.dir=run")
ALWAYS = {"importance.csv", "figures/importance.png"}
FIGURES = {f"figures/{name}.png" for name in ("error_by_series", "error_by_time", "worst")}
CAPTIONS = ("The series that it fails on most", "Error by series", "Error by time", "Importance of covariates")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made_frame(series=6, covariates=True).to_csv("my.csv", index=False)


@pytest.mark.parametrize(("job", "more"), [("train", ("final=false",)), ("backtest", ("backtest.folds=3",))])
def test_a_run_draws_what_matters_and_where_it_fails(
    job: str, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert forecast(job, *WORDS, *COVARIATES, *more) == 0
    assert files_in(Path("run")) >= ALWAYS | FIGURES | {"metrics_by_time.csv"}
    importance = pd.read_csv("run/importance.csv")
    assert set(importance["role"]) == {"past", "known", "static", "calendar"} and len(importance) == 7
    by_time = pd.read_csv("run/metrics_by_time.csv")
    assert set(by_time["unit"]) == {"weekday"}  # the windows lie in one month
    page = Path("run/report.html").read_text(encoding="utf-8")
    places = [page.index(caption) for caption in CAPTIONS]
    assert places == sorted(places)
    assert len(page) < 2_000_000
    sentence = r"No covariate helps: none of them, shuffled, clearly raises the MASE|The MASE rises most with"
    for text in (page, capsys.readouterr().out.replace("\n", " ").replace("  ", " ")):
        assert re.search(sentence, text)


def test_nothing_is_shuffled_where_nobody_wants_it() -> None:
    assert forecast("train", *WORDS, *COVARIATES, "importance.repeats=0", "final=false") == 0
    assert not files_in(Path("run")) & ALWAYS


def test_without_a_rival_the_worst_have_the_largest_error_and_without_covariates_none_is_shuffled() -> None:
    made_frame(series=6).assign(z=lambda rows: 1000 + rows["y"]).to_csv("my.csv", index=False)
    assert forecast("train", *WORDS, "data.columns.target=[y,z]", "test.baselines=[]", "final=false") == 0
    files = files_in(Path("run"))
    assert "figures/worst.png" in files and not files & {*ALWAYS, "figures/error_by_series.png"}


@pytest.mark.slow
def test_an_ensemble_and_each_of_several_fits_tell_it() -> None:
    words = ("ensemble.seeds=2", "backtest.refit=true", "backtest.folds=2")
    assert forecast("backtest", *WORDS, *COVARIATES, *words) == 0
    assert files_in(Path("run")) >= ALWAYS


def test_a_number_that_makes_no_sense_is_refused_before_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast("train", *WORDS, *COVARIATES, "importance.repeats=-1") == 2
    assert "importance.repeats is a whole number of 0 or more, got -1" in capsys.readouterr().err
    assert not Path("run/checkpoints").exists()
