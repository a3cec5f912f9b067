"""The page of a comparison: one HTML file that needs nothing beside it, and no network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from forecast.comparison.comparison import Comparison
from forecast.report.comparison.columns import COSTS, COVERAGE, METRIC, leaderboard_columns
from forecast.report.comparison.compared import (
    Panel,
    models_of,
    panels_of,
    ranking_metric,
    reference_of,
)
from forecast.report.comparison.payload import payload
from forecast.report.comparison.sheets import Sheet, failures_sheet, models_sheet, overview_sheet, steps_sheet
from forecast.report.comparison.tables import latex_table, markdown_table
from forecast.report.comparison.words import words_of
from forecast.report.page import read_style

# In the order in which the script needs them.
SCRIPTS = (
    "elements.js", "scales.js", "frame.js", "models.js", "rows.js", "ranks.js", "tradeoff.js", "lines.js",
    "series.js", "explorer.js", "tables.js", "page.js",
)  # fmt: skip

ASKED = ("datasets", "models", "horizons", "seeds", "protocol")  # settings that stand open on the page


class _Part(NamedTuple):
    """The tables of one data set and horizon."""

    panel: Panel
    board: Sheet
    steps: Sheet
    coverage: Sheet
    costs: Sheet


def comparison_page(comparison: Comparison) -> str:
    """Return the page of a comparison as one HTML text.

    The words, the leaderboards and all other tables are in the HTML and need no script; the charts are drawn by a
    script that the page holds. A policy in the page forbids every address outside of it.

    Parameters
    ----------
    comparison : Comparison
        Of any number of data sets, horizons and models; frames of what was not measured may have no rows.

    Returns
    -------
    HTML. What is too much for a page that loads quickly is left out of it, and the page says so.
    """
    numbers, left_out = payload(comparison)
    style = read_style() + _asset("comparison.css")
    script = '"use strict";\n(() => {\n' + "\n".join(map(_asset, SCRIPTS)) + "})();\n"
    models, panels = models_of(comparison), panels_of(comparison)
    metric = ranking_metric(comparison.leaderboard)
    sets = {panel.data for panel in panels}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_asset("comparison.html.j2"))
    parts = [_part(comparison, panel, models=models) for panel in panels]
    return template.render(
        title=f"Comparison of {_counted(len(models), 'model')} on {_counted(len(sets), 'data set')}",
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        numbers=Markup(numbers),
        left_out=left_out,
        words=words_of(comparison),
        asked=_asked(comparison.settings),
        resolved=_resolved(comparison.settings),
        metric=METRIC[metric].head,
        overview=overview_sheet(comparison, metric) if len(panels) > 1 else None,
        parts=parts,
        meanings={head.text: head.meaning for part in parts for head in part.board.heads[1:]},
        failures=failures_sheet(comparison.cells),
        commands="\n".join(map(str, comparison.settings.get("commands", []))),
        pastes={"Markdown": markdown_table(comparison), "LaTeX": latex_table(comparison)},
        has=_present(comparison),
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Allow this style sheet and this script by their sums, and nothing else."""
    sums = [b64encode(sha256(text.encode()).digest()).decode("ascii") for text in (style, script)]
    parts = ["default-src 'none'", f"style-src 'sha256-{sums[0]}'", f"script-src 'sha256-{sums[1]}'"]
    return "; ".join([*parts, "base-uri 'none'", "form-action 'none'"])


def _part(comparison: Comparison, panel: Panel, *, models: list[str]) -> _Part:
    board = panel.of(comparison.leaderboard)
    metric = ranking_metric(board)
    return _Part(
        panel=panel,
        board=models_sheet(board, leaderboard_columns(metric, reference=reference_of(board))),
        steps=steps_sheet(panel.of(comparison.per_step), metric, models),
        coverage=models_sheet(board[board["coverage"].notna() | board["coverage_95"].notna()], COVERAGE),
        costs=models_sheet(board, COSTS),
    )


def _present(comparison: Comparison) -> dict[str, bool]:
    """Tell which sections have anything to show."""
    board = comparison.leaderboard
    return {
        "skill": _holds(board, "skill") and board["model"].nunique() > 1,
        "intervals": _holds(board, "skill_low"),
        "ranks": _holds(comparison.ranks, "mean_rank"),
        "tradeoff": _holds(board, "fit_seconds"),
        "steps": _holds(comparison.per_step, "mase", "mae"),
        "series": _holds(comparison.forecasts, "forecast"),
        "calibration": _holds(comparison.calibration, "share"),
        "coverage": _holds(board, "coverage", "coverage_95"),
    }


def _holds(frame: pd.DataFrame, *names: str) -> bool:
    return any(bool(frame[name].notna().any()) for name in names)


def _asked(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return what tells a comparison from others: of models their names, of the protocol what is set."""
    held = {name: settings[name] for name in ASKED if name in settings}
    if isinstance(held.get("models"), Mapping):
        held["models"] = list(held["models"])
    return {name: value for name, value in _flat(held) if value != "None"}


def _resolved(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the other settings as they are read: a nested one by its path."""
    asked = _asked(settings)
    return {name: value for name, value in _flat(settings) if name not in asked and name != "commands"}


def _flat(settings: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in settings.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            found += _flat(value, f"{path}.")
        else:
            listed = isinstance(value, list | tuple)
            found.append((path, ", ".join(map(str, value)) if listed else str(value)))
    return found
