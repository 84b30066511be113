"""What is found among images: those of enrolled models, groups of unknown ones, and the rest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from modelprint.batches import OneImage
from modelprint.decision import Candidate, Identification, one_line
from modelprint.records import RECORD_SCHEMA, Provenance


class Proposal(NamedTuple):
    """What to enroll a group as: `gallery.enroll(*proposal)`.

    Attributes:
        label: A name that is not enrolled yet; choose a better one when you know it.
        images: The group's images as they were given.
    """

    label: str
    images: tuple[OneImage, ...]


@dataclass(frozen=True)
class FoundImage:
    """An image of no enrolled model.

    Attributes:
        name: As it was given.
        sha256: Hash of its pixels.
        related: The enrolled model or family that it is related to, if any, as in `Identification`.
        score: Mean score against the other images of its group; None for one without a group.
    """

    name: str
    sha256: str
    related: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class LeftOut:
    """An image that nothing can be said about.

    Attributes:
        name: As it was given.
        sha256: Hash of its pixels; None if it could not be read.
        reason_code: "copy" of an image before it; "enrolled" itself, but no match; else that of
            `Identification`.
        reason: The same in one sentence.
    """

    name: str
    sha256: str | None
    reason_code: str
    reason: str


@dataclass(frozen=True)
class Group:
    """Images that look like the work of one generator, which is not enrolled.

    Attributes:
        name: "unknown-1" and so on.
        images: Three or more, the most typical first.
        cohesion: Mean score of the images against each other, in the extractor's unit.
        nearest: The enrolled model that their mean score is best for; None if none is enrolled.
        related: The enrolled model or family that most of the images are related to, if any.
        proposal: What to enroll.
    """

    name: str
    images: tuple[FoundImage, ...]
    cohesion: float
    nearest: Candidate | None
    related: str | None
    proposal: Proposal

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; images by name and hash alone."""
        return {
            "name": self.name,
            "images": [asdict(image) for image in self.images],
            "cohesion": self.cohesion,
            "nearest": None if self.nearest is None else self.nearest.to_dict(),
            "related": self.related,
        }

    def __str__(self) -> str:
        near = "" if self.nearest is None else f", nearest {self.nearest}"
        related = "" if self.related is None else f", related to {self.related}"
        return one_line(
            f"{self.name}: {len(self.images)} images, cohesion {self.cohesion:.3f}{near}{related}"
        )


@dataclass(frozen=True)
class Discovery:
    """What `discover` found; every image is in one of the first four, in order.

    Attributes:
        matched: Answers that are a match with an enrolled model or family.
        groups: Unknown images by generator, the largest group first.
        singles: Unknown images that are like no other, or like a single other one.
        left_out: Images that cannot be judged, and second copies.
        fpr: False-positive rate of a match, in (0, 1).
        pair_rate: The p-value from which on two unknown images counted as alike; None if none did.
        calibration_source: What p-values come from.
        extractor_digest: Which extractor made the fingerprints.
        provenance: What else this was made from, and when.
    """

    matched: tuple[Identification, ...]
    groups: tuple[Group, ...]
    singles: tuple[FoundImage, ...]
    left_out: tuple[LeftOut, ...]
    fpr: float
    pair_rate: float | None
    calibration_source: str
    extractor_digest: str
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON, with an audit record for every match."""
        return {
            "schema_version": RECORD_SCHEMA,
            "kind": "discovery",
            "matched": [answer.to_dict() for answer in self.matched],
            "groups": [group.to_dict() for group in self.groups],
            "singles": [asdict(image) for image in self.singles],
            "left_out": [asdict(image) for image in self.left_out],
            "fpr": self.fpr,
            "pair_rate": self.pair_rate,
            "calibration_source": self.calibration_source,
            "extractor_digest": self.extractor_digest,
            "provenance": {**asdict(self.provenance), "images": []},
        }

    def __str__(self) -> str:
        counts = (
            f"{len(self.matched)} of enrolled models, "
            f"{sum(len(group.images) for group in self.groups)} in {len(self.groups)} groups, "
            f"{len(self.singles)} single, {len(self.left_out)} left out"
        )
        return "\n".join([counts, *map(str, self.groups)])
