"""What is answered: the records of an identification and of a verification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from modelprint.records import Provenance, audit_record

ReasonCode: TypeAlias = Literal[
    "match",
    "family_match",
    "none_similar",
    "not_similar",
    "not_calibrated",
    "calibration_too_coarse",
    "too_small",
    "too_flat",
    "too_recompressed",
    "too_close",
    "unreadable",
]


@dataclass(frozen=True)
class Candidate:
    """One enrolled model, or a family of them, as a possible maker of an image.

    Attributes:
        label: The name it is enrolled under.
        score: How alike, in the extractor's unit; larger is more alike.
        p_value: Share in (0, 1] of impostors that score as high, for this one comparison; None
            where nothing is calibrated.
        llr: Natural-log likelihood ratio of "this model made it" against "another did", within
            what the calibration supports; None where that has no genuine scores.
        share: Probability in [0, 1] of this model, given that one of the enrolled made the image
            and that all were as probable before (see `modelprint.answers.rivals`); None for
            families, and where neither the calibration nor the enrolled images tell.
    """

    label: str
    score: float
    p_value: float | None
    llr: float | None = None
    share: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dict(vars(self))

    def __str__(self) -> str:
        p = "not calibrated" if self.p_value is None else f"p {self.p_value:.2g}"
        return one_line(f"{self.label}: score {self.score:.3f}, {p}")


@dataclass(frozen=True)
class Identification:
    """Which enrolled model made an image.

    Attributes:
        decision: "match"; "unknown", no enrolled model is like enough; or "inconclusive", the
            question cannot be answered honestly.
        label: The model or family, or None unless `decision` is "match".
        level: Whether `label` names a "model", or a "family" whose member is uncertain; None unless
            `decision` is "match".
        related: Of an image that is "unknown", the model or family that it resembles more than
            strangers mostly do, yet too little for a match; else None.
        candidates: Every enrolled model, best first.
        families: Every family of enrolled models, best first, each compared as one.
        reason_code: Why, as one of a few words.
        reason: Why, in one sentence.
        fpr: False-positive rate in (0, 1) of the whole answer; None if not calibrated.
        p_threshold: The largest `p_value` with which a candidate is accepted; None if not
            calibrated.
        calibration_source: What the p-values and likelihood ratios come from, and by which
            method; None if not calibrated.
        image: Name of the image as it was given.
        image_sha256: Hash of its pixels; None if it could not be read.
        extractor_digest: Which extractor made the fingerprints.
        provenance: What else the answer was made from, and when.
        warnings: What may make the answer less reliable.
        error: Why the image could not be read, or None.
    """

    decision: Literal["match", "unknown", "inconclusive"]
    label: str | None
    level: Literal["model", "family"] | None
    related: str | None
    candidates: tuple[Candidate, ...]
    families: tuple[Candidate, ...]
    reason_code: ReasonCode
    reason: str
    fpr: float | None
    p_threshold: float | None
    calibration_source: str | None
    image: str
    image_sha256: str | None
    extractor_digest: str
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The audit record: plain values, for JSON."""
        return audit_record("identification", self)

    def __str__(self) -> str:
        found = self.decision if self.label is None else f"{self.decision} {self.label}"
        family = " family" if self.level == "family" else ""
        return one_line(f"{self.image}: {found}{family} ({self.reason})")


@dataclass(frozen=True)
class Verification:
    """Whether a claim about one image, or about two, holds.

    Attributes:
        decision: "match"; "no_match", the claim is not supported at this `fpr`; or "inconclusive",
            the question cannot be answered honestly.
        score: How alike, in the extractor's unit; larger is more alike.
        p_value: Share in (0, 1] of impostors that score as high; None if not calibrated. Of a
            family, corrected for the number of models that the image was compared with.
        llr: Natural-log likelihood ratio of the claim against its contrary; None where the
            calibration has none, and for families.
        claim: What was to be verified.
        label: The claimed model or family; None where two images were compared.
        reason_code: Why, as one of a few words.
        reason: Why, in one sentence.
        fpr: Allowed false-positive rate in (0, 1); None if not calibrated.
        calibration_source: What `p_value` and `llr` come from; None if not calibrated.
        images: Names of the one or two images as they were given.
        image_sha256s: Hashes of their pixels.
        extractor_digest: Which extractor made the fingerprints.
        provenance: What else the answer was made from, and when.
        warnings: What may make the answer less reliable.
    """

    decision: Literal["match", "no_match", "inconclusive"]
    score: float
    p_value: float | None
    llr: float | None
    claim: str
    label: str | None
    reason_code: ReasonCode
    reason: str
    fpr: float | None
    calibration_source: str | None
    images: tuple[str, ...]
    image_sha256s: tuple[str, ...]
    extractor_digest: str
    provenance: Provenance
    warnings: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the claim was shown to hold: `decision` is "match"."""
        return self.decision == "match"

    def to_dict(self) -> dict[str, Any]:
        """The audit record: plain values, for JSON."""
        return audit_record("verification", self)

    def __str__(self) -> str:
        return one_line(f"{', '.join(self.images)}: {self.decision}, {self.claim} ({self.reason})")


def one_line(text: str) -> str:
    """The text with line breaks and other unprintable characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
