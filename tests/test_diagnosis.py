"""What a network remembers: against torch's own layers, values worked out by hand, and networks of known memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from batches import SIZES, made_batch
from frames import made_frame
from torch import Tensor, nn

from forecast import Columns, Ensemble, Forecaster, Panel, Training, diagnose
from forecast.batch import Inputs, Sizes
from forecast.config import build, networks, read, usual
from forecast.diagnosis.contexts import models_at, windows_of
from forecast.diagnosis.diagnosis import Diagnosis
from forecast.diagnosis.findings import findings_of, reach_of
from forecast.diagnosis.measures import gradients, memory, saturation
from forecast.diagnosis.traces import traced
from forecast.errors import ConfigError, DataError, KindError
from forecast.losses import MSE
from forecast.model import Model
from forecast.networks.encoder import Encoder
from forecast.networks.features import padding
from forecast.networks.recurrent import Recurrent
from forecast.report import figures
from forecast.scaling import Scaler

STEPS = 12
ONE = replace(SIZES, outputs=1)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return _fitted("gru")


@pytest.fixture(scope="module")
def found(fitted: Forecaster) -> Diagnosis:
    return diagnose(fitted, _frame(), contexts=(24, 96, 384))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layers": 2, "residual": True},
        {"bidirectional": True, "layers": 2},
        {"dilations": (3,)},
        {"dilations": (1, 5), "layers": 2},
        {"dilations": (2,), "bidirectional": True},
        {"detach_every": 5},
    ],
    ids=str,
)
def test_step_by_step_a_layer_gives_what_torch_gives(cell: Any, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    encoder = Encoder(3, cell=cell, hidden_size=4, **options).eval()
    copy, traces = traced(nn.Sequential(encoder))
    encoded, padded = torch.randn(4, STEPS, 3), torch.zeros(4, STEPS)
    padded[1, :4], padded[2, :11] = 1, 1
    states, last = encoder(encoded, padded)
    own, ends = copy[0](encoded, padded)
    torch.testing.assert_close(own, states)
    torch.testing.assert_close(ends, last)
    assert len(traces) == options.get("layers", 1) * (2 if options.get("bidirectional") else 1)
    assert {len(trace.states) for trace in traces} == {STEPS}


def test_a_simple_cell_may_have_relu() -> None:
    torch.manual_seed(0)
    encoder = Encoder(3, cell="rnn", nonlinearity="relu", hidden_size=4)
    encoded = torch.randn(4, STEPS, 3)
    own, _ = traced(nn.Sequential(encoder))[0][0](encoded, torch.zeros(4, STEPS))
    torch.testing.assert_close(own, encoder(encoded, torch.zeros(4, STEPS))[0])


@pytest.mark.parametrize("name", networks())
def test_every_network_forecasts_the_same_when_it_is_traced(name: str) -> None:
    loss = build("loss", usual("loss", name))
    torch.manual_seed(0)
    network = build("model", name, replace(SIZES, outputs=loss.outputs)).eval()
    inputs, _ = made_batch()
    inputs = inputs._replace(target=inputs.target.float())
    copy, traces = traced(network)
    torch.testing.assert_close(copy(inputs, None, loss.scaled_point), network(inputs, None, loss.scaled_point))
    assert bool(traces) == (name != "linear")
    assert not any(hasattr(module, "traces") for module in network.modules())  # the copy alone


@pytest.mark.parametrize("weight", [0.5, 1.0, 2.0])
def test_the_gradient_of_a_linear_layer_falls_or_grows_by_its_weight_each_step(weight: float) -> None:
    model = _model(cell="rnn", nonlinearity="relu", dropout=0.0)
    (layer,) = model.network.recurrent.layers
    with torch.no_grad():  # all that is read is positive, so that relu does nothing
        layer.weight_hh_l0.copy_(weight * torch.eye(4))
        layer.weight_ih_l0.abs_()
    norms, _ = gradients(model, _positive())
    values = norms.loc[norms["layer"] == "recurrent", "median"].to_numpy()
    np.testing.assert_allclose(values / values[0], weight ** np.arange(STEPS), rtol=1e-4)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("back", [0, 4, STEPS - 1])
def test_gradients_are_those_of_torch_from_a_state_on(cell: Any, back: int) -> None:
    """The other way: torch's layer goes on from a state that is a leaf."""
    model, batch = _model(cell=cell), _positive()
    norms, _ = gradients(model, batch)
    network, encoder = model.network, model.network.recurrent
    scaled, affine = model.scaler(batch[0])
    encoded, end = network.features.encoder(scaled), STEPS - back
    _, ((*state,),) = encoder(encoded[:, :end], padding(scaled.observed[:, :end]))
    state = [part.detach().requires_grad_() for part in state]
    last = state[0][0]
    if back:
        last = encoder.onward(encoded[:, end:], [tuple(state)])[0][:, -1]
    raw = network.head(last, network.features.decoder(scaled))
    loss = model.loss(raw, batch[1], scaled, affine)
    expected = [part[0] * len(part[0]) for part in torch.autograd.grad(loss, state, materialize_grads=True)]
    if cell == "lstm":  # in the layer the hidden state follows from the cell, h = o tanh(c)
        hidden, content = (part.detach()[0] for part in state)
        expected[1] = expected[1] + expected[0] * hidden / content.tanh() * (1 - content.tanh() ** 2)
    rows = norms[(norms["layer"] == "recurrent") & (norms["back"] == back)].set_index("state")
    for name, gradient in zip(("hidden", "cell"), expected, strict=False):
        each = gradient.norm(dim=1).numpy()
        assert rows.loc[name, "mean"] == pytest.approx(each.mean(), rel=1e-4)
        assert rows.loc[name, "median"] == pytest.approx(np.median(each), rel=1e-4)


def test_the_gradient_of_the_input_is_that_of_autograd() -> None:
    model, (inputs, outcome) = _model(cell="gru"), _positive()
    scaled, affine = model.scaler(inputs)
    target = scaled.target.requires_grad_()
    loss = model.loss(model.network(scaled._replace(target=target)), outcome, scaled, affine)
    (gradient,) = torch.autograd.grad(loss, target)
    expected = gradient.norm(dim=2).flip(1).mean(dim=0) * len(gradient)
    norms, _ = gradients(model, (inputs, outcome))
    np.testing.assert_allclose(norms.loc[norms["layer"] == "input", "mean"], expected, rtol=1e-5)


def test_a_layer_that_reads_backwards_is_counted_from_where_it_ends() -> None:
    model = _model(cell="rnn", bidirectional=True)
    norms, _ = gradients(model, _positive())
    for direction in ("forward", "backward"):
        values = norms.loc[norms["layer"] == f"recurrent {direction}", "median"].to_numpy()
        assert values.argmax() < 3 and values[-1] < values[0]


def test_steps_of_a_dilated_layer_side_by_side_count_together() -> None:
    network = build("model", {**read("model", "dilated"), "dilations": [1, 4], "hidden_size": 4}, ONE)
    norms, _ = gradients(Model(network, Scaler(), MSE()).eval(), _positive())
    assert norms.groupby("layer")["back"].apply(list)["recurrent 2"] == [0, 4, 8]
    assert (norms["median"] > 0).all()


def test_a_cut_gradient_is_told_from_one_that_fades() -> None:
    found = diagnose(_fitted({**read("model", "gru"), "detach_every": 6, "hidden_size": 4}), _frame(), contexts=())
    (cut,) = [finding for finding in found.findings if "gradient" in finding.kind]
    assert cut.kind == "truncated gradient" and "from 6 steps back on" in cut.what
    assert "detach_every=0" in cut.advice


@pytest.mark.parametrize(
    ("scale", "kind", "advice"),
    [(0.1, "vanishing gradient", "model=gru"), (5.0, "exploding gradient", "training.gradient_clip")],
)
def test_recurrent_weights_scaled_down_vanish_and_scaled_up_explode(scale: float, kind: str, advice: str) -> None:
    forecaster = _fitted({**read("model", "rnn"), "nonlinearity": "relu", "hidden_size": 8, "bypass": False})
    with torch.no_grad():
        forecaster.model_.network.recurrent.layers[0].weight_hh_l0.mul_(scale)
    found = diagnose(forecaster, _frame(), contexts=())
    (warned,) = [finding for finding in found.findings if "gradient" in finding.kind]
    assert warned.kind == kind and advice in warned.advice and kind in found.sentence


def test_a_gradient_that_overflows_explodes_and_is_drawn_where_it_is_finite() -> None:
    forecaster = _fitted({**read("model", "rnn"), "nonlinearity": "relu", "hidden_size": 8, "bypass": False})
    with torch.no_grad():
        forecaster.model_.network.recurrent.layers[0].weight_hh_l0.mul_(50)
    found = diagnose(forecaster, _frame(), contexts=(96,))
    (warned,) = [finding for finding in found.findings if "gradient" in finding.kind]
    assert "more than a number can hold (context 24, 96)" in warned.what
    figures.gradient_figure(found.gradients).draw_without_rendering()
    figures.memory_figure(found.memory).draw_without_rendering()


def test_what_vanishes_at_longer_contexts_alone_says_so() -> None:
    falling = 0.8 ** np.arange(96)  # 0.006 after 24 steps
    rows = {"when": "after", "layer": "recurrent", "cell": "gru", "state": "hidden"}
    table = [
        {**rows, "context": context, "back": back, "median": falling[back]}
        for context in (12, 96)
        for back in range(context)
    ]
    (warned,) = _told(gradients=pd.DataFrame(table))
    assert warned.kind == "vanishing gradient at longer contexts" and warned.what.endswith("(context 96).")
    assert "from 42 steps back on" in warned.what  # 0.8 ** 41 is the last above 1e-4


def test_orthogonal_weights_neither_vanish_nor_explode() -> None:
    forecaster = _fitted({**read("model", "rnn"), "nonlinearity": "relu", "hidden_size": 8, "bypass": False})
    with torch.no_grad():
        layer = forecaster.model_.network.recurrent.layers[0]
        layer.weight_hh_l0.copy_(torch.eye(8))
        layer.bias_hh_l0.fill_(10.0)
    found = diagnose(forecaster, _frame(), contexts=())
    after = found.gradients[(found.gradients["when"] == "after") & (found.gradients["layer"] == "recurrent")]
    assert after["median"].nunique() == 1 or np.ptp(after["median"]) < 1e-4 * after["median"].max()
    assert not [finding for finding in found.findings if "gradient" in finding.kind]


class LastSteps(nn.Module):
    """Forecasts the sum of the last `count` steps."""

    def __init__(self, sizes: Sizes, *, count: int) -> None:
        super().__init__()
        self.count, self.horizon, self.outputs = count, sizes.horizon, sizes.outputs
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, inputs: Inputs, teacher: None = None, feedback: Callable | None = None) -> Tensor:
        """Return raw outputs (B, H, C, K)."""
        total = inputs.target[:, -self.count :].sum(dim=1) * self.weight  # (B, C)
        return total[:, None, :, None].expand(-1, self.horizon, -1, self.outputs)


@pytest.mark.parametrize("count", [1, 5, STEPS])
@pytest.mark.parametrize("horizon", [4, 40])
def test_the_steps_that_move_a_forecast_are_those_that_the_network_reads(count: int, horizon: int) -> None:
    sizes = replace(ONE, horizon=horizon)
    model = Model(LastSteps(sizes, count=count), Scaler(), MSE())
    table = memory(model, made_batch(sizes))
    assert table["part"].unique().tolist() == ["network"]
    np.testing.assert_allclose(table["effect"], np.arange(STEPS) < count)
    assert reach_of(table.assign(context=STEPS, when="after"))["steps"].tolist() == [count]


def test_an_effect_falls_with_the_weight_of_a_step() -> None:
    """A linear network whose weight halves with each step back moves by more than 1 % for seven steps: 2^-6 > .01."""
    network = build("model", "linear", ONE)
    model = Model(network, Scaler(), MSE())
    with torch.no_grad():
        weights = network.context.weight.zero_().unflatten(1, (STEPS, -1))  # (H, L, E)
        weights[:, :, 0] = 0.5 ** torch.arange(STEPS).flip(0)
    table = memory(model, made_batch(ONE))
    np.testing.assert_allclose(table["effect"], 0.5 ** np.arange(STEPS), rtol=1e-5)
    assert reach_of(table.assign(context=STEPS, when="after"))["steps"].tolist() == [7]


def test_without_its_bypass_a_network_forgets_what_only_the_bypass_reads() -> None:
    model = _model(cell="rnn", bypass=True)
    with torch.no_grad():
        model.network.recurrent.layers[0].weight_hh_l0.zero_()  # a state of the last step alone
        model.network.bypass.weight.fill_(1.0)
    reach = reach_of(memory(model, _positive()).assign(context=STEPS, when="after")).set_index("part")["steps"]
    assert reach.to_dict() == {"network": STEPS, "without bypass": 1}


def test_a_memory_shorter_than_a_season_is_warned_of() -> None:
    sizes = {"horizon": 3, "context_length": 14, "seasonality": 7}
    model = partial(LastSteps, count=3)
    forecaster = Forecaster(model, **sizes, training=Training(steps=2), progress=False, accelerator="cpu")
    found = diagnose(forecaster.fit(_frame()), _frame(), contexts=())
    (warned,) = found.findings
    assert warned.kind == "short memory" and "latest 3 of 14 steps, and a season has 7" in warned.what
    assert "no recurrent state" in found.sentence


def test_saturated_gates_are_counted_by_side_and_warned_of() -> None:
    model = _model(cell="lstm")
    (layer,) = model.network.recurrent.layers
    with torch.no_grad():
        layer.bias_ih_l0[:4] = -50.0  # input gate
        layer.bias_ih_l0[4:8] = 50.0  # forget gate
        layer.weight_ih_l0[12:] = 0.0  # the output gate stays half open
    _, traces = gradients(model, _positive())
    table = saturation(traces, context=STEPS).set_index("gate")
    assert table.loc["input", ["shut", "open"]].tolist() == [1.0, 0.0]
    assert table.loc["forget", ["shut", "open"]].tolist() == [0.0, 1.0]
    assert table.loc["output", "saturated"] < 0.5
    told = _told(saturation=table.reset_index().assign(context=STEPS, when="after"))
    assert [finding.what.split(" are ")[0] for finding in told] == ["100% of the input gate of recurrent"]


def test_the_state_of_a_simple_cell_stands_for_its_gate() -> None:
    model = _model(cell="rnn")
    with torch.no_grad():
        model.network.recurrent.layers[0].bias_ih_l0.copy_(torch.tensor([9.0, -9.0, 0.0, 0.0]))
    _, traces = gradients(model, _positive())
    (row,) = saturation(traces, context=STEPS).to_dict("records")
    assert row["gate"] == "state" and row["shut"] == 0 and 0.5 <= row["open"] < 1


def test_a_spike_over_training_is_warned_of() -> None:
    calm = pd.DataFrame({"step": range(1, 101), "gradient_norm": 1.0})
    assert not _told(history=calm)
    calm.loc[49, "gradient_norm"] = 100.0
    (warned,) = _told(history=calm)
    assert warned.kind == "spike" and "training step 50" in warned.what and "100 times" in warned.what


def test_a_diagnosis_holds_every_context_before_and_after_training(found: Diagnosis, fitted: Forecaster) -> None:
    for table in (found.gradients, found.saturation, found.memory, found.reach):
        assert set(zip(table["context"], table["when"], strict=True)) == {
            (context, when) for context in (24, 96, 384) for when in ("before", "after")
        }
    steps = found.gradients.groupby(["context", "when", "layer", "state"])["back"].agg(["min", "max"])
    assert (steps["min"] == 0).all() and (steps["max"] == steps.index.get_level_values("context") - 1).all()
    assert found.history.equals(fitted.history_) and found.context_length == 24 == fitted.context_length_
    assert found.model == "gru" and found.sentence in repr(found)
    assert list(found.tables()) == ["gradients", "saturation", "memory", "reach", "history"]
    assert any("bypass keeps the weights" in note for note in found.notes)
    with pytest.raises(AttributeError):
        found.model = "other"  # type: ignore[misc]


def test_before_training_stands_the_network_that_the_seed_made(found: Diagnosis) -> None:
    still = _fitted("gru", training=Training(steps=1, learning_rate=1e-12))
    table = diagnose(still, _frame(), contexts=()).gradients.set_index(["when", "layer", "back"])["median"]
    np.testing.assert_allclose(table["after"], table["before"], rtol=1e-4)
    own = found.gradients[found.gradients["context"] == 24].set_index(["when", "layer", "back"])["median"]
    np.testing.assert_allclose(own["before"], table["before"], rtol=1e-4)


def test_nothing_of_the_forecaster_changes(fitted: Forecaster) -> None:
    before = {name: weights.clone() for name, weights in fitted.model_.state_dict().items()}
    state = torch.get_rng_state()
    first, again = (diagnose(fitted, _frame(), contexts=()) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], weights) for name, weights in fitted.model_.state_dict().items())
    assert not any(hasattr(module, "traces") for module in fitted.model_.modules())
    pd.testing.assert_frame_equal(first.gradients, again.gradients)


def test_windows_begin_with_an_observation_and_never_with_padding(fitted: Forecaster) -> None:
    frame = _frame(rows=200)
    frame.loc[frame.index % 3 != 0, "y"] = np.nan
    panel = Panel.from_frame(frame)
    inputs, outcome = windows_of(fitted, panel, context=48)
    assert len(inputs.target) > 8 and (inputs.observed[:, 0] == 1).all() and (padding(inputs.observed) == 0).all()
    assert (outcome.observed.sum(dim=1) > 0).all()


def test_a_context_beyond_every_series_is_left_out_with_the_longest_named(fitted: Forecaster) -> None:
    frame = _frame(rows=60)
    frame = frame[~((frame["unique_id"] == "s0") & (frame["ds"] >= "2024-02-20"))]
    found = diagnose(fitted, frame, contexts=(48, 96))
    assert set(found.gradients["context"]) == {24, 48}
    (note,) = [note for note in found.notes if "left out" in note]
    assert "context 96 and horizon 7 need 103 steps, and the longest series, 's1', has 60" in note
    with pytest.raises(DataError, match="no context to look at"):
        diagnose(fitted, _frame(rows=20), contexts=())


def test_a_network_that_is_made_for_its_context_is_shown_there_alone() -> None:
    found = diagnose(_fitted("linear"), _frame(), contexts=(48,))
    assert set(found.gradients["context"]) == {24} and found.saturation.empty
    assert found.notes == ("context 48 is left out: context.weight is made for the context of 24.",)


@pytest.mark.parametrize("context", [10, 48])
def test_a_bypass_keeps_the_weights_of_the_latest_steps(context: int, fitted: Forecaster) -> None:
    models, note = models_at(fitted, context=context)
    own, kept = (model.network.bypass.weight for model in (fitted.model_, models["after"]))
    least = min(context, 24)
    assert own.abs().sum() > 0 and torch.equal(kept[-least:], own[-least:]) and (kept[:-least] == 0).all()
    assert note and (models["before"].network.bypass.weight == 0).all()


def test_several_targets_each_by_itself_are_diagnosed() -> None:
    frame = _frame()
    frame["z"] = 2 * frame["y"] + 1
    forecaster = _fitted("lstm", columns=Columns(target=("y", "z"), joint=False), frame=frame)
    found = diagnose(forecaster, frame, contexts=())
    assert set(found.gradients["layer"]) == {"input", "recurrent"} and (found.gradients["median"] > 0).all()


@pytest.mark.slow
def test_a_saved_forecaster_gives_the_same_diagnosis(fitted: Forecaster, found: Diagnosis, tmp_path: Any) -> None:
    loaded = Forecaster.load(fitted.save(tmp_path / "model"))
    again = diagnose(loaded, _frame(), contexts=(96, 384))
    pd.testing.assert_frame_equal(again.gradients, found.gradients)
    assert again.history.empty and again.model == "gru"


@pytest.mark.parametrize(
    ("contexts", "told"),
    [((1,), "from 2 to"), ((2.5,), "got 2.5"), ((True,), "got True"), ("24", "Write \\[24\\]"), (24, "a list")],
)
def test_contexts_that_make_no_sense_are_refused(contexts: Any, told: str, fitted: Forecaster) -> None:
    with pytest.raises(ConfigError, match=told):
        diagnose(fitted, _frame(), contexts=contexts)


def test_an_ensemble_is_asked_for_one_of_its_members(fitted: Forecaster) -> None:
    with pytest.raises(KindError, match="one of its members_"):
        diagnose(Ensemble([fitted]), _frame())  # type: ignore[arg-type]


def _frame(rows: int = 420) -> pd.DataFrame:
    return made_frame(rows=rows)


def _fitted(model: Any, *, frame: pd.DataFrame | None = None, **options: Any) -> Forecaster:
    options = {"training": Training(steps=5, batch_size=16), "context_length": 24, **options}
    forecaster = Forecaster(model, horizon=7, accelerator="cpu", progress=False, **options)
    return forecaster.fit(_frame() if frame is None else frame)


def _model(**options: Any) -> Model:
    torch.manual_seed(0)
    return Model(Recurrent(ONE, hidden_size=4, **options), Scaler(), MSE()).eval()


def _positive() -> Any:
    inputs, outcome = made_batch(ONE)
    return inputs._replace(target=inputs.target.abs()), outcome._replace(target=outcome.target.abs() - 9)


def _told(**tables: pd.DataFrame) -> list[Any]:
    empty = {
        "gradients": pd.DataFrame(columns=["context", "when", "layer", "cell", "state", "back", "median"]),
        "saturation": pd.DataFrame(columns=["context", "when", "layer", "gate", "shut", "saturated"]),
        "reach": pd.DataFrame(columns=["context", "when", "part", "steps"]),
        "history": pd.DataFrame(),
    }
    return list(findings_of(**{**empty, **tables}, context=STEPS, seasonality=4, is_truncated=False))
