"""Scaling of targets, the only place that does it: from the unit of the series to an axis that networks read.

A scaler first transforms (nothing, log, Box-Cox), then moves and stretches by an `Affine` that it returns and
does not keep. Statistics are taken in float64 from what was observed in the context, or in the training span;
what the network reads is float32.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import torch
from scipy.stats import boxcox_llf
from torch import Tensor, nn

from forecast.batch import Affine, Inputs, Outcome, Sizes
from forecast.data.panel import Panel
from forecast.errors import ConfigError

Transform = Literal["none", "log", "box_cox"]
TINY = 1e-12  # deviations below this share of the level are rounding, not movement
SHARES = (0.5, 0.3)  # of an error that level and season first take over
LEAST_ERROR = 1e-3  # of a logarithm: about a thousandth of the level
LONGEST_SEASON = 168  # hours of a week; more would hold a table as long as the training span


class Scaler(nn.Module):
    """The identity, after a transform; parent of the scalers that move and stretch.

    Parameters
    ----------
    transform : {"none", "log", "box_cox"}
        Applied first; log and Box-Cox take positive series, and make the point forecast a median. The
        exponent of Box-Cox is the one of greatest likelihood over the training span, one a target for all series;
        values are divided by their geometric mean first, so that no unit is too large or too small for it.
    cycle : bool
        Take a season away that is learned together with the network.
    """

    otherwise = "Choose another scaling, such as scaling=last."  # where values are not positive
    exponent: Tensor
    middle: Tensor

    def __init__(self, *, transform: Transform = "none", cycle: bool = False) -> None:
        super().__init__()
        if transform not in ("none", "log", "box_cox"):
            raise ValueError(f"transform is none, log or box_cox, got {transform!r}.")
        self.transform, self.has_cycle = transform, cycle
        self.cycle: Cycle | None = None
        self._make_room(1)

    @property
    def positive(self) -> str:
        """What takes positive values only, where something does."""
        return f"the {self.transform} transform"

    @property
    def keeps_zero(self) -> bool:
        """Whether what is scaled is a multiple of the scale, zero where the value is zero."""
        return type(self) in (Scaler, MeanAbsScaler) and self.transform == "none" and not self.has_cycle

    @property
    def looks_ahead(self) -> bool:
        """Whether a step of the context is scaled by later ones: then no step but the last is an origin."""
        return type(self).affine is not Scaler.affine

    def prepare(self, sizes: Sizes) -> None:
        """Make room for what `fit` and training learn."""
        self._make_room(sizes.targets)
        if self.has_cycle:
            self.cycle = Cycle(sizes)

    def _make_room(self, targets: int) -> None:
        self.register_buffer("exponent", torch.zeros(targets, dtype=torch.float64))
        self.register_buffer("middle", torch.zeros(targets, dtype=torch.float64))  # log of the geometric mean

    def fit(self, panel: Panel, numbers: np.ndarray | None = None) -> None:
        """Learn from the training span, whose series have `numbers` (n,): from 1 in its order by default."""
        self.check(panel)
        if self.transform == "box_cox":
            for channel, values in enumerate(panel.target.T):
                self._fit_channel(channel, np.log(values[np.isfinite(values)]))

    def _fit_channel(self, channel: int, logs: np.ndarray) -> None:
        if not len(logs):
            return
        self.middle[channel] = float(logs.mean())
        if logs.std() > TINY:  # of a constant every exponent is as likely
            values, exponents = np.exp(logs - logs.mean()), np.linspace(-1, 2, 31)
            likelihood = [float(boxcox_llf(exponent, values)) for exponent in exponents]
            self.exponent[channel] = float(exponents[int(np.argmax(likelihood))])

    def check(self, panel: Panel, ends: np.ndarray | None = None) -> None:
        """Refuse what the transform is not defined for, in the first `ends` (n,) steps of each series or in all."""
        if self.transform == "none":
            return
        panel = panel if ends is None else panel.until(ends)
        panel.refuse(panel.target <= 0, f"{self.positive} takes positive values only. {self.otherwise}")

    def forward(self, inputs: Inputs) -> tuple[Inputs, Affine]:
        """Scale the context.

        Returns
        -------
        Inputs with a scaled target (B, L, C), 0 where not observed; Affine that leads back.
        """
        observed = inputs.observed.to(inputs.target.dtype)
        target = self.transformed(inputs.target) * observed
        affine = self._seasonal(inputs._replace(target=target, observed=observed))
        scaled = affine.context(target.shape[1]).scaled(target).to(inputs.observed.dtype) * inputs.observed
        size = affine.scale[:, -1].log().expand(target.shape[0], target.shape[2]).to(inputs.observed.dtype)
        return inputs._replace(target=scaled, scale=size), affine

    def _seasonal(self, inputs: Inputs) -> Affine:
        """Return loc and scale; where a cycle is learned, with its season in loc and the level of what it leaves."""
        affine = self.affine(inputs)
        if self.cycle is None:
            return affine
        season = self.cycle(inputs) * affine.scale  # (B, L + H, C)
        left = (inputs.target - season[:, : inputs.target.shape[1]]) * inputs.observed
        return Affine(self.affine(inputs._replace(target=left)).loc + season, affine.scale)

    def affine(self, inputs: Inputs) -> Affine:
        """Return loc and scale for a context on the transformed axis."""
        one = inputs.target.new_ones(1, 1, 1)
        return Affine(one * 0, one)

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return what happened on the transformed axis, where the affine map is read by the loss."""
        return outcome._replace(target=self.transformed(outcome.target))

    def transformed(self, values: Tensor) -> Tensor:
        """Apply the transform to (..., C); what it makes of the placeholders of unobserved steps is to be masked."""
        if self.transform == "none":
            return values
        exponent, logs = self.exponent, values.clamp(min=torch.finfo(values.dtype).tiny).log()
        logs = logs - self.middle.to(values.dtype)
        # Placeholders of 0 stay finite under negative exponents: a mask does not take infinity back.
        powers = torch.expm1((exponent * logs).clamp(max=700)) / torch.where(exponent == 0, 1.0, exponent)
        return torch.where(exponent == 0, logs, powers)

    def restored(self, values: Tensor) -> Tensor:
        """Undo the transform of (..., C, Q); monotone, so that quantiles stay quantiles."""
        if self.transform == "none":
            return values
        exponent, middle = self.exponent[:, None], self.middle[:, None].to(values.dtype)
        # A Box-Cox axis ends where the value reaches 0 or infinity; beyond lies the nearest that exists.
        base = (exponent * values).clamp(min=-1 + 1e-9)
        logs = torch.where(exponent == 0, values, torch.log1p(base) / torch.where(exponent == 0, 1.0, exponent))
        return (logs + middle).exp()


class WindowScaler(Scaler):
    """Mean 0 and deviation 1 over what the context window observed."""

    def affine(self, inputs: Inputs) -> Affine:
        """Return the mean and deviation of each window: (B, 1, C)."""
        mean = _mean(inputs.target, inputs.observed)
        return Affine(mean, _deviation(inputs, mean))


class LastValueScaler(Scaler):
    """Distance from the last observed value, in deviations of the window: 0 is the naive forecast."""

    def affine(self, inputs: Inputs) -> Affine:
        """Return the last observed value and the window's deviation: (B, 1, C)."""
        return Affine(_last(inputs), _deviation(inputs, _mean(inputs.target, inputs.observed)))


class MeanAbsScaler(Scaler):
    """Multiples of the window's mean absolute value; zero stays zero."""

    def affine(self, inputs: Inputs) -> Affine:
        """Return 0 and the mean absolute value of each window: (B, 1, C)."""
        scale = _mean(inputs.target.abs(), inputs.observed)
        return Affine(torch.zeros_like(scale), torch.where(scale > 0, scale, 1.0))


class SeriesScaler(Scaler):
    """Mean 0 and deviation 1 per series over the training span; a series without any goes by its window."""

    looks_ahead = False
    loc: Tensor
    scale: Tensor

    def prepare(self, sizes: Sizes) -> None:
        """Make room for the statistics of each series, NaN where there are none, as in row 0: (series, C)."""
        super().prepare(sizes)
        shape = (sizes.series, sizes.targets)
        self.register_buffer("loc", torch.full(shape, float("nan"), dtype=torch.float64))
        self.register_buffer("scale", torch.ones(shape, dtype=torch.float64))

    def fit(self, panel: Panel, numbers: np.ndarray | None = None) -> None:
        """Take mean and deviation of each series' training span."""
        super().fit(panel, numbers)
        numbers = np.arange(1, len(panel.ids) + 1) if numbers is None else numbers
        values = self.transformed(torch.as_tensor(panel.target)).numpy()
        series = np.repeat(np.arange(len(panel.ids)), panel.lengths)
        for channel in range(values.shape[1]):
            grouped = pd.Series(values[:, channel]).where(np.isfinite(panel.target[:, channel])).groupby(series)
            mean, deviation = (
                torch.as_tensor(part.to_numpy(copy=True)) for part in (grouped.mean(), grouped.std(ddof=0))
            )
            met = ~mean.isnan()
            self.loc[numbers[met.numpy()], channel] = mean[met]
            self.scale[numbers[met.numpy()], channel] = _floored(deviation, mean)[met]

    def affine(self, inputs: Inputs) -> Affine:
        """Return the statistics of each window's series: (B, 1, C)."""
        mean = _mean(inputs.target, inputs.observed)
        loc, scale = self.loc[inputs.series][:, None].to(mean), self.scale[inputs.series][:, None].to(mean)
        met = ~loc.isnan()
        return Affine(torch.where(met, loc, mean), torch.where(met, scale, _deviation(inputs, mean)))


class LevelScaler(SeriesScaler):
    """Distance from the last observed value, in deviations of the series over the training span.

    Where `LastValueScaler` makes all windows equally large, here those that move more weigh more.
    """

    looks_ahead = True

    def affine(self, inputs: Inputs) -> Affine:
        """Return the last observed value and the deviation of each window's series: (B, 1, C)."""
        return Affine(_last(inputs), super().affine(inputs).scale)


class Cycle(nn.Module):
    """A season that is learned with the network, in units of the scale: one for all series, and what each adds to it.

    It begins at zero, and stays there for series never seen but for what all have in common.

    Parameters
    ----------
    sizes : Sizes
        Its season is the length of the cycle.

    References
    ----------
    Lin et al. (2024), CycleNet: enhancing time series forecasting through modeling periodic patterns.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        if sizes.season < 2:
            raise ConfigError(
                "scaling.cycle learns a season, and there is none: seasonality is 1. Set data.seasonality=."
            )
        self.shape, self.horizon = (sizes.season, sizes.targets), sizes.horizon
        self.common = nn.Parameter(torch.zeros(sizes.season * sizes.targets))
        self.own = nn.Embedding.from_pretrained(torch.zeros(sizes.series, sizes.season * sizes.targets), freeze=False)

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the season of each step of context and horizon: (B, L + H, C)."""
        ahead = torch.arange(1 - inputs.target.shape[1], self.horizon + 1, device=inputs.position.device)
        phases = (inputs.position[:, None] + ahead) % self.shape[0]  # (B, L + H)
        seasons = (self.common + self.own(inputs.series)).unflatten(1, self.shape)
        return seasons.gather(1, phases[..., None].expand(-1, -1, self.shape[1]))


class SmoothingScaler(Scaler):
    """Level and season by exponential smoothing of logarithms, with parameters learned together with the network.

    Over the context, each observed step moves the level by a share of how far off it was, and the season of its phase
    by a share of what is left then; others move neither. The network reads logarithms relative to the last level,
    without the season: behind that of the step itself, ahead the last one of its phase. The level begins at the
    window's mean, the season aside: a share of 0 leaves it there, and one of 1 makes it the last value. Shares and
    first season are one for all series plus what each adds; a series never seen has the former alone. The scale is
    the mean distance from what one step before foretold, without a gradient: with one, scaled losses would fall by
    foretelling worse.

    This is a windowed variant of the hybrid method: each window is smoothed anew from a learned first season, where
    the paper smooths each series once from its beginning, and it averages logarithms, where the paper averages values.

    References
    ----------
    Smyl (2020), A hybrid method of exponential smoothing and recurrent neural networks for time series forecasting,
    section 3; Hyndman et al. (2008), Forecasting with exponential smoothing (the form that corrects errors).
    """

    looks_ahead = True
    positive = "scaling=smoothing, which multiplies a level by a season,"
    otherwise = "Choose another scaling, such as scaling=last; model=esrnn is dilated without it."

    def __init__(self) -> None:
        super().__init__(transform="log")

    def prepare(self, sizes: Sizes) -> None:
        """Make room for the shares and the season of each series.

        Raises
        ------
        ConfigError
            If the season is longer than what is kept for each series.
        """
        super().prepare(sizes)
        if sizes.season > LONGEST_SEASON:
            raise ConfigError(
                f"scaling=smoothing keeps at most {LONGEST_SEASON} steps of a season for each series, and the "
                f"seasonality is {sizes.season}. Set data.seasonality=, 1 for a level alone, or choose another scaling."
            )
        self.season, self.horizon = sizes.season, sizes.horizon
        self.cycle = Cycle(sizes) if sizes.season > 1 else None
        self.shares = nn.Parameter(torch.tensor(SHARES).logit().repeat_interleave(sizes.targets))
        self.own = nn.Embedding.from_pretrained(torch.zeros(sizes.series, 2 * sizes.targets), freeze=False)

    def _seasonal(self, inputs: Inputs) -> Affine:
        """Return the last level with the season of each step (B, L + H, C), and the mean error (B, 1, C)."""
        level, seasons, errors = self._smoothed(inputs)
        scale = _mean(errors.detach().abs(), inputs.observed)
        return Affine(level[:, None] + seasons, scale.clamp(min=LEAST_ERROR))

    def _smoothed(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        """Return the last level (B, C), the season of each step (B, L + H, C), and errors one step ahead (B, L, C)."""
        steps = inputs.target.shape[1]
        level, first = self._beginning(inputs)
        kept = list(first[:, : self.season].unbind(dim=1))  # by step of the context, modulo the season
        seasons, errors = [], []
        of_level, of_season = self._shares(inputs)
        for step, value in enumerate(inputs.target.unbind(dim=1)):
            phase = step % self.season
            seasons.append(kept[phase])
            errors.append(value - level - kept[phase])
            level = torch.addcmul(level, of_level[step], errors[-1])
            kept[phase] = torch.addcmul(kept[phase], of_season[step], errors[-1])
        seasons += [kept[step % self.season] for step in range(steps, steps + self.horizon)]
        return level, torch.stack(seasons, dim=1), torch.stack(errors, dim=1) * inputs.observed

    def _beginning(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return level (B, C) and season of each step (B, L + H, C) before any of the window is read."""
        windows, steps, targets = inputs.target.shape
        if self.cycle is not None:
            first = self.cycle(inputs).to(inputs.target)
        else:
            first = inputs.target.new_zeros(windows, steps + self.horizon, targets)
        level = _mean((inputs.target - first[:, :steps]) * inputs.observed, inputs.observed)[:, 0]
        return level, first

    def _shares(self, inputs: Inputs) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return of each step (B, C) what level and season take over of its error: nothing where not observed."""
        shares = (self.shares + self.own(inputs.series)).sigmoid().to(inputs.target)[:, None]
        of_level, of_season = (part * inputs.observed for part in shares.chunk(2, dim=2))
        of_season = of_season * (1 - of_level) * (self.season > 1)  # of what the level leaves over
        return of_level.unbind(dim=1), of_season.unbind(dim=1)


def _last(inputs: Inputs) -> Tensor:
    """Return the last observed value of each window, 0 where there is none: (B, 1, C)."""
    steps = torch.arange(1, inputs.target.shape[1] + 1, device=inputs.target.device)
    return inputs.target.gather(1, (inputs.observed * steps[:, None]).argmax(dim=1, keepdim=True))


def _mean(values: Tensor, observed: Tensor) -> Tensor:
    """Return the mean over observed steps of values that are 0 elsewhere: (B, 1, C)."""
    return values.sum(dim=1, keepdim=True) / observed.sum(dim=1, keepdim=True).clamp(min=1)


def _deviation(inputs: Inputs, mean: Tensor) -> Tensor:
    """Return the deviation over observed steps, a positive stand-in where there is none: (B, 1, C)."""
    distance = torch.addcmul(inputs.target, mean, inputs.observed, value=-1)
    return _floored(_mean(distance.square(), inputs.observed).sqrt(), mean)


def _floored(deviation: Tensor, level: Tensor) -> Tensor:
    """Replace the deviation of a constant: a thousandth of its level, or 1 where that is 0 too."""
    level = level.abs()
    stand_in = torch.where(level > 0, level / 1000, 1.0)
    return torch.where(deviation > TINY * level, deviation, stand_in)
