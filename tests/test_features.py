"""What an encoder and a decoder are given of the season."""

from __future__ import annotations

import pytest
import torch
from batches import SIZES, made_batch

from forecast.batch import Inputs, Sizes
from forecast.errors import ConfigError
from forecast.networks.features import Features

SEASON, LAGS = 4, 2


def test_a_step_of_the_context_is_given_its_values_of_seasons_before() -> None:
    inputs = _inputs()
    encoded = Features(SIZES, lags=LAGS).encoder(inputs)
    assert encoded.shape[-1] == 2 + 2 * LAGS
    for step in range(SIZES.context_length):
        for lag in (1, 2):
            back = step - lag * SEASON
            value, seen = encoded[:, step, 2 * lag], encoded[:, step, 2 * lag + 1]
            assert torch.equal(value, inputs.target[:, back, 0] if back >= 0 else torch.zeros(5))
            assert torch.equal(seen, inputs.observed[:, back, 0] if back >= 0 else torch.zeros(5))


@pytest.mark.parametrize("horizon", [3, 4, 11])
def test_a_step_ahead_is_given_the_last_known_values_of_its_phase(horizon: int) -> None:
    sizes = Sizes(context_length=12, horizon=horizon, season=SEASON)
    inputs = _inputs(sizes)
    decoded = Features(sizes, lags=LAGS).decoder(inputs)
    assert decoded.shape == (5, horizon, 2 * LAGS)
    for step in range(horizon):
        known = [back for back in range(12) if (12 + step - back) % SEASON == 0]
        for lag in (0, 1):
            torch.testing.assert_close(decoded[:, step, 2 * lag], inputs.target[:, known[-1 - lag], 0])
            torch.testing.assert_close(decoded[:, step, 2 * lag + 1], inputs.observed[:, known[-1 - lag], 0])


def test_lags_beyond_the_context_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"lags=4 seasons of 4 steps lie beyond the context of 12.*context_length=16"):
        Features(SIZES, lags=4)


def _inputs(sizes: Sizes = SIZES) -> Inputs:
    inputs, _ = made_batch(sizes)
    inputs.observed[1, 5] = 0
    return inputs._replace(target=inputs.target.float() * inputs.observed)
