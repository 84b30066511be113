"""What a fingerprint says about the spectrum of an image's residual.

The first part of a fingerprint is a linear map of an image's standardised statistics, cut to a
length. Its pseudo-inverse leads back to the statistics of least norm that give this very part: what
the fingerprint remembers of them. The first group of statistics is the log power of the residual on
a grid of frequencies, so that fingerprints, also the mean of many, can be looked at as spectra.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from modelprint.backbone import WhitenedStatistics

Spectrum: TypeAlias = tuple[tuple[tuple[float, ...], ...], ...]

# The first group of `residual_statistics`: log power at full resolution.
CHANNELS = ("G", "R - G", "B - G")
GRID = (24, 12)


@dataclass(frozen=True)
class SpectrumComparison:
    """The spectra that two fingerprints remember, an image's and that of enrolled ones.

    A spectrum is `(3, 24, 12)`: channels, cells of vertical frequency, cells of horizontal
    frequency. Its values are log power above (positive) or below that of the average synthetic
    model, in deviations between such models, scaled to a root mean square of 1: a fingerprint
    knows the shape of a spectrum and not its size.

    Attributes:
        image: The image's.
        enrolled: That of the enrolled images' mean fingerprint.
        correlation: Pearson's, in [-1, 1], over all cells of the two.
        channels: Names of the 3 opponent channels.
        vertical_frequencies: Centres of the 24 cells in cycles per pixel, -0.5 to 0.5.
        horizontal_frequencies: Centres of the 12 cells in cycles per pixel, 0 to 0.5.
    """

    image: Spectrum
    enrolled: Spectrum
    correlation: float
    channels: tuple[str, ...]
    vertical_frequencies: tuple[float, ...]
    horizontal_frequencies: tuple[float, ...]


def compare_spectra(
    backbone: WhitenedStatistics, image: Tensor, enrolled: Tensor
) -> SpectrumComparison:
    """Compare what two fingerprints remember of spectra.

    Args:
        backbone: What made them.
        image: `(D,)` fingerprint of an image.
        enrolled: `(D,)` mean fingerprint.
    """
    both = remembered(backbone, torch.stack([image, enrolled]))[:, : _cells()]
    centred = both - both.mean(1, keepdim=True)
    lengths = centred.norm(dim=1).clamp(min=1e-12)
    scaled = both / both.square().mean(1, keepdim=True).sqrt().clamp(min=1e-12)
    height, width = GRID
    return SpectrumComparison(
        image=_nested(scaled[0]),
        enrolled=_nested(scaled[1]),
        correlation=float(centred[0] @ centred[1] / lengths.prod()),
        channels=CHANNELS,
        vertical_frequencies=tuple((i + 0.5) / height - 0.5 for i in range(height)),
        horizontal_frequencies=tuple((i + 0.5) / (2 * width) for i in range(width)),
    )


def remembered(backbone: WhitenedStatistics, fingerprints: Tensor) -> Tensor:
    """The standardised statistics of least norm that give the first parts of fingerprints.

    Args:
        backbone: What made them.
        fingerprints: `(N, D)`, of which the first part is that of the images as they are.

    Returns:
        `(N, F)` float64 on the CPU.
    """
    projection = backbone.projection.detach().cpu().double()
    inverse = torch.linalg.pinv(projection.T @ projection, hermitian=True)
    parts = fingerprints[:, : projection.shape[1]]
    statistics: Tensor = parts.double() @ inverse @ projection.T
    return statistics


def _cells() -> int:
    return len(CHANNELS) * GRID[0] * GRID[1]


def _nested(cells: Tensor) -> Spectrum:
    planes = cells.view(len(CHANNELS), *GRID).tolist()
    return tuple(tuple(tuple(row) for row in plane) for plane in planes)
