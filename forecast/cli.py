"""The command line: the first word names the job, everything after it is Hydra's."""

from __future__ import annotations

import os
import re
import sys
from difflib import get_close_matches
from pathlib import Path

from forecast.errors import ConfigError, ForecastError, unknown_name

USAGE = """\
forecast trains recurrent neural networks on tables of time series, beside simple methods.

  forecast train    data=sales model=gru horizon=12       score, fit, save, forecast, report
  forecast train    data.path=my.csv data.columns.target=price data.columns.time=date horizon=7
  forecast train    warm_start=FOLDER data.path=newer.csv
                                                          go on from a saved run
  forecast train -m model=rnn,gru,lstm horizon=7,14       one run for each combination
  forecast backtest data=weather horizon=14 backtest.folds=8
                                                          score at many origins; saves no model
  forecast predict  run=FOLDER data.path=newer.csv        forecast with a saved run
  forecast predict  run=FOLDER data.path=newer.csv 'data.future={dear: a.csv, cheap: b.csv}'
                                                          one forecast for each scenario
  forecast train|backtest resume=FOLDER                   go on with a run that was interrupted

  forecast JOB --help      groups, names and settings of a job
  forecast JOB --cfg job   the settings as they are, without running
  --debug                  after JOB: errors with their stack trace
"""
JOBS = ("train", "predict", "backtest")
RESUMED = ("train", "backtest")  # jobs that go on where they were interrupted


def main() -> None:
    """Run the job that the command line names; exit 2, with one message, where it cannot."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE)
        return
    job, *rest = words
    if job not in JOBS:
        _stop(unknown_name("job", job, JOBS))
    debug = "--debug" in rest
    words = [word for word in rest if word != "--debug"]
    try:
        words = _resumed(job, words) if job in RESUMED else words
    except ConfigError as error:
        _stop(str(error))
    sys.argv = [sys.argv[0], *(_completed(words) if job in RESUMED else words)]
    _run(job, debug=debug)


def _completed(words: list[str]) -> list[str]:
    """Choose data=table where a path is given and no data set: a table of the user's own has no roles."""
    path = next((place for place, word in enumerate(words) if re.match(r"\+*data\.path=", word)), None)
    if path is None or any(re.match(r"\+*data=", word) for word in words):
        return words
    return [*words[:path], "data=table", *words[path:]]  # beside it: overrides must not be parted by a flag


def _resumed(job: str, words: list[str]) -> list[str]:
    """Return the words of the run that resume= names: its settings and its folder."""
    named = [word.removeprefix("resume=") for word in words if word.startswith("resume=")]
    if not named:
        return words
    other = [word for word in words if not word.startswith(("resume=", "progress="))]
    if other:
        raise ConfigError(
            f"resume=FOLDER goes on with the settings of that run; {other[0]!r} cannot be added. Leave it "
            "out (progress= alone may be given), or train anew without resume=."
        )
    folder = Path(named[-1])
    kept, by = folder / ".hydra" / "overrides.yaml", folder / ".hydra" / "hydra.yaml"
    if not (kept.is_file() and by.is_file()):
        raise ConfigError(
            f"there is no run in '{folder}' (.hydra/overrides.yaml is missing). "
            f"resume= takes a folder that forecast {job} wrote."
        )
    import yaml

    wrote = yaml.safe_load(by.read_text(encoding="utf-8"))["hydra"]["job"]["config_name"]
    if wrote != job:
        raise ConfigError(f"forecast {wrote} wrote '{folder}', not {job}. Write: forecast {wrote} resume={folder}")
    settings = yaml.safe_load(kept.read_text(encoding="utf-8"))
    quoted = str(folder.resolve()).replace("\\", "\\\\").replace("'", "\\'")
    new = [word for word in words if word.startswith("progress=")]
    return [*settings, *new, f"hydra.run.dir='{quoted}'"]


def _run(job: str, *, debug: bool) -> None:
    # Threads that wait for one another sleep instead of spinning: beside another busy program, spinning makes small
    # networks train many times slower. It has to be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing: the message below is the only one
    import hydra
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from forecast.config import conf_folder
    from forecast.schema import register
    from forecast.sweeps import is_sweep, note_failure

    # Those of torch and scikit-learn about a setting are ValueErrors.
    refused = (ForecastError, ValueError, HydraException, OmegaConfBaseException, OSError)
    words = sys.argv[1:]

    def task(config: DictConfig) -> None:
        from forecast import jobs  # torch, pandas and the rest load only once the settings are right

        sys.argv = [sys.argv[0], job, *words]  # Lightning starts the processes of further devices with these
        try:
            jobs.JOBS[job](config)
        except refused as error:  # caught in here, since Hydra adds a line of its own
            if debug:
                raise
            if not is_sweep():
                _stop(_message(job, error))
            note_failure(_message(job, error))
        except (KeyboardInterrupt, SystemExit) as stop:  # Lightning turns Ctrl-C into an exit of its own
            if isinstance(stop, SystemExit) and not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            sys.exit(130)

    register()
    try:
        hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=job)(task)()
    except refused as error:
        if debug:
            raise
        _stop(_message(job, error))
    except KeyboardInterrupt:
        sys.exit(130)


def _message(job: str, error: Exception) -> str:
    """Return what went wrong in one message, with the nearest names that there are."""
    from hydra.errors import OverrideParseException

    if isinstance(error, ForecastError):
        return str(error)
    text = f"{error}\n{error.__cause__ or ''}".strip()
    group = re.search(r"Could not (?:find|load) '(\w+)/([^']*)'", text)
    if group:
        from forecast.config import names

        return unknown_name(group[1], group[2], names(group[1]))
    key = re.search(r"Could not override '([^']*)'|Key '([^']*)' (?:is )?not in", text)
    if key:
        every = _keys(job)
        nearest = get_close_matches(key[1] or key[2], every, n=5, cutoff=0.4) or every
        return f"{unknown_name('setting', key[1] or key[2], nearest)} All of them: forecast {job} --help."
    if isinstance(error, OverrideParseException):
        quoting = """A value with = , : or brackets is quoted twice: 'NAME="VALUE"'."""
        return f"{error.override!r} cannot be read as NAME=VALUE. {quoting}"
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing:
        return f"{missing[1]} is not set. Add {missing[1]}=VALUE."
    listed = re.search(r"Error merging override (\S+)=(.*)\n.* is not a ListConfig", text)
    if listed:
        return f"{listed[1]} is a list, got {listed[2]!r}. Write '{listed[1]}=[{listed[2]}]'."
    kinds = re.search(r"(?s)Cannot merge DictConfig with ListConfig.*?full_key: (\S+)", text)
    if kinds:
        return f"{kinds[1]} holds names with values here, got a list. Write '{kinds[1]}={{NAME: VALUE}}'."
    wrong_type = r"Value '(.*?)' (?:of type '\w+' could not be converted to|is not a valid) (\w+)"
    value = re.search(rf"(?s){wrong_type}.*?full_key: (\S+)", text)
    if value:
        return f"{value[3]} is of kind {value[2].lower()}, got {value[1]!r}."
    return text


def _keys(job: str) -> list[str]:
    """Return every setting of a job, dotted."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import DictConfig, OmegaConf

    from forecast.config import conf_folder

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        settings = compose(job)

    def walk(node: DictConfig, prefix: str) -> list[str]:
        found = []
        for name in node:
            key = f"{prefix}{name!s}"
            child = node._get_node(name)
            if not isinstance(child, DictConfig) or OmegaConf.is_missing(node, name) or child._is_none():
                found.append(key)
            else:
                found += [*([] if prefix else [key]), *walk(child, f"{key}.")]
        return found

    return walk(settings, "")


def _stop(message: str) -> None:
    print(f"forecast: {message}", file=sys.stderr)
    sys.exit(2)
