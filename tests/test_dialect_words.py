"""The words that messages name read the file that they are told of."""

from __future__ import annotations

import pandas as pd
import pytest
from command import forecast, written
from frames import semicolons

from forecast import jobs
from forecast.data.dialect import WORDS
from forecast.data.sources import read_table
from forecast.jobs.settings import load_table, plain

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """The tables that the job train would have learned from."""
    seen: list[pd.DataFrame] = []
    monkeypatch.setitem(jobs.JOBS, "train", lambda config: seen.append(load_table(plain(config)["data"])))
    return seen


@pytest.mark.parametrize("words", [("semicolon", "comma"), ('";"', '","')])
def test_the_words_of_a_message_read_the_file(settled: list[pd.DataFrame], words: tuple[str, str]) -> None:
    written(semicolons())
    separator, decimal = words
    said = (f"data.csv.separator={separator}", f"data.csv.decimal={decimal}")
    assert forecast("train", "data.path=my.csv", "horizon=3", *said) == 0
    assert settled[0]["y"].tolist() == [12.5] * 20
    pd.testing.assert_frame_equal(read_table("my.csv", separator=";", decimal=","), settled[0])


def test_every_encoding_that_a_message_names_reads_the_file(settled: list[pd.DataFrame]) -> None:
    for encoding in ("latin-1", "utf-16", "utf-8-sig", "cp1250"):
        written("unique_id,ds,y\né,2024-01-01,1\n".encode(encoding))
        assert forecast("train", "data.path=my.csv", "horizon=3", f"data.csv.encoding={encoding}") == 0
        assert settled.pop()["unique_id"].tolist() == ["é"]
    written("unique_id,ds,y\né,2024-01-01,1\n".encode("utf-8-sig"))  # a byte order mark needs no word
    assert read_table("my.csv").columns[0] == "unique_id"


def test_every_word_for_a_separator_is_one_character() -> None:
    assert {len(character) for character in WORDS.values()} == {1}
