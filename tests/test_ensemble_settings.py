"""Members that cannot be one ensemble are refused before any is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forecasters import made_forecaster
from frames import made_frame
from sklearn.exceptions import NotFittedError

from forecast import Columns, Training
from forecast.ensemble import Ensemble
from forecast.errors import ConfigError, DataError, ForecastError, TrainingError


@pytest.mark.parametrize(
    ("name", "other"), [("horizon", 4), ("freq", "D"), ("seasonality", 5), ("columns", Columns(gaps="rows"))]
)
def test_members_that_disagree_are_refused_by_name(name: str, other: Any) -> None:
    with pytest.raises(ConfigError, match=rf"member 0 \(gru, seed 0\) has {name}=.*member 1 \(linear, seed 0\) has"):
        Ensemble([made_forecaster(), made_forecaster("linear", **{name: other})]).fit(made_frame())


def test_default_columns_are_those_not_given() -> None:
    Ensemble([made_forecaster(steps=1), made_forecaster(steps=1, columns=Columns())]).fit(made_frame())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": []}, "members is a list of one Forecaster or more"),
        ({"members": [3]}, "members is a list of one Forecaster or more"),
        ({"combine": "medain"}, "no combination 'medain'. Choose one of: median, mean"),
        ({"weights": "validatoin"}, "weights is 'validation' or 2 numbers"),
        ({"weights": [1]}, "weights is 'validation' or 2 numbers"),
        ({"weights": [1, -1]}, "weights is 'validation' or 2 numbers"),
        ({"weights": [0, 0]}, "not all 0"),
        ({"weights": [1, np.nan]}, "weights is 'validation' or 2 numbers"),
        ({"weights": "validation", "validation": 0}, "validation is a whole number of 1 or more, got 0"),
        ({"processes": 0}, "processes is a whole number of 1 or more, got 0"),
        ({"processes": True}, "processes is a whole number of 1 or more, got True"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Ensemble(**{"members": [made_forecaster(), made_forecaster("linear")], **settings}).fit(made_frame())


def test_an_error_names_its_member_and_leaves_nothing_fitted() -> None:
    wild = Training(steps=5, learning_rate=1e30, gradient_clip=0, schedule="constant")
    ensemble = Ensemble([made_forecaster(), made_forecaster("lstm", seed=4, training=wild, loss="mse")])
    with pytest.raises(TrainingError, match=r"^member 1 \(lstm, seed 4\): the loss is not finite at step"):
        ensemble.fit(made_frame())
    with pytest.raises(NotFittedError):
        ensemble.predict()


def test_what_a_member_refuses_is_refused_before_any_is_trained(tmp_path: Path) -> None:
    frame = made_frame()
    frame.loc[frame.index[5], "y"] = 0.0
    ensemble = Ensemble([made_forecaster(), made_forecaster("lstm", seed=4, scaling="smoothing")])
    with pytest.raises(
        DataError, match=r"^member 1 \(lstm, seed 4\): .*scaling=smoothing.* takes positive values only"
    ):
        ensemble.fit(frame, folder=tmp_path)
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"training": Training(steps=5, freeze=("hed",))}, "no part of the network to freeze 'hed'"),
        ({"training": Training(steps=5, validation=50)}, "training.validation=50 holds back"),
        ({"training": Training(steps=5, optimizer={"_target_": "torch.optim.Adamm"})}, "Adamm"),
        ({"accelerator": "gpuu"}, "there is no accelerator 'gpuu'"),
        ({"context_length": 500}, "context_length=500 is longer than every series"),
    ],
)
def test_settings_of_a_later_member_are_refused_before_any_is_trained(
    settings: dict[str, Any], told: str, tmp_path: Path
) -> None:
    ensemble = Ensemble([made_forecaster(), made_forecaster("segrnn", seed=4, **settings)])
    with pytest.raises(ForecastError, match=told):
        ensemble.fit(made_frame(), folder=tmp_path)
    assert not list(tmp_path.rglob("*"))
