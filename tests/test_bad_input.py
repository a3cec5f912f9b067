"""Whatever is wrong with a table or a setting ends in one message, the same through both doors."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from command import TINY, forecast, told_once, written
from frames import made_frame, semicolons

from forecast import Columns, Forecaster, Training
from forecast.data.sources import read_table
from forecast.errors import AbsentError, ConfigError, DataError, ForecastError
from forecast.networks.recurrent import Recurrent

pytestmark = pytest.mark.usefixtures("elsewhere")

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"

DAYS = "ds,y\n2024-01-01,1\n2024-01-02,2\n"


class Refused(NamedTuple):
    """A table or a setting that cannot be trained with, and what is told of it."""

    told: str
    table: Any = None  # what my.csv holds: text, bytes or a frame; a usual frame by default
    name: str = "my.csv"
    columns: dict[str, Any] = {}
    csv: dict[str, str] = {}
    options: dict[str, Any] = {}  # arguments of Forecaster
    words: tuple[str, ...] = ()  # of the command line, where they are not those of columns and options
    kind: type[Exception] = DataError


def _with(*cells: Any, **options: Any) -> pd.DataFrame:
    """Return a usual table, a cell of which is another: column, row, value."""
    frame = made_frame(rows=20, **options)
    for name, row, value in cells:
        frame[name] = frame[name].astype(object)
        frame.loc[row, name] = value
    return frame


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("my.csv", DAYS)
    return file.getvalue()


def _parquet() -> bytes:
    file = io.BytesIO()
    made_frame(rows=20).to_parquet(file)
    return file.getvalue()


IRREGULAR = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-09", "2024-02-11", "2024-05-01"])

REFUSED = {
    "a missing column": Refused(
        r"there is no column 'price'. Choose one of: .*columns.target.*data.columns.target=NAME",
        columns={"target": "price"},
    ),
    "a column with spaces": Refused(r"no column 'ds'.* One of them is ' ds', with spaces", "y, ds\n1,2024-01-01\n"),
    "a missing id": Refused(r"there is no column 'shop'.*columns.id", columns={"id": "shop"}),
    "a column twice": Refused(
        r"'my.csv' has the column 'y' twice in its header \(columns 2 and 3\). Give each", "ds,y,y\n2024-01-01,1,2\n"
    ),
    "a row twice": Refused(
        r"series 's1' has 2024-01-03.* twice in column 'ds', in line 24 and line 25 \(1 such rows.*Keep one row",
        _with(("ds", 23, pd.Timestamp("2024-01-03"))),
    ),
    "a time that is none": Refused(
        r"column 'ds' holds 'soon' in line 5, which is not a time.*Write 2024-01-31", _with(("ds", 3, "soon"))
    ),
    "a day of another form": Refused(
        r"column 'ds' holds '13/02/2024' in line 3, which is not a time as the others",
        "ds,y\n01/02/2024,1\n13/02/2024,2\n03/02/2024,2\n",
    ),
    "no time": Refused(r"column 'ds' has no time in line 5. Give each row", _with(("ds", 3, None))),
    "times of several zones": Refused(
        r"column 'ds' mixes several offsets from UTC: '2024-01-01T00:00\+01:00' in line 2, '2024-01-02T00:00\+02:00' "
        r"in line 3. Write all times in UTC",
        "ds,y\n2024-01-01T00:00+01:00,1\n2024-01-02T00:00+02:00,2\n2024-01-03T00:00+01:00,2\n",
    ),
    "a time with a zone among others": Refused(
        r"column 'ds' mixes several offsets from UTC: .* in line 2, '2024-01-02T00:00Z' in line 3. Write",
        "ds,y\n2024-01-01T00:00,1\n2024-01-02T00:00Z,2\n",
    ),
    "text in the target": Refused(
        r"column 'y' holds 'low' in line 24 \(series 's1', 2024-01-03\), which is not a number. Mend the cell",
        _with(("y", 22, "low")),
    ),
    "infinity in the target": Refused(
        r"column 'y' is infinite in line 5 \(series 's0', 2024-01-04\). Leave the cell empty", _with(("y", 3, np.inf))
    ),
    "text in a wide table": Refused(
        r"column 'b' holds 'x' in line 3, which is not a number",
        "ds,a,b\n2024-01-01,1,2\n2024-01-02,1,x\n",
        columns={"wide": True},
    ),
    "a series without a value": Refused(
        r"series 's1' has no observed value in column 'y' \(1 such series of 2\). Leave them out",
        made_frame(rows=20).assign(y=lambda frame: frame["y"].where(frame["unique_id"] == "s0")),
    ),
    "no value at all": Refused(r"series 's0' has no observed value.*\(2 such", made_frame(rows=20).assign(y=np.nan)),
    "a gap that is not allowed": Refused(
        r"series 's0' has no row between 2024-01-03.* and 2024-01-05.* column 'ds'.*Add the rows, or set columns.gaps",
        made_frame(rows=20).drop(index=3),
        columns={"gaps": "error"},
    ),
    "one row a series": Refused(
        r"column 'ds': no series has two rows, so no frequency.*Name it: data.freq is", made_frame(rows=1)
    ),
    "no common step": Refused(
        r"column 'ds': only \d of 5 time steps are .*no frequency.*columns.gaps=rows",
        pd.DataFrame({"ds": IRREGULAR, "y": 1.0}),
    ),
    "a stamp off the grid": Refused(
        r"series 's0' has 2024-01-04 06:00.* in column 'ds' \(line 5\), which lies off the grid of freq '1D'.*Mend",
        _with(("ds", 3, "2024-01-04 06:00")),
        options={"freq": "D"},
    ),
    "a frequency that is none": Refused(
        r"freq 'often' is not a frequency. Give", options={"freq": "often"}, kind=ConfigError
    ),
    "a horizon as long as the data": Refused(
        r"no series is long enough to train on: the longest, 's0', has 20 steps, and a horizon of 20 needs",
        options={"horizon": 20},
    ),
    "a context longer than the data": Refused(
        r"context_length=21 is longer than every series: the longest, 's0', has 20 steps. Shorten",
        options={"context_length": 21},
    ),
    "a horizon of zero": Refused(
        r"horizon is a whole number of 1 or more, got 0", options={"horizon": 0}, kind=ConfigError
    ),
    "a horizon below zero": Refused(
        r"horizon is a whole number of 1 or more, got -2", options={"horizon": -2}, kind=ConfigError
    ),
    "a horizon of text": Refused(r"horizon is .*, got 'soon'", options={"horizon": "soon"}, kind=ConfigError),
    "an unknown model": Refused(
        r"there is no model 'gruu'. Choose one of: gru, ", options={"model": "gruu"}, kind=ConfigError
    ),
    "an unknown loss": Refused(
        r"there is no loss 'quantil'. Choose one of: quantile, ", options={"loss": "quantil"}, kind=ConfigError
    ),
    "no such file": Refused(r"there is no file 'none.csv'. Check", name="none.csv", kind=AbsentError),
    "an empty file": Refused(r"'my.csv' is empty \(0 bytes\). Write a header", b""),
    "a header alone": Refused(r"'my.csv' has no rows below its header. Give", "unique_id,ds,y\n"),
    "nothing but blank lines": Refused(r"'my.csv' has no header. Name its columns", "\n\n\n"),
    "a CSV named .parquet": Refused(r"'my.parquet' cannot be read as .parquet: .*Name the file", DAYS, "my.parquet"),
    "a Parquet file named .csv": Refused(r"'my.csv' is not a CSV: it holds a Parquet file", _parquet()),
    "a picture named .csv": Refused(r"'my.csv' is not a CSV: it holds a PNG image. Give", PNG),
    "an archive named .csv": Refused(r"'my.csv' is not a CSV: it holds a zip archive or an Excel workbook", _zip()),
    "a CSV named .csv.gz": Refused(r"'my.csv.gz' cannot be read as .csv.gz: .*Name the file", DAYS, "my.csv.gz"),
    "a workbook": Refused(r"'my.xlsx' is not a table.*save its sheet as CSV", _zip(), "my.xlsx"),
    "bytes that are no UTF-8": Refused(
        r"'my.csv' is not utf-8: byte 0xe9 at offset 25, in line 3. data.csv.encoding=latin-1.*encoding='latin-1'",
        "ds,y\n2024-01-01,1\n2024-01\xe9,2\n".encode("latin-1"),
    ),
    "text in UTF-16": Refused(r"it holds text in UTF-16 \(add data.csv.encoding=utf-16\)", DAYS.encode("utf-16")),
    "an unknown encoding": Refused(r"csv.encoding 'utf8000' is unknown", csv={"encoding": "utf8000"}, kind=ConfigError),
    "a separator of two characters": Refused(
        r"csv.separator is one character or one of comma, .*got 'ab'", csv={"separator": "ab"}, kind=ConfigError
    ),
    "semicolons": Refused(
        r"has one column, 'unique_id;ds;y', whose name holds the separator ';'. Add data.csv.separator=semicolon "
        r"\(in Python: read_table\(path, separator=';'\)\)",
        semicolons("12.5"),
    ),
    "semicolons and decimal commas": Refused(
        r"Add data.csv.separator=semicolon data.csv.decimal=comma \(in Python: read_table\(path, separator=';', "
        r"decimal=','\)\)",
        semicolons(),
    ),
    "tabs": Refused(r"holds the separator '\\t'. Add data.csv.separator=tab ", semicolons("1").replace(";", "\t")),
    "decimal commas": Refused(
        r"column 'y' holds '12,5' in line 2 \(series 'a', 2024-01-01\), which is not a number.*data.csv.decimal=comma",
        semicolons(),
        csv={"separator": "semicolon"},
    ),
    "decimal commas in a covariate": Refused(
        r"covariate 'y' holds numbers with decimal commas, such as '12,5'.*data.csv.decimal=comma",
        semicolons().replace("y\n", "y;z\n", 1).replace("5\n", "5;1\n"),
        csv={"separator": "semicolon"},
        columns={"target": "z", "past": ("y",)},
    ),
    "a line with too many cells": Refused(
        r"'my.csv' has 3 cells in line 3, and the header names 2 columns. Mend", "ds,y\n2024-01-01,1\n2024-01-02,1,5\n"
    ),
    "lines with a cell more than the header": Refused(
        r"'my.csv' has 3 cells in line 2, and the header names 2 columns. Mend",
        "ds,y\n2024-01-01,12,5\n2024-01-02,1,5\n",
    ),
    "a line that breaks off": Refused(
        r"'my.csv' has 1 cell in line 3, and the header names 2 columns. Mend", "ds,y\n2024-01-01,1\n2024-01-02"
    ),
    "a series without a name": Refused(
        r"column 'unique_id' is empty in line 3. Name the series; NA, null",
        "unique_id,ds,y\na,2024-01-01,1\nNA,2024-01-02,2\n",
    ),
    "a row that is no line": Refused(
        r"column 'y' holds 'low' in row 1 \(series", 'ds,y,note\n2024-01-01,1,"two\nlines"\n2024-01-02,low,b\n'
    ),
}


def _prepared(refused: Refused) -> None:
    if refused.name != "none.csv":
        written(made_frame(rows=20) if refused.table is None else refused.table, refused.name)


def _words(refused: Refused) -> list[str]:
    """Return the words of the command line that say what the arguments in Python say."""
    homes = {"freq": "data.freq"}
    told = {f"data.columns.{role}": value for role, value in refused.columns.items()}
    told |= {f"data.csv.{name}": value for name, value in refused.csv.items()}
    told |= {homes.get(name, name): value for name, value in ({"horizon": 3} | refused.options).items()}
    lists = {name: f"[{','.join(value)}]" if isinstance(value, tuple) else value for name, value in told.items()}
    return [
        f"data.path={refused.name}",
        *(f"{name}={value}" for name, value in lists.items()),
        "test.windows=0",
        *TINY[:-1],
    ]


@pytest.mark.parametrize("case", REFUSED)
def test_the_command_line_ends_in_one_message(case: str, capfd: pytest.CaptureFixture[str]) -> None:
    refused = REFUSED[case]
    _prepared(refused)
    assert forecast("train", *_words(refused)) == 2
    told_once(capfd.readouterr().err, refused.told)


@pytest.mark.parametrize("case", REFUSED)
def test_python_raises_the_same_words_as_a_typed_error(case: str) -> None:
    refused = REFUSED[case]
    _prepared(refused)
    options = {"horizon": 3, "model": partial(Recurrent, hidden_size=4), "progress": False} | refused.options
    with pytest.raises(ForecastError, match=refused.told) as caught:
        table = read_table(refused.name, ids=refused.columns.get("id", Columns.id), **refused.csv)
        Forecaster(columns=Columns(**refused.columns), training=Training(steps=1), **options).fit(table)
    assert isinstance(caught.value, refused.kind)
    assert isinstance(caught.value, FileNotFoundError if refused.kind is AbsentError else ValueError)


@pytest.mark.parametrize("case", ["text in the target", "a horizon of zero", "no such file"])
def test_debug_raises_what_the_message_is_of(case: str) -> None:
    refused = REFUSED[case]
    _prepared(refused)
    with pytest.raises(refused.kind, match=refused.told):
        forecast("train", *_words(refused), "--debug")


@pytest.mark.parametrize("job", ["train", "backtest"])
def test_a_table_is_refused_before_torch_is_loaded(job: str) -> None:
    written(_with(("y", 22, "low")))
    script = (
        "import sys; from forecast.cli import main\n"
        f"sys.argv = ['forecast', {job!r}, 'data.path=my.csv', 'horizon=3']\n"
        "try: main()\n"
        "finally: print({'torch', 'lightning', 'matplotlib', 'sklearn', 'scipy'} & sys.modules.keys())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "set()\n")
    assert "column 'y' holds 'low' in line 24" in done.stderr


def test_an_order_of_rows_changes_nothing() -> None:
    frame = made_frame(rows=20)
    options = {"horizon": 2, "progress": False, "training": Training(steps=2), "accelerator": "cpu"}
    forecasts = [
        Forecaster(partial(Recurrent, hidden_size=4), **options).fit(table).predict()  # type: ignore[arg-type]
        for table in (frame, frame.sample(frac=1, random_state=0).sort_values("unique_id", kind="stable"))
    ]
    pd.testing.assert_frame_equal(*forecasts)
