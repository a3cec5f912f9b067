"""What is measured of a model on some windows: gradients by steps back, open and shut gates, moved forecasts.

Letters: B windows, L context, H horizon, C targets, S steps of a layer, D hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from forecast.batch import Batch, Inputs
from forecast.diagnosis.traces import STATES, Trace, traced
from forecast.model import Model
from forecast.networks.network import Network

SHUT, OPEN = 0.05, 0.95  # between which a gate is neither; of the state of a simple cell, |h| counts
MOVED = 16  # windows whose forecasts are moved
DIRECTIONS = 32  # along which the derivative of a forecast is taken, at most
WHOLE, ALONE = "network", "without bypass"


def gradients(model: Model, batch: Batch) -> tuple[pd.DataFrame, list[Trace]]:
    """Return the norm of the gradient of each window's loss with respect to states and input by steps back.

    Dropout is off, and a network that decodes is fed its own values, as in validation. `back` counts along the
    direction in which a layer reads, so that 0 is the state that it ends with; steps of a dilated layer that are no
    steps of one another count together.

    Returns
    -------
    DataFrame with layer, cell, state, back, mean and median over windows; and the traces of that pass.
    """
    model = deepcopy(model)
    model.network, traces = traced(model.network)
    read: list[Tensor] = []

    def take(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        read.append(given[0].target.detach().requires_grad_())
        return given[0]._replace(target=read[0]), *given[1:]

    model.network.register_forward_pre_hook(take)
    with torch.enable_grad():
        loss = model.training_loss(*batch) + 0 * read[0].sum()  # of a network that reads nothing, too
    context = batch[0].target.shape[1]
    asked = [part for trace in traces for state in trace.states for part in state]
    direct, *given = torch.autograd.grad(loss, [read[0], *asked], allow_unused=True)
    moved = {id(part): gradient for part, gradient in zip(asked, given, strict=True)}
    rows = [_by_step("input", "", "value", 1, direct.norm(dim=2) * len(direct))]
    for trace in traces:
        for number in range(len(trace.states[0])):
            parts = _recent([state[number] for state in trace.states], trace, context)
            norms = _together(_norms(parts, moved), trace.side_by_side)
            reach = trace.reach * trace.side_by_side
            rows.append(_by_step(trace.layer, trace.cell, STATES[number], reach, norms))
    return pd.concat(rows, ignore_index=True), traces


def saturation(traces: list[Trace], *, context: int) -> pd.DataFrame:
    """Return the shares of gates that are shut and open over the context, by layer and gate.

    The state of a simple cell with tanh stands for a gate: it has no share of shut ones, and |h| counts.
    """
    rows = []
    for trace in traces:
        steps = _recent(trace.gates, trace, context)
        for name in steps[0]:
            values = torch.stack([gates[name].detach() for gates in steps])
            is_state = name == "state"
            shut = 0.0 if is_state else float((values < SHUT).float().mean())
            is_open = float(((values.abs() if is_state else values) > OPEN).float().mean())
            rows.append((trace.layer, trace.cell, name, shut, is_open, shut + is_open))
    return pd.DataFrame(rows, columns=["layer", "cell", "gate", "shut", "open", "saturated"])


def memory(model: Model, batch: Batch) -> pd.DataFrame:
    """Return how far a forecast moves with each step of the context, relative to the step that moves it most.

    What moves is what the network reads of the target, on the scaled axis; how far the point forecast moves is the norm
    of its derivative over horizon and targets, and the effect is its share of the largest in the window.

    Returns
    -------
    DataFrame with part, back and effect, the median over windows; `part` is the network, and where there is one,
    the network without its linear bypass.
    """
    scaled, _ = model.scaler(Inputs(*(part[:MOVED] for part in batch[0])))
    networks = {WHOLE: model.network}
    if any(isinstance(module, Network) and module.bypass is not None for module in model.network.modules()):
        networks[ALONE] = _without_bypass(model.network)
    rows = []
    for part, network in networks.items():
        moves = _moves(network, model, scaled)  # (B, L)
        effects = moves / moves.amax(dim=1, keepdim=True).clamp(min=torch.finfo(moves.dtype).tiny)
        middle = effects.median(dim=0).values.flip(0).numpy()
        rows.append(pd.DataFrame({"part": part, "back": np.arange(len(middle)), "effect": middle}))
    return pd.concat(rows, ignore_index=True)


def _moves(network: nn.Module, model: Model, scaled: Inputs) -> Tensor:
    """Return how far the forecast of each window moves with each step: (B, L)."""
    with torch.enable_grad():
        target = scaled.target.detach().requires_grad_()
        raw = network(scaled._replace(target=target), None, model.loss.scaled_point)
        point = model.loss.scaled_point(raw).flatten(1) + 0 * target.sum()  # of a network that reads nothing, too
    squares = torch.zeros_like(target[..., 0])
    for direction in _directions(point.shape[1]):
        (gradient,) = torch.autograd.grad((point @ direction).sum(), target, retain_graph=True)
        squares += gradient.square().sum(dim=2)
    return squares.sqrt()


def _directions(size: int) -> Tensor:
    """Return what a forecast of so many values is measured along: each value, or of many, random sums of them.

    The squares of derivatives along sums with random signs are, in the mean, those of the whole.
    """
    if size <= DIRECTIONS:
        return torch.eye(size)
    return torch.randint(2, (DIRECTIONS, size), generator=torch.Generator().manual_seed(0)) * 2.0 - 1


def _without_bypass(network: nn.Module) -> nn.Module:
    network = deepcopy(network)
    for module in network.modules():
        if isinstance(module, Network):
            module.bypass = None
    return network


def _recent(steps: list[Any], trace: Trace, context: int) -> list[Any]:
    """Return what a trace holds of the steps of the context, the latest that the layer reads last.

    A network that reads context and horizon in one go has more steps.
    """
    within = steps[:context]
    return within[::-1] if trace.is_backward else within


def _norms(parts: list[Tensor], moved: Mapping[int, Tensor | None]) -> Tensor:
    """Return the norm of the gradient of each window's own loss with respect to states (S, ...): (B, S)."""
    norms = []
    for part in parts:  # (B, D), or with heads (heads, B, D / heads)
        gradient = moved[id(part)]
        gradient = torch.zeros_like(part) if gradient is None else gradient
        norms.append(gradient.movedim(-2, 0).flatten(1).norm(dim=1))
    return torch.stack(norms, dim=1) * parts[0].shape[-2]  # the loss is a mean over windows


def _together(norms: Tensor, count: int) -> Tensor:
    """Return norms (B, S) of as many steps taken together, counted from the last: (B, S / count)."""
    padded = nn.functional.pad(norms, (-norms.shape[1] % count, 0))
    return padded.unflatten(1, (-1, count)).norm(dim=2)


def _by_step(layer: str, cell: str, state: str, reach: int, norms: Tensor) -> pd.DataFrame:
    values = norms.detach().flip(1).numpy()
    return pd.DataFrame(
        {
            "layer": layer,
            "cell": cell,
            "state": state,
            "back": reach * np.arange(values.shape[1]),
            "mean": values.mean(axis=0),
            "median": np.median(values, axis=0),
        }
    )
