"""Figures as a JSON file that can be committed: one way to check the place, one to write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from modelprint.errors import InvalidOptionError


def check_place(path: Path | None) -> None:
    """Refuse a path that could not be written, before minutes of work are lost to it.

    Args:
        path: What `--json` named, if anything.

    Raises:
        InvalidOptionError: Its folder does not exist.
    """
    if path is not None and not path.absolute().parent.is_dir():
        raise InvalidOptionError(f"--json: there is no folder {path.parent}.")


def write_record(path: Path, record: Mapping[str, object]) -> None:
    """Write figures and what they belong to; NaN is refused, as JSON has none."""
    path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
