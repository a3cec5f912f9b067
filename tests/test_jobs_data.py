"""forecast data, and named data sets in the other jobs: public ones, and those of a folder of one's own."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest
import yaml
from command import TINY, forecast, streams_in
from frames import made_frame

from forecast.data.catalogue import data_names, data_settings
from forecast.data.public import CACHE, FOLDER, check_public
from forecast.data.tables import columns_of

DATASETS = os.environ.get(FOLDER)
needs_files = pytest.mark.skipif(not DATASETS, reason=f"{FOLDER} names no folder of public data sets")
PAGE = Path(__file__).parents[1] / "docs" / "data.md"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Print nothing."""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a folder, and give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.delenv(FOLDER, raising=False)
        yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with _served(tmp_path) as address:
        yield address


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on a public data set, whose source is gone, and the cache that the run left."""
    folder = tmp_path_factory.mktemp("trained")
    with streams_in(folder), _served(folder) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(folder / "cache"))
        _public(address)
        words = ("data=shops", "--config-dir", "conf", *TINY, "hydra.run.dir=run", "test.windows=1", "final=false")
        assert forecast("train", *words) == 0
    return folder


@pytest.fixture
def copied(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That folder as the working directory of a test, without the folder of public data sets."""
    monkeypatch.delenv(FOLDER, raising=False)
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)


def _written(file: str, /, **content: object) -> None:
    path = Path("conf/data") / f"{file}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _mine() -> None:
    """Write a table of one's own, of which a series ends before the other, and the yaml that names it."""
    table = made_frame(series=2, rows=60).iloc[:-9]
    table.to_csv("sold.csv", index=False, sep=";")
    _written(
        "mine", name="my shops", path="sold.csv", csv={"separator": "semicolon"}, horizon=4, unit="pieces",
        split="series_end", about="Mine.",
    )  # fmt: skip


def _public(address: str) -> None:
    """Write a table to serve and the yaml that pins it."""
    body = made_frame(series=2, rows=40).to_csv(index=False).encode("utf-8")
    Path("shops.csv").write_bytes(body)
    pinned = {"address": f"{address}/shops.csv", "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    _written("shops", public={"table": "shops", "parser": "table", "files": {"shops_csv": pinned}}, horizon=4)


def test_alone_it_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast("data") == forecast("data", "--help") == 0
    assert capsys.readouterr().out.count("forecast data fetch NAME [--folder FOLDER]") == 2


def test_a_list_names_every_data_set_with_its_terms(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast("data", "list") == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert set(data_names()) <= rows.keys() and "table" not in rows
    assert "CC BY-ND 4.0" in rows["etth1"] and "373,372" in rows["m4_hourly"]
    assert rows["sales"].rstrip().endswith("ships") and rows["made_sales"].rstrip().endswith("made")


def test_what_is_not_here_is_shown_with_how_to_fetch_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    assert forecast("data", "show", "oj_sales") == 0
    out = capsys.readouterr().out
    for told in (
        "price, deal, feature",
        "brand_name",
        "Montgomery",
        "GPL-2",
        "forecast data fetch oj_sales",
        "/bayesm/",
    ):
        assert told in out
    assert re.search(r"^minimum +0$", out, re.MULTILINE) and "S002_B01" not in out


def test_what_is_here_is_shown_with_its_first_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast("data", "show", "sales") == 0
    out = capsys.readouterr().out
    assert "Medicare Australia" in out and "antidiabetics 1991-07-01 3.526591" in out and "2, 408, -" in out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("data lst", "there is no command of forecast data 'lst'. Choose one of: list, "),
        ("data show m4_hurly", "there is no data 'm4_hurly'. Choose one of: m4_hourly, "),
        ("data fetch m4_hurly", "there is no data 'm4_hurly'. Choose one of: m4_hourly, "),
        ("data fetch", "name. See forecast data --help."),
        ("data show sales --foldr x", "unrecognized arguments: --foldr x"),
        ("data fetch sales", "data=sales is not fetched: its table is here (ships)."),
        ("data list --config-dir none", "there is no folder 'none'"),
        ("dta list", "there is no job 'dta'. Choose one of: data, "),
    ],
)
def test_words_that_make_no_sense_end_in_one_message(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(*line.split()) == 2
    err = capsys.readouterr().err
    assert told in err and err.startswith("forecast: ") and len(err.splitlines()) == 1


ODD = {
    "defaults: 5": "'conf/data/odd.yaml': defaults is a list of names, got 5",
    "name: K\xf6ln": "'conf/data/odd.yaml' is not UTF-8 (invalid start byte at byte 7). Save it as UTF-8.",
    "about: 2024-13-45": "'conf/data/odd.yaml' is no YAML: month must be in 1..12",
    "columns: null": "data.columns says which column has which role, got None",
    "{columns: {target: null}, minimum: {y: 0}}": "columns.target is a name or a list of names, got None",
    'public: {table: a, parser: table, files: {a: {address: "https://[x", bytes: 1, sha256: a}}}': "'https://[x' of "
    "data.public is no address (Invalid IPv6 URL)",
}


@pytest.mark.parametrize(("content", "told"), ODD.items())
def test_one_odd_file_leaves_the_list_of_the_others(
    content: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _mine()
    Path("conf/data/odd.yaml").write_text(content, encoding="latin-1")
    assert forecast("data", "list", "--config-dir", "conf") == 0
    out = capsys.readouterr().out
    assert re.search(r"^mine .*here *$", out, re.MULTILINE) and re.search(r"^odd .* unreadable *$", out, re.MULTILINE)
    assert f"odd is unreadable: {told}" in out
    assert forecast("data", "show", "odd", "--config-dir", "conf") == 2
    err = capsys.readouterr().err
    assert err.startswith(f"forecast: {told}") and len(err.splitlines()) == 1


def test_brackets_in_a_licence_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    _written("mine", path="sold.csv", defaults=None, licence="mine [/x] [red]")
    assert forecast("data", "list", "--config-dir", "conf") == 0
    assert re.search(r"^mine .* mine \[/x\] \[red\] +no such file *$", capsys.readouterr().out, re.MULTILINE)


def test_an_error_that_nobody_foresaw_is_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr("forecast.jobs.data.place_of", broken)
    assert forecast("data", "show", "sales") == 1
    err = capsys.readouterr().err
    assert err.startswith("forecast: RuntimeError: odd. This is a bug of this program") and len(err.splitlines()) == 1
    with pytest.raises(RuntimeError, match="odd"):
        forecast("data", "show", "sales", "--debug")


def test_a_public_data_set_is_fetched_once(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    _public(address)
    words = ("shops", "--config-dir", "conf")
    for _ in range(2):
        assert forecast("data", "fetch", *words) == 0
        Path("shops.csv").unlink(missing_ok=True)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == told[1] and told[0].startswith("shops: ") and Path(told[0].partition(": ")[2]).is_file()
    assert forecast("data", "show", *words) == 0
    assert re.search(r"^table +here$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.usefixtures("copied")
def test_a_job_finds_what_an_earlier_one_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast("predict", "run=run", "data=shops", "--config-dir", "conf", "accelerator=cpu") == 0
    assert "2 series forecast 4 steps ahead" in capsys.readouterr().out


@pytest.mark.usefixtures("copied")
def test_a_card_that_nobody_vouches_for_fetches_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE, "empty")
    assert forecast("diagnose", "run=run") == 2
    assert "'shops' is not at hand" in capsys.readouterr().err and not Path("empty").exists()


@pytest.mark.usefixtures("copied")
def test_a_run_on_a_data_set_of_ones_own_goes_on() -> None:
    assert forecast("train", "resume=run") == 2
    assert forecast("train", "resume=run", "--config-dir", "conf") == 0


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize("word", ["data.public.table=a", "data={public: {table: a}}"])
def test_an_address_in_a_folder_to_resume_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run/.hydra/overrides.yaml").write_text(yaml.safe_dump([word]), encoding="utf-8")
    assert forecast("train", "resume=run") == 2
    assert "is more than a setting of the job" in capsys.readouterr().err


@pytest.mark.usefixtures("copied")
def test_a_file_of_ones_own_by_name_is_forecast_by_the_columns_of_the_training() -> None:
    _mine()
    assert forecast("predict", "run=run", "data=mine", "--config-dir=conf", "accelerator=cpu", "hydra.run.dir=new") == 0
    predicted = pd.read_csv("new/forecast.csv")
    assert list(predicted.columns[:3]) == ["unique_id", "ds", "forecast"] and len(predicted) == 8


def test_a_search_path_of_hydra_does_the_same_and_the_yaml_says_how_windows_are_laid(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _mine()
    path = f"hydra.searchpath=[file://{Path('conf').resolve()}]"
    assert forecast("backtest", "data=mine", path, *TINY, "backtest.folds=1", "hydra.run.dir=run") == 0
    assert "my shops: 2 series" in capsys.readouterr().out
    assert pd.read_csv("run/backtest.csv").groupby("unique_id")["cutoff"].max().nunique() == 2


def test_a_file_of_ones_own_that_is_gone_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    _mine()
    Path("sold.csv").unlink()
    assert forecast("data", "show", "mine", "--config-dir", "conf") == 0
    assert re.search(r"^table +no such file *$", capsys.readouterr().out, re.MULTILINE)


def test_ours_counts_for_hydra_too_where_two_data_sets_have_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    _written("sales", name="not ours", path="other.csv")
    assert forecast("train", "data=sales", "--config-dir", "conf", "--cfg", "job") == 0
    assert "ships: sales.csv" in capsys.readouterr().out


def test_a_misspelt_data_set_of_ones_own_is_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    _mine()
    assert forecast("train", "data=mien", "--config-dir", "conf") == 2
    assert "there is no data 'mien'. Choose one of: mine, " in capsys.readouterr().err
    assert forecast("train", "data=mine", "--config-dir", "conf", "data.hrizon=3") == 2
    assert "there is no setting 'data.hrizon'. Choose one of: data.horizon, " in capsys.readouterr().err
    assert forecast("data", "list", "--config-dir", "conf") == 0
    assert re.search(r"^mine .*here *$", capsys.readouterr().out, re.MULTILINE)


def test_roles_are_those_of_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    for job in ("predict", "diagnose"):
        assert forecast(job, "run=run", "data=sales", "data.columns.target=other") == 2
        assert "data.columns.target is that of the training, and cannot be set here." in capsys.readouterr().err


@needs_files
@pytest.mark.slow
@pytest.mark.parametrize("words", [("experiment=m4_hourly",), ("experiment=m4_hourly_gru", "data=m4_weekly")])
def test_experiments_run_on_the_catalogue(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    quick = ("training.steps=2", "training.batch_size=8", "final=false", "test.windows=1", "progress=false")
    assert forecast("train", *words, *quick, "accelerator=cpu", "hydra.run.dir=run") == 0
    assert re.search(r"M4 (Hourly: 414|Weekly: 359) series", capsys.readouterr().out)


def test_the_table_of_the_page_is_that_of_the_catalogue() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = [line for line in page.splitlines() if line.startswith("| `")]
    assert told == [_row(name) for name in data_names()]
    r_files = [name for name in data_names() if ".rda" in str(data_settings(name)["public"])]
    named = page.partition("**R files**: ")[2].partition(" are R data")[0]
    assert sorted(re.findall(r"`(\w+)`", named)) == r_files


@pytest.fixture
def page() -> str:
    """The page, whose data sets of one's own lie in conf/data."""
    text = PAGE.read_text(encoding="utf-8")
    mine, public = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    Path("conf/data").mkdir(parents=True)
    Path("conf/data/mine.yaml").write_text(mine, encoding="utf-8")
    Path("conf/data/shops.yaml").write_text(public, encoding="utf-8")
    return text


def test_the_yaml_of_the_page_makes_data_sets(page: str) -> None:
    own, shops = (data_settings(name, config_dir="conf") for name in ("mine", "shops"))
    assert columns_of(own).known == ("price",) and own["csv"]["decimal"] == "comma"
    check_public(shops["public"])


def test_the_commands_and_the_code_of_the_page_work(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = re.findall(r"^ {4}forecast (.*)$", page, re.MULTILINE)
    assert len(lines) >= 9
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[0] != "data":
            assert forecast(*words, "--cfg", "job") == 0
        elif words[1] != "fetch":
            assert forecast(*words) == 0
    [code] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
    assert capsys.readouterr().out.count("target: sold") == 2  # of train and predict


def _row(name: str) -> str:
    """Return the row of a data set on the page."""
    known = data_settings(name)
    season, scale = known["seasonality"], known["mase_season"]
    seasons = "-" if season is None else str(season) if scale in (None, season) else f"{season}, {scale}"
    size = [f"{known['size'][key]:,}" for key in ("series", "rows")]
    return f"| {' | '.join([f'`{name}`', *size, str(known['horizon']), seasons, known['licence'], known['about']])} |"
