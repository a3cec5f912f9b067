"""What a sweep (``forecast train -m``, ``forecast backtest -m``) found: one table over its runs."""

from __future__ import annotations

import csv
import sys
from math import isnan
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from forecast.run_folder import output_folder

FAILED = "failed.txt"  # in the folder of a run, with the reason
LABELS = {"mase": "MASE", "brier": "Brier score"}  # of what runs are compared by, of values and of events


def is_sweep() -> bool:
    """Return whether the job that runs is one of several."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def note_failure(message: str) -> None:
    """Tell why the run of a sweep failed; the other runs go on."""
    from forecast.files import write_whole

    print(f"forecast: run {HydraConfig.get().job.num} failed: {message}", file=sys.stderr)
    write_whole(output_folder() / FAILED, message)


def forget_failure() -> None:
    """Remove the word of a run that failed here before."""
    from forecast.files import writing

    with writing(output_folder() / FAILED):
        (output_folder() / FAILED).unlink(missing_ok=True)


class Summary(Callback):
    """Print the score of each run beside the best simple method, when the last run is done.

    A run that failed has its reason below the table, and the sweep then exits 2.
    """

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Read the tables that the runs wrote."""
        from rich.console import Console
        from rich.table import Table

        folder = Path(config.hydra.sweep.dir)
        ended = [path.parent for name in ("metrics.csv", FAILED) for path in folder.glob(f"*/{name}")]
        runs = sorted(set(ended), key=lambda path: (len(path.name), path.name))
        if not runs:
            return
        failed = {run: (run / FAILED).read_text(encoding="utf-8") for run in runs if (run / FAILED).is_file()}
        told = [LABELS[_metric(run / "metrics.csv")] for run in runs if run not in failed]
        metric = " or ".join(dict.fromkeys(told)) or "MASE"
        table = Table(title=f"{len(runs)} runs, {metric} on held-back data", title_justify="left")
        for label in ("run", "settings", metric, "best simple method", f"its {metric}"):
            table.add_column(label, justify="right" if metric in label else "left", overflow="fold")
        settings = [_settings(run) for run in runs]
        for run, own in zip(runs, settings, strict=True):
            differs = [setting for setting in own if not all(setting in other for other in settings)]
            cells = ("failed", "-", "-") if run in failed else _score(run / "metrics.csv")
            table.add_row(run.name, " ".join(differs or own), *cells)
        console = Console(highlight=False)
        if len(failed) < len(runs):
            console.print(table)
        for run, reason in failed.items():
            named = " ".join([run.name, *([f"({' '.join(own)})"] if (own := _settings(run)) else [])])
            console.print(f"run {named} failed: {reason}", soft_wrap=True, markup=False)
        console.print(f"run folders: {folder}", soft_wrap=True)
        if failed:
            sys.exit(2)


def _settings(folder: Path) -> list[str]:
    from forecast.documents import read_yaml

    try:
        return list(read_yaml(folder / ".hydra" / "overrides.yaml"))
    except FileNotFoundError:
        return []  # hydra.output_subdir=null keeps none


def _metric(path: Path) -> str:
    """Return the metric that a table of scores has: one of values, or one of events."""
    with path.open(encoding="utf-8", newline="") as file:
        names = csv.DictReader(file).fieldnames or ()
    return next(metric for metric in LABELS if metric in names)


def _score(path: Path) -> tuple[str, str, str]:
    """Return the score of a run, the best simple method and its score; NaN where no series has one."""
    metric = _metric(path)
    with path.open(encoding="utf-8", newline="") as file:
        ours, *others = ((row["model"], float(row[metric] or "nan")) for row in csv.DictReader(file))
    scored = [(score, model) for model, score in others if not isnan(score)]
    if not scored:
        return f"{ours[1]:.3f}", "-", "-"
    score, model = min(scored)
    return f"{ours[1]:.3f}", model, f"{score:.3f}"
