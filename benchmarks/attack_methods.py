"""Attacks on fingerprints: what takes a model's fingerprint off an image, or puts another's on it.

| attack | aim | what the attacker has |
|---|---|---|
| launder | removal | the image alone |
| re-noise | removal | the image alone |
| spectrum to photographs | removal | images of the model, and photographs |
| gradient away | removal | the weights, and images of the model |
| spectrum to target | forgery | images of both models |
| gradient to target | forgery | the weights, and images of both models |

An attack takes 8-bit pixels and gives 8-bit pixels, as a file would hold them.
"""

from __future__ import annotations

import hashlib
import io

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from modelprint.extractor import FingerprintExtractor
from modelprint.features.crops import crop_starts, cut
from modelprint.residual import high_pass

# Laundering: what a re-upload does, twice.
JPEG_QUALITIES = (85, 90)
RESIZE_FACTOR = 0.9
# Re-noising: as much noise as a median of 3 x 3 takes away again.
NOISE_SIGMA = 0.015
MEDIAN_PX = 3
# Reshaping a spectrum.
TAPS = 64
MOST_CROPS = 8
# Power is multiplied or divided by no more than that; content below a frequency stays as it is.
MOST_GAIN = 16.0
LEAST_FREQUENCY = 1 / 16
# Gradient: one grey level up or down is all that a pixel may move.
BUDGET = 1 / 255
GRADIENT_STEPS = 12


def launder(pixels: Tensor, _key: str) -> Tensor:
    """JPEG, smaller, as large as before, JPEG: `(3, H, W)` uint8 to the same."""
    image = _recompressed(_pil(pixels), JPEG_QUALITIES[0])
    size = image.size
    smaller = (round(size[0] * RESIZE_FACTOR), round(size[1] * RESIZE_FACTOR))
    bicubic = Image.Resampling.BICUBIC
    return _pixels(
        _recompressed(image.resize(smaller, bicubic).resize(size, bicubic), JPEG_QUALITIES[1])
    )


def renoise(pixels: Tensor, key: str) -> Tensor:
    """White noise over the image's own residual, then a median filter; noise is drawn by key."""
    seed = int.from_bytes(hashlib.sha256(f"re-noise/{key}".encode()).digest()[:8], "big")
    noise = np.random.default_rng(seed).normal(0.0, NOISE_SIGMA, tuple(pixels.shape))
    noisy = to_bytes(pixels.float() / 255 + torch.from_numpy(noise).float())
    return _pixels(_pil(noisy).filter(ImageFilter.MedianFilter(MEDIAN_PX)))


def mean_power(images: list[Tensor]) -> Tensor:
    """Power of the residual by frequency, over images `(3, H, W)` uint8: `(3, 64, 64)`."""
    window = torch.hann_window(TAPS)
    powers = []
    for pixels in images:
        residual = high_pass(pixels[None].float() / 255)
        tops, lefts = (crop_starts(n, TAPS, TAPS // 2, MOST_CROPS) for n in pixels.shape[1:])
        crops = cut(residual, TAPS, tops, lefts)[0] * (window[:, None] * window)
        powers.append(torch.fft.fft2(crops).abs().square().mean(0))
    return torch.stack(powers).mean(0)


def reshape_spectrum(pixels: Tensor, own: Tensor, wanted: Tensor) -> Tensor:
    """Filter an image so that the residual of its model would have another mean spectrum.

    Args:
        pixels: `(3, H, W)` uint8.
        own: `(3, 64, 64)` mean power of the model that made it.
        wanted: That of the model, or the photographs, that it shall look like.
    """
    gain = (wanted / own).clamp(1 / MOST_GAIN, MOST_GAIN).sqrt()
    frequency = torch.fft.fftfreq(TAPS)
    gain[:, torch.hypot(frequency[:, None], frequency) < LEAST_FREQUENCY] = 1.0
    # An odd number of taps has a middle: a filter without a shift.
    window = torch.hann_window(TAPS + 1, periodic=False)[:-1]
    taps = torch.fft.fftshift(torch.fft.ifft2(gain).real, dim=(1, 2)) * (window[:, None] * window)
    taps = taps[:, 1:, 1:]
    edge = taps.shape[-1] // 2
    padded = F.pad(pixels[None].float() / 255, (edge,) * 4, mode="reflect")
    return to_bytes(F.conv2d(padded, taps[:, None], groups=3)[0])


def follow_gradient(
    pixels: Tensor,
    extractor: FingerprintExtractor,
    *,
    away_from: Tensor,
    towards: Tensor | None = None,
) -> Tensor:
    """Projected gradient on scores, with every pixel within one grey level.

    Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018; with steps
    that shrink to nothing, so that few pixels end between grey levels. The gradient of recompressed
    copies is passed straight through the codec (Athalye, Carlini and Wagner 2018).

    Args:
        pixels: `(3, H, W)` uint8.
        extractor: Its weights are known to the attacker; the gallery's adaptation is not.
        away_from: `(1, D)` mean fingerprint of the model that made the image: its score falls.
        towards: `(1, D)` that of a model whose score rises, for a forgery.
    """
    image = pixels[None].to(extractor.device).float() / 255
    change = torch.zeros_like(image, requires_grad=True)
    for step in range(GRADIENT_STEPS):
        features = extractor.backbone((image + change).clamp(0, 1))
        fingerprint = F.normalize(features, dim=1).cpu()
        gained = -extractor.compare(fingerprint, away_from).sum()
        if towards is not None:
            gained = gained + extractor.compare(fingerprint, towards).sum()
        (gradient,) = torch.autograd.grad(gained, change)
        with torch.no_grad():
            change += BUDGET / 4 * (1 - step / GRADIENT_STEPS) * gradient.sign()
            change.clamp_(-BUDGET, BUDGET)
    return to_bytes((image + change.detach())[0].cpu())


def psnr_db(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of two uint8 images of one shape."""
    error = ((a.double() - b.double()) / 255).square().mean()
    return float(-10 * torch.log10(error.clamp(min=1e-12)))


def to_bytes(pixels: Tensor) -> Tensor:
    """Values in about [0, 1] as 8-bit pixels."""
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)


def _recompressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as read:
        return read.convert("RGB")


def _pil(pixels: Tensor) -> Image.Image:
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def _pixels(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
