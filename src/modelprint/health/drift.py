"""Do a model's later images look like its first ones? A permutation test.

A service may change its model under one name, and an image that was sent on is not the image that
was made. Both show as later images that are less like the first than the first are like each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The first enrolments until they have so many images: fewer say too little about themselves.
LEAST_FIRST = 3
_PERMUTATIONS = 4999


@dataclass(frozen=True)
class Drift:
    """A model's first images against its later ones.

    Attributes:
        first_images: Images of the first enrolment, or of as many as it takes to have three.
        later_images: Images enrolled after them.
        first_score: Mean score of the first images against each other.
        later_score: Mean score of later images against first ones.
        p_value: Chance in (0, 1] that images which are all of one kind, divided at random, differ
            this much.
    """

    first_images: int
    later_images: int
    first_score: float
    later_score: float
    p_value: float


def drift_of(scores: Floats, enrolments: Sequence[int]) -> Drift | None:
    """Compare a model's images by when they were enrolled.

    The statistic is the mean score among the first images less that between later and first ones.
    Under the null hypothesis which images came first is arbitrary, so its p-value is the share of
    all divisions that give as much; of 4 999 random ones and the real one where there are more
    (Phipson and Smyth 2010).

    Args:
        scores: `(n, n)` symmetric, of every image against every other.
        enrolments: n numbers, rising with time.

    Returns:
        None if there are no two parts to compare.
    """
    numbers = np.asarray(enrolments)
    ends = [int((numbers <= number).sum()) for number in np.unique(numbers)]
    n, first = len(numbers), next((end for end in ends if end >= LEAST_FIRST), len(numbers))
    if first == n:
        return None
    order = np.argsort(numbers, kind="stable")
    pairs = scores[np.ix_(order, order)].astype(np.float64)
    np.fill_diagonal(pairs, 0.0)
    divisions = _divisions(n, first)
    among = ((divisions @ pairs) * divisions).sum(axis=1)
    between = divisions @ pairs.sum(axis=1) - among
    among, between = among / (first * (first - 1)), between / (first * (n - first))
    apart = among - between
    # The real division comes first. Sums in another order round otherwise: hence a tolerance.
    as_much = apart >= apart[0] - 1e-9 * max(1.0, float(np.abs(pairs).max()))
    return Drift(first, n - first, float(among[0]), float(between[0]), float(as_much.mean()))


def _divisions(n: int, first: int) -> Floats:
    """Which images come first, `(R, n)` of 0 and 1: all ways or many random ones; the real one."""
    if math.comb(n, first) <= _PERMUTATIONS:
        chosen = np.array(list(combinations(range(n), first)))
    else:
        generator = np.random.default_rng(0)
        random = generator.random((_PERMUTATIONS, n)).argsort(axis=1)[:, :first]
        chosen = np.concatenate([np.arange(first)[None], random])
    divisions = np.zeros((len(chosen), n))
    np.put_along_axis(divisions, chosen, 1.0, axis=1)
    return divisions
