"""How well a gallery knows its models: what is drifting, alike, or enrolled with too few images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from modelprint.decision import one_line
from modelprint.health.drift import Drift
from modelprint.records import RECORD_SCHEMA, Provenance


@dataclass(frozen=True)
class LabelHealth:
    """What a gallery's own images say about one of its models.

    Shares are of its images, each asked about as if it were not enrolled; None for a single image.

    Attributes:
        label: The model.
        images: Enrolled images.
        enrolments: In how many calls of `enroll` they came.
        cohesion: Mean score of its images against each other; None for a single one.
        recognised: Share in [0, 1] for which this model is the best candidate.
        matched: Share for which the answer is a match with it, or with its family; None if not
            calibrated.
        mistaken: Share for which it is a match with another; None if not calibrated.
        drift: Its first images against its later ones; None if they came in one enrolment, or
            there are too few.
        drifted: Whether that is too much for chance, given how many models were tested.
        wanted: Images after which more of them hardly help.
        missing: How many of these are not enrolled yet.
    """

    label: str
    images: int
    enrolments: int
    cohesion: float | None
    recognised: float | None
    matched: float | None
    mistaken: float | None
    drift: Drift | None
    drifted: bool
    wanted: int
    missing: int

    def __str__(self) -> str:
        parts = [f"{self.images} image{'s' if self.images > 1 else ''}"]
        if self.recognised is not None:
            parts.append(f"{100 * self.recognised:.0f} % recognised")
        if self.matched is not None:
            parts.append(f"{100 * self.matched:.0f} % matched")
        if self.mistaken:
            parts.append(f"{100 * self.mistaken:.0f} % taken for another")
        if self.drifted and self.drift is not None:
            parts.append(f"drifted (p {self.drift.p_value:.2g})")
        parts.append(f"{self.missing} more wanted" if self.missing else "enough")
        return one_line(f"{self.label}: {', '.join(parts)}")


@dataclass(frozen=True)
class LookAlikes:
    """Two labels that the enrolled images cannot be told apart by.

    Attributes:
        labels: The two.
        images: Images of each that were asked about, each as if it were not enrolled.
        confused: How many of these fit the other label better.
        p_value: Chance in (0, 1] that a coin toss confuses no more; large: no better than that.
    """

    labels: tuple[str, str]
    images: tuple[int, int]
    confused: tuple[int, int]
    p_value: float

    def __str__(self) -> str:
        return one_line(
            f"{self.labels[0]} and {self.labels[1]} cannot be told apart: "
            f"{sum(self.confused)} of {sum(self.images)} images fit the other better"
        )


@dataclass(frozen=True)
class GalleryHealth:
    """What `Gallery.health` found.

    Attributes:
        labels: Every model, in order of first enrolment.
        look_alikes: Pairs of models that cannot be told apart, by at least five images.
        fpr: False-positive rate in (0, 1) of a match; None if not calibrated.
        calibration_source: What p-values come from; None if not calibrated.
        extractor_digest: Which extractor made the fingerprints.
        provenance: What else this was made from, and when.
        warnings: What may make it less reliable.
    """

    labels: tuple[LabelHealth, ...]
    look_alikes: tuple[LookAlikes, ...]
    fpr: float | None
    calibration_source: str | None
    extractor_digest: str
    provenance: Provenance
    warnings: tuple[str, ...] = ()

    @property
    def drifted(self) -> tuple[str, ...]:
        """The models whose later images no longer look like their first ones."""
        return tuple(health.label for health in self.labels if health.drifted)

    @property
    def missing(self) -> dict[str, int]:
        """How many images a model still needs, by label, where it needs any."""
        return {health.label: health.missing for health in self.labels if health.missing}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        record = {"schema_version": RECORD_SCHEMA, "kind": "health", **asdict(self)}
        plain: dict[str, Any] = json.loads(json.dumps(record, allow_nan=False))
        return plain

    def __str__(self) -> str:
        return "\n".join(map(str, (*self.labels, *self.look_alikes, *self.warnings)))
