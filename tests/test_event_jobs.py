"""Jobs leave probabilities of events, their scores and their figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from command import TINY, files_in, forecast, streams_in
from eventful import event_forecaster, event_forecasts
from frames import made_frame

from forecast import Columns, backtest
from forecast.report import figures


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which a training, a forecast from it and a backtest ran, and what they wrote on the terminal."""
    folder = tmp_path_factory.mktemp("events")
    made_frame(rows=90).assign(y=lambda table: table.y.cumsum() % 7).to_csv(folder / "my.csv", index=False)
    words = (*TINY, "data.path=my.csv", "horizon=3", "loss=direction")
    with streams_in(folder) as (out, _):
        assert forecast("train", *words, "hydra.run.dir=run") == 0
        assert forecast("predict", "run=run", "data.path=my.csv", "accelerator=cpu", "hydra.run.dir=new") == 0
        assert forecast("backtest", *words, "backtest.folds=12", "hydra.run.dir=folds") == 0
    return folder, out.getvalue()


def test_jobs_leave_probabilities_scores_and_figures(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    scores = {f"metrics{what}.csv" for what in ("", "_by_fold", "_by_step", "_by_series", "_intervals")}
    drawn = {f"figures/{what}.png" for what in ("forecast", "error_by_step", "calibration", "training")}
    assert scores | drawn | {"report.html", "forecast.csv"} <= files_in(folder / "run")
    assert scores | {"figures/folds.png", "figures/calibration.png"} <= files_in(folder / "folds")
    for run in ("run", "new"):
        predicted = pd.read_csv(folder / run / "forecast.csv")
        assert list(predicted) == ["unique_id", "ds", "forecast"] and predicted.forecast.between(0, 1).all()
    table = pd.read_csv(folder / "folds" / "metrics.csv")
    assert list(table["model"]) == ["gru", "base_rate", "persistence"]
    assert pd.read_csv(folder / "folds" / "metrics_intervals.csv").notna().all(axis=None)


def test_a_person_reads_scores_intervals_and_a_verdict(ran: tuple[Path, str]) -> None:
    folder, out = ran
    assert "probability that a target is above its last value" in out
    assert "gru, with 95 % intervals" in out and "Too few windows for an interval" in out
    assert "than a coin: right on" in " ".join(out.split())
    report = (folder / "folds" / "report.html").read_text(encoding="utf-8")
    assert "What may be chance" in report and "Probabilities beside shares of events" in report


@pytest.mark.slow
def test_a_sweep_tells_the_brier_score(tmp_path: Path) -> None:
    made_frame().to_csv(tmp_path / "my.csv", index=False)
    with streams_in(tmp_path) as (out, _):
        words = ("data.path=my.csv", "horizon=3", "loss=direction", "test.windows=1", "final=false")
        assert forecast("train", "-m", *TINY, *words, "seed=0,1", "hydra.sweep.dir=sweep") == 0
    assert "2 runs, Brier score on held-back data" in out.getvalue() and "best simple method" in out.getvalue()


def test_the_wrong_baselines_are_refused_before_training(tmp_path: Path) -> None:
    made_frame().to_csv(tmp_path / "my.csv", index=False)
    words = (*TINY, "data.path=my.csv", "horizon=3", "hydra.run.dir=run")
    with streams_in(tmp_path) as (_, err):
        assert forecast("train", *words, "loss=direction", "test.baselines=[naive]") == 2
        assert forecast("train", *words, "loss=event") == 2
    assert "'naive' does not forecast probabilities" in err.getvalue()
    assert "loss=event takes 0 and 1" in err.getvalue()


@pytest.mark.parametrize("targets", [("y",), ("y", "wind")])
def test_the_figure_has_values_above_and_probabilities_below(targets: tuple[str, ...]) -> None:
    frame = made_frame(series=3).assign(wind=lambda table: table.y + 3)
    columns = Columns(target=targets[0] if len(targets) == 1 else targets, unit="m")
    fitted = event_forecaster("direction", columns=columns).fit(frame)
    scored, future = backtest(fitted, frame, folds=3, name="net").forecasts, fitted.predict()
    figure = figures.event_figure(frame, scored, future, columns=columns, model="net", event="is up", context=8)
    count = 3 if len(targets) == 1 else 4
    assert len(figure.axes) == 2 * count
    for above, below in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        assert above.get_xlim() == below.get_xlim() and below.get_ylabel() == "probability"
        lines = {line.get_label(): line for line in below.get_lines()}
        assert {"net", "base_rate", "cutoff"} <= lines.keys() and {"it came", "it did not"} & lines.keys()
    scenarios = pd.concat([future.assign(scenario=one) for one in ("up", "down")])
    drawn = figures.event_figure(frame, None, scenarios, columns=columns, model="net", event="is up", context=8)
    assert {"up", "down"} <= {line.get_label() for line in drawn.axes[1].get_lines()}


def test_the_calibration_plot_has_equal_axes_and_every_model() -> None:
    figure = figures.calibration_figure(event_forecasts(), event="is 1")
    axis, beside = figure.axes
    assert axis.get_xlim() == axis.get_ylim() and axis.get_box_aspect() == 1
    assert {line.get_label() for line in axis.get_lines()} == {"as it should be", "net", "base_rate"}
    assert axis.get_xlabel() == "probability that a target is 1" and beside.get_ylabel() == "number of steps"
