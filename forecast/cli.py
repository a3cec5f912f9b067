"""The command line: the first word names the job, everything after it is Hydra's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from forecast.errors import ConfigError, ForecastError, unknown_name
from forecast.search_path import flags_first

if TYPE_CHECKING:
    from omegaconf import DictConfig

USAGE = """\
forecast trains recurrent neural networks on tables of time series, beside simple methods.

  forecast train    data=sales model=gru horizon=12       score, fit, save, forecast, report
  forecast train    data.path=my.csv data.columns.target=price data.columns.time=date horizon=7
  forecast train    warm_start=FOLDER data.path=newer.csv
                                                          go on from a saved run
  forecast train -m model=rnn,gru,lstm horizon=7,14       one run for each combination
  forecast backtest data=weather horizon=14 backtest.folds=8
                                                          score at many origins; saves no model
  forecast compare  'datasets=[stocks,weather]' 'models=[gru,lstm]' seeds=3
                                                          models beside one another on the same windows
  forecast tune     data=sales model=gru budget=20min     search for settings; best beside defaults and simple methods
  forecast predict  run=FOLDER data.path=newer.csv        forecast with a saved run
  forecast predict  run=FOLDER data.path=newer.csv 'data.future={dear: a.csv, cheap: b.csv}'
                                                          one forecast for each scenario
  forecast diagnose run=FOLDER                            how far back a saved network learns and looks
  forecast export   run=FOLDER format=onnx                a graph that runs without this package
  forecast train|backtest|tune resume=FOLDER              go on with a run that was interrupted
  forecast data list|show|fetch                           data sets by name: data=NAME in every job

  forecast JOB --help      groups, names and settings of a job
  forecast JOB --cfg job   the settings as they are, without running
  --debug                  after JOB: errors with their stack trace
"""
JOBS = ("train", "predict", "backtest", "compare", "diagnose", "export", "tune")
DATA = "data"  # a job without settings, and so without Hydra
PICKLED = "--experimental-rerun"  # of Hydra, which takes any beginning of it
RESUMED = ("train", "backtest", "tune")  # jobs that go on where they were interrupted
TABLES = (*RESUMED, "compare")  # jobs that take a data set


def main() -> None:
    """Run the job that the command line names; exit 2, with one message, where it cannot."""
    _leave_ascii()
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE)
        return
    job, *rest = words
    if job == DATA:
        return _data(rest)
    if job not in JOBS:
        _stop(unknown_name("job", job, (*JOBS, DATA)))
    pickled = next((word for word in rest if len(word) > 2 and PICKLED.startswith(word.partition("=")[0])), None)
    if pickled is not None:
        _stop(f"{pickled} would open a pickle, which may run any code. To go on with a run: resume=FOLDER.")
    debug = "--debug" in rest
    words = [word for word in rest if word != "--debug"]
    if job in RESUMED:
        words = _resumed(job, words, debug=debug)
    if job in TABLES:
        words = _replacing(_completed(words))
    sys.argv = [sys.argv[0], *flags_first(words)]
    _run(job, debug=debug)


def _leave_ascii() -> None:
    """Begin anew in UTF-8 mode where the locale knows no letters but a to z: files and columns may have others."""
    if sys.getfilesystemencoding() == "ascii" and sys.argv[1:]:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _data(words: list[str]) -> None:
    """List, show or fetch data sets."""
    from forecast.jobs.data import data

    debug = "--debug" in words
    try:
        data([word for word in words if word != "--debug"])
    except Exception as error:
        if debug:
            raise
        _end(DATA, error)
    except KeyboardInterrupt:
        sys.exit(130)


def _completed(words: list[str]) -> list[str]:
    """Choose data=table where a path is given and no data set: a table of the user's own has no roles."""
    path = next((place for place, word in enumerate(words) if re.match(r"\+*data\.path=", word)), None)
    if path is None or any(re.match(r"\+*data=", word) for word in words):
        return words
    return [*words[:path], "data=table", *words[path:]]  # beside it: overrides must not be parted by a flag


def _replacing(words: list[str]) -> list[str]:
    """Let a list or a range given for a setting of the space take the place of what the space has, of either kind."""
    given = [re.fullmatch(r"(space\.[\w.]+)=([\[{].*)", word, re.DOTALL) for word in words]
    return [
        part
        for word, one in zip(words, given, strict=True)
        for part in ([word] if one is None else [f"~{one[1]}", f"+{one[1]}={one[2]}"])
    ]


def _resumed(job: str, words: list[str], *, debug: bool) -> list[str]:
    from forecast.resume import resumed

    try:
        return resumed(job, words)
    except (ForecastError, OSError) as error:
        if debug:
            raise
        _stop(str(error))


def _run(job: str, *, debug: bool) -> None:
    # Threads that wait for one another sleep instead of spinning: beside another busy program, spinning makes small
    # networks train many times slower. It has to be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing: the message below is the only one
    import hydra

    from forecast.config import conf_folder
    from forecast.run_folder import Refused, release
    from forecast.schema import register

    register()
    try:
        hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=job)(_task(job, debug=debug))()
    except BrokenPipeError:  # nobody reads on, as behind `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Refused as stop:
        if debug:
            raise stop.error from None
        _end(job, stop.error)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, _refusals()):
            _end(job, error)
        _end(job, ConfigError(f"these words make no settings ({_first_line(error)}). See forecast {job} --help."))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        release()


def _task(job: str, *, debug: bool) -> Callable[[DictConfig], None]:
    """Return what Hydra runs, once or for each run of a sweep."""
    program, *words = sys.argv

    def task(config: DictConfig) -> None:
        from forecast import jobs  # torch, pandas and the rest load only once the settings are right
        from forecast.releases import refuse_known_bad
        from forecast.run_folder import claim, is_claimed, output_folder, release, remove_leftovers
        from forecast.sweeps import FAILED, forget_failure, is_sweep, note_failure

        sys.argv = [program, job, *words]  # Lightning starts the processes of further devices with these
        try:
            claim(output_folder())
            forget_failure()
            refuse_known_bad()
            jobs.JOBS[job](config)
            remove_leftovers(output_folder())  # not before: a run that is refused changes nothing
        except Exception as error:  # caught in here, since Hydra adds a line of its own
            if debug:
                raise
            if not (is_sweep() and is_claimed(str(output_folder() / FAILED))):
                _end(job, error)
            note_failure(_told(job, error))
        except (KeyboardInterrupt, SystemExit) as stop:  # Lightning turns Ctrl-C into an exit of its own
            if isinstance(stop, SystemExit) and not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            sys.exit(130)
        finally:
            if is_sweep():
                release(output_folder())

    return task


def _end(job: str, error: Exception) -> NoReturn:
    """Say why a run ends: exit 2 where it was refused, 1 where nobody foresaw it."""
    from forecast.run_folder import withdraw

    told = _told(job, error)
    if isinstance(error, _refusals()):
        withdraw()
        _stop(told)
    _stop(told, code=1)


def _told(job: str, error: Exception) -> str:
    """Return what a person is told of an error; the trace of one that nobody foresaw goes to the log."""
    if isinstance(error, _refusals()):
        from forecast.messages import message

        return message(job, error)
    import logging

    from forecast.run_folder import is_claimed

    logging.getLogger("forecast").info("nobody foresaw this:", exc_info=error)
    files = [getattr(handler, "baseFilename", None) for handler in logging.getLogger().handlers]
    logs = [file for file in files if is_claimed(file)]
    where = f"its trace is in {logs[0]}, and --debug shows it" if logs else "--debug shows its trace"
    return f"{_first_line(error)}. This is a bug of this program, or a limit of the machine: {where}."


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0].rstrip('.')}"


def _refusals() -> tuple[type[Exception], ...]:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    # Those of torch and scikit-learn about a setting are ValueErrors.
    return ForecastError, ValueError, HydraException, OmegaConfBaseException, OSError


def _stop(message: str, *, code: int = 2) -> NoReturn:
    print(f"forecast: {message}", file=sys.stderr)
    sys.exit(code)
