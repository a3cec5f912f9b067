"""Calibrated intervals hold what they say, from origins that nothing else has used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import TINY, forecast
from frames import made_frame

from forecast import Calibrated, Ensemble, Forecaster, Training, backtest, load
from forecast.calibration import Shifts, least_origins, refuse_few, reordered
from forecast.errors import ArtifactError, ConfigError, DataError
from forecast.losses import MAE

QUICK = Training(steps=3, batch_size=16)


@pytest.mark.parametrize(("level", "least"), [(0.5, 1), (0.1, 9), (0.9, 9), (0.025, 39), (0.975, 39), (0.005, 199)])
def test_the_least_number_of_origins_of_a_level(level: float, least: int) -> None:
    assert least_origins(level) == least
    refuse_few(least, [0.5, level])
    with pytest.raises(
        DataError, match=rf"level {level:g} takes {least} origins a horizon apart.* there are {least - 1}"
    ):
        refuse_few(least - 1, [0.5, level])


def test_shifts_are_order_statistics_of_the_scores() -> None:
    """Of 19 scores the 0.9 quantile is the 18th smallest, ceil(20 · 0.9); that of 0.1 the 2nd, floor(20 · 0.1)."""
    scores = np.random.default_rng(0).normal(size=(19, 2, 1))
    shifts = Shifts.fit(scores, np.zeros((19, 2, 1, 3)), levels=(0.1, 0.5, 0.9), bases=(0.1, 0.5, 0.9))
    for step in range(2):
        ordered = np.sort(scores[:, step, 0])
        np.testing.assert_allclose(shifts.values[step, 0], ordered[[1, 9, 17]])


def test_levels_that_too_few_scores_tell_of_are_left_out_and_unobserved_scores_do_not_count() -> None:
    truth = np.random.default_rng(0).normal(size=(30, 2, 1))
    truth[:15, 1] = np.nan  # 15 are left at step 2: enough for 0.1, not for 0.05
    shifts = Shifts.fit(truth, np.zeros((30, 2, 1, 3)), levels=(0.05, 0.1, 0.5), bases=(0.1, 0.1, 0.5))
    few = np.sort(truth[15:, 1, 0])
    assert shifts.levels == (0.05, 0.1, 0.5)  # 30 at step 1 are enough for both
    assert shifts.values[1, 0, 1] == few[0]  # floor(16 · 0.1) = 1
    assert shifts.values[1, 0, 0] == few[0]  # there is no score further out
    assert Shifts.fit(truth[15:], np.zeros((15, 2, 1, 1)), levels=(0.05,), bases=(0.1,)).levels == ()


@pytest.mark.parametrize("level", [0.1, 0.3, 0.9, 0.95])
def test_a_fresh_score_lies_below_the_calibrated_quantile_as_often_as_it_should(level: float) -> None:
    """Exchangeable scores: at least (above the middle) or at most (below it) the level, and hardly more."""
    rng, held = np.random.default_rng(1), 39
    hits = []
    for _ in range(4000):
        scores = rng.standard_exponential((held + 1, 1, 1))
        shifts = Shifts.fit(scores[:-1], np.zeros((held, 1, 1, 1)), levels=(level,), bases=(level,))
        hits.append(scores[-1, 0, 0] <= shifts.values[0, 0, 0])
    exact = np.ceil((held + 1) * level) if level >= 0.5 else np.floor((held + 1) * level)
    assert np.mean(hits) == pytest.approx(exact / (held + 1), abs=0.02)


def test_calibrated_quantiles_never_cross_and_levels_between_are_interpolated() -> None:
    shifts = Shifts((0.1, 0.5, 0.9), (0.1, 0.5, 0.9), np.array([[[3.0, 0.0, -3.0]]]))
    moved = shifts.moved(np.array([[[[-1.0, 0.0, 1.0]]]]), (0.1, 0.3, 0.5, 0.9))
    np.testing.assert_allclose(moved[0, 0, 0], [-2.0, -1.0, 0.0, 2.0])


def test_reordered_values_have_the_ranks_of_the_draws() -> None:
    like = np.random.default_rng(0).normal(size=(3, 4, 1, 50))
    values = np.sort(np.random.default_rng(1).normal(size=(3, 4, 1, 50)), axis=-1)
    got = reordered(values, like, seed=0)
    assert (got.argsort(axis=-1) == like.argsort(axis=-1)).all()
    np.testing.assert_array_equal(np.sort(got, axis=-1), values)
    ties = reordered(values, np.zeros_like(like), seed=0)[0, :, 0]
    assert abs(np.corrcoef(ties)[0, 1]) < 0.5 and np.array_equal(reordered(values, like, seed=0), got)


@pytest.mark.parametrize(
    "loss", ["quantile", *(pytest.param(loss, marks=pytest.mark.slow) for loss in ("mae", "gaussian"))]
)
def test_intervals_of_an_overfitted_network_hold_what_they_say(loss: str) -> None:
    """White noise: a network that has learned a small span by heart takes its own errors for small."""
    frame = _noise(series=20, rows=140)
    network = Forecaster(
        "gru", horizon=4, context_length=12, loss=loss, training=Training(steps=150, batch_size=64), progress=False
    )
    plain = _held(backtest(network, frame, folds=8, baselines=()))
    calibrated = _held(backtest(Calibrated(network, windows=8), frame, folds=8, baselines=()))
    assert abs(calibrated - 0.8) < 0.05
    assert abs(calibrated - 0.8) < abs(plain - 0.8) or abs(plain - 0.8) < 0.03


def test_levels_that_the_network_cannot_give_are_calibrated_from_the_nearest() -> None:
    frame = _noise(series=20, rows=160)
    calibrated = Calibrated(_network(), windows=10).fit(frame)
    predicted = calibrated.predict(levels=[0.025, 0.5, 0.975])
    assert not calibrated.predictor_.covers(0.975) and calibrated.covers(0.975)
    assert (predicted["q0.025"] < predicted["q0.5"]).all() and (predicted["q0.5"] < predicted["q0.975"]).all()
    with pytest.raises(ConfigError, match="level 0.999 lies outside the calibrated levels 0.005 to 0.995"):
        calibrated.predict(levels=[0.999])


def test_the_point_stays_and_the_forecaster_given_is_left_as_it_is() -> None:
    frame, network = made_frame(rows=120), _network()
    calibrated = Calibrated(network, windows=6).fit(frame)
    alone = _network().fit(frame)
    pd.testing.assert_series_equal(calibrated.predict()["forecast"], alone.predict()["forecast"])
    assert not hasattr(network, "panel_")


def test_without_refit_training_never_sees_what_is_held_back() -> None:
    frame = made_frame(rows=120)
    calibrated = Calibrated(_network(), windows=6, refit=False).fit(frame)
    known = frame.groupby("unique_id").head(120 - 6 * 3)
    alone = _network().fit(known)
    pd.testing.assert_series_equal(calibrated.predict()["forecast"], alone.predict(frame)["forecast"])


def test_what_comes_after_an_origin_changes_no_forecast_from_it() -> None:
    frame = made_frame(rows=120)
    poisoned = frame.copy()
    late = poisoned.groupby("unique_id").cumcount() >= 117  # the last fold's horizon
    poisoned.loc[late, "y"] = 1e6
    options = {"folds": 1, "baselines": ()}
    one, other = (
        backtest(Calibrated(_network(), windows=6), table, **options).forecasts for table in (frame, poisoned)
    )
    names = ["forecast", *one.filter(like="q0.")]
    pd.testing.assert_frame_equal(one[names], other[names])


@pytest.mark.parametrize("scaling", ["last", "box_cox", "smoothing"])
@pytest.mark.parametrize("kind", ["one target", "two targets", "ensemble"])
def test_saved_and_loaded_it_forecasts_bit_equal(kind: str, scaling: str, tmp_path: Path) -> None:
    frame, options = made_frame(rows=100), {"scaling": scaling}
    if kind == "two targets":
        frame["w"] = 3 * frame["y"] + 1
        options["columns"] = _columns(("y", "w"))
    predictor: Any = _network(**options)
    if kind == "ensemble":
        predictor = Ensemble([predictor, _network(seed=1, scaling=scaling)])
    calibrated = Calibrated(predictor, windows=6).fit(frame)
    loaded = load(calibrated.save(tmp_path / "model"))
    assert isinstance(loaded, Calibrated) and loaded.shifts_.levels == calibrated.shifts_.levels
    pd.testing.assert_frame_equal(loaded.predict(), calibrated.predict(), check_exact=True)
    pd.testing.assert_frame_equal(loaded.sample(paths=20), calibrated.sample(paths=20), check_exact=True)
    newer = made_frame(rows=100, seed=2).assign(w=lambda table: table["y"])
    pd.testing.assert_frame_equal(loaded.predict(newer), calibrated.predict(newer), check_exact=True)
    loaded.save(tmp_path / "model")


def test_paths_have_the_calibrated_quantiles_and_the_order_of_the_model() -> None:
    calibrated = Calibrated(_network(), windows=6).fit(made_frame(rows=120))
    paths, base = calibrated.sample(paths=400), calibrated.predictor_.sample(paths=400)
    levels = [0.2, 0.5, 0.8]
    found = paths.groupby(["unique_id", "ds"])["forecast"].quantile(levels).unstack().to_numpy()
    told = calibrated.predict(levels=levels)[["q0.2", "q0.5", "q0.8"]].to_numpy()
    np.testing.assert_allclose(found, told, atol=0.02 * np.ptp(told))
    keys = ["unique_id", "ds"]
    assert (paths.groupby(keys)["forecast"].rank() == base.groupby(keys)["forecast"].rank()).mean() > 0.99


def test_quantiles_of_counts_stay_whole() -> None:
    frame = made_frame(rows=120)
    frame["y"] = np.random.default_rng(0).poisson(2.0, len(frame)).astype(float)
    calibrated = Calibrated(_network(loss="poisson"), windows=6).fit(frame)
    quantiles = calibrated.predict().filter(like="q0.").to_numpy()
    assert (quantiles == np.round(quantiles)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"windows": 0}, "calibration.windows is a whole number of 1 or more, got 0"),
        ({"step": 0}, "calibration.step is a whole number of 1 or more, got 0"),
        ({"refit": "yes"}, "calibration.refit is true or false, got 'yes'"),
        ({"windows": 60}, "calibration.windows=60 holds back 60 horizons of 3 steps, which leaves nothing to train on"),
        ({"windows": 4}, "level 0.[19] takes 9 origins a horizon apart, over all series, and there are 8"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        Calibrated(_network(), **options).fit(made_frame(rows=120))


def test_probabilities_have_no_intervals_to_calibrate() -> None:
    with pytest.raises(ConfigError, match="probabilities of an event, which have no intervals to calibrate"):
        Calibrated(_network(loss="direction"), windows=6).fit(made_frame(rows=120))


def test_too_few_origins_are_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Forecaster, "fit", lambda *_, **__: pytest.fail("it was trained"))
    with pytest.raises(DataError, match="takes 9 origins"):
        Calibrated(_network(), windows=2).fit(made_frame(rows=120))


def test_a_calibration_that_does_not_fit_its_model_is_refused(tmp_path: Path) -> None:
    calibrated = Calibrated(_network(), windows=6).fit(made_frame(rows=120))
    calibrated.shifts_ = Shifts((0.1, 0.5), (0.1, 0.5), calibrated.shifts_.values)
    with pytest.raises(ArtifactError, match="does not fit its model"):
        load(calibrated.save(tmp_path / "model"))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = Calibrated(_network(), windows=6).fit(made_frame(rows=120)).save(tmp_path / "model")
    content = (folder / "shifts.safetensors").read_bytes()
    (folder / "shifts.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="shifts.safetensors.*damaged"):
        load(folder)


def test_a_warm_start_keeps_the_calibration() -> None:
    calibrated = Calibrated(_network(), windows=6).fit(made_frame(rows=120))
    before, point = calibrated.shifts_, calibrated.predict()["forecast"]
    calibrated.fit(made_frame(rows=120), warm_start=True)
    assert calibrated.shifts_ is before and not np.allclose(calibrated.predict()["forecast"], point)


def _network(**options: Any) -> Forecaster:
    return Forecaster("gru", horizon=3, context_length=12, training=QUICK, progress=False, **options)


def _columns(target: tuple[str, ...]) -> Any:
    from forecast import Columns

    return Columns(target=target)


def _noise(*, series: int, rows: int) -> pd.DataFrame:
    frame = made_frame(series=series, rows=rows)
    return frame.assign(y=np.random.default_rng(5).normal(10, 1, len(frame)))


def _held(scored: Any) -> float:
    return float(scored.scores["coverage"].iloc[0])


def test_the_job_calibrates_saves_and_forecasts_wider_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made_frame(rows=120).to_csv("table.csv", index=False)
    table = ("data.path=table.csv", "horizon=3")
    assert forecast("train", *TINY, *table, "test.windows=1", "calibration.windows=20", "hydra.run.dir=first") == 0
    card = json.loads(Path("first/card.json").read_text(encoding="utf-8"))
    assert card["calibration"].startswith("20 horizons held back, 116 origins, trained again")
    assert pd.read_csv("first/metrics.csv")["coverage_95"].notna().all()
    assert forecast("predict", "run=first", "levels=[0.025,0.975]", "hydra.run.dir=ahead") == 0
    predicted = pd.read_csv("ahead/forecast.csv")
    assert (predicted["q0.025"] < predicted["q0.975"]).all()
    warm = ("warm_start=first", "data.path=table.csv", "test.windows=0", "hydra.run.dir=second")
    assert forecast("train", *TINY[:3], *warm) == 0
    first, second = load("first/model"), load("second/model")
    assert isinstance(first, Calibrated) and isinstance(second, Calibrated)
    assert second.shifts_.levels == first.shifts_.levels
    folds = ("backtest.folds=2", "calibration.windows=9", "hydra.run.dir=folds")
    assert forecast("backtest", *TINY, *table, *folds) == 0
    assert forecast("train", *TINY, *table, "calibration.windows=-1") == 2


def test_a_calibrated_ensemble_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    """The folder of checkpoints is that of members, and of the second training apart from it."""
    members = [_network(seed=seed) for seed in (0, 1)]
    frame = made_frame(rows=120)
    whole = Calibrated(Ensemble(members), windows=6).fit(frame, folder=tmp_path / "fit")
    assert (tmp_path / "fit" / "everything" / "member-1").is_dir()
    again = Calibrated(Ensemble(members), windows=6).fit(frame, folder=tmp_path / "fit")
    pd.testing.assert_frame_equal(again.predict(), whole.predict(), check_exact=True)


def test_targets_without_an_observation_in_their_context_teach_nothing() -> None:
    """Of such nothing is forecast: what stands in for it would move the quantiles of all."""
    random = np.random.default_rng(0)
    frame = made_frame(series=3, rows=200)
    frame["z"] = 1000 + random.normal(size=len(frame))
    frame.loc[(frame.groupby("unique_id").cumcount() // 20) % 2 == 1, "z"] = np.nan
    calibrated = Calibrated(_network(columns=_columns(("y", "z"))), windows=20).fit(frame)
    assert np.abs(calibrated.shifts_.values).max() < 20


@pytest.mark.parametrize("refit", [True, False])
def test_a_calibrated_ensemble_of_several_contexts_goes_on_from_the_end_of_the_table(
    refit: bool, tmp_path: Path
) -> None:
    frame = made_frame(rows=150)
    members = [_network(seed=seed).set_params(context_length=length) for seed, length in enumerate((8, 32))]
    calibrated = Calibrated(Ensemble(members), windows=6, refit=refit).fit(frame)
    predicted = calibrated.predict()
    assert predicted["ds"].min() == frame["ds"].max() + pd.Timedelta(days=1)
    pd.testing.assert_frame_equal(calibrated.predict(frame), predicted)
    pd.testing.assert_frame_equal(load(calibrated.save(tmp_path / "model")).predict(), predicted)


@pytest.mark.parametrize("loss", ["poisson", "tweedie", "log_normal"])
def test_what_cannot_be_negative_is_not_moved_below_zero(loss: str) -> None:
    frame = made_frame(rows=120)
    frame["y"] = np.random.default_rng(0).poisson(0.4, len(frame)) + (1.0 if loss == "log_normal" else 0.0)
    calibrated = Calibrated(_network(loss=loss), windows=15).fit(frame)
    assert (calibrated.predict(levels=[0.05, 0.1, 0.5]).filter(like="q0.") >= 0).all(axis=None)
    assert (calibrated.sample(paths=50)["forecast"] >= 0).all()


def test_folds_whose_calibrations_cover_different_levels_are_scored_on_those_of_all() -> None:
    frame = made_frame(series=6, rows=150)
    late = frame["unique_id"].isin(["s3", "s4", "s5"]) & (frame.groupby("unique_id").cumcount() < 115)
    found = backtest(Calibrated(_network(), windows=7), frame[~late], folds=6, step=4, refit=True, baselines=("naive",))
    assert found.scores["coverage"].notna().all()


def test_a_warm_start_refuses_another_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made_frame(rows=60).to_csv("table.csv", index=False)
    assert forecast("train", *TINY, "data.path=table.csv", "horizon=3", "test.windows=1", "hydra.run.dir=first") == 0
    words = ("warm_start=first", "data.path=table.csv", "test.windows=0", "calibration.windows=5")
    assert forecast("train", *TINY[:3], *words) == 2


def test_a_loss_of_ones_own_is_loaded_where_it_is_allowed(tmp_path: Path) -> None:
    folder = Calibrated(_network(loss=OwnLoss), windows=6).fit(made_frame(rows=120)).save(tmp_path / "model")
    loaded = load(folder, allow=[OwnLoss])
    assert isinstance(loaded, Calibrated) and len(loaded.predict()) == 6


class OwnLoss(MAE):
    """A loss that a file may not name."""
