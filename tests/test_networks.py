"""Every network of conf/model: shapes, what it reads, and that it learns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from batches import SIZES, WIDE, made_batch
from frames import made_frame, made_roles
from torch import nn

from forecast import Columns, Forecaster, Training
from forecast.batch import Inputs, Outcome, Sizes
from forecast.config import TARGET, build, networks, read, usual
from forecast.errors import ConfigError
from forecast.losses import MAE
from forecast.model import Model
from forecast.networks.encoder import Encoder
from forecast.networks.features import UNSEEN, Features
from forecast.scaling import WindowScaler

MODELS = networks()
WHOLE = (".Recurrent", ".Minimal", ".SLSTM", ".Dilated")  # their weights fit a context of any length, step by step
RECURRENT = [name for name in MODELS if read("model", name)[TARGET].endswith(WHOLE)]
AT_ONCE = ("gru", "deepar", "segrnn", "linear")  # of each kind one; the others are slow tests
SHAPES = {
    "one step of one step": Sizes(context_length=1, horizon=1),
    "two targets": replace(SIZES, targets=2),
    "covariates and two targets": replace(WIDE, targets=2),
    "longer ahead than back": replace(WIDE, context_length=2, horizon=9, outputs=1),
}


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("sizes", SHAPES.values(), ids=SHAPES)
def test_raw_outputs_have_a_row_for_each_window_step_target_and_output(name: str, sizes: Sizes) -> None:
    network, inputs = _network(name, sizes), _inputs(sizes)
    assert network(inputs).shape == (5, sizes.horizon, sizes.targets, sizes.outputs)
    assert network(_taken(inputs, slice(0, 1))).shape[0] == 1


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in AT_ONCE else pytest.mark.slow) for name in MODELS],
)
def test_overfits_one_batch(name: str) -> None:
    own = build("loss", usual("loss", name))
    loss = own if own.is_distribution else MAE()  # a network that draws refuses what is no distribution
    sizes = replace(WIDE, outputs=loss.outputs)
    inputs, outcome = made_batch(sizes, count=3)
    model = Model(_network(name, sizes), WindowScaler(), loss)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = [_step(model, optimizer, inputs, outcome) for _ in range(200)]
    # A likelihood has no lowest value: a density 7 times as high is one whose errors are a seventh.
    assert losses[-1] < (losses[0] - np.log(1 / 0.15) if own.is_distribution else 0.15 * losses[0])


def test_every_step_of_the_horizon_moves_with_every_observation(name: str) -> None:
    network, inputs = _network(name, SIZES).double(), _inputs(SIZES, dtype=torch.float64)
    before = network(inputs)
    for step in range(SIZES.context_length):
        target = inputs.target.clone()
        target[:, step] += 1.0
        moved = (network(inputs._replace(target=target)) - before).abs().amax(dim=(2, 3))  # (B, H)
        assert (moved > 1e-12).all(), f"{name} does not read step {step}"


def test_every_covariate_moves_the_forecast(name: str) -> None:
    network, inputs = _network(name, WIDE).double(), _inputs(WIDE, dtype=torch.float64)
    before = network(inputs)
    for field in ("observed", "past", "known", "static"):
        changed = inputs._replace(**{field: getattr(inputs, field) + 1})
        assert not torch.allclose(network(changed), before), field
    for field, most in (("past", 4), ("known", 3), ("static", 6)):
        codes = getattr(inputs, f"{field}_codes")
        changed = inputs._replace(**{f"{field}_codes": (codes + 1) % most})
        assert not torch.allclose(network(changed), before), field


def test_known_covariates_ahead_move_their_own_step(name: str) -> None:
    network, inputs = _network(name, WIDE).double(), _inputs(WIDE, dtype=torch.float64)
    before = network(inputs)
    for step in range(WIDE.horizon):
        known = inputs.known.clone()
        known[:, WIDE.context_length + step] += 1.0
        assert not torch.allclose(network(inputs._replace(known=known))[:, step], before[:, step])


@pytest.mark.parametrize("sizes", [SIZES, WIDE], ids=["zero-width covariates", "wide covariates"])
def test_every_parameter_gets_a_gradient(name: str, sizes: Sizes) -> None:
    network = _network(name, sizes).train()
    network(_inputs(sizes, count=64)).square().sum().backward()
    for label, parameter in network.named_parameters():
        if parameter.numel():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, label


def test_numbers_of_another_kind_or_below_their_least_are_refused(name: str) -> None:
    setting = read("model", name)
    for option in [option for option, value in setting.items() if type(value) is int]:
        for wrong in (-1, 1.5, True, "4"):
            with pytest.raises(ConfigError, match=option):
                build("model", {**setting, option: wrong}, WIDE)
    for option in [option for option, value in setting.items() if type(value) is bool]:
        for wrong in (0, None, "no"):
            with pytest.raises(ConfigError, match=f"{option} is true or false, got {wrong!r}"):
                build("model", {**setting, option: wrong}, WIDE)


def test_forward_keeps_nothing(name: str) -> None:
    network = _network(name, WIDE)
    before = {label: set(vars(module)) for label, module in network.named_modules()}
    network(_inputs(WIDE))
    assert {label: set(vars(module)) for label, module in network.named_modules()} == before


def test_unobserved_rows_in_front_change_no_forecast(name: str) -> None:
    frame = made_frame(series=2, rows=30, covariates=True)
    forecaster = Forecaster(
        name,
        horizon=3,
        context_length=20,
        columns=Columns(**made_roles()),
        training=Training(steps=2, batch_size=4),
        accelerator="cpu",
        progress=False,
    ).fit(frame)
    short = frame.groupby("unique_id").tail(12).reset_index(drop=True)
    history, future = (part.reset_index(drop=True) for part in _cut(short, 9))
    first = history.groupby("unique_id").head(1)
    front = pd.concat(
        [first.assign(ds=first.ds - pd.Timedelta(days=days), y=np.nan, temp=999.0) for days in range(1, 6)]
    )
    expected = forecaster.predict(history, future=future)
    padded = forecaster.predict(pd.concat([front, history], ignore_index=True), future=future)
    padded = padded.sort_values(["unique_id", "ds"], ignore_index=True)
    pd.testing.assert_frame_equal(padded, expected, rtol=1e-5)


@pytest.mark.parametrize("name", RECURRENT)
def test_left_padding_never_touches_a_state(name: str) -> None:
    """The network is the same for any length of the context: 20 steps, or the same 20 after 10 of padding."""
    sizes = replace(WIDE, context_length=20)
    network, inputs = _network(name, sizes, bypass=False), _inputs(sizes)
    junk = {"target": 0, "observed": 0, "past": 9, "known": 9, "past_codes": 1, "known_codes": 1}
    parts = {field: getattr(inputs, field) for field in junk}
    padded = inputs._replace(
        **{field: torch.cat([torch.full_like(part[:, :10], junk[field]), part], dim=1) for field, part in parts.items()}
    )
    torch.testing.assert_close(network(padded), network(inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", RECURRENT)
def test_a_padded_window_leaves_the_others_of_its_batch_alone(name: str) -> None:
    network, inputs = _network(name, WIDE), _inputs(WIDE)
    inputs.observed[1, :5], inputs.target[1, :5] = 0, 0
    inputs.observed[3, :2], inputs.target[3, :2] = 0, 0
    alone = torch.cat([network(_taken(inputs, slice(row, row + 1))) for row in range(5)])
    torch.testing.assert_close(network(inputs), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", RECURRENT)
def test_a_bypass_begins_at_zero_and_adds_a_linear_map_to_the_centre(name: str) -> None:
    sizes = replace(WIDE, targets=2)
    inputs, without = _inputs(sizes), _network(name, sizes, bypass=False)
    network = _network(name, sizes, bypass=True)
    before = network(inputs)
    torch.testing.assert_close(before, without(inputs), rtol=0, atol=0)
    with torch.no_grad():
        network.bypass.weight.normal_()
    values = inputs.target.reshape(5, -1) @ network.bypass.weight  # steps and targets in one row
    after = network(inputs)
    torch.testing.assert_close(
        after[..., 0] - before[..., 0], values.reshape(5, sizes.horizon, 2), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(after[..., 1:], before[..., 1:], rtol=0, atol=0)


def test_gaps_inside_the_context_are_no_padding(name: str) -> None:
    inputs = _inputs(SIZES)
    gap = inputs.observed.clone()
    gap[:, 5] = 0
    network = _network(name, SIZES)
    masked = inputs._replace(target=inputs.target * gap, observed=gap)
    as_zero = inputs._replace(target=inputs.target * gap)
    assert not torch.allclose(network(masked), network(as_zero))


def test_a_window_without_any_observation_gives_finite_outputs(name: str) -> None:
    inputs = _inputs(WIDE)
    inputs.target[0], inputs.observed[0] = 0, 0
    assert _network(name, WIDE)(inputs).isfinite().all()


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_summary_is_the_last_state_of_each_direction(cell: str, layers: int) -> None:
    encoder, padded = Encoder(5, cell=cell, hidden_size=8, layers=layers, bidirectional=True), torch.zeros(3, 12)
    states, _ = encoder(torch.randn(3, 12, 5), padded)  # (B, L, 2 D)
    summary = encoder.summary(states, padded)
    # Forward ends at the last step; backward ends at the first.
    torch.testing.assert_close(summary, torch.cat([states[:, -1, :8], states[:, 0, 8:]], dim=-1))


def test_recurrent_weights_are_orthogonal_gate_by_gate() -> None:
    for module in _recurrent_layers():
        for label, weight in module.named_parameters():
            if label.startswith("weight_hh"):
                for gate in weight.split(module.hidden_size):
                    torch.testing.assert_close(gate @ gate.T, torch.eye(module.hidden_size), atol=1e-5, rtol=0)


def test_forget_gates_start_open_and_other_biases_at_zero() -> None:
    for module in _recurrent_layers():
        width = module.hidden_size
        labels = [label for label, _ in module.named_parameters()]
        for layer in [label.removeprefix("bias_ih") for label in labels if label.startswith("bias_ih")]:
            bias = getattr(module, f"bias_ih{layer}") + getattr(module, f"bias_hh{layer}")
            expected = torch.zeros_like(bias)
            if isinstance(module, nn.LSTM):
                expected[width : 2 * width] = 1.0  # torch's order: input, forget, cell, output
            torch.testing.assert_close(bias, expected)


def test_codes_drop_to_unseen_in_training_at_the_stated_share_and_never_after() -> None:
    features = Features(Sizes(context_length=100, horizon=1, past_cardinalities=(5,)))
    inputs = _inputs(Sizes(context_length=100, horizon=1, past_cardinalities=(5,)), count=400)
    inputs = inputs._replace(past_codes=inputs.past_codes.clamp(min=1))
    with torch.no_grad():
        features.past[0].weight.fill_(1.0)[0] = 0.0
    embedded = slice(2, None)
    assert (features.eval().encoder(inputs)[..., embedded] == 1).all()
    torch.manual_seed(0)
    dropped = (features.train().encoder(inputs)[..., embedded] == 0).all(dim=-1).float().mean()
    assert abs(float(dropped) - UNSEEN) < 5 * (UNSEEN / 40_000) ** 0.5


def test_a_category_never_seen_is_read_from_row_0(name: str) -> None:
    frame = made_frame(series=2, rows=40, covariates=True)
    forecaster = Forecaster(
        name,
        horizon=2,
        context_length=8,
        columns=Columns(past=("mood",), static=("region",)),
        training=Training(steps=2, batch_size=4),
        accelerator="cpu",
        progress=False,
    ).fit(frame)
    strange = forecaster.predict(frame.assign(mood="new", region="moon"))
    with torch.no_grad():
        for table in (*forecaster.model_.network.features.past, *forecaster.model_.network.features.static):
            table.weight[1:] = float("nan")
    pd.testing.assert_frame_equal(forecaster.predict(frame.assign(mood="new", region="moon")), strange)


@pytest.mark.slow
def test_beats_the_seasonal_naive_forecast(name: str) -> None:
    """On a trend with a season and noise: what repeats the last season lags behind and repeats its noise."""
    rows, horizon, season = 150, 6, 6
    random = np.random.default_rng(0)
    step = np.arange(rows)
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{number}" for number in range(8)], rows),
            "ds": np.tile(step, 8),
            "y": np.concatenate(
                [
                    50 + random.uniform(-0.5, 0.5) * step
                    + 8 * np.sin(2 * np.pi * (step + shift) / season) + random.normal(0, 2, rows)
                    for shift in range(8)
                ]
            ),
        }
    )  # fmt: skip
    history, truth = _cut(frame, rows - horizon)
    forecaster = Forecaster(
        name,
        horizon=horizon,
        context_length=4 * season,
        seasonality=season,
        training=Training(steps=250, batch_size=64),
        accelerator="cpu",
        progress=False,
    ).fit(history)
    predicted = forecaster.predict().forecast.to_numpy()
    naive = history.groupby("unique_id").tail(season).y.to_numpy()
    truth = truth.y.to_numpy()
    assert np.abs(predicted - truth).mean() < 0.85 * np.abs(naive - truth).mean()


def _network(name: str, sizes: Sizes, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return build("model", name, sizes, **options).eval()


def _inputs(sizes: Sizes, *, count: int = 5, dtype: torch.dtype = torch.float32) -> Inputs:
    """Return windows as a network gets them: scaled, in one precision."""
    inputs, _ = made_batch(sizes, count=count)
    inputs = inputs._replace(target=inputs.target - 10)
    return Inputs(*(part.to(dtype) if part.is_floating_point() else part for part in inputs))


def _taken(inputs: Inputs, rows: slice) -> Inputs:
    return Inputs(*(part[rows] for part in inputs))


def _step(model: Model, optimizer: torch.optim.Optimizer, inputs: Inputs, outcome: Outcome) -> float:
    optimizer.zero_grad()
    loss = model.training_loss(inputs, outcome)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _cut(frame: pd.DataFrame, rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the first `rows` rows of each series, and the others."""
    is_first = frame.groupby("unique_id").cumcount() < rows
    return frame[is_first], frame[~is_first]


def _recurrent_layers() -> Iterator[nn.RNNBase]:
    for name in MODELS:
        yield from (module for module in _network(name, WIDE).modules() if isinstance(module, nn.RNNBase))
