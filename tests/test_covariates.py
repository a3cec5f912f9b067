"""Covariates reach the forecast: where they alone explain, they help; scenarios tell them apart; limits hold."""

from __future__ import annotations

import logging
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from frames import made_frame, made_roles

from forecast import Columns, Forecaster, Panel, Training
from forecast.config import networks
from forecast.errors import ConfigError, DataError
from forecast.networks.recurrent import Recurrent

HORIZON, CONTEXT = 4, 12
SMALL = partial(Recurrent, hidden_size=8)


def _explained(rows: int = 160, kind: str = "number") -> pd.DataFrame:
    """Series that jump by 5 with an event that nothing in their past announces, around different levels."""
    frame = made_frame(series=3, rows=rows, seed=1)
    event = np.random.default_rng(7).random(len(frame)) < 0.3
    frame["y"] = 10 * (frame["unique_id"].str[1:].astype(int) + 1) + 5 * event + 0.01 * frame["y"]
    frame["event"] = event.astype(float) if kind == "number" else np.where(event, "sale", "usual")
    return frame


def _forecaster(model: object = SMALL, *, steps: int = 2, **roles: object) -> Forecaster:
    training = Training(steps=steps, batch_size=32, learning_rate=0.02)
    columns = Columns(**roles)  # type: ignore[arg-type]
    loss = "gaussian" if model == "deepar" else "mae"  # which draws from a distribution
    return Forecaster(
        model, horizon=HORIZON, context_length=CONTEXT, columns=columns, training=training, loss=loss, progress=False
    )  # type: ignore[arg-type]


def _error(frame: pd.DataFrame, forecaster: Forecaster, *, known: bool) -> float:
    """Return the mean absolute error over the last horizon, which training does not see."""
    ahead = frame.groupby("unique_id").cumcount() >= 160 - HORIZON
    future = frame[ahead].drop(columns="y") if known else None
    predicted = forecaster.fit(frame[~ahead]).predict(frame[~ahead], future=future)
    return float(np.abs(predicted["forecast"].to_numpy() - frame.loc[ahead, "y"].to_numpy()).mean())


@cache
def _untold(kind: str) -> float:
    """Return the error of a network that is not told of the event, which no network can foresee."""
    return _error(_explained(kind=kind), _forecaster("gru", steps=150), known=False)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        *((name, "number") for name in ("gru", "seq2seq", "deepar", "mqrnn", "segrnn")),
        *(pytest.param(name, "text", marks=pytest.mark.slow) for name in networks() if name != "linear"),
    ],
)
def test_a_known_covariate_helps_where_it_alone_explains(model: str, kind: str) -> None:
    told = _error(_explained(kind=kind), _forecaster(model, steps=150, known=("event",)), known=True)
    assert told < 0.3 * _untold(kind)


@pytest.mark.slow
def test_a_past_covariate_helps_where_it_announces_what_comes() -> None:
    frame = _explained()
    frame["notice"] = frame.groupby("unique_id")["event"].shift(-HORIZON).fillna(0)  # the event, a horizon ahead
    told = _error(frame, _forecaster("gru", steps=200, past=("notice",)), known=False)
    untold = _error(frame, _forecaster("gru", steps=200), known=False)
    assert told < 0.6 * untold


def test_a_static_covariate_helps_where_series_differ_by_it() -> None:
    """The last of two values stays in one kind of series, and changes its sign from step to step in the other."""
    random = np.random.default_rng(2)
    signs, rows = np.where(np.arange(40) % 2, 1.0, -1.0), 60
    values = random.normal(0, 1, (40, rows))
    for step in range(1, rows):
        values[:, step] = 0.95 * signs * values[:, step - 1] + 0.3 * values[:, step]
    frame = made_frame(series=40, rows=rows).assign(
        y=values.ravel(), kind=np.repeat(np.where(signs > 0, "a", "b"), rows)
    )
    ahead = frame.groupby("unique_id").cumcount() >= rows - HORIZON

    def error(**roles: object) -> float:
        forecaster = _forecaster("gru", steps=150, **roles).set_params(context_length=1, scaling="none")
        predicted = forecaster.fit(frame[~ahead]).predict()
        return float(np.abs(predicted["forecast"].to_numpy() - frame.loc[ahead, "y"].to_numpy()).mean())

    assert error(static=("kind",)) < 0.8 * error()


@pytest.mark.slow
def test_covariates_of_very_different_size_train() -> None:
    frame = _explained()
    random = np.random.default_rng(3)
    frame["volume"] = random.lognormal(18, 1, len(frame))  # about 1e8
    frame["rate"] = 1e-3 * frame.pop("event")
    roles = {"past": ("volume",), "known": ("rate",)}
    told = _error(frame, _forecaster("gru", steps=150, **roles), known=True)
    untold = _error(frame, _forecaster("gru", steps=150, past=("volume",)), known=False)
    assert told < 0.4 * untold


def test_absent_rows_with_known_covariates_train_and_forecast() -> None:
    frame = _explained()
    kept = frame.drop(index=frame.index[np.random.default_rng(1).random(len(frame)) < 0.1])
    kept = pd.concat([kept, frame.groupby("unique_id").tail(HORIZON)]).drop_duplicates()
    ahead = kept["ds"] > kept["ds"].max() - pd.Timedelta(days=HORIZON)
    forecaster = _forecaster("gru", steps=150, known=("event",)).fit(kept[~ahead])
    future = frame.groupby("unique_id").tail(HORIZON).drop(columns="y")
    predicted = forecaster.predict(kept[~ahead], future=future)
    truth = frame.groupby("unique_id").tail(HORIZON)["y"].to_numpy()
    assert np.abs(predicted["forecast"].to_numpy() - truth).mean() < 1.0


def test_scenarios_are_forecast_under_one_another() -> None:
    frame = _explained()
    forecaster = _forecaster("gru", steps=150, known=("event",)).fit(frame)
    last = frame.groupby("unique_id").tail(1)
    rows = pd.concat([last.assign(ds=last["ds"] + pd.Timedelta(days=day)) for day in range(1, HORIZON + 1)])
    rows = rows.drop(columns="y")
    futures = {"sale": rows.assign(event=1.0), "no sale": rows.assign(event=0.0)}
    both = forecaster.predict(frame, future=futures)
    assert list(both)[:4] == ["unique_id", "ds", "scenario", "forecast"]
    assert both["scenario"].unique().tolist() == ["sale", "no sale"]
    for name, future in futures.items():
        alone = forecaster.predict(frame, future=future)
        own = both[both["scenario"] == name].drop(columns="scenario").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, alone)
    means = both.groupby("scenario")["forecast"].mean()
    assert means["sale"] - means["no sale"] == pytest.approx(5, abs=1)
    with pytest.raises(DataError, match=r"(?s)scenario 'no sale': .*'event' missing for 3 rows.*'s0': 2024-"):
        forecaster.predict(frame, future={**futures, "no sale": rows[rows["ds"] < rows["ds"].max()]})
    with pytest.raises(ConfigError, match="future names no scenario"):
        forecaster.predict(frame, future={})


def test_rows_of_the_future_that_the_table_has_already_are_left_to_it(caplog: pytest.LogCaptureFixture) -> None:
    frame = _explained()
    ahead = frame["ds"] > frame["ds"].max() - pd.Timedelta(days=HORIZON)
    forecaster = _forecaster(known=("event",)).fit(frame[~ahead])
    expected = forecaster.predict(frame[~ahead], future=frame[ahead])
    overlapping = frame[frame["ds"] > frame["ds"].max() - pd.Timedelta(days=HORIZON + 2)]
    pd.testing.assert_frame_equal(forecaster.predict(frame[~ahead], future=overlapping), expected)
    assert "6 rows of the future are in the table already" in caplog.text


@pytest.mark.parametrize(("column", "told"), [("event", "the future has no column 'event'"), ("unique_id", "'series'")])
def test_a_future_that_lacks_a_column_is_refused(column: str, told: str) -> None:
    frame = _explained()
    forecaster = _forecaster(known=("event",)).fit(frame)
    with pytest.raises(DataError, match=told):
        forecaster.predict(frame, future=frame.drop(columns=column))


def test_what_training_has_not_met_is_told(caplog: pytest.LogCaptureFixture) -> None:
    frame = _explained(kind="text")
    ahead = frame["ds"] > frame["ds"].max() - pd.Timedelta(days=HORIZON)
    forecaster = _forecaster(known=("event",)).fit(frame[~ahead])
    forecaster.predict(frame[~ahead], future=frame[ahead])
    assert "has not met" not in caplog.text
    forecaster.predict(frame[~ahead], future=frame[ahead].assign(event="mega"))
    assert "training has not met 'mega' in column 'event' (12 such cells)" in caplog.text


def test_a_panel_brings_its_own_future() -> None:
    frame = _explained()
    forecaster = _forecaster(known=("event",)).fit(frame)
    with pytest.raises(ConfigError, match="a panel holds its future already"):
        forecaster.predict(forecaster.as_panel(frame, freq=None), future=frame)


@pytest.mark.parametrize("levels", [0.1, "0.1", ["0.1"], [True]])
def test_levels_that_are_no_list_of_numbers_are_refused(levels: object) -> None:
    forecaster = _forecaster().fit(made_frame())
    with pytest.raises(ConfigError, match="level"):
        forecaster.predict(levels=levels)  # type: ignore[arg-type]


def test_a_panel_with_other_roles_or_steps_is_refused() -> None:
    frame = made_frame(rows=60, covariates=True)
    forecaster = _forecaster(past=("temp", "size")).fit(frame)
    with pytest.raises(DataError, match=r"with past \('temp', 'size'\), and this panel has \('size', 'temp'\)"):
        forecaster.predict(Panel.from_frame(frame, Columns(past=("size", "temp"))))
    hourly = made_frame(rows=60, freq="h", covariates=True)
    with pytest.raises(DataError, match="trained on steps of 1D, and this panel has 1h"):
        forecaster.predict(Panel.from_frame(hourly, forecaster.columns))


def test_every_missing_row_of_a_future_is_listed_up_to_a_limit() -> None:
    frame = made_frame(series=23, rows=30, covariates=True)
    forecaster = _forecaster(**made_roles()).fit(frame)
    with pytest.raises(DataError) as caught:
        forecaster.predict(frame)
    told = str(caught.value).splitlines()
    assert "known covariates 'price', 'promo' missing for 92 rows of the horizon" in told[0]
    assert told[1].strip() == "series 's0': 2024-01-31 00:00:00 to 2024-02-03 00:00:00 (4 rows)"
    assert told[-1].strip() == "and 3 more series" and len(told) == 22


def test_no_forecast_lies_below_the_minimum(caplog: pytest.LogCaptureFixture) -> None:
    random = np.random.default_rng(0)
    frame = made_frame(series=3, rows=60).assign(y=lambda table: random.poisson(0.4, len(table)))
    free = _forecaster().fit(frame).predict(levels=[0.1, 0.9])
    assert (free[["forecast", "q0.1"]] < 0).any(axis=None)
    with caplog.at_level(logging.WARNING, logger="forecast"):
        kept = _forecaster(minimum=0).fit(frame).predict(levels=[0.1, 0.9])
    values = ["forecast", "q0.1", "q0.9"]
    np.testing.assert_array_equal(kept[values], free[values].clip(lower=0))
    below = int((free[values] < 0).sum().sum())
    assert f"{below} of {3 * len(free)} forecast values lay below the minimum" in caplog.text
