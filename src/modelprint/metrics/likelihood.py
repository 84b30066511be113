"""How much information log-likelihood ratios carry, and how much of it bad calibration loses.

A log-likelihood ratio (LLR) is `ln(P(evidence | one model) / P(evidence | two models))`, in natural
logarithms: 0 says nothing, ln 100 = 4.6 is odds of 100 to 1 in favour.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from modelprint.metrics.inputs import Floats, Ints, finite_scores


def cllr(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Cost of log-likelihood ratios, in bits.

    `Cllr = 1/2 (mean over positives of log2(1 + exp(-llr)) + mean over negatives of
    log2(1 + exp(llr)))` (Brümmer and du Preez, "Application-independent evaluation of speaker
    detection", Computer Speech and Language, 2006): the logarithmic scoring rule at even prior
    odds. `cllr - min_cllr` is what calibration loses, `min_cllr` what the scores cannot tell.

    Args:
        positives: (P,) natural log-likelihood ratios of pairs of one model.
        negatives: (N,) natural log-likelihood ratios of pairs of two models.

    Returns:
        A number >= 0: 0 is perfect, 1 is what LLRs of 0 cost, above 1 they mislead.

    Raises:
        InvalidOptionError: an array is empty, not one-dimensional, or holds NaN or infinity.
    """
    pos, neg = finite_scores("positives", positives), finite_scores("negatives", negatives)
    nats = np.logaddexp(0.0, -pos).mean() + np.logaddexp(0.0, neg).mean()
    return float(nats / (2.0 * math.log(2.0)))


def min_cllr(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Cost in bits that would be left if the scores were calibrated as well as can be.

    The smallest `cllr` over all rising maps of scores to log-likelihood ratios, found by pooling
    adjacent violators (Brümmer and du Preez 2006, section 6). The best map is constant over each
    segment of the lower convex hull of the error curve; a segment that holds shares a of the
    positives and b of the negatives has the ratio a / b. It depends on the order of the scores
    alone, so any scores will do. The map is fitted to the very scores that it is judged on: a
    bound, not a calibration.

    Args:
        positives: (P,) scores of pairs of one model.
        negatives: (N,) scores of pairs of two models.

    Returns:
        Bits in [0, 1]: 0 is perfect separation, 1 is no better than knowing nothing.

    Raises:
        InvalidOptionError: an array is empty, not one-dimensional, or holds NaN or infinity.
    """
    pos, neg = finite_scores("positives", positives), finite_scores("negatives", negatives)
    thresholds = np.append(np.unique(np.concatenate([pos, neg])), np.inf)
    below = np.stack([np.searchsorted(np.sort(kind), thresholds) for kind in (neg, pos)], axis=1)
    steps = np.diff(_lower_hull(below), axis=0)
    b, a = steps[:, 0] / len(neg), steps[:, 1] / len(pos)
    return float((_bits(a, a + b) + _bits(b, a + b)).sum() / 2.0)


def _bits(part: Floats, whole: Floats) -> Floats:
    """`part * log2(whole / part)`, 0 where the part is 0."""
    ratio = np.divide(whole, part, out=np.ones_like(part), where=part > 0.0)
    return np.asarray(part * np.log2(ratio))


def _lower_hull(points: Ints) -> Ints:
    """Corners of the lower convex hull of points (T, 2) that rise in both coordinates."""
    moves = np.diff(points, axis=0) > 0
    # Between two moves straight along the same axis there can be no corner: skip those points.
    turn = (moves[1:] != moves[:-1]).any(axis=1) | moves[1:].all(axis=1)
    corners = points[np.concatenate([[True], turn, [True]])]
    hull: list[tuple[int, int]] = []
    for x, y in corners.tolist():  # whole numbers of any size: no rounding decides what pools
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x1 - x0) * (y - y0) > (y1 - y0) * (x - x0):
                break
            hull.pop()
        hull.append((x, y))
    return np.array(hull, dtype=np.int64)
