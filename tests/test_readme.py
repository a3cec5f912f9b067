"""What the README and the pages of docs/ show works as it stands there."""

from __future__ import annotations

import re
import shlex
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batches import SIZES
from command import forecast

from forecast import Training
from forecast.config import build, conf_folder, names, networks, read, shipped_folder
from forecast.errors import ConfigError
from forecast.evaluation.baselines import BASELINES
from forecast.evaluation.metrics import METRICS

ROOT = Path(__file__).parents[1]
RECORDS = ("experiments", "benchmarks")  # of what was run once
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).is_file() else ""
    for name in (
        "README.md",
        *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")) if page.stem not in RECORDS),
    )
}
README, NETWORKS = PAGES["README.md"], PAGES["docs/networks.md"]
LOSSES = {
    "any": names("loss"),
    "any of values": [name for name in names("loss") if not build("loss", name).is_event],
    "a distribution": [name for name in names("loss") if build("loss", name).is_distribution],
}
COMMANDS = [
    line.strip()
    for page in PAGES.values()
    for line in page.splitlines()
    if re.match(r"( {4}|\$ |)forecast (train|predict|backtest|compare|diagnose|export|tune) ", line)
]

pytestmark = pytest.mark.skipif(not README, reason="there is no README beside the package")


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_composes(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line.removeprefix("$ "), comments=True)[1:]
    if "--config-dir" in words:  # the page tells what lies in it, and other tests use it
        shutil.copytree(conf_folder() / "data", tmp_path / "conf" / "data")
        (tmp_path / "conf" / "data" / "table.yaml").rename(tmp_path / "conf" / "data" / "mine.yaml")
    if "-m" in words:  # the first run of a sweep stands for all
        words = [re.sub(r"=([^,\[]+),.*", r"=\1", word) for word in words if word != "-m"]
    assert forecast(*words, "--cfg", "job") == 0
    assert {path.name for path in tmp_path.iterdir()} <= {"conf"}


def test_there_are_commands_and_code() -> None:
    assert len(COMMANDS) >= 20 and _python(README) and _python(NETWORKS)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("docs/guide.md", "docs/serving.md")])
def test_the_python_code_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks in order, in one namespace, with three steps of training each."""
    shutil.copytree(shipped_folder(), tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    check = Training.check

    def three_steps(training: Training) -> None:
        check(training)
        training.steps = 3

    monkeypatch.setattr(Training, "check", three_steps)
    namespace: dict[str, Any] = {"__name__": "readme"}
    for number, block in enumerate(_python(PAGES[page])):
        exec(compile(block, f"{page}, block {number}", "exec"), namespace)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page])
    assert not [link for link in links if not ((ROOT / page).parent / link).exists()]


def test_every_network_and_scaling_is_named() -> None:
    groups = {row[0]: set(_quoted(row[1])) for row in _rows(README, columns=2)}
    assert groups["`model`"] == set(names("model")) and groups["`scaling`"] == set(names("scaling"))
    assert sorted(name for row in _rows(NETWORKS, columns=3) for name in _quoted(row[0])) == networks()
    assert sorted(name for row in _rows(NETWORKS, columns=7) for name in _quoted(row[0])) == networks()


def test_the_table_of_networks_tells_the_losses_they_take_and_options_that_they_have() -> None:
    for name, _, _, loss, _, _, options in _rows(NETWORKS, columns=7):
        network = name.strip("`")
        assert set(_quoted(options)) <= read("model", network).keys()
        assert (LOSSES[loss] if loss in LOSSES else sorted(_quoted(loss))) == _taken(network)


def test_the_networks_said_to_begin_without_a_bypass_are_those_that_do() -> None:
    told = re.search(r"All begin with it but (.*?)\.", NETWORKS)
    assert told and _quoted(told[1]) == [name for name in networks() if not read("model", name)["bypass"]]


def test_every_metric_and_simple_method_is_defined() -> None:
    told = {name for row in _rows(PAGES["docs/metrics.md"], columns=4) for name in _quoted(row[0])}
    assert told == {*METRICS, "owa", *BASELINES}


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


def _python(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def _rows(page: str, *, columns: int) -> list[list[str]]:
    """Return the rows of tables of so many columns that begin with a quoted name."""
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return [row for row in rows if len(row) == columns]


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _taken(network: str) -> list[str]:
    """Return the losses that a network does not refuse."""
    taken = []
    for name in names("loss"):
        loss = build("loss", name)
        with suppress(ConfigError):
            build("model", network, replace(SIZES, outputs=loss.outputs)).refuse(loss)
            taken.append(name)
    return taken
