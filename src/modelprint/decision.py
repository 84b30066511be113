"""Scores become an answer: the rules, and the records that carry it.

`fpr`, the allowed false-positive rate, belongs to the *whole answer*. A gallery of N models gives a
strange image N chances to look like one of them, so the best p-value is corrected to 1 - (1 - p)^N
(Sidak 1967) before it is compared with `fpr`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

FLAT_SHARE = 0.98
RELIABLE_SIDE_PX = 64


@dataclass(frozen=True)
class Candidate:
    """One enrolled model as a possible maker of an image.

    Attributes:
        label: The name it is enrolled under.
        score: How alike, in the extractor's unit; larger is more alike.
        p_value: Share in (0, 1] of impostors that score as high, for this one comparison; None
            where the extractor is not calibrated.
    """

    label: str
    score: float
    p_value: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        p = "not calibrated" if self.p_value is None else f"p {self.p_value:.2g}"
        return one_line(f"{self.label}: score {self.score:.3f}, {p}")


@dataclass(frozen=True)
class Identification:
    """Which enrolled model made an image.

    Attributes:
        decision: "match"; "unknown", no enrolled model is like enough; or "inconclusive", the
            question cannot be answered honestly.
        label: The model, or None unless `decision` is "match".
        candidates: Every enrolled model, best first.
        reason: Why, in one sentence.
        fpr: False-positive rate in (0, 1) of the whole answer; None if not calibrated.
        image: Name of the image as it was given.
        image_sha256: Hash of its pixels; None if it could not be read.
        extractor_digest: Which extractor made the fingerprints.
        warnings: What may make the answer less reliable.
        error: Why the image could not be read, or None.
    """

    decision: Literal["match", "unknown", "inconclusive"]
    label: str | None
    candidates: tuple[Candidate, ...]
    reason: str
    fpr: float | None
    image: str
    image_sha256: str | None
    extractor_digest: str
    warnings: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The audit record: plain values, for JSON."""
        return _plain(asdict(self))

    def __str__(self) -> str:
        found = self.decision if self.label is None else f"{self.decision} {self.label}"
        return one_line(f"{self.image}: {found} ({self.reason})")


@dataclass(frozen=True)
class Verification:
    """Whether a claim about one image, or about two, holds.

    Attributes:
        decision: "match"; "no_match", the claim is not supported at this `fpr`; or "inconclusive",
            the question cannot be answered honestly.
        score: How alike, in the extractor's unit; larger is more alike.
        p_value: Share in (0, 1] of impostors that score as high; None if not calibrated.
        claim: What was to be verified.
        reason: Why, in one sentence.
        fpr: Allowed false-positive rate in (0, 1); None if not calibrated.
        images: Names of the one or two images as they were given.
        image_sha256s: Hashes of their pixels.
        extractor_digest: Which extractor made the fingerprints.
        warnings: What may make the answer less reliable.
    """

    decision: Literal["match", "no_match", "inconclusive"]
    score: float
    p_value: float | None
    claim: str
    reason: str
    fpr: float | None
    images: tuple[str, ...]
    image_sha256s: tuple[str, ...]
    extractor_digest: str
    warnings: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the claim was shown to hold: `decision` is "match"."""
        return self.decision == "match"

    def to_dict(self) -> dict[str, Any]:
        """The audit record: plain values, for JSON."""
        return _plain(asdict(self))

    def __str__(self) -> str:
        return one_line(f"{', '.join(self.images)}: {self.decision}, {self.claim} ({self.reason})")


class IdentityVerdict(NamedTuple):
    """Outcome of `decide_identity`."""

    decision: Literal["match", "unknown", "inconclusive"]
    reason: str


class ClaimVerdict(NamedTuple):
    """Outcome of `decide_claim`."""

    decision: Literal["match", "no_match", "inconclusive"]
    reason: str


def decide_identity(
    candidates: Sequence[Candidate], *, fpr: float | None, finest_p: float, flat_share: float
) -> IdentityVerdict:
    """Decide whether the best of the candidates made the image.

    Args:
        candidates: Every enrolled model, best first, at least one.
        fpr: Allowed false-positive rate in (0, 1) of the whole answer; None if not calibrated.
        finest_p: Smallest p-value that the calibration can give for the best candidate.
        flat_share: Share in [0, 1] of the image's pixels that equal their neighbour.
    """
    best, models = candidates[0], len(candidates)
    outcome, reason = _decide(best.p_value, models, fpr, finest_p, flat_share)
    if outcome == "no_match":
        return IdentityVerdict("unknown", f"{best.label} is the nearest, but {reason}")
    return IdentityVerdict(outcome, reason)


def decide_claim(
    p_value: float | None, *, fpr: float | None, finest_p: float, flat_share: float
) -> ClaimVerdict:
    """Decide one claimed comparison; the arguments are those of `decide_identity`."""
    return _decide(p_value, 1, fpr, finest_p, flat_share)


def corrected_p(p_value: float, comparisons: int) -> float:
    """Chance that the best of independent comparisons has this p-value or less (Sidak)."""
    # expm1 and log1p keep the digits that 1 - (1 - p)^N loses for small p.
    return 1.0 if p_value >= 1 else -math.expm1(comparisons * math.log1p(-p_value))


def size_warnings(name: str, height_px: int, width_px: int) -> tuple[str, ...]:
    """What an image's size says about how far its scores can be trusted."""
    if min(height_px, width_px) >= RELIABLE_SIDE_PX:
        return ()
    few = f"fewer than {RELIABLE_SIDE_PX} px a side: scores are less reliable"
    return (f"{name} is {width_px} x {height_px} px, {few}",)


def one_line(text: str) -> str:
    """The text with line breaks and other unprintable characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _decide(
    p_value: float | None, models: int, fpr: float | None, finest_p: float, flat_share: float
) -> ClaimVerdict:
    if p_value is None or fpr is None:
        return ClaimVerdict("inconclusive", "not calibrated")
    if flat_share > FLAT_SHARE:
        share = f"{100 * flat_share:.1f} % of its pixels equal their neighbour"
        return ClaimVerdict("inconclusive", f"nearly flat image: {share}")
    p = corrected_p(p_value, models)
    shown = f"p {p_value:.2g}" if models == 1 else f"p {p:.2g}, corrected for {models} models,"
    if p <= fpr:
        return ClaimVerdict("match", f"{shown} is within the allowed {fpr:g}")
    # At the floor the true p may be far smaller: "no" would blame the image for the calibration.
    if p_value <= finest_p and corrected_p(finest_p, models) > fpr:
        return ClaimVerdict(
            "inconclusive",
            f"the calibration is too coarse for {models} enrolled and fpr {fpr:g}: "
            f"{shown} is the smallest that it can give",
        )
    return ClaimVerdict("no_match", f"{shown} is above the allowed {fpr:g}")


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(record))
    return plain
