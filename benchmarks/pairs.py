"""Verification: do two images come from one model, judged by the score of the pair alone.

Pairs are kept as one block for each pair of models, with what AUC and EER need of it precomputed.
A bootstrap resample that draws model a w_a times counts the pairs within a w_a times and the pairs
between a and b w_a w_b times; pairs between two copies of one model would be neither positive nor
negative and are left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, measure
from modelprint.metrics import equal_error_rate, roc_auc
from modelprint.metrics.scores import crossing, wins

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# Thresholds at which the resampled error curves are known; between them they are straight lines.
EER_THRESHOLDS = 2048


class PairBlocks:
    """Scores of image pairs, by pair of models.

    Args:
        scores: (N, N) score of each test image (row) against each image as it came.
        model_of: (N,) model of each image; -1 for images without one, whose pairs are left out.
        chosen: (N, N) bool, the pairs to look at.
    """

    def __init__(self, scores: Floats, model_of: Ints, chosen: Bools) -> None:
        rows, columns = np.nonzero(chosen & (model_of >= 0)[:, None] & (model_of >= 0))
        models, codes = np.unique(model_of[np.concatenate([rows, columns])], return_inverse=True)
        first, second = np.split(codes, 2)
        L = len(models)
        values = scores[rows, columns].astype(np.float64)
        key = np.minimum(first, second) * L + np.maximum(first, second)
        order = np.lexsort((values, key))
        keys, starts, sizes = np.unique(key[order], return_index=True, return_counts=True)
        blocks = {
            code: values[order[start : start + size]]
            for code, start, size in zip(keys.tolist(), starts, sizes, strict=True)
        }
        self.models = L
        self._positives = [blocks.get(m * L + m, np.empty(0)) for m in range(L)]
        between = [k for k in blocks if k // L != k % L]
        self._negatives = [blocks[k] for k in between]
        self._a = np.array([k // L for k in between], dtype=np.int64)
        self._b = np.array([k % L for k in between], dtype=np.int64)
        self._n_positives = np.array([len(block) for block in self._positives], dtype=np.float64)
        self._n_negatives = np.array([len(block) for block in self._negatives], dtype=np.float64)

    @property
    def empty(self) -> bool:
        """Whether there are no positives or no negatives, so that nothing can be measured."""
        return not (self._n_positives.any() and self._n_negatives.any())

    def auc(self, *, resamples: int) -> Figure | None:
        """ROC-AUC over the pairs."""
        if self.empty:
            return None
        positives, negatives = np.concatenate(self._positives), np.concatenate(self._negatives)
        owner = np.repeat(np.arange(self.models), self._n_positives.astype(np.int64))
        # (L, blocks): pairs of a positive of model m and a negative of the block, won by the first.
        won = np.stack(
            [
                np.bincount(owner, weights=wins(positives, block), minlength=self.models)
                for block in self._negatives
            ],
            axis=1,
        )

        def statistic(weights: Floats) -> Floats:
            between = weights[:, self._a] * weights[:, self._b]
            counts = (weights @ self._n_positives) * (between @ self._n_negatives)
            with np.errstate(invalid="ignore"):
                return np.asarray(((weights @ won) * between).sum(axis=1) / counts)

        value = roc_auc(positives, negatives)
        return measure(value, statistic, self.models, resamples=resamples)

    def eer(self, *, resamples: int) -> Figure | None:
        """Equal error rate over the pairs."""
        if self.empty:
            return None
        positives, negatives = np.concatenate(self._positives), np.concatenate(self._negatives)
        thresholds = _thresholds(positives, negatives)
        rejected = np.stack([np.searchsorted(block, thresholds) for block in self._positives])
        accepted = np.stack(
            [len(block) - np.searchsorted(block, thresholds) for block in self._negatives]
        )

        def statistic(weights: Floats) -> Floats:
            between = weights[:, self._a] * weights[:, self._b]
            with np.errstate(invalid="ignore"):
                false_rejects = (weights @ rejected) / (weights @ self._n_positives)[:, None]
                false_accepts = (between @ accepted) / (between @ self._n_negatives)[:, None]
            return crossing(false_rejects, false_accepts)

        value = equal_error_rate(positives, negatives)
        return measure(value, statistic, self.models, resamples=resamples)


def _thresholds(positives: Floats, negatives: Floats) -> Floats:
    """Rising thresholds (T,) from all accepted to none: every distinct score, if they are few."""
    distinct = np.unique(np.concatenate([positives, negatives]))
    if len(distinct) > EER_THRESHOLDS:
        shares = np.linspace(0.0, 1.0, EER_THRESHOLDS // 2)
        quantiles = [np.quantile(kind, shares) for kind in (positives, negatives)]
        distinct = np.unique(np.concatenate(quantiles))
    return np.append(distinct, np.inf)
