"""What happens to an image between its model and the test: recompression, resizing, blur, noise.

A condition is applied to *test* images only; what is enrolled stays as it came. Each is a function
of an (H, W, 3) uint8 array and the image's key, so that noise too is the same in every run.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from modelprint.images import MIN_SIDE_PX

Pixels = NDArray[np.uint8]
Condition = Callable[[Pixels, str], Pixels]


def clean(pixels: Pixels, _key: str) -> Pixels:
    """The image as it came."""
    return pixels


def recompress(pixels: Pixels, _key: str, *, codec: str, quality: int) -> Pixels:
    """Through Pillow's lossy codec at its defaults (JPEG: 4:2:0 chroma) and back."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, codec, quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


def resize(pixels: Pixels, _key: str, *, factor: float) -> Pixels:
    """Bicubic with antialiasing; sides stay at or above the smallest an extractor takes."""
    height_px, width_px = (max(MIN_SIDE_PX, round(side * factor)) for side in pixels.shape[:2])
    resized = Image.fromarray(pixels).resize((width_px, height_px), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def blur(pixels: Pixels, _key: str, *, sigma_px: float) -> Pixels:
    """Pillow's Gaussian blur."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma_px)))


def add_noise(pixels: Pixels, key: str, *, sigma: float) -> Pixels:
    """White Gaussian noise, sigma on the scale where white is 1; drawn from the image's key."""
    seed = int.from_bytes(hashlib.sha256(f"noise/{key}".encode()).digest()[:8], "big")
    noise = np.random.default_rng(seed).normal(0.0, 255.0 * sigma, pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


CLEAN = "clean"

CONDITIONS: dict[str, Condition] = {
    CLEAN: clean,
    "jpeg-90": partial(recompress, codec="JPEG", quality=90),
    "jpeg-75": partial(recompress, codec="JPEG", quality=75),
    "jpeg-50": partial(recompress, codec="JPEG", quality=50),
    "webp-80": partial(recompress, codec="WEBP", quality=80),
    "resize-0.75": partial(resize, factor=0.75),
    "blur-1.0": partial(blur, sigma_px=1.0),
    "noise-0.01": partial(add_noise, sigma=0.01),
}
