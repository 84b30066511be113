"""Audit records: what an answer was made from, and how a record is written down.

A record is the dict that `answer.to_dict()` gives. The same image asked of the same gallery gives
the same record, but for `record["provenance"]["time"]`.

Canonical JSON is one text for one record: keys sorted, no spaces, characters as they are (a lone
surrogate, as undecodable file names contain, is escaped), floats as Python's `repr` writes them,
NaN and infinities refused. Its UTF-8 bytes are what `record_digest` hashes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from modelprint.errors import InvalidRecordError
from modelprint.images import LoadedImage
from modelprint.version import __version__

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RECORD_SCHEMA = 1

Kind = Literal["identification", "verification", "evidence"]

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def utc_now() -> str:
    """The time as records have it."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class ImageFacts:
    """What a record says about an image besides its name and hash.

    Attributes:
        format: Of the file, or "PIL", "array", "tensor"; see `modelprint.images.LoadedImage`.
        width_px: Width after EXIF orientation.
        height_px: Height after EXIF orientation.
    """

    format: str
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Provenance:
    """What an answer was made from.

    Attributes:
        images: One entry per image of the answer; none where it could not be read.
        gallery_digest: Of the gallery that was asked; None for two images against each other.
        gallery_models: Models enrolled in it.
        gallery_images: Images enrolled in it.
        calibration_digest: Of the calibration that gave p-values; None if not calibrated.
        library_version: Of modelprint.
        time: When the answer was made: UTC, ISO 8601, to the microsecond. Not compared.
    """

    images: tuple[ImageFacts, ...]
    gallery_digest: str | None
    gallery_models: int
    gallery_images: int
    calibration_digest: str | None
    library_version: str = __version__
    time: str = field(default_factory=utc_now, compare=False)


def image_facts(images: Sequence[LoadedImage]) -> tuple[ImageFacts, ...]:
    """What a record says about images."""
    return tuple(
        ImageFacts(image.format, image.pixels.shape[2], image.pixels.shape[1]) for image in images
    )


def audit_record(kind: Kind, answer: DataclassInstance) -> dict[str, Any]:
    """The record of an answer: plain values, for JSON.

    Args:
        kind: What was asked.
        answer: A dataclass, which brings its `provenance` where there is one.
    """
    record = {"schema_version": RECORD_SCHEMA, "kind": kind, **asdict(answer)}
    plain: dict[str, Any] = json.loads(json.dumps(record, allow_nan=False))
    return plain


def canonical_json(record: Mapping[str, Any]) -> str:
    """The one text of a record, see above.

    Raises:
        InvalidRecordError: It holds something that JSON has no word for, such as NaN.
    """
    try:
        text = json.dumps(
            record, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except (TypeError, ValueError) as error:
        raise InvalidRecordError(
            f"the record cannot be written as JSON ({error}): expected what to_dict() gave"
        ) from error
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def record_digest(record: Mapping[str, Any]) -> str:
    """Sha256 in hex of a record's canonical JSON, time included: to log, sign or compare.

    Takes any other mapping of plain values as well, such as a calibration's `to_dict()`.

    Raises:
        InvalidRecordError: It holds something that JSON has no word for.
    """
    return hashlib.sha256(canonical_json(record).encode()).hexdigest()
