"""A trained network as one flat graph: tensors in, forecasts in the unit of the series out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from forecast.batch import Affine
from forecast.calibration import Shifts
from forecast.export.door import Door, Field
from forecast.export.quantiles import CalibratedReader, reader_of
from forecast.export.recurrence import traceable
from forecast.trained import TrainedNetwork


class Graph(nn.Module):
    """Scaler, network, and loss as it is read, with the way back to the unit of the series.

    Parameters
    ----------
    network : TrainedNetwork
        Fitted; it stays as it is.
    levels : sequence of float (Q,)
        Quantile levels.
    most : int
        Up to where counts are told apart.
    shifts : Shifts, optional
        The calibration of its quantiles.
    """

    lowest: Tensor

    def __init__(
        self, network: TrainedNetwork, levels: Sequence[float], *, most: int, shifts: Shifts | None = None
    ) -> None:
        super().__init__()
        self.door, self.model = Door(network), traceable(network.model_)
        self.read = None
        if levels:
            own = levels if shifts is None else sorted(set(shifts.bases))
            read = reader_of(self.model.loss, own, most=most)
            self.read = (
                read if shifts is None else CalibratedReader(read, shifts, levels, from_zero=self.model.loss.from_zero)
            )
        self.register_buffer("lowest", lowest_of(network))
        self.inputs = tuple(field for field in self.door.fields if 0 not in field.shape)
        shape = (network.sizes_.horizon, network.sizes_.targets)
        self.outputs = (
            Field("forecast", shape, "float64", "the point, NaN for a target without an observation"),
            Field("quantiles", (*shape, len(levels)), "float64", "a quantile for each level"),
        )[: 2 if levels else 1]

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return the point (B, H, C), and the quantiles (B, H, C, Q) where levels are given."""
        names = [field.name for field in self.inputs]
        inputs = self.door(dict(zip(names, given, strict=True)))
        raw, affine = self.model(inputs)
        values = self.model.loss.point(raw, affine)[..., None]
        if self.read is not None:
            part = affine.horizon(raw.shape[1])
            scaled = self.read(raw, part.scale.to(raw.dtype))
            wide = Affine(part.loc[..., None], part.scale[..., None])
            values = torch.cat([values, self.model.loss.restored(scaled, wide)], dim=-1)
        if not self.model.loss.is_event:  # a probability has no unit
            values = torch.maximum(self.model.scaler.restored(values), self.lowest)
        told = inputs.observed.amax(dim=1) > 0  # (B, C)
        values = torch.where(told[:, None, :, None], values, torch.nan)
        return (values[..., 0], values[..., 1:])[: len(self.outputs)]


def lowest_of(network: TrainedNetwork) -> Tensor:
    """Return the value that each target is raised to: (C, 1)."""
    minima = network.panel_.columns.minima
    lowest = [-torch.inf if minimum is None else minimum for minimum in minima]
    return torch.tensor(lowest, dtype=torch.float64)[:, None]
