"""What older versions saved is read as they meant it."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from forecasters import fitted_forecaster
from forging import forge
from frames import made_frame
from torch import nn

from forecast import Columns, Forecaster
from forecast.batch import Inputs, Sizes
from forecast.calibrated import load
from forecast.networks.recurrent import Recurrent
from forecast.saved import artifact

KEPT = Path(__file__).parent / "artifacts"


@pytest.mark.parametrize("folder", sorted(path.name for path in KEPT.iterdir() if path.is_dir()))
def test_what_an_older_version_saved_forecasts_as_it_did(folder: str, tmp_path: Path) -> None:
    loaded = load(KEPT / folder)
    got = loaded.predict()
    told = pd.read_csv(KEPT / f"{folder}_forecast.csv").astype(got.dtypes)
    pd.testing.assert_frame_equal(got, told, rtol=1e-5)
    again = load(loaded.save(tmp_path / "model"))  # in the newest format
    pd.testing.assert_frame_equal(again.predict(), got, check_exact=True)


def test_an_artifact_of_every_format_is_kept() -> None:
    kept = {yaml.safe_load(path.read_text(encoding="utf-8"))["format"] for path in KEPT.glob("*/forecaster.yaml")}
    assert kept == set(range(artifact.OLDEST, artifact.FORMAT + 1))


def test_a_forecaster_of_format_1_is_fitted_again_as_it_was() -> None:
    """There were neither calendar features nor several targets."""
    loaded = Forecaster.load(KEPT / "format1")
    assert loaded.columns.calendar == () and loaded.columns.targets == ("y",)
    assert loaded.panel_.target.shape == (16, 1)
    frame = made_frame().assign(promotion=0.0)
    loaded.fit(frame)
    assert loaded.encoding_.calendar == () and loaded.sizes_.known == 0


class Plain(nn.Module):
    """A network of one's own whose layer has the name that ours had up to format 3."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.recurrent = nn.GRU(sizes.targets, sizes.horizon * sizes.outputs, batch_first=True)
        self.shape = (sizes.horizon, sizes.targets, sizes.outputs)

    def forward(self, inputs: Inputs, teacher: Any = None, feedback: Any = None) -> torch.Tensor:
        return self.recurrent(inputs.target)[1][0].unflatten(1, self.shape)


OLD_MODELS = {
    "two layers": {"layers": 2},
    "both directions": {"layers": 2, "bidirectional": True, "cell": "lstm"},
}


@pytest.mark.parametrize("columns", [Columns(), Columns(target=("y", "z"))], ids=["one target", "by channel"])
@pytest.mark.parametrize("options", OLD_MODELS.values(), ids=OLD_MODELS)
def test_layers_are_found_under_their_names_of_format_3(options: dict, columns: Columns, tmp_path: Path) -> None:
    frame = made_frame().assign(z=lambda table: 2 * table["y"])
    forecaster = fitted_forecaster(partial(Recurrent, hidden_size=4, **options), frame=frame, columns=columns)
    loaded = Forecaster.load(_as_format_3(forecaster.save(tmp_path / "model")))
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    assert loaded.get_params()["scaling"]["cycle"] is False


def test_layers_of_a_network_of_ones_own_keep_their_names(tmp_path: Path) -> None:
    forecaster = fitted_forecaster(partial(Plain))
    loaded = Forecaster.load(_as_format_3(forecaster.save(tmp_path / "model")), allow=[Plain])
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)


def _as_format_3(folder: Path) -> Path:
    """Give a saved forecaster the names that format 3 had."""

    def older(head: dict[str, Any]) -> None:
        head["format"] = 3
        for name in ("residual", "detach_every", "lags"):
            head["parameters"]["model"].pop(name, None)
        head["parameters"]["scaling"].pop("cycle")

    def renamed(weights: dict[str, np.ndarray]) -> None:
        for name in list(weights):
            old = re.sub(r"layers\.(\d)\.(.*_l)0", r"\g<2>\1", name)
            weights[old] = weights.pop(name)

    forge(folder, "forecaster.yaml", older)
    forge(folder, "weights.safetensors", renamed)
    return folder
