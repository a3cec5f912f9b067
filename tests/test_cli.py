"""The command line: words in, one message and exit code 2 where they make no sense."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from command import TINY, forecast
from frames import made_frame
from rich.console import Console

from forecast import cli, jobs, schema
from forecast.config import names
from forecast.errors import ConfigError
from forecast.jobs.console import tell
from forecast.jobs.settings import plain


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> dict:
    """The settings that the job train would have run with."""
    seen: dict = {}
    monkeypatch.setitem(jobs.JOBS, "train", lambda config: seen.update(plain(config), argv=list(sys.argv)))
    return seen


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "trian",
            "there is no job 'trian'. Choose one of: train, backtest, compare, data, diagnose, export, predict, tune.",
        ),
        ("train model=gruu", "there is no model 'gruu'. Choose one of: gru, bigru, "),
        ("train data=stcks", "there is no data 'stcks'. Choose one of: stocks, "),
        ("train data=[sales,stcks]", "there is no data 'stcks'. Choose one of: stocks, "),
        ("train loss=quantil", "there is no loss 'quantil'. Choose one of: quantile, "),
        ("train scaling=windw", "there is no scaling 'windw'. Choose one of: window, "),
        ("train optimizer=adm", "there is no optimizer 'adm'. Choose one of: adam, "),
        ("train accelerator=gpus", "there is no accelerator 'gpus'. Choose one of: gpu, "),
        ("train experiment=dem", "there is no experiment 'dem'. Choose one of: "),
        ("train modle=gru", "there is no setting 'modle'. Choose one of: model, "),
        ("train horizn=3", "there is no setting 'horizn'. Choose one of: horizon, "),
        ("train training.stepz=3", "there is no setting 'training.stepz'. Choose one of: training.steps, "),
        ("train model.hidden=3", "there is no setting 'model.hidden'. Choose one of: model.hidden_size, "),
        ("train model=segrnn model.residual=true", "there is no setting 'model.residual'. Choose one of: model.cell, "),
        ("train model=seq2seq model.forcing_till=1", "Choose one of: model.forcing_until, model.forcing, "),
        (
            "train experiment=m4_hourly model.residual=true",
            "there is no setting 'model.residual'. Choose one of: model.cell, ",
        ),
        ("train model=auto model.hidden_size=3", "model=auto has no settings, got 'model.hidden_size'. Leave it out"),
        ("train scaling=smoothing scaling.cycle=true", "scaling=smoothing has no settings, got 'scaling.cycle'."),
        ("train data.columns.targt=x", "Choose one of: data.columns.target, "),
        ("train data=[[a]]", "these words make no settings"),
        ("train horizon=soon", "horizon is of kind integer, got 'soon'."),
        ("train training.steps=2.5", "training.steps is of kind integer, got '2.5'."),
        ("train final=maybe", "final is of kind bool, got 'maybe'."),
        ("train gru", "'gru' cannot be read as NAME=VALUE"),
        ("train data.path=run=3/my.csv", "is quoted twice"),
        ("train horizon=0", "horizon is a whole number of 1 or more, got 0."),
        ("train horizon=-1", "horizon is a whole number of 1 or more, got -1."),
        ("train context_length=0", "context_length is a whole number of 1 or more, got 0."),
        ("train data=table", "horizon is not set"),
        ("train data=table horizon=3", "no data: give data.path=FILE"),
        ("train data.path=none.csv horizon=3", "there is no file 'none.csv'"),
        ("train data.path=empty.csv horizon=3", "has no rows"),
        ("train data.path=my.csv horizon=3", "there is no column 'y'. Choose one of: "),
        ("train data.path=my.csv data.columns.target=note horizon=3", "column 'note'"),
        ("train data.columns.gaps=none", "columns.gaps is mask, rows or error, got 'none'."),
        ("train data.freq=often", "freq 'often' is not a frequency"),
        ("train test.windows=-1", "test.windows is 0 or more, got -1."),
        ("train test.windows=200", "Lower test.windows or the horizon."),
        ("train test.split=random", "split is calendar or series_end, got 'random'."),
        ("train test.baselines=[naiv]", "there is no baseline 'naiv'. Choose one of: naive, "),
        ("train training.learning_rate=fast", "training.learning_rate is above 0, or 'find'; got 'fast'."),
        ("train training.batch_size=0", "training.batch_size is a whole number of 1 or more, got 0."),
        ("train training.optimizer=adm", "there is no optimizer 'adm'"),
        ("train model.cell=gruu", "got 'gruu'"),
        ("train model.layers=0", "Recurrent: layers is a whole number of 1 or more, got 0"),
        ("train model.hidden_size=abc", "Recurrent: "),
        ("train loss.levels=[0.1,high]", "a quantile level is a number, got 'high'."),
        ("train loss.levels=[0.1,0.1000001]", "share the column 'q0.1'"),
        ("train model._target_=os.system", "'os.system' is no model of forecast.networks"),
        ("train resume=none", "there is no run in 'none'"),
        ("train resume=none horizon=3", "'horizon=3' cannot be added"),
        ("train resume=half", "there is no run in 'half'"),
        ("train resume=back", "forecast backtest wrote 'back', not train. Write: forecast backtest resume=back"),
        ("train data.columns.target=[sales,ny]", "there is no column 'ny'"),
        ("train data.columns.target=[]", "columns.target names no column"),
        ("train data.columns.target=3", "columns.target is a name or a list of names, got 3"),
        ("train data.minimum=low", "minimum is a number, or one for each target, got 'low'."),
        ("train data.minimum=5", "below the minimum of 5"),
        ("train data.minimum={tmp:3}", "data.minimum: there is no column 'tmp'"),
        ("train data.unit={tmp:m}", "data.unit: there is no column 'tmp'"),
        ("train ensemble.weights=validation", "ensemble.weights weighs several networks, and there is one."),
        ("train data.unit=[a,b]", "unit has 2 entries for 1 targets"),
        ("train training.gradient_clip=null", "training.gradient_clip is null, and needs a value."),
        ("train data.columns.known=price,kind", "Write 'data.columns.known=[price,kind]' for a list, or add -m"),
        ("train data=weather data.unit=[a,b]", "data.unit holds names with values here, got a list."),
        ("train ensemble.members=[gru,lstn]", "there is no model 'lstn'. Choose one of: lst"),
        ("train ensemble.members=[gru,gru]", "ensemble.members names 'gru' twice"),
        ("train ensemble.members=[{gru:{layers:2}},{gru:{layers:2}}]", "ensemble.members names 'gru layers=2' twice"),
        ("train ensemble.members=[gru,{gru:{layers:1}}]", "ensemble.members names 'gru layers=1' twice"),
        ("train ensemble.members=[auto,gru]", "model=auto chooses one network, and is no member beside others"),
        ("train ensemble.members=[{gru:{_target_:x.y}}]", "changes settings of its model, not its _target_"),
        ("train ensemble.members=[{gru:2}]", "ensemble.members lists names of models, each alone or with changes"),
        ("train ensemble.members=[rnn] model=gru", "model=gru is not among ensemble.members=['rnn']"),
        ("train ensemble.members=gru", "ensemble.members is a list, got 'gru'. Write 'ensemble.members=[gru]'."),
        ("train ensemble.seeds=0", "ensemble.seeds is a whole number of 1 or more, got 0."),
        ("train ensemble.seeds=2 ensemble.combine=men", "there is no combination 'men'. Choose one of: mean, median."),
        ("train ensemble.seeds=2 ensemble.weights=[1]", "weights"),
        ("train training.freeze=recurrent", "training.freeze is a list of names, got 'recurrent'"),
        ("train training.freeze=[recurent]", "no part of the network to freeze 'recurent'. Choose one of: recurrent"),
        ("train warm_start=none", "there is no saved forecaster in 'none'"),
        ("backtest horizon=0", "horizon is a whole number of 1 or more, got 0."),
        ("backtest data=table", "horizon is not set"),
        ("backtest backtest.fold=3", "there is no setting 'backtest.fold'. Choose one of: backtest.folds, "),
        ("backtest backtest.folds=0", "folds is a whole number of 1 or more, got 0."),
        ("backtest backtest.folds=100", "lower folds, step or the horizon"),
        ("backtest backtest.step=0", "step is a whole number of 1 or more, got 0."),
        ("backtest backtest.refit=often", "refit is False, True, or every how many folds"),
        ("backtest backtest.split=random", "split is calendar or series_end, got 'random'."),
        ("backtest backtest.baselines=[naiv]", "there is no baseline 'naiv'. Choose one of: naive, "),
        (
            "backtest test.windows=3",
            "there is no setting 'test.windows'. Choose one of: calibration.windows, backtest.folds, ",
        ),
        ("backtest data.path=none.csv horizon=3", "there is no file 'none.csv'"),
        ("backtest resume=none", "there is no run in 'none'"),
        ("backtest resume=none backtest.folds=3", "'backtest.folds=3' cannot be added"),
        ("predict run=. data.path=my.csv data.future={a:b", "cannot be read as NAME=VALUE"),
        ("predict", "run is not set. Add run=VALUE."),
        ("predict run=none data.path=my.csv", "there is no saved forecaster in 'none'"),
        ("predict run=none", "there is no saved forecaster in 'none'"),
        ("predict run=.", "there is no saved forecaster in '.'"),
        ("predict run=. resume=.", "there is no setting 'resume'."),
        ("diagnose", "run is not set. Add run=VALUE."),
        ("diagnose run=none", "there is no saved forecaster in 'none'"),
        ("diagnose run=. contexts=24", "contexts is a list, got '24'. Write 'contexts=[24]'."),
        ("diagnose run=. contexts=[some]", "contexts"),
        ("diagnose run=. horizon=3", "there is no setting 'horizon'."),
    ],
)
def test_what_makes_no_sense_ends_in_one_message(
    line: str, told: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.csv").write_text("unique_id,ds,y\n", encoding="utf-8")
    made_frame().assign(note="warm").rename(columns={"y": "price"}).to_csv("my.csv", index=False)
    for run in ("half", "back"):
        (tmp_path / run / ".hydra").mkdir(parents=True)
        (tmp_path / run / ".hydra" / "overrides.yaml").write_text("[]", encoding="utf-8")
    (tmp_path / "back" / ".hydra" / "hydra.yaml").write_text("hydra: {job: {config_name: backtest}}", encoding="utf-8")
    assert forecast(*line.split()) == 2
    written = capfd.readouterr().err
    assert written.startswith("forecast: ") and written.count("forecast: ") == 1
    assert told in written
    assert "Traceback" not in written and "Error executing" not in written and "HYDRA_FULL_ERROR" not in written


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_accelerator_that_is_not_there_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert forecast("train", *TINY, "accelerator=gpu") == 2
    assert capfd.readouterr().err.startswith("forecast: ")


def test_a_logger_that_is_not_installed_names_its_extra(capfd: pytest.CaptureFixture[str]) -> None:
    absent = [name for name in ("tensorboard", "mlflow", "wandb") if not _is_installed(name)]
    if not absent:
        pytest.skip("every logger is installed")
    assert forecast("train", *TINY, f"logger={absent[0]}") == 2
    assert f"pip install 'recurrent-forecast[{absent[0]}]'" in capfd.readouterr().err


@pytest.mark.parametrize("flag", ["--experimental-rerun", "--exp", "--e"])
@pytest.mark.parametrize("job", sorted(jobs.JOBS))
def test_no_word_opens_a_pickle(
    job: str, flag: str, settled: dict, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("kept.pickle").write_bytes(b"cos\nmkdir\n(S'opened'\ntR.")
    for words in ((flag, "kept.pickle"), (f"{flag}=kept.pickle",)):
        assert forecast(job, *words) == 2
        told = capfd.readouterr().err
        assert "would open a pickle" in told and "resume=FOLDER" in told and told.count("\n") == 1
    assert not (tmp_path / "opened").exists() and not settled


def test_debug_shows_the_stack_trace() -> None:
    with pytest.raises(ConfigError, match="horizon is a whole number"):
        forecast("train", "horizon=0", "--debug")


def test_help_needs_no_other_library() -> None:
    script = (
        "import sys; from forecast.cli import main; sys.argv = ['forecast', '--help']; main(); "
        "print({'hydra', 'torch', 'pandas', 'yaml'} & set(sys.modules))"
    )
    out = _process("-c", script).stdout
    assert "forecast train" in out and "resume=FOLDER" in out
    assert out.endswith("set()\n")


@pytest.mark.parametrize("job", cli.RESUMED)
def test_the_help_of_a_job_that_trains_tells_what_is_not_in_its_settings(
    job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forecast(job, "--help") == 0
    head = capsys.readouterr().out.split("All settings")[0]
    told = {
        "train": ("warm_start=FOLDER", "again from the saved run"),
        "backtest": ("backtest.refit=true",),
        "tune": ("budget=20min", "space.scaling=null"),
    }
    for words in (f"forecast {job} ", "resume=FOLDER", *told[job]):
        assert words in head


@pytest.mark.parametrize("words", [(), ("help",), ("-h",)])
def test_help_has_three_spellings(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*words) == 0
    assert "forecast predict" in capsys.readouterr().out


def test_the_module_is_the_same_command() -> None:
    command = Path(sys.executable).with_name("forecast")
    words = ("train", "model=lstm", "--cfg", "job")
    as_module = _process("-m", "forecast", *words)
    as_command = subprocess.run([command, *words], capture_output=True, text=True, check=True)
    assert as_module.stdout == as_command.stdout and "cell: lstm" in as_module.stdout


@pytest.mark.parametrize("job", sorted(jobs.JOBS))
def test_cfg_shows_the_settings_and_creates_nothing(
    job: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forecast(job, "--cfg", "job") == 0
    assert {"diagnose": "contexts:"}.get(job, "accelerator:") in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_help_of_a_job_lists_its_groups_and_creates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forecast("train", "--help") == 0
    written = capsys.readouterr().out
    for group in ("data", "model", "loss", "scaling", "optimizer", "accelerator", "logger", "experiment"):
        assert f"{group}: {', '.join(names(group))}" in written
    assert "batch_size: 128" in written
    assert not list(tmp_path.iterdir())


def test_every_job_has_its_settings_and_its_word() -> None:
    assert set(cli.JOBS) == set(jobs.JOBS) == set(schema.JOBS)


def test_a_path_alone_is_a_table_without_roles(settled: dict) -> None:
    assert forecast("train", "data.path='folder/run=3/my.csv'", "horizon=3") == 0
    assert (settled["data"]["name"], settled["data"]["columns"]["id"]) == ("table", "unique_id")
    assert settled["data"]["path"] == "folder/run=3/my.csv"


def test_a_path_may_stand_beside_flags(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("data.path=my.csv", "horizon=3", "--cfg", "job"), ("--cfg", "job", "data.path=my.csv")):
        assert forecast("train", *words) == 0
        assert "path: my.csv" in capsys.readouterr().out


def test_a_path_beside_a_data_set_keeps_its_roles(settled: dict) -> None:
    assert forecast("train", "data=stocks", "data.path=my.csv") == 0
    assert settled["data"]["columns"]["id"] == "symbol" and settled["data"]["columns"]["gaps"] == "rows"
    assert (settled["data"]["path"], settled["horizon"]) == ("my.csv", 20)


def test_the_words_of_the_command_stay_for_processes_that_lightning_starts(settled: dict) -> None:
    assert forecast("train", "horizon=3", "model=rnn") == 0
    assert settled["argv"][1:] == ["train", "horizon=3", "model=rnn"]


def test_a_missing_value_in_predict_is_no_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pd.DataFrame().to_csv("new.csv")
    assert forecast("predict", "data.path=new.csv") == 2
    assert capfd.readouterr().err == "forecast: run is not set. Add run=VALUE.\n"


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _process(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)


def test_help_that_nobody_reads_to_its_end_says_nothing_more() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "forecast", "train", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert not process.stderr.read()


def test_a_console_that_nobody_reads_any_more_falls_silent_and_lets_the_run_go_on() -> None:
    script = (
        "import sys; from forecast.jobs.console import new_console\n"
        "console = new_console()\n"
        "for number in range(20_000): console.print(number)\n"
        "print('still here', file=sys.stderr)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None and run.stderr is not None
        run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read().decode().strip() == "still here"
    assert run.returncode == 0


def test_a_line_that_is_to_be_copied_stays_whole_on_a_narrow_terminal() -> None:
    console = Console(file=io.StringIO(), width=20)
    tell(console, "forecast train experiment=best seed=1", is_whole=True)
    assert console.file.getvalue() == "forecast train experiment=best seed=1\n"  # type: ignore[attr-defined]
