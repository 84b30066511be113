"""Figures of verification, identification and open-set answers, from scores.

Equal scores are counted exactly: no figure depends on the order in which ties happen to stand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from modelprint.errors import InvalidOptionError
from modelprint.metrics.inputs import Floats, finite_scores, finite_table


def roc_auc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, a tie being half.

    Args:
        positives: (P,) scores of pairs of one model.
        negatives: (N,) scores of pairs of two models.

    Returns:
        A share in [0, 1]; 1 is perfect separation, 0.5 is chance.

    Raises:
        InvalidOptionError: an array is empty, not one-dimensional, or holds NaN or infinity.
    """
    pos, neg = finite_scores("positives", positives), finite_scores("negatives", negatives)
    return float(wins(pos, np.sort(neg)).sum() / (len(pos) * len(neg)))


def equal_error_rate(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Error rate at the threshold where false accepts and false rejects are equally frequent.

    Where no threshold makes the two equal, the point is taken on the straight line between the two
    neighbouring points of the ROC curve, as is usual.

    Args:
        positives: (P,) scores that should be accepted.
        negatives: (N,) scores that should be rejected.

    Returns:
        A share in [0, 1]; 0 is perfect separation, 0.5 is chance.

    Raises:
        InvalidOptionError: an array is empty, not one-dimensional, or holds NaN or infinity.
    """
    pos, neg = finite_scores("positives", positives), finite_scores("negatives", negatives)
    _, false_rejects, false_accepts = error_curves(pos, neg)
    return float(crossing(false_rejects[None], false_accepts[None])[0])


def tpr_at_fpr(positives: ArrayLike, negatives: ArrayLike, fpr: float) -> float:
    """Share of positives accepted at the best threshold that accepts at most `fpr` of negatives.

    Nothing is interpolated: a real threshold attains the figure.

    Args:
        positives: (P,) scores that should be accepted.
        negatives: (N,) scores that should be rejected.
        fpr: largest tolerated share of accepted negatives, in [0, 1].

    Returns:
        A share in [0, 1]; 1 is best.

    Raises:
        InvalidOptionError: `fpr` is outside [0, 1], or an array is not a list of finite scores.
    """
    pos, neg = finite_scores("positives", positives), finite_scores("negatives", negatives)
    if not 0.0 <= fpr <= 1.0:
        raise InvalidOptionError(f"fpr: expected a share in [0, 1], got {fpr!r}.")
    _, false_rejects, false_accepts = error_curves(pos, neg)
    return float(1.0 - false_rejects[false_accepts <= fpr].min())


def top_k_accuracy(scores: ArrayLike, targets: ArrayLike, k: int = 1) -> float:
    """Share of images whose true model is among the `k` best-scored enrolled models.

    Where the true model ties with others across the k-th place, the image counts with the chance
    that a fair draw among the tied would put it inside: constant scores earn k / L, not 1.

    Args:
        scores: (N, L) score of each image against each enrolled model.
        targets: (N,) integers in [0, L), the column of the true model.
        k: places that count, 1 to L.

    Returns:
        A share in [0, 1]; 1 is best.

    Raises:
        InvalidOptionError: shapes disagree, a target or `k` is out of range, or a score is not
            finite.
    """
    return float(top_k_hits(scores, targets, k).mean())


def oscr(known_scores: ArrayLike, known_correct: ArrayLike, unknown_scores: ArrayLike) -> float:
    """Open-set classification rate: area under correct identification over false-positive rate.

    The curve runs over all thresholds: its height is the share of known images that are both
    identified and accepted, its abscissa the share of unknown images that are accepted (Dhamija et
    al., 2018). The area equals the chance that a known image is identified correctly and outscores
    an unknown one, a tie being half, which is how it is computed.

    Args:
        known_scores: (N,) best score of each image of an enrolled model.
        known_correct: (N,) bool, whether that best score belongs to the true model.
        unknown_scores: (U,) best score of each image of a model that is not enrolled.

    Returns:
        A share in [0, closed-set accuracy]; 1 is best.

    Raises:
        InvalidOptionError: an array is empty, shapes disagree, `known_correct` is not bool, or a
            score is not finite.
    """
    known = finite_scores("known_scores", known_scores)
    unknown = finite_scores("unknown_scores", unknown_scores)
    correct = np.asarray(known_correct)
    if correct.shape != known.shape or correct.dtype != np.bool_:
        raise InvalidOptionError(
            f"known_correct: expected {len(known)} bools, one for each known score, got shape "
            f"{correct.shape} of {correct.dtype}."
        )
    return float(wins(known[correct], np.sort(unknown)).sum() / (len(known) * len(unknown)))


def top_k_hits(scores: ArrayLike, targets: ArrayLike, k: int) -> Floats:
    """Per image (N,), the chance in [0, 1] that `top_k_accuracy` counts it as a hit."""
    table = finite_table("scores", scores, least_rows=1)
    columns = np.asarray(targets)
    N, L = table.shape
    if columns.shape != (N,) or not np.issubdtype(columns.dtype, np.integer):
        raise InvalidOptionError(
            f"targets: expected {N} integers, one for each row of scores, got shape "
            f"{columns.shape} of {columns.dtype}."
        )
    if columns.min() < 0 or columns.max() >= L:
        raise InvalidOptionError(
            f"targets: expected column numbers 0 to {L - 1}, got {columns.min()} to "
            f"{columns.max()}."
        )
    if not 1 <= k <= L:
        raise InvalidOptionError(f"k: expected 1 to {L} (the number of models), got {k!r}.")
    own = table[np.arange(N), columns][:, None]
    better = (table > own).sum(axis=1)
    tied = (table == own).sum(axis=1)
    return np.asarray(np.clip((k - better) / tied, 0.0, 1.0))


def crossing(false_rejects: Floats, false_accepts: Floats) -> Floats:
    """Where rising (R, T) false rejects meet falling (R, T) false accepts: (R,) error rates.

    Every row must begin at (0, 1), everything accepted, and end at (1, 0), nothing accepted.
    """
    gap = false_rejects - false_accepts
    after = np.argmax(gap >= 0.0, axis=1)
    rows = np.arange(len(gap))
    low, high = gap[rows, after - 1], gap[rows, after]
    step = -low / (high - low)
    start = false_accepts[rows, after - 1]
    return np.asarray(start + step * (false_accepts[rows, after] - start))


def error_curves(pos: Floats, neg: Floats) -> tuple[Floats, Floats, Floats]:
    """Rising thresholds (T,), and shares of positives below and of negatives at or above each."""
    thresholds = np.append(np.unique(np.concatenate([pos, neg])), np.inf)
    false_rejects = np.searchsorted(np.sort(pos), thresholds, side="left") / len(pos)
    # Counts are subtracted, not shares: 1 - 99 / 100 is more than 0.01.
    accepted = len(neg) - np.searchsorted(np.sort(neg), thresholds, side="left")
    return thresholds, false_rejects, accepted / len(neg)


def wins(scores: Floats, others_sorted: Floats) -> Floats:
    """For each score, the number of others below it, those equal counting half."""
    below = np.searchsorted(others_sorted, scores, side="left")
    return np.asarray((below + np.searchsorted(others_sorted, scores, side="right")) / 2.0)
