"""A copy of a network whose recurrent layers note their states and gates at every step of the context."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from forecast.diagnosis.unrolled import Gates, Unrolled, unrolled
from forecast.networks.encoder import Encoder, LayerState
from forecast.networks.minimal import MinimalCell
from forecast.networks.segrnn import SegRNN
from forecast.networks.slstm import Memory

STATES = ("hidden", "cell")  # what the parts of a state are called
WRAPPERS = ("network", "memory")  # parts of a module's name that tell a person nothing


@dataclass
class Trace:
    """What one direction of a layer did in the last pass: its states and gates, in the order of time.

    Parameters
    ----------
    layer : str
        What the layer is called.
    cell : str
        Kind of cell.
    reach : int
        Steps of the series that one step of the layer goes back.
    side_by_side : int
        Steps of the layer that are no steps of one another: those of a dilated layer.
    is_backward : bool
        Whether it reads from the end to the beginning.
    """

    layer: str
    cell: str
    reach: int = 1
    side_by_side: int = 1
    is_backward: bool = False
    states: list[LayerState] = field(default_factory=list)
    gates: list[Gates] = field(default_factory=list)

    def note(self, state: LayerState, gates: Gates) -> None:
        """Add a step."""
        self.states.append(state)
        self.gates.append(gates)


class TracedEncoder(Encoder):
    """An `Encoder` that reads its context step by step, and notes what it does."""

    name: str
    stride: int  # steps of the series in one of its own
    traces: list[Trace]

    def _read(self, layer: nn.RNNBase, encoded: Tensor, lengths: Tensor, dilation: int) -> tuple[Tensor, LayerState]:
        sides = [
            unrolled(layer, encoded, lengths, dilation=dilation, detach_every=self.detach_every, is_backward=backward)
            for backward in ((False, True) if self.is_bidirectional else (False,))
        ]
        for side, direction in zip(sides, ("forward", "backward"), strict=False):
            self._note(layer, side, dilation, direction)
        oldest = encoded.shape[1] - 1 - (lengths.clamp(min=1) - 1) // dilation * dilation  # where a way back ends
        rows = torch.arange(len(encoded), device=encoded.device)
        ahead, *back = [side.parts() for side in sides]
        last = [[part[:, -1] for part in ahead], *([part[rows, oldest] for part in parts] for parts in back)]
        return torch.cat([parts[0] for parts in (ahead, *back)], dim=-1), tuple(
            map(torch.stack, zip(*last, strict=True))
        )

    def _note(self, layer: nn.RNNBase, side: Unrolled, dilation: int, direction: str) -> None:
        number = next(place for place, one in enumerate(self.layers, start=1) if one is layer)
        several = len(tuple(self.layers)) > 1
        words = (self.name, str(number) * several, direction * self.is_bidirectional)
        self.traces.append(
            Trace(
                " ".join(word for word in words if word),
                type(layer).__name__.lower(),
                reach=self.stride,
                side_by_side=dilation,
                is_backward=direction == "backward",
                states=side.states,
                gates=side.gates,
            )
        )


class TracedMinimalCell(MinimalCell):
    """A `MinimalCell` that goes step by step, and notes what it does."""

    name: str
    traces: list[Trace]

    def forward(self, encoded: Tensor, padded: Tensor) -> Tensor:
        """Return states (B, L, D) of steps (B, L, E), 0 where `padded` (B, L) is 1."""
        keep, add = self.coefficients(encoded)
        add = add.masked_fill(padded[..., None] == 1, 0.0)
        trace, state = Trace(self.name, "mingru" if self.count == 2 else "minlstm"), torch.zeros_like(add[:, 0])
        for kept, added in zip(keep.unbind(dim=1), add.unbind(dim=1), strict=True):
            state = torch.addcmul(added, kept, state)
            trace.note((state,), {"forget": kept})
        self.traces.append(trace)
        return torch.stack([state for (state,) in trace.states], dim=1)


class TracedMemory(Memory):
    """The recurrence of sLSTM, which notes what it does."""

    name: str
    traces: list[Trace]

    def forward(self, encoded: Tensor, padded: Tensor) -> Tensor:
        """Return states (B, L, D) of steps (B, L, D), 0 where `padded` (B, L) is 1."""
        self.traces.append(Trace(self.name, "slstm"))
        return super().forward(encoded, padded)

    def step(self, gates: Tensor, h: Tensor, c: Tensor, n: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        _, _, f, o = torch.baddbmm(gates, h, self.recurrent).chunk(4, dim=-1)
        h, c, n, m = super().step(gates, h, c, n, m)
        bounded = {"output": o} if self.is_exponential else {"forget": f, "output": o}
        self.traces[-1].note((h, c), {name: gate.sigmoid() for name, gate in bounded.items()})
        return h, c, n, m


TRACED: dict[type, type] = {Encoder: TracedEncoder, MinimalCell: TracedMinimalCell, Memory: TracedMemory}


def traced(network: nn.Module) -> tuple[nn.Module, list[Trace]]:
    """Return a copy of a network, and a list in which each pass through it leaves the traces of its layers.

    Layers of networks of one's own are traced where they are an `Encoder`, a `MinimalCell` or sLSTM's `Memory`.
    """
    network, traces = deepcopy(network), list[Trace]()
    strides = {id(module.recurrent): module.segment for module in network.modules() if isinstance(module, SegRNN)}
    for path, module in network.named_modules():
        if type(module) not in TRACED:
            continue
        module.__class__ = TRACED[type(module)]
        module.name, module.traces = " ".join(_words(path)), traces
        if isinstance(module, TracedEncoder):
            module.stride = strides.get(id(module), 1)
    return network, traces


def _words(path: str) -> Iterator[str]:
    """Give the parts of a module's name that tell a person which it is; layers count from 1."""
    for word in path.split("."):
        if word not in WRAPPERS:
            yield str(int(word) + 1) if word.isdigit() else word
