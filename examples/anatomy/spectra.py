"""How the residual spectrum of synthetic models moves as one choice in them changes.

All variants share their weights' names, so their weights are the base models' wherever shapes
agree, and all render the same pictures: what differs between two spectra is the choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from modelprint.residual import high_pass
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.space import Architecture, Stage
from modelprint.synthesis.synthesizer import ModelSpec, ModelSynthesizer

Spectrum = npt.NDArray[np.float64]

BASE = Stage(layers=1, upsampler="nearest", activation="relu", norm="batch", order="conv-norm-act")
STAGES = 2
# What is compared with the base model, axis by axis.
VARIANTS: dict[str, tuple[str | int, ...]] = {
    "upsampler": ("bilinear", "transposed2", "pixel_shuffle"),
    "activation": ("none", "sigmoid", "tanh", "sine"),
    "norm": ("none", "instance", "group", "pixel"),
    "order": ("norm-act-conv",),
    "kernel": (1, 5, 7),
}
BLOCK_PX = 64
SIDE_PX = 128
# Other pictures than those that weights were trained on.
SERIES = 2_000_000


@dataclass(frozen=True)
class Spectra:
    """Log power spectra `(models, 64, 64)` in dB, zero frequency first.

    Attributes:
        pictures: `(64, 64)`: of what all models rendered.
        base: Of the base models.
        elsewhere: Of the base models on other pictures.
        variants: By axis and option; model i has the same weights' names as base model i.
    """

    pictures: Spectrum
    base: Spectrum
    elsewhere: Spectrum
    variants: dict[tuple[str, str | int], Spectrum]

    def options(self, axis: str) -> dict[str, Spectrum]:
        """Spectra of the variants of one axis, by option."""
        return {str(option): self.variants[axis, option] for option in VARIANTS[axis]}

    def distances_db(self, axis: str) -> dict[str, float]:
        """How far the variants of one axis are from the base models, by option."""
        return {option: distance_db(of, self.base) for option, of in self.options(axis).items()}


def measure(models: int, images: int) -> Spectra:
    """Render `images` pictures with `models` seeds of the base model and of every variant."""
    synthesizer = ModelSynthesizer("paper", seed=0)
    pictures = draw_pictures(2 * images, seed=SERIES, size_px=SIDE_PX)
    shown, others = pictures[:images], pictures[images:]

    def spectra(stage: Stage, seen: Tensor) -> Spectrum:
        architecture = Architecture((stage,) * STAGES)
        specs = [ModelSpec("anatomy", 0, index, architecture) for index in range(models)]
        return np.stack([log_spectrum(of) for of in synthesizer.generate(specs, seen)])

    return Spectra(
        pictures=log_spectrum(shown),
        base=spectra(BASE, shown),
        elsewhere=spectra(BASE, others),
        variants={
            (axis, option): spectra(_changed(axis, option), shown)
            for axis, options in VARIANTS.items()
            for option in options
        },
    )


def _changed(axis: str, option: str | int) -> Stage:
    changes: dict[str, object] = {axis: option}
    return replace(BASE, **changes)  # type: ignore[arg-type]  # axes have values of several types


def log_spectrum(images: Tensor) -> Spectrum:
    """Shape of the residual's power spectrum, green channel, by Welch's method.

    Of every image the mean level is taken away, which tells how much texture it has and little
    about the model. The extractor does so too, in its own way.

    Args:
        images: `(K, 3, H, W)` uint8, sides of 64 pixels or more.

    Returns:
        `(64, 64)` in dB, zero frequency first: mean over images of the log spectrum relative to
        its mean over frequencies.
    """
    residual = high_pass(images[:, 1:2].float())
    window = torch.hann_window(BLOCK_PX, periodic=False)
    taper = window[:, None] * window
    step = BLOCK_PX // 2
    blocks = residual[:, 0].unfold(1, BLOCK_PX, step).unfold(2, BLOCK_PX, step)
    power = torch.fft.fft2(blocks * taper).abs().square().double().mean((1, 2))
    # The rounding of 8-bit files alone has a variance of 1/12: far below it, silence stays finite.
    level = 10 * torch.log10(power / taper.square().sum() + 1e-6)
    shape: Spectrum = (level - level.mean((1, 2), keepdim=True)).mean(0).numpy()
    return shape


def distance_db(a: Spectrum, b: Spectrum) -> float:
    """Log-spectral distance: root mean square over frequencies, mean over models."""
    return float(np.sqrt(((a - b) ** 2).mean((-2, -1))).mean())


def seed_distance_db(spectra: Spectrum) -> float:
    """Mean log-spectral distance between two of the models `(M, 64, 64)`."""
    first, second = np.triu_indices(len(spectra), 1)
    return distance_db(spectra[first], spectra[second])


def grid_peak_db(spectra: Spectrum) -> float:
    """How far the spectrum stands out at the multiples of a quarter cycle per pixel.

    Two stages that each double the resolution repeat themselves every four pixels: a pattern of
    that period has all its power at these frequencies. Level there minus the median of the square
    of 9 x 9 frequencies around it; mean over the grid without zero frequency.

    Args:
        spectra: `(..., 64, 64)` in dB.
    """
    quarter = BLOCK_PX // 4
    peaks = []
    for v in range(4):
        for u in range(4):
            if u or v:
                around = np.roll(spectra, (4 - v * quarter, 4 - u * quarter), (-2, -1))[..., :9, :9]
                peaks.append(around[..., 4, 4] - np.median(around, (-2, -1)))
    return float(np.mean(peaks))


def zeros_db(spectra: Spectrum) -> float:
    """Level on the lines where repeated pixels have no power, relative to the rest.

    Nearest-neighbour upsampling repeats every pixel, and so has gain zero at half a cycle per pixel
    of its output: at a half and, one stage earlier, at a quarter. What is found there came later.

    Args:
        spectra: `(..., 64, 64)` in dB.
    """
    frequency = np.abs(np.fft.fftfreq(BLOCK_PX))
    zero = np.isin(frequency, (0.25, 0.5))
    # Low frequencies are left out: edges of the pictures are strong there.
    inner = (frequency[:, None] > 0.1) & (frequency > 0.1)
    line = (zero[:, None] | zero) & inner
    return float(spectra[..., line].mean() - spectra[..., ~line & inner].mean())


def replica_db(spectra: Spectrum) -> float:
    """Level above a quarter cycle per pixel, relative to the level below.

    Doubling the resolution repeats what is below a quarter above it; a good filter removes that.

    Args:
        spectra: `(..., 64, 64)` in dB.
    """
    frequency = np.abs(np.fft.fftfreq(BLOCK_PX))
    above = np.maximum(frequency[:, None], frequency) > 0.25
    return float(spectra[..., above].mean() - spectra[..., ~above].mean())


def radial(spectrum: Spectrum) -> tuple[Spectrum, Spectrum]:
    """Mean over directions of `(64, 64)`: frequencies in cycles per pixel, and levels."""
    axis = np.fft.fftfreq(BLOCK_PX)
    ring = np.rint(np.hypot(axis[:, None], axis) * BLOCK_PX).astype(int).ravel()
    total = np.bincount(ring, spectrum.ravel())
    return np.arange(len(total)) / BLOCK_PX, total / np.bincount(ring)


def profile(spectrum: Spectrum) -> tuple[Spectrum, Spectrum]:
    """Mean of `(64, 64)` along rows and columns, where upsampling leaves its lines.

    Returns:
        Horizontal or vertical frequencies in [0, 0.5] cycles per pixel, and levels.
    """
    half = BLOCK_PX // 2
    along = (spectrum.mean(0) + spectrum.mean(1)) / 2
    mirrored = along[-np.arange(half + 1)]
    return np.arange(half + 1) / BLOCK_PX, (along[: half + 1] + mirrored) / 2
