"""Files and folders are written whole or not at all: on a full disk, by two at once, and through kill -9."""

from __future__ import annotations

import ast
import errno
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import made_frame

from forecast import Forecaster, Training
from forecast.calibrated import load
from forecast.errors import AbsentError, ArtifactError, WriteError
from forecast.files import STALE, read_regular, write_new, write_whole
from forecast.folders import standing, steadily, whole_folder

ROOT = Path(__file__).parents[1]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return _fitted(seed=0)


@pytest.fixture(scope="module")
def other() -> Forecaster:
    return _fitted(seed=1)


@pytest.mark.parametrize(
    ("number", "reason", "way_out"),
    [
        (errno.ENOSPC, "there is no room left on the disk", "Make room, or choose another folder"),
        (errno.EROFS, "the disk is read-only", "Allow writing there"),
        (errno.EACCES, "permission is denied", "Allow writing there"),
        (errno.EIO, os.strerror(errno.EIO), "choose another folder"),
    ],
)
@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_file_that_cannot_be_written_leaves_the_older_one(
    number: int, reason: str, way_out: str, fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "table.csv", "older")
    monkeypatch.setattr(os, fails, _raises(number))
    with pytest.raises(WriteError, match=rf"cannot write '.*table.csv': {reason}") as told:
        write_whole(tmp_path / "table.csv", "newer")
    assert way_out in str(told.value) and told.value.errno == number
    monkeypatch.undo()
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {"table.csv": "older"}


@forks
def test_a_limit_of_the_system_leaves_the_older_file_and_the_older_forecaster(
    tmp_path: Path, fitted: Forecaster, other: Forecaster
) -> None:
    resource = pytest.importorskip("resource")
    write_whole(tmp_path / "table.csv", "older")
    fitted.save(tmp_path / "model")

    def child() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        for write in (lambda: write_whole(tmp_path / "table.csv", "x" * 2000), lambda: other.save(tmp_path / "model")):
            with pytest.raises(WriteError, match="larger than this system lets it be.*Make room"):
                write()

    assert _forked(child) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "table.csv"]
    assert (tmp_path / "table.csv").read_text(encoding="utf-8") == "older"
    pd.testing.assert_frame_equal(load(tmp_path / "model").predict(), fitted.predict(), check_exact=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only for this user")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, fitted: Forecaster) -> None:
    tmp_path.chmod(0o500)
    try:
        for write in (lambda: write_whole(tmp_path / "table.csv", ""), lambda: fitted.save(tmp_path / "model")):
            with pytest.raises(WriteError, match="permission is denied. .* Allow writing there"):
                write()
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, fitted: Forecaster) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    for write in (
        lambda: write_whole(tmp_path / "taken" / "table.csv", ""),
        lambda: fitted.save(tmp_path / "taken" / "model"),
    ):
        with pytest.raises(WriteError, match="cannot write '.*taken"):
            write()


def test_names_with_blanks_and_other_letters_are_written(tmp_path: Path, fitted: Forecaster) -> None:
    folder = tmp_path / "Größe [1] und 数"
    write_whole(folder / "Tabelle *.csv", "süß")
    assert (folder / "Tabelle *.csv").read_bytes() == "süß".encode()
    for _ in range(2):
        fitted.save(folder / "Modell ?")
    assert sorted(path.name for path in folder.iterdir()) == ["Modell ?", "Tabelle *.csv"]
    pd.testing.assert_frame_equal(load(folder / "Modell ?").predict(), fitted.predict(), check_exact=True)


@pytest.mark.slow
def test_an_ascii_locale_reads_and_writes_every_name(tmp_path: Path, fitted: Forecaster) -> None:
    folder = tmp_path / "Größe und Ähre"
    folder.mkdir()
    made_frame().rename(columns={"y": "größe"}).to_csv(folder / "Größe.csv", index=False)
    words = ("horizon=3", "training.steps=2", "accelerator=cpu", "progress=false", "model.hidden_size=4")
    done = subprocess.run(
        [sys.executable, "-m", "forecast", "train", "data.path='Größe.csv'", "data.columns.target='größe'", *words,
         "hydra.run.dir='Läufe heute'"],
        cwd=folder, env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    assert "größe" in (folder / "Läufe heute" / "report.html").read_text(encoding="utf-8")


def test_what_a_killed_process_was_writing_goes_with_the_next_save(tmp_path: Path, fitted: Forecaster) -> None:
    (tmp_path / ".model.0123abcd.part").mkdir()
    (tmp_path / ".model.0123abcd.part" / "forecaster.yaml").write_text("half", encoding="utf-8")
    (tmp_path / ".table.csv.0123abcd.part").write_text("half", encoding="utf-8")
    (tmp_path / ".table.csv.4567abcd.part").write_text("of another process, just now", encoding="utf-8")
    long_ago = time.time() - 2 * STALE
    for name in (".model.0123abcd.part", ".table.csv.0123abcd.part"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    fitted.save(tmp_path / "model")
    write_whole(tmp_path / "table.csv", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".table.csv.4567abcd.part", "model", "table.csv"]


def test_a_link_planted_under_a_temporary_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fitted: Forecaster
) -> None:
    (tmp_path / "victim").write_text("mine", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(os, "urandom", lambda count: b"\0" * count)  # as if an attacker had guessed it
    (tmp_path / ".table.csv.00000000.part").symlink_to("victim")
    with pytest.raises(WriteError):
        write_whole(tmp_path / "table.csv", "newer")
    (tmp_path / ".model.00000000.part").symlink_to("folder")
    with pytest.raises(WriteError):
        fitted.save(tmp_path / "model")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "victim", b"newer")
    assert (tmp_path / "victim").read_text(encoding="utf-8") == "mine"
    assert not list((tmp_path / "folder").iterdir())


def test_a_file_that_replaces_a_link_leaves_what_it_points_at(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine", encoding="utf-8")
    (tmp_path / "table.csv").symlink_to("victim")
    write_whole(tmp_path / "table.csv", "newer")
    assert (tmp_path / "victim").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "table.csv").is_symlink()


@pytest.mark.parametrize("points_at", ["model", "nowhere"])
def test_saving_onto_a_link_is_refused(points_at: str, tmp_path: Path, fitted: Forecaster) -> None:
    fitted.save(tmp_path / "model")
    before = sorted((tmp_path / "model").iterdir())
    (tmp_path / "link").symlink_to(points_at)
    with pytest.raises(ArtifactError, match="is a symbolic link.*Give the folder itself"):
        fitted.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and sorted((tmp_path / "model").iterdir()) == before


@pytest.mark.parametrize("inside", [True, False])
def test_links_in_a_saved_folder_are_replaced_and_not_followed(
    inside: bool, tmp_path: Path, fitted: Forecaster
) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("irreplaceable", encoding="utf-8")
    saved = fitted.save(tmp_path / "model")
    name = "encoding.json" if inside else "figures"
    (saved / name).unlink(missing_ok=True)
    (saved / name).symlink_to(tmp_path / "theirs", target_is_directory=True)
    if inside:
        fitted.save(saved)
        assert not (saved / name).is_symlink()
    else:
        with pytest.raises(ArtifactError, match="holds 'figures' beside the saved forecaster"):
            fitted.save(saved)
    assert (tmp_path / "theirs" / "thesis.txt").read_text(encoding="utf-8") == "irreplaceable"


@forks
def test_two_processes_that_save_to_one_place_both_end_whole(
    tmp_path: Path, fitted: Forecaster, other: Forecaster
) -> None:
    saved = fitted.save(tmp_path / "model")
    known = [forecaster.predict()["forecast"].tolist() for forecaster in (fitted, other)]

    def saves(forecaster: Forecaster) -> Callable[[], None]:
        return lambda: [forecaster.save(saved) for _ in range(25)] and None

    children = [_fork(saves(forecaster)) for forecaster in (fitted, other)]
    reads = 0
    while any(os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None for child in children):
        assert load(saved).predict()["forecast"].tolist() in known
        reads += 1
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert reads and load(saved).predict()["forecast"].tolist() in known
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@forks
def test_a_save_that_is_killed_leaves_the_old_or_the_new(tmp_path: Path, fitted: Forecaster, other: Forecaster) -> None:
    saved = fitted.save(tmp_path / "model")
    known = [forecaster.predict()["forecast"].tolist() for forecaster in (fitted, other)]
    began = time.monotonic()
    other.save(saved)
    lasts, draw = time.monotonic() - began, random.Random(0)
    for _ in range(12):

        def forever() -> None:
            while True:
                fitted.save(saved)
                other.save(saved)

        child = _fork(forever)
        time.sleep(draw.uniform(0, 3 * lasts))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert load(saved).predict()["forecast"].tolist() in known
    fitted.save(saved)
    assert load(saved).predict()["forecast"].tolist() == known[0]
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".old")]


def test_between_the_two_moves_of_a_save_the_older_folder_is_read(
    tmp_path: Path, fitted: Forecaster, other: Forecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, rename, seen = fitted.save(tmp_path / "model"), Path.rename, []

    def watched(path: Path, target: Path) -> Path:
        if path.name.endswith(".part"):
            assert not saved.exists()
            seen.append(load(saved).predict())
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", watched)
    other.save(saved)
    pd.testing.assert_frame_equal(seen[0], fitted.predict(), check_exact=True)


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    def write(text: str) -> None:
        with whole_folder(tmp_path / "pair") as folder:
            for name in ("first", "second"):
                write_new(folder / name, text.encode())

    def read(folder: Path) -> tuple[bytes, bytes]:
        first = read_regular(folder / "first")
        if first == b"older":
            write("newer")
        return first, read_regular(folder / "second")

    write("older")
    assert steadily(tmp_path / "pair", read) == (b"newer", b"newer")
    with pytest.raises(FileNotFoundError):
        steadily(tmp_path / "nowhere", read)
    assert standing(tmp_path / "nowhere") == tmp_path / "nowhere"


def test_an_absent_forecaster_is_told_as_absent(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="no saved forecaster"):
        load(tmp_path / "nowhere")


def test_every_text_is_read_and_written_as_utf_8() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("forecast", "tests", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _opens_text(node)
    ]
    assert not found, "name the encoding, which is another on other machines:\n" + "\n".join(found)


def _opens_text(call: ast.Call) -> bool:
    """Return whether a call opens a file as text and names no encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if any(keyword.arg in ("encoding", None) for keyword in call.keywords):
        return False
    if name == "read_text":
        return not call.args
    if name == "write_text":
        return len(call.args) < 2
    if name != "open" or _is_other_open(call):
        return False
    place = 0 if isinstance(call.func, ast.Attribute) else 1
    modes = [*call.args[place : place + 1], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return not any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in modes)


def _is_other_open(call: ast.Call) -> bool:
    """Return whether an open is that of a module, which opens no text by itself: os.open, gzip.open."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id in ("os", "gzip")


def _fitted(seed: int) -> Forecaster:
    training = Training(steps=2, batch_size=8)
    quick = {"horizon": 3, "context_length": 6, "training": training, "accelerator": "cpu", "progress": False}
    model = {"_target_": "forecast.networks.recurrent.Recurrent", "hidden_size": 4}
    return Forecaster(model, seed=seed, **quick).fit(made_frame(rows=np.int64(30)))  # type: ignore[arg-type]


def _raises(number: int) -> Callable[..., None]:
    def fail(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def _fork(work: Callable[[], object]) -> int:
    """Do something in a process of its own, which ends without what pytest would do; return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def _forked(work: Callable[[], object]) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(_fork(work), 0)[1])


def test_a_file_in_the_place_of_a_folder_is_named_as_such(tmp_path: Path, fitted: Forecaster) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(WriteError, match="a file is in its place"):
        write_whole(tmp_path / "taken" / "table.csv", "text")


@pytest.mark.slow
def test_an_ascii_locale_runs_no_file_of_the_folder_of_work(tmp_path: Path) -> None:
    (tmp_path / "forecast.py").write_text("print('not ours')", encoding="utf-8")
    command = Path(sys.executable).with_name("forecast")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [command, "train", "--cfg", "job"], cwd=tmp_path, env={**os.environ, **locale}, capture_output=True, text=True
    )
    assert done.returncode == 0 and "not ours" not in done.stdout and "horizon:" in done.stdout
