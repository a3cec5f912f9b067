"""What a saved run cannot forecast from ends in one message; what it has not seen is told."""

from __future__ import annotations

import json
import logging
import shutil
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from command import forecast, told_once, written
from frames import made_frame

from forecast import Columns, Forecaster, Training, load
from forecast.data.sources import read_table
from forecast.errors import AbsentError, ArtifactError, ForecastError
from forecast.networks.recurrent import Recurrent

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of series 1 and 2, with a known number, a past category and a static one."""
    table = _sales()
    columns = Columns(known=("price",), past=("mood",), static=("region",))
    forecaster = Forecaster(
        partial(Recurrent, hidden_size=4), horizon=2, context_length=8, columns=columns, progress=False,
        training=Training(steps=2), accelerator="cpu",
    )  # fmt: skip
    return forecaster.fit(table).save(tmp_path_factory.mktemp("run") / "model")


def _sales(first: int = 0, rows: int = 20) -> pd.DataFrame:
    frame = made_frame(rows=20, covariates=True).replace({"unique_id": {"s0": 1, "s1": 2}})
    frame["unique_id"] = frame["unique_id"].astype(int)
    frame = frame[["unique_id", "ds", "y", "price", "mood", "region"]]
    place = frame.groupby("unique_id").cumcount()
    return frame[(place >= first) & (place < first + rows)].reset_index(drop=True)


class Unfit(NamedTuple):
    """A table or a future that a saved model cannot forecast from."""

    told: str
    history: Any = None
    future: Any = None


def _ahead(**changes: Any) -> pd.DataFrame:
    return _sales(18)[["unique_id", "ds", "price"]].assign(**changes)


UNFIT = {
    "covariates that stop short": Unfit(
        r"known covariate 'price' missing for 2 rows of the horizon.*data.future=FILE.\n  series 1: 2024-01-20.*\n"
        r"  series 2: 2024-01-20",
        future=_ahead().groupby("unique_id").head(1),
    ),
    "no covariates ahead": Unfit(r"known covariate 'price' missing for 4 rows of the horizon"),
    "a covariate that is not there": Unfit(
        r"there is no column 'mood'.*columns.past", _sales(0, 18).drop(columns="mood")
    ),
    "a target that is not there": Unfit(r"there is no column 'y'", _sales(0, 18).drop(columns="y")),
    "a future without its covariate": Unfit(
        r"the future has no column 'price'; it has unique_id, ds. Add it", future=_ahead().drop(columns="price")
    ),
    "text in a known covariate": Unfit(
        r"the future: column 'price' holds 'dear' in line 3, which is not a number",
        future=_ahead(price=["1", "dear", "1", "1"]),
    ),
    "a hole in a known covariate": Unfit(
        r"known covariate 'price' is empty in the future \(series 1, 2024-01-20", future=_ahead(price=[1, None, 1, 1])
    ),
    "a time of the future that is none": Unfit(
        r"the future: column 'ds' holds 'soon' in line 3, which is not a time",
        future=_ahead(ds=["2024-01-19", "soon", "2024-01-19", "2024-01-20"]),
    ),
    "a time of the future twice": Unfit(
        r"the future has 2024-01-19 of series 1 twice, again in line 3",
        future=_ahead(ds=["2024-01-19", "2024-01-19", "2024-01-19", "2024-01-20"]),
    ),
    "a series of the future alone": Unfit(
        r"the future has rows of series 7, which the table lacks \(line 2, 2 such rows\). Give its history",
        future=_ahead(unique_id=[7, 7, 2, 2]),
    ),
    "a series of the future written otherwise": Unfit(
        r"the future has rows of series '001'.* its ids are str, and those of the table int64",
        future=_ahead(unique_id=["001", "001", "2", "2"]),
    ),
    "a number where text was": Unfit(
        r"column 'mood' held text in training and holds numbers now", _sales(0, 18).assign(mood=3), _ahead()
    ),
    "text where numbers were": Unfit(
        r"column 'price' held numbers in training and holds text \('dear'\) now",
        _sales(0, 18).assign(price=["dear", *["1"] * 35]),
        _ahead(price="cheap"),
    ),
    "a series with nothing to read": Unfit(
        r"series 1 has no observed value in the last 8 steps",
        _sales(0, 18).assign(y=lambda frame: frame["y"].mask((frame["unique_id"] == 1) & (frame["ds"] > "2024-01-09"))),
        _ahead(),
    ),
    "a file that is not there": Unfit(r"there is no file 'none.csv'", "none.csv"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_predict_ends_in_one_message(run: Path, case: str, capfd: pytest.CaptureFixture[str]) -> None:
    unfit = UNFIT[case]
    history = _sales(0, 18) if unfit.history is None else unfit.history
    words = [f"data.path={history if isinstance(history, str) else written(history)}"]
    words += [] if unfit.future is None else [f"data.future={written(unfit.future, 'future.csv')}"]
    assert forecast("predict", f"run={run}", *words) == 2
    told_once(capfd.readouterr().err, unfit.told)


@pytest.mark.parametrize("case", UNFIT)
def test_a_loaded_forecaster_raises_the_same_words(run: Path, case: str) -> None:
    unfit = UNFIT[case]
    history = _sales(0, 18) if unfit.history is None else unfit.history
    future = None if unfit.future is None else read_table(written(unfit.future, "future.csv"), ids=Columns.id)
    with pytest.raises(ForecastError, match=unfit.told):
        table = read_table(history if isinstance(history, str) else written(history), ids=Columns.id)
        load(run).predict(table, future=future)


def _damaged(run: Path, change: str) -> Path:
    """Return a copy of a saved model with something wrong."""
    copy = Path(shutil.copytree(run, "copy"))
    weights = copy / "weights.safetensors"
    if change == "truncated":
        weights.write_bytes(weights.read_bytes()[:-9])
    elif change == "tampered":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    elif change == "newer":
        settings = copy / "forecaster.yaml"
        text = settings.read_text(encoding="utf-8")
        number = next(line for line in text.splitlines() if line.startswith("format:"))
        settings.write_text(text.replace(number, "format: 999"), encoding="utf-8")
        sums = json.loads((copy / "checksums.json").read_text(encoding="utf-8"))
        sums["forecaster.yaml"] = sha256(settings.read_bytes()).hexdigest()
        (copy / "checksums.json").write_text(json.dumps(sums), encoding="utf-8")
    else:
        shutil.rmtree(copy)
        copy.mkdir()
    return copy


@pytest.mark.parametrize(
    ("change", "told", "kind"),
    [
        ("truncated", r"weights.safetensors' is damaged: its checksum differs. Take a whole copy", ArtifactError),
        ("tampered", r"weights.safetensors' is damaged: its checksum differs. Take a whole copy", ArtifactError),
        ("newer", r"999.*[Uu]pgrade", ArtifactError),
        ("empty", r"there is no saved forecaster in 'copy'", AbsentError),
    ],
)
def test_a_saved_model_that_is_not_whole_is_refused(
    run: Path, change: str, told: str, kind: type[Exception], capfd: pytest.CaptureFixture[str]
) -> None:
    copy = _damaged(run, change)
    with pytest.raises(kind, match=told):
        load(copy)
    assert forecast("predict", f"run={copy}", f"data.path={written(_sales())}") == 2
    told_once(capfd.readouterr().err, told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"unique_id": [7] * 18 + [2] * 18}, "training has not met series 7 (1 such series): it counts as never seen."),
        ({"mood": "angry"}, "training has not met 'angry' in column 'mood' (36 such cells): it counts as never seen."),
        ({"region": "east"}, "training has not met 'east' in column 'region' (2 such cells): it counts as never seen."),
        ({"unique_id": ["1"] * 18 + ["2"] * 18}, None),
    ],
)
def test_what_prediction_has_not_seen_is_told_by_name_and_forecast(
    run: Path,
    changes: dict[str, Any],
    told: str | None,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    history = _sales(0, 18).assign(**changes)
    future = _ahead(unique_id=history["unique_id"].unique().repeat(2))
    with caplog.at_level(logging.WARNING, "forecast"):
        predicted = load(run).predict(history, future=future)
    assert [record.getMessage() for record in caplog.records] == ([] if told is None else [told])
    assert predicted["unique_id"].unique().tolist() == history["unique_id"].unique().tolist()
    assert np.isfinite(predicted.select_dtypes("float")).all(axis=None)
    words = (f"data.path={written(history)}", f"data.future={written(future, 'future.csv')}")
    assert forecast("predict", f"run={run}", *words, "hydra.run.dir=out") == 0
    assert (told or "") in capfd.readouterr().err
    again = pd.read_csv("out/forecast.csv")
    np.testing.assert_allclose(again["forecast"], predicted["forecast"], rtol=1e-6)
