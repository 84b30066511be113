"""Fingerprints of unknown images -> groups that, it is hoped, each come from one generator.

1. **Which pairs are alike?** Every pair of images has a p-value, from the calibration for a single
   enrolled image. Of thousands of pairs many look alike by chance, so the rate is chosen for a
   bounded share of wrong ones among those that pass (Benjamini and Hochberg 1995): the more there
   is to be found, the looser it is, and among images that are all of different generators nothing
   passes.
2. **Seeds.** Average linkage, cut at the score of that rate.
3. **Growth.** A seed of three images or more is as good as enrolled: its mean fingerprint is less
   noisy than an image's. Images and groups join it that the calibration for so many enrolled images
   finds alike, corrected for the number of chances that there were to be wrong.

Thresholds come from the calibration alone. The numbers below were chosen on images of synthetic
models, of one model each as well as of few: looser ones mix models, stricter ones leave more images
single.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelprint.answers.rules import largest_p
from modelprint.calibration import Calibration
from modelprint.discovery.linkage import average_linkage
from modelprint.embedder import Scorer

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# Two alike are too often a coincidence, of n^2 / 2 pairs; a third one has to agree with both.
LEAST_IMAGES = 3
# Expected share of wrong ones among the pairs that count as alike; that an image has to be like all
# others of its group on average rules most of them out.
PAIR_FDR = 0.3
# Chance that an image which belongs to no group joins one, that any two groups join wrongly, and,
# however much there is to be found, that two unlike images count as alike.
JOIN_FPR = 0.02
_RATES = 60
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Grouping:
    """Groups, and the pairs that they were found from.

    Attributes:
        groups: Positions of the images of each group, the largest first.
        scores: `(n, n)` float32, symmetric, of every image against every other.
        pair_rate: The p-value at which two images counted as alike; None if no pair did.
    """

    groups: tuple[Ints, ...]
    scores: Floats
    pair_rate: float | None


def group_images(
    fingerprints: Tensor, sides_px: Sequence[int], score: Scorer, calibration: Calibration
) -> Grouping:
    """Group images that look like the work of one generator.

    Args:
        fingerprints: `(n, D)` float32 unit rows.
        sides_px: Smaller side of each image.
        score: Compares fingerprints.
        calibration: What the scores mean.

    Returns:
        Groups of at least three images. It takes 4 n^2 bytes, and about 10 n^2 more for a while.
    """
    sides = np.array([_rounded(side) for side in sides_px], dtype=np.int64)
    scores = _pair_scores(fingerprints, score)
    thresholds = _Thresholds(calibration)
    rate = _pair_rate(scores, sides, thresholds)
    if rate is None:
        return Grouping((), scores, None)
    labels = average_linkage(_margins(scores, sides, thresholds, rate), 0.0)
    labels = _grown(labels, fingerprints, sides, score, thresholds)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    kept = [group for group in members if len(group) >= LEAST_IMAGES]
    kept.sort(key=lambda group: (-len(group), group[0]))
    return Grouping(tuple(kept), scores, rate)


class _Thresholds:
    """The calibration's thresholds, each computed once."""

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._of = lru_cache(maxsize=None)(calibration.threshold)

    def at(self, rate: float, enrolled: int, side_px: int) -> float:
        """The score of a rate, or of the finest rate that there is where it is finer than that."""
        finest = self._calibration.finest_p(enrolled, side_px)
        return self._of(max(rate, finest), enrolled, side_px)

    def finest(self, sides: Ints) -> float:
        """The finest rate that holds for pairs of images of all these sides."""
        return max(self._calibration.finest_p(1, int(side)) for side in np.unique(sides))


def _rounded(side_px: int) -> int:
    """The next power of two: few sides need thresholds, and those of larger images are stricter."""
    return 1 << max(side_px - 1, 0).bit_length()


def _pair_scores(fingerprints: Tensor, score: Scorer) -> Floats:
    n = len(fingerprints)
    scores = np.empty((n, n), dtype=np.float32)
    for first in range(0, n, _CHUNK):
        scores[first : first + _CHUNK] = score(fingerprints[first : first + _CHUNK], fingerprints)
    # A scorer need not be symmetric, but being alike is. By blocks: no second matrix.
    for a in range(0, n, _CHUNK):
        for b in range(a, n, _CHUNK):
            here, there = (
                np.s_[a : a + _CHUNK, b : b + _CHUNK],
                np.s_[b : b + _CHUNK, a : a + _CHUNK],
            )
            mean = (scores[here] + scores[there].T) / 2
            scores[here], scores[there] = mean, mean.T
    return scores


def _pair_rate(scores: Floats, sides: Ints, thresholds: _Thresholds) -> float | None:
    """The largest p-value at which no more than `PAIR_FDR` of the pairs that pass are wrong."""
    n = len(scores)
    pairs = n * (n - 1) // 2
    finest = thresholds.finest(sides) if n else 1.0
    if not pairs or finest > JOIN_FPR:
        return None
    # A pair is judged like the smaller of its images.
    of_side = {side: _rising(scores, sides, side) for side in np.unique(sides).tolist()}
    for rate in np.geomspace(JOIN_FPR, finest, _RATES).tolist():
        passing = sum(
            len(values) - int(np.searchsorted(values, thresholds.at(rate, 1, side)))
            for side, values in of_side.items()
        )
        if passing and pairs * rate <= PAIR_FDR * passing:
            return float(rate)
    return None


def _rising(scores: Floats, sides: Ints, side: int) -> Floats:
    """Scores of the pairs whose smaller image has this side, in order."""
    later = np.arange(len(sides))
    rows = [
        scores[i, (sides > side) | ((sides == side) & (later > i))]
        for i in np.flatnonzero(sides == side).tolist()
    ]
    values = np.concatenate(rows)
    values.sort()
    return values


def _margins(scores: Floats, sides: Ints, thresholds: _Thresholds, rate: float) -> Floats:
    """How far each pair is above the score of a rate."""
    margins = scores.copy()
    for side in np.unique(sides):
        threshold = np.float32(thresholds.at(rate, 1, int(side)))
        smaller = np.ix_(sides == side, sides >= side)
        margins[smaller] -= threshold
        larger = np.ix_(sides > side, sides == side)
        margins[larger] -= threshold
    return margins


def _grown(
    labels: Ints, fingerprints: Tensor, sides: Ints, score: Scorer, thresholds: _Thresholds
) -> Ints:
    """Let groups take in what is alike, until nothing is; whatever joins is gone for good."""
    labels = labels.copy()
    while joins := _joins(labels, fingerprints, sides, score, thresholds):
        for joining, group in joins:
            labels[labels == joining] = group
    return labels


def _joins(
    labels: Ints, fingerprints: Tensor, sides: Ints, score: Scorer, thresholds: _Thresholds
) -> list[tuple[int, int]]:
    """Which labels should become which: pairs of groups if there are any, else lesser ones."""
    names, unit_of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    groups = np.flatnonzero(sizes >= LEAST_IMAGES)
    G = len(groups)
    if not G:
        return []
    smallest = np.full(len(names), sides.max())
    np.minimum.at(smallest, unit_of, sides)
    margins = _mean_scores(unit_of, sizes, groups, fingerprints, score)
    any_pair = largest_p(JOIN_FPR, max(G * (G - 1) // 2, 1))
    own_chance = largest_p(JOIN_FPR, G)
    for column, group in enumerate(groups):
        for side in np.unique(smallest):
            for rate, kind in (
                (any_pair, sizes >= LEAST_IMAGES),
                (own_chance, sizes < LEAST_IMAGES),
            ):
                threshold = thresholds.at(rate, int(sizes[group]), int(side))
                margins[kind & (smallest == side), column] -= threshold
    # The smaller one joins the larger one, whose mean is less noisy.
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.lexsort((-np.arange(len(names)), sizes))] = np.arange(len(names))
    margins[rank[:, None] >= rank[groups]] = -np.inf
    merged = _best_disjoint(margins[groups], groups)
    if merged:
        return [(int(names[joining]), int(names[group])) for joining, group in merged]
    lesser = np.flatnonzero(sizes < LEAST_IMAGES)
    best = margins[lesser].argmax(axis=1) if len(lesser) else lesser
    return [
        (int(names[unit]), int(names[groups[column]]))
        for unit, column in zip(lesser, best, strict=True)
        if margins[unit, column] >= 0
    ]


def _mean_scores(
    unit_of: Ints, sizes: Ints, groups: Ints, fingerprints: Tensor, score: Scorer
) -> NDArray[np.float64]:
    """Mean score `(units, groups)` of each unit's images against each group's mean fingerprint."""
    sums = torch.zeros(len(sizes), fingerprints.shape[1], dtype=torch.float64)
    sums.index_add_(0, torch.from_numpy(unit_of), fingerprints.double())
    means = torch.nn.functional.normalize(sums[torch.from_numpy(groups)], dim=1).float()
    total = np.zeros((len(sizes), len(groups)))
    for first in range(0, len(fingerprints), _CHUNK):
        some = score(fingerprints[first : first + _CHUNK], means).double().numpy()
        np.add.at(total, unit_of[first : first + _CHUNK], some)
    return np.asarray(total / sizes[:, None])


def _best_disjoint(margins: NDArray[np.float64], groups: Ints) -> list[tuple[int, int]]:
    """Pairs of groups to merge, the most alike first, no group twice."""
    pairs = [(float(margins[a, b]), int(a), int(b)) for a, b in np.argwhere(margins >= 0)]
    merged: list[tuple[int, int]] = []
    taken: set[int] = set()
    for _, joining, group in sorted(pairs, reverse=True):
        if not taken & {joining, group}:
            taken |= {joining, group}
            merged.append((int(groups[joining]), int(groups[group])))
    return merged
