"""Which models are taken for which: the benchmark protocol's answers, model by model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.conditions import CLEAN, CONDITIONS
from benchmarks.draws import Draw
from benchmarks.folder import PHOTOGRAPH, BenchmarkFolder
from benchmarks.identification import OpenSetDraw
from benchmarks.protocol import Embedded, Plan, embed
from modelprint.embedder import Embedder, scorer_of
from modelprint.metrics import equal_error_rate, roc_auc
from modelprint.scoring.comparison import symmetric

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mistake:
    """A test image whose best score is not that of its own model.

    Attributes:
        image: its number in the folder.
        own: its model.
        taken_for: the model with the best score.
        margin: best score minus that of its own model, in standard deviations.
    """

    image: int
    own: int
    taken_for: int
    margin: float


@dataclass(frozen=True)
class Confusion:
    """Answers by model, over all draws.

    Attributes:
        shares: (L, L) share of the test images of a model (row) whose best score is each model's.
        tested: (L,) test images of each model in all draws together.
        auc, eer: (L,) over pairs with an image of the model: of it alone against with another.
        missed: (L,) share of a model's images that are not matched with it while it is enrolled.
        mismatched: (L,) share of them that are matched with another.
        false_matches: (L + 1,) share of images matched with a model while their own is left out;
            the last is that of photographs. NaN where there was nothing to ask.
        mistakes: the widest first, each image once.
    """

    shares: Floats
    tested: Floats
    auc: Floats
    eer: Floats
    missed: Floats
    mismatched: Floats
    false_matches: Floats
    mistakes: tuple[Mistake, ...]


def confusion(embedder: Embedder, folder: BenchmarkFolder, plan: Plan) -> Confusion:
    """Embed a folder as it came, and ask the galleries of all draws."""
    embedded = embed(embedder, folder, CONDITIONS[CLEAN])
    draws = [Draw.of(folder, enrolled=plan.enrolled, seed=seed) for seed in plan.seeds]
    L = len(folder.models)
    counts = np.zeros((L, L))
    widest: dict[int, Mistake] = {}
    for draw in draws:
        gallery = draw.gallery(folder, embedder, embedded.fingerprints, plan.enrolled)
        templates = gallery.index.templates.fingerprints
        scores = gallery.score(embedded.fingerprints, templates).double().numpy()
        for image in np.flatnonzero(draw.tested).tolist():
            own, best = int(folder.model_of[image]), int(scores[image].argmax())
            counts[own, best] += 1
            margin = float(scores[image, best] - scores[image, own])
            if best != own and (image not in widest or margin > widest[image].margin):
                widest[image] = Mistake(image, own, best, margin)
    tested = counts.sum(1)
    with np.errstate(invalid="ignore"):
        shares = counts / tested[:, None]
    auc, eer = _pairs(embedder, folder, embedded)
    missed, mismatched, false_matches = _decisions(embedder, folder, plan, draws, embedded)
    mistakes = sorted(widest.values(), key=lambda mistake: -mistake.margin)
    return Confusion(shares, tested, auc, eer, missed, mismatched, false_matches, tuple(mistakes))


def _pairs(
    embedder: Embedder, folder: BenchmarkFolder, embedded: Embedded
) -> tuple[Floats, Floats]:
    rows = embedded.fingerprints
    scores = symmetric(scorer_of(embedder), rows, rows).double().numpy()
    figures = []
    for model in range(len(folder.models)):
        own = folder.model_of == model
        others = ~own & (folder.model_of != PHOTOGRAPH)
        within = scores[np.ix_(own, own)][~np.eye(int(own.sum()), dtype=bool)]
        between = scores[np.ix_(own, others)].ravel()
        figures.append((roc_auc(within, between), equal_error_rate(within, between)))
    auc, eer = np.array(figures).T
    return auc, eer


def _decisions(
    embedder: Embedder,
    folder: BenchmarkFolder,
    plan: Plan,
    draws: Sequence[Draw],
    embedded: Embedded,
) -> tuple[Floats, Floats, Floats]:
    """Missed, mismatched and false matches with half of the models left out of the gallery."""
    L = len(folder.models)
    group = np.where(folder.model_of == PHOTOGRAPH, L, folder.model_of)
    counted = ("known", "matched", "mismatched", "unknown", "accepted_unknown")
    sums = {name: np.zeros(L + 1) for name in counted}
    for draw in draws:
        gallery = draw.gallery(
            folder, embedder, embedded.fingerprints, plan.enrolled, ~draw.left_out
        )
        templates = gallery.index.templates.fingerprints
        scores = gallery.score(embedded.fingerprints, templates).double().numpy()
        part = OpenSetDraw.of(
            scores,
            draw,
            folder.model_of,
            group,
            embedded.side_px,
            embedded.problems,
            gallery,
            plan.enrolled,
        )
        for name in sums:
            counts = getattr(part, name)
            sums[name][: len(counts)] += counts
    with np.errstate(invalid="ignore"):
        return (
            (1 - sums["matched"] / sums["known"])[:L],
            (sums["mismatched"] / sums["known"])[:L],
            sums["accepted_unknown"] / sums["unknown"],
        )
