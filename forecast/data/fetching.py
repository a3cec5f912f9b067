"""One file from the network into a folder: by https, of the length and the sha256 that are known, or not at all."""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from forecast.errors import ConfigError, DataError
from forecast.files import writing

log = logging.getLogger("forecast")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
COMMIT = re.compile(r"/[^/]+/[^/]+/[0-9a-f]{40}/.+")  # of an address on RAW: owner, repository, commit, path
RAW = "raw.githubusercontent.com"
SHA256 = re.compile(r"[0-9a-f]{64}")
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces
PIECE = 1 << 16  # bytes


def check_remote(remote: dict[str, Any]) -> None:
    """Refuse a file whose content is not pinned, and an address that anybody on the way could change.

    Parameters
    ----------
    remote : dict
        As `forecast.schema.Remote` has it.

    Raises
    ------
    ConfigError
        Says which, and what to give.
    """
    address = remote["address"]
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise ConfigError(f"{address!r} of data.public is no address ({error}). Write https://HOST/PATH.") from error
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ConfigError(f"an address of data.public begins with https://, got {address!r}.")
    if parts.hostname == RAW and not COMMIT.fullmatch(parts.path):
        raise ConfigError(
            f"{address!r} names no commit: a branch may change. Write https://{RAW}/OWNER/REPOSITORY/COMMIT/PATH with "
            "all 40 digits of the commit."
        )
    if not SHA256.fullmatch(str(remote["sha256"])):
        raise ConfigError(f"sha256 of {address!r} is 64 digits of 0-9 and a-f, got {remote['sha256']!r}.")
    if not remote["bytes"] > 0:
        raise ConfigError(f"bytes of {address!r} is the length of the file, got {remote['bytes']!r}.")


def fetch_file(remote: dict[str, Any], folder: Path, *, way_out: str) -> Path:
    """Return the file in a folder, fetched where it is not there yet; what is not whole is never there.

    Parameters
    ----------
    remote : dict
        As `forecast.schema.Remote` has it.
    folder : Path
        Made where there is none.
    way_out : str
        What a person can do who has no network.

    Raises
    ------
    ConfigError
        As in `check_remote`.
    DataError
        If the network gives no such file, or another one.
    WriteError
        If the folder cannot be written.
    """
    check_remote(remote)
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")  # it would print where the file goes
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(urlsplit(remote["address"]).path).name, flags=re.ASCII)
    with writing(folder):
        try:
            return Path(
                pooch.retrieve(
                    remote["address"], known_hash=f"sha256:{remote['sha256']}", path=folder,
                    fname=f"{remote['sha256'][:16]}-{name}", downloader=partial(_download, remote),
                )
            )  # fmt: skip
        except requests.RequestException as error:  # an OSError, but none of the folder
            raise DataError(f"cannot fetch {remote['address']}: {_reason(error)}. {way_out}") from error


def _download(remote: dict[str, Any], address: str, path: str, pooch: Any) -> None:
    """Write what an address gives to a path, piece by piece; as pooch calls it."""
    import requests

    log.info("fetching %s (%s bytes)", address, f"{remote['bytes']:,}")
    # As it lies there: neither compressed on the way nor sent on to another address.
    with (
        requests.get(
            address, stream=True, headers={"Accept-Encoding": "identity"}, allow_redirects=False, timeout=TIMEOUT
        ) as answer,
        open(path, "wb") as file,
    ):
        if answer.status_code != 200:
            raise requests.HTTPError(f"it answers {answer.status_code} {answer.reason}")
        length, digest = _copied(answer, file, most=remote["bytes"])
    if (length, digest) != (remote["bytes"], remote["sha256"]):
        got = f"{length:,} bytes" if length <= remote["bytes"] else f"more than {remote['bytes']:,} bytes"
        raise DataError(
            f"{address} is not the file that it was: expected {remote['bytes']:,} bytes with sha256 "
            f"{remote['sha256']}, got {got} with {digest}. Nothing was kept. Try again; if it stays so, the source has "
            "changed or somebody in between changes it: do not use it."
        )


def _copied(answer: Any, file: IO[bytes], *, most: int) -> tuple[int, str]:
    """Copy an answer, but hardly more than it may have; return its length and sha256."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    digest, length = hashlib.sha256(), 0
    shown = Progress(
        TextColumn("fetching"), BarColumn(), DownloadColumn(),
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    )  # fmt: skip
    with shown:
        task = shown.add_task("", total=most)
        for piece in answer.iter_content(PIECE):
            file.write(piece)
            digest.update(piece)
            length += len(piece)
            shown.update(task, completed=length)
            if length > most:
                break
    return length, digest.hexdigest()


def _reason(error: Exception) -> str:
    """Return why the network gave nothing, in a line."""
    kinds = {
        "ConnectionError": "there is no connection",
        "ConnectTimeout": "it does not answer",
        "ReadTimeout": "it stopped answering",
        "ChunkedEncodingError": "the connection broke off",
    }
    return kinds.get(type(error).__name__, str(error).partition("\n")[0].rstrip("."))
