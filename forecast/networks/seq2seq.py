"""An encoder that reads the context, and a decoder that goes on from its state, fed value by value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn

from forecast.batch import Inputs, Outcome, Sizes
from forecast.errors import ConfigError
from forecast.networks.attention import Attention, Score
from forecast.networks.decoder import Decoder
from forecast.networks.encoder import Cell, Encoder, State
from forecast.networks.features import latest, padding
from forecast.networks.initialisation import initialise
from forecast.networks.network import Feedback, Network, Shared

Forcing = Literal["linear", "inverse_sigmoid", "always", "never"]
STEEP = 100.0  # of the inverse sigmoid: it begins at 100 / 101 and ends at 1 / 101


class Seq2Seq(Network):
    """Encoder and decoder of the same cells; each step of the decoder is fed the value before it.

    The decoder begins with the encoder's last state and the last observed value. A step is fed that value and what is
    known of the step ahead. In training the value fed is the true one, in a share of the steps that falls with progress
    (scheduled sampling, drawn anew for each window and step), and else the network's own point; a true value that was
    not observed is never fed. Gradients flow through what is fed back. Outside training, so for validation too, the
    network runs on its own values alone.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    cell, hidden_size, layers, residual
        As of `Encoder`, for encoder and decoder.
    bidirectional, detach_every
        As of `Encoder`, for the encoder. A linear map makes one state of those of both directions. With attention,
        gradients reach steps before the cut by way of their weights.
    dropout : float
        Share of the state that training drops between layers and before the output.
    score : {"none", "additive", "dot"}
        Attention over the encoder's states, as of `Attention` and `Decoder`.
    forcing : {"linear", "inverse_sigmoid", "always", "never"}
        How the share of true values falls.
    forcing_until : float
        Share of the training steps after which none is left (linear) or a hundredth is (inverse sigmoid).
    **shared
        As of `Network`.

    References
    ----------
    Sutskever et al. (2014), Sequence to sequence learning with neural networks; Bengio et al. (2015), Scheduled
    sampling for sequence prediction with recurrent neural networks, section 2.4; for attention see `Attention`.
    """

    reads_teacher = True

    def __init__(
        self,
        sizes: Sizes,
        *,
        cell: Cell = "gru",
        hidden_size: int = 64,
        layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        detach_every: int = 0,
        dropout: float = 0.0,
        score: Literal["none"] | Score = "none",
        forcing: Forcing = "linear",
        forcing_until: float = 0.5,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(sizes, **shared)
        stack: dict[str, Any] = {"cell": cell, "layers": layers, "residual": residual, "dropout": dropout}
        self.encoder = Encoder(
            self.features.encoder_width,
            hidden_size=hidden_size,
            bidirectional=bidirectional,
            detach_every=detach_every,
            **stack,
        )
        context = self.encoder.width
        self.bridge = Bridge(hidden_size, parts=2 if cell == "lstm" else 1, layers=layers) if bidirectional else None
        self.decoder = Decoder(
            sizes.targets + self.features.decoder_width,
            attention=None if score == "none" else Attention(score, query=hidden_size, states=context),
            context=context,
            hidden_size=hidden_size,
            **stack,
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.decoder.width, sizes.targets * sizes.outputs)
        forced_share(forcing, 0.0, until=forcing_until)  # refuses what it does not know
        self.forcing, self.forcing_until, self.done = forcing, forcing_until, 0.0
        initialise(self)

    def progress(self, done: float) -> None:
        """Note the share of the training steps done, before a step."""
        self.done = done

    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K): in one go where all that is fed is known, else step by step."""
        padded = padding(inputs.observed)
        states, state = self.encoder(self.features.encoder(inputs), padded)
        state = state if self.bridge is None else self.bridge(state)
        memory = self.decoder.memory(states, padded)
        ahead, value = self.features.decoder(inputs), latest(inputs.target, inputs.observed)
        true, is_true = self._taught(teacher)  # (B, H - 1, C) each
        if is_true is not None and is_true.all():
            fed = torch.cat([value[:, None], true], dim=1)
            read, _ = self.decoder(torch.cat([fed, ahead], dim=-1), state, memory)
            return self._output(read)
        raw = []
        for step in range(self.sizes.horizon):
            read, state = self.decoder(torch.cat([value, ahead[:, step]], dim=-1)[:, None], state, memory)
            raw.append(self._output(read))
            value = raw[-1][:, 0, :, 0] if feedback is None else feedback(raw[-1][:, 0])
            if is_true is not None and step < is_true.shape[1]:
                value = torch.where(is_true[:, step], true[:, step], value)
        return torch.cat(raw, dim=1)

    def _taught(self, teacher: Outcome | None) -> tuple[Tensor, Tensor | None]:
        """Return the teacher's values, the last of which is for no step, and which of them are fed."""
        if teacher is None or not self.training:
            return torch.empty(0), None
        observed = teacher.observed[:, :-1] > 0
        share = forced_share(self.forcing, self.done, until=self.forcing_until)
        drawn = torch.rand(observed.shape[:2], device=observed.device) < share
        return teacher.target[:, :-1], observed & drawn[..., None]

    def _output(self, read: Tensor) -> Tensor:
        return self.output(self.dropout(read)).unflatten(-1, (self.sizes.targets, self.sizes.outputs))


class Bridge(nn.Module):
    """A linear map from the last states of both directions to the first state of a decoder, for each layer and part.

    Parameters
    ----------
    hidden_size : int
        Width of a state in one direction.
    parts : int
        Tensors of a state: two of an LSTM, else one.
    layers : int
        Of the encoder and of the decoder.
    """

    def __init__(self, hidden_size: int, *, parts: int, layers: int) -> None:
        super().__init__()
        self.layers: Iterable[Iterable[nn.Linear]] = nn.ModuleList(  # type: ignore[assignment]
            nn.ModuleList(nn.Linear(2 * hidden_size, hidden_size) for _ in range(parts)) for _ in range(layers)
        )

    def forward(self, state: State) -> State:
        """Return a state whose parts are (1, B, D) for one whose parts are (2, B, D)."""
        return [
            tuple(own(part.transpose(0, 1).flatten(1))[None] for own, part in zip(maps, parts, strict=True))
            for maps, parts in zip(self.layers, state, strict=True)
        ]


def forced_share(forcing: Forcing, done: float, *, until: float) -> float:
    """Return the share of true values that a decoder is fed after a share `done` of the training steps.

    The inverse sigmoid k / (k + exp(i / k)) of step i is written by progress, with its middle at half of `until`.
    """
    if not 0 < until <= 1:
        raise ConfigError(f"forcing_until is a share of the training steps, above 0 and up to 1, got {until!r}.")
    if forcing in ("always", "never"):
        return float(forcing == "always")
    if forcing == "linear":
        return max(0.0, 1 - done / until)
    if forcing == "inverse_sigmoid":
        return 1 / (1 + STEEP ** (2 * done / until - 1))
    raise ConfigError(f"forcing is linear, inverse_sigmoid, always or never, got {forcing!r}.")
