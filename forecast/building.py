"""How the model of a forecaster is made, and made ready for what it is to learn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from forecast.batch import Sizes
from forecast.config import build
from forecast.data.columns import Columns
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.model import Model
from forecast.networks.channels import ByChannel
from forecast.training.warm_start import Start


def built(parameters: dict[str, Any], sizes: Sizes, columns: Columns, *, allow: Iterable[type] = ()) -> Model:
    """Return scaler, network and loss, with weights as the seed makes them.

    Parameters
    ----------
    parameters : dict
        Of a forecaster, where model, loss and scaling are settled.
    sizes : Sizes
        Shapes of the network.
    columns : Columns
        Say whether several targets are channels of one network.
    allow : iterable of type
        Classes of the caller's own that a saved setting may name.
    """

    def network_of(sizes: Sizes) -> nn.Module:
        return build("model", parameters["model"], sizes, allow=allow)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(parameters["seed"])
        by_channel = sizes.targets > 1 and not columns.joint
        network = ByChannel(network_of, sizes) if by_channel else network_of(sizes)
        scaler = build("scaling", parameters["scaling"], allow=allow)
        scaler.prepare(sizes)
    loss = build("loss", parameters["loss"], allow=allow)
    loss.prepare(sizes)
    return Model(network, scaler, loss)


def make_ready(model: Model, encoding: Encoding, *, panel: Panel, span: Panel, start: Start | None) -> None:
    """Give a new model what it starts from, and hold it against its series.

    Parameters
    ----------
    model : Model
        Changed in place.
    encoding : Encoding
        Numbers the series.
    panel, span : Panel
        All that is given, and the part of it that is learned from.
    start : Start
        What a warm start goes on from.

    Raises
    ------
    ValueError
        If scaler or loss cannot take a value or a series.
    """
    if start is not None:
        model.take_over(start.model)
    model.scaler.check(panel)
    model.loss.check(panel)
    numbers = encoding.numbers_of(span.ids)
    if start is not None and not start.update:
        model.refuse_strangers(numbers, span.ids.to_numpy())
    else:
        model.scaler.fit(span, numbers)
