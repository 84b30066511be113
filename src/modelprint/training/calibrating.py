"""Calibration and figures on held-out synthetic models, compared as a gallery compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from modelprint.calibration import Calibration
from modelprint.extractor import FingerprintExtractor
from modelprint.metrics import equal_error_rate, roc_auc

# Of every model's images the last so many are compared with the others.
PROBES = 4
# Enrolment sizes for which scores are tabulated: a mean of more images is less noisy.
_ENROLLED = (1, 3, 10)
# Models to a gallery, in turn: its scorer is adapted to what is enrolled, and the more that is, the
# higher strangers score as well.
_GALLERIES = (5, 10, 20)


def uncalibrated(source: str) -> Calibration:
    """A stand-in until there are scores to calibrate on."""
    return Calibration.fit({(1, 32): np.linspace(0, 1, 1000)}, source=source)


def calibrate(
    extractor: FingerprintExtractor,
    labels: Tensor,
    clean: Tensor,
    degraded: Tensor,
    smaller: Mapping[int, Tensor],
    *,
    side_px: int,
    source: str,
) -> Calibration:
    """Tabulate the scores of genuine and impostor comparisons.

    Args:
        extractor: Whose scores they are.
        labels: ``(M,)`` class of each model; models of one class are not told apart.
        clean: ``(M, K, D)`` fingerprints of each model's images, the last ``PROBES`` not enrolled.
        degraded: ``(M, K - PROBES, D)`` of degraded copies of those that are enrolled.
        smaller: Fingerprints ``(M, PROBES, D)`` of smaller parts of these, by side in pixels.
        side_px: Side of the images themselves.
        source: What the scores come from.
    """
    impostor, genuine = {}, {}
    for side, probes in {**smaller, side_px: clean[:, -PROBES:]}.items():
        for enrolled in _ENROLLED:
            parts = list(_scores(extractor, labels, clean, degraded, probes, enrolled))
            impostor[enrolled, side] = np.concatenate([scores[~own] for scores, own in parts])
            genuine[enrolled, side] = np.concatenate([scores[own] for scores, own in parts])
    # Weights that have learnt nothing, as of a run of a few steps, support no likelihood ratio.
    separated = all(genuine[key].mean() > impostor[key].mean() for key in impostor)
    return Calibration.fit(impostor, genuine if separated else None, source=source)


def figures_of(extractor: FingerprintExtractor, labels: Tensor, clean: Tensor) -> dict[str, float]:
    """Identification with ten enrolled, and verification over all pairs of the other images."""
    probes = clean[:, -PROBES:]
    own = labels.repeat_interleave(PROBES)
    templates = F.normalize(clean[:, : max(_ENROLLED)].mean(1), dim=1)
    rows = probes.flatten(0, 1)
    best = labels[extractor.comparison(rows, templates).argmax(1)]
    scores = extractor.compare(rows, rows)
    pairs = torch.triu_indices(len(rows), len(rows), 1)
    same = own[pairs[0]] == own[pairs[1]]
    values = scores[pairs[0], pairs[1]]
    genuine, impostor = values[same].numpy(), values[~same].numpy()
    return {
        "top1": (best == own).float().mean().item(),
        "roc_auc": roc_auc(genuine, impostor),
        "eer": equal_error_rate(genuine, impostor),
    }


def _scores(
    extractor: FingerprintExtractor,
    labels: Tensor,
    clean: Tensor,
    degraded: Tensor,
    probes: Tensor,
    enrolled: int,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """For one gallery after the other, scores of all probes and whether each is genuine."""
    rows, own = probes.flatten(0, 1), labels.repeat_interleave(probes.shape[1])
    first = 0
    for size in cycle(_GALLERIES):
        if first >= len(labels):
            return
        gallery = clean[first : first + size, :enrolled]
        numbers = [n for n in range(len(gallery)) for _ in range(enrolled)]
        copies = degraded[first : first + size, :enrolled].flatten(0, 1)
        score = extractor.comparison.adapted(gallery.flatten(0, 1), numbers, copies)
        scores = score(rows, F.normalize(gallery.mean(1), dim=1))
        same = own[:, None] == labels[None, first : first + size]
        yield scores.double().numpy(), same.numpy()
        first += size
