"""Identification: which of the enrolled models made an image, and does it know when none did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.draws import Draw
from benchmarks.figures import Figure, measure, ratio
from benchmarks.folder import PHOTOGRAPH
from modelprint.answers.rules import decide_identity
from modelprint.answers.usability import Problem
from modelprint.metrics.scores import top_k_hits, wins
from modelprint.reference import Reference

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def top1(
    scores: Sequence[Floats],
    draws: Sequence[Draw],
    model_of: Ints,
    models: Sequence[int],
    *,
    resamples: int,
) -> Figure | None:
    """Share of test images of `models` whose best score is that of their own model.

    Args:
        scores: for each draw, (N, L) score of each image against each enrolled model.
        draws: the draws.
        model_of: (N,) model of each image.
        models: whose test images count; the others are only enrolled.
        resamples: bootstrap resamples over `models`.
    """
    hits, counts = np.zeros(len(models)), np.zeros(len(models))
    for table, draw in zip(scores, draws, strict=True):
        for place, model in enumerate(models):
            own = draw.tested & (model_of == model)
            hits[place] += top_k_hits(table[own], model_of[own], 1).sum()
            counts[place] += own.sum()
    if not counts.sum():
        return None
    value = float(hits.sum() / counts.sum())
    return measure(value, lambda w: ratio(w, hits, counts), len(models), resamples=resamples)


def open_set(
    scores: Sequence[Floats],
    draws: Sequence[Draw],
    model_of: Ints,
    side_px: Ints,
    problems: Sequence[Problem | None],
    galleries: Sequence[Reference],
    *,
    enrolled: int,
    resamples: int,
) -> dict[str, Figure | None]:
    """Figures with half of the models enrolled, the other half and the photographs unknown.

    Every figure is a mean over the draws. Models are resampled with all their images, photographs
    one by one, for each is by another camera.

    Args:
        scores: for each draw, (N, G) score of each image against each model of its gallery, in the
            order of the folder.
        draws: the draws; their left-out models are not in the gallery.
        model_of: (N,) model of each image, PHOTOGRAPH for photographs.
        side_px: (N,) smaller sides of the images, which the calibration asks for.
        problems: N, why an image cannot be judged, if so.
        galleries: for each draw; without a calibration, all but OSCR is undefined.
        enrolled: images behind each template.
        resamples: bootstrap resamples.

    Returns:
        "oscr"; "fpr", share of unknown images that are given a model at the calibration's default
        threshold, and the same over left-out models ("fpr_models") and photographs ("fpr_photos");
        "matched", share of known images matched with their own model, and "mismatched", with
        another.
    """
    L, photographs = len(draws[0].left_out), int((model_of == PHOTOGRAPH).sum())
    group = model_of.copy()
    group[model_of == PHOTOGRAPH] = L + np.arange(photographs)
    kinds = [L, photographs] if photographs else [L]
    parts = [
        OpenSetDraw.of(table, draw, model_of, group, side_px, problems, gallery, enrolled)
        for table, draw, gallery in zip(scores, draws, galleries, strict=True)
    ]

    def share(answer: str, asked: str, groups: slice) -> Figure | None:
        def statistic(weights: Floats) -> Floats:
            w = weights[:, groups]
            each = [ratio(w, getattr(p, answer)[groups], getattr(p, asked)[groups]) for p in parts]
            return np.asarray(np.mean(each, axis=0))

        value = float(statistic(np.ones((1, L + photographs)))[0])
        if galleries[0].calibration is None or np.isnan(value):
            return None
        return measure(value, statistic, kinds, resamples=resamples)

    def oscr(weights: Floats) -> Floats:
        each = []
        for part in parts:
            count = (weights @ part.known) * (weights @ part.unknown)
            with np.errstate(invalid="ignore"):
                each.append(((weights @ part.outscored) * weights).sum(axis=1) / count)
        return np.asarray(np.mean(each, axis=0))

    everyone, only_models, only_photos = slice(None), slice(0, L), slice(L, None)
    return {
        "oscr": measure(
            float(oscr(np.ones((1, L + photographs)))[0]), oscr, kinds, resamples=resamples
        ),
        "fpr": share("accepted_unknown", "unknown", everyone),
        "fpr_models": share("accepted_unknown", "unknown", only_models),
        "fpr_photos": share("accepted_unknown", "unknown", only_photos),
        "matched": share("matched", "known", everyone),
        "mismatched": share("mismatched", "known", everyone),
    }


@dataclass(frozen=True)
class OpenSetDraw:
    """Counts of one draw by group: the L models, then each photograph.

    `outscored[g, h]` is the number of pairs of a correctly identified image of g and an unknown
    image of h in which the first scores higher, a tie being half: OSCR is their share of all pairs.
    """

    known: Floats
    unknown: Floats
    outscored: Floats
    matched: Floats
    mismatched: Floats
    accepted_unknown: Floats

    @classmethod
    def of(
        cls,
        scores: Floats,
        draw: Draw,
        model_of: Ints,
        group: Ints,
        side_px: Ints,
        problems: Sequence[Problem | None],
        gallery: Reference,
        enrolled: int,
    ) -> OpenSetDraw:
        enrolled_models = np.flatnonzero(~draw.left_out)
        best, top = enrolled_models[scores.argmax(axis=1)], scores.max(axis=1)
        is_known = draw.tested & np.isin(model_of, enrolled_models)
        is_unknown = ~np.isin(model_of, enrolled_models)
        correct = best == model_of
        accepted = np.array(
            [
                _is_match(row, int(side), problem, gallery, enrolled)
                for row, side, problem in zip(scores, side_px, problems, strict=True)
            ]
        )
        G = int(group.max()) + 1

        def count(chosen: Bools) -> Floats:
            return np.bincount(group[chosen], minlength=G).astype(np.float64)

        outscored = np.zeros((G, G))
        right = is_known & correct
        for stranger in np.unique(group[is_unknown]):
            others = np.sort(top[is_unknown & (group == stranger)])
            outscored[:, stranger] = np.bincount(
                group[right], weights=wins(top[right], others), minlength=G
            )
        return cls(
            known=count(is_known),
            unknown=count(is_unknown),
            outscored=outscored,
            matched=count(is_known & correct & accepted),
            mismatched=count(is_known & ~correct & accepted),
            accepted_unknown=count(is_unknown & accepted),
        )


def _is_match(
    scores: Floats,
    side_px: int,
    problem: Problem | None,
    gallery: Reference,
    enrolled: int,
) -> bool:
    """Whether `Gallery.identify` would name a model, given the scores of its enrolled models."""
    calibration = gallery.calibration
    if calibration is None:
        return False
    verdict = decide_identity(
        gallery.rank_models(scores.tolist(), side_px),
        fpr=calibration.default_fpr,
        finest_p=calibration.finest_p(enrolled, side_px),
        unusable=problem,
    )
    return verdict.decision == "match"
