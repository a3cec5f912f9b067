"""Tuning: settings are judged on windows before the test, never on it; what is found trains to the same score."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from command import forecast
from frames import made_frame
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from forecast import Columns, Forecaster, Training, backtest, tune
from forecast.config import conf_folder, networks
from forecast.errors import ArtifactError, ConfigError, TrainingError, WriteError
from forecast.report.tuning import settings_figure, trials_figure
from forecast.schema import register
from forecast.tuning import words
from forecast.tuning.budget import seconds_of
from forecast.tuning.changes import changed, default, fitting
from forecast.tuning.objective import Judged, Objective
from forecast.tuning.space import Choice, Range, read_space, space_of, without

RATES = {"low": 0.001, "high": 0.1, "log": True}
SPACE: dict[str, Any] = {"training": {"learning_rate": RATES}, "scaling": ["last", "none"]}
MODELS = [pytest.param(name, marks=() if name == "gru" else pytest.mark.slow) for name in networks()]
WORDS = (
    "tune", "data.path=my.csv", "horizon=4", "accelerator=cpu", "training.steps=3", "model.hidden_size=4", "trials=3",
    "test.baselines=[naive,seasonal_naive]", "~space.model", "space.context_length=[8,12]", "test.windows=2",
    "validation=2",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made_frame().to_csv("my.csv", index=False)


def small(**training: Any) -> Forecaster:
    """Return a forecaster that trains in a moment."""
    model = {"_target_": "forecast.networks.recurrent.Recurrent", "cell": "gru", "hidden_size": 4}
    given = Training(**{"steps": 4, "batch_size": 8, **training})
    return Forecaster(model, horizon=4, context_length=8, training=given, accelerator="cpu", progress=False)


@pytest.mark.parametrize("model", MODELS)
def test_every_value_that_a_model_is_searched_over_is_one_that_it_takes(model: str) -> None:
    panel = small().as_panel(made_frame(series=1, rows=60), freq=None)
    forecaster = Forecaster(model, horizon=4, accelerator="cpu")
    space = space_of(read_space(model))
    found = fitting(space, forecaster, panel)
    assert found.keys() == space.keys() and {"context_length", "training.learning_rate"} <= space.keys()
    for key, domain in found.items():
        wanted = space[key]
        assert not isinstance(wanted, Choice | Range) or domain == wanted, key
        assert domain.drawn(default(forecaster, key, panel)) is not None, f"the default of {key} is not searched"


@pytest.mark.parametrize("model", MODELS)
def test_the_command_line_searches_what_python_does(model: str) -> None:
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        assert OmegaConf.to_container(compose("tune", [f"model={model}"]).space) == read_space(model)
    GlobalHydra.instance().clear()


def test_the_first_trial_is_that_of_default_settings_and_the_error_is_that_of_a_backtest() -> None:
    frame = made_frame()
    found = tune(small(), frame, space=SPACE, trials=1, validation=2)
    expected = backtest(small(), frame, folds=2, baselines=()).scores["mase"].iloc[0]
    assert found.default_error == found.error == expected and found.best == {}
    first = found.trials.iloc[0]
    assert (first["state"], first["training.learning_rate"], first["scaling"]) == ("done", 0.01, "last")


def test_the_best_settings_give_the_lowest_error_again() -> None:
    frame = made_frame()
    found = tune(small(learning_rate=0.0001), frame, space=SPACE, trials=4, validation=2, prune=False)
    assert found.error == found.trials["error"].min() < found.default_error
    again = backtest(found.forecaster, frame, folds=2, baselines=()).scores["mase"].iloc[0]
    assert again == found.error
    row = found.trials.set_index("error").loc[found.error]
    assert found.best == {"training.learning_rate": row["training.learning_rate"], "scaling": row["scaling"]}


@pytest.mark.slow
def test_a_search_that_goes_on_from_its_file_ends_like_one_in_a_single_go(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = made_frame()
    whole = tune(small(), frame, space=SPACE, trials=5, validation=1)
    assert tune(small(), frame, space=SPACE, trials=2, validation=1, storage="study.sqlite").trials.shape[0] == 2
    with monkeypatch.context() as patch:
        patch.setattr(Objective, "judge", _interrupted())
        stopped = tune(small(), frame, space=SPACE, trials=5, validation=1, storage="study.sqlite")
    assert stopped.is_stopped and len(stopped.trials) == 3
    resumed = tune(small(), frame, space=SPACE, trials=5, validation=1, storage="study.sqlite")
    pd.testing.assert_frame_equal(*(one.trials.drop(columns="seconds") for one in (whole, resumed)))


def test_a_study_of_other_data_is_refused() -> None:
    tune(small(), made_frame(), space=SPACE, trials=1, validation=1, storage="study.sqlite")
    with pytest.raises(ConfigError, match="other data or other settings"):
        tune(small(), made_frame(seed=1), space=SPACE, trials=1, validation=1, storage="study.sqlite")


def test_a_trial_that_fails_is_told_and_the_search_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, calls = Objective.judge, []

    def failing(self: Objective, *args: Any) -> Any:
        calls.append(self)
        if len(calls) == 2:
            raise TrainingError("the loss is not finite")
        return judge(self, *args)

    monkeypatch.setattr(Objective, "judge", failing)
    trials = tune(small(), made_frame(), space=SPACE, trials=3, validation=1).trials
    assert list(trials["state"]) == ["done", "failed", "done"]
    assert trials["reason"].iloc[1] == "TrainingError: the loss is not finite" and np.isnan(trials["error"].iloc[1])


def test_a_file_that_is_no_study_is_named() -> None:
    Path("study.sqlite").write_text("no study, and long enough to be taken for one " * 99, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"'study.sqlite' cannot be used as a study \(.*not a database"):
        tune(small(), made_frame(), space=SPACE, trials=1, validation=1, storage="study.sqlite")


@pytest.mark.slow
def test_trials_that_lag_behind_are_given_up_on_their_way() -> None:
    space = {"training": {"learning_rate": [0.01, 1e-9, 2e-9, 3e-9]}}
    trials = tune(small(steps=8), made_frame(), space=space, trials=10, validation=1).trials
    given_up = trials[trials["state"] == "pruned"]
    assert len(given_up) and (given_up["training.learning_rate"] < 0.01).all()
    assert given_up["error"].isna().all() and (given_up["midway"] > 0).all()
    assert trials.loc[trials["state"] == "done", "midway"].isna().all()


def test_looking_at_a_training_on_its_way_does_not_change_it() -> None:
    objective = Objective(small().as_panel(made_frame(), freq=None), metric="mae", horizon=4, windows=1)
    looked: dict[int, float] = {}
    assert objective.judge(small(), looked.__setitem__) == objective.judge(small(), None)
    assert list(looked) == [50, 75] and all(error > 0 for error in looked.values())


def test_the_budget_ends_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(tune(small(), made_frame(), space=SPACE, budget="0.01s", validation=1).trials) == 1


@pytest.mark.parametrize(
    ("budget", "seconds"), [("90s", 90), ("20min", 1200), ("1h30min", 5400), ("1.5h", 5400), (7, 7), (None, None)]
)
def test_a_budget_is_a_time_with_a_unit(budget: Any, seconds: float | None) -> None:
    assert seconds_of(budget) == seconds


@pytest.mark.parametrize("budget", ["20", "min", "20 minutes", "-5s", "0s", 0, -1, float("nan")])
def test_other_budgets_are_refused(budget: Any) -> None:
    with pytest.raises(ConfigError, match="budget is a time such as 90s"):
        seconds_of(budget)


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"training": {"steps": 5}}, "space.training.steps is 5"),
        ({"training": {"steps": []}}, "Write a list of choices"),
        ({"training": {"steps": {"low": 5, "high": 2}}}, "low lies above high"),
        ({"training": {"steps": {"low": 0, "high": 2, "log": True}}}, "a low above 0"),
        ({"training": {"steps": {"low": 1, "high": 2.5, "type": "int"}}}, "type int needs whole numbers"),
        ({"horizon": [1, 2]}, "there is no setting to search 'horizon'"),
        ({"scaling": None}, "nothing is searched"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(space: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        space_of(space)


@pytest.mark.parametrize("name", ["trials", "validation"])
@pytest.mark.parametrize("count", [0, 1.5, True, "3"])
def test_a_count_that_is_none_is_refused(name: str, count: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} is a whole number of 1 or more, got {count!r}"):
        tune(small(), made_frame(), space=SPACE, **{name: count})


def test_a_metric_that_targets_in_other_units_have_not_names_those_that_they_have() -> None:
    frame = made_frame().assign(z=lambda table: 1000 * table["y"])
    forecaster = small().set_params(columns=Columns(target=("y", "z"), unit=("kg", "g")))
    with pytest.raises(ConfigError, match="metric=mae has no value on the validation windows. Choose another: mase, s"):
        tune(forecaster, frame, space=SPACE, trials=1, validation=1, metric="mae")


def test_settings_that_the_model_has_not_are_refused_before_any_trial() -> None:
    with pytest.raises(ConfigError, match=r"space.model.hiden_size: .*hidden_size"):
        tune(small(), made_frame(), space={"model": {"hiden_size": [4]}})


def test_choices_that_the_values_refuse_are_left_out() -> None:
    frame = made_frame().assign(y=lambda table: table["y"] - 15)
    panel = small().as_panel(frame, freq=None)
    assert fitting(space_of({"scaling": ["last", "log"]}), small(), panel)["scaling"] == Choice(("last",))


def test_a_setting_that_is_given_is_not_searched() -> None:
    given = {"scaling": ["last"], "training": {"steps": [1, 2], "batch_size": [8]}}
    assert without(given, ["model", "training.steps", "scaling.cycle"]) == {"training.batch_size": [8]}


def test_a_change_reaches_its_setting_and_leaves_the_forecaster_alone() -> None:
    before = small()
    values = {
        "model.hidden_size": 6,
        "optimizer.weight_decay": 0.1,
        "training.steps": 9,
        "scaling": "log",
        "context_length": 5,
    }
    after = changed(before, values)
    assert (after.model["hidden_size"], after.training.optimizer["weight_decay"]) == (6, 0.1)
    assert (after.training.steps, after.scaling, after.context_length) == (9, "log", 5)
    assert (before.model["hidden_size"], before.training.steps, before.scaling) == (4, 4, None)


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'recurrent-forecast\[tune\]'"):
        tune(small(), made_frame())


@pytest.mark.slow
def test_what_settings_explain_is_told_of_twenty_trials_or_more() -> None:
    fast = {"training": {"learning_rate": RATES}}
    few, enough = (
        tune(small(steps=1), made_frame(), space=fast, trials=n, validation=1, prune=False) for n in (19, 20)
    )
    assert few.importance.empty and list(enough.importance["setting"]) == ["training.learning_rate"]
    assert words.importance_words(few) == "left out: shares of the variance take 20 finished trials, and there are 19"
    assert words.importance_words(enough) == "shares of the variance over 20 finished trials (fANOVA)"
    axis = settings_figure(enough.importance, label="MASE", trials=enough.finished).axes[0]
    assert "over 20 trials" in axis.get_xlabel()


def test_trials_that_were_given_up_are_drawn_apart() -> None:
    nan = np.nan
    trials = pd.DataFrame({"trial": [1, 2, 3, 4], "error": [1.0, nan, nan, 0.8], "midway": [nan, 1.2, nan, nan]})
    lines = {line.get_label(): line for line in trials_figure(trials, label="MASE").axes[0].lines}
    assert list(lines["a trial"].get_xdata()) == [1, 4] and list(lines["failed"].get_xdata()) == [3]
    given_up = lines["given up"]
    assert (list(given_up.get_xdata()), list(given_up.get_ydata())) == ([2], [1.2])
    assert given_up.get_markerfacecolor() == "none" != lines["a trial"].get_markerfacecolor()


def test_the_words_say_whether_tuning_has_helped_on_the_test() -> None:
    scored = backtest(small(), made_frame(), folds=1, baselines=["naive"], name="gru")
    for times, told in ((2.0, "has helped: on the held-back windows the error is 50% lower"), (1.0, "has not helped"),
                        (0.5, "has not helped: on the held-back windows the error is 100% higher")):  # fmt: skip
        usual = scored.scores.head(1).assign(model="usual", mase=lambda table, times=times: table["mase"] * times)
        both = replace(scored, scores=pd.concat([scored.scores, usual]))
        sentence = words.test_words(both, name="gru", default="usual")
        assert sentence.startswith(f"Tuning {told}") and "naive" in sentence


def test_what_is_found_trains_to_the_same_score(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*WORDS, "hydra.run.dir=run") == 0
    out = capsys.readouterr().out
    command = next(line for line in out.splitlines() if line.startswith("to train with")).split("forecast ")[1]
    tuned = pd.read_csv("run/metrics.csv").set_index("model")
    trials = pd.read_csv("run/trials.csv")
    assert out.splitlines()[-1].startswith("to train with these settings: forecast train ")
    told = "left out: shares of the variance take 20 finished trials, and there are 3"
    assert f"explains: {told}" in " ".join(out.split()) and told in Path("run/report.html").read_text("utf-8")
    assert not Path("run/figures/settings.png").exists()
    assert len(trials) == 3 and not any(name.startswith("model.") for name in trials)
    assert {"figures/trials.png", "report.html", "study.sqlite"} <= {
        path.relative_to("run").as_posix() for path in Path("run").rglob("*")
    }
    assert forecast(*command.split(), "accelerator=cpu", "progress=false", "final=false", "hydra.run.dir=trained") == 0
    pd.testing.assert_frame_equal(pd.read_csv("trained/metrics.csv").set_index("model"), tuned)
    where = next(word for word in command.split() if word.startswith("--config-dir="))
    assert forecast("train", "resume=trained", where) == 0
    best = yaml.safe_load(Path("run/experiment/best.yaml").read_text(encoding="utf-8"))
    assert best["training"]["steps"] == 3 and {"override /model": "gru"} in best["defaults"]


def test_the_test_windows_change_nothing_in_the_search() -> None:
    frame = made_frame()
    poisoned = frame.assign(y=frame["y"].where(frame.groupby("unique_id").cumcount() < 52, 1e6))
    for name, table in (("clean", frame), ("poisoned", poisoned)):
        table.to_csv("my.csv", index=False)
        assert forecast(*WORDS, f"hydra.run.dir={name}") == 0
    clean, other = (pd.read_csv(f"{name}/trials.csv").drop(columns="seconds") for name in ("clean", "poisoned"))
    pd.testing.assert_frame_equal(clean, other)
    scores = [pd.read_csv(f"{name}/metrics.csv")["mae"].iloc[0] for name in ("clean", "poisoned")]
    assert scores[1] > 1000 * scores[0]


@pytest.mark.slow
def test_a_finished_search_goes_on_for_more_trials() -> None:
    assert forecast(*WORDS, "hydra.run.dir=run") == 0
    first = pd.read_csv("run/trials.csv")
    assert forecast("tune", "resume=run", "trials=4") == 0
    pd.testing.assert_frame_equal(pd.read_csv("run/trials.csv").head(3), first)


def test_an_interrupt_keeps_what_is_found(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Objective, "judge", _interrupted())
    assert forecast(*WORDS, "hydra.run.dir=run") == 130
    assert len(pd.read_csv("run/trials.csv")) == 1 and Path("run/experiment/best.yaml").is_file()
    assert "forecast tune resume=run" in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("model=auto",), "Name the one to tune"),
        (("ensemble.seeds=2",), "settings of one network"),
        (("calibration.windows=5",), "settings of one network"),
        (("budget=20",), "budget is a time such as 90s"),
        (("metric=rmsee",), "there is no metric to tune by 'rmsee'. Choose one of: rmse"),
        (("space.model.hiden_size=[4]",), "there is no setting 'space.model.hiden_size'"),
        (("validation=40",), "folds"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(
    words: tuple[str, ...], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert forecast("tune", "data.path=my.csv", "horizon=4", "accelerator=cpu", "hydra.run.dir=run", *words) == 2
    assert told in capfd.readouterr().err and not Path("run").exists()


def _interrupted() -> Callable[..., Any]:
    """Return what judges a trial, and is interrupted in the second."""
    judge, calls = Objective.judge, []

    def interrupted(self: Objective, *args: Any) -> Any:
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return judge(self, *args)

    return interrupted


@pytest.mark.filterwarnings("ignore:The distribution is specified by")  # optuna's, of a high end off the steps
@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (Range(10, 70, step=20, is_whole=True), [10, 30, 70], [64, 20, 90]),
        (Range(0.0005, 0.1, step=0.001), [0.0005, 0.0105], [0.001, 0.1]),
        (Range(8, 64, log=True, is_whole=True), [8, 33], [65]),
    ],
)
def test_a_default_counts_as_drawn_only_where_it_can_be(domain: Range, inside: list, outside: list) -> None:
    assert [domain.drawn(value) for value in inside] == inside
    assert [domain.drawn(value) for value in outside] == [None] * len(outside)
    for value in inside:
        assert domain.distribution()._contains(domain.distribution().to_internal_repr(value))


def test_a_default_between_two_steps_is_judged_all_the_same() -> None:
    space = {"model": {"hidden_size": {"low": 3, "high": 9, "step": 3}}}
    found = tune(small(), made_frame(), space=space, trials=2, validation=1)
    assert found.trials["state"].tolist() == ["done", "done"] and found.trials["model.hidden_size"].iloc[0] == 4


def test_a_default_error_of_zero_is_an_error_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Objective, "judge", lambda self, *args: Judged(0.0, 8))
    assert tune(small(), made_frame(), space=SPACE, trials=1, validation=1).default_error == 0.0


def test_choices_that_python_holds_for_the_same_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"space.model.bypass has a value twice, as 1 and true are: \[1, True\]"):
        space_of({"model": {"bypass": [1, True]}})


def test_a_study_that_another_call_works_on_is_refused_and_left_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, told = Objective.judge, []

    def meanwhile(self: Objective, *args: Any) -> Any:
        if not told:
            with pytest.raises(WriteError) as error:
                tune(small(), made_frame(), space=SPACE, trials=1, validation=1, storage="study.sqlite")
            told.append(str(error.value))
        return judge(self, *args)

    monkeypatch.setattr(Objective, "judge", meanwhile)
    found = tune(small(), made_frame(), space=SPACE, trials=2, validation=1, storage="study.sqlite")
    assert "another process works on the study in 'study.sqlite'" in told[0]
    assert found.trials["state"].tolist() == ["done", "done"] and not Path("study.sqlite.lock").exists()
