"""Forecaster: scikit-learn's conventions, frames in and out, errors at the door, and no traces."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from frames import made_frame, made_roles
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from forecast import Columns, Forecaster, Panel, Training
from forecast.batch import Inputs, Sizes
from forecast.config import build, names
from forecast.errors import ConfigError, DataError, TrainingError

QUICK = {"context_length": 6, "accelerator": "cpu", "progress": False}
LEVELS = [f"q0.{tenth}" for tenth in range(1, 10)]


class LastValue(nn.Module):
    """A network of one's own: the last value plus a learned step for each output."""

    def __init__(self, sizes: Sizes, *, width: int = 1) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.zeros(width, sizes.horizon, sizes.targets, sizes.outputs))

    def forward(self, inputs: Inputs, teacher: Any = None, feedback: Any = None) -> Tensor:
        return inputs.target[:, -1, None, :, None] + self.steps.sum(dim=0)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return _forecaster().fit(made_frame())


@pytest.fixture(scope="module")
def with_covariates() -> tuple[Forecaster, pd.DataFrame, pd.DataFrame]:
    """A fitted forecaster, its history, and the three rows of each series after it."""
    frame = made_frame(covariates=True)
    is_future = frame.groupby("unique_id").cumcount() >= 57
    forecaster = _forecaster(columns=Columns(**made_roles()))
    return forecaster.fit(frame[~is_future]), frame[~is_future], frame[is_future]


def test_parameters_are_kept_as_given_and_change_by_name() -> None:
    training, columns = Training(steps=5), Columns(target="price")
    forecaster = Forecaster("lstm", horizon=7, training=training, columns=columns, seed=3)
    given = {"model": "lstm", "horizon": 7, "training": training, "columns": columns, "seed": 3}
    default = {"context_length": None, "freq": None, "seasonality": None, "loss": None}
    default |= {"scaling": None, "accelerator": "auto", "progress": True}
    assert forecaster.get_params(deep=False) == given | default
    assert forecaster.training is training
    forecaster.set_params(horizon=9, training__steps=11)
    assert (forecaster.horizon, forecaster.training.steps) == (9, 11)
    assert forecaster.get_params()["training__steps"] == 11


def test_a_clone_is_equal_unfitted_and_shares_nothing(fitted: Forecaster) -> None:
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert copy.training is not fitted.training
    with pytest.raises(NotFittedError):
        copy.predict()
    clone(Forecaster(partial(LastValue, width=2), horizon=3, loss={"_target_": "forecast.losses.points.MAE"}))


@pytest.mark.parametrize("use", [lambda f: f.predict(), lambda f: f.predict(made_frame()), lambda f: f.save("model")])
def test_use_before_fit_is_refused(use: Any) -> None:
    with pytest.raises(NotFittedError):
        use(_forecaster())


def test_the_text_of_a_forecaster_shows_what_was_set() -> None:
    assert repr(Forecaster("lstm", horizon=7)).replace(" ", "") == "Forecaster(horizon=7,model='lstm')"


def test_fit_returns_itself_and_leaves_its_parameters(fitted: Forecaster) -> None:
    forecaster = _forecaster(seasonality=None, context_length=None)
    before = dict(vars(forecaster))
    training = repr(forecaster.training)
    assert forecaster.fit(made_frame()) is forecaster
    assert {name: value for name, value in vars(forecaster).items() if name in before} == before
    assert repr(forecaster.training) == training
    learned = set(vars(forecaster)) - set(before)
    assert learned and all(name.endswith("_") for name in learned)
    assert (forecaster.seasonality_, forecaster.freq_) == (7, "1D")
    assert forecaster.context_length_ == 24


@pytest.mark.parametrize(
    ("rows", "horizon", "season", "context"),
    [(300, 3, 7, 24), (300, 3, 12, 36), (300, 40, 7, 40), (300, 3, 365, 24), (60, 40, 24, 20), (2000, 3, 168, 504)],
)
def test_the_context_is_three_seasons_or_the_horizon_within_limits(
    rows: int, horizon: int, season: int, context: int
) -> None:
    forecaster = Forecaster(
        "linear", horizon=horizon, seasonality=season, training=Training(steps=1, batch_size=2), progress=False
    )
    assert forecaster.fit(made_frame(rows=rows)).context_length_ == context


def test_fit_and_predict_leave_the_table_of_the_caller() -> None:
    frame = made_frame(covariates=True).sample(frac=1, random_state=1)
    before = frame.copy(deep=True)
    forecaster = _forecaster(columns=Columns(past=("temp", "mood"), static=("size", "region"))).fit(frame)
    forecaster.predict(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_fit_and_predict_leave_random_numbers_of_the_caller() -> None:
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    _forecaster().fit(made_frame()).predict()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1] and random.getstate() == before[2]


def test_nothing_is_printed_and_no_file_is_left(tmp_path: Path) -> None:
    """In a process of its own, where no test runner has already caught or silenced anything."""
    script = (
        "from frames import made_frame\n"
        "from forecast import Forecaster, Training\n"
        "training = Training(steps=2, batch_size=4, validation=1, learning_rate='find')\n"
        f"Forecaster(horizon=3, training=training, **{QUICK!r}).fit(made_frame()).predict()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", names("model"))
def test_one_seed_gives_one_forecast_and_another_seed_another(model: str) -> None:
    frame = made_frame()
    first, again, other = (_forecaster(model, seed=seed).fit(frame).predict() for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not np.allclose(first.forecast, other.forecast)


def test_the_forecast_has_a_row_for_each_series_and_step(fitted: Forecaster) -> None:
    predicted = fitted.predict()
    assert list(predicted.columns) == ["unique_id", "ds", "forecast", *LEVELS]
    assert predicted.unique_id.tolist() == ["s0"] * 3 + ["s1"] * 3
    ahead = pd.date_range("2024-03-01", periods=3)
    assert predicted.ds.tolist() == [*ahead, *ahead]
    assert np.isfinite(predicted[["forecast", *LEVELS]]).all(axis=None)
    assert (predicted[LEVELS].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    np.testing.assert_array_equal(predicted["forecast"], predicted["q0.5"])


def test_predict_without_a_table_is_predict_of_the_table_fitted(fitted: Forecaster) -> None:
    frame = made_frame()
    for same in (
        frame,
        frame.sample(frac=1, random_state=0).sort_values("unique_id"),
        Panel.from_frame(frame),
    ):
        pd.testing.assert_frame_equal(fitted.predict(same), fitted.predict(), rtol=1e-6)


def test_newer_rows_and_series_never_trained_on_are_forecast(fitted: Forecaster) -> None:
    newer = made_frame(series=4, rows=70, seed=1)
    predicted = fitted.predict(newer)
    assert predicted.unique_id.unique().tolist() == ["s0", "s1", "s2", "s3"]
    assert predicted.ds.min() == pd.Timestamp("2024-03-11")
    # Scaled by its window, a series far above all others is forecast near itself.
    level = newer.y[newer.unique_id == "s3"].mean()
    assert (predicted.forecast[predicted.unique_id == "s3"] - level).abs().max() < 5


def test_what_lies_before_the_context_does_not_move_a_forecast(fitted: Forecaster) -> None:
    frame = made_frame()
    context = frame.groupby("unique_id").tail(6)
    pd.testing.assert_frame_equal(fitted.predict(frame), fitted.predict(context))


def test_no_origins_are_no_forecasts(fitted: Forecaster) -> None:
    none = np.zeros(0, np.int64)
    values = fitted.predict_origins(Panel.from_frame(made_frame()), none, none, levels=[0.1, 0.9])
    assert values.shape == (0, fitted.horizon_, 1, 3)


def test_a_history_shorter_than_the_context_is_enough_to_forecast(fitted: Forecaster) -> None:
    assert np.isfinite(fitted.predict(made_frame(rows=2)).forecast).all()


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2024-01-01", periods=40, freq="h").as_unit("ns"),
        pd.date_range("2024-01-01", periods=40, freq="h", tz="America/New_York").as_unit("s"),
        pd.date_range("2024-03-09", periods=40, freq="D", tz="Europe/Berlin"),
        pd.RangeIndex(100, 140),
        pd.Index(np.arange(40, dtype=np.int32)),
    ],
    ids=["ns", "zoned", "zoned days", "integers", "int32"],
)
@pytest.mark.parametrize("ids", [["b", "a"], [7, 3]], ids=["text", "numbers"])
def test_names_times_and_dtypes_leave_as_they_came(times: pd.Index, ids: list) -> None:
    values = np.random.default_rng(0).normal(10, 1, 80)
    frame = pd.DataFrame({"shop": np.repeat(ids, 40), "when": np.tile(times, 2), "sold": values})
    frame["when"] = frame["when"].astype(times.dtype)
    columns = Columns(id="shop", time="when", target="sold")
    predicted = _forecaster(columns=columns).fit(frame).predict()
    assert list(predicted.columns[:3]) == ["shop", "when", "forecast"]
    assert predicted[["shop", "when"]].dtypes.equals(frame[["shop", "when"]].dtypes)
    assert predicted["shop"].tolist() == np.repeat(ids, 3).tolist()
    step = times[1] - times[0]
    if getattr(times, "tz", None) is not None and step >= pd.Timedelta("1D"):
        step = pd.DateOffset(days=1)  # a day on the clock is 23 hours long when summer begins
    assert predicted["when"].iloc[0] == times[-1] + step


def test_levels_are_those_asked_for_in_order(fitted: Forecaster) -> None:
    default = fitted.predict()
    predicted = fitted.predict(levels=[0.9, 0.25, 0.9, 0.1])
    assert list(predicted.columns[3:]) == ["q0.1", "q0.25", "q0.9"]
    pd.testing.assert_series_equal(predicted["q0.9"], default["q0.9"])
    between = (default["q0.2"] + default["q0.3"]) / 2
    np.testing.assert_allclose(predicted["q0.25"], between, rtol=1e-5)
    assert list(fitted.predict(levels=[]).columns) == ["unique_id", "ds", "forecast"]


@pytest.mark.parametrize("levels", [[0.0], [1.0], [-0.1], [10]])
def test_levels_that_are_none_are_refused(fitted: Forecaster, levels: list[float]) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        fitted.predict(levels=levels)


def test_levels_never_trained_are_refused_with_the_way_out(fitted: Forecaster) -> None:
    with pytest.raises(ConfigError, match=r"level 0\.05 .*0\.1 to 0\.9.*loss\.levels"):
        fitted.predict(levels=[0.05])


@pytest.mark.parametrize("loss", [name for name in names("loss") if not build("loss", name).is_event])
def test_every_loss_gives_intervals_around_its_point(loss: str) -> None:
    frame = made_frame().assign(y=lambda table: table.y.round())  # counts, for losses that count
    predicted = _forecaster(loss=loss, steps=30).fit(frame).predict(levels=[0.1, 0.5, 0.9])
    assert (predicted["q0.1"] < predicted["q0.9"]).all()
    assert predicted["forecast"].between(predicted["q0.1"] - 0.5, predicted["q0.9"] + 0.5).all()


def test_known_covariates_of_the_future_are_read(with_covariates: tuple) -> None:
    forecaster, history, future = with_covariates
    rows = future[["unique_id", "ds", "price", "promo"]]
    predicted = forecaster.predict(history, future=rows)
    assert len(predicted) == 6 and predicted.ds.tolist() == rows.ds.tolist()
    dearer = forecaster.predict(history, future=rows.assign(price=rows.price + 5))
    assert not np.allclose(predicted.forecast, dearer.forecast)


def test_what_a_future_says_of_the_target_is_not_read(with_covariates: tuple) -> None:
    forecaster, history, future = with_covariates
    expected = forecaster.predict(history, future=future[["unique_id", "ds", "price", "promo"]])
    pd.testing.assert_frame_equal(forecaster.predict(history, future=future.assign(y=1e9, temp=1e9)), expected)


@pytest.mark.parametrize("missing", ["all", "one row", "one value"])
def test_known_covariates_that_are_missing_are_named(with_covariates: tuple, missing: str) -> None:
    forecaster, history, future = with_covariates
    future = future.copy()
    if missing == "all":
        with pytest.raises(
            DataError, match=r"(?s)'price', 'promo' missing for 6 rows.*'s0': 2024-02-27.*'s1': .* to 2024-02-29"
        ):
            forecaster.predict(history)
    elif missing == "one row":
        with pytest.raises(DataError, match=r"(?s)'price', 'promo' missing for 1 row .*'s1': 2024-02-29"):
            forecaster.predict(history, future=future.iloc[:-1])
    else:
        future.iloc[4, future.columns.get_loc("promo")] = None
        with pytest.raises(DataError, match=r"'promo'.*'s1'.*2024-02-28"):
            forecaster.predict(history, future=future)


def test_a_future_needs_its_history(with_covariates: tuple) -> None:
    forecaster, _, future = with_covariates
    with pytest.raises(ConfigError, match="history"):
        forecaster.predict(future=future)


@pytest.mark.parametrize("name", ["horizon", "context_length", "seasonality"])
@pytest.mark.parametrize("value", [0, -1, "soon", 1.5, True])
def test_lengths_that_are_no_whole_numbers_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is a whole number of 1 or more, got {value!r}"):
        _forecaster(**{name: value}).fit(made_frame())


def test_series_too_short_to_train_on_are_named_with_what_is_needed() -> None:
    with pytest.raises(DataError, match=r"'s0', has 3 steps.*horizon of 3 needs at least 4"):
        _forecaster().fit(made_frame(rows=3))
    _forecaster(context_length=4).fit(made_frame(rows=4))
    with pytest.raises(DataError, match="context_length=5 is longer than every series: the longest, 's0', has 4 steps"):
        _forecaster(context_length=5).fit(made_frame(rows=4))


def test_a_series_without_any_value_is_refused_by_name(fitted: Forecaster) -> None:
    frame = made_frame()
    frame.loc[frame.unique_id == "s1", "y"] = np.nan
    for use in (_forecaster().fit, fitted.predict):
        with pytest.raises(DataError, match="series 's1' has no observed value in column 'y'"):
            use(frame)


@pytest.mark.parametrize(
    ("settings", "nearest"),
    [
        ({"model": "gur"}, "model 'gur'. Choose one of: gru"),
        ({"loss": "quantil"}, "loss 'quantil'. Choose one of: quantile"),
        ({"scaling": "windows"}, "scaling 'windows'. Choose one of: window"),
        ({"accelerator": "cpus"}, "accelerator 'cpus'. Choose one of: cpu"),
    ],
)
def test_unknown_names_list_the_nearest_first(settings: dict[str, str], nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"there is no {nearest}"):
        _forecaster(**settings).fit(made_frame())


@pytest.mark.parametrize("model", [5, None, {"cell": "gru"}, LastValue(Sizes(context_length=1, horizon=1))])
def test_what_is_no_model_is_refused(model: object) -> None:
    with pytest.raises(ConfigError, match="a model is a name"):
        _forecaster(model).fit(made_frame())


def test_a_network_of_ones_own_trains_saves_and_loads_only_where_it_is_allowed(tmp_path: Path) -> None:
    forecaster = _forecaster(partial(LastValue, width=2)).fit(made_frame())
    assert forecaster.model_.network.steps.shape[0] == 2 and forecaster.model_.network.steps.abs().sum() > 0
    forecaster.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model", allow=[LastValue])
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    with pytest.raises(ConfigError, match=r"LastValue.*allow=\[MyNetwork\]"):
        Forecaster.load(tmp_path / "model")
    with pytest.raises(ConfigError, match="LastValue"):
        Forecaster.load(tmp_path / "model", allow=[Inputs])


@pytest.mark.parametrize("training", [{"steps": 3}, 3])
def test_training_that_is_none_is_refused(training: object) -> None:
    with pytest.raises(ConfigError, match=r"training is a Training, such as Training\(steps=500\)"):
        Forecaster("gru", horizon=3, training=training).fit(made_frame())  # type: ignore[arg-type]


def test_a_fit_that_failed_leaves_nothing_to_predict_with() -> None:
    forecaster = _forecaster().fit(made_frame())
    forecaster.set_params(training__optimizer={"_target_": "torch.optim.Adam", "beta": 1})
    with pytest.raises(ConfigError):
        forecaster.fit(made_frame())
    with pytest.raises(NotFittedError):
        forecaster.predict()


def _other_days(frame: pd.DataFrame) -> pd.DataFrame:
    inner = frame.groupby("unique_id").cumcount().between(1, 58)
    return frame.assign(ds=frame["ds"].where(~inner, frame["ds"] + pd.Timedelta(hours=1)))


@pytest.mark.parametrize(
    ("roles", "change"),
    [
        ({"gaps": "rows"}, _other_days),
        ({}, lambda frame: frame.assign(ds=frame["ds"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))),
        ({}, lambda frame: frame.assign(ds=frame["ds"] + (frame["ds"] - frame["ds"].min()))),
    ],
    ids=["inner dates of rows", "zone", "frequency"],
)
def test_a_checkpoint_of_the_same_values_at_other_times_is_left_alone(
    roles: dict, change: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame = made_frame()
    options = {"columns": Columns(**roles), "seasonality": 7, "training": Training(steps=2, batch_size=4)}
    first = _forecaster(**options).fit(frame, folder=tmp_path)
    _forecaster(**options).fit(change(frame), folder=tmp_path)
    assert "belongs to other data or settings" in caplog.text
    caplog.clear()
    relabelled = {**options, "columns": Columns(**roles, unit="pieces")}
    _forecaster(**options).fit(frame, folder=tmp_path / "again")
    again = _forecaster(**relabelled).fit(frame, folder=tmp_path / "again")
    assert "belongs to other" not in caplog.text  # a label is none of them
    pd.testing.assert_frame_equal(again.predict(), first.predict())


def test_a_fit_replaces_an_earlier_fit() -> None:
    forecaster = _forecaster().fit(made_frame(series=3, seed=9))
    forecaster.fit(made_frame())
    pd.testing.assert_frame_equal(forecaster.predict(), _forecaster().fit(made_frame()).predict(), check_exact=True)


def _forecaster(model: Any = "gru", *, steps: int = 3, **settings: Any) -> Forecaster:
    training = Training(steps=steps, batch_size=8)
    return Forecaster(model, **{"horizon": 3, "training": training, **QUICK, **settings})


def test_a_series_unobserved_in_its_last_context_is_refused_by_name() -> None:
    frame = made_frame(series=2, rows=40)
    first = frame["unique_id"].iloc[0]
    late = frame.groupby("unique_id").cumcount() >= 20
    frame.loc[late & (frame["unique_id"] == first), "y"] = np.nan
    forecaster = _forecaster().fit(frame)
    with pytest.raises(DataError, match=f"{first!r} has no observed value in the last 6 steps"):
        forecaster.predict()


def test_a_diverged_training_is_refused_with_its_step() -> None:
    wild = Training(steps=20, learning_rate=1e30, gradient_clip=0, schedule="constant", validation=1, check_every=5)
    with pytest.raises(TrainingError, match="the loss is not finite at step 2 of 20, in 128 of the 128 windows"):
        Forecaster("gru", horizon=3, loss="mse", training=wild, **QUICK).fit(made_frame())


def test_parameters_set_after_fit_are_not_saved_as_trained(tmp_path: Path) -> None:
    forecaster = _forecaster().fit(made_frame())
    before = forecaster.predict()
    forecaster.set_params(scaling="none", model="lstm")
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(loaded.predict(), before, check_exact=True)
