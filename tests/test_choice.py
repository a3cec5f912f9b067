"""What ``model=auto`` becomes, and that it is settled by the fit."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yaml
from command import TINY, forecast
from frames import made_frame

from forecast import Forecaster, Panel, Training, choice
from forecast.choice import PLENTY, first_choice
from forecast.config import read
from forecast.errors import ConfigError
from forecast.networks.recurrent import Recurrent
from forecast.networks.segrnn import SegRNN


@pytest.mark.parametrize(("rows", "name"), [(PLENTY // 4 - 1, "gru"), (PLENTY // 4, "segrnn")])
def test_the_number_of_observed_steps_decides(rows: int, name: str) -> None:
    panel = Panel.from_frame(made_frame(series=4, rows=rows, freq="1"))
    assert first_choice("auto", panel) == name == first_choice(read("model", "auto"), panel)


def test_gaps_do_not_count() -> None:
    frame = made_frame(series=4, rows=PLENTY // 4, freq="1")
    frame.loc[frame.index[:5], "y"] = float("nan")
    assert first_choice("auto", Panel.from_frame(frame)) == "gru"


def test_what_was_chosen_by_hand_stays() -> None:
    panel = Panel.from_frame(made_frame())
    for model in ("lstm", read("model", "lstm"), partial(Recurrent, cell="lstm")):
        assert first_choice(model, panel) is model


def test_a_fit_settles_the_choice_and_a_saved_forecaster_keeps_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choice, "PLENTY", 1)
    forecaster = Forecaster("auto", horizon=3, training=Training(steps=2, batch_size=4), progress=False)
    with caplog.at_level(logging.INFO, "forecast"):
        forecaster.fit(made_frame())
    assert "model=auto takes segrnn" in caplog.text and forecaster.model == "auto" and forecaster.chosen_ == "segrnn"
    forecaster.save(tmp_path / "model")
    monkeypatch.setattr(choice, "PLENTY", 10**9)  # whatever a later version would choose
    loaded = Forecaster.load(tmp_path / "model")
    assert isinstance(loaded.model_.network, SegRNN)
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    forecaster.fit(made_frame(seed=1), warm_start=True)
    assert forecaster.chosen_ == "segrnn"


def test_the_command_line_takes_it(tmp_path: Path) -> None:
    words = [word for word in TINY if not word.startswith("model.")]
    assert forecast("train", "model=auto", *words, f"hydra.run.dir={tmp_path / 'run'}") == 0
    saved = yaml.safe_load((tmp_path / "run" / "model" / "forecaster.yaml").read_text(encoding="utf-8"))
    assert saved["parameters"]["model"] == read("model", "gru")


def test_a_run_saves_and_shows_the_network_that_it_scored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choice, "PLENTY", 400)  # of 408 steps, 72 of which are held back for the score
    words = [word for word in TINY if not word.startswith("model.")]
    assert forecast("train", "model=auto", "data=sales", *words, f"hydra.run.dir={tmp_path / 'run'}") == 0
    saved = yaml.safe_load((tmp_path / "run" / "model" / "forecaster.yaml").read_text(encoding="utf-8"))
    assert saved["parameters"]["model"] == read("model", "gru")
    assert "; gru (model=auto), horizon" in capsys.readouterr().out
    scores = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert "gru" in scores["model"].tolist() and "auto" not in scores["model"].tolist()
    assert json.loads((tmp_path / "run" / "card.json").read_text(encoding="utf-8"))["model"] == "gru (model=auto)"


def test_every_fold_of_a_backtest_has_the_network_of_the_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(choice, "PLENTY", 370)  # of 408 steps, 48 and then 24 of which come after a fold begins
    words = [word for word in TINY if not word.startswith(("model.", "test."))]
    plan = ["backtest.folds=2", "backtest.refit=true", f"hydra.run.dir={tmp_path / 'run'}"]
    assert forecast("backtest", "model=auto", "data=sales", *words, *plan) == 0
    told = (tmp_path / "run" / "log.txt").read_text(encoding="utf-8")
    assert "model=auto takes gru" in told and "model=auto takes segrnn" not in told
    assert "gru" in pd.read_csv(tmp_path / "run" / "metrics.csv")["model"].tolist()


def test_it_takes_no_settings_of_a_network() -> None:
    with pytest.raises(ConfigError, match="model=auto chooses a network with its settings, got hidden_size"):
        first_choice({**read("model", "auto"), "hidden_size": 4}, Panel.from_frame(made_frame()))
