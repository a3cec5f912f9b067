"""The season that is learned in front of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from batches import made_batch

from forecast import Forecaster, Training
from forecast.batch import Inputs, Sizes
from forecast.config import build, names, read
from forecast.errors import ConfigError
from forecast.model import Model
from forecast.scaling import Scaler

SIZES = Sizes(context_length=12, horizon=6, season=4, series=4, targets=2)
CYCLING = [name for name in names("scaling") if "cycle" in read("scaling", name)]


@pytest.fixture(params=CYCLING)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_cycle_begins_as_if_there_were_none(name: str) -> None:
    inputs = _inputs()
    with_cycle, plain = _scaler(name, cycle=True), _scaler(name, cycle=False)
    for got, expected in zip(_scaled(with_cycle, inputs), _scaled(plain, inputs), strict=True):
        torch.testing.assert_close(got, expected)


def test_a_season_that_is_known_leaves_what_the_scaler_makes_of_the_rest(name: str) -> None:
    """Context and future of a season alone become what the scaler makes of a constant, ahead of the origin as well."""
    scaler = _scaler(name, cycle=True)
    assert scaler.cycle is not None
    with torch.no_grad():
        scaler.cycle.common.normal_()
        scaler.cycle.own.weight[2].normal_()
    inputs = _inputs()._replace(series=torch.full((5,), 2))
    _, affine = scaler(inputs)
    season = (affine.loc - affine.loc.mean(dim=1, keepdim=True)) / affine.scale  # (B, L + H, C)
    learned = (scaler.cycle.common + scaler.cycle.own.weight[2]).view(4, 2).double()
    for row, position in enumerate(inputs.position.tolist()):
        phases = (position + torch.arange(-11, 7)) % 4
        expected = learned[phases] - learned[phases].mean(dim=0)
        torch.testing.assert_close(season[row].expand(18, 2), expected, rtol=1e-6, atol=1e-6)


def test_a_gap_moves_no_level() -> None:
    scaler = _scaler("last", cycle=True)
    assert scaler.cycle is not None
    with torch.no_grad():
        scaler.cycle.common.normal_()
    inputs = _inputs()
    inputs.observed[:, 3], inputs.target[:, 3] = 0, 0
    moved = inputs._replace(target=inputs.target.clone())
    moved.target[:, 3] = 99.0
    for got, expected in zip(_scaled(scaler, moved), _scaled(scaler, inputs), strict=True):
        torch.testing.assert_close(got, expected)


def test_training_learns_a_season_and_a_saved_forecaster_keeps_it(tmp_path: Any) -> None:
    steps = np.arange(80)
    season = np.tile([0.0, 6.0, -3.0, -3.0], 20)
    noise = np.random.default_rng(0).normal(0, 0.3, (2, 80))
    frame = pd.DataFrame({"unique_id": np.repeat(["a", "b"], 80), "ds": np.tile(steps, 2), "y": 0.0})
    frame["y"] = np.concatenate([50 + season + noise[0], 20 - season + noise[1]])  # each has its own
    forecaster = Forecaster(
        "linear",
        horizon=4,
        context_length=8,
        seasonality=4,
        scaling={**read("scaling", "window"), "cycle": True},
        training=Training(steps=300, batch_size=16),
        accelerator="cpu",
        progress=False,
    ).fit(frame)
    assert isinstance(forecaster.model_, Model)
    cycle = forecaster.model_.scaler.cycle
    assert cycle is not None
    learned = (cycle.common + cycle.own.weight).view(-1, 4).detach().numpy()
    assert np.corrcoef(learned[1], season[:4])[0, 1] > 0.8 and np.corrcoef(learned[2], -season[:4])[0, 1] > 0.8
    assert (cycle.own.weight[0] == 0).all()  # no series was one never seen
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)


def test_a_cycle_without_a_season_is_refused() -> None:
    scaler = build("scaling", {**read("scaling", "last"), "cycle": True})
    with pytest.raises(ConfigError, match="seasonality is 1"):
        scaler.prepare(Sizes(context_length=12, horizon=4))


def _scaler(name: str, *, cycle: bool) -> Scaler:
    scaler = build("scaling", {**read("scaling", name), "cycle": cycle})
    scaler.prepare(SIZES)
    return scaler


def _inputs() -> Inputs:
    inputs, _ = made_batch(SIZES)
    return inputs._replace(target=inputs.target.clone())


def _scaled(scaler: Scaler, inputs: Inputs) -> list[torch.Tensor]:
    scaled, affine = scaler(inputs)
    return [scaled.target, scaled.scale, *(part.expand(5, 18, 2) for part in affine)]
