"""The inputs of a graph: what they are, and how `Inputs` come from them.

All numbers are in the unit of their column, NaN where there is none: masks and standard scores are made in the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from forecast.batch import Inputs
from forecast.data.encoding import ROLES
from forecast.trained import TrainedNetwork

BATCH = "batch"


class Field(NamedTuple):
    """An input or output of a graph; the first axis is the batch."""

    name: str
    shape: tuple[int, ...]  # without the batch
    dtype: str
    meaning: str

    def as_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {"name": self.name, "shape": [BATCH, *self.shape], "dtype": self.dtype, "meaning": self.meaning}

    def example(self, rows: int) -> Tensor:
        """Return a tensor of this shape and type."""
        return torch.zeros(rows, *self.shape, dtype=getattr(torch, self.dtype))


class Door(nn.Module):
    """Make `Inputs` of the flat tensors that a graph is given.

    Parameters
    ----------
    network : TrainedNetwork
        Whose windows they are.
    """

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__()
        self.sizes = network.sizes_
        encoding, columns = network.encoding, network.panel_.columns
        for role in ROLES:
            told = [encoding.statistics[name] for name in getattr(columns, role) if name in encoding.statistics]
            self.register_buffer(role, torch.tensor(told, dtype=torch.float64).reshape(-1, 2).T)
        self.fields = self._fields(encoding.calendar_widths())

    def forward(self, given: Mapping[str, Tensor]) -> Inputs:
        """Return what the scaler reads; what is not given is 0."""
        windows = given["target"].shape[0]
        parts = {
            field.name: given[field.name] if field.name in given else field.example(1).expand(windows, *field.shape)
            for field in self.fields
        }
        seen = ~parts["target"].isnan()
        past, known = self._standard("past", parts["past"]), self._standard("known", parts["known"])
        return Inputs(
            target=torch.where(seen, parts["target"], 1.0),  # scalers mask it; logarithms of 0 are not finite in ONNX
            observed=seen.float(),
            past=torch.cat([past, (~parts["past"].isnan()).float()], dim=-1),
            known=torch.cat([known, parts["calendar"]], dim=-1),
            static=self._standard("static", parts["static"]),
            past_codes=parts["past_codes"],
            known_codes=torch.cat([parts["known_codes"], parts["calendar_codes"]], dim=-1),
            static_codes=parts["static_codes"],
            series=parts["series"],
            position=parts["position"],
            scale=parts["target"].new_zeros(windows, self.sizes.targets, dtype=torch.float32),
        )

    def given(self, inputs: Inputs, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return what a graph with inputs of these names is given for windows."""
        past, seen = inputs.past.double().chunk(2, dim=-1)
        known, calendar = inputs.known.tensor_split([self._width("known")], dim=-1)
        codes, calendar_codes = inputs.known_codes.tensor_split([self._width("known_codes")], dim=-1)
        every = {
            "target": inputs.target.double().masked_fill(inputs.observed == 0, torch.nan),
            "past": self._usual("past", past).masked_fill(seen == 0, torch.nan),
            "known": self._usual("known", known.double()),
            "static": self._usual("static", inputs.static.double()),
            "calendar": calendar,
            "calendar_codes": calendar_codes,
            "past_codes": inputs.past_codes,
            "known_codes": codes,
            "static_codes": inputs.static_codes,
            "series": inputs.series,
            "position": inputs.position,
        }
        return {name: np.ascontiguousarray(every[name].numpy()) for name in names}

    def _standard(self, role: str, values: Tensor) -> Tensor:
        mean, deviation = getattr(self, role)
        standard = ((values - mean) / deviation).float()
        return torch.where(standard.isnan(), 0.0, standard)

    def _usual(self, role: str, standard: Tensor) -> Tensor:
        mean, deviation = getattr(self, role)
        return standard * deviation + mean

    def _width(self, name: str) -> int:
        return next(field.shape[-1] for field in self.fields if field.name == name)

    def _fields(self, calendar: tuple[int, int]) -> tuple[Field, ...]:
        """Return every input that a network may read, those of no width too."""
        sizes, length, steps = self.sizes, self.sizes.context_length, self.sizes.context_length + self.sizes.horizon
        wide, codes = {role: getattr(self, role).shape[1] for role in ROLES}, "codes from 1, 0 where unknown"
        return (
            Field("target", (length, sizes.targets), "float64", "values up to the origin, NaN where not observed"),
            Field("past", (length, wide["past"]), "float64", "past covariates, NaN where missing"),
            Field("past_codes", (length, len(sizes.past_cardinalities)), "int64", f"past covariates, {codes}"),
            Field("known", (steps, wide["known"]), "float64", "known covariates, of context and horizon"),
            Field(
                "known_codes",
                (steps, len(sizes.known_cardinalities) - calendar[1]),
                "int64",
                f"known covariates, {codes}",
            ),
            Field("calendar", (steps, calendar[0]), "float32", "what the calendar tells of context and horizon"),
            Field("calendar_codes", (steps, calendar[1]), "int64", f"what the calendar tells, {codes}"),
            Field("static", (wide["static"],), "float64", "static covariates"),
            Field("static_codes", (len(sizes.static_cardinalities),), "int64", f"static covariates, {codes}"),
            Field("series", (), "int64", "number of the series from 1, 0 for one that training has not met"),
            Field("position", (), "int64", "grid index of the last step of the context, counted from 1970"),
        )
