"""A network at other contexts than its own: the windows to look at, and the weights before and after training."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from forecast.batch import Batch
from forecast.data.panel import Panel
from forecast.data.windows import prediction_windows
from forecast.errors import ConfigError, DataError, named
from forecast.forecaster import Forecaster
from forecast.model import Model
from forecast.networks.bypass import Bypass

WINDOWS, LEAST = 64, 8  # that are looked at: as many, or fewer of a long context
STEPS = 64 * 512  # of all windows together, from which on there are fewer: every state of every step is kept
TRIED = 4096  # origins that are drawn, to find those without a gap where it matters


def windows_of(forecaster: Forecaster, panel: Panel, *, context: int) -> Batch:
    """Return windows whose context is full and begins with an observation, always the same of the same panel.

    Left padding would shorten the way back that is measured.

    Raises
    ------
    DataError
        If there is none.
    """
    horizon = forecaster.horizon_
    counts = np.maximum(panel.ends - horizon - context + 1, 0)
    totals = np.cumsum(counts)
    if not totals[-1]:
        longest = int(panel.ends.argmax())
        raise DataError(
            f"context {context} and horizon {horizon} need {context + horizon} steps, and the longest series, "
            f"{named(panel.ids[longest])}, has {panel.ends[longest]}."
        )
    draw = np.random.default_rng(0)
    numbers = draw.permutation(totals[-1])[:TRIED] if totals[-1] <= 2**20 else draw.integers(totals[-1], size=TRIED)
    series = np.searchsorted(totals, numbers, side="right")
    ends = context + numbers - (totals - counts)[series]
    begins = panel.observed_targets(series, ends - context, ends - context + 1).all(axis=1)
    whole = begins & panel.observed_targets(series, ends, ends + horizon).all(axis=1)
    if not whole.any():
        raise DataError(f"no window of context {context} begins with an observation and has one in its horizon.")
    kept = np.flatnonzero(whole)[: max(LEAST, min(WINDOWS, STEPS // context))]
    windows, *origins = prediction_windows(
        panel,
        forecaster.encoding_,
        series[kept],
        ends[kept],
        device=torch.device("cpu"),
        context_length=context,
        horizon=horizon,
    )
    return windows.batch(*origins)


def models_at(forecaster: Forecaster, *, context: int) -> tuple[dict[str, Model], str]:
    """Return the model "before" and "after" training at a context, on the CPU, and a note on weights that it shaped.

    Before training the network is as the seed made it; scaler and loss are the trained ones in both, so that both
    networks read the same.

    Raises
    ------
    ConfigError
        If the network has weights that fit its own context alone, or cannot be built for this one.
    """
    trained = forecaster.model_.state_dict()
    models = {when: forecaster.fresh_model(context_length=context) for when in ("before", "after")}
    for model in models.values():
        for part in ("scaler", "loss"):
            getattr(model, part).load_state_dict(getattr(forecaster.model_, part).state_dict())
    after = models["after"]
    own = {name: weights.cpu() for name, weights in trained.items() if name.startswith("network.")}
    note = _fit_bypass(after.network, own, context=context, was=forecaster.context_length_)
    shapes = {name: weights.shape for name, weights in after.state_dict().items() if name.startswith("network.")}
    other = [name for name in {**shapes, **own} if name not in own or shapes.get(name) != own[name].shape]
    if other:
        raise ConfigError(
            f"{other[0].replace('network.', '')} is made for the context of {forecaster.context_length_}."
        )
    after.load_state_dict({**after.state_dict(), **own})
    return {when: model.eval() for when, model in models.items()}, note


def _fit_bypass(network: nn.Module, weights: dict[str, torch.Tensor], *, context: int, was: int) -> str:
    """Cut a linear bypass to the steps of a context, in place, or fill it up with 0, as it began."""
    paths = [path for path, module in network.named_modules() if isinstance(module, Bypass)]
    if context == was or not paths:
        return ""
    for path in paths:
        name = f"network.{path}.weight"
        had = weights[name].unflatten(0, (was, -1))  # (L, C, H C)
        shared = had.new_zeros(context, *had.shape[1:])
        least = min(was, context)
        shared[-least:] = had[-least:]
        weights[name] = shared.flatten(0, 1)
    return f"at contexts other than {was} the linear bypass keeps the weights of the steps that both have; others are 0"
