"""Fetching: what is pinned arrives whole, or nothing is kept and the message says what to do."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd
import pytest
from command import files_in

from forecast.data.fetching import check_remote, fetch_file
from forecast.data.public import CACHE, FOLDER, at_hand, fetch_table, public_table
from forecast.errors import ConfigError, DataError, WriteError

MONTHS = b"symbol,date,price\nB,Jan 1 2000,3.5\nB,Feb 1 2000,4\nA,Jan 1 2000,10.25\n"
RAW = "https://raw.githubusercontent.com/owner/repository"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Server:
    """Answers on the loopback, and counts how often it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes, int]] = {}  # path: status, body, length that it claims
        self.asked: list[str] = []
        handler = partial(_Handler, self)
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        Thread(target=self.http.serve_forever, daemon=True).start()

    def remote(self, body: bytes, *, name: str = "stocks.csv", status: int = 200, **other: Any) -> dict[str, Any]:
        """Offer a file, and return how it is pinned."""
        self.answers[f"/{name}"] = status, body, other.pop("claims", len(body))
        address = f"http://127.0.0.1:{self.http.server_port}/{name}"
        return {"address": address, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), **other}


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, server: Server, *args: Any) -> None:
        self.own = server
        super().__init__(*args)

    def do_GET(self) -> None:
        self.own.asked.append(self.path)
        status, body, length = self.own.answers[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if status == 302:
            self.send_header("Location", "/stocks.csv")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    own = Server()
    yield own
    own.http.shutdown()
    own.http.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(FOLDER, raising=False)
    return tmp_path / "cache"


def _public(remote: dict[str, Any], *, table: str = "prices") -> dict[str, Any]:
    return {"table": table, "parser": "vega_stocks", "files": {"prices_csv": remote}}


def test_a_file_arrives_as_it_is_and_the_second_call_asks_nobody(server: Server, tmp_path: Path) -> None:
    remote = server.remote(MONTHS)
    path = fetch_file(remote, tmp_path, way_out="")
    assert path.read_bytes() == MONTHS and path.name.endswith("-stocks.csv")
    server.http.shutdown()
    assert fetch_file(remote, tmp_path, way_out="") == path
    assert server.asked == ["/stocks.csv"] and files_in(tmp_path) == {path.name}


def test_a_file_that_was_changed_on_disk_is_fetched_again(server: Server, tmp_path: Path) -> None:
    remote = server.remote(MONTHS)
    path = fetch_file(remote, tmp_path, way_out="")
    path.write_bytes(b"other")
    assert fetch_file(remote, tmp_path, way_out="").read_bytes() == MONTHS
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("pinned", "told"),
    [
        ({"sha256": "0" * 64}, f"expected {len(MONTHS)} bytes with sha256 {'0' * 64}, got {len(MONTHS)} bytes with "),
        ({"bytes": 20}, "expected 20 bytes with sha256 .*, got more than 20 bytes"),
        ({"bytes": 5000}, f"expected 5,000 bytes with sha256 .*, got {len(MONTHS)} bytes"),
    ],
)
def test_another_file_is_refused_and_nothing_is_kept(
    server: Server, cache: Path, pinned: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError, match=told) as caught:
        fetch_table(_public(server.remote(MONTHS, **pinned)))
    assert "Nothing was kept." in str(caught.value) and not files_in(cache)


def test_a_file_that_goes_on_and_on_is_not_read_to_its_end(server: Server, tmp_path: Path) -> None:
    remote = server.remote(MONTHS * 100_000, bytes=100)
    with pytest.raises(DataError, match="got more than 100 bytes"):
        fetch_file(remote, tmp_path, way_out="")
    assert not files_in(tmp_path)


@pytest.mark.parametrize(
    ("offer", "told"),
    [
        ({"status": 404}, "it answers 404 Not Found"),
        ({"status": 302}, "it answers 302 Found"),
        ({"claims": 10_000}, "the connection broke off"),
    ],
)
def test_what_does_not_arrive_leaves_nothing_and_names_the_way_out(
    server: Server, cache: Path, offer: dict[str, Any], told: str
) -> None:
    remote = server.remote(MONTHS, name="gone.csv", **offer)
    with pytest.raises(DataError, match=told) as caught:
        public_table(_public(remote))
    message = str(caught.value)
    assert message.startswith(f"cannot fetch {remote['address']}: ")
    assert "forecast data fetch prices --folder FOLDER" in message and f"{FOLDER}=FOLDER" in message
    assert not files_in(cache) and server.asked == ["/gone.csv"]


def test_without_a_network_the_message_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as taken:  # a port that nobody listens at
        taken.bind(("127.0.0.1", 0))
        remote = {"address": f"http://127.0.0.1:{taken.getsockname()[1]}/a.csv", "bytes": 3, "sha256": "0" * 64}
        with pytest.raises(DataError, match="there is no connection"):
            fetch_table(_public(remote))
    assert not files_in(cache)


def test_a_public_table_is_parsed_once_and_kept_as_parquet(server: Server, cache: Path) -> None:
    public = _public(server.remote(MONTHS))
    assert not at_hand(public)
    first = public_table(public)
    [kept] = at_hand(public)
    assert kept.parent == cache and kept.suffix == ".parquet"
    server.http.shutdown()
    pd.testing.assert_frame_equal(public_table(public), first)
    assert list(first["unique_id"]) == ["A", "B", "B"] and list(first["y"]) == [10.25, 3.5, 4.0]
    assert server.asked == ["/stocks.csv"]


def test_another_checksum_or_parser_is_another_table(server: Server, cache: Path) -> None:
    public = _public(server.remote(MONTHS))
    public_table(public)
    newer = _public(server.remote(MONTHS + b"A,Feb 1 2000,11\n"))
    assert not at_hand(newer) and not at_hand({**public, "parser": "table"})
    assert len(public_table(newer)) == len(public_table(public)) + 1


def test_a_file_that_the_parser_cannot_read_is_told_and_not_kept_as_a_table(server: Server, cache: Path) -> None:
    public = _public(server.remote(b"a,b\n1,2\n"))
    with pytest.raises(DataError, match="the parser 'vega_stocks' cannot read .*stocks.csv"):
        public_table(public)
    assert not list(cache.glob("*.parquet")) and not at_hand(public)


def test_a_table_is_fetched_into_a_folder_that_another_machine_reads(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = _public(server.remote(MONTHS))
    assert fetch_table(public, folder=tmp_path / "stick") == tmp_path / "stick" / "prices.parquet"
    monkeypatch.setenv(CACHE, str(tmp_path / "empty"))
    monkeypatch.setenv(FOLDER, str(tmp_path / "stick"))
    assert len(public_table(public, fetch=False)) == 3
    assert not (tmp_path / "empty").exists()


def test_what_is_not_at_hand_is_not_fetched_where_that_is_not_wanted(server: Server, cache: Path) -> None:
    with pytest.raises(DataError, match="'prices' is not at hand"):
        public_table(_public(server.remote(MONTHS)), fetch=False)
    assert not server.asked


def test_a_cache_that_cannot_be_written_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    monkeypatch.delenv(FOLDER, raising=False)
    with pytest.raises(WriteError, match="cannot write"):
        fetch_table(_public(server.remote(MONTHS)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"address": "http://example.org/a.csv"}, "begins with https://"),
        ({"address": "ftp://127.0.0.1/a.csv"}, "begins with https://"),
        ({"address": "file:///etc/passwd"}, "begins with https://"),
        ({"address": f"{RAW}/main/data/a.csv"}, "names no commit"),
        ({"address": f"{RAW}/{COMMIT[:7]}/data/a.csv"}, "names no commit"),
        ({"sha256": None}, "is 64 digits"),
        ({"sha256": "abc"}, "is 64 digits"),
        ({"bytes": 0}, "is the length of the file"),
    ],
)
def test_what_is_not_pinned_is_refused(change: dict[str, Any], told: str) -> None:
    pinned = {"address": f"{RAW}/{COMMIT}/data/a.csv", "bytes": 3, "sha256": "0" * 64}
    check_remote(pinned)
    with pytest.raises(ConfigError, match=told):
        check_remote({**pinned, **change})


@pytest.mark.parametrize("name", ["../prices", "a/b", "..", "", "C:\\prices"])
def test_no_name_leads_out_of_a_folder(server: Server, cache: Path, name: str) -> None:
    remote = server.remote(MONTHS)
    for public in (_public(remote, table=name), {**_public(remote), "files": {name: remote}}):
        with pytest.raises(ConfigError, match="has letters, digits"):
            public_table(public)
    assert not server.asked and not files_in(cache)


def test_the_name_of_a_fetched_file_is_only_a_name(server: Server, tmp_path: Path) -> None:
    remote = server.remote(MONTHS, name="a%2F..%5Cb c.csv".replace(" ", "%20"))
    path = fetch_file(remote, tmp_path / "inside", way_out="")
    assert path.parent == tmp_path / "inside" and "/" not in path.name and "\\" not in path.name
