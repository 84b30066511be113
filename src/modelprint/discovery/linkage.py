"""Average linkage: groups of what is alike, found from pairs alone, with no number of groups given.

The similarity of two groups is the mean over all pairs across them (UPGMA; Sokal and Michener
1958). The two most similar groups are merged again and again, until no two are similar enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def average_linkage(similarity: NDArray[np.floating], least: float) -> NDArray[np.int64]:
    """Group images by average linkage, in O(n^2) time.

    Chains of nearest neighbours find the same merges as a search for the best pair would, in
    another order (Murtagh 1983): a merge never makes a group more similar to a third one than both
    of its parts were.

    Args:
        similarity: `(n, n)` symmetric, larger is more alike. It is overwritten: at thousands of
            images a copy would be the largest thing in memory.
        least: The smallest mean similarity at which groups are merged.

    Returns:
        `(n,)` int64, equal numbers for images of one group; no meaning else.
    """
    n = len(similarity)
    labels = np.arange(n)
    np.fill_diagonal(similarity, -np.inf)
    sizes = np.ones(n)
    waiting = set(range(n))
    chain: list[int] = []
    while waiting or chain:
        if not chain:
            chain.append(waiting.pop())
        here = chain[-1]
        row = similarity[here]
        nearest = int(row.argmax())
        # Of equals the one before in the chain: else a chain of equals could go round in circles.
        if len(chain) > 1 and row[chain[-2]] == row[nearest]:
            nearest = chain[-2]
        if row[nearest] < least:
            _close(similarity, chain.pop())
        elif len(chain) > 1 and nearest == chain[-2]:
            del chain[-2:]
            total = sizes[here] + sizes[nearest]
            merged = (sizes[here] * row + sizes[nearest] * similarity[nearest]) / total
            _close(similarity, nearest)
            merged[~np.isfinite(similarity[here])] = -np.inf
            similarity[here], similarity[:, here] = merged, merged
            sizes[here] = total
            labels[labels == nearest] = here
            waiting.add(here)
        else:
            waiting.discard(nearest)
            chain.append(nearest)
    return labels


def _close(similarity: NDArray[np.floating], group: int) -> None:
    """Take a group out of the running: it is merged, or like no other."""
    similarity[group] = similarity[:, group] = -np.inf
