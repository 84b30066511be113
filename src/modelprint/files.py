"""Files are read no further than they may be long, and replaced as a whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: It cannot be read, is no regular file, or is longer than `most_bytes`.
    """
    # Looked at before it is opened: opening a pipe would wait for a writer for ever.
    if path.exists() and not path.is_file():
        raise OSError(f"{path}: expected a file, got a folder, pipe or device")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, most_bytes) + 1)
    if len(content) > most_bytes:
        raise OSError(f"{path}: expected at most {most_bytes} bytes, got {size}")
    return content


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Put files in place of others, each in one step that a crash cannot split.

    All of them are written beside their places and synced before the first is put in its place, so
    that a full disk, an error or a kill while writing leaves the older files as they were.

    Args:
        contents: By the path of a file, which is replaced itself where it is a link.

    Raises:
        OSError: The file system refused.
    """
    temporaries: dict[Path, Path] = {}
    try:
        for target, content in contents.items():
            temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
            # By hand for the umask to apply, as it would to any new file: tempfile makes them 0600.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            temporaries[target] = temporary
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        for target, temporary in temporaries.items():
            temporary.replace(target)
    except BaseException:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # Windows has no way to sync a folder
        for parent in {target.parent for target in contents}:
            folder = os.open(parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
