"""A recurrent network that forecasts one step after the other, each from the value before it."""

from __future__ import annotations

from typing import NamedTuple, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.batch import Inputs, Outcome, Sizes, held
from forecast.errors import ConfigError
from forecast.networks.encoder import Cell, Encoder, LayerState, State
from forecast.networks.features import latest, padding, refuse_far_lags
from forecast.networks.initialisation import initialise
from forecast.networks.network import Feedback, Network, Shared, branched

MOST_PATHS = 10_000  # whose quantiles are a forecast


class Course(NamedTuple):
    """Where paths stand: what a network that reads its own draws hands from one step to the next."""

    state: State  # (directions, N, D) each
    recent: Tensor  # (N, R, 2 C)     the last values and whether they were observed, as far as lags reach back

    def branched(self, rows: int) -> Course:
        """Return each of N rows as often as paths begin there."""
        if self.recent.shape[0] == rows:
            return self
        return Course([_each(layer, rows) for layer in self.state], branched(self.recent, rows))


class DeepAR(Network):
    """An autoregressive recurrent network: the distribution of each step given all before it.

    One stack reads context and horizon alike. At each step it reads the value there, what is known of the step that
    follows, the values whole seasons before that step (`lags`) and the logarithm of the window's scale; its state gives
    the distribution of the step that follows, whose centre is counted from the last value observed. Training reads the
    true values, and learns from every step, those of the context too. A forecast is drawn: each path feeds its own
    draws back, the point is the median of the paths, and the quantiles are theirs. Past covariates are not known ahead
    and read there as never observed; a gap in the horizon of a training window is read as one in its context is.

    The paper gives the centre itself, and divides by the mean absolute value (scaling=mean_abs), which leaves little of
    the movement of series far from 0: in 200 steps on M4 Weekly the two together were far worse.

    Parameters
    ----------
    sizes : Sizes
        Lengths and widths.
    cell : {"lstm", "gru", "rnn"}
        Kind of cell.
    hidden_size : int
        Width D of the state.
    layers : int
        Recurrent layers on top of each other.
    dropout : float
        Share of the state that training drops between layers and before the output.
    paths : int
        Sample paths that a forecast is made of.

    References
    ----------
    Salinas et al. (2020), DeepAR: probabilistic forecasting with autoregressive recurrent networks, section 3.
    """

    reads_teacher = True

    def __init__(
        self,
        sizes: Sizes,
        *,
        cell: Cell = "lstm",
        hidden_size: int = 64,
        layers: int = 2,
        dropout: float = 0.1,
        paths: int = 100,
        **shared: Unpack[Shared],
    ) -> None:
        if not 1 <= paths <= MOST_PATHS:
            raise ConfigError(f"paths is a whole number from 1 to {MOST_PATHS:,}, got {paths!r}.")
        lags = shared.get("lags", 0)
        refuse_far_lags(sizes, lags)
        super().__init__(sizes, bypass=shared.get("bypass", False))  # lags here go back from the step ahead
        self.paths = paths
        self.back = [number * sizes.season for number in range(1, lags + 1)]
        width = self.features.encoder_width + (1 + 2 * lags) * sizes.targets
        self.recurrent = Encoder(width, cell=cell, hidden_size=hidden_size, layers=layers, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_size, sizes.targets * sizes.outputs)
        initialise(self)

    def raw(self, inputs: Inputs, teacher: Outcome | None, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K); in training with a teacher those of all steps but the first."""
        if teacher is None:
            return self._drawn(inputs, feedback)
        target = torch.cat([inputs.target, teacher.target[:, :-1]], dim=1)
        observed = torch.cat([inputs.observed, teacher.observed[:, :-1]], dim=1)
        encoded = torch.cat([target, self._beside(inputs, observed), *self._lagged(target, observed)], dim=-1)
        states, _ = self.recurrent(encoded, padding(observed))  # (B, L + H - 1, D)
        raw = self._outputs(states, held(target, observed))
        return raw if self.training else raw[:, -self.sizes.horizon :]

    def refuse(self, loss: nn.Module) -> None:
        """Refuse a loss that has no distribution to draw from."""
        if not getattr(loss, "is_distribution", False):
            raise ConfigError(
                "this network draws each step from a distribution, and reads the draw for the next; the loss "
                f"{type(loss).__name__} has none to draw from. Choose loss=student_t or loss=gaussian."
            )

    def _drawn(self, inputs: Inputs, feedback: Feedback | None) -> Tensor:
        """Return raw outputs (B, H, C, K), each step read from the value that `feedback` gives for the one before."""
        fed = feedback or _centre
        raw, course = self.begin(inputs)
        raws, ahead = [raw], self.ahead(inputs)
        for step in ahead.unbind(dim=1):
            value = fed(raws[-1])
            rows = value.shape[0]
            raw, course = self.onward(value, course.branched(rows), branched(step, rows))
            raws.append(raw)
        fed(raws[-1])  # the last value ends the path; nothing follows that reads it
        return torch.stack([branched(raw, raws[-1].shape[0]) for raw in raws], dim=1)

    def begin(self, inputs: Inputs) -> tuple[Tensor, Course]:
        """Read the context: raw outputs of the first step ahead (B, C, K), and where the course of a path begins."""
        encoded = [inputs.target, self._beside(inputs, inputs.observed), *self._lagged(inputs.target, inputs.observed)]
        states, state = self.recurrent(torch.cat(encoded, dim=-1), padding(inputs.observed))
        recent = torch.cat([inputs.target, inputs.observed], dim=-1)[:, -max(self.back, default=1) :]
        return self._outputs(states[:, -1], latest(inputs.target, inputs.observed)), Course(state, recent)

    def ahead(self, inputs: Inputs) -> Tensor:
        """Return what the network reads beside the value of each step ahead but the last: (B, H - 1, ...)."""
        observed = F.pad(inputs.observed, (0, 0, 0, self.sizes.horizon - 1), value=1.0)
        return self._beside(inputs, observed)[:, inputs.target.shape[1] :]

    def onward(self, value: Tensor, course: Course, beside: Tensor) -> tuple[Tensor, Course]:
        """Read the value of a step (N, C): raw outputs of the next (N, C, K), and the course from there.

        Parameters
        ----------
        value : Tensor (N, C)
        course : Course
            Of N paths.
        beside : Tensor (N, ...)
            What `ahead` gives of the step.
        """
        recent = torch.cat([course.recent[:, 1:], torch.cat([value, torch.ones_like(value)], dim=-1)[:, None]], dim=1)
        read = torch.cat([value, beside, *(recent[:, -back] for back in self.back)], dim=-1)
        states, state = self.recurrent.onward(read[:, None], course.state)
        return self._outputs(states[:, 0], value), Course(state, recent)

    def _beside(self, inputs: Inputs, observed: Tensor) -> Tensor:
        """Return what each step reads beside values, of the step that follows where it is known ahead: (B, T, ...).

        Parameters
        ----------
        inputs : Inputs
        observed : Tensor (B, T, C)
            Of the context and steps ahead.
        """
        ahead = observed.shape[1] - inputs.observed.shape[1]
        steps = inputs._replace(
            target=torch.zeros_like(observed),
            observed=observed,
            past=F.pad(inputs.past, (0, 0, 0, ahead)),
            past_codes=F.pad(inputs.past_codes, (0, 0, 0, ahead)),
            known=inputs.known[:, 1:],
            known_codes=inputs.known_codes[:, 1:],
        )
        scale = inputs.scale[:, None].expand(-1, observed.shape[1], -1)
        return torch.cat([self.features.encoder(steps)[..., observed.shape[2] :], scale], dim=-1)

    def _lagged(self, target: Tensor, observed: Tensor) -> list[Tensor]:
        """Return target and mask whole seasons before the step that follows each: (B, T, C) each."""
        steps = target.shape[1]
        return [
            F.pad(part[:, : steps - back + 1], (0, 0, back - 1, 0)) for back in self.back for part in (target, observed)
        ]

    def _outputs(self, states: Tensor, values: Tensor) -> Tensor:
        """Return raw outputs (..., C, K) from states (..., D) and the last values observed (..., C)."""
        raw = self.output(self.dropout(states)).unflatten(-1, (self.sizes.targets, self.sizes.outputs))
        return torch.cat([raw[..., :1] + values[..., None], raw[..., 1:]], dim=-1)


def _centre(raw: Tensor) -> Tensor:
    return raw[..., 0]


def _each(layer: LayerState, rows: int) -> LayerState:
    """Return the state of a layer, (directions, B, D) each, with a row for each path."""
    return tuple(branched(part.transpose(0, 1), rows).transpose(0, 1).contiguous() for part in layer)
