"""The job compare: models beside one another on the same windows, as tables and a page."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from forecast.data.catalogue import TABLE, data_names
from forecast.data.laying import laid
from forecast.data.panel import Panel
from forecast.errors import ConfigError, unknown_name
from forecast.files import write_whole
from forecast.jobs.comparing import Finished, shown_cells
from forecast.jobs.console import new_console, print_files, print_leaderboard, tell
from forecast.jobs.learner import words
from forecast.jobs.record import logged, write_forecast
from forecast.jobs.settings import columns_of, load_table, plain
from forecast.run_folder import output_folder
from forecast.training.settings import Training

if TYPE_CHECKING:  # torch and the rest load once settings and tables are right
    from forecast.comparison.comparison import Comparison
    from forecast.comparison.protocols import Contested
    from forecast.comparison.running import Progress

TABLES = "comparison"  # the folder of tables in that of the run


def compare(config: DictConfig) -> None:
    """Compare models, write every table, and print who is better."""
    folder, settings = output_folder(), plain(config)
    finished = Finished(settings["store"])
    with logged(folder, job="compare", going_on=finished.going_on):
        _compare(settings, folder, finished)


def _compare(settings: dict[str, Any], folder: Path, finished: Finished) -> None:
    began, console = time.monotonic(), new_console()
    training = Training(**settings["training"])
    training.check()
    sets = _data_settings(settings)
    panels = [laid(load_table(one), columns_of(one), freq=one["freq"]) for one in sets]
    from forecast.comparison.compare import compare as compared
    from forecast.comparison.entries import Shared
    from forecast.comparison.settings import Protocol

    shared = Shared(
        training, accelerator=settings["accelerator"], context_length=settings["context_length"], seed=settings["seed"]
    )
    with shown_cells(console, live=settings["progress"]) as show:

        def watch(progress: Progress) -> None:
            finished.follow(progress)
            show(progress)

        found = compared(
            [_contested(one, panel) for one, panel in zip(sets, panels, strict=True)],
            settings["models"],
            horizons=settings["horizons"],
            seeds=settings["seeds"],
            protocol=Protocol(**settings["backtest"]),
            shared=shared,
            store=settings["store"],
            processes=settings["processes"],
            retry_failed=settings["retry_failed"],
            watch=watch,
        )
    found.settings["commands"].append(shlex.join(["forecast", *sys.argv[1:]]))
    _write(folder, found)
    print_leaderboard(console, found.leaderboard, found.cells)
    for sentence in found.sentences:
        tell(console, sentence, style="bold")
    console.print()
    print_files(console, folder)
    tell(console, f"{len(found.cells)} cells in {time.monotonic() - began:.0f} s; kept in {settings['store']}")


def _data_settings(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is known of each data set, those that are named as the command line composes them."""
    if not settings["datasets"]:
        return [settings["data"]]
    given = [word for word in words() if word.partition(".")[0] == "data"]
    if given:
        raise ConfigError(f"{given[0]} and datasets name data sets both. Leave one out.")
    sources = HydraConfig.get().runtime.config_sources
    known = data_names([Path(source.path) for source in sources if source.schema == "file"])
    unknown = [name for name in settings["datasets"] if name not in known]
    if unknown:
        raise ConfigError(unknown_name("data set", unknown[0], known))
    composed = [compose("compare", [f"data={name}"])["data"] for name in settings["datasets"]]
    found: list[Any] = [OmegaConf.to_container(data, resolve=True) for data in composed]
    return [{**data, "name": name} for name, data in zip(settings["datasets"], found, strict=True)]


def _contested(data: dict[str, Any], panel: Panel) -> Contested:
    from forecast.comparison.protocols import Contested

    is_file = data["name"] == TABLE and data["path"]
    return Contested(
        Path(data["path"]).stem if is_file else data["name"],
        panel,
        seasonality=data["seasonality"],
        mase_season=data["mase_season"],
        split=data["split"],
        horizon=data["horizon"],
    )


def _write(folder: Path, found: Comparison) -> None:
    """Write every table as CSV and Parquet, the words, the page, and tables to paste."""
    for name, table in found.frames().items():
        write_forecast(folder / TABLES, name, table)
    write_whole(folder / TABLES / "sentences.txt", "\n".join(found.sentences) + "\n")
    write_whole(folder / TABLES / "settings.json", json.dumps(found.settings, indent=1, ensure_ascii=False))
    from forecast.report.comparison.page import comparison_page
    from forecast.report.comparison.tables import latex_table, markdown_table

    write_whole(folder / "table.md", markdown_table(found))
    write_whole(folder / "table.tex", latex_table(found))
    write_whole(folder / "report.html", comparison_page(found))
