"""Training that goes on from what was learned: on newer data, on new series, with parts frozen."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from frames import made_frame, made_roles

from forecast import Columns, Forecaster, Training
from forecast.errors import ConfigError, DataError
from forecast.networks.recurrent import Recurrent
from forecast.training.module import ForecastModule

SMALL = partial(Recurrent, hidden_size=4)


def _forecaster(**settings: object) -> Forecaster:
    options = {"scaling": "series", "training": Training(steps=3, batch_size=8), "accelerator": "cpu", **settings}
    columns = Columns(**{**made_roles(), "known": ()})
    return Forecaster(SMALL, horizon=3, context_length=8, columns=columns, progress=False, **options)  # type: ignore[arg-type]


def _table(name: str = "s", seed: int = 0, mood: str = "good") -> pd.DataFrame:
    frame = made_frame(rows=40, seed=seed, covariates=True)
    return frame.assign(unique_id=name + frame["unique_id"].str[1:], mood=frame["mood"].replace("good", mood))


def _weights(forecaster: Forecaster) -> dict[str, torch.Tensor]:
    return {name: values.clone() for name, values in forecaster.model_.state_dict().items()}


def test_a_warm_start_goes_on_from_the_weights() -> None:
    trained = _forecaster().fit(_table())
    before = _weights(trained)
    trained.set_params(training__learning_rate=1e-12).fit(_table("new", seed=1), warm_start=True)
    after = _weights(trained)
    for name, values in before.items():
        if name.startswith("loss."):  # how steps go together is taken from the new windows
            continue
        torch.testing.assert_close(after[name], values, rtol=0, atol=1e-9, equal_nan=True)
    anew = _forecaster(training=Training(steps=3, batch_size=8, learning_rate=1e-12), seed=1).fit(_table())
    assert not torch.allclose(_weights(anew)["network.head.direct.weight"], before["network.head.direct.weight"])


def test_training_goes_on_to_learn() -> None:
    table = made_frame(series=3, rows=120)
    forecaster = Forecaster(
        SMALL, horizon=3, context_length=14, training=Training(steps=120, batch_size=32), progress=False
    )
    first = forecaster.fit(table).history_["train_loss"]
    second = forecaster.fit(table, warm_start=True).history_["train_loss"]
    assert second.iloc[:5].mean() < 0.8 * first.iloc[:5].mean()


def test_statistics_and_vocabularies_stay() -> None:
    trained = _forecaster().fit(_table())
    encoding, loc = trained.encoding_, trained.model_.scaler.loc.clone()
    trained.fit(_table("new", seed=1, mood="splendid").assign(temp=lambda table: table["temp"] + 50), warm_start=True)
    assert trained.encoding_ == encoding
    torch.testing.assert_close(trained.model_.scaler.loc, loc, equal_nan=True)
    assert len(trained.predict()) == 6  # of series and a category never seen


def test_statistics_and_vocabularies_are_taken_anew_when_asked() -> None:
    trained = _forecaster(training=Training(steps=3, batch_size=8, learning_rate=1e-12)).fit(_table())
    before, old = trained.encoding_, _weights(trained)
    newer = _table("n", seed=1, mood="splendid").assign(temp=lambda table: table["temp"] + 50)
    trained.fit(newer, warm_start=True, update_statistics=True)
    after, grown = trained.encoding_, _weights(trained)
    assert after.ids == ("s0", "s1", "n0", "n1")
    assert after.categories["mood"] == (*before.categories["mood"], "splendid")
    assert after.statistics["temp"][0] == pytest.approx(newer["temp"].mean(), rel=1e-4)
    table = "network.features.past.0.weight"
    torch.testing.assert_close(grown[table][:-1], old[table], rtol=0, atol=1e-9)  # old codes keep their rows
    torch.testing.assert_close(grown[table][-1], old[table][0], rtol=0, atol=1e-9)  # a new one begins as never seen
    levels = [newer.loc[newer["unique_id"] == name, "y"].mean() for name in ("n0", "n1")]
    np.testing.assert_allclose(trained.model_.scaler.loc[3:, 0], levels)


def test_a_part_without_parameters_may_be_named() -> None:
    forecaster = Forecaster(SMALL, horizon=3, context_length=8, training=Training(steps=2), progress=False)
    forecaster.fit(made_frame()).set_params(training__freeze=("features",)).fit(made_frame(), warm_start=True)
    assert len(forecaster.predict()) == 6


@pytest.mark.parametrize("part", ["recurrent", "features", "head", "direct"])
def test_frozen_parts_stay_and_the_others_move(part: str) -> None:
    trained = _forecaster().fit(_table())
    before = _weights(trained)
    trained.set_params(training__freeze=(part,)).fit(_table("new"), warm_start=True)
    moved = {name for name, values in _weights(trained).items() if not torch.equal(values, before[name])}
    moved = {name.removeprefix("network.") for name in moved if name.startswith("network.")}
    assert moved and not any(part in name.split(".") for name in moved)
    assert all(weights.requires_grad for weights in trained.model_.network.parameters())


def test_frozen_parts_are_part_of_what_is_saved(tmp_path: Path) -> None:
    trained = Forecaster("gru", horizon=3, context_length=8, training=Training(steps=2), progress=False)
    trained.fit(made_frame()).set_params(training__freeze=["recurrent"]).fit(made_frame(), warm_start=True)
    loaded = Forecaster.load(trained.save(tmp_path / "model"))
    assert loaded.training is not None and list(loaded.training.freeze) == ["recurrent"]
    loaded.fit(made_frame(seed=3), warm_start=True)  # a saved forecaster goes on like any other
    pd.testing.assert_frame_equal(trained.fit(made_frame(seed=3), warm_start=True).predict(), loaded.predict())


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (("recurent",), "no part of the network to freeze 'recurent'.*recurrent"),
        (("features", "recurrent", "head"), "leaves nothing to train"),
        ("head", r"a list of names, got 'head'. Write \[head\]"),
    ],
)
def test_what_cannot_be_frozen_is_refused_and_nothing_is_lost(freeze: object, message: str) -> None:
    trained = _forecaster().fit(_table())
    expected = trained.predict()
    with pytest.raises(ConfigError, match=message):
        trained.set_params(training__freeze=freeze).fit(_table(), warm_start=True)
    pd.testing.assert_frame_equal(trained.predict(), expected)


def test_a_warm_start_that_fails_loses_nothing() -> None:
    trained = _forecaster().fit(_table())
    expected = trained.predict()
    with pytest.raises(DataError, match="no column 'mood'"):
        trained.fit(_table().drop(columns="mood"), warm_start=True)
    pd.testing.assert_frame_equal(trained.predict(), expected)


def test_a_vocabulary_that_grows_far_widens_no_embedding() -> None:
    trained = _forecaster().fit(_table())
    newer = pd.concat([_table(f"n{number}", mood=f"mood {number}") for number in range(9)])
    newer["region"] = newer["unique_id"]
    trained.fit(newer, warm_start=True, update_statistics=True)
    assert len(trained.encoding_.categories["mood"]) == 12
    assert len(trained.predict()) == 54


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "lstm"}, "model is .*lstm.* a warm start cannot change it"),
        ({"loss": "mse"}, "loss is .*MSE"),
        ({"scaling": "window"}, "scaling is .*WindowScaler"),
        ({"context_length": 9}, "context_length is 9 and what was learned is made for 8"),
        ({"seasonality": 3}, "seasonality is 3"),
        ({"columns": Columns(past=("mood", "temp"), static=("size", "region"))}, "columns.past is"),
        ({"columns": Columns(**{**made_roles(), "known": ()}, holidays="US")}, "columns.holidays is 'US'"),
    ],
)
def test_what_the_weights_are_made_for_cannot_change(change: dict, told: str) -> None:
    trained = _forecaster().fit(_table())
    expected = trained.predict()
    with pytest.raises(ConfigError, match=told):
        trained.set_params(**change).fit(_table(), warm_start=True)
    pd.testing.assert_frame_equal(trained.predict(), expected)


def test_a_warm_start_needs_something_to_go_on_from() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        _forecaster().fit(_table(), warm_start=True)
    with pytest.raises(ConfigError, match="update_statistics goes with warm_start"):
        _forecaster().fit(_table(), update_statistics=True)
    with pytest.raises(ConfigError, match="horizon is 5 and what was learned is made for 3"):
        _forecaster().fit(_table()).set_params(horizon=5).fit(_table(), warm_start=True)


def test_an_interrupted_warm_start_resumes_bit_equal(tmp_path: Path) -> None:
    training = Training(steps=6, batch_size=8, checkpoint_every=2, check_every=1)
    start = _forecaster(training=training).fit(_table())
    newer = _table("new", seed=2)
    whole = deepcopy(start).fit(newer, warm_start=True)
    broken = deepcopy(start)
    with pytest.raises(KeyboardInterrupt):
        _stopped_at(broken, newer, tmp_path, step=4)
    resumed = deepcopy(start).fit(newer, warm_start=True, folder=tmp_path)
    pd.testing.assert_frame_equal(resumed.predict(), whole.predict())
    assert (tmp_path / "last.safetensors").is_file()


def _stopped_at(forecaster: Forecaster, table: pd.DataFrame, folder: Path, *, step: int) -> None:
    original = ForecastModule.training_step

    def stopping(self: ForecastModule, batch: object, batch_idx: int) -> object:
        if self.done == step:
            raise KeyboardInterrupt
        return original(self, batch, batch_idx)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ForecastModule, "training_step", stopping)
        forecaster.fit(table, warm_start=True, folder=folder)
