"""The figures that tell why a network forecasts as it does, and where it fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from forecast.data.panel import Panel
from forecast.evaluation.relative import Worst, best_rival, relative_errors, worst_series
from forecast.evaluation.shuffling import Shuffling
from forecast.evaluation.tables import Backtest
from forecast.evaluation.verdict import RANKED_BY, shown
from forecast.jobs.record import draw
from forecast.jobs.scores import ranked_by


def shuffling_of(settings: dict[str, Any], panel: Panel) -> Shuffling | None:
    """Return how covariates are shuffled, None where there are none or nobody wants it."""
    shuffling = Shuffling(**settings["importance"])
    return shuffling if panel.columns.covariates and shuffling.repeats else None


def draw_reasons(folder: Path, scored: Backtest, panel: Panel, *, name: str, series: Callable[..., Any]) -> None:
    """Draw the importance of covariates, the error by time and by series, and the series that a model fails on most.

    Parameters
    ----------
    name : str
        Of the model.
    series : callable
        Draws forecasts, given `series`, `baselines` and a `title`.
    """
    from forecast.report import figures  # matplotlib loads for what is drawn, not for what is refused

    metric = ranked_by(scored)
    rival = best_rival(scored, metric=metric, name=name)
    if scored.importance is not None and scored.importance["importance"].notna().any():
        draw(folder, "importance", figures.importance_figure(scored.importance))
    if scored.per_time is not None and not figures.told_by_time(scored.per_time, metric=metric).empty:
        figure = figures.time_error_figure(scored.per_time, model=name, rival=rival, metric=metric)
        draw(folder, "error_by_time", figure)
    if len(panel.ids) < figures.FEWEST_SERIES:
        return
    if rival is not None:
        errors = relative_errors(scored, metric=metric, name=name, rival=rival)
        if len(figures.with_ratio(errors)) >= figures.FEWEST_SERIES:
            figure = figures.series_error_figure(errors, model=name, rival=rival, metric=RANKED_BY[metric])
            draw(folder, "error_by_series", figure)
    # Where the figure of forecasts shows all series, the better half of them need not be seen again.
    count = min(figures.PANELS, len(panel.ids) * len(panel.columns.targets) // 2)
    worst = worst_series(scored, metric=metric, name=name, count=count)
    if worst.series:
        title = _why(worst, name=name, rival=rival, label=RANKED_BY[metric])
        drawn = worst.series if len(panel.columns.targets) == 1 else [figures.Pair(*pair) for pair in worst.series]
        draw(folder, "worst", series(series=drawn, baselines=[rival] if rival else [], title=title))


def _why(worst: Worst, *, name: str, rival: str | None, label: str) -> str:
    """Return why these series are drawn, with the number of each."""
    if worst.beaten:
        return f"{name} fails most: {', '.join(f'{ratio:.2f}' for ratio in worst.values)} times the {label} of {rival}"
    numbers = ", ".join(map(shown, worst.values))
    beats = f"{name} beats {rival} on all series; its" if rival else f"{name}: the"
    return f"{beats} largest {label}: {numbers}"
