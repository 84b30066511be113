"""Calibrating a gallery on images of known strangers: what scores mean for these enrolled models.

An embedder's calibration is about models in general. A gallery's own is about its models, and about
strangers like those that its owner meets, in the formats in which they come: images that were
compressed in the same way are alike for that alone, and only negatives compressed like them show
how much.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelprint.answers.rules import corrected_p
from modelprint.answers.usability import usability_of
from modelprint.batches import Images, decoded_batches
from modelprint.calibration import Calibration, OwnCalibration, check_fpr
from modelprint.embedder import Embedder, fingerprints_of
from modelprint.errors import InvalidOptionError
from modelprint.index import Index, Row, add_new, check_label
from modelprint.reference import Reference

DEFAULT_FPR = 0.01
_FEWEST_MODELS = 2
# Enrolment sizes for tables of their own, besides the largest; between two the stricter one holds.
_SIZES = (1, 3, 10, 30, 100, 300, 1000)

Floats = NDArray[np.float64]


def calibrated(
    reference: Reference, negatives: Mapping[str, Images] | None, fpr: float | None
) -> OwnCalibration:
    """The calibration that a gallery gets; see `Gallery.calibrate`."""
    if negatives is not None:
        return _fitted(reference, negatives, fpr)
    if fpr is None:
        raise InvalidOptionError(
            "expected negatives, {'model': images, ...}, or a default rate, fpr=0.01; got neither"
        )
    return _with_rate(reference, check_fpr(fpr))


def _with_rate(reference: Reference, fpr: float) -> OwnCalibration:
    """The calibration in use with another default rate."""
    calibration = reference.calibration
    if calibration is None:
        raise InvalidOptionError(
            "this extractor is not calibrated: give images of models that are not enrolled, "
            "gallery.calibrate({'model': images, ...})"
        )
    finest = max(table.finest_p for table in calibration.tables)
    _check_fine_enough(finest, fpr, len(reference.index.templates.labels))
    changed = replace(calibration, default_fpr=fpr)
    return OwnCalibration(changed, None if reference.own is None else reference.own.fitted_to)


def _fitted(
    reference: Reference, negatives: Mapping[str, Images], fpr: float | None
) -> OwnCalibration:
    """A calibration on images of strangers, and on the enrolled images themselves.

    Impostor scores are those of the negatives against every enrolled model, genuine ones those of
    enrolled images against their model without them.
    """
    used = reference.calibration
    fpr = check_fpr(fpr) if fpr is not None else used.default_fpr if used else DEFAULT_FPR
    strangers = _Strangers.embed(reference.embedder, reference.index, negatives)
    needed = math.ceil(1 / fpr)
    if len(strangers.side_px) < needed:
        raise InvalidOptionError(
            f"negatives: {len(strangers.side_px)} usable images are too few for fpr {fpr:g}: "
            f"expected at least {needed}, or a larger fpr"
        )
    enrolled, models = reference.index, len(reference.index.templates.labels)
    bins = _side_bins(strangers.side_px, needed)
    fewest = min(map(len, bins.values()))
    impostors: dict[tuple[int, int], Floats] = {}
    genuine: dict[tuple[int, int], Floats] = {}
    for size in _sizes(enrolled):
        templates = torch.stack(list(_templates(enrolled, size)))
        finest = 1 / (fewest * len(templates) + 1)
        if size == 1:
            _check_fine_enough(finest, fpr, models)
        elif corrected_p(finest, models) > fpr:
            continue  # of so few models that their images are judged like those of the next size
        scores = reference.score(strangers.fingerprints, templates).double().numpy()
        own = _genuine(reference, size)
        for side_px, chosen in bins.items():
            impostors[size, side_px] = scores[chosen].ravel()
            genuine[size, side_px] = own
    complete = all(len(scores) for scores in genuine.values())
    calibration = Calibration.fit(
        impostors,
        genuine if complete else None,
        source=f"{len(strangers.side_px)} images of {strangers.models} models that are not "
        "enrolled, against the enrolled ones",
        default_fpr=fpr,
    )
    return OwnCalibration(calibration, reference.enrolled_digest)


@dataclass(frozen=True, eq=False)
class _Strangers:
    """Negatives as a gallery sees them.

    Attributes:
        fingerprints: `(N, D)` float32 unit rows.
        side_px: N smaller sides.
        models: How many models they are of.
    """

    fingerprints: Tensor
    side_px: NDArray[np.int64]
    models: int

    @classmethod
    def embed(cls, embedder: Embedder, index: Index, negatives: Mapping[str, Images]) -> _Strangers:
        if not isinstance(negatives, Mapping) or len(negatives) < _FEWEST_MODELS:
            got = len(negatives) if isinstance(negatives, Mapping) else type(negatives).__name__
            raise InvalidOptionError(
                f"negatives: expected images of at least {_FEWEST_MODELS} models, "
                f"{{'model': images, ...}}, got {got}: one model says nothing about others"
            )
        for label in negatives:
            check_label(label)
            if label in index.templates.labels:
                raise InvalidOptionError(
                    f"negatives: {label!r} is enrolled: expected models that are not"
                )
        known = dict(index.by_sha256)
        fingerprints: list[Tensor] = []
        sides: list[int] = []
        for label, images in negatives.items():
            before = len(sides)
            for batch in decoded_batches(images):
                for image in batch:
                    add_new(known, Row(label, image.sha256, image.name))
                usable = [image for image in batch if usability_of(image).problem is None]
                sides += [image.side_px for image in usable]
                fingerprints.append(fingerprints_of(embedder, usable))
            if len(sides) == before:
                raise InvalidOptionError(f"negatives: no image of {label!r} can be used")
        return cls(torch.cat(fingerprints), np.array(sides), len(negatives))


def _check_fine_enough(finest_p: float, fpr: float, models: int) -> None:
    """Refuse a rate at which no image of this gallery could ever match."""
    finest = corrected_p(finest_p, max(models, 1))
    if finest > fpr:
        raise InvalidOptionError(
            f"fpr is {fpr:g}, but for {models} enrolled models the calibration supports no less "
            f"than {finest:.2g}: ask for that or more, or calibrate on more images"
        )


def _side_bins(side_px: NDArray[np.int64], needed: int) -> dict[int, NDArray[np.int64]]:
    """Images by smaller side, in octaves, each with enough of them; keys are smallest sides."""
    octaves = np.floor(np.log2(side_px)).astype(np.int64)
    bins: list[NDArray[np.int64]] = []
    for octave in np.unique(octaves):
        chosen = np.flatnonzero(octaves == octave)
        if bins and min(len(chosen), len(bins[-1])) < needed:
            bins[-1] = np.concatenate([bins[-1], chosen])
        else:
            bins.append(chosen)
    return {int(side_px[chosen].min()): chosen for chosen in bins}


def _sizes(index: Index) -> list[int]:
    most = max(index.templates.counts)
    return sorted({*(size for size in _SIZES if size < most), most})


def _rows_of(index: Index) -> Iterator[Tensor]:
    """Each model's fingerprints, `(n, D)` float64."""
    for numbers in index.numbers.values():
        yield index.fingerprints[numbers].double()


def _templates(index: Index, size: int) -> Iterator[Tensor]:
    """Means `(D,)` of so many images of each model, or of all if it has half as many at least."""
    for rows in _rows_of(index):
        if 2 * len(rows) >= size:
            yield torch.nn.functional.normalize(rows[:size].mean(0), dim=0).float()


def _genuine(reference: Reference, size: int) -> Floats:
    """Scores of enrolled images against the mean of `size` others of their model, or of all."""
    index = reference.index
    scores: list[float] = []
    for numbers in index.numbers.values():
        n, others = len(numbers), min(size, len(numbers) - 1)
        if 2 * n < size or not others:
            continue
        # Image i against the images after it, in a ring.
        ring = (torch.arange(n)[:, None] + torch.arange(1, others + 1)) % n
        rows = index.fingerprints[numbers].double()
        means = torch.nn.functional.normalize(rows[ring].mean(1), dim=1).float()
        scores += reference.as_if_new(numbers, means).diagonal().tolist()
    return np.array(scores)
