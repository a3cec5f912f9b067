"""The recurrent stack that reads a context, the same for every network that has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Cell = Literal["rnn", "gru", "lstm"]
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
LayerState = tuple[Tensor, ...]  # (h,) or (h, c), each (directions, B, hidden size)
State = list[LayerState]  # one a layer


class Encoder(nn.Module):
    """Recurrent layers on top of each other, whose states left padding never touches.

    Parameters
    ----------
    width : int
        Features of a step, E.
    cell : {"rnn", "gru", "lstm"}
        Kind of cell, as torch has it: its GRU resets what the recurrent map gives, that of the paper what it is given.
    nonlinearity : {"tanh", "relu"}
        Of the simple cell.
    hidden_size : int
        Width of a state in one direction.
    layers : int
        Recurrent layers.
    bidirectional : bool
        Read in both directions.
    dropout : float
        Share of the states that training drops between layers.
    residual : bool
        A layer above the first adds its input to its output.
    detach_every : int
        Truncated back-propagation: the state is detached every so many steps, counted from the end, so that no gradient
        reaches what lies before. 0 detaches nothing. Where the loss reads the last state alone, as in most networks
        here, it only shortens what the network can learn to remember.
    dilations : sequence of int
        How many steps back the state of each layer comes from; 1 for all where empty.

    References
    ----------
    Elman (1990), Finding structure in time; Hochreiter and Schmidhuber (1997), Long short-term memory; Cho et
    al. (2014), Learning phrase representations using RNN encoder-decoder; Schuster and Paliwal (1997),
    Bidirectional recurrent neural networks; Williams and Peng (1990), An efficient gradient-based algorithm for on-line
    training of recurrent network trajectories (truncation); Chang et al. (2017), Dilated recurrent neural networks.
    """

    def __init__(
        self,
        width: int,
        *,
        cell: Cell = "gru",
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        hidden_size: int = 64,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        residual: bool = False,
        detach_every: int = 0,
        dilations: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell is one of {', '.join(CELLS)}, got {cell!r}.")
        if layers < 1:
            raise ValueError(f"layers is a whole number of 1 or more, got {layers!r}.")
        if detach_every < 0:
            raise ValueError(f"detach_every is 0 or more steps, got {detach_every!r}.")
        if dilations and (len(dilations) != layers or min(dilations) < 1):
            raise ValueError(f"dilations are {layers} whole numbers of 1 or more, one a layer, got {list(dilations)}.")
        if detach_every and (bidirectional or any(dilation > 1 for dilation in dilations)):
            raise ValueError(
                "detach_every cuts a state that goes forward step by step: leave it out beside "
                "bidirectional and dilations."
            )
        self.is_bidirectional, self.width = bidirectional, hidden_size * (2 if bidirectional else 1)
        options = {"nonlinearity": nonlinearity} if cell == "rnn" else {}
        self.layers: Iterable[nn.RNNBase] = nn.ModuleList(  # type: ignore[assignment]
            CELLS[cell](own, hidden_size, batch_first=True, bidirectional=bidirectional, **options)
            for own in (width, *[self.width] * (layers - 1))
        )
        self.dropout = nn.Dropout(dropout)
        self.residual, self.detach_every = residual, detach_every
        self.dilations = tuple(dilations) or (1,) * layers

    def forward(self, encoded: Tensor, padded: Tensor) -> tuple[Tensor, State]:
        """Read a context.

        Parameters
        ----------
        encoded : Tensor (B, L, E)
        padded : Tensor (B, L)
            1 in left padding, else 0.

        Returns
        -------
        States of the top layer (B, L, D), 0 in left padding, and the last state of each layer; of a dilated layer,
        which has several, that of the last step.
        """
        lengths = (encoded.shape[1] - padded.sum(dim=1)).long()  # (B,)
        final: State = []
        for number, (layer, dilation) in enumerate(zip(self.layers, self.dilations, strict=True)):
            given = self.dropout(encoded) if number else encoded
            states, last = self._read(layer, given, lengths, dilation)
            encoded = states + given if number and self.residual else states
            final.append(last)
        return encoded, final

    def onward(self, encoded: Tensor, state: State) -> tuple[Tensor, State]:
        """Go on from a state over steps (B, T, E): states of the top layer (B, T, D), and the last of each layer."""
        final: State = []
        for number, (layer, begin) in enumerate(zip(self.layers, state, strict=True)):
            given = self.dropout(encoded) if number else encoded
            states, last = _run(layer, given, begin)
            encoded = states + given if number and self.residual else states
            final.append(last)
        return encoded, final

    def summary(self, states: Tensor, padded: Tensor) -> Tensor:
        """Return the states (B, D) where each direction ends: the last step, and the first that is no padding."""
        if not self.is_bidirectional:
            return states[:, -1]
        first = padded.sum(dim=1).long().clamp(max=states.shape[1] - 1)
        backward = states[torch.arange(states.shape[0], device=states.device), first]
        half = self.width // 2
        return torch.cat([states[:, -1, :half], backward[:, half:]], dim=1)

    def _read(self, layer: nn.RNNBase, encoded: Tensor, lengths: Tensor, dilation: int) -> tuple[Tensor, LayerState]:
        if dilation > 1:
            return _dilated(layer, encoded, lengths, dilation)
        steps, every = encoded.shape[1], self.detach_every or encoded.shape[1]
        states, last = [], None
        for end in range(steps - (steps - 1) // every * every, steps + 1, every):
            begin = max(end - every, 0)
            own = (lengths - (steps - end)).clamp(min=0, max=end - begin)
            last = None if last is None else tuple(part.detach() for part in last)
            part, last = _padded(layer, encoded[:, begin:end], own, last)
            states.append(part)
        assert last is not None
        return states[0] if len(states) == 1 else torch.cat(states, dim=1), last


def _run(layer: nn.RNNBase, encoded: Tensor, state: LayerState | None) -> tuple[Tensor, LayerState]:
    """Run a layer from a state, zeros where there is none."""
    begin = None if state is None else state if isinstance(layer, nn.LSTM) else state[0]
    states, last = layer(encoded, begin)
    return states, last if isinstance(last, tuple) else (last,)


def _padded(layer: nn.RNNBase, encoded: Tensor, lengths: Tensor, state: LayerState | None) -> tuple[Tensor, LayerState]:
    """Run a layer over steps (B, T, E) of which the last `lengths` (B,) count; rows with fewer begin at zeros."""
    steps = encoded.shape[1]
    whole, short = lengths == steps, (lengths > 0) & (lengths < steps)
    if whole.all():
        return _run(layer, encoded, state)
    width = layer.hidden_size * (2 if layer.bidirectional else 1)
    states = encoded.new_zeros(len(encoded), steps, width)
    each = encoded.new_zeros(2 if layer.bidirectional else 1, len(encoded), layer.hidden_size)
    last = (each, each.clone()) if isinstance(layer, nn.LSTM) else (each,)
    for rows in (whole, short):
        if not rows.any():
            continue
        if rows is whole:
            got, ends = _run(layer, encoded[rows], state and tuple(part[:, rows] for part in state))
        else:  # packing is slow: only what is padded goes that way
            got, ends = _packed(layer, encoded[rows], lengths[rows])
        states[rows] = got.to(states.dtype)
        for part, end in zip(last, ends, strict=True):
            part[:, rows] = end.to(part.dtype)
    return states, last


def _packed(layer: nn.RNNBase, encoded: Tensor, lengths: Tensor) -> tuple[Tensor, LayerState]:
    """Run a layer over rows with padding in front: it is moved behind, where a packed sequence ends before it."""
    count = encoded.shape[1]
    steps = torch.arange(count, device=encoded.device)
    shift = (count - lengths)[:, None]
    moved = _rows(encoded, (steps + shift) % count)
    packed, last = layer(pack_padded_sequence(moved, lengths.cpu(), batch_first=True, enforce_sorted=False))
    states, _ = pad_packed_sequence(packed, batch_first=True, total_length=count)
    return _rows(states, (steps - shift) % count), last if isinstance(last, tuple) else (last,)


def _rows(values: Tensor, order: Tensor) -> Tensor:
    """Return steps (B, T, E) in another order (B, T)."""
    return values.gather(1, order[..., None].expand_as(values))


def _dilated(layer: nn.RNNBase, encoded: Tensor, lengths: Tensor, dilation: int) -> tuple[Tensor, LayerState]:
    """Run a layer whose state comes from `dilation` steps back: every so many steps are a series of the batch."""
    steps = encoded.shape[1]
    padded = F.pad(encoded, (0, 0, -steps % dilation, 0))
    folded = padded.unflatten(1, (-1, dilation)).transpose(1, 2).flatten(0, 1)  # (B dilation, T, E)
    own = (lengths[:, None] + torch.arange(dilation, device=lengths.device)) // dilation
    states, last = _padded(layer, folded, own.flatten(), None)
    states = states.unflatten(0, (-1, dilation)).transpose(1, 2).flatten(1, 2)[:, -steps:]
    return states, tuple(part[:, dilation - 1 :: dilation] for part in last)
