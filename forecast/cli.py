"""The command line: the first word names the job, everything after it is Hydra's."""

from __future__ import annotations

import os
import re
import sys
from difflib import get_close_matches

from forecast.errors import ArtifactError, ConfigError, DataError, unknown_name

USAGE = """\
forecast trains recurrent neural networks on tables of time series, beside simple methods.

  forecast train    data=sales model=gru horizon=12       score, fit, save, forecast, report
  forecast train    data.path=my.csv data.columns.target=price data.columns.time=date horizon=7
  forecast train -m model=rnn,gru,lstm horizon=7,14       one run for each combination
  forecast predict  run=FOLDER data.path=newer.csv        forecast with a saved run

  forecast JOB --help      groups, names and settings of a job
  forecast JOB --cfg job   the settings as they are, without running
  --debug                  after JOB: errors with their stack trace
"""
JOBS = ("train", "predict")


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
    sys.argv = [sys.argv[0], *_completed([word for word in rest if word != "--debug"])]
    _run(job, debug=debug)


def _completed(words: list[str]) -> list[str]:
    """Choose data=table where a path is given and no data set: a table of the user's own has no roles."""
    names_path = any(re.match(r"\+*data\.path=", word) for word in words)
    names_data = any(re.match(r"\+*data=", word) for word in words)
    return [*words, "data=table"] if names_path and not names_data and "run=" not in " ".join(words) else words


def _run(job: str, *, debug: bool) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing, so that the message below is the only one
    import hydra
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from forecast.config import conf_folder
    from forecast.schema import register

    refused = (DataError, ConfigError, ArtifactError, HydraException, OmegaConfBaseException, OSError)

    def task(config: DictConfig) -> None:
        from forecast.jobs import JOBS as run_job  # torch, pandas and the rest load only once the settings are right

        try:
            run_job[job](config)
        except refused as error:  # caught in here, since Hydra adds a line of its own
            if debug:
                raise
            _stop(_message(job, error))

    register()
    try:
        hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=job)(task)()
    except refused as error:
        if debug:
            raise
        _stop(_message(job, error))


def _message(job: str, error: Exception) -> str:
    """Return what went wrong in one message, with the nearest names that there are."""
    text = f"{error}\n{error.__cause__ or ''}".strip()
    group = re.search(r"Could not find '(\w+)/([^']*)'", text)
    if group:
        from forecast.config import names
        return unknown_name(*group.groups(), names(group[1]))
    key = re.search(r"Could not override '([^']*)'|Key '([^']*)' (?:is )?not in", text)
    if key:
        every = _keys(job)
        nearest = get_close_matches(key[1] or key[2], every, n=5, cutoff=0.4) or every
        return f"{unknown_name('setting', key[1] or key[2], nearest)} All of them: forecast {job} --help."
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing:
        return f"{missing[1]} is not set. Add {missing[1]}=VALUE."
    value = re.search(
        r"(?s)Value '(.*?)' (?:of type '\w+' could not be converted to|is not a valid) (\w+).*?full_key: (\S+)", text
    )
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
            key = f"{prefix}{name}"
            child = node._get_node(name)
            if isinstance(child, DictConfig) and not OmegaConf.is_missing(node, name) and not child._is_none():
                found += walk(child, f"{key}.")
            else:
                found.append(key)
        return found

    return walk(settings, "")


def _stop(message: str) -> None:
    print(f"forecast: {message}", file=sys.stderr)
    sys.exit(2)
