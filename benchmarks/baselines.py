"""Embedders without any training, to see what the trained one adds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelprint.images import ImageSource, LoadedImage, load_image

Floats = NDArray[np.float64]

CROP_PX = 64
# Far below the power of 8-bit rounding, so that flat crops have a logarithm and others keep theirs.
POWER_FLOOR = 1e-8


class LogSpectrum:
    """The plain averaged log-spectrum: what a page of code without training can do.

    High-pass residual (image minus its 3 x 3 mean), power of its 2-D Fourier transform over
    64 px crops side by side, averaged; minus its mean, scaled to unit length. All 64 x 64
    frequencies are kept, no ring is averaged.

    Args:
        average: "power" averages power over crops and channels and then takes the logarithm.
            "log" averages logarithms, through a Hann window, which no bright crop can dominate
            and no crop edge can smear: the strongest form without training that is known here.
    """

    def __init__(self, average: Literal["power", "log"] = "power") -> None:
        self._average = average
        hann = np.hanning(CROP_PX) if average == "log" else np.ones(CROP_PX)
        self._window = (hann[:, None] * hann)[:, :, None]

    @property
    def dim(self) -> int:
        """Length of a fingerprint."""
        return CROP_PX * CROP_PX

    @property
    def digest(self) -> str:
        """sha256 of the recipe's name and version: there are no weights."""
        return hashlib.sha256(f"log-spectrum/{self._average}/1".encode()).hexdigest()

    def embed(
        self,
        images: Iterable[LoadedImage | ImageSource],
        *,
        batch_size: int = 32,  # noqa: ARG002  the embedder contract; here images are independent
        progress: Callable[[int], None] | None = None,
    ) -> Tensor:
        """(N, 4096) float32 fingerprints of unit length."""
        rows = []
        for image in images:
            pixels = load_image(image).pixels
            rows.append(self._spectrum(pixels.permute(1, 2, 0).numpy() / 255.0))
            if progress is not None:
                progress(1)
        return torch.from_numpy(np.stack(rows).astype(np.float32))

    def _spectrum(self, image: Floats) -> Floats:
        crops = _crops(image - _local_mean(image)) * self._window
        power = np.abs(np.fft.fft2(crops, axes=(1, 2))) ** 2
        if self._average == "log":
            spectrum = np.log(power + POWER_FLOOR).mean(axis=(0, 3)).ravel()
        else:
            spectrum = np.log(power.mean(axis=(0, 3)) + POWER_FLOOR).ravel()
        spectrum -= spectrum.mean()
        length = np.linalg.norm(spectrum)
        if length < 1e-9:  # an image of one colour: every direction is as good as another
            spectrum, length = np.ones_like(spectrum), np.sqrt(len(spectrum))
        return np.asarray(spectrum / length)


def _local_mean(image: Floats) -> Floats:
    """3 x 3 mean (H, W, 3), reflected at the border."""
    height_px, width_px, _ = image.shape
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    shifted = (
        padded[row : row + height_px, column : column + width_px]
        for row in range(3)
        for column in range(3)
    )
    return np.asarray(sum(shifted) / 9.0)


def _crops(residual: Floats) -> Floats:
    """(n, 64, 64, 3) crops side by side, centred; a smaller residual is continued by reflection."""
    missing = [max(0, CROP_PX - side) for side in residual.shape[:2]]
    residual = np.pad(residual, (*((0, m) for m in missing), (0, 0)), mode="reflect")
    starts = [
        range((side % CROP_PX) // 2, side - CROP_PX + 1, CROP_PX) for side in residual.shape[:2]
    ]
    return np.stack(
        [residual[y : y + CROP_PX, x : x + CROP_PX] for y in starts[0] for x in starts[1]]
    )
