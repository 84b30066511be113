"""Why a decision came out as it did: where in the image, in which frequencies, next to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from modelprint.answers.fingerprint_spectrum import SpectrumComparison, compare_spectra
from modelprint.answers.ranking import ranked
from modelprint.backbone import WhitenedStatistics
from modelprint.embedder import fingerprints_of
from modelprint.features.crops import crop_starts
from modelprint.images import LoadedImage, load_image
from modelprint.records import Provenance, audit_record
from modelprint.reference import Reference

Grid: TypeAlias = tuple[tuple[float, ...], ...]

TILE_PX = 128
TILE_STRIDE_PX = 64
# Tiles along one axis: what bounds the cost for a huge image, by a wider stride.
MOST_TILES = 16
NEAREST = 5


@dataclass(frozen=True)
class ScoreMap:
    """Scores of square tiles, each looked at as if it were the whole image.

    A tile has less to go by than the image: compare tiles with each other, or their p-values with
    chance, rather than their scores with the image's.

    Attributes:
        side_px: Side of a tile: 128, or less where the image is smaller.
        tops_px: First rows of the R rows of tiles.
        lefts_px: First columns of the C columns of tiles.
        scores: `(R, C)`, in the extractor's unit.
        p_values: `(R, C)` shares in (0, 1] of strangers' images of a tile's size that score as
            high; None if not calibrated.
        flat_shares: `(R, C)` shares in [0, 1] of pixels that equal their neighbour; where that is
            nearly 1, a score says nothing.
    """

    side_px: int
    tops_px: tuple[int, ...]
    lefts_px: tuple[int, ...]
    scores: Grid
    p_values: Grid | None
    flat_shares: Grid


@dataclass(frozen=True)
class EnrolledImage:
    """One enrolled image that an image was compared with.

    Attributes:
        label: The model it is enrolled for.
        name: Of its file when it was enrolled.
        sha256: Of its pixels.
        score: Of the image against this one alone, in the extractor's unit.
    """

    label: str
    name: str
    sha256: str
    score: float


@dataclass(frozen=True)
class Evidence:
    """What a score against one enrolled model consists of.

    Attributes:
        label: The model, or family of models, that the image is compared with.
        score: Of the whole image.
        p_value: Share in (0, 1] of strangers that score as high; None if not calibrated.
        enrolled: Images behind the label.
        tiles: Where in the image the score comes from.
        spectrum: What the fingerprints say about spectra; None for an extractor whose
            fingerprints do not lead back to them.
        nearest: The enrolled images, of any model, that are most alike, best first.
        image: Name of the image as it was given.
        image_sha256: Hash of its pixels.
        width_px: Width of the image.
        height_px: Height of the image.
        extractor_digest: Which extractor made the fingerprints.
        provenance: What else this was made from, and when.
    """

    label: str
    score: float
    p_value: float | None
    enrolled: int
    tiles: ScoreMap
    spectrum: SpectrumComparison | None
    nearest: tuple[EnrolledImage, ...]
    image: str
    image_sha256: str
    width_px: int
    height_px: int
    extractor_digest: str
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON, with the same provenance as an audit record."""
        return audit_record("evidence", self)


def explain(reference: Reference, image: LoadedImage, label: str | None = None) -> Evidence:
    """Take a score apart.

    Args:
        reference: What the question is answered from; something is enrolled.
        image: One image.
        label: An enrolled model, or a family; None for the model that an identification puts
            first. One with descendants stands for all of them.

    Raises:
        UnknownLabelError: No such model is enrolled.
    """
    embedder = reference.embedder
    fingerprint = fingerprints_of(embedder, [image])
    if label is None:
        label = _best(reference, fingerprint, image.side_px)
    template, enrolled = _template(reference, label)
    score = reference.score(fingerprint, template).item()
    _, height_px, width_px = image.pixels.shape
    return Evidence(
        label=label,
        score=score,
        p_value=_p_value(reference, score, enrolled, image.side_px),
        enrolled=enrolled,
        tiles=_tiles(reference, image, template, enrolled),
        spectrum=_spectrum(reference, fingerprint, template),
        nearest=_nearest(reference, fingerprint),
        image=image.name,
        image_sha256=image.sha256,
        width_px=width_px,
        height_px=height_px,
        extractor_digest=embedder.digest,
        provenance=reference.provenance([image]),
    )


def _best(reference: Reference, fingerprint: Tensor, side_px: int) -> str:
    """The model that an identification names first."""
    labels, _, counts = reference.index.templates
    scores = reference.score_models(fingerprint)[0].tolist()
    return ranked(labels, scores, counts, side_px, reference.calibration)[0].label


def _tiles(reference: Reference, image: LoadedImage, template: Tensor, enrolled: int) -> ScoreMap:
    _, height_px, width_px = image.pixels.shape
    side_px = min(TILE_PX, height_px, width_px)
    tops, lefts = (
        crop_starts(length, side_px, TILE_STRIDE_PX, MOST_TILES) for length in (height_px, width_px)
    )
    tiles = [
        load_image(
            image.pixels[:, top : top + side_px, left : left + side_px],
            name=f"{image.name} at {left}, {top}",
        )
        for top in tops
        for left in lefts
    ]
    scores = reference.score(fingerprints_of(reference.embedder, tiles), template)[:, 0].tolist()
    p_values = [_p_value(reference, score, enrolled, side_px) for score in scores]
    known = [p for p in p_values if p is not None]
    return ScoreMap(
        side_px,
        tuple(tops),
        tuple(lefts),
        _grid(scores, len(lefts)),
        _grid(known, len(lefts)) if known else None,
        _grid([tile.flat_share for tile in tiles], len(lefts)),
    )


def _spectrum(
    reference: Reference, fingerprint: Tensor, template: Tensor
) -> SpectrumComparison | None:
    backbone = getattr(reference.embedder, "backbone", None)
    if not isinstance(backbone, WhitenedStatistics):
        return None
    return compare_spectra(backbone, fingerprint[0], template[0])


def _nearest(reference: Reference, fingerprint: Tensor) -> tuple[EnrolledImage, ...]:
    index = reference.index
    scores = reference.score(fingerprint, index.fingerprints)[0]
    best = torch.sort(scores, descending=True, stable=True).indices[:NEAREST].tolist()
    return tuple(
        EnrolledImage(row.label, row.name, row.sha256, scores[i].item())
        for i, row in ((i, index.rows[i]) for i in best)
    )


def _template(reference: Reference, label: str) -> tuple[Tensor, int]:
    """Mean fingerprint `(1, D)` of a model and its descendants, and how many images are in it."""
    index = reference.index
    family = label in index.families.labels
    if not family:
        index.position(label)  # which raises
    _, fingerprint, counts = (index.families if family else index.templates).only([label])
    return fingerprint, counts[0]


def _p_value(reference: Reference, score: float, enrolled: int, side_px: int) -> float | None:
    calibration = reference.calibration
    return None if calibration is None else calibration.p_value(score, enrolled, side_px)


def _grid(values: list[float], columns: int) -> Grid:
    return tuple(tuple(values[start : start + columns]) for start in range(0, len(values), columns))
