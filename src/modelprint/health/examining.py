"""A gallery's own images -> how well it knows its models.

Every image with others of its model is asked about as if it were not enrolled. What comes out says
which models are recognised and which are taken for each other; when images were enrolled says
whether a model drifts; and how alike they are says how many of them it takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import median

import numpy as np
from numpy.typing import NDArray

from modelprint.answers.answering import allowed_fpr
from modelprint.answers.rules import corrected_p, decide_identity
from modelprint.calibration import Calibration
from modelprint.health.drift import drift_of
from modelprint.health.health import GalleryHealth, LabelHealth, LookAlikes
from modelprint.health.leave_one_out import LeftOutImage, leave_one_out
from modelprint.index import Index
from modelprint.lineage import is_within
from modelprint.reference import Reference

Floats = NDArray[np.float64]

# Of tests: one healthy gallery in twenty is said to drift, and of two models that cannot be told
# apart one pair in twenty is not reported.
LEVEL = 0.05
# A mean of k images has the reliability k c / (1 + (k - 1) c), c being how much alike two of them
# are (Spearman 1910, Brown 1910). Of synthetic models with c from 0.2 to 0.6, the share of matched
# images hardly rose any more from 0.8 on.
ENOUGH_RELIABILITY = 0.8
# What is wanted where nothing could be measured, at least, and at most.
USUAL_IMAGES, FEWEST_IMAGES, MOST_IMAGES = 10, 3, 100


def gallery_health(reference: Reference, fpr: float | None = None) -> GalleryHealth:
    """Look at a gallery's models through its own images.

    Args:
        reference: The gallery; something is enrolled.
        fpr: False-positive rate in (0, 1) of a match; None for the calibration's default.

    Raises:
        InvalidOptionError: `fpr` is not in (0, 1).
    """
    index, calibration = reference.index, reference.calibration
    allowed = allowed_fpr(calibration, fpr)
    rows = index.numbers
    scores = {label: _pair_scores(reference, members) for label, members in rows.items()}
    drifts = {
        label: drift_of(scores[label], [index.rows[i].enrolment for i in members])
        for label, members in rows.items()
    }
    tested = sum(drift is not None for drift in drifts.values())
    asked: dict[str, list[LeftOutImage]] = {label: [] for label in rows}
    for image in leave_one_out(reference):
        asked[image.row.label].append(image)
    wanted = _wanted(index, rows)
    labels = []
    for label, members in rows.items():
        recognised, matched, mistaken = _shares(label, asked[label], calibration, allowed)
        drift = drifts[label]
        labels.append(
            LabelHealth(
                label=label,
                images=len(members),
                enrolments=len({index.rows[i].enrolment for i in members}),
                cohesion=_mean_of_pairs(scores[label]),
                recognised=recognised,
                matched=matched,
                mistaken=mistaken,
                drift=drift,
                drifted=drift is not None and corrected_p(drift.p_value, tested) <= LEVEL,
                wanted=wanted[label],
                missing=max(wanted[label] - len(members), 0),
            )
        )
    return GalleryHealth(
        labels=tuple(labels),
        look_alikes=tuple(_look_alikes(asked)),
        fpr=allowed,
        calibration_source=None if calibration is None else calibration.description,
        extractor_digest=reference.embedder.digest,
        provenance=reference.provenance([]),
        warnings=reference.warnings,
    )


def _pair_scores(reference: Reference, members: list[int]) -> Floats:
    """Scores `(n, n)` of a model's images against each other; a scorer need not be symmetric."""
    fingerprints = reference.index.fingerprints[members]
    scores = reference.score(fingerprints, fingerprints).double().numpy()
    return np.asarray((scores + scores.T) / 2)


def _mean_of_pairs(values: Floats) -> float | None:
    """Mean of a symmetric `(n, n)` without its diagonal."""
    n = len(values)
    return None if n < 2 else float((values.sum() - np.trace(values)) / (n * (n - 1)))


def _shares(
    label: str,
    asked: Sequence[LeftOutImage],
    calibration: Calibration | None,
    fpr: float | None,
) -> tuple[float | None, float | None, float | None]:
    """Shares of images that are recognised, matched, and matched with another model."""
    if not asked:
        return None, None, None
    recognised = sum(image.candidates[0].label == label for image in asked) / len(asked)
    if calibration is None:
        return recognised, None, None
    answers = [_answer(image, calibration, fpr) for image in asked]
    right = sum(answer is not None and is_within(label, answer) for answer in answers)
    wrong = sum(answer is not None for answer in answers) - right
    return recognised, right / len(asked), wrong / len(asked)


def _answer(image: LeftOutImage, calibration: Calibration, fpr: float | None) -> str | None:
    """The model or family that an image would be matched with."""
    best = image.enrolled[image.candidates[0].label]
    finest_p = calibration.finest_p(best, image.side_px)
    return decide_identity(image.candidates, fpr=fpr, finest_p=finest_p).label


def _look_alikes(asked: Mapping[str, Sequence[LeftOutImage]]) -> Iterator[LookAlikes]:
    """Pairs of models whose images fit them no better than a coin toss would have it."""
    places = {
        label: [
            {candidate.label: place for place, candidate in enumerate(image.candidates)}
            for image in images
        ]
        for label, images in asked.items()
    }
    for a, b in combinations(asked, 2):
        images = (len(asked[a]), len(asked[b]))
        n = sum(images)
        if not all(images) or 0.5**n > LEVEL:  # even with no confusion it could have been luck
            continue
        confused = (
            sum(place[b] < place[a] for place in places[a]),
            sum(place[a] < place[b] for place in places[b]),
        )
        p_value = sum(math.comb(n, k) for k in range(sum(confused) + 1)) / 2**n
        if p_value > LEVEL:
            yield LookAlikes((a, b), images, confused, p_value)


def _wanted(index: Index, rows: Mapping[str, list[int]]) -> dict[str, int]:
    """After how many images of each model more of them hardly help.

    How much alike two images of a model are is measured beyond what images of two models are.
    """
    fingerprints = index.fingerprints.double().numpy()
    total = fingerprints.sum(axis=0)
    wanted: dict[str, int] = {}
    for label, members in rows.items():
        n, others = len(members), len(fingerprints) - len(members)
        if n < FEWEST_IMAGES:
            continue
        own = fingerprints[members].sum(axis=0)
        within = (float(own @ own) - n) / (n * (n - 1))
        between = float(own @ (total - own)) / (n * others) if others else 0.0
        c = (within - between) / (1 - between)
        odds = ENOUGH_RELIABILITY / (1 - ENOUGH_RELIABILITY)
        images = odds * (1 - c) / c if c > 0 else math.inf
        wanted[label] = math.ceil(min(max(images, FEWEST_IMAGES), MOST_IMAGES))
    usual = round(median(wanted.values())) if wanted else USUAL_IMAGES
    return {label: wanted.get(label, usual) for label in rows}
