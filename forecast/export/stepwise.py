"""A network that reads its own draws, as two graphs: one reads the context, one draws a step and reads the draw.

Between them runs a loop, which draws the random numbers and repeats the rows of the first graph for each path.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Affine, Inputs
from forecast.errors import ConfigError
from forecast.export.door import Door, Field
from forecast.export.graph import lowest_of
from forecast.export.recurrence import traceable
from forecast.model import Model
from forecast.networks.channels import ByChannel
from forecast.networks.deepar import Course, DeepAR
from forecast.networks.network import added
from forecast.trained import TrainedNetwork

BETWEEN = {  # what goes from graph to graph, beside the parts of the state
    "raw": "what the network says of the step: parameters of its distribution",
    "recent": "the last values that were read, and whether they were observed",
    "ahead": "what is known of each step ahead; a step takes its own",
    "loc": "level of each step ahead; a step takes its own",
    "scale": "scale of each step ahead; a step takes its own",
}


class Start(nn.Module):
    """Scale and read the context.

    Parameters
    ----------
    network : TrainedNetwork
        With a network that draws paths.
    """

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__()
        self.door, self.model = Door(network), traceable(network.model_)
        self.own, self.targets = _drawing(self.model)
        self.inputs = tuple(field for field in self.door.fields if 0 not in field.shape)
        with torch.no_grad():
            example = self(*(field.example(2) for field in self.inputs))
        names = ["raw", "recent", "ahead", "loc", "scale", *(f"state_{at}" for at in range(len(example) - 5))]
        self.outputs = tuple(
            Field(name, tuple(part.shape[1:]), str(part.dtype).removeprefix("torch."), BETWEEN.get(name, "the state"))
            for name, part in zip(names, example, strict=True)
        )

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return raw outputs of the first step (B, C, K), what steps read, and the state; the batch comes first."""
        inputs = self.door(dict(zip((field.name for field in self.inputs), given, strict=True)))
        scaled, affine = self.model.scaler(inputs)
        each = self.model.network.each(scaled) if self.targets else scaled  # type: ignore[operator]
        raw, course = self.own.begin(each)
        linear = self._linear(each)
        beside = F.pad(self.own.ahead(each), (0, 0, 0, 1))  # the last draw is read by no step
        ahead = torch.cat([beside, linear, F.pad(linear[:, 1:], (0, 0, 0, 1))], dim=-1)
        ahead = ahead.unflatten(0, (-1, self.targets)).transpose(1, 2) if self.targets else ahead
        horizon = self.own.sizes.horizon
        part = affine.horizon(horizon)
        level = (one.expand(inputs.target.shape[0], horizon, inputs.target.shape[2]).clone() for one in part)
        first = added(raw, linear[:, 0])
        return (*_apart([first, course.recent], self.targets), ahead, *level, *_told(course, self.targets))

    def _linear(self, inputs: Inputs) -> Tensor:
        """Return what the bypass adds to each step: (B, H, C)."""
        if self.own.bypass is not None:
            return self.own.bypass(inputs)
        sizes = self.own.sizes
        return inputs.target.new_zeros(inputs.target.shape[0], sizes.horizon, sizes.targets)


class Step(nn.Module):
    """Draw the value of a step, read it, and say what follows.

    Parameters
    ----------
    network : TrainedNetwork
        That of the start.
    start : Start
        Tells the shapes.
    """

    lowest: Tensor

    def __init__(self, network: TrainedNetwork, start: Start) -> None:
        super().__init__()
        self.model, self.own, self.targets = start.model, start.own, start.targets
        self.register_buffer("lowest", lowest_of(network)[:, 0])
        shapes = {field.name: field for field in start.outputs}
        for name in ("ahead", "loc", "scale"):
            shapes[name] = shapes[name]._replace(shape=shapes[name].shape[1:])
        targets = network.sizes_.targets
        drawn = Field("uniform", (targets, 2), "float32", "random numbers, uniform on (0, 1]")
        self.inputs = (drawn, *shapes.values())
        value = Field("value", (targets,), "float64", "the draw, in the unit of the series")
        later = [field for name, field in shapes.items() if name not in ("ahead", "loc", "scale")]
        self.outputs = (value, *(field._replace(name=f"next_{field.name}") for field in later))

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return the draw (N, C) and, for the next step, raw outputs (N, C, K) and the state."""
        uniform, raw, recent, ahead, loc, scale, *state = given
        raw = raw.squeeze(2) if self.targets else raw
        drawn = self.model.loss.scaled_draws(raw, uniform, scale.to(raw.dtype))  # (N, C)
        value = self.model.loss.restored(drawn, Affine(loc, scale))
        value = torch.maximum(self.model.scaler.restored(value[..., None])[..., 0], self.lowest)
        beside, now, later = self._split(ahead.flatten(0, 1) if self.targets else ahead)
        fed, behind, *parts = _together([drawn[..., None] if self.targets else drawn, recent, *state], self.targets)
        raw, course = self.own.onward(fed - now, Course(self._state(parts), behind), beside)
        return (value, *_apart([added(raw, later), course.recent], self.targets), *_told(course, self.targets))

    def _split(self, ahead: Tensor) -> tuple[Tensor, ...]:
        """Part what is known of a step from what the bypass adds to it and to the one that follows."""
        width = self.own.sizes.targets
        return ahead.split([ahead.shape[-1] - 2 * width, width, width], dim=-1)

    def _state(self, parts: list[Tensor]) -> list[tuple[Tensor, ...]]:
        """Return the parts, (N, 1, D) each, as the state of each layer."""
        layers = len(self.own.recurrent.dilations)
        each = len(parts) // layers
        turned = [part.transpose(0, 1).contiguous() for part in parts]
        return [tuple(turned[at * each : (at + 1) * each]) for at in range(layers)]


def _drawing(model: Model) -> tuple[DeepAR, int]:
    """Return the network that draws, and how many targets it forecasts each by itself, 0 where all together."""
    several = model.network if isinstance(model.network, ByChannel) else None
    network = model.network if several is None else several.network
    if not isinstance(network, DeepAR):
        raise ConfigError(f"{type(network).__name__} draws paths in a way that cannot be exported. Use model=deepar.")
    return network, 0 if several is None else several.targets


def _told(course: Course, targets: int) -> list[Tensor]:
    """Return the parts of the state, the batch first."""
    return _apart([part.transpose(0, 1) for layer in course.state for part in layer], targets)


def _apart(parts: list[Tensor], targets: int) -> list[Tensor]:
    """Return tensors (N C, ...) as (N, C, ...) where targets are forecast each by itself."""
    return [part.unflatten(0, (-1, targets)) for part in parts] if targets else parts


def _together(parts: list[Tensor], targets: int) -> list[Tensor]:
    """Return tensors (N, C, ...) as (N C, ...) where targets are forecast each by itself."""
    return [part.flatten(0, 1) for part in parts] if targets else parts
