"""Images of one model -> its mean spectrum: the row that stands for the model in fidelity figures.

As in the Fréchet Frequency Distance of Yang et al. 2025 (arXiv 2307.15977), a model is described by
the mean, over about 100 of its images, of the azimuthally integrated power spectrum of the
residual. What that paper leaves open is settled here:

1. Residual: the image minus its 5 x 5 binomial blur (``modelprint.residual``), of R, G and B. A
   linear filter adds the same decibels to all models, so that it cancels in every comparison.
2. Power: 64 x 64 crops at half overlap under a Hann window (Welch's method), averaged over crops
   and channels, plus the power of 8-bit rounding. Images of all sizes so have the same frequencies,
   and a larger one only a less noisy estimate.
3. Azimuthal: the mean over all directions for each whole number 1..45 of cycles per 64 pixels. The
   last rings lie in the corners, beyond half a cycle per pixel, where checkerboards show.
4. Each image is divided by its mean power. How much detail a picture has is its content; how the
   power is spread over frequencies is what the model shaped.
5. Mean over the images, then decibels: 0 dB is a white residual.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.errors import InvalidOptionError
from modelprint.features.crops import crop_starts, cut
from modelprint.residual import high_pass

CROP_PX = 64
RINGS = 45
_MOST_CROPS = 16
# Variance of rounding to whole grey levels. It gives a flat image a spectrum: that of its rounding.
_ROUNDING = 1 / (12 * 255**2)


def ring_frequencies() -> npt.NDArray[np.float64]:
    """Radius of each ring in cycles per pixel, ``(45,)``: 1/64, 2/64, ... 45/64."""
    return np.arange(1, RINGS + 1) / CROP_PX


def ring_powers(images: Tensor) -> Tensor:
    """Azimuthally averaged power spectrum of each image's residual, relative to its mean power.

    Args:
        images: ``(K, 3, H, W)`` RGB, uint8 or float in [0, 1], sides of 64 pixels or more.

    Returns:
        ``(K, 45)`` float32 > 0; 1 at every frequency for a white residual. Row k depends on
        image k alone.

    Raises:
        InvalidOptionError: Images of another shape or type, or smaller than 64 pixels.
    """
    pixels = _checked(images)
    height, width = pixels.shape[-2:]
    tops, lefts = (crop_starts(n, CROP_PX, CROP_PX // 2, _MOST_CROPS) for n in (height, width))
    window = torch.hann_window(CROP_PX, device=pixels.device)
    window = window[:, None] * window
    crops = cut(high_pass(pixels), CROP_PX, tops, lefts)
    spectrum = torch.fft.rfft2(crops * window)
    power = (spectrum.real.square() + spectrum.imag.square()).mean((1, 2))
    power = power / window.square().sum() + _ROUNDING
    counts = _bins().to(pixels.device)
    totals: Tensor = power.flatten(1) @ counts
    return totals / counts.sum(0) * (counts.sum() / totals.sum(1, keepdim=True))


def model_spectrum(images: Tensor | Iterable[Tensor]) -> npt.NDArray[np.float64]:
    """The spectrum that describes a model: its images' ring powers, averaged, in decibels.

    ``modelprint.metrics.frechet_frequency_distance`` compares two sets of such rows, and
    ``diversity`` says how varied one set is.

    Args:
        images: The model's images, ``(K, 3, H, W)``, or ``(3, H, W)`` each of any sizes; RGB, uint8
            or float in [0, 1], sides of 64 pixels or more. The more of them, the less of what they
            show is left in their mean.

    Returns:
        ``(45,)`` float64 in dB, at the frequencies ``ring_frequencies()``; 0 dB is the power of a
        white residual.

    Raises:
        InvalidOptionError: No image, images of another shape or type, or smaller than 64 pixels.
    """
    batches = [images] if isinstance(images, Tensor) else [image[None] for image in images]
    if not sum(map(len, batches)):
        raise InvalidOptionError("expected at least one image of the model, got none")
    rows = torch.cat([ring_powers(batch).cpu() for batch in batches])
    return np.asarray(10 * np.log10(rows.double().mean(0).numpy()))


def _checked(images: Tensor) -> Tensor:
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < CROP_PX:
        raise InvalidOptionError(
            f"expected images of shape (K, 3, H, W) with sides of {CROP_PX} pixels or more, got "
            f"{tuple(images.shape)}; leave smaller images out, enlarging them changes the spectrum"
        )
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise InvalidOptionError(f"expected uint8 or float images, got {images.dtype}")
    return images.float()


@lru_cache(maxsize=1)
def _bins() -> Tensor:
    """How often each bin of the half plane of frequencies counts in each ring.

    ``(64 * 33, 45)`` float32; bins whose mirror image the half plane leaves out count twice.
    """
    rows, columns = torch.fft.fftfreq(CROP_PX), torch.fft.rfftfreq(CROP_PX)
    radius = (CROP_PX * torch.hypot(rows[:, None], columns)).round().long()
    twice = torch.full((CROP_PX // 2 + 1,), 2.0)
    twice[0] = twice[-1] = 1.0
    member = F.one_hot(radius, RINGS + 1)[..., 1:] * twice[:, None]
    return member.flatten(0, 1)
