"""The job diagnose: a saved run in, tables, figures, a report and a sentence out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import TINY, files_in, forecast, streams_in
from frames import made_frame

from forecast import Forecaster, Training
from forecast.calibrated import load
from forecast.errors import ArtifactError
from forecast.jobs.trained_on import history_of, table_of

QUICK = (*TINY, "context_length=14", "horizon=7", "test.windows=0")
TABLES = {"gradients", "saturation", "memory", "reach", "history"}
FIGURES = {f"figures/{name}.png" for name in ("gradients", "memory", "gates", "norms")}
HYDRA = {".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table of one's own, and its diagnosis."""
    folder = tmp_path_factory.mktemp("place")
    with streams_in(folder) as (out, _):
        made_frame(rows=120).to_csv("my.csv", index=False)
        assert forecast("train", *QUICK, "data.path=my.csv", "hydra.run.dir=run") == 0
        begun = out.tell()
        assert forecast("diagnose", "run=run", "contexts=[24,500]", "hydra.run.dir=found") == 0
        (folder / "told.txt").write_text(out.getvalue()[begun:], encoding="utf-8")
    return folder


def test_it_leaves_tables_figures_and_a_report(place: Path) -> None:
    tables = {f"diagnosis/{name}.csv" for name in TABLES}
    assert files_in(place / "found") == tables | FIGURES | HYDRA | {"report.html", "log.txt"}
    gradients = pd.read_csv(place / "found" / "diagnosis" / "gradients.csv")
    assert set(gradients["context"]) == {14, 24} and set(gradients["when"]) == {"before", "after"}


def test_a_person_reads_what_it_comes_to(place: Path) -> None:
    told = (place / "told.txt").read_text(encoding="utf-8")
    assert max(map(len, told.splitlines())) <= 100
    words = " ".join(told.split())
    for part in ("13 steps back, the gradient in gru has", "context 500 is left out", "run folder: found"):
        assert part in words
    page = (place / "found" / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") == 4 and "13 steps back" in page and "context 500 is left out" in page
    assert "13 steps back" in (place / "found" / "log.txt").read_text(encoding="utf-8")


def test_a_run_keeps_the_course_of_its_training(place: Path) -> None:
    history = pd.read_csv(place / "run" / "training.csv")
    assert history["step"].tolist() == [1, 2, 3]
    assert (history[["gradient_norm", "weight_norm"]] > 0).all(axis=None)
    own = pd.read_csv(place / "found" / "diagnosis" / "history.csv")
    np.testing.assert_allclose(own["gradient_norm"], history["gradient_norm"])


def test_windows_end_where_the_model_was_trained_to(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    trained = load(place / "run" / "model").panel_
    assert table_of(place / "run", trained).ends.tolist() == [120, 120]
    earlier = trained.until(trained.ends - [5, 99])  # as with final=false; the second series was not trained on
    assert table_of(place / "run", earlier).ends.tolist() == [115]


def test_another_table_may_be_given(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made_frame(rows=90, seed=3).to_csv("other.csv", index=False)
    words = ("contexts=[]", "hydra.run.dir=found")
    assert forecast("diagnose", f"run={place / 'run' / 'model'}", "data.path=other.csv", *words) == 0
    assert files_in(tmp_path / "found") >= {"diagnosis/gradients.csv", "figures/gradients.png"}


def test_a_table_that_is_gone_is_asked_for(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert forecast("diagnose", f"run={place / 'run'}", "hydra.run.dir=found") == 2
    told = capfd.readouterr().err
    assert "there is no file 'my.csv'" in told and "Add data.path=FILE" in told and not Path("found").exists()
    Forecaster("linear", horizon=7, training=Training(steps=1), progress=False).fit(made_frame()).save("alone")
    assert forecast("diagnose", "run=alone", "hydra.run.dir=found") == 2
    assert "Add data.path=FILE" in capfd.readouterr().err


def test_a_table_that_has_changed_is_told(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = load(place / "run" / "model").panel_
    shutil.copy(place / "my.csv", "my.csv")
    table_of(place / "run", trained)
    assert not caplog.records
    made_frame(rows=130, seed=1).to_csv("my.csv", index=False)
    assert table_of(place / "run", trained).ends.tolist() == [120, 120]
    assert "the table has changed" in caplog.text


def test_a_card_that_is_none_is_refused(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained = load(place / "run" / "model").panel_
    card = json.loads((place / "run" / "card.json").read_text(encoding="utf-8"))
    for settings in (None, {"data": 3}, {"data": {"path": ["a"]}}, {"data": {"surprise": 1}}):
        (tmp_path / "card.json").write_text(json.dumps({**card, "settings": settings}), encoding="utf-8")
        with pytest.raises(ValueError, match="Add data.path=FILE"):
            table_of(tmp_path, trained)


@pytest.mark.parametrize("content", ["", "step\n1\n", "step,gradient_norm,weight_norm\n1,a,2\n"])
def test_a_course_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "training.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ArtifactError, match="does not tell the norms"):
        history_of(tmp_path, member=None)


def test_of_an_ensemble_one_network_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    several = ("data=sales", "ensemble.seeds=2", "test.windows=0", "hydra.run.dir=run")
    assert forecast("train", *TINY, "context_length=14", *several) == 0
    assert forecast("diagnose", "run=run", "member=1", "contexts=[]", "hydra.run.dir=found") == 0
    assert "member 1 (gru, seed 1)" in " ".join(capfd.readouterr().out.split())
    course = pd.read_csv("run/training.csv")
    own = course.loc[course["member"] == "member 1 (gru, seed 1)", "gradient_norm"]
    np.testing.assert_allclose(pd.read_csv("found/diagnosis/history.csv")["gradient_norm"], own)
    assert forecast("diagnose", "run=run", "member=2", "hydra.run.dir=other") == 2
    assert "member=2, and the run has 2 networks, counted from 0" in capfd.readouterr().err
