"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from command import forecast

from forecast import Training
from forecast.config import shipped_folder

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").is_file() else ""
COMMANDS = [line.strip() for line in README.splitlines() if re.match(r"( {4}|\$ |)forecast (train|predict) ", line)]

pytestmark = pytest.mark.skipif(not README, reason="there is no README beside the package")


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_composes(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line.removeprefix("$ "), comments=True)[1:]
    if "-m" in words:  # the first run of a sweep stands for all
        words = [re.sub(r"=([^,\[]+),.*", r"=\1", word) for word in words if word != "-m"]
    assert forecast(*words, "--cfg", "job") == 0
    assert not list(tmp_path.iterdir())


def test_there_are_commands_and_code() -> None:
    assert len(COMMANDS) >= 3 and _python()


def test_the_python_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks in order, in one namespace, with three steps of training each."""
    shutil.copytree(shipped_folder(), tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    check = Training.check

    def three_steps(training: Training) -> None:
        check(training)
        training.steps = 3

    monkeypatch.setattr(Training, "check", three_steps)
    namespace: dict[str, Any] = {"__name__": "readme"}
    for number, block in enumerate(_python()):
        exec(compile(block, f"README.md, block {number}", "exec"), namespace)


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README)
    assert links and not [link for link in links if not (ROOT / link).exists()]


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^ {4}make ([\w-]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_commands_without_make_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name, value in (("PIP", "$(BIN)/python -m pip install --disable-pip-version-check -q"), ("BIN", ".venv/bin")):
        makefile = makefile.replace(f"$({name})", value)
    recipes = re.findall(r"^\t@?(\.venv/bin/python -m .*)$", makefile, re.MULTILINE)
    told = re.findall(r"^ {4}(\.venv/bin/python -m .*)$", README, re.MULTILINE)
    assert len(told) == 4
    assert set(told) <= {line.replace(" --disable-pip-version-check -q", "") for line in recipes}


def _python() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
