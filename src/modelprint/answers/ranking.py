"""Scores become candidates: p-values, likelihood ratios, and an order."""

from __future__ import annotations

import math
from collections.abc import Sequence

from modelprint.calibration import Calibration
from modelprint.decision import Candidate


def ranked(
    labels: Sequence[str],
    scores: Sequence[float],
    enrolled: Sequence[int],
    side_px: int,
    calibration: Calibration | None,
    shares: Sequence[float] | None = None,
) -> tuple[Candidate, ...]:
    """Candidates, best first: by what the scores say, which depends on the images behind each.

    Args:
        labels: Models or families.
        scores: Of the image against each.
        enrolled: Images behind each.
        side_px: Smaller side of the image.
        calibration: What the scores mean; None ranks by score alone.
        shares: Of each, where they are known.
    """
    weighed = []
    for i, (label, score, images) in enumerate(zip(labels, scores, enrolled, strict=True)):
        share = None if shares is None else shares[i]
        if calibration is None:
            weighed.append((0.0, Candidate(label, score, None, share=share)))
            continue
        p_value = calibration.p_value(score, images, side_px)
        llr = calibration.llr(score, images, side_px)
        log_odds = calibration.log_odds(score, images, side_px)
        weight = -math.log(p_value) if log_odds is None else log_odds
        weighed.append((weight, Candidate(label, score, p_value, llr, share)))
    weighed.sort(key=lambda pair: (-pair[0], -pair[1].score))
    return tuple(candidate for _, candidate in weighed)
