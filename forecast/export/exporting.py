"""Write a fitted forecaster as a folder of graphs and a manifest.

manifest.json       what a server has to know; sha256 of the graphs
forecast.onnx       context in, point and quantiles out; or for a network that draws paths
start.onnx          context in, state out
step.onnx           state and random numbers in, a draw and the next state out
members/0/ ...      of an ensemble, a folder of this kind for each member
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from forecast.calibrated import Calibrated
from forecast.calibration import Shifts
from forecast.ensemble import Ensemble
from forecast.errors import ConfigError
from forecast.export.check import Run, forecast_difference, path_difference, refuse_apart, runner_of
from forecast.export.formats import WRITERS, Exportable, traced, writer_of
from forecast.export.graph import Graph
from forecast.export.manifest import MANIFEST, about, about_graph, about_network
from forecast.export.quantiles import BLOCK
from forecast.export.stepwise import Start, Step
from forecast.files import write_new
from forecast.folders import plain_json, refuse_to_replace, whole_folder
from forecast.predictor import Predictor
from forecast.trained import TrainedNetwork

GRAPHS = "|".join(rf"{name}\{end}" for name in ("forecast", "start", "step") for end, _ in WRITERS.values())
OWN = rf"(members/\d+/)?({re.escape(MANIFEST)}|{GRAPHS})"
BEYOND = 8  # counts are told apart up to so many times the largest of the last contexts
MOST_COUNTS = 2**16  # and no further


@dataclass(frozen=True)
class Exported:
    """A folder that was written, and how far its numbers are from the network's: the largest relative difference.

    The difference is None where no onnxruntime was there to run the graphs.
    """

    path: Path
    difference: float | None


def export(
    predictor: Predictor, path: str | Path, *, format: str = "onnx", levels: Sequence[float] | None = None
) -> Exported:
    """Write a fitted forecaster as graphs that run without this package; the folder is whole, or not there.

    Parameters
    ----------
    predictor : Forecaster, Ensemble, or a calibrated Forecaster
        Fitted.
    path : path
        Folder; one that was exported there before is replaced.
    format : {"onnx", "torch_export"}
        ONNX, or torch's own format of `torch.export.save`.
    levels : sequence of float
        Quantile levels that the graph gives; those of the model by default.

    Returns
    -------
    Exported, with the largest relative difference to the package's own numbers on the last windows of the training
    table. One above 1e-4 is refused.

    Raises
    ------
    ValueError
        If the format is not known or its packages are missing, a level is not covered, or the network or its loss
        cannot be exported.
    """
    check_is_fitted(predictor)
    path, levels = Path(path), predictor.levels(levels)
    _refuse_uncovered(predictor, levels)
    writer_of(format)
    refuse_to_replace(path, MANIFEST, OWN, kind="export")
    with whole_folder(path) as folder:
        difference = _write(predictor, folder, format, levels)
    return Exported(path, difference)


def _write(predictor: Predictor, folder: Path, format: str, levels: Sequence[float]) -> float | None:
    """Write the files of a predictor into a folder; return how far its numbers are from the package's."""
    told = about(predictor, levels)
    shifts = None
    if isinstance(predictor, Calibrated):
        shifts, predictor = predictor.shifts_, predictor.predictor_
        if isinstance(predictor, Ensemble) or predictor.draws:
            raise ConfigError(
                "the calibration of an ensemble, or of a network that draws paths, comes after its graphs and would be "
                "lost. Export predictor_, which is not calibrated, or calibrate one network that draws none."
            )
    if isinstance(predictor, Ensemble):
        told |= {"combine": predictor.combine, "weights": predictor.weights_.tolist(), "members": []}
        differences = []
        for number, member in enumerate(predictor.members_):
            place = f"members/{number}"
            (folder / place).mkdir(parents=True)
            differences.append(_write(member, folder / place, format, levels))
            told["members"].append(place)
        known = [difference for difference in differences if difference is not None]
        difference = max(known) if len(known) == len(differences) else None
    else:
        assert isinstance(predictor, TrainedNetwork)
        if predictor.draws:
            graphs, difference = _write_steps(predictor, folder, format, levels)
        else:
            graphs, difference = _write_forecast(predictor, folder, format, levels, shifts=shifts)
        told |= {**about_network(predictor), **graphs}
    told["verified"] = difference
    write_new(folder / MANIFEST, plain_json(told))
    return difference


def _write_forecast(
    network: TrainedNetwork, folder: Path, format: str, levels: Sequence[float], *, shifts: Shifts | None
) -> tuple[dict[str, Any], float | None]:
    """Write the graph of a network that forecasts all steps at once."""
    most = _most_counts(network)
    graph = Graph(network, levels, most=most, shifts=shifts)
    facts, run = _written(graph, "forecast", folder, format)
    names = [field.name for field in graph.inputs]
    difference = None if run is None else forecast_difference(network, run, graph.door, names, levels, shifts=shifts)
    if difference is not None:
        refuse_apart(difference)
    counts = {"counts_below": most} if network.model_.loss.is_whole else {}
    return {"graphs": {"forecast": facts}, **counts}, difference


def _write_steps(
    network: TrainedNetwork, folder: Path, format: str, levels: Sequence[float]
) -> tuple[dict[str, Any], float | None]:
    """Write the two graphs of a network that draws paths."""
    start = Start(network)
    step = Step(network, start)
    graphs, runs = {}, []
    for name, graph in (("start", start), ("step", step)):
        graphs[name], run = _written(graph, name, folder, format)
        runs.append(run)
    first, second = runs
    difference = None
    if first is not None and second is not None:
        difference = path_difference(network, (first, second), start.door, start, step)
        refuse_apart(difference)
    return {"graphs": graphs, "paths": network.model_.network.paths, "seed": network.seed}, difference


def _written(graph: Exportable, name: str, folder: Path, format: str) -> tuple[dict[str, Any], Run | None]:
    """Write one graph; return what the manifest tells of it, and what runs it."""
    end, write = writer_of(format)
    program = traced(graph)
    content = write(program, graph)
    write_new(folder / f"{name}{end}", content)
    run = runner_of(content, program, graph.inputs, is_onnx=format == "onnx")
    return about_graph(f"{name}{end}", content, graph.inputs, graph.outputs), run


def _most_counts(network: TrainedNetwork) -> int:
    """Return up to where counts are told apart, a whole number of blocks."""
    largest = float(np.nanmax(network.panel_.target, initial=0.0))
    wanted = min(max(BEYOND * largest, 8 * BLOCK), MOST_COUNTS)
    return int(-(-wanted // BLOCK)) * BLOCK


def _refuse_uncovered(predictor: Predictor, levels: Sequence[float]) -> None:
    outside = [level for level in levels if not predictor.covers(level)]
    if outside:
        raise ConfigError(
            f"the loss of this network covers no level {outside[0]:g}. Export it with others: levels=[...], or train "
            "with another loss."
        )
