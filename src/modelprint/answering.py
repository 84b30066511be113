"""Decoded images become answers: fingerprint, compare, look up the p-value, decide, record."""

from __future__ import annotations

from collections.abc import Sequence

from modelprint.batches import Unreadable
from modelprint.calibration import check_fpr
from modelprint.decision import (
    Candidate,
    Identification,
    Verification,
    decide_claim,
    decide_identity,
    size_warnings,
)
from modelprint.embedder import Embedder, calibration_of, fingerprints_of, scores_between
from modelprint.images import LoadedImage
from modelprint.index import Index


def allowed_fpr(embedder: Embedder, fpr: float | None) -> float | None:
    """The caller's false-positive rate, or else the calibration's default, if there is one.

    Raises:
        InvalidOptionError: `fpr` is not in (0, 1).
    """
    calibration = calibration_of(embedder)
    if fpr is not None:
        return check_fpr(fpr)
    return None if calibration is None else calibration.default_fpr


def identify_batch(
    embedder: Embedder,
    index: Index,
    fpr: float | None,
    images: Sequence[LoadedImage | Unreadable],
) -> list[Identification]:
    """One answer per image, in order."""
    loaded = [image for image in images if isinstance(image, LoadedImage)]
    if loaded:
        fingerprints = fingerprints_of(embedder, loaded)
        scores = scores_between(embedder, fingerprints, index.templates.fingerprints).tolist()
    else:
        scores = []
    next_scores = iter(scores)
    return [
        _unreadable(embedder, fpr, image)
        if isinstance(image, Unreadable)
        else _identify(embedder, index, fpr, image, next(next_scores))
        for image in images
    ]


def verify_label(
    embedder: Embedder, index: Index, fpr: float | None, image: LoadedImage, label: str
) -> Verification:
    """Whether an enrolled model made the image.

    Raises:
        UnknownLabelError: No such model is enrolled.
    """
    model, templates = index.position(label), index.templates
    scores = scores_between(
        embedder, fingerprints_of(embedder, [image]), templates.fingerprints[model, None]
    )
    return _verify(
        embedder,
        fpr,
        scores.item(),
        enrolled=templates.counts[model],
        claim=f"made by {label}",
        images=(image,),
        warnings=_enrolled_warnings(index, image),
    )


def verify_pair(
    embedder: Embedder, fpr: float | None, a: LoadedImage, b: LoadedImage
) -> Verification:
    """Whether one model made both images."""
    fingerprints = fingerprints_of(embedder, [a, b])
    same = "both are the same picture: that they are alike says nothing about who made them"
    return _verify(
        embedder,
        fpr,
        scores_between(embedder, fingerprints[:1], fingerprints[1:]).item(),
        enrolled=1,
        claim="made by one model",
        images=(a, b),
        warnings=(same,) if a.sha256 == b.sha256 else (),
    )


def _identify(
    embedder: Embedder, index: Index, fpr: float | None, image: LoadedImage, scores: list[float]
) -> Identification:
    templates = index.templates
    best_first = sorted(range(len(scores)), key=lambda model: -scores[model])
    candidates = tuple(
        Candidate(
            templates.labels[model],
            scores[model],
            _p_value(embedder, scores[model], templates.counts[model]),
        )
        for model in best_first
    )
    verdict = decide_identity(
        candidates,
        fpr=fpr,
        finest_p=_finest_p(embedder, templates.counts[best_first[0]]),
        flat_share=image.flat_share,
    )
    return Identification(
        decision=verdict.decision,
        label=candidates[0].label if verdict.decision == "match" else None,
        candidates=candidates,
        reason=verdict.reason,
        fpr=fpr,
        image=image.name,
        image_sha256=image.sha256,
        extractor_digest=embedder.digest,
        warnings=_image_warnings(image) + _enrolled_warnings(index, image),
    )


def _unreadable(embedder: Embedder, fpr: float | None, image: Unreadable) -> Identification:
    return Identification(
        decision="inconclusive",
        label=None,
        candidates=(),
        reason="the image cannot be read",
        fpr=fpr,
        image=image.name,
        image_sha256=None,
        extractor_digest=embedder.digest,
        error=image.error,
    )


def _verify(
    embedder: Embedder,
    fpr: float | None,
    score: float,
    *,
    enrolled: int,
    claim: str,
    images: tuple[LoadedImage, ...],
    warnings: tuple[str, ...],
) -> Verification:
    p_value = _p_value(embedder, score, enrolled)
    verdict = decide_claim(
        p_value,
        fpr=fpr,
        finest_p=_finest_p(embedder, enrolled),
        flat_share=max(image.flat_share for image in images),
    )
    return Verification(
        decision=verdict.decision,
        score=score,
        p_value=p_value,
        claim=claim,
        reason=verdict.reason,
        fpr=fpr,
        images=tuple(image.name for image in images),
        image_sha256s=tuple(image.sha256 for image in images),
        extractor_digest=embedder.digest,
        warnings=sum(map(_image_warnings, images), ()) + warnings,
    )


def _p_value(embedder: Embedder, score: float, enrolled: int) -> float | None:
    calibration = calibration_of(embedder)
    return None if calibration is None else calibration.p_value(score, enrolled)


def _finest_p(embedder: Embedder, enrolled: int) -> float:
    calibration = calibration_of(embedder)
    return 1.0 if calibration is None else calibration.finest_p(enrolled)


def _image_warnings(image: LoadedImage) -> tuple[str, ...]:
    _, height_px, width_px = image.pixels.shape
    own = tuple(f"{image.name}: {warning}" for warning in image.warnings)
    return own + size_warnings(image.name, height_px, width_px)


def _enrolled_warnings(index: Index, image: LoadedImage) -> tuple[str, ...]:
    row = index.by_sha256.get(image.sha256)
    if row is None:
        return ()
    return (f"{image.name} is itself enrolled as {row.label}: its score there is no evidence",)
