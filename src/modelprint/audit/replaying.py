"""Checking an old audit record: the same question is asked again, and the answers are compared."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from modelprint.asking import verify
from modelprint.audit.record_differences import (
    SCORE_TOLERANCE,
    Difference,
    differences,
    largest_score_difference,
    notes,
)
from modelprint.batches import OneImage
from modelprint.decision import Identification, Verification, one_line
from modelprint.errors import (
    ExtractorMismatchError,
    InvalidImageError,
    InvalidOptionError,
    InvalidRecordError,
    RecordMismatchError,
    UnknownLabelError,
)
from modelprint.files import read_bounded
from modelprint.gallery import Gallery
from modelprint.images import LoadedImage, load_image
from modelprint.records import RECORD_SCHEMA

# A record grows with the enrolled models: a hundred bytes each.
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Replay:
    """What came of asking a record's question again.

    Attributes:
        differences: Every value that is not what was recorded; scores may differ by `tolerance`,
            and what is computed from them by as much as follows from that.
        notes: What is different and need not matter: the library's version, the file's format.
        largest_score_difference: Over all scores that are in both.
        tolerance: In the extractor's unit of score.
        answer: The answer of now.
    """

    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    largest_score_difference: float
    tolerance: float
    answer: Identification | Verification

    @property
    def confirmed(self) -> bool:
        """Whether the record says what comes out now."""
        return not self.differences

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "confirmed": self.confirmed,
            "differences": [asdict(difference) for difference in self.differences],
            "notes": list(self.notes),
            "largest_score_difference": self.largest_score_difference,
            "tolerance": self.tolerance,
            "answer": self.answer.to_dict(),
        }

    def __str__(self) -> str:
        if self.confirmed:
            found = f"confirmed, scores within {self.largest_score_difference:.2g}"
        else:
            found = f"not confirmed: {'; '.join(map(str, self.differences))}"
        return one_line("; ".join([found, *self.notes]))


def replay(
    record: Mapping[str, Any] | str | os.PathLike[str],
    image: OneImage | Sequence[OneImage],
    gallery: Gallery,
) -> Replay:
    """Verify an old record: ask its question again and compare every value.

    Nothing is changed, neither the gallery nor the record.

    Args:
        record: What `to_dict()` of an answer gave, as a dict, as JSON text, or the path of a file
            with that.
        image: The image that the record is of; for two images compared with each other, both.
        gallery: As it was then; for two images, any gallery with the extractor of then.

    Raises:
        InvalidRecordError: It is no record, one of another schema, or of an unreadable image.
        InvalidImageError: The image cannot be read.
        RecordMismatchError: The image's pixels or the gallery's content are not those recorded.
        ExtractorMismatchError: The gallery has another extractor than the record.
    """
    old = _parsed(record)
    digest = gallery.extractor.digest
    if old["extractor_digest"] != digest:
        raise ExtractorMismatchError(
            f"the record was made with the extractor {old['extractor_digest'][:12]}, the gallery "
            f"has {digest[:12]}: load the gallery with the extractor of then"
        )
    provenance = old["provenance"]
    recorded = provenance["gallery_digest"]
    if not _is_pair(old) and recorded != gallery.digest:
        models, enrolled = provenance["gallery_models"], provenance["gallery_images"]
        raise RecordMismatchError(
            f"the record is of the gallery {str(recorded)[:12]} with {models} models and "
            f"{enrolled} images, this one is {gallery.digest[:12]} with {len(gallery)} models: "
            "load the gallery file that was kept with the record"
        )
    images = _same_images(old, image)
    answer = _asked_again(old, images, gallery)
    new = answer.to_dict()
    return Replay(
        tuple(differences(old, new)),
        tuple(notes(old, new)),
        largest_score_difference(old, new),
        SCORE_TOLERANCE,
        answer,
    )


def _parsed(record: Mapping[str, Any] | str | os.PathLike[str]) -> dict[str, Any]:
    if isinstance(record, Mapping):
        parsed: object = dict(record)
    else:
        text = record if isinstance(record, str) and record.lstrip().startswith("{") else None
        try:
            text = str(read_bounded(Path(record), _MOST_BYTES), "utf-8") if text is None else text
            parsed = json.loads(text, parse_constant=_refuse_constant)
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidRecordError(
                f"the record cannot be read ({error}): expected what to_dict() of an answer gave, "
                "as a dict, as JSON text or as a path"
            ) from error
    return _checked(parsed)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _checked(record: object) -> dict[str, Any]:
    """Refuse what is not a record of this schema, as far as asking again needs it."""
    if not isinstance(record, dict) or "schema_version" not in record:
        raise InvalidRecordError(
            f"expected an audit record, a dict with a schema_version, got {type(record).__name__}"
            + (f" with the keys {sorted(map(str, record))}" if isinstance(record, dict) else "")
        )
    version, kind = record["schema_version"], record.get("kind")
    if type(version) is not int or version != RECORD_SCHEMA:
        raise InvalidRecordError(
            f"the record has schema version {version!r}, this modelprint reads {RECORD_SCHEMA}: "
            "replay it with the version that it names as library_version"
        )
    if kind not in ("identification", "verification"):
        raise InvalidRecordError(
            f"the record is of kind {kind!r}: expected an identification or a verification"
        )
    if record.get("error") is not None:
        raise InvalidRecordError(
            f"the record is of an image that could not be read ({record['error']}): "
            "there is nothing to compare"
        )
    own: dict[str, Any] = {"image": str, "image_sha256": str, "candidates": list}
    if kind == "verification":
        own = {"images": list, "image_sha256s": list, "label": (str, type(None))}
    _check_fields(
        record,
        {**own, "extractor_digest": str, "fpr": (int, float, type(None)), "provenance": dict},
    )
    _check_fields(
        record["provenance"],
        {
            "gallery_digest": (str, type(None)),
            "gallery_models": int,
            "gallery_images": int,
            "images": list,
        },
    )
    return record


def _check_fields(record: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    for field, kind in types.items():
        if field not in record or not isinstance(record[field], kind):
            what = repr(record[field]) if field in record else "nothing"
            raise InvalidRecordError(
                f"the record's {field} is {what}: it is damaged, or no record of modelprint"
            )


def _is_pair(record: Mapping[str, Any]) -> bool:
    """Whether two images were compared with each other."""
    return record["kind"] == "verification" and record["label"] is None


def _same_images(
    record: Mapping[str, Any], image: OneImage | Sequence[OneImage]
) -> list[LoadedImage]:
    """The images of a record, under the names that they had."""
    pair = _is_pair(record)
    if record["kind"] == "identification":
        names, hashes = [record["image"]], [record["image_sha256"]]
    else:
        names, hashes = record["images"], record["image_sha256s"]
    if len(names) != 1 + pair or len(hashes) != 1 + pair:
        raise InvalidRecordError(f"the record names {len(names)} images: it is damaged")
    given = image if pair and isinstance(image, list | tuple) else [image]
    if len(given) != len(names):
        raise InvalidImageError(
            "image: the record is of two images compared with each other; expected both, (a, b)"
        )
    loaded = []
    for one, name, sha256 in zip(given, names, hashes, strict=True):
        found = load_image(cast(OneImage, one))
        if found.sha256 != sha256:
            raise RecordMismatchError(
                f"{found.name} is not the image of the record: its pixels hash to "
                f"{found.sha256[:12]}, the record says {str(sha256)[:12]}; give the very file, "
                "not a copy that was resized or saved again"
            )
        loaded.append(replace(found, name=name))
    return loaded


def _asked_again(
    record: Mapping[str, Any], images: Sequence[LoadedImage], gallery: Gallery
) -> Identification | Verification:
    fpr = record["fpr"]
    try:
        if record["kind"] == "identification":
            return gallery.identify(images[0], fpr=fpr)
        if record["label"] is not None:
            return gallery.verify(images[0], record["label"], fpr=fpr)
        return verify(images[0], images[1], extractor=gallery.extractor, fpr=fpr)
    except (InvalidOptionError, UnknownLabelError) as error:
        raise InvalidRecordError(
            f"the record's question cannot be asked, so it was changed or damaged: {error}"
        ) from error
