"""How good are the likelihood ratios: their cost, Cllr, over test images and enrolled models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.draws import Draw
from benchmarks.figures import Figure, measure, ratio
from modelprint.reference import Reference

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def llr_cost(
    scores: Sequence[Floats],
    draws: Sequence[Draw],
    model_of: Ints,
    side_px: Ints,
    galleries: Sequence[Reference],
    *,
    resamples: int,
) -> Figure | None:
    """Cllr in bits (see `modelprint.metrics.cllr`) of every test image against every model.

    A mean over the draws. A resample that draws model a w_a times counts an image of a against its
    own template w_a times, and against that of b w_a w_b times.

    Args:
        scores: for each draw, (N, L) score of each image against each enrolled model.
        draws: the draws.
        model_of: (N,) model of each image; those without one are left out.
        side_px: (N,) smaller sides of the images.
        galleries: for each draw, what the images were compared with.
        resamples: bootstrap resamples over models.

    Returns:
        0 is perfect, 1 is what no information costs; None without likelihood ratios.
    """
    L = scores[0].shape[1]
    parts: list[tuple[Floats, Floats]] = []
    for table, draw, gallery in zip(scores, draws, galleries, strict=True):
        tested = np.flatnonzero(draw.tested & (model_of >= 0))
        costs, counts = np.zeros((L, L)), np.zeros((L, L))
        for image in tested:
            own, side = model_of[image], int(side_px[image])
            candidates = {c.label: c.llr for c in gallery.rank_models(table[image].tolist(), side)}
            for model, label in enumerate(gallery.index.templates.labels):
                llr = candidates[label]
                if llr is None:
                    return None
                nats = np.logaddexp(0.0, -llr if model == own else llr)
                costs[own, model] += nats / math.log(2.0)
                counts[own, model] += 1
        parts.append((costs, counts))

    def statistic(weights: Floats) -> Floats:
        each = [_cost(weights, *part) for part in parts]
        return np.asarray(np.mean(each, axis=0))

    value = float(statistic(np.ones((1, L)))[0])
    return None if np.isnan(value) else measure(value, statistic, L, resamples=resamples)


def _cost(weights: Floats, costs: Floats, counts: Floats) -> Floats:
    """Cllr (R,) for how often (R, L) each model is drawn."""
    genuine = ratio(weights, costs.diagonal(), counts.diagonal())
    between = (weights[:, :, None] * weights[:, None, :]) * (1 - np.eye(len(costs)))
    with np.errstate(invalid="ignore"):
        impostor = (between * costs).sum((1, 2)) / (between * counts).sum((1, 2))
    return np.asarray((genuine + impostor) / 2)
