"""What is installed is pinned by version and hash, and releases known to do harm are not loaded."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from command import TINY, forecast
from packaging.requirements import Requirement

from forecast import releases
from forecast.errors import ConfigError

ROOT = Path(__file__).parents[1]
UNHASHED = {"torch"}  # its builds for CPU and CUDA differ


@pytest.fixture
def infected(monkeypatch: pytest.MonkeyPatch) -> None:
    known = releases.version
    monkeypatch.setattr(releases, "version", lambda name: "2.6.3" if name == "lightning" else known(name))


@pytest.mark.usefixtures("infected")
def test_a_release_that_does_harm_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"lightning 2\.6\.3 is installed, and is not loaded: it carries malware"):
        releases.refuse_known_bad()


@pytest.mark.usefixtures("infected")
def test_the_command_line_refuses_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert forecast("train", *TINY) == 2
    assert "pip install --upgrade" in capfd.readouterr().err


def test_what_is_installed_here_is_not_among_them() -> None:
    releases.refuse_known_bad()


@pytest.mark.parametrize(("package", "release"), [row[:2] for row in releases.KNOWN_BAD if row[0] == "lightning"])
def test_the_requirements_leave_them_out(package: str, release: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [own] = [line for line in map(Requirement, project["dependencies"]) if line.name == package]
    assert not own.specifier.contains(release)
    assert _pinned("constraints.txt")[package] != release


def test_the_lock_pins_what_the_constraints_pin() -> None:
    constraints, lock = _pinned("constraints.txt"), _pinned("requirements.lock")
    assert {name: constraints[name] for name in UNHASHED}
    assert lock == {name: release for name, release in constraints.items() if name not in UNHASHED}


def test_every_requirement_and_what_it_pulls_in_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["test"]])
    assert {_plain(line.name) for line in wanted} <= _pinned("constraints.txt").keys()


def test_every_line_of_the_lock_has_its_hashes() -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text(encoding="utf-8").strip())
    assert len(entries) > 50
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def _pinned(file: str) -> dict[str, str]:
    found = re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", (ROOT / file).read_text(encoding="utf-8"))
    assert found
    return {_plain(name): release for name, release in found}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
