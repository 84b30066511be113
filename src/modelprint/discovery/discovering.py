"""Images -> those of enrolled models, groups of unknown ones, and the rest.

How images are grouped is in `modelprint.discovery.grouping`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from modelprint.answers.answering import allowed_fpr, identify_embedded
from modelprint.answers.ranking import ranked
from modelprint.answers.usability import usability_of
from modelprint.batches import Images, OneImage, Unreadable, readable_batches
from modelprint.calibration import Calibration
from modelprint.decision import Candidate, Identification
from modelprint.discovery.discovery import Discovery, FoundImage, Group, LeftOut, Proposal
from modelprint.discovery.grouping import Grouping, group_images
from modelprint.embedder import fingerprints_of
from modelprint.errors import InvalidOptionError
from modelprint.gallery import Gallery
from modelprint.images import LoadedImage, iter_sources
from modelprint.reference import Reference

# The scores of all pairs take 0.4 GB then, and finding groups in them another 1 GB for a while.
MOST_UNKNOWN = 10_000


def discover(
    images: Images,
    gallery: Gallery,
    *,
    fpr: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Discovery:
    """Name the images of enrolled models, and group the others by generator.

    The number of groups is found. A group says that its images are alike as images of one generator
    are: photographs of one origin can form a group too, and look-alike generators share one.

    Args:
        images: A folder, a stacked array or tensor, or any iterable of images. What is not a path
            is kept for the proposals.
        gallery: The enrolled models, or none; its extractor is used, and its calibration.
        fpr: Allowed rate in (0, 1) at which images of strangers match an enrolled model; None for
            the calibration's default.
        progress: Called with the number of images done since its last call.

    Returns:
        Matches, groups and what is left; images that cannot be read are left out.

    Raises:
        InvalidImageError: `images` is nothing of the kind.
        InvalidOptionError: `fpr` is not in (0, 1), the gallery is not calibrated, or more than
            10 000 images are of no enrolled model: memory grows with the square of their number.

    Example:
        >>> found = discover("inbox/", gallery)  # doctest: +SKIP
        >>> for group in found.groups:  # doctest: +SKIP
        ...     gallery.enroll(*group.proposal)
    """
    reference = gallery._reference
    calibration = reference.calibration
    allowed = allowed_fpr(calibration, fpr)
    if calibration is None or allowed is None:
        raise InvalidOptionError(
            "expected a calibrated extractor, to know which images are alike; got "
            f"{type(reference.embedder).__name__} without calibration: see gallery.calibrate"
        )
    sources: list[OneImage] = []
    sorting = _Sorting(reference, allowed)
    for batch in readable_batches(_kept(images, sources)):
        sorting.add(batch)
        if progress is not None:
            progress(len(batch))
        del batch  # or it would stay in memory while the next one is decoded
    return _discovery(sorting, sources, calibration)


def _kept(images: Images, sources: list[OneImage]) -> Iterator[OneImage]:
    for _, source in iter_sources(images):
        sources.append(source)
        yield source


class _Unknown(NamedTuple):
    """An image to be grouped; `position` is that among all images."""

    position: int
    name: str
    sha256: str
    side_px: int
    related: str | None


class _Sorting:
    """Goes through the images once: what is known, what cannot be judged, what is to be grouped."""

    def __init__(self, reference: Reference, fpr: float) -> None:
        self.reference = reference
        self.fpr = fpr
        self.matched: list[Identification] = []
        self.left_out: list[LeftOut] = []
        self.unknown: list[_Unknown] = []
        self._fingerprints: list[Tensor] = []
        self._seen: dict[str, str] = {}
        self._position = count()

    @property
    def fingerprints(self) -> Tensor:
        """Of the unknown images, `(n, D)`."""
        return torch.cat([torch.empty(0, self.reference.embedder.dim), *self._fingerprints])

    def add(self, batch: Sequence[LoadedImage | Unreadable]) -> None:
        """Sort some images."""
        loaded = [image for image in batch if isinstance(image, LoadedImage)]
        fingerprints = fingerprints_of(self.reference.embedder, loaded)
        answers: list[Identification | None] = [None] * len(batch)
        if self.reference.index.rows:
            answers[:] = identify_embedded(self.reference, self.fpr, batch, fingerprints)
        rows = iter(fingerprints.unsqueeze(1))
        for image, answer in zip(batch, answers, strict=True):
            position = next(self._position)
            if isinstance(image, Unreadable):
                self.left_out.append(LeftOut(image.name, None, "unreadable", image.error))
                continue
            row = next(rows)
            if answer is not None and answer.decision == "match":
                self.matched.append(answer)
                continue
            problem = self._problem(image, answer)
            if problem is not None:
                self.left_out.append(LeftOut(image.name, image.sha256, *problem))
                continue
            related = None if answer is None else answer.related
            self._seen[image.sha256] = image.name
            self.unknown.append(
                _Unknown(position, image.name, image.sha256, image.side_px, related)
            )
            self._fingerprints.append(row)
        if len(self.unknown) > MOST_UNKNOWN:
            raise InvalidOptionError(
                f"more than {MOST_UNKNOWN} images are of no enrolled model: expected fewer, as all "
                "are compared with all; discover some of them, enroll what is proposed, go on"
            )

    def _problem(self, image: LoadedImage, answer: Identification | None) -> tuple[str, str] | None:
        """Why an image is not grouped, if so."""
        if answer is not None and answer.decision == "inconclusive":
            return answer.reason_code, answer.reason
        unusable = usability_of(image).problem if answer is None else None
        if unusable is not None:
            return unusable.code, unusable.text
        enrolled = self.reference.index.by_sha256.get(image.sha256)
        if enrolled is not None:
            return "enrolled", f"it is itself enrolled as {enrolled.label}, but does not match"
        if image.sha256 in self._seen:
            return "copy", f"the same picture as {self._seen[image.sha256]}"
        return None


def _discovery(
    sorting: _Sorting, sources: Sequence[OneImage], calibration: Calibration
) -> Discovery:
    reference, unknown, fingerprints = sorting.reference, sorting.unknown, sorting.fingerprints
    sides = [image.side_px for image in unknown]
    grouping = group_images(fingerprints, sides, reference.score, calibration)
    names = _free_names(reference.index.templates.labels)
    groups = tuple(
        _group(next(names), members.tolist(), grouping, sorting, fingerprints, sources)
        for members in grouping.groups
    )
    grouped = {position for members in grouping.groups for position in members.tolist()}
    singles = (image for i, image in enumerate(unknown) if i not in grouped)
    return Discovery(
        matched=tuple(sorting.matched),
        groups=groups,
        singles=tuple(FoundImage(image.name, image.sha256, image.related) for image in singles),
        left_out=tuple(sorting.left_out),
        fpr=sorting.fpr,
        pair_rate=grouping.pair_rate,
        calibration_source=calibration.description,
        extractor_digest=reference.embedder.digest,
        provenance=reference.provenance([]),
    )


def _free_names(labels: Sequence[str]) -> Iterator[str]:
    return (name for i in count(1) if (name := f"unknown-{i}") not in labels)


def _group(
    name: str,
    members: list[int],
    grouping: Grouping,
    sorting: _Sorting,
    fingerprints: Tensor,
    sources: Sequence[OneImage],
) -> Group:
    among = grouping.scores[np.ix_(members, members)].astype(np.float64)
    np.fill_diagonal(among, 0.0)
    typical = among.sum(axis=1) / (len(members) - 1)
    order = np.argsort(-typical, kind="stable").tolist()
    images = [sorting.unknown[members[i]] for i in order]
    related, times = Counter(image.related for image in images).most_common(1)[0]
    return Group(
        name=name,
        images=tuple(
            FoundImage(image.name, image.sha256, image.related, float(typical[i]))
            for i, image in zip(order, images, strict=True)
        ),
        cohesion=float(typical.mean()),
        nearest=_nearest(sorting.reference, fingerprints[members], images),
        related=related if 2 * times > len(images) else None,
        proposal=Proposal(name, tuple(sources[image.position] for image in images)),
    )


def _nearest(
    reference: Reference, fingerprints: Tensor, images: Sequence[_Unknown]
) -> Candidate | None:
    """The enrolled model that the images' mean score is best for."""
    templates = reference.index.templates
    if not templates.labels:
        return None
    scores = reference.score_models(fingerprints).mean(0).tolist()
    side_px = min(image.side_px for image in images)
    return ranked(
        templates.labels,
        scores,
        templates.counts,
        side_px,
        reference.calibration,
    )[0]
