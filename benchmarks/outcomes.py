"""What becomes of each model's images, counted over the draws of the protocol.

Two galleries are asked in each draw, as `benchmarks.protocol` does: one of all models, for who is
the best candidate, and one without the left-out half, for what is matched at the shipped threshold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.draws import Draw
from benchmarks.folder import PHOTOGRAPH, BenchmarkFolder
from benchmarks.identification import verdict_of
from benchmarks.protocol import Embedded, scores_of
from modelprint.embedder import Embedder, scorer_of
from modelprint.metrics import equal_error_rate, roc_auc
from modelprint.scoring.comparison import symmetric

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Outcomes:
    """Counts of test images over all draws; row L of what has L + 1 rows is the photographs.

    Attributes:
        best: (L + 1, L) images of each origin by their best candidate, all models enrolled.
        known: (L,) images of each model while it was enrolled and half of the models were not.
        given: (L, L) those that were matched, by the model they were given to.
        reasons: for each model, `reason_code` -> how many of those that were not matched.
        strangers: (L + 1,) images of each origin while it was not enrolled.
        strangers_given: (L + 1, L) those that were matched nevertheless, by the model.
    """

    best: Ints
    known: Ints
    given: Ints
    reasons: tuple[Counter[str], ...]
    strangers: Ints
    strangers_given: Ints


def outcomes(
    embedder: Embedder,
    folder: BenchmarkFolder,
    embedded: Embedded,
    degraded: Tensor,
    draws: Sequence[Draw],
) -> Outcomes:
    """Ask both galleries of every draw for every image that is not enrolled.

    Args:
        embedder: with a calibration; without one nothing is matched.
        folder: the images.
        embedded: as the embedder sees them.
        degraded: (N, D) fingerprints of degraded copies of them.
        draws: who is enrolled, tested and left out.
    """
    L = len(folder.models)
    origin = np.where(folder.model_of == PHOTOGRAPH, L, folder.model_of)
    best, strangers_given = np.zeros((2, L + 1, L), np.int64)
    known, given = np.zeros(L, np.int64), np.zeros((L, L), np.int64)
    strangers = np.zeros(L + 1, np.int64)
    reasons = tuple(Counter[str]() for _ in range(L))
    number = {name: m for m, name in enumerate(folder.models)}
    for draw in draws:
        enrolled = draw.enrolled.shape[1]
        asked = draw.tested | (origin == L)
        whole = draw.gallery(folder, embedder, embedded.fingerprints, degraded, enrolled)
        nearest = scores_of(whole, embedded.fingerprints).argmax(axis=1)
        np.add.at(best, (origin[asked], nearest[asked]), 1)

        half = draw.gallery(
            folder, embedder, embedded.fingerprints, degraded, enrolled, ~draw.left_out
        )
        scores = scores_of(half, embedded.fingerprints)
        is_enrolled = np.append(~draw.left_out, False)[origin]
        # All images of a model that is not enrolled are strangers, as the protocol has it.
        for image in np.flatnonzero(draw.tested & is_enrolled | ~is_enrolled):
            verdict = verdict_of(
                scores[image],
                int(embedded.side_px[image]),
                embedded.problems[image],
                half,
                enrolled,
            )
            m, stranger = int(origin[image]), not is_enrolled[image]
            (strangers if stranger else known)[m] += 1
            if verdict is not None and verdict.label is not None:
                (strangers_given if stranger else given)[m, number[verdict.label]] += 1
            elif verdict is not None and not stranger:
                reasons[m][verdict.reason_code] += 1
    return Outcomes(best, known, given, reasons, strangers, strangers_given)


def verification(
    embedder: Embedder, folder: BenchmarkFolder, embedded: Embedded
) -> list[tuple[float, float]]:
    """ROC-AUC and EER of each model's pairs: two images of it, against one of it and one not.

    Photographs are left out, as in the protocol.
    """
    rows = embedded.fingerprints[torch.from_numpy(folder.model_of != PHOTOGRAPH)]
    model = folder.model_of[folder.model_of != PHOTOGRAPH]
    scores = symmetric(scorer_of(embedder), rows, rows).double().numpy()
    figures = []
    for m in range(len(folder.models)):
        own = scores[np.ix_(model == m, model == m)]
        genuine = own[np.triu_indices(len(own), 1)]
        impostors = scores[np.ix_(model == m, model != m)].ravel()
        figures.append((roc_auc(genuine, impostors), equal_error_rate(genuine, impostors)))
    return figures
