"""When is it a match? The rules that turn candidates into a decision.

`fpr`, the allowed false-positive rate, belongs to the *whole answer*. A gallery of N models gives a
strange image N chances to look like one of them, so a p-value is corrected to 1 - (1 - p)^N
(Sidak 1967) before it is compared with `fpr`. A match with a family rests on a member that was
accepted by the same rule: naming the family claims less, and never adds a false positive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from modelprint.answers.usability import Problem
from modelprint.decision import Candidate, ReasonCode
from modelprint.lineage import is_within, narrowest, paths

# Odds of 4 to 1 for a model, or family, against all others that are enrolled. Of answers at the
# bound one in five names the wrong one; a coin toss between two siblings is far below it.
ENOUGH_SHARE = 0.8
# A stranger is called related this many times as often as it is called a match ...
RELATED_FACTOR = 10
# ... but not more often than it is not.
MOST_RELATED_FPR = 0.5


class IdentityVerdict(NamedTuple):
    """Outcome of `decide_identity`; the fields are those of `Identification`."""

    decision: Literal["match", "unknown", "inconclusive"]
    reason_code: ReasonCode
    reason: str
    label: str | None = None
    level: Literal["model", "family"] | None = None
    related: str | None = None


class ClaimVerdict(NamedTuple):
    """Outcome of `decide_claim`; the fields are those of `Verification`."""

    decision: Literal["match", "no_match", "inconclusive"]
    reason_code: ReasonCode
    reason: str


def decide_identity(
    candidates: Sequence[Candidate],
    families: Sequence[Candidate] = (),
    *,
    fpr: float | None,
    finest_p: float,
    unusable: Problem | None = None,
) -> IdentityVerdict:
    """Decide which candidate made the image, if any.

    Args:
        candidates: Every enrolled model, best first, at least one.
        families: Every family of them, best first.
        fpr: Allowed false-positive rate in (0, 1) of the whole answer; None if not calibrated.
        finest_p: Smallest p-value that the calibration can give for the best candidate.
        unusable: What is wrong with the image, if anything.
    """
    best = candidates[0]
    outcome = _decide(best.p_value, len(candidates), fpr, finest_p, unusable)
    if outcome.decision == "inconclusive" or fpr is None or best.p_value is None:
        return IdentityVerdict("inconclusive", outcome.reason_code, outcome.reason)
    if outcome.decision == "no_match":
        reason = f"{best.label} is the nearest, but {outcome.reason}"
        related = _related(candidates, families, fpr)
        if related is not None:
            reason += f"; related to {related}, as at most {related_fpr(fpr):g} of strangers are"
        return IdentityVerdict("unknown", "none_similar", reason, related=related)
    return _named(candidates, outcome.reason)


def decide_claim(
    p_value: float | None,
    *,
    fpr: float | None,
    finest_p: float,
    unusable: Problem | None = None,
    comparisons: int = 1,
) -> ClaimVerdict:
    """Decide one claim.

    Args:
        p_value: The smallest of those of the comparisons.
        fpr: As in `decide_identity`, like the next two.
        finest_p: Of that comparison.
        unusable: Of the image, or one of two.
        comparisons: Number of models that would each bear out the claim.
    """
    return _decide(p_value, comparisons, fpr, finest_p, unusable)


def corrected_p(p_value: float, comparisons: int) -> float:
    """Chance that the best of independent comparisons has this p-value or less (Sidak)."""
    # expm1 and log1p keep the digits that 1 - (1 - p)^N loses for small p.
    return 1.0 if p_value >= 1 else -math.expm1(comparisons * math.log1p(-p_value))


def largest_p(fpr: float, comparisons: int) -> float:
    """The largest p-value of one comparison whose corrected value is within `fpr`."""
    return -math.expm1(math.log1p(-fpr) / comparisons)


def related_fpr(fpr: float) -> float:
    """The rate at which images of strangers are called a match or related."""
    return min(RELATED_FACTOR * fpr, MOST_RELATED_FPR)


def _decide(
    p_value: float | None,
    models: int,
    fpr: float | None,
    finest_p: float,
    unusable: Problem | None,
) -> ClaimVerdict:
    if p_value is None or fpr is None:
        return ClaimVerdict("inconclusive", "not_calibrated", "not calibrated")
    if unusable is not None:
        return ClaimVerdict("inconclusive", *unusable)
    p = corrected_p(p_value, models)
    shown = f"p {p_value:.2g}" if models == 1 else f"p {p:.2g}, corrected for {models} models,"
    if p <= fpr:
        return ClaimVerdict("match", "match", f"{shown} is within the allowed {fpr:g}")
    # At the floor the true p may be far smaller: "no" would blame the image for the calibration.
    if p_value <= finest_p and corrected_p(finest_p, models) > fpr:
        return ClaimVerdict(
            "inconclusive",
            "calibration_too_coarse",
            f"the calibration is too coarse for {models} enrolled and fpr {fpr:g}: "
            f"{shown} is the smallest that it can give",
        )
    return ClaimVerdict("no_match", "not_similar", f"{shown} is above the allowed {fpr:g}")


def _named(candidates: Sequence[Candidate], reason: str) -> IdentityVerdict:
    """The verdict on an image whose best candidate was accepted: at which level?"""
    best = candidates[0]
    if best.share is None or best.share >= ENOUGH_SHARE:
        return IdentityVerdict("match", "match", reason, best.label, "model")
    shares = {c.label: c.share for c in candidates if c.share is not None}
    family = narrowest(best.label, shares, ENOUGH_SHARE)
    rivals = [label for label in shares if family is None or is_within(label, family)][:2]
    between = " and ".join(f"{label} ({100 * shares[label]:.0f} %)" for label in rivals)
    if family is None:
        uncertain = f"{reason}, but it is uncertain between {between}"
        return IdentityVerdict("inconclusive", "too_close", uncertain)
    uncertain = f"member uncertain between {between}; {reason}"
    return IdentityVerdict("match", "family_match", uncertain, family, "family")


def _related(
    candidates: Sequence[Candidate], families: Sequence[Candidate], fpr: float
) -> str | None:
    """The model or family that is too alike for most strangers, if any is; rather the family."""
    everyone = [
        (1.0 if c.p_value is None else c.p_value, c.label) for c in (*candidates, *families)
    ]
    allowed = related_fpr(fpr)
    if allowed <= fpr:
        return None
    alike = sorted(pair for pair in everyone if corrected_p(pair[0], len(everyone)) <= allowed)
    if not alike:
        return None
    nearest = alike[0][1]
    wider = {family.label for family in families} & {label for _, label in alike}
    return max(wider & set(paths(nearest)), key=len, default=nearest)
