"""Keeps Pillow's many exceptions, and its warnings, away from the caller."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from PIL import Image

from modelprint.errors import InvalidImageError


@contextmanager
def pillow_errors_as_ours(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises inside the block into `InvalidImageError`, and silence it.

    Args:
        name: what the error calls the image.

    Raises:
        InvalidImageError: anything but an exit was raised inside; the cause is kept.
    """
    try:
        with _without_pillow_warnings():
            yield
    except InvalidImageError:
        raise
    except Image.DecompressionBombError as error:
        raise InvalidImageError(
            f"{name}: expected an image within Pillow's own limit, got a larger one ({error}). "
            "Crop the image, do not resize it; or raise PIL.Image.MAX_IMAGE_PIXELS."
        ) from error
    except Exception as error:  # Pillow raises SyntaxError, struct.error, KeyError, MemoryError ...
        raise InvalidImageError(
            f"{name}: expected an image that can be decoded, got a damaged or unsupported one "
            f"({type(error).__name__}: {error}). Get an intact copy, or save it again as PNG."
        ) from error


_quiet_lock = threading.Lock()
_quiet_threads = 0
_quiet_filter = ExitStack()


@contextmanager
def _without_pillow_warnings() -> Iterator[None]:
    """Silence Pillow, and nobody else, while at least one thread is in here.

    The warning filters belong to the whole process, and `catch_warnings` puts back what it found:
    threads that overlap would leave each other's filters behind. So the first thread in sets the
    filter, and the last one out takes it away.
    """
    global _quiet_threads
    if getattr(sys.flags, "context_aware_warnings", False):  # Python 3.14: filters per thread
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
        return
    with _quiet_lock:
        if _quiet_threads == 0:
            _quiet_filter.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _quiet_threads += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_threads -= 1
            if _quiet_threads == 0:
                _quiet_filter.close()
