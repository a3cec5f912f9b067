"""Imports run downward, `import forecast` stays quick, and column names are written once."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "forecast"

# Top to bottom. A module imports from lower floors, or from inside its own entry; entries that share a floor
# do not know each other. The longest entry that a module's name starts with is its own.
FLOORS = (
    ("forecast.__main__",),
    ("forecast.cli",),
    ("forecast.sweeps", "forecast.resume", "forecast.messages"),
    ("forecast.jobs",),
    ("forecast.report",),
    ("forecast.comparison", "forecast.tuning"),
    ("forecast.evaluation", "forecast.diagnosis", "forecast.export"),
    ("forecast.parts",),
    ("forecast.calibrated",),
    ("forecast.shifting",),
    ("forecast.ensemble",),
    ("forecast.agreement",),
    ("forecast.members", "forecast.weighing", "forecast.calibration"),
    ("forecast.forecaster",),
    ("forecast.trained", "forecast.composite"),
    ("forecast.predictor", "forecast.building"),
    ("forecast.saved", "forecast.training"),
    ("forecast.model",),
    (
        "forecast.networks",
        "forecast.losses",
        "forecast.scaling",
        "forecast.frames",
        "forecast.choice",
        "forecast.combination",
    ),
    ("forecast.data",),
    ("forecast.schema",),
    ("forecast.parameters", "forecast.comparison.settings"),
    ("forecast.config", "forecast.folders", "forecast.run_folder", "forecast.search_path"),
    ("forecast.documents",),
    (
        "forecast.batch",
        "forecast.data.columns",
        "forecast.training.settings",
        "forecast.evaluation.shuffling",
        "forecast.files",
        "forecast.memory",
        "forecast.releases",
    ),
    ("forecast.errors",),
)
FLOOR = {entry: -level for level, entries in enumerate(FLOORS) for entry in entries}


def test_every_module_has_a_floor() -> None:
    unknown = sorted(module for module in _modules() if module != "forecast" and _entry(module) is None)
    assert not unknown, f"{unknown} stand on no floor: add them to FLOORS in {Path(__file__).name}"


def test_imports_run_downward() -> None:
    modules = _modules()
    wrong = []
    # The names of forecast/__init__.py are lazy: it may name every floor, and no module may go through it.
    for module in modules.keys() - {"forecast"}:
        own = _entry(module)
        for line, imported in _imports(module, modules):
            other = _entry(imported)
            if own is None or other == own:
                continue
            if other is None or FLOOR[other] >= FLOOR[own]:
                wrong.append(f"{modules[module].relative_to(PACKAGE.parent)}:{line} imports {imported}")
    assert not wrong, "these imports do not run downward:\n" + "\n".join(sorted(wrong))


def test_imports_have_no_circle() -> None:
    modules = _modules()
    graph: dict[str, set[str]] = {}
    for module in modules.keys() - {"forecast"}:
        named = {imported for _, imported in _imports(module, modules)} - {"forecast"}
        # Importing a.b.c runs a/b/__init__.py as well, unless the importer lies in a/b: then it is under way.
        loaded = {package for imported in named for package in _with_packages(imported)}
        graph[module] = named | (loaded - set(_with_packages(module)))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError("circular imports: " + " <- ".join(error.args[1])) from None


def test_import_of_the_package_is_quick_and_silent() -> None:
    script = (
        "import sys, forecast\n"
        "heavy = {'torch', 'lightning', 'pandas', 'sklearn', 'hydra'} & sys.modules.keys()\n"
        "sys.exit(f'import forecast loads {sorted(heavy)}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_default_column_names_are_written_once() -> None:
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{node.lineno} {node.value!r}"
        for module, path in _modules().items()
        if module != "forecast.data.columns"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and node.value in ("unique_id", "ds")
    ]
    assert not found, "column names belong to Columns alone:\n" + "\n".join(found)


def _modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    assert found, f"no modules in {PACKAGE}"
    return found


def _imports(module: str, modules: dict[str, Path]) -> Iterator[tuple[int, str]]:
    """Line and name of each module of ours that one imports, anywhere in its text."""
    package = module if modules[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(_tree(modules[module])):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, package)
            targets = [f"{origin}.{alias.name}" for alias in node.names]
            names = [target if target in modules else origin for target in targets]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "forecast")


def _origin(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    return ".".join(parts[: len(parts) - node.level + 1] + ([node.module] if node.module else []))


def _entry(module: str) -> str | None:
    """The longest entry of FLOORS that holds a module."""
    return next((name for name in reversed(list(_with_packages(module))) if name in FLOOR), None)


def _with_packages(module: str) -> Iterator[str]:
    """A module's packages below the root, outermost first, then the module."""
    parts = module.split(".")
    for end in range(2, len(parts) + 1):
        yield ".".join(parts[:end])


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
