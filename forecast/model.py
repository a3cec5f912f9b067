"""Scaler, network and loss joined: what is trained, saved, and asked for forecasts. It needs no trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from forecast.batch import Affine, Inputs, Outcome, last_seen, sliding
from forecast.errors import ConfigError, named, unknown_name
from forecast.losses.events import EventLoss
from forecast.losses.loss import Loss, uniforms
from forecast.networks.attention import weights_of
from forecast.networks.channels import ByChannel
from forecast.networks.network import Network
from forecast.scaling import Scaler, SeriesScaler

ROWS = 2**13  # paths that are drawn in one go: bounds memory


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
        if isinstance(network, Network | ByChannel):
            network.refuse(loss)
        if loss.from_zero and not scaler.keeps_zero:
            raise ConfigError(
                f"the loss {type(loss).__name__} tells multiples of a scale, which keep zero where it is, and "
                f"{type(scaler).__name__} moves it. Choose scaling=mean_abs or none, or another loss."
            )
        if getattr(network, "forking", False) and scaler.looks_ahead:
            raise ConfigError(
                f"model.forking=true forecasts from every step of the context, and {type(scaler).__name__} scales it "
                "by what comes after. Choose scaling=series or none, or model.forking=false."
            )

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

    def refuse_strangers(self, numbers: np.ndarray, ids: np.ndarray) -> None:
        """Refuse to train forks on series without statistics, numbered 0 of (n,): such go by their whole window."""
        strangers = np.flatnonzero(numbers == 0)
        if len(strangers) and getattr(self.network, "forking", False) and isinstance(self.scaler, SeriesScaler):
            raise ConfigError(
                f"model.forking=true forecasts from every step of the context, and nothing is known of series "
                f"{named(ids[strangers[0]])} to scale these by but what comes after ({len(strangers)} such series). "
                "Fit with update_statistics=True, or anew."
            )

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

    def progress(self, done: float) -> None:
        """Tell the network, before a training step, what share of them is done."""
        for part in self.network.modules():
            if isinstance(part, Network):
                part.progress(done)

    def training_loss(self, inputs: Inputs, outcome: Outcome) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        raw, outcome, scaled, affine = self._learning(inputs, outcome)
        return self.loss(raw, outcome, scaled, affine)

    @torch.no_grad()
    def judged(self, inputs: Inputs, outcome: Outcome) -> tuple[Tensor, Tensor]:
        """Return of each window whether its loss is finite, and its largest scaled value: (B,) each."""
        raw, outcome, scaled, affine = self._learning(inputs, outcome)
        truth, scale = _scaled(outcome, affine).target, affine.horizon(raw.shape[1]).scale.to(raw.dtype)
        losses = self.loss.stepwise(raw, truth.to(raw.dtype), scale).masked_fill(outcome.observed == 0, 0.0)
        values = [part.reshape(len(scaled.target), -1) for part in (scaled.target, truth)]
        sizes = torch.cat(values, dim=1).abs().nan_to_num(float("inf"), float("inf"))
        return losses.reshape(len(sizes), -1).isfinite().all(dim=1), sizes.amax(dim=1)

    @torch.inference_mode()
    def forecast(self, inputs: Inputs, levels: Sequence[float], *, seed: int = 0) -> Tensor:
        """Return the point and then each level's quantile, in the unit of the series: (B, H, C, 1 + Q).

        A network that draws paths has their quantiles as its forecast, and as its point their median, or of counts
        their mean; `seed` draws them. Of a loss of events the point is the probability, and there are no quantiles.
        """
        if n := getattr(self.network, "paths", 0):
            parts = self._paths(inputs, n, torch.Generator().manual_seed(seed))
            return torch.cat([self._summarised(part, levels) for part in parts])
        raw, affine = self(inputs)
        point = self.loss.point(raw, affine)[..., None]
        return self._restored(torch.cat([point, self.loss.quantiles(raw, levels, affine)], dim=-1))

    def _summarised(self, draws: Tensor, levels: Sequence[float]) -> Tensor:
        """Return the point and quantiles (b, H, C, 1 + Q) of draws (b, H, C, n)."""
        if not self.loss.is_whole:
            return empirical_quantiles(draws, (0.5, *levels))
        least = torch.tensor(levels, dtype=draws.dtype, device=draws.device)
        quantiles = torch.quantile(draws, least, dim=-1, interpolation="higher").movedim(0, -1)
        return torch.cat([draws.mean(dim=-1, keepdim=True), quantiles], dim=-1)

    @torch.inference_mode()
    def paths(self, inputs: Inputs, n: int, generator: torch.Generator) -> Tensor:
        """Draw n paths of each window, in the unit of the series: (B, H, C, n).

        A network that reads its own draws gives the paths that it was fed; of others the steps are drawn together as
        their errors went together on windows. All windows share the random numbers of a path, so that a forecast is
        the same whatever else is in the batch; paths of different series are thus no joint forecast of them.
        """
        return torch.cat(list(self._paths(inputs, n, generator)))

    def _paths(self, inputs: Inputs, n: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the paths (b, H, C, n) of some windows at a time."""
        scaled, affine = self.scaler(inputs)
        length, targets = inputs.target.shape[1:]
        horizon = inputs.known.shape[1] - length
        if not getattr(self.network, "paths", 0):
            raw = self.network(scaled, None, self.loss.scaled_point)
            yield self._restored(self.loss.draws(raw, n, affine, generator))
            return
        uniform = uniforms(horizon, n, targets, generator=generator, like=scaled.target)
        for begin in range(0, len(inputs.target), size := max(1, ROWS // (n * targets))):
            some = slice(begin, begin + size)
            own = Affine(*(part if len(part) == 1 else part[some] for part in affine)).horizon(horizon)
            own = Affine(*(part[:, None] for part in own))  # (b, 1, H, C)
            drawn = self._fed_back(Inputs(*(part[some] for part in scaled)), uniform, own.scale)  # (b, n, H, C)
            yield self.scaler.restored(self.loss.restored(drawn, own).permute(0, 2, 3, 1))

    def _fed_back(self, scaled: Inputs, uniform: Tensor, scale: Tensor) -> Tensor:
        """Return the draws that the network was handed, from uniform numbers (H, n, C, 2): (b, n, H, C)."""
        steps: list[Tensor] = []
        scales = scale.to(uniform).expand(-1, -1, len(uniform), -1).unbind(dim=2)  # (b, 1, C) each

        def feedback(raw: Tensor) -> Tensor:
            parted = raw.unflatten(0, (len(scaled.target), -1))  # (b, n, C, K), at the first step (b, 1, C, K)
            steps.append(self.loss.scaled_draws(parted, uniform[len(steps)], scales[len(steps)]))
            return steps[-1].flatten(0, 1)

        self.network(scaled, None, feedback)
        return torch.stack(steps, dim=2)

    @torch.inference_mode()
    def attention(self, inputs: Inputs) -> Tensor:
        """Return what each step ahead looks at in the context: (B, C, H, L), with C as 1 where targets are joint."""
        scaled, _ = self.scaler(inputs)
        return weights_of(self.network, scaled, self.loss.scaled_point).unflatten(0, (len(inputs.target), -1))

    @torch.inference_mode()
    def calibrate(self, inputs: Inputs, outcome: Outcome) -> None:
        """Let the loss learn from windows what training did not: the spread of errors, and how steps go together."""
        raw, affine = self(inputs)
        self.loss.calibrate(raw, *self._read(inputs, outcome, affine))

    def _learning(self, inputs: Inputs, outcome: Outcome) -> tuple[Tensor, Outcome, Inputs, Affine]:
        """Return raw outputs, the outcome on the axis of the affine map, the scaled inputs, and the map."""
        scaled, affine = self.scaler(inputs)
        if self.training and getattr(self.network, "forking", False):
            return self._forks(inputs, outcome, scaled, affine)
        own, affine = self._read(inputs, outcome, affine)
        teacher = _scaled(own, affine) if getattr(self.network, "reads_teacher", False) else None
        raw = self.network(scaled, teacher, self.loss.scaled_point)
        if raw.shape[1] > own.target.shape[1]:  # it learns from steps of the context too
            own = self.scaler.outcome(_with_context(inputs, outcome, raw.shape[1]))
        return raw, own, scaled, affine

    def _read(self, inputs: Inputs, outcome: Outcome, affine: Affine) -> tuple[Outcome, Affine]:
        """Return what the loss reads: the outcome on the axis of the affine map, and the map.

        Of a loss of events that is where they occurred, and a map that leaves it alone. The outcome may be that of
        every step of the context as its own origin, B L of them.
        """
        if not isinstance(self.loss, EventLoss):
            return self.scaler.outcome(outcome), affine
        last = last_seen(inputs.target, inputs.observed)
        last = last[:, -1] if len(outcome.target) == len(last) else last.flatten(0, 1)
        one = affine.scale.new_ones(1, 1, 1)
        return self.loss.occurred(outcome, last), Affine(0 * one, one)

    def _restored(self, values: Tensor) -> Tensor:
        """Undo the transform of forecasts or draws (B, H, C, Q), none of which is made of probabilities."""
        return values if self.loss.is_event else self.scaler.restored(values)

    def _forks(
        self, inputs: Inputs, outcome: Outcome, scaled: Inputs, affine: Affine
    ) -> tuple[Tensor, Outcome, Inputs, Affine]:
        """Return the same from every step of the context as its own origin, B L of them but for the inputs."""
        raw = self.network.forks(scaled)  # type: ignore[operator]  # (B, L, H, C, K)
        length, horizon = raw.shape[1:3]
        own = Outcome(*(sliding(part, horizon) for part in _with_context(inputs, outcome, length + horizon - 1)))
        has_past = (inputs.observed.cumsum(dim=1) > 0).flatten(0, 1)[:, None]  # of each origin: (B L, 1, C)
        own = own._replace(observed=own.observed * has_past)
        parts = (
            part.expand(len(raw), -1, -1).repeat_interleave(length, dim=0)
            if part.shape[1] == 1
            else sliding(part[:, 1:], horizon)
            for part in affine
        )
        own, affine = self._read(inputs, own, Affine(*parts))
        return raw.flatten(0, 1), own, scaled, affine


def empirical_quantiles(draws: Tensor, levels: Sequence[float]) -> Tensor:
    """Return quantiles of draws (..., n): (..., Q).

    References
    ----------
    Hyndman and Fan (1996), Sample quantiles in statistical packages: their definition 8, nearly free of bias.
    """
    ordered, n = draws.sort(dim=-1).values, draws.shape[-1]
    places = torch.tensor(levels, dtype=draws.dtype, device=draws.device) * (n + 1 / 3) - 2 / 3  # counted from 0
    below = places.clamp(0, n - 1).floor().long()
    above = (below + 1).clamp(max=n - 1)
    return torch.lerp(ordered[..., below], ordered[..., above], (places - below).clamp(0, 1))


def _with_context(inputs: Inputs, outcome: Outcome, steps: int) -> Outcome:
    """Return what happened with the end of the context before it, `steps` steps in all.

    A step before which nothing was observed counts as unobserved: there is nothing to foretell it from.
    """
    target, observed = (torch.cat(pair, dim=1) for pair in zip((inputs.target, inputs.observed), outcome, strict=True))
    has_past = observed.cumsum(dim=1) > observed
    return Outcome(target[:, -steps:], (observed * has_past)[:, -steps:])


def _scaled(outcome: Outcome, affine: Affine) -> Outcome:
    target = affine.horizon(outcome.target.shape[1]).scaled(outcome.target)
    return outcome._replace(target=target.masked_fill(outcome.observed == 0, 0.0).to(outcome.observed.dtype))
