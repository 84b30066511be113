"""Residual -> statistics: what is regular in an image's residual, whatever the image shows.

The closed-form half of the fingerprint: nothing in this file is trained. Seven groups of numbers,
at full and at half resolution, the last at full alone. All crops of an image are averaged before
any logarithm (Welch's method), so that a larger image gives a less noisy estimate of the same
numbers. Crops for spectra overlap by half, since their borders hardly count in a window; those for
tails, co-occurrence and energy lie side by side, which costs half and says the same.

| group | what it catches |
|---|---|
| power | slope, anisotropy and bands of the spectrum: kernels, blur, sharpening |
| coherence | how the channels' spectra hang together: colour handling |
| harmonics | peaks at multiples of 1/8 cycle per pixel: upsampling by 2, 4 and 8 |
| tails | marginal distribution of the residual |
| co-occurrence | ternary patterns of three pixels in a row, as in rich models of steganalysis |
| energy | how local energy in one band and channel goes with that in another |
| periodicity | the lattice that upsampling by 2, 4 and 8 leaves, summed over the whole image |

Power, coherence and harmonics are those of two signals: the residual with its local energy evened
out, so that no texture outweighs the others, and the residual's magnitude.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.features.box_filter import box_sum
from modelprint.features.crops import crop_starts, cut
from modelprint.features.periodicity import periodicity
from modelprint.features.subband_energy import subband_energy
from modelprint.residual import even_out, high_pass, normalise, opponent_channels

CROP_PX = 128
_MOST_OVERLAPPING, _MOST_ADJACENT = 12, 8
# Cells of the half plane of frequencies, at full and at half resolution.
_GRIDS = ((24, 12), (16, 8))
_CHANNELS = 3
_CHANNEL_PAIRS = ((0, 1), (0, 2), (1, 2))
_TAILS = (0.5, 1.7, 2.5, 3.5, 5.0, 8.0, 14.0)
_TERNARY = 0.7
_STEPS = ((0, 1), (1, 0), (1, 1))
_HARMONICS = tuple(
    (y, x) for x in range(5) for y in range(8) if (x in (1, 2, 3) or y <= 4) and (y, x) != (0, 0)
)
_EPS = 1e-6


def residual_statistics(images: Tensor) -> Tensor:
    """Statistics of images of one size.

    Args:
        images: ``(B, 3, H, W)`` float32 RGB in [0, 1], sides of 32 pixels or more.

    Returns:
        ``(B, F)`` float32, F as ``statistics_count`` says; row i depends on image i alone.
    """
    height, width = images.shape[-2:]
    side = min(CROP_PX, height // 16 * 16, width // 16 * 16)
    overlapping = _Crops.of(height, width, side, side // 2, _MOST_OVERLAPPING)
    adjacent = _Crops.of(height, width, side, side, _MOST_ADJACENT)
    channels = opponent_channels(images)
    residual = high_pass(channels)
    even = even_out(residual)
    groups = _spectra(residual, even, overlapping, _GRIDS[0])
    groups += _distributions(channels, residual, adjacent)
    groups.append(periodicity(channels, even))
    channels = F.avg_pool2d(channels, 2)
    residual = high_pass(channels)
    groups += _spectra(residual, even_out(residual), overlapping.halved(), _GRIDS[1])
    groups += _distributions(channels, residual, adjacent.halved())
    return torch.cat([group.flatten(1) for group in groups], 1)


@lru_cache(maxsize=1)
def statistics_count() -> int:
    """How many statistics F an image has."""
    return residual_statistics(torch.zeros(1, 3, 32, 32)).shape[1]


class _Crops(NamedTuple):
    """Where an image is cut into squares."""

    side: int
    tops: list[int]
    lefts: list[int]

    @classmethod
    def of(cls, height: int, width: int, side: int, stride: int, most: int) -> _Crops:
        tops, lefts = (crop_starts(length, side, stride, most) for length in (height, width))
        return cls(side, tops, lefts)

    def halved(self) -> _Crops:
        """The same squares of the image at half resolution."""
        tops, lefts = ([start // 2 for start in starts] for starts in (self.tops, self.lefts))
        return _Crops(self.side // 2, tops, lefts)

    def cut(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, N, C, S, S)``."""
        return cut(x, self.side, self.tops, self.lefts)


def _spectra(residual: Tensor, even: Tensor, crops: _Crops, grid: tuple[int, int]) -> list[Tensor]:
    """Power, coherence and harmonics at one resolution; every tensor begins with axis B."""
    parts = crops.cut(residual)
    magnitude = normalise(parts.flatten(0, 1)).abs_().clamp_(max=4)
    magnitude = magnitude - magnitude.mean((2, 3), keepdim=True)
    return [
        *_spectral(crops.cut(even), grid),
        *_spectral(magnitude.view(parts.shape), grid),
    ]


def _distributions(channels: Tensor, residual: Tensor, crops: _Crops) -> list[Tensor]:
    """Tails, co-occurrence and energy at one resolution; every tensor begins with axis B."""
    parts = crops.cut(residual)
    shape = parts.shape[:2]  # (B, N crops)
    normal = normalise(parts.flatten(0, 1))
    plain = crops.cut(channels).flatten(0, 1)
    return [
        torch.log(_mean_over_crops(_tails(normal), shape) + 2e-3),
        torch.log(_mean_over_crops(_patterns(normal), shape) + 2e-3),
        _mean_over_crops(subband_energy(plain), shape),
    ]


def _mean_over_crops(values: Tensor, shape: torch.Size) -> Tensor:
    return values.view(*shape, *values.shape[1:]).mean(1)


def _spectral(signal: Tensor, grid: tuple[int, int]) -> list[Tensor]:
    """Log power, coherence and harmonics of ``(B, N, 3, S, S)``, averaged over N."""
    side = signal.shape[-1]
    window = torch.hann_window(side, device=signal.device)
    spectrum = torch.fft.rfft2(signal * (window[:, None] * window))
    # Neighbouring numbers are real and imaginary part, whatever is summed over both.
    parts = torch.view_as_real(spectrum).unbind(2)
    pairs = [*((channel, channel) for channel in range(_CHANNELS)), *_CHANNEL_PAIRS]
    products = [(parts[i] * parts[j]).mean(1) for i, j in pairs]
    cross = torch.stack([product[..., 0] + product[..., 1] for product in products], 1)
    cross /= window.square().sum() ** 2
    power = cross[:, :_CHANNELS]
    rows, columns = _averaging(side, grid, signal.device)
    log_power = torch.log(rows @ power @ columns.T + _EPS)
    rows, columns = _averaging(side, (grid[0] // 2, grid[1] // 2), signal.device)
    coarse = rows @ cross @ columns.T
    coherence = [
        coarse[:, number] / torch.sqrt(coarse[:, i] * coarse[:, j] + _EPS**2)
        for number, (i, j) in enumerate(_CHANNEL_PAIRS, _CHANNELS)
    ]
    return [log_power, torch.stack(coherence, 1), _harmonics(power)]


def _averaging(side: int, grid: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """What averages a half plane of frequencies over a grid of cells, from both sides."""
    return _cells(side, grid[0], False).to(device), _cells(side, grid[1], True).to(device)


@lru_cache(maxsize=32)
def _cells(side: int, cells: int, half: bool) -> Tensor:
    """Averages the bins of one frequency axis over equal cells, ``(cells, bins)``."""
    frequency = torch.fft.rfftfreq(side) if half else torch.fft.fftfreq(side) + 0.5
    cell = (frequency * (2 * cells if half else cells)).long().clamp(0, cells - 1)
    member = F.one_hot(cell, cells).float().T
    return member / member.sum(1, keepdim=True)


def _harmonics(power: Tensor) -> Tensor:
    """Log ratio of each harmonic of 1/8 cycle per pixel to its surroundings, ``(B, 3, 33)``."""
    side = power.shape[-2]
    # A real signal's spectrum is symmetric: the right half mirrors the left one.
    mirrored = power[..., 1:-1].flip(-1)
    mirrored = torch.cat([mirrored[..., :1, :], mirrored[..., 1:, :].flip(-2)], -2)
    plane = F.pad(torch.cat([power, mirrored], -1), (3, 3, 3, 3), mode="circular")
    peak = box_sum(plane[..., 2:-2, 2:-2], 3)
    around = box_sum(plane, 7) - peak
    ratio = torch.log((peak / 9 + _EPS) / (around / 40 + _EPS))
    step = side // 8
    rows, columns = torch.tensor(_HARMONICS, device=power.device).T * step
    return ratio[..., rows, columns]


def _tails(residual: Tensor) -> Tensor:
    """Share of pixels beyond several medians, ``(N, 3, 7)``."""
    magnitude = residual.abs()
    # As floats from the start: turning truth values into numbers takes longer than comparing.
    beyond = torch.empty_like(magnitude)
    return torch.stack([torch.gt(magnitude, tail, out=beyond).mean((2, 3)) for tail in _TAILS], -1)


def _patterns(residual: Tensor) -> Tensor:
    """Frequencies of ternary patterns, ``(N, 10, 27)``: along 3 directions, and over channels."""
    # Bytes, which hold all codes: memory is what this waits for.
    ternary = (residual > _TERNARY).to(torch.int8) - (residual < -_TERNARY).to(torch.int8) + 1
    height, width = ternary.shape[-2:]
    codes = []
    for dy, dx in _STEPS:
        parts = [
            ternary[..., i * dy : height - (2 - i) * dy, i * dx : width - (2 - i) * dx]
            for i in range(3)
        ]
        code = (parts[0] * 9 + parts[1] * 3 + parts[2]).flatten(2)
        codes.append(_histogram(code))
    colour = (ternary[:, 0] * 9 + ternary[:, 1] * 3 + ternary[:, 2]).flatten(1)
    return torch.cat([*codes, _histogram(colour[:, None])], 1)


def _histogram(code: Tensor) -> Tensor:
    """Share of each of 27 codes in ``(N, C, P)``, ``(N, C, 27)``."""
    rows = torch.arange(code.shape[0] * code.shape[1], dtype=torch.int32, device=code.device)
    offset = rows.view(*code.shape[:2], 1) * 27
    counts = torch.bincount((code + offset).flatten(), minlength=27 * len(rows))
    return counts.view(*code.shape[:2], 27).float() / code.shape[2]
