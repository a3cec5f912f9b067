"""The wheel holds what it needs, and works away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of a fresh environment: the wheel is its own, the dependencies are borrowed."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, system_site_packages=False, with_pip=False)
    places = {"base": str(home), "platbase": str(home)}
    scripts = Path(sysconfig.get_path("scripts", "venv", places))
    _run(
        *(sys.executable, "-m", "pip", "--python", scripts / "python", "install"),
        *("--quiet", "--no-deps", "--no-index", wheel),
        cwd=home,
    )
    # Folders named by a .pth file come after the environment's own, and the .pth files inside them, such as
    # that of an editable install, are not read.
    borrowed = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    own = Path(sysconfig.get_path("purelib", "venv", places))
    (own / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    return scripts


def test_wheel_holds_configs_data_and_type_marker(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"forecast/conf/train.yaml", "forecast/shipped/sales.csv", "forecast/py.typed"} <= names
    assert {"forecast/report/page.css", "forecast/report/comparison/assets/page.js"} <= names
    for source, packaged in (("conf", "forecast/conf"), ("data", "forecast/shipped")):
        present = {path.relative_to(ROOT / source) for path in (ROOT / source).rglob("*") if path.is_file()}
        assert {f"{packaged}/{path.as_posix()}" for path in present} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"forecast", "recurrent_forecast"}


def test_installed_wheel_trains_from_another_folder(scripts: Path, tmp_path: Path) -> None:
    where = _run(scripts / "python", "-c", "import forecast; print(forecast.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(scripts.parent)

    command = "train data=sales model=gru horizon=12 training.steps=5 progress=false"
    printed = _run(scripts / "forecast", *command.split(), cwd=tmp_path)
    folder = _run_folder(printed, tmp_path)
    assert (folder / "forecast.csv").is_file()
    assert (folder / "metrics.csv").is_file()
    assert any((folder / "model").iterdir())


def _run_folder(printed: str, start: Path) -> Path:
    """The outermost folder below `start` that a job names in what it prints."""
    named = [start / word.strip("'\"`.,:;()") for word in printed.split()]
    below = [path for path in named if path.is_dir() and path != start and path.is_relative_to(start)]
    assert below, f"no run folder is named in:\n{printed}"
    return min(below, key=lambda path: len(path.parts))


def _run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from the checkout; what it printed, errors included."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Tables and paths are wrapped at this width where there is no terminal.
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean | {"COLUMNS": "400"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))} exits with {done.returncode}:\n{done.stdout}"
    return done.stdout
