"""The two-line way in: who made an image, and whether one model made two."""

from __future__ import annotations

from modelprint.answers.answering import allowed_fpr, verify_pair
from modelprint.batches import OneImage
from modelprint.decision import Identification, Verification
from modelprint.embedder import Embedder, calibration_of, check_embedder
from modelprint.extractor import bundled_extractor
from modelprint.gallery import Gallery
from modelprint.images import load_image


def identify(image: OneImage, gallery: Gallery, *, fpr: float | None = None) -> Identification:
    """Say which model of a gallery made an image, if any: `gallery.identify(image, fpr=fpr)`."""
    return gallery.identify(image, fpr=fpr)


def verify(
    a: OneImage,
    b: OneImage,
    *,
    extractor: Embedder | None = None,
    fpr: float | None = None,
) -> Verification:
    """Say whether one model made two images; nothing needs to be enrolled.

    Args:
        a: One image.
        b: Another.
        extractor: Makes the fingerprints; None for the bundled one.
        fpr: Allowed rate in (0, 1) at which images of two models pass; None for the default.

    Raises:
        InvalidImageError: One of the images cannot be read.
        InvalidOptionError: `fpr` is not in (0, 1), or `extractor` is not an embedder.
    """
    embedder = extractor or bundled_extractor()
    check_embedder(embedder)
    return verify_pair(
        embedder, allowed_fpr(calibration_of(embedder), fpr), load_image(a), load_image(b)
    )
