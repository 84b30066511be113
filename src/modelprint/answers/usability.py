"""Can an image be judged at all? Some have lost, or never had, what a fingerprint is made of."""

from __future__ import annotations

from typing import NamedTuple

from modelprint.decision import ReasonCode
from modelprint.decoding.compression import jpeg_quality
from modelprint.images import LoadedImage

FLAT_SHARE = 0.98
RELIABLE_SIDE_PX = 64
# Of 40 synthetic models that were not trained on, ten images enrolled each, the bundled extractor
# of version 0.1 identified 99 % of uncompressed images, 34 % at quality 75 and 13 % at 30.
WORST_JPEG_QUALITY = 30
_GOOD_JPEG_QUALITY = 90


class Problem(NamedTuple):
    """Why an image cannot be judged: as one word, and as a phrase."""

    code: ReasonCode
    text: str


class Usability(NamedTuple):
    """What an image's pixels say about how far its scores can be trusted.

    Attributes:
        problem: Why nothing should be decided; None if it can be.
        warnings: What else there is to say, one sentence each.
    """

    problem: Problem | None
    warnings: tuple[str, ...]


def usability_of(image: LoadedImage) -> Usability:
    """Look at an image's size, at what varies in it, and at how it was compressed."""
    _, height_px, width_px = image.pixels.shape
    quality = jpeg_quality(image.pixels)
    if image.jpeg_quality is not None:
        quality = min(image.jpeg_quality, 100 if quality is None else quality)
    if image.side_px < RELIABLE_SIDE_PX:
        size = f"{width_px} x {height_px} px, fewer than {RELIABLE_SIDE_PX} a side"
        return Usability(Problem("too_small", f"image too small: {size}"), ())
    if image.flat_share > FLAT_SHARE:
        share = f"{100 * image.flat_share:.1f} % of its pixels equal their neighbour"
        return Usability(Problem("too_flat", f"nearly flat image: {share}"), ())
    if quality is not None and quality <= WORST_JPEG_QUALITY:
        text = f"image too strongly compressed: JPEG quality {quality}"
        return Usability(Problem("too_recompressed", text), ())
    if quality is not None and quality < _GOOD_JPEG_QUALITY:
        lossy = f"{image.name} was compressed as JPEG of quality {quality}: scores are lower"
        return Usability(None, (f"{lossy}, and no match says little",))
    return Usability(None, ())
