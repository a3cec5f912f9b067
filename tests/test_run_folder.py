"""The folder of a run: one run at a time, none after a refusal, and one message where it cannot be written."""

from __future__ import annotations

import errno
import io
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import TINY, files_in, forecast
from frames import made_frame

from forecast import jobs
from forecast.errors import ConfigError, WriteError
from forecast.run_folder import Claims, LogFile, claim, output_folder, release, unused, withdraw
from forecast.schema import JOBS

RUN = ("horizon=3", "hydra.run.dir=run")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where the trainings were that would have run."""
    seen: list[Path] = []
    monkeypatch.setitem(jobs.JOBS, "train", lambda config: seen.append(output_folder()))
    return seen


@pytest.mark.parametrize("job", sorted(JOBS))
def test_a_second_run_in_a_folder_is_refused_and_touches_nothing(
    job: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = dict.fromkeys(("predict", "diagnose", "export"), ("run=model",)) | {"compare": ("horizons=[3]",)}
    words = given.get(job, ("horizon=3",))
    with _holder(tmp_path / "run"):
        (tmp_path / "run" / "log.txt").write_text("of the first run", encoding="utf-8")
        before = files_in(tmp_path)
        assert forecast(job, *words, "hydra.run.dir=run") == 2
        told = capfd.readouterr().err
        assert told.startswith("forecast: another run is writing to '") and told.count("\n") == 1
        assert files_in(tmp_path) == before
        assert (tmp_path / "run" / "log.txt").read_text(encoding="utf-8") == "of the first run"


def test_a_run_that_was_killed_holds_its_folder_no_longer(tmp_path: Path, folders: list[Path]) -> None:
    with _holder(tmp_path / "run") as holder:
        holder.kill()
        holder.wait()
        assert (tmp_path / "run" / ".lock").exists()
    assert forecast("train", *RUN) == 0 and folders == [tmp_path / "run"]
    assert ".lock" not in files_in(tmp_path / "run")


def test_the_folder_is_held_while_the_run_lasts_and_free_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import sys; from forecast.run_folder import claim; claim(sys.argv[1])"
    held: list[int] = []

    def job(config: object) -> None:
        held.append(subprocess.run([sys.executable, "-c", script, "run"], stderr=subprocess.DEVNULL).returncode)

    monkeypatch.setitem(jobs.JOBS, "train", job)
    assert forecast("train", *RUN) == 0 and held == [1]
    assert subprocess.run([sys.executable, "-c", script, "run"]).returncode == 0


def test_further_processes_of_a_run_share_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _holder(tmp_path / "run"):
        with pytest.raises(WriteError, match="another run is writing"):
            claim(tmp_path / "run")
        monkeypatch.setenv("LOCAL_RANK", "1")  # as Lightning starts them
        claim(tmp_path / "run")


@pytest.mark.parametrize("words", [("train", "horizon=3"), ("train", "-m", "horizon=3,4")])
def test_runs_of_one_instant_have_folders_of_their_own(
    words: tuple[str, ...], tmp_path: Path, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import hydra.core.utils as clock

    monkeypatch.setattr(clock, "datetime", _Stopped)
    for _ in range(3):
        assert forecast(*words) == 0
    made = sorted(path.name for path in (tmp_path / "outputs" / "train").iterdir())
    assert made == ["2024-05-06_07-08-09", "2024-05-06_07-08-09_2", "2024-05-06_07-08-09_3"]
    assert len(set(folders)) == len(folders)


def test_a_name_that_another_run_took_in_the_same_instant_is_chosen_anew(
    tmp_path: Path, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import hydra.core.utils as clock

    from forecast import run_folder

    monkeypatch.setattr(clock, "datetime", _Stopped)
    first = tmp_path / "outputs" / "train" / "2024-05-06_07-08-09"
    answers = iter([first])  # looked free, and is not any more
    monkeypatch.setattr(run_folder, "unused", lambda path: str(next(answers, None) or unused(path)))
    with _holder(first):
        assert forecast("train", "horizon=3") == 0
    assert folders == [first.with_name(f"{first.name}_2")]


@pytest.mark.slow
def test_looking_at_settings_makes_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("--help",), ("--cfg", "job"), ("--cfg", "hydra"), ("--cfg", "all", "--resolve")):
        forecast("train", "horizon=3", *words)
        capsys.readouterr()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("train", "horizon=0"),
        ("train", "data.path=none.csv", "horizon=3"),
        ("train", "data.path=my.csv", "data.columns.target=z", "horizon=3"),
        ("backtest", "backtest.folds=0"),
        ("predict", "run=none"),
        ("train", "-m", "model=gruu,gru"),
    ],
)
def test_a_refused_run_leaves_no_folder(words: tuple[str, ...], tmp_path: Path) -> None:
    made_frame().to_csv("my.csv", index=False)
    assert forecast(*words) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["my.csv"]
    open_files = [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.FileHandler)]
    assert not [handler for handler in open_files if str(tmp_path) in handler.baseFilename]


def test_a_refused_run_leaves_a_folder_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert forecast("train", "horizon=0", "hydra.run.dir=run") == 2
    assert "log.txt" in files_in(tmp_path / "run")
    assert forecast("train", "horizon=0", "hydra.run.dir=outputs/other") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_refusal_keeps_what_the_run_has_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def job(config: object) -> None:
        (output_folder() / "checkpoints").mkdir()
        raise ConfigError("enough")

    monkeypatch.setitem(jobs.JOBS, "train", job)
    assert forecast("train", *RUN) == 2
    assert (tmp_path / "run" / "checkpoints").is_dir() and "log.txt" in files_in(tmp_path / "run")


def test_runs_of_a_sweep_that_fail_keep_their_reason_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def job(config: object) -> None:
        failing = {3: RuntimeError("a bug\nwith more"), 4: ConfigError("a refusal")}.get(config.horizon)  # type: ignore[attr-defined]
        if failing is not None:
            raise failing
        (output_folder() / "metrics.csv").write_text("model,mase\ngru,1\nnaive,2\n", encoding="utf-8")

    monkeypatch.setitem(jobs.JOBS, "train", job)
    assert forecast("train", "-m", "horizon=3,4,5", "hydra.sweep.dir=sweep") == 2
    told = capfd.readouterr()
    assert "run 0 failed: RuntimeError: a bug. This is a bug of this program" in told.err
    assert "run 1 failed: a refusal" in told.err and "Traceback" not in told.err + told.out
    reasons = {run: (tmp_path / "sweep" / run / "failed.txt").read_text(encoding="utf-8") for run in "01"}
    assert reasons["1"] == "a refusal" and "log.txt" in reasons["0"]
    assert "Traceback" in (tmp_path / "sweep" / "0" / "log.txt").read_text(encoding="utf-8")
    assert (tmp_path / "sweep" / "2" / "metrics.csv").is_file()
    assert not list(tmp_path.rglob(".lock"))


def test_a_sweep_into_a_folder_where_a_run_is_at_work_is_refused_and_touches_nothing(
    tmp_path: Path, folders: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with _holder(tmp_path / "sweep" / "1"):
        before = files_in(tmp_path)
        assert forecast("train", "-m", "horizon=3,4", "hydra.sweep.dir=sweep") == 2
        told = capfd.readouterr().err
        assert f"another run is writing to '{tmp_path / 'sweep' / '1'}'" in told and told.count("\n") == 1
        assert files_in(tmp_path) == before and not folders
    assert forecast("train", "-m", "horizon=3,4", "hydra.sweep.dir=sweep") == 0  # what was killed holds nothing


def test_a_run_of_a_sweep_that_another_took_meanwhile_ends_the_sweep_and_leaves_no_word_there(
    tmp_path: Path, folders: list[Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with _holder(tmp_path / "sweep" / "1"):
        monkeypatch.setattr(Claims, "on_multirun_start", lambda *args, **kwargs: None)  # it came after that
        assert forecast("train", "-m", "horizon=3,4", "hydra.sweep.dir=sweep") == 2
        assert "another run is writing" in capfd.readouterr().err
        assert folders == [tmp_path / "sweep" / "0"] and not list(tmp_path.rglob("failed.txt"))


def test_a_run_that_ends_well_has_no_word_of_an_earlier_failure(tmp_path: Path, folders: list[Path]) -> None:
    for run in ("run", "sweep/0"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "failed.txt").write_text("of the run before", encoding="utf-8")
    assert forecast("train", *RUN) == 0
    assert forecast("train", "-m", "horizon=3", "hydra.sweep.dir=sweep") == 0
    assert len(folders) == 2 and not list(tmp_path.rglob("failed.txt"))


def test_a_sweep_that_keeps_no_words_tells_of_its_failures(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def job(config: object) -> None:
        raise ConfigError("a refusal")

    monkeypatch.setitem(jobs.JOBS, "train", job)
    assert forecast("train", "-m", "horizon=3,4", "hydra.sweep.dir=sweep", "hydra.output_subdir=null") == 2
    assert "run 1 failed: a refusal" in capfd.readouterr().out


def test_what_nobody_foresaw_ends_in_one_line_with_its_trace_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def job(config: object) -> None:
        raise RuntimeError("out of luck\nand more of it")

    monkeypatch.setitem(jobs.JOBS, "train", job)
    assert forecast("train", *RUN) == 1
    told = capfd.readouterr().err
    assert told.startswith("forecast: RuntimeError: out of luck. This is a bug of this program, or a limit of the")
    assert told.count("\n") == 1 and "--debug" in told and str(tmp_path / "run" / "log.txt") in told
    assert "Traceback" in (tmp_path / "run" / "log.txt").read_text(encoding="utf-8")
    with pytest.raises(RuntimeError, match="out of luck"):
        forecast("train", *RUN, "--debug")


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path, folders: list[Path]) -> None:
    (tmp_path / "run" / ".model.0123abcd.part").mkdir(parents=True)
    (tmp_path / "run" / ".forecast.csv.0123abcd.part").write_text("half", encoding="utf-8")
    (tmp_path / "run" / ".mine.part").write_text("of the user", encoding="utf-8")
    assert forecast("train", *RUN) == 0
    assert sorted(path.name for path in (tmp_path / "run").glob(".*.part")) == [".mine.part"]


def test_leftovers_are_looked_for_only_where_a_run_writes(tmp_path: Path, folders: list[Path]) -> None:
    name = ".model.0123abcd.part"
    ours = [Path(place) for place in (".", "checkpoints", "checkpoints/final/refit", "figures")]
    theirs = [Path(place) for place in ("other", "other/checkpoints", "outputs/train/1", "checkpoints/theirs/final")]
    for place in (*ours, *theirs):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / name).write_text("half", encoding="utf-8")
    (tmp_path / "checkpoints" / "theirs" / ".hydra").mkdir()
    assert forecast("train", "horizon=3", "hydra.run.dir=.") == 0
    assert {path.parent for path in tmp_path.rglob(name)} == {tmp_path / place for place in theirs}


def test_a_refused_run_and_a_sweep_remove_nothing(tmp_path: Path, folders: list[Path]) -> None:
    (tmp_path / ".model.0123abcd.part").mkdir()
    assert forecast("train", "-m", "horizon=3", "hydra.sweep.dir=.") == 0
    assert forecast("predict", "run=none", "hydra.run.dir=.") == 2
    assert (tmp_path / ".model.0123abcd.part").is_dir()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_that_knows_no_locks_is_written_with_a_warning(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    def refuse(handle: int, wanted: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    claim(tmp_path / "run")
    assert caplog.text.count("cannot be locked") == 1
    release()
    assert files_in(tmp_path) == set()
    claim(tmp_path / "run")  # nothing of the first is in the way
    release()


def test_a_claim_that_fails_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    def refuse(lock: object, *args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.raises(WriteError, match="Input/output error"):
        claim(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_gone_is_given_back_without_a_word(tmp_path: Path) -> None:
    for give_back in (withdraw, release):
        claim(tmp_path / "a" / "b")
        shutil.rmtree(tmp_path / "a")
        give_back()
        assert not list(tmp_path.iterdir())


def test_a_lock_that_cannot_be_removed_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    claim(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        release()
    with _holder(tmp_path / "run"):
        pass


@pytest.mark.parametrize("place", ["run", "run/log.txt", "run/.hydra", "outputs"])
def test_a_folder_that_cannot_be_written_ends_in_one_message(
    place: str, tmp_path: Path, folders: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """What stands in the way is of another kind, which refuses the administrator too."""
    if place in ("run", "outputs", "run/.hydra"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("a file", encoding="utf-8")
    else:
        (tmp_path / place).mkdir(parents=True)
    words = ("horizon=3",) if place == "outputs" else RUN
    assert forecast("train", *words) == 2
    told = capfd.readouterr().err
    assert told.startswith("forecast: ") and told.count("\n") == 1 and place.rpartition("/")[2] in told
    assert "Traceback" not in told and not folders


def test_the_disk_that_fills_in_a_run_ends_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert forecast("train", *TINY, "test.windows=0", "hydra.run.dir=run") == 2
    told = capfd.readouterr().err
    assert "there is no room left on the disk. What stood there before is whole. Make room" in told
    assert "Traceback" not in told
    assert not [name for name in files_in(tmp_path / "run") if name.startswith("model/")]


def test_a_log_that_cannot_be_written_is_told_once_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def job(config: object) -> None:
        for number in range(3):
            logging.getLogger("forecast").info("line %d", number)

    monkeypatch.setitem(jobs.JOBS, "train", job)
    monkeypatch.setattr(LogFile, "_open", lambda handler: _Full())
    assert forecast("train", *RUN) == 0
    told = capfd.readouterr().err
    assert told.count("there is no room left on the disk") == 1 and "The run goes on without its log" in told
    assert "Traceback" not in told


def test_a_claim_is_kept_until_it_is_given_back(tmp_path: Path) -> None:
    claim(tmp_path / "a" / "b")
    claim(tmp_path / "a" / "b")
    withdraw()
    assert not list(tmp_path.iterdir())
    claim(tmp_path / "a" / "b")
    release()
    assert not list((tmp_path / "a" / "b").iterdir())


class _Full(io.StringIO):
    """A file on a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class _Stopped:
    """A clock that stands still."""

    @classmethod
    def now(cls) -> object:
        from datetime import datetime

        return datetime(2024, 5, 6, 7, 8, 9)


class _holder:
    """Another process that holds a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> subprocess.Popen[str]:
        script = (
            "import sys, time; from forecast.run_folder import claim\n"
            "claim(sys.argv[1]); print('held', flush=True); time.sleep(600)"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(self.folder)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None and self.process.stdout.readline() == "held\n"
        return self.process

    def __exit__(self, *stopped: object) -> None:
        self.process.kill()
        self.process.communicate()
