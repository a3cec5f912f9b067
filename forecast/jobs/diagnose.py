"""The job diagnose: how far back a saved network learns and looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from omegaconf import DictConfig

from forecast.data.laying import laid
from forecast.data.panel import Panel
from forecast.data.tables import names_a_table
from forecast.errors import ConfigError
from forecast.files import write_whole
from forecast.jobs.console import new_console, print_files, print_table, shown_path, tell
from forecast.jobs.learner import bare, members_of
from forecast.jobs.record import CAPTIONS, draw, logged
from forecast.jobs.settings import given_table, plain, refuse_roles
from forecast.jobs.trained_on import history_of, table_of
from forecast.jobs.warm_start import load_run, run_of
from forecast.run_folder import output_folder

if TYPE_CHECKING:
    from forecast.diagnosis.diagnosis import Diagnosis
    from forecast.forecaster import Forecaster

ON_CPU = {"accelerator": "cpu"}


def diagnose(config: DictConfig) -> None:
    """Measure the gradients, gates and memory of a saved network, and report."""
    folder = output_folder()
    with logged(folder, job="diagnose"):
        _diagnose(plain(config), folder)


def _diagnose(settings: dict[str, Any], folder: Path) -> None:
    refuse_roles()
    console, run = new_console(), run_of(settings["run"])
    forecaster, member = _network(settings)
    panel = _panel(settings["data"], run, forecaster.panel_)
    forecaster.history_ = history_of(run, member=member)
    what = f"{member or 'the network'} of {shown_path(run)}"
    tell(console, f"looking at {what}, at windows of {len(panel.ids)} series")
    from forecast.diagnosis.diagnosis import diagnose as measure

    found = measure(forecaster, panel, contexts=settings["contexts"])
    for name, table in found.tables().items():
        write_whole(folder / "diagnosis" / f"{name}.csv", table.to_csv(index=False))
    _draw(folder, found)
    _report(folder, found, title=f"{found.model}, context {found.context_length}", facts={"run": what})
    for caption, table in found.summaries().items():
        print_table(console, table, title=caption, bold="after")
        console.print()
    for line in (*map(str, found.findings), *(f"Note: {note}" for note in found.notes)):
        tell(console, line)
        console.print()
    tell(console, found.sentence, style="bold")
    console.print()
    print_files(console, folder)


def _network(settings: dict[str, Any]) -> tuple[Forecaster, str | None]:
    """Return the network of a run, or one of an ensemble with what it is called."""
    from forecast.forecaster import Forecaster
    from forecast.members import label

    saved, number = load_run(settings["run"], accelerator=ON_CPU), settings["member"]
    members = members_of(saved)
    if not 0 <= number < max(len(members), 1):
        there_are = f"{len(members)} networks, counted from 0" if members else "one network"
        raise ConfigError(f"member={number}, and the run has {there_are}. Give another number.")
    if members:
        return members[number], label(number, members[number])
    network = bare(saved)
    assert isinstance(network, Forecaster)
    return network, None


def _panel(data: dict[str, Any], run: Path, trained: Panel) -> Panel:
    """Return the series given, or those of the run."""
    if not names_a_table(data):
        return table_of(run, trained)
    return laid(given_table(data, trained.columns), trained.columns, freq=trained.freq.name)


def _draw(folder: Path, found: Diagnosis) -> None:
    from forecast.report import figures

    draw(folder, "gradients", figures.gradient_figure(found.gradients))
    draw(folder, "memory", figures.memory_figure(found.memory))
    own = found.saturation[found.saturation["context"] == found.nearest_context]
    if len(own):
        draw(folder, "gates", figures.gate_figure(own))
    if len(found.history):
        draw(folder, "norms", figures.norm_figure(found.history))


def _report(folder: Path, found: Diagnosis, *, title: str, facts: dict[str, str]) -> None:
    from forecast.report.page import write_page

    tables = dict(found.summaries())
    if found.findings:
        advice = pd.DataFrame(found.findings).set_axis(["warning", "what was found", "what to try"], axis=1)
        tables = {"Warnings": advice, **tables}
    paths = {caption: folder / "figures" / file for file, caption in CAPTIONS.items()}
    write_page(
        folder / "report.html",
        title=title,
        sentence=found.sentence,
        tables=tables,
        figures={caption: path for caption, path in paths.items() if path.is_file()},
        facts={**facts, **{f"note {number}": note for number, note in enumerate(found.notes, start=1)}},
    )
