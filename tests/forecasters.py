"""Helpers that build small forecasters, quick to train."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from frames import made_frame
from torch import Tensor, nn

from forecast import Ensemble, Forecaster, Training
from forecast.batch import Inputs, Sizes


def made_forecaster(model: Any = "gru", *, steps: int = 10, **settings: Any) -> Forecaster:
    """Return a small forecaster, not fitted."""
    training = Training(steps=steps, batch_size=8)
    quick = {"horizon": 3, "context_length": 6, "training": training, "accelerator": "cpu", "progress": False}
    return Forecaster(model, **{**quick, **settings})


def fitted_forecaster(model: Any = "gru", frame: pd.DataFrame | None = None, **settings: Any) -> Forecaster:
    """Return a small forecaster after two steps of training."""
    return made_forecaster(model, steps=2, **settings).fit(made_frame() if frame is None else frame)


def fitted_ensemble() -> Ensemble:
    """Return an ensemble of three members of two models, the contexts of which differ."""
    members = [
        made_forecaster(seed=1),
        made_forecaster("linear", seed=2),
        made_forecaster(seed=3, context_length=9),
    ]
    return Ensemble(members).fit(made_frame())


class Far(nn.Module):
    """A network that is always wrong by many deviations."""

    def __init__(self, sizes: Sizes, *, by: float = 50.0) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.full((sizes.horizon, sizes.targets, sizes.outputs), by))

    def forward(self, inputs: Inputs, teacher: Any = None, feedback: Any = None) -> Tensor:
        return self.steps.expand(len(inputs.target), *self.steps.shape)
