"""A loss or a gradient that is not finite: where, in which series, and the likely cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from forecast.batch import Batch
from forecast.errors import TrainingError, named, some_of

LARGE = 1e6  # a scaled value beyond which a network learns nothing: scalers lead to values of about 1


class Diverged(TrainingError):
    """A training whose loss is not finite; the weights are those of the last whole step where it `is_whole`."""

    is_whole = False
    what = ""  # without the cause


def divergence(module: Any, batch: Batch, *, place: str, is_whole: bool) -> Diverged:
    """Return the error for a batch on which loss or gradient is not finite.

    Parameters
    ----------
    module : ForecastModule
        Whose model met the batch.
    batch : (Inputs, Outcome)
    place : str
        Which batch it is, such as "at step 3 of 200".
    is_whole : bool
        Whether the weights are still those before the step.
    """
    finite, sizes = module.model.judged(*batch)  # (B,) each
    bad = (~finite).nonzero().flatten()
    windows = "window" if len(finite) == 1 else "windows"
    if len(bad):
        series = _names(module.ids, batch[0].series[bad].tolist())
        what = f"the loss is not finite {place}, in {len(bad)} of the {len(finite)} {windows} of its batch: {series}"
    else:
        what = f"the gradient is not finite {place}, though the loss of each of the {len(finite)} {windows} is"
    error = Diverged(f"{what}. {_cause(module, batch, sizes)}")
    error.what, error.is_whole = what, is_whole
    return error


def _cause(module: Any, batch: Batch, sizes: torch.Tensor) -> str:
    """Return what most likely made a loss not finite, and the way out."""
    largest = int(sizes.argmax())
    if sizes[largest] > LARGE:
        series = _names(module.ids, [int(batch[0].series[largest])])
        return (
            f"Scaled, values of {series} reach {float(sizes[largest]):.3g}, more than a network can learn from. "
            "Choose another scaling (scaling=window), give the values in another unit, or leave the series out."
        )
    settings = module.training_settings
    often = f", lowered {module.lowered} times" * bool(module.lowered)
    clip = "" if settings.gradient_clip else " Keep training.gradient_clip above 0."
    is_asked = settings.on_divergence == "lower_rate"
    or_let = "" if is_asked else ", or let training.on_divergence=lower_rate go back and lower it"
    return (
        f"Steps at this learning rate ({module.learning_rate:g}{often}) are more than the loss can take. Lower "
        f"training.learning_rate{or_let}.{clip}"
    )


def _names(ids: Sequence[object], numbers: Sequence[int]) -> str:
    """Return the series of numbers in words; those that training has not met have number 0."""
    names = [named(ids[number - 1]) for number in dict.fromkeys(numbers) if 0 < number <= len(ids)]
    names += ["a series never seen"] * (0 in numbers)
    return f"series {some_of(names)}" if names else "series without a name"
