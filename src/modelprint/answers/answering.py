"""Decoded images become answers: fingerprint, compare, look up the p-value, decide, record."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from modelprint.answers.ranking import ranked
from modelprint.answers.rules import corrected_p, decide_claim, decide_identity, largest_p
from modelprint.answers.usability import usability_of
from modelprint.batches import Unreadable
from modelprint.calibration import Calibration, check_fpr
from modelprint.decision import Candidate, Identification, Verification
from modelprint.embedder import Embedder, fingerprints_of
from modelprint.images import LoadedImage
from modelprint.index import Index
from modelprint.lineage import is_within
from modelprint.reference import Reference
from modelprint.scoring.comparison import symmetric


def allowed_fpr(calibration: Calibration | None, fpr: float | None) -> float | None:
    """The caller's false-positive rate, or else the calibration's default, if there is one.

    Raises:
        InvalidOptionError: `fpr` is not in (0, 1).
    """
    if fpr is not None:
        return check_fpr(fpr)
    return None if calibration is None else calibration.default_fpr


def identify_batch(
    reference: Reference, fpr: float | None, images: Sequence[LoadedImage | Unreadable]
) -> list[Identification]:
    """One answer per image, in order."""
    loaded = [image for image in images if isinstance(image, LoadedImage)]
    return identify_embedded(reference, fpr, images, fingerprints_of(reference.embedder, loaded))


def identify_embedded(
    reference: Reference,
    fpr: float | None,
    images: Sequence[LoadedImage | Unreadable],
    fingerprints: Tensor,
) -> list[Identification]:
    """The same for images whose fingerprints `(n, D)` are known: of those that could be read."""
    found = (reference.score_models(fingerprints), reference.score_families(fingerprints))
    scores = zip(*(of_all.tolist() for of_all in found), strict=True)
    return [
        _unreadable(reference, fpr, image)
        if isinstance(image, Unreadable)
        else _identify(reference, fpr, image, *next(scores))
        for image in images
    ]


def verify_label(
    reference: Reference, fpr: float | None, image: LoadedImage, label: str
) -> Verification:
    """Whether an enrolled model, or one of a family of them, made the image.

    A family is compared member by member and as a whole; its p-value is the smallest of these,
    corrected for their number.

    Raises:
        UnknownLabelError: No such model is enrolled, nor any below that path.
    """
    index = reference.index
    members = index.templates.only(index.members(label))
    wider = index.families.only([path for path in index.families.labels if is_within(path, label)])
    fingerprint = fingerprints_of(reference.embedder, [image])
    claimed: list[tuple[Candidate, int]] = []
    for templates in (members, wider):
        scores = reference.against(templates)(fingerprint)[0].tolist()
        for name, score, enrolled in zip(templates.labels, scores, templates.counts, strict=True):
            claimed.append((_compared(reference, name, score, enrolled, image.side_px), enrolled))
    best, enrolled = min(claimed, key=lambda pair: (pair[0].p_value or 1.0, -pair[0].score))
    family = "" if members.labels == (label,) else "the family "
    return _verification(
        reference,
        fpr,
        best,
        (image,),
        label=label,
        claim=f"made by {family}{label}",
        enrolled=enrolled,
        comparisons=len(claimed),
        warnings=(*reference.warnings, *_enrolled_warnings(index, image)),
    )


def verify_pair(
    embedder: Embedder, fpr: float | None, a: LoadedImage, b: LoadedImage
) -> Verification:
    """Whether one model made both images."""
    reference = Reference(embedder, Index.empty(embedder.dim))
    first, second = fingerprints_of(embedder, [a, b]).unsqueeze(1)
    score = symmetric(reference.score, first, second).item()
    same = "both are the same picture: that they are alike says nothing about who made them"
    return _verification(
        reference,
        fpr,
        _compared(reference, b.name, score, 1, min(a.side_px, b.side_px)),
        (a, b),
        label=None,
        claim="made by one model",
        enrolled=1,
        comparisons=1,
        warnings=(same,) if a.sha256 == b.sha256 else (),
    )


def _identify(
    reference: Reference,
    fpr: float | None,
    image: LoadedImage,
    of_models: list[float],
    of_families: list[float],
) -> Identification:
    """The answer about an image with these scores against every model and every family."""
    index, calibration = reference.index, reference.calibration
    candidates = reference.rank_models(of_models, image.side_px)
    paths, _, counts = index.families
    families = ranked(paths, of_families, counts, image.side_px, calibration)
    usable = usability_of(image)
    verdict = decide_identity(
        candidates,
        families,
        fpr=fpr,
        finest_p=_finest_p(calibration, index.count(candidates[0].label), image.side_px),
        unusable=usable.problem,
    )
    return Identification(
        **verdict._asdict(),
        candidates=candidates,
        families=families,
        fpr=fpr,
        p_threshold=_threshold(reference, fpr, len(candidates)),
        calibration_source=_source(calibration),
        image=image.name,
        image_sha256=image.sha256,
        extractor_digest=reference.embedder.digest,
        provenance=reference.provenance([image]),
        warnings=(
            *_decoding_warnings(image),
            *usable.warnings,
            *reference.warnings,
            *_enrolled_warnings(index, image),
        ),
    )


def _unreadable(reference: Reference, fpr: float | None, image: Unreadable) -> Identification:
    return Identification(
        decision="inconclusive",
        label=None,
        level=None,
        related=None,
        candidates=(),
        families=(),
        reason_code="unreadable",
        reason="the image cannot be read",
        fpr=fpr,
        p_threshold=_threshold(reference, fpr, len(reference.index.templates.labels)),
        calibration_source=_source(reference.calibration),
        image=image.name,
        image_sha256=None,
        extractor_digest=reference.embedder.digest,
        provenance=reference.provenance([]),
        error=image.error,
    )


def _verification(
    reference: Reference,
    fpr: float | None,
    best: Candidate,
    images: tuple[LoadedImage, ...],
    *,
    label: str | None,
    claim: str,
    enrolled: int,
    comparisons: int,
    warnings: tuple[str, ...],
) -> Verification:
    """The record of a claim that `comparisons` were made for, of which this is the best."""
    calibration = reference.calibration
    usable = [usability_of(image) for image in images]
    verdict = decide_claim(
        best.p_value,
        fpr=fpr,
        finest_p=_finest_p(calibration, enrolled, min(image.side_px for image in images)),
        unusable=next((found.problem for found in usable if found.problem), None),
        comparisons=comparisons,
    )
    p_value = None if best.p_value is None else corrected_p(best.p_value, comparisons)
    return Verification(
        **verdict._asdict(),
        score=best.score,
        p_value=p_value,
        llr=best.llr if comparisons == 1 else None,
        claim=claim,
        label=label,
        fpr=fpr,
        calibration_source=_source(calibration),
        images=tuple(image.name for image in images),
        image_sha256s=tuple(image.sha256 for image in images),
        extractor_digest=reference.embedder.digest,
        provenance=reference.provenance(images),
        warnings=(
            *(warning for image in images for warning in _decoding_warnings(image)),
            *(warning for found in usable for warning in found.warnings),
            *warnings,
        ),
    )


def _compared(
    reference: Reference, name: str, score: float, enrolled: int, side_px: int
) -> Candidate:
    """One comparison by itself."""
    return ranked([name], [score], [enrolled], side_px, reference.calibration)[0]


def _finest_p(calibration: Calibration | None, enrolled: int, side_px: int) -> float:
    return 1.0 if calibration is None else calibration.finest_p(enrolled, side_px)


def _threshold(reference: Reference, fpr: float | None, models: int) -> float | None:
    calibrated = reference.calibration is not None
    return largest_p(fpr, models) if calibrated and fpr is not None else None


def _source(calibration: Calibration | None) -> str | None:
    return None if calibration is None else calibration.description


def _decoding_warnings(image: LoadedImage) -> tuple[str, ...]:
    return tuple(f"{image.name}: {warning}" for warning in image.warnings)


def _enrolled_warnings(index: Index, image: LoadedImage) -> tuple[str, ...]:
    row = index.by_sha256.get(image.sha256)
    if row is None:
        return ()
    return (f"{image.name} is itself enrolled as {row.label}: its score there is no evidence",)
