"""What a sweep (``forecast train -m``) found: one table over its runs."""

from __future__ import annotations

import csv
from math import isnan
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class Summary(Callback):
    """Print the score of each run beside the best simple method, when the last run is done."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Read the tables that the runs wrote."""
        from rich.console import Console
        from rich.table import Table

        folder = Path(config.hydra.sweep.dir)
        runs = sorted(folder.glob("*/metrics.csv"), key=lambda path: (len(path.parent.name), path.parent.name))
        if not runs:
            return
        table = Table(title=f"{len(runs)} runs, MASE on held-back data", title_justify="left")
        for label in ("run", "settings", "MASE", "best simple method", "its MASE"):
            table.add_column(label, justify="right" if "MASE" in label else "left", overflow="fold")
        settings = [_settings(run.parent) for run in runs]
        for run, own in zip(runs, settings, strict=True):
            told = [setting for setting in own if not all(setting in other for other in settings)]
            table.add_row(run.parent.name, " ".join(told or own), *_score(run))
        console = Console(highlight=False)
        console.print(table)
        console.print(f"run folders: {folder}", soft_wrap=True)


def _settings(folder: Path) -> list[str]:
    import yaml

    return list(yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text(encoding="utf-8")))


def _score(path: Path) -> tuple[str, str, str]:
    """Return the MASE of a run, the best simple method and its MASE; NaN where no series has one."""
    with path.open(encoding="utf-8", newline="") as file:
        ours, *others = ((row["model"], float(row["mase"] or "nan")) for row in csv.DictReader(file))
    scored = [(mase, model) for model, mase in others if not isnan(mase)]
    if not scored:
        return f"{ours[1]:.3f}", "-", "-"
    mase, model = min(scored)
    return f"{ours[1]:.3f}", model, f"{mase:.3f}"
