"""Whether an exported graph gives the numbers that the package gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from forecast.batch import Inputs
from forecast.calibration import Shifts
from forecast.data.windows import prediction_windows
from forecast.errors import ArtifactError
from forecast.export.door import Door, Field
from forecast.export.formats import Exportable
from forecast.frames import raised_to_minima
from forecast.losses.loss import uniforms
from forecast.model import Model
from forecast.trained import TrainedNetwork

TOLERANCE = 1e-4  # largest difference, relative to the largest value of a window
MOST_SERIES, PATHS = 32, 5
Run = Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]


def runner_of(content: bytes, program: Any, inputs: Sequence[Field], *, is_onnx: bool) -> Run | None:
    """Return what runs a graph, by onnxruntime where it is ONNX; None where that is not installed."""
    if not is_onnx:
        module, names = program.module(), [field.name for field in inputs]
        return lambda given: [part.detach().numpy() for part in module(*(torch.tensor(given[name]) for name in names))]
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda given: session.run(None, dict(given))


def last_windows(network: TrainedNetwork) -> Inputs:
    """Return the last windows of some series as the network reads them, and windows that end in the middle of these.

    What is known ahead of them may be missing, and is 0: they are to compare numbers, not to be believed.
    """
    panel = network.panel_
    series = np.arange(min(len(panel.ids), MOST_SERIES)).repeat(2)
    ends = panel.ends[series].copy()
    ends[1::2] = np.maximum(ends[1::2] // 2, 1)
    seen = panel.observed_targets(series, np.maximum(ends - network.context_length_, 0), ends).any(axis=1)
    lengths = {"context_length": network.context_length_, "horizon": network.horizon_}
    windows, *origins = prediction_windows(
        panel, network.encoding, series[seen], ends[seen], device=torch.device("cpu"), **lengths
    )
    return windows.batch(*origins)[0]


def forecast_difference(
    network: TrainedNetwork,
    run: Run,
    door: Door,
    names: Sequence[str],
    levels: Sequence[float],
    *,
    shifts: Shifts | None = None,
) -> float:
    """Return the largest relative difference between a graph's forecasts and the network's own, calibrated or not."""
    inputs = last_windows(network)
    bases = levels if shifts is None else shifts.bases
    wanted = _on_cpu(network).forecast(inputs, bases).numpy()
    if shifts is not None:
        yardstick = network.yardstick_of(inputs)
        moved = yardstick.restored(shifts.moved(yardstick.scaled(wanted[..., 1:]), levels))
        moved = np.maximum(moved, 0.0) if network.model_.loss.from_zero else moved
        moved = np.round(moved) if network.is_whole else moved
        wanted = np.concatenate([wanted[..., :1], moved], axis=-1)
    point, *quantiles = run(door.given(inputs, names))
    return _difference(np.concatenate([point[..., None], *quantiles], axis=-1), _finished(wanted, inputs, network))


def path_difference(
    network: TrainedNetwork, graphs: tuple[Run, Run], door: Door, start: Exportable, step: Exportable
) -> float:
    """Return the largest relative difference between paths of two graphs and the network's, from the same numbers.

    Parameters
    ----------
    network : TrainedNetwork
        That draws paths.
    graphs : pair of callable
        Run the start and the step.
    door : Door
        Of the start.
    start, step : Exportable
        What they take and give.
    """
    inputs = last_windows(network)
    wanted = _on_cpu(network).paths(inputs, PATHS, torch.Generator().manual_seed(0)).numpy()
    draw = torch.Generator().manual_seed(0)
    shape = (network.horizon_, PATHS, network.sizes_.targets)
    uniform = uniforms(*shape, generator=draw, like=torch.empty(0, dtype=torch.float32)).numpy()
    given = door.given(inputs, [field.name for field in start.inputs])
    begun = zip(start.outputs, graphs[0](given), strict=True)
    held = {field.name: part.repeat(PATHS, axis=0) for field, part in begun}
    read = [field.name for field in step.inputs]
    ahead = {name: held.pop(name) for name in ("ahead", "loc", "scale")}
    values = []
    for number in range(network.horizon_):
        of_step = {name: part[:, number] for name, part in ahead.items()}
        drawn = np.tile(uniform[number], (len(inputs.target), 1, 1))
        known = {"uniform": drawn, **held, **of_step}
        value, *parts = graphs[1]({name: known[name] for name in read})
        held = dict(zip(held, parts, strict=True))
        values.append(value.reshape(len(inputs.target), PATHS, -1))
    got = np.stack(values, axis=1).transpose(0, 1, 3, 2)  # (B, H, C, n)
    return _difference(got, raised_to_minima(wanted, network.panel_.columns))


def refuse_apart(difference: float) -> None:
    """Refuse a graph whose numbers are others than the package's.

    Raises
    ------
    ArtifactError
        If the difference is above the tolerance, or no number.
    """
    if not difference <= TOLERANCE:
        raise ArtifactError(
            f"the exported graph gives other numbers than the network: they differ by {difference:.2g} of the largest "
            f"value of a window, and {TOLERANCE:g} is allowed. Nothing was written. Give another format, or train with "
            "another scaling or loss."
        )


def _on_cpu(network: TrainedNetwork) -> Model:
    """Return the model where the windows lie; predictions move it to their device again."""
    return network.model_.placed(torch.device("cpu")).eval()


def _finished(values: np.ndarray, inputs: Inputs, network: TrainedNetwork) -> np.ndarray:
    """Return forecasts (B, H, C, 1 + Q) raised to the minima, NaN for a target of which nothing was observed."""
    raised = raised_to_minima(values, network.panel_.columns)
    seen = (inputs.observed.amax(dim=1) > 0).numpy()
    return np.where(seen[:, None, :, None], raised, np.nan)


def _difference(got: np.ndarray, wanted: np.ndarray) -> float:
    if not (np.isnan(got) == np.isnan(wanted)).all():
        return float("nan")
    size = np.nanmax(np.abs(wanted), axis=(1, 3), keepdims=True, initial=np.finfo(np.float64).tiny)
    return float(np.nanmax(np.abs(got - wanted) / size, initial=0.0))
