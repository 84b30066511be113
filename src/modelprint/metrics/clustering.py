"""How well groups that were found without names agree with the models that made the images.

Give an image that was left ungrouped a group of its own: one shared "ungrouped" label would count
as a group.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from modelprint.errors import InvalidOptionError
from modelprint.metrics.inputs import Ints, label_codes


def adjusted_rand_index(labels: ArrayLike, groups: ArrayLike) -> float:
    """How much better than chance two partitions agree on which images belong together.

    `(S - E) / ((A + B) / 2 - E)` with S the pairs together in both, A and B the pairs together in
    each, and `E = A B / all pairs` what S is for random partitions of these group sizes (Hubert and
    Arabie, "Comparing partitions", 1985, equation 5). Symmetric; names play no part.

    Args:
        labels: (N,) true model of each image, names or whole numbers.
        groups: (N,) group that each image was put into, names or whole numbers.

    Returns:
        A number in [-0.5, 1]: 1 for equal partitions, 0 on average for random ones.

    Raises:
        InvalidOptionError: a list is empty, not one-dimensional or of floats, or lengths differ.
    """
    own, found = _codes(labels, groups)
    both = own * (found.max() + 1) + found
    together, by_label, by_group = (_pairs_within(codes) for codes in (both, own, found))
    pairs = math.comb(len(own), 2)
    # Both sides times 2 * pairs, in whole numbers: products of pairs overflow 64 bits.
    best = (by_label + by_group) * pairs - 2 * by_label * by_group
    if best == 0:  # both partitions are one group, or both only single images: they are equal
        return 1.0
    return 2 * (together * pairs - by_label * by_group) / best


def purity(labels: ArrayLike, groups: ArrayLike) -> float:
    """Share of images that belong to the most frequent model of their group.

    `1/N sum over groups of max over models |group and model|` (Manning, Raghavan and Schütze,
    "Introduction to Information Retrieval", 2008, section 16.3). It never falls when groups are
    split, up to 1 for single images: give the number of groups with it, or the inverse purity
    `purity(groups, labels)`.

    Args:
        labels: (N,) true model of each image, names or whole numbers.
        groups: (N,) group that each image was put into, names or whole numbers.

    Returns:
        A share in (0, 1]; 1 when no group mixes models.

    Raises:
        InvalidOptionError: a list is empty, not one-dimensional or of floats, or lengths differ.
    """
    own, found = _codes(labels, groups)
    both, counts = np.unique(found * (own.max() + 1) + own, return_counts=True)
    most = np.zeros(found.max() + 1, dtype=np.int64)
    np.maximum.at(most, both // (own.max() + 1), counts)
    return float(most.sum() / len(own))


def _codes(labels: ArrayLike, groups: ArrayLike) -> tuple[Ints, Ints]:
    own, found = label_codes("labels", labels), label_codes("groups", groups)
    if len(own) != len(found):
        raise InvalidOptionError(
            f"groups: expected {len(own)}, one for each label, got {len(found)}."
        )
    return own, found


def _pairs_within(codes: Ints) -> int:
    """Pairs of images with the same code."""
    counts = np.unique(codes, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())
