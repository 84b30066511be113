"""Files that are whole or not there: changed by one process at a time, replaced in one step.

A lock is an empty hidden file beside the one that it guards; the system lets go of it when a
process ends, however it ends. It stays in the folder, for removing it would let two processes lock
two files of one name. What a killed writer left is overwritten by the next one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from modelprint.errors import FileBusyError, InvalidOptionError

LOCK_TIMEOUT_S = 60.0


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
    lock = FileLock(_beside(place, "lock"), is_singleton=True)
    try:
        held = lock.acquire(timeout=timeout_s)
    except Timeout as error:
        raise FileBusyError(
            f"{path}: another process or thread has been changing it for {timeout_s:g} s; try "
            "again when it is done, or wait longer with a larger timeout"
        ) from error
    with held:
        yield


def replace_file(target: Path, content: bytes) -> None:
    """Put content in place of a file in one step that a crash cannot split; hold its lock.

    Raises:
        OSError: The file system refused; the old file is as it was.
    """
    temporary = _beside(target, "tmp")
    temporary.unlink(missing_ok=True)
    # Opened by hand for the umask to apply, as it would to any new file: tempfile makes them 0600.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # Windows has no way to sync a folder
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f".{target.name}.{ending}")
