"""A file is changed by one process and one thread at a time.

A lock is an empty hidden file beside the one that it guards; the system lets go of it when a
process ends, however it ends. It stays in the folder, for removing it would let two processes lock
two files of one name.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from modelprint.errors import FileBusyError, InvalidOptionError

LOCK_TIMEOUT_S = 60.0
_of_thread = threading.local()


def place_of(path: str | os.PathLike[str]) -> Path:
    """Where a file is or will be, links resolved.

    Raises:
        InvalidOptionError: There can be no file.
    """
    target = Path(path).resolve()
    if not target.parent.is_dir() or (target.exists() and not target.is_file()):
        raise InvalidOptionError(f"{path}: expected the path of a file in an existing folder")
    return target


@contextmanager
def locked(path: str | os.PathLike[str], timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Keep other processes and threads that do the same away from a file.

    Args:
        path: The file, which need not exist; the thread that holds it may lock it again.
        timeout_s: How long to wait for others, in seconds.

    Raises:
        InvalidOptionError: `path` is not a place for a file.
        FileBusyError: Others kept it for so long.
        OSError: The file system refused.
    """
    place = place_of(path)
    held: set[Path] = _of_thread.__dict__.setdefault("held", set())
    if place in held:
        yield
        return
    lock = FileLock(place.with_name(f".{place.name}.lock"))
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout as error:
        raise FileBusyError(
            f"{path}: another process or thread has been changing it for {timeout_s:g} s; try "
            "again when it is done, or wait longer with a larger timeout"
        ) from error
    held.add(place)
    try:
        yield
    finally:
        held.remove(place)
        lock.release()


def remove_leftovers(place: Path) -> None:
    """Remove what writers of a file left beside it when they were killed; hold its lock."""
    for path in place.parent.iterdir():
        if path.name.startswith(f".{place.name}.") and path.suffix == ".tmp":
            path.unlink(missing_ok=True)
