"""A saved forecaster: bit-equal, in another process too, with what it was made of."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from forecasters import fitted_forecaster
from frames import made_frame, made_roles
from torch import nn

from forecast import Columns, Forecaster, Training
from forecast.batch import Inputs, Sizes
from forecast.config import names, usual
from forecast.errors import DataError
from forecast.saved import artifact

CASES = [
    *((model, "window", usual("loss", model)) for model in names("model")),
    *(("gru", scaling, "quantile") for scaling in names("scaling")),
    *(("gru", usual("scaling", "gru", loss=loss), loss) for loss in names("loss")),
]


@pytest.mark.parametrize(("model", "scaling", "loss"), dict.fromkeys(CASES))
def test_what_is_loaded_forecasts_bit_equal(model: str, scaling: str, loss: str, tmp_path: Path) -> None:
    frame = made_frame().assign(y=lambda table: table.y.round())  # counts, for losses that count
    if loss == "event":
        frame = frame.assign(y=lambda table: (table.y % 2 == 0).astype(float))
    forecaster = fitted_forecaster(model, frame, scaling=scaling, loss=loss)
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    newer = made_frame(series=3, seed=1)
    pd.testing.assert_frame_equal(loaded.predict(newer), forecaster.predict(newer), check_exact=True)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("scaling", names("scaling"))
def test_several_targets_forecast_bit_equal(scaling: str, joint: bool, tmp_path: Path) -> None:
    frame = made_frame(covariates=True).assign(wind=lambda table: 1000 + 50 * table.temp)
    columns = Columns(target=("y", "wind"), joint=joint, past=("mood",), static=("region",), minimum=0, unit="m")
    forecaster = fitted_forecaster(frame=frame, columns=columns, scaling=scaling)
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    assert loaded.columns == columns and loaded.encoding_ == forecaster.encoding_
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    pd.testing.assert_frame_equal(loaded.predict(frame), forecaster.predict(frame), check_exact=True)


def test_another_process_loads_it_without_lightning(tmp_path: Path) -> None:
    frame = made_frame(covariates=True)
    is_future = frame.groupby("unique_id").cumcount() >= 57
    history, future = frame[~is_future], frame[is_future]
    forecaster = fitted_forecaster(frame=history, columns=Columns(**made_roles()))
    forecaster.save(tmp_path / "model")
    history.to_parquet(tmp_path / "history.parquet")
    future.to_parquet(tmp_path / "future.parquet")
    script = (
        "import sys, pandas, torch\n"
        "torch.set_num_threads(1)\n"
        "from forecast import Forecaster\n"
        "history, future = (pandas.read_parquet(f'{name}.parquet') for name in ('history', 'future'))\n"
        "Forecaster.load('model').predict(history, future=future).to_parquet('forecast.parquet')\n"
        "heavy = [name for name in ('lightning', 'hydra', 'matplotlib') if name in sys.modules]\n"
        "sys.exit(f'prediction imports {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    got = pd.read_parquet(tmp_path / "forecast.parquet")
    pd.testing.assert_frame_equal(got, forecaster.predict(history, future=future), check_exact=True)


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2024-01-01", periods=60, freq="h", tz="America/New_York"),
        pd.date_range("2024-01-01", periods=60, freq="MS").as_unit("ns"),
        pd.bdate_range("2024-01-01", periods=60),
        pd.RangeIndex(60),
    ],
    ids=["zoned", "months", "business", "integers"],
)
@pytest.mark.parametrize("gaps", ["mask", "rows"])
def test_times_and_ids_come_back_as_they_were(times: pd.Index, gaps: Any, tmp_path: Path) -> None:
    frame = made_frame().assign(ds=np.tile(times, 2), unique_id=np.repeat([7, 3], 60))
    frame["ds"] = frame["ds"].astype(times.dtype)
    forecaster = fitted_forecaster(frame=frame, columns=Columns(gaps=gaps))
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    assert (loaded.freq_, loaded.seasonality_) == (forecaster.freq_, forecaster.seasonality_)


@pytest.mark.parametrize("dtype", ["category", "object", "string", "int32", "Int64"])
def test_ids_keep_their_dtype(dtype: str, tmp_path: Path) -> None:
    names = [7, 3] if "nt" in dtype else ["b", "a"]
    frame = made_frame().assign(unique_id=pd.Series(np.repeat(names, 60)).astype(dtype))
    forecaster = fitted_forecaster(frame=frame)
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    assert loaded.predict()["unique_id"].dtype == forecaster.predict()["unique_id"].dtype
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object", "category"])
def test_series_are_not_named_by_truth_values(dtype: str) -> None:
    frame = made_frame().assign(unique_id=pd.Series(np.repeat([True, False], 60)).astype(dtype))
    with pytest.raises(DataError, match="a series is named by text or a whole number"):
        fitted_forecaster(frame=frame)


def test_parameters_come_back_and_can_be_fitted_again(fitted: Forecaster, saved: Path) -> None:
    loaded = Forecaster.load(saved)
    for name in (
        "horizon",
        "context_length",
        "freq",
        "seasonality",
        "training",
        "accelerator",
        "seed",
        "progress",
    ):
        assert getattr(loaded, name) == getattr(fitted, name), name
    again = loaded.fit(made_frame()).predict()
    pd.testing.assert_frame_equal(again, fitted.predict(), check_exact=True)
    loaded.save(saved)
    pd.testing.assert_frame_equal(Forecaster.load(saved).predict(), again, check_exact=True)


def test_numbers_of_numpy_are_saved_as_plain_numbers(tmp_path: Path) -> None:
    levels = {"_target_": "forecast.losses.quantile.Quantile", "levels": list(np.array([0.1, 0.9]))}
    loaded = Forecaster.load(fitted_forecaster(horizon=np.int64(2), loss=levels).save(tmp_path / "model"))
    assert loaded.horizon == 2 and type(loaded.horizon) is int
    assert loaded.levels() == (0.1, 0.5, 0.9)


def test_a_setting_that_is_named_twice_is_saved_twice(tmp_path: Path) -> None:
    levels = [0.1, 0.9]
    forecaster = fitted_forecaster(loss={"_target_": "forecast.losses.quantile.Quantile", "levels": levels})
    forecaster._parameters_["scaling"]["also"] = forecaster._parameters_["loss"]["levels"]
    text = artifact.plain_yaml({"parameters": forecaster._parameters_}).decode()
    assert "&" not in text and "*" not in text


class Wide(nn.Module):
    """A network of one's own, with settings beyond the bounds of ours."""

    def __init__(
        self, sizes: Sizes, *, layers: int, ceiling: float, most: float, shared: list[int], again: list[int]
    ) -> None:
        super().__init__()
        assert (layers, ceiling, most, shared, again) == (12, float("inf"), 1e12, [1], [1])
        self.sizes = sizes
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Inputs, teacher: Any = None, feedback: Any = None) -> torch.Tensor:
        shape = (len(inputs.target), self.sizes.horizon, self.sizes.targets, self.sizes.outputs)
        return self.level.expand(shape)


def test_a_network_of_ones_own_may_have_any_plain_settings(tmp_path: Path) -> None:
    shared = [1]
    own = partial(Wide, layers=12, ceiling=float("inf"), most=1e12, shared=shared, again=shared)
    forecaster = fitted_forecaster(own)
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"), allow=[Wide])
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)


@pytest.mark.parametrize(
    "odd", ["a\x85 b", "a\u2028b", "a\u2029b", "\ufeff", "é\x85", "a\n\n b", "a\tb\x07", "no", "😀 ü"]
)
def test_names_of_any_letters_are_saved(odd: str, tmp_path: Path) -> None:
    frame = made_frame(covariates=True).rename(columns={"mood": odd, "y": "größe\n"})
    frame["unique_id"] = pd.Series([f"{name}{odd}" for name in frame["unique_id"]], dtype=object)
    frame[odd] = pd.Series([f"{name}{odd}" for name in frame[odd]], dtype=object)
    forecaster = fitted_forecaster(frame=frame, columns=Columns(target="größe\n", past=(odd,)))
    loaded = Forecaster.load(forecaster.save(tmp_path / "model"))
    assert loaded.columns == forecaster.panel_.columns and loaded.encoding_ == forecaster.encoding_
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)


@pytest.mark.parametrize("name", ["unique_id", "mood", "region"])
def test_text_with_half_a_character_is_refused(name: str) -> None:
    frame = made_frame(covariates=True)
    frame[name] = pd.Series([f"{value}\ud800" for value in frame[name]], dtype=object)
    with pytest.raises(DataError, match=f"column '{name}' holds .* half a character"):
        fitted_forecaster(frame=frame, columns=Columns(past=("mood",), static=("region",)))


def test_of_the_trainer_s_arguments_a_save_keeps_where_it_computes(tmp_path: Path) -> None:
    forecaster = Forecaster(
        "linear", horizon=2, training=Training(steps=2), progress=False,
        accelerator={"accelerator": "cpu", "devices": 1, "gradient_clip_algorithm": "value", "plugins": []},
    ).fit(made_frame())  # fmt: skip
    forecaster.save(tmp_path / "model")
    assert Forecaster.load(tmp_path / "model").accelerator == {"accelerator": "cpu", "devices": 1}
