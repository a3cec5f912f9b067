"""Files that are written whole or not at all, and read only where they are files."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from forecast.errors import ArtifactError, ForecastError, WriteError

if TYPE_CHECKING:
    from filelock import FileLock

log = logging.getLogger("forecast")
PART, OLD = ".part", ".old"  # ends of the names of what is being written, and of what makes room for it
LOCKLESS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # of a disk that knows no locks
STALE = 3600  # seconds after which what is still being written belongs to a process that was killed
REASONS = {
    errno.ENOSPC: "there is no room left on the disk",
    errno.EFBIG: "the file would be larger than this system lets it be",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EROFS: "the disk is read-only",
    errno.EEXIST: "a file is in its place",
    errno.EISDIR: "a folder is in its place",
    errno.ENOTDIR: "part of the path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long",
}


def write_whole(path: str | Path, content: str | bytes) -> Path:
    """Write a file under a temporary name beside it, then rename it.

    Parameters
    ----------
    path : path
        Of the file; its folder is made where there is none.
    content : str or bytes
        Text is written as UTF-8.

    Raises
    ------
    WriteError
        If it cannot be written; what stood there before is whole.
    """
    path = Path(path)
    temporary = beside(path, PART)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path)
        try:
            write_new(temporary, content.encode("utf-8") if isinstance(content, str) else content)
            os.replace(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        settle(path.parent)
    return path


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist, and wait until it lies on the disk; a link planted there is not followed."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def settle(folder: Path) -> None:
    """Wait until the names in a folder lie on the disk, where the system offers that."""
    with suppress(OSError):  # Windows opens no folders, and some file systems sync none
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def beside(path: Path, end: str) -> Path:
    """Return a new hidden name beside a path, which nobody can guess."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}{end}")


def leftovers(path: Path, end: str) -> list[Path]:
    """Return what was left beside a path under the names that `beside` gives, oldest first."""
    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except OSError:
        return []
    found = [path.with_name(name) for name in names if name.startswith(f".{path.name}.") and name.endswith(end)]
    return sorted(found, key=changed)


def remove_stale(path: Path) -> None:
    """Remove what killed processes were writing in the place of a file."""
    for left in leftovers(path, PART):
        if time.time() - changed(left) > STALE:
            with suppress(OSError):  # another process may be removing it too
                left.unlink()


def read_regular(path: Path, *, most: int | None = None) -> bytes:
    """Return what a file holds; links are followed, but what is no file (a pipe, a device, a folder) is not opened.

    Parameters
    ----------
    path : Path
        Of the file.
    most : int, optional
        Bytes that it may have.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ArtifactError
        If it is no file, or larger, or larger than the memory.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise ArtifactError(f"{str(path)!r} is no regular file, and is not read. Take a whole copy.")
    if most is not None and about.st_size > most:
        raise ArtifactError(f"{str(path)!r} has more than {most:,} bytes, which no such file has. Take a whole copy.")
    with path.open("rb") as file:
        try:
            return file.read() if most is None else file.read(most)  # it may grow meanwhile
        except MemoryError:
            raise ArtifactError(f"{str(path)!r} is larger than the memory. Take a whole copy.") from None


def held(path: Path, refusal: str) -> FileLock:
    """Return a lock that is held, or one that is not where the disk knows none.

    Raises
    ------
    WriteError
        If another process holds it, with the words for that.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0, fallback_to_soft=False)  # a soft lock would outlive a process that was killed
    try:
        lock.acquire()
    except Timeout:
        raise WriteError(refusal) from None
    except OSError as error:
        if error.errno not in LOCKLESS:
            raise
        log.warning("'%s' cannot be locked on this disk: let no other run write to it meanwhile.", path.parent)
    return lock


def give_back(lock: FileLock) -> None:
    """Release a lock, and leave no file of it."""
    # One that is held is removed first, so that nobody takes one that is about to go; Windows cannot.
    if os.name == "posix":
        unlink(Path(lock.lock_file))
    lock.release()
    if os.name != "posix":
        unlink(Path(lock.lock_file))


def unlink(path: Path) -> None:
    """Remove a file, where that can be done."""
    with suppress(OSError):  # it, or the whole folder, may be gone, or cannot be written any more
        path.unlink()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says when it cannot write into a message that names the path and the way out."""
    try:
        yield
    except ForecastError:
        raise
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: str | Path, error: OSError) -> WriteError:
    """Return what a person is told of a place that cannot be written."""
    number = error.errno or 0
    reason = REASONS.get(number) or error.strerror or str(error)
    way_out = "Make room" if number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT) else "Allow writing there"
    told = WriteError(
        f"cannot write {str(path)!r}: {reason}. What stood there before is whole. {way_out}, or choose another folder."
    )
    told.errno = number
    return told


def changed(path: Path) -> float:
    """Return when a file or folder changed last, in seconds; now where it is gone meanwhile."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return time.time()
