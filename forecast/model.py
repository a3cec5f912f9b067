"""Scaler, network and loss joined: what is trained, saved, and asked for forecasts. It needs no trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from forecast.batch import Affine, Inputs, Outcome
from forecast.errors import ConfigError, unknown_name
from forecast.losses import Loss
from forecast.scaling import Scaler


class Model(nn.Module):
    """A network between the scaler in front of it and the loss that reads it.

    A network that learns with a teacher says so by ``reads_teacher = True``; the others never get one.

    Parameters
    ----------
    network : nn.Module
        Inputs -> raw outputs (B, H, C, K).
    scaler : Scaler
        From the unit of the series to the axis of the network.
    loss : Loss
        What raw outputs mean.
    """

    def __init__(self, network: nn.Module, scaler: Scaler, loss: Loss) -> None:
        super().__init__()
        self.network, self.scaler, self.loss = network, scaler, loss

    def placed(self, device: torch.device) -> Model:
        """Move to a device, in place; where it has no float64 (mps), statistics of the scaler become float32."""
        if device.type == "mps":
            self.scaler.float()
        if any(weights.device != device for weights in self.parameters()):  # `to` takes its time over nothing, too
            self.to(device)
        return self

    def take_over(self, other: Model) -> None:
        """Take the weights of a model with the same settings, which may know fewer series and categories.

        A row that the other lacks, of a table with one for each series or category, begins as its row 0: that of
        what was never seen.
        """
        growing = {f"{name}.weight" for name, module in self.named_modules() if isinstance(module, nn.Embedding)}
        growing |= {"scaler.loc", "scaler.scale"}
        known = dict(other.state_dict())
        for name in growing & known.keys():
            had, rows = known[name], len(self.state_dict()[name])
            known[name] = torch.cat([had, had[:1].expand(rows - len(had), *had.shape[1:])])
        self.load_state_dict(known)

    @contextmanager
    def frozen(self, parts: Sequence[str]) -> Iterator[None]:
        """Keep parts of the network as they are while training: a part is a component of its parameters' names.

        Raises
        ------
        ConfigError
            If a name fits no parameter, or nothing is left to train.
        """
        named = dict(self.network.named_parameters())
        modules = [name for name, _ in self.network.named_modules()]
        there_are = dict.fromkeys(word for name in (*modules, *named) for word in name.split(".") if word)
        for part in parts:
            if part not in there_are:
                shown = [word for name in modules for word in name.split(".") if word and not word.isdigit()]
                raise ConfigError(unknown_name("part of the network to freeze", part, dict.fromkeys(shown)))
        kept = [weights for name, weights in named.items() if set(parts) & set(name.split("."))]
        if len(kept) == len(named) and not any(True for _ in self.scaler.parameters()):
            raise ConfigError(f"training.freeze={list(parts)} leaves nothing to train. Freeze less.")
        for weights in kept:
            weights.requires_grad_(False)
        try:
            yield
        finally:
            for weights in kept:
                weights.requires_grad_(True)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Affine]:
        """Return raw outputs (B, H, C, K), each step fed back, and the way back to the axis of the transform."""
        scaled, affine = self.scaler(inputs)
        return self.network(scaled, None, self.loss.scaled_point), affine

    def training_loss(self, inputs: Inputs, outcome: Outcome) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        raw, outcome, scaled, affine = self._learning(inputs, outcome)
        return self.loss(raw, outcome, scaled, affine)

    @torch.no_grad()
    def judged(self, inputs: Inputs, outcome: Outcome) -> tuple[Tensor, Tensor]:
        """Return of each window whether its loss is finite, and its largest scaled value: (B,) each."""
        raw, outcome, scaled, affine = self._learning(inputs, outcome)
        truth = _scaled(outcome, affine).target
        losses = self.loss.stepwise(raw, truth.to(raw.dtype)).masked_fill(outcome.observed == 0, 0.0)
        sizes = torch.cat([scaled.target, truth], dim=1).abs().nan_to_num(float("inf"), float("inf"))
        return losses.flatten(1).isfinite().all(dim=1), sizes.flatten(1).amax(dim=1)

    @torch.inference_mode()
    def forecast(self, inputs: Inputs, levels: Sequence[float]) -> Tensor:
        """Return the point and then each level's quantile, in the unit of the series: (B, H, C, 1 + Q)."""
        raw, affine = self(inputs)
        point = self.loss.point(raw, affine)[..., None]
        return self.scaler.restored(torch.cat([point, self.loss.quantiles(raw, levels, affine)], dim=-1))

    @torch.inference_mode()
    def calibrate(self, inputs: Inputs, outcome: Outcome) -> None:
        """Let the loss learn the spread of errors from windows."""
        raw, affine = self(inputs)
        self.loss.calibrate(raw, self.scaler.outcome(outcome), affine)

    def _learning(self, inputs: Inputs, outcome: Outcome) -> tuple[Tensor, Outcome, Inputs, Affine]:
        """Return raw outputs, the outcome on the axis of the affine map, the scaled inputs, and the map."""
        scaled, affine = self.scaler(inputs)
        outcome = self.scaler.outcome(outcome)
        teacher = _scaled(outcome, affine) if getattr(self.network, "reads_teacher", False) else None
        return self.network(scaled, teacher, self.loss.scaled_point), outcome, scaled, affine


def _scaled(outcome: Outcome, affine: Affine) -> Outcome:
    target = affine.horizon(outcome.target.shape[1]).scaled(outcome.target)
    return outcome._replace(target=target.masked_fill(outcome.observed == 0, 0.0).to(outcome.observed.dtype))
