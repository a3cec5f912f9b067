"""The protocols of the accuracy benchmarks: what is seen, what is scored, and that published figures come out."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import made_frame
from hydra.core.global_hydra import GlobalHydra

from forecast import Forecaster, Panel, Training
from forecast.ensemble import Ensemble
from forecast.errors import ConfigError

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # scripts, not a package
experiments, m4, long_horizon, public, intervals, spread, counts = map(
    importlib.import_module, ("experiments", "m4", "long_horizon", "public", "intervals", "spread", "counts")
)

LENGTHS = m4.Lengths(horizon=4, season=7)
SMALL = {"train": 60, "span": 20}


def made_wide(rows: int, channels: int = 7) -> pd.DataFrame:
    """Return an hourly table of one series with further columns, as ETTh1 is laid."""
    values = np.random.default_rng(0).normal(size=(rows, channels)).cumsum(axis=0)
    names = ["y", *(f"c{number}" for number in range(1, channels))]
    stamps = pd.date_range("2020-01-01", periods=rows, freq="h")
    return pd.DataFrame(values, columns=names).assign(unique_id="made", ds=stamps)


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    yield
    GlobalHydra.instance().clear()


@pytest.fixture
def datasets() -> Path:
    if not os.environ.get("FORECAST_DATASETS"):
        pytest.skip("FORECAST_DATASETS does not name a folder with the public series")
    return Path(os.environ["FORECAST_DATASETS"])


@pytest.fixture
def weekly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the training file of a small M4 Weekly, and no test file."""
    made_frame(series=3, rows=60, freq="1").to_parquet(tmp_path / "m4_weekly_train.parquet")
    monkeypatch.setenv("FORECAST_DATASETS", str(tmp_path))


@pytest.mark.parametrize(
    ("part", "name", "published"),
    [
        ("weekly", "naive2", (9.161, 2.777, 1)),
        ("hourly", "naive2", (18.383, 2.395, 1)),
        ("hourly", "seasonal_naive", (13.912, 1.193, 0.6275)),  # 0.627503: tables round it either way
    ],
)
def test_simple_methods_have_the_published_scores_on_m4(
    datasets: Path, part: str, name: str, published: tuple[float, float, float]
) -> None:
    """M4 competition workbook, "Evaluation and Ranks"."""
    data = m4.protocol(part, validation=False)
    assert data.scores(data.simple(name)) == pytest.approx(published, abs=5e-4)


def test_repeat_last_has_the_published_error_on_etth1(datasets: Path) -> None:
    """1.294 / .713 in the tables of long-horizon papers for the last value repeated over 96 steps."""
    data = long_horizon.protocol(pd.read_parquet(datasets / "etth1.parquet"), validation=False)
    assert long_horizon.simple(data, "naive", horizon=96) == pytest.approx((1.294, 0.713), abs=5e-4)


def test_m4_scores_are_means_over_series_of_a_plain_loop() -> None:
    data = m4.held_back(made_frame(series=3, rows=60, freq="1", seed=1), LENGTHS)
    points = data.truth + np.arange(12).reshape(3, 4) / 10
    smape, mase = [], []
    for history, truth, point in zip(data.histories, data.truth, points, strict=True):
        smape.append(np.mean(200 * np.abs(truth - point) / (np.abs(truth) + np.abs(point))))
        mase.append(np.mean(np.abs(truth - point)) / np.mean(np.abs(history[7:] - history[:-7])))
    yardstick = data.scores(data.simple("naive2"))
    found = data.scores(points)
    assert yardstick.owa == 1
    assert found == pytest.approx(
        (np.mean(smape), np.mean(mase), (np.mean(smape) / yardstick.smape + np.mean(mase) / yardstick.mase) / 2)
    )


def test_the_last_horizon_of_each_m4_series_is_held_back_and_not_known() -> None:
    frame = made_frame(series=3, rows=60, freq="1")
    shuffled = m4.held_back(frame.sample(frac=1, random_state=0), LENGTHS)
    assert list(shuffled.panel.ends) == [56] * 3
    assert np.array_equal(shuffled.truth, frame["y"].to_numpy().reshape(3, 60)[:, 56:])
    poisoned = frame.assign(y=frame["y"].where(frame["ds"] < 56, 1e9))
    assert m4.held_back(poisoned, LENGTHS).known.equals(m4.held_back(frame, LENGTHS).known)


def test_m4_prints_each_run_their_mean_and_their_median_and_opens_no_test_file_in_validation(
    weekly: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "weekly --experiment linear training.steps=2 --seeds 2 --ensemble"
    monkeypatch.setattr(sys, "argv", ["m4.py", *words.split(), "--validation"])
    m4.main()
    printed = capsys.readouterr().out.splitlines()
    rows = {line[: experiments.NAME].strip(): line[experiments.NAME :].split() for line in printed}
    simple = ["naive", "seasonal_naive", "naive2"]
    assert [*rows] == ["", *simple, *(f"linear, {what}" for what in ("run 1", "run 2", "mean", "median of 2"))]
    owa = [float(rows[f"linear, run {run}"][2]) for run in (1, 2)]
    assert owa[0] != owa[1]
    assert [float(cell) for cell in rows["linear, mean"][2:5]] == pytest.approx([np.mean(owa), *sorted(owa)], abs=1e-3)
    assert rows["linear, mean"][6] == "2"
    monkeypatch.setattr(sys, "argv", ["m4.py", *words.split()])
    with pytest.raises(FileNotFoundError, match="m4_weekly_test"):
        m4.main()


def test_every_window_of_a_channel_counts_and_contexts_reach_back() -> None:
    data = long_horizon.protocol(made_wide(14_500), validation=False, train=8640, span=2880)
    panel = Panel.from_frame(data.frame)
    for horizon in (96, 720):
        series, ends = data.origins(panel, horizon=horizon)
        assert np.bincount(series).tolist() == [2880 - horizon + 1] * 7
        assert (ends.min(), ends.max() + horizon) == (11_520, 14_400)  # the first origin is the last row of validation


def test_long_horizon_errors_are_those_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_horizon, "ORIGINS", 5)
    wide = made_wide(200, channels=2)
    data = long_horizon.protocol(wide, validation=True, **SMALL)
    errors = []
    for name in ("y", "c1"):
        values = wide[name].to_numpy()
        values = (values - values[:60].mean()) / values[:60].std()
        errors += [values[end : end + 6] - values[end - 1] for end in range(60, 80 - 6 + 1)]
    expected = np.mean(np.square(errors)), np.mean(np.abs(errors))
    assert long_horizon.simple(data, "naive", horizon=6) == pytest.approx(expected)


@pytest.mark.parametrize(("validation", "end"), [(True, 80), (False, 100)])
def test_no_row_after_the_border_changes_training_or_reaches_a_score(validation: bool, end: int) -> None:
    wide = made_wide(120)
    clean = long_horizon.protocol(wide, validation=validation, **SMALL)
    numbers = wide.columns.drop(["unique_id", "ds"])
    after_training, after_span = wide.copy(), wide.copy()
    after_training.loc[60:, numbers] = 1e9
    after_span.loc[end:, numbers] = 1e9
    assert long_horizon.protocol(after_training, validation=validation, **SMALL).known.equals(clean.known)
    assert long_horizon.protocol(after_span, validation=validation, **SMALL).frame.equals(clean.frame)
    assert clean.known.groupby("unique_id")["ds"].max().eq(wide["ds"][59]).all()


def test_a_long_horizon_experiment_is_scored_on_every_channel(capsys: pytest.CaptureFixture[str]) -> None:
    data = long_horizon.protocol(made_wide(120), validation=False, **SMALL)
    words = ["context_length=12", "training.steps=2"]
    long_horizon.score("linear", words, data, horizon=6, seeds=1)
    name, cells = (part.strip() for part in capsys.readouterr().out.split(", run 1"))
    mse, mae, _, steps, _ = map(float, cells.split())
    assert name == "6 linear" and steps == 2 and np.isfinite(mse) and mae > 0


def test_overrides_win_and_each_run_has_networks_of_its_own() -> None:
    words = ["training.steps=3", "seed=5", "ensemble.seeds=2", "scaling=window"]
    first, second = (experiments.learner("gru", words, run=run, horizon=4, seasonality=7).make() for run in (0, 1))
    assert isinstance(first, Ensemble)
    assert [member.seed for one in (first, second) for member in one.members] == [5, 6, 7, 8]
    member = first.members[0]
    assert (member.horizon, member.seasonality, member.training.steps, member.progress) == (4, 7, 3, False)
    assert member.scaling["_target_"] == "forecast.scaling.WindowScaler"
    other = experiments.learner("gru", ["data.seasonality=2"], run=0, horizon=4, seasonality=7).make()
    assert other.seasonality == 2


def test_an_experiment_of_a_wrong_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="demo"):
        experiments.learner("dem", [], run=0, horizon=4, seasonality=1)


def test_a_network_that_refuses_a_public_set_is_told_and_the_others_are_scored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(model: str, **options: Any) -> Forecaster:
        if model == "lstm":
            raise ConfigError("positive series only.")
        return Forecaster(model, training=Training(steps=2), **options)

    monkeypatch.setattr(public, "Forecaster", made)
    chosen = argparse.Namespace(models=["lstm", "linear"], seeds=2, autoets=False)
    table = public.table(public.Set(4, 7), made_frame(), chosen)
    assert capsys.readouterr().out == "lstm refuses: positive series only.\n"
    assert list(table.index) == ["linear", "naive", "ridge", "seasonal_naive"]
    assert table.notna()["seconds"].tolist() == [True, False, False, False]


def test_intervals_are_scored_as_the_tables_do_and_held_beside_a_bootstrap_over_series() -> None:
    frame = made_frame(series=40, rows=30)
    data = m4.held_back(frame, LENGTHS)
    quantiles = data.truth[..., None] + 2.0 * np.linspace(-1, 1, len(intervals.LEVELS))
    quantiles[:4] += 100.0  # four of forty series lie below all of it
    own = intervals.scores(data, data.truth, quantiles)
    assert own.held_80 == pytest.approx(0.9) and own.held_95 == pytest.approx(0.9) and own.mase == 0
    error = np.sqrt(0.9 * 0.1 / 40)  # of a share of forty
    assert own.off_80 == pytest.approx((0.9 - 0.8) / error, rel=0.1)
    assert own.off_95 == pytest.approx((0.9 - 0.95) / error, rel=0.1)
    few = intervals.scores(data, data.truth, quantiles[..., 1:-1], intervals.LEVELS[1:-1])
    assert np.isnan(few.msis) and few.wql_100 == own.wql_100


def test_coverage_varies_from_horizon_to_horizon_where_series_are_wild_together() -> None:
    draw, horizon = np.random.default_rng(0), 4
    lengths = m4.Lengths(horizon=horizon, season=1)
    wild = np.repeat(draw.choice([0.5, 1.5], 21), horizon)
    found = []
    for size in (np.ones_like(wild), wild):
        walks = np.cumsum(size * draw.standard_normal((300, len(size))), axis=1)
        number, step = np.indices(walks.shape)
        frame = pd.DataFrame({"unique_id": number.ravel(), "ds": step.ravel(), "y": walks.ravel()})
        data = m4.Protocol(known=frame, after=frame.iloc[:0], lengths=lengths)
        found.append(spread.spread(spread.coverages(data, horizons=12, windows=4, recent=None)))
    alone, together = found
    assert alone.held_80 == pytest.approx(0.8, abs=0.01) and alone.held_95 == pytest.approx(0.95, abs=0.01)
    assert alone.sd_80 < 2 * alone.se_80 and alone.sd_95 < 2 * alone.se_95
    assert together.sd_80 > 4 * together.se_80


def test_losses_are_compared_series_by_series() -> None:
    reference = np.random.default_rng(0).exponential(size=500)
    beside, low, high = counts._beside(1.1 * reference, reference)
    assert (beside, low, high) == pytest.approx((10, 10, 10))  # paired: the series that are drawn do not matter
    beside, low, high = counts._beside(np.random.default_rng(1).exponential(size=500), reference)
    assert low < beside < high and high - low > 10
