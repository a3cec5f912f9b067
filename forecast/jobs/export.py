"""The job export: write a saved run as graphs that run without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from forecast.jobs.console import new_console, shown_path, tell
from forecast.jobs.record import logged
from forecast.jobs.settings import plain
from forecast.jobs.warm_start import load_run
from forecast.run_folder import output_folder

FOLDER = "graph"  # in the folder of the run


def export(config: DictConfig) -> None:
    """Write what a run has saved as ONNX or in torch's own format, and compare its numbers with the network's."""
    folder = output_folder()
    with logged(folder, job="export"):
        _export(plain(config), folder)


def _export(settings: dict[str, Any], folder: Path) -> None:
    predictor = load_run(settings["run"], accelerator=settings["accelerator"])
    from forecast.export import export as write  # a run that is not there does not wait for it

    written = write(predictor, folder / FOLDER, format=settings["format"], levels=settings["levels"])
    console = new_console()
    place = shown_path(written.path)
    tell(console, f"exported to {place}: manifest.json tells what goes in and comes out.")
    if written.difference is None:
        told = "not verified: onnxruntime is not installed (pip install 'recurrent-forecast[export]')."
        tell(console, told, style="bold")
        return
    runs = "onnxruntime" if settings["format"] == "onnx" else "torch.export"
    tell(
        console,
        f"verified with {runs} on the last windows of the run: the largest difference to the network is "
        f"{written.difference:.1e} of the largest value of a window.",
    )
