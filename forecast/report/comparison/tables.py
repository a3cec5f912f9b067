"""The leaderboard as text to paste: Markdown for a README, LaTeX for a paper."""

from __future__ import annotations

import re
from itertools import groupby

from forecast.comparison.comparison import Comparison
from forecast.errors import ConfigError, unknown_name
from forecast.report.comparison.columns import METRIC, leaderboard_columns
from forecast.report.comparison.compared import panels_of, ranking_metric, reference_of
from forecast.report.comparison.sheets import Head, Sheet, models_sheet, overview_sheet

_MARKDOWN = re.compile(r"([\\`*_\[\]|#~$])")
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--", "±": r"$\pm$",
    "\N{INFINITY}": r"$\infty$",
}  # fmt: skip


def markdown_table(comparison: Comparison, metric: str | None = None) -> str:
    """Return the result as a Markdown table, the best of each column in bold.

    Parameters
    ----------
    comparison : Comparison
        Of one data set and horizon: its leaderboard. Of several: one metric, a column for each of them.
    metric : str, optional
        The metric to show by data set and horizon; the one that models are ranked by unless given.

    Raises
    ------
    ConfigError
        If there is no such metric.
    """
    sheet = _sheet(comparison, metric)
    heads = [_markdown(f"{head.group}, {head.text}" if head.group else head.text) for head in sheet.heads]
    rules = [":---", *("---:" if head.numeric else ":---" for head in sheet.heads[1:])]
    rows = [
        [f"**{_markdown(cell.whole)}**" if cell.best else _markdown(cell.whole) for cell in row] for row in sheet.rows
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, rules, *rows))


def latex_table(comparison: Comparison, metric: str | None = None) -> str:
    r"""Return the result as a LaTeX `tabular` with the rules of booktabs, the best of each column in bold.

    Parameters
    ----------
    comparison, metric
        As `markdown_table` takes them. Several data sets stand side by side under `\cmidrule`.

    Raises
    ------
    ConfigError
        If there is no such metric.
    """
    sheet = _sheet(comparison, metric)
    heads = " & ".join(_latex(head.text) for head in sheet.heads) + r" \\"
    rows = [
        " & ".join(rf"\textbf{{{_latex(cell.whole)}}}" if cell.best else _latex(cell.whole) for cell in row) + r" \\"
        for row in sheet.rows
    ]
    lines = [
        r"% \usepackage{booktabs}",
        rf"\begin{{tabular}}{{l{'r' * (len(sheet.heads) - 1)}}}",
        r"\toprule",
        *_groups(sheet.heads),
        heads,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _sheet(comparison: Comparison, metric: str | None) -> Sheet:
    if metric is not None and metric not in METRIC:
        raise ConfigError(unknown_name("metric", metric, METRIC))
    panels = panels_of(comparison)
    ranking = ranking_metric(comparison.leaderboard)
    if metric is not None or len(panels) > 1:
        return overview_sheet(comparison, metric or ranking)
    board = comparison.leaderboard
    columns = leaderboard_columns(ranking, reference=reference_of(board))
    return models_sheet(board, [column for column in columns if not column.extra])


def _groups(heads: list[Head]) -> list[str]:
    """Return the row of data sets above their horizons, and the rules under it; nothing where there are none."""
    if not any(head.group for head in heads):
        return []
    parts, rules, place = [], [], 1
    for name, members in groupby(heads, key=lambda head: head.group):
        count = len(list(members))
        parts.append(rf"\multicolumn{{{count}}}{{c}}{{{_latex(name)}}}" if name else "")
        rules += [rf"\cmidrule(lr){{{place}-{place + count - 1}}}"] if name else []
        place += count
    return [" & ".join(parts) + r" \\", " ".join(rules)]


def _markdown(text: str) -> str:
    """Let a name be read as it is: no mark-up, no HTML, no end of the row."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
