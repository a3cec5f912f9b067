"""Statistics and vocabularies come from the training span alone."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from frames import made_frame, made_roles

from forecast.data.columns import Columns
from forecast.data.encoding import Encoding
from forecast.data.panel import Panel
from forecast.errors import DataError

ROLES = Columns(**made_roles())


def test_statistics_and_vocabularies_are_those_of_the_rows() -> None:
    frame = made_frame(covariates=True)
    frame.loc[[3, 70], "temp"] = np.nan
    frame.loc[5, "mood"] = None
    encoding = Encoding.fit(Panel.from_frame(frame, ROLES))
    assert encoding.ids == ("s0", "s1")
    for name in ("temp", "price"):
        np.testing.assert_allclose(encoding.statistics[name], (frame[name].mean(), frame[name].std(ddof=0)), rtol=1e-5)
    np.testing.assert_allclose(encoding.statistics["size"], (150, 50))  # one value for each series
    assert encoding.categories == {
        "mood": ("bad", "good", "mixed"), "promo": ("no", "yes"), "region": ("north", "south")
    }  # fmt: skip


def test_what_comes_after_the_span_teaches_nothing() -> None:
    frame = made_frame(series=3, covariates=True)
    poisoned = frame.copy()
    after = poisoned.groupby("unique_id").cumcount() >= 40
    poisoned.loc[after, ["y", "temp", "price"]] = 1e9
    poisoned.loc[after, ["mood", "promo"]] = "aaa"
    ends = np.array([40, 40, 40])
    clean, other = (Encoding.fit(Panel.from_frame(f, ROLES).until(ends)) for f in (frame, poisoned))
    assert clean == other


def test_known_covariates_ahead_teach_nothing() -> None:
    frame = made_frame(covariates=True)
    future = frame.groupby("unique_id").tail(1).assign(ds=frame["ds"].max() + pd.Timedelta("1D"), price=1e9, promo="?")
    assert Encoding.fit(Panel.from_frame(frame, ROLES, future=future)) == Encoding.fit(Panel.from_frame(frame, ROLES))


def test_codes_and_numbers_are_those_of_training_in_every_table() -> None:
    train = Panel.from_frame(made_frame(covariates=True), ROLES)
    encoding = Encoding.fit(train)
    frame = made_frame(series=3, rows=4, seed=5, covariates=True).iloc[4:]
    frame["mood"] = ["new", "good", None, "bad", "mixed", "bad", "bad", "bad"]
    panel = Panel.from_frame(frame, ROLES)
    assert encoding.numbers_of(panel.ids).tolist() == [2, 0]
    past = encoding.encode(panel.past, 8)
    assert past.codes[:, 0].tolist() == [0, 2, 0, 1, 3, 1, 1, 1]
    mean, deviation = encoding.statistics["temp"]
    np.testing.assert_allclose(past.numbers[:, 0], (frame["temp"] - mean) / deviation, rtol=1e-4, atol=1e-5)
    assert encoding.cardinalities(panel.past) == (4,)
    assert encoding.encode((), 8).numbers.shape == (8, 0)


def test_constant_numbers_are_left_unscaled() -> None:
    frame = made_frame(series=1, rows=1000).assign(temp=0.1)
    mean, deviation = Encoding.fit(Panel.from_frame(frame, Columns(past=("temp",)))).statistics["temp"]
    assert (round(mean, 6), deviation) == (0.1, 1.0)


def test_an_encoding_survives_json() -> None:
    encoding = Encoding.fit(Panel.from_frame(made_frame(covariates=True), ROLES))
    assert Encoding.from_dict(json.loads(json.dumps(encoding.as_dict()))) == encoding


def test_series_with_numbers_for_names_are_found_again() -> None:
    frame = made_frame().assign(unique_id=lambda f: f["unique_id"].str[1:].astype(int))
    panel = Panel.from_frame(frame)
    encoding = Encoding.from_dict(Encoding.fit(panel).as_dict())
    assert encoding.numbers_of(panel.ids).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("name", "value", "was", "now"), [("temp", "a", "numbers", "text"), ("mood", 1.0, "text", "num")]
)
def test_a_covariate_keeps_its_kind(name: str, value: object, was: str, now: str) -> None:
    columns = Columns(past=(name,))
    frame = made_frame(covariates=True)
    encoding = Encoding.fit(Panel.from_frame(frame, columns))
    other = Panel.from_frame(frame.assign(**{name: value}), columns)
    with pytest.raises(DataError, match=f"'{name}' held {was} in training and holds {now}"):
        encoding.encode(other.past, len(other.target))


@pytest.mark.parametrize("empty", [np.nan, None])
def test_a_covariate_without_a_value_in_newer_data_is_missing_and_of_its_kind(empty: object) -> None:
    frame = made_frame(covariates=True)
    columns = Columns(past=("temp", "mood"))
    encoding = Encoding.fit(Panel.from_frame(frame, columns))
    blank = frame.assign(temp=pd.Series([empty] * len(frame)), mood=pd.Series([empty] * len(frame)))
    past = encoding.encode(Panel.from_frame(blank, columns).past, len(frame))
    assert np.isnan(past.numbers).all() and (past.codes == 0).all()


def test_a_covariate_that_training_had_not_is_refused() -> None:
    frame = made_frame(covariates=True)
    encoding = Encoding.fit(Panel.from_frame(frame, Columns(past=("temp",))))
    with pytest.raises(DataError, match="column 'mood' was no covariate in training"):
        encoding.encode(Panel.from_frame(frame, Columns(past=("temp", "mood"))).past, len(frame))


def test_a_covariate_without_a_value_is_refused() -> None:
    with pytest.raises(DataError, match="covariate 'temp' has no value in the training span"):
        Encoding.fit(Panel.from_frame(made_frame().assign(temp=np.nan), Columns(past=("temp",))))
