"""Run folders that somebody forged: what `resume=`, `run=` and `warm_start=` take from one, and what they refuse."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import files_in, forecast
from forging import BOMB, DEEP, HUGE, nothing_runs
from frames import made_frame

from forecast import Forecaster, Training, jobs
from forecast.errors import ArtifactError
from forecast.jobs.settings import plain
from forecast.jobs.warm_start import ORIGIN, _before
from forecast.run_folder import output_folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with nothing_runs():
        yield


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a saved forecaster."""
    network = {"_target_": "forecast.networks.recurrent.Recurrent", "hidden_size": 4}
    forecaster = Forecaster(
        network, horizon=3, context_length=6, training=Training(steps=2), accelerator="cpu", progress=False
    )
    return forecaster.fit(made_frame()).save(tmp_path_factory.mktemp("kept") / "model").parent


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a run that was interrupted leaves."""
    (tmp_path / "run" / ".hydra").mkdir(parents=True)
    put_words(tmp_path / "run", ["horizon=3"])
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def began(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The settings of the trainings that would have begun."""
    began: list[dict[str, Any]] = []
    monkeypatch.setitem(jobs.JOBS, "train", lambda config: began.append(plain(config)))
    return began


@pytest.mark.parametrize(
    "word",
    [
        "hydra.job_logging.handlers.evil._target_=os.system",
        "hydra.job_logging={version: 1, handlers: {evil: {(): os.system, command: touch hacked}}}",
        "+hydra.callbacks.evil._target_=os.system",
        "hydra/launcher=joblib",
        "hydra/job_logging=default",
        "hydra.run.dir=/tmp/elsewhere",
        "hydra.searchpath=[file:///tmp/evil]",
        "~hydra.callbacks.claims",
        "+group@hydra.callbacks.evil=name",
        "data@_global_=stocks",
        "--config-dir=/tmp/evil",
        "--multirun",
        "-m",
        "--debug",
        "data=../../../tmp/evil",
        "+experiment=../../tmp/evil",
        "experiment='../evil'",
        "data=[sales,../evil]",
        "+../evil=evil",
        "model._target_=os.system",
        "+model._target_=os.system",
        "model={_target_: os.system}",
        "model={hidden_size: {_target_: os.system}}",
        "training.optimizer={'_target_': os.system}",
        "data.path=${oc.env:HOME}",
        "data.path='${oc.env:HOME}'",
        "data.path=${oc.${horizon}:HOME}",
        "data.unit={m: '${oc.env:HOME}'}",
        "logger.name=../../elsewhere",
        "logger={_target_: lightning.pytorch.loggers.CSVLogger, name: ../../elsewhere}",
        "+model={a: {_target_: os.system}}",
        "+accelerator.plugins=[evil]",
        "+accelerator.default_root_dir=/tmp/elsewhere",
        "accelerator={accelerator: cpu, profiler: simple}",
        "accelerator={strategy: {a: b}}",
        "accelerator.devices=[[0]]",
        "resume=elsewhere",
        "no word",
        "",
        "horizon=" + "[" * 2000,
        "\0",
    ],
)
def test_no_word_of_a_folder_reaches_beyond_the_job(
    word: str, run: Path, began: list[dict[str, Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    put_words(run, ["horizon=3", word])
    before = files_in(run)
    assert forecast("train", f"resume={run}") == 2
    told = capfd.readouterr().err
    assert "is more than a setting of the job" in told and "hydra.run.dir=" in told and "Traceback" not in told
    assert files_in(run) == before and not began


def test_the_settings_of_the_job_itself_are_taken(run: Path, began: list[dict[str, Any]]) -> None:
    words = [
        "model=lstm", "model.hidden_size=4", "data=stocks", "data.path='my file=3.csv'", "experiment=demo",
        "training.freeze=[recurrent]", "loss.levels=[0.1,0.5,0.9]", "context_length=${horizon}", "seed=3",
        "ensemble={seeds: 2}", "logger=none", "data.columns.target=my_target_x", "data.columns.id=_target_",
        "data.unit={my_target_x: m}", "accelerator=cpu", "accelerator.devices=1", "+accelerator.num_nodes=1",
        "+accelerator={strategy: auto, devices: [0]}",
    ]  # fmt: skip
    put_words(run, words)
    assert forecast("train", f"resume={run}", "progress=false") == 0
    (settings,) = began
    assert (settings["model"]["cell"], settings["data"]["path"], settings["seed"]) == ("lstm", "my file=3.csv", 3)
    assert settings["context_length"] == settings["horizon"] and not settings["progress"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "{a: b}",
        "[[a]]",
        "[3]",
        "&a [*a]",
        BOMB,
        "[" * DEEP,
        "!!python/object/apply:os.system [a]",
        "\0",
        "[null]",
    ],
)
@pytest.mark.parametrize("name", ["overrides.yaml", "hydra.yaml"])
def test_what_hydra_wrote_is_checked(name: str, text: str, run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run / ".hydra" / name).write_text(text, encoding="utf-8")
    assert forecast("train", f"resume={run}") == 2
    told = capfd.readouterr().err
    assert told.startswith("forecast: ") and "Traceback" not in told


@pytest.mark.parametrize("name", ["os.system", "../evil", "predict\n", None, 3, ["train"]])
def test_the_job_that_wrote_a_folder_is_one_of_ours(name: Any, run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run / ".hydra" / "hydra.yaml").write_text(json.dumps({"hydra": {"job": {"config_name": name}}}), encoding="utf-8")
    assert forecast("train", f"resume={run}") == 2
    assert "names no job" in capfd.readouterr().err


@pytest.mark.parametrize("place", ["log.txt", "figures", ".hydra/config.yaml", ".hydra", "model/panel.json"])
def test_a_link_in_a_folder_is_not_written_through(
    place: str, run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "victim"
    if place == ".hydra":
        (run / ".hydra").rename(victim)
    else:
        victim.write_text("mine", encoding="utf-8")
    (run / place).parent.mkdir(exist_ok=True)
    (run / place).symlink_to(victim)
    before = files_in(tmp_path)
    assert forecast("train", f"resume={run}") == 2
    assert "leads out of the folder or is no file" in capfd.readouterr().err
    assert files_in(tmp_path) == before
    assert place == ".hydra" or victim.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("target", ["../log.txt", "checkpoints/last.txt", "gone.txt"])
def test_a_link_that_stays_in_the_folder_is_taken(target: str, run: Path, began: list[dict[str, Any]]) -> None:
    for name in ("log.txt", "wandb/checkpoints/last.txt"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("of the run", encoding="utf-8")
    (run / "wandb" / "latest").symlink_to(target)
    (run / "wandb" / "folder").symlink_to("checkpoints")
    assert forecast("train", f"resume={run}") == 0 and len(began) == 1


def test_a_file_that_goes_while_the_folder_is_looked_through_is_no_matter(
    run: Path, began: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = os.walk

    def walked(top: Path) -> Any:
        for place, folders, files in walk(top):
            yield place, folders, [*files, "gone"]

    monkeypatch.setattr(os, "walk", walked)
    assert forecast("train", f"resume={run}") == 0 and len(began) == 1


@pytest.mark.skipif(os.name == "nt", reason="backslashes part folders")
@pytest.mark.parametrize("name", ["a\\b", "it's", "a\\'b", "end\\", "two\\\\", "a\\\\'b'", "a b, c=d"])
def test_a_folder_of_any_name_is_resumed_in_its_place(
    name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote: list[Path] = []
    monkeypatch.setitem(jobs.JOBS, "train", lambda config: wrote.append(output_folder()))
    folder = run.rename(tmp_path / name)
    assert forecast("train", f"resume={folder}") == 0
    assert wrote == [folder] and [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "card", ["[", "[1]", "3", '"elsewhere"', '{"went on from": 3}', '{"went on from": ["a"]}', "[" * DEEP, HUGE]
)
def test_a_card_that_is_none_is_refused(card: str, kept: Path, run: Path) -> None:
    shutil.copytree(kept / "model", run / "model")
    (run / "card.json").write_text(card, encoding="utf-8")
    with pytest.raises(ArtifactError, match="card"):
        _before(run, {"accelerator": "cpu"})


@pytest.mark.parametrize("length", [1, 3])
def test_runs_that_went_on_from_one_another_in_a_circle_are_refused(length: int, kept: Path, tmp_path: Path) -> None:
    for number in range(length):
        folder = tmp_path / f"run{number}"
        shutil.copytree(kept / "model", folder / "model")
        after = str(tmp_path / f"run{(number + 1) % length}" / "model")
        (folder / "card.json").write_text(json.dumps({ORIGIN: after}), encoding="utf-8")
    with pytest.raises(ArtifactError, match="went on from it in turn"):
        _before(tmp_path / "run0", {"accelerator": "cpu"})


def put_words(run: Path, words: list[str]) -> None:
    """Write what Hydra writes of a run that the job train has begun."""
    (run / ".hydra" / "overrides.yaml").write_text(json.dumps(words), encoding="utf-8")
    (run / ".hydra" / "hydra.yaml").write_text("hydra: {job: {config_name: train}}", encoding="utf-8")
