"""Image -> how strongly it repeats every 8 pixels, summed in phase over the whole image.

Decoders that enlarge by 2, 4 and 8 leave a lattice: not so much in the mean of the residual as in
how large it is from one place of the lattice to the next. A spectrum of a crop shows this as a
peak, against the whole background of the content. Folding the *whole* image onto one period adds
what repeats and averages what does not, so a lattice far below the content shows, and the more the
larger the image (synchronous averaging).
"""

from __future__ import annotations

import torch
from torch import Tensor

_PERIOD = 8
# Half of the frequencies of an 8 x 8 lattice: the others mirror them; without the mean.
_FREQUENCIES = tuple(
    (y, x)
    for x in range(_PERIOD // 2 + 1)
    for y in range(_PERIOD)
    if (x not in (0, _PERIOD // 2) or y <= _PERIOD // 2) and (y, x) != (0, 0)
)
# Of 1: edges of objects would else decide the mean of the differences.
_LARGEST_STEP = 0.1
_LARGEST_RESIDUAL = 3.0
_EPS = 1e-8


def periodicity(channels: Tensor, even: Tensor) -> Tensor:
    """Strength of each frequency of the lattice in residual, its magnitude, and both differences.

    Args:
        channels: ``(B, C, H, W)`` float32, sides of 8 pixels or more.
        even: ``(B, C, H, W)`` float32 residual of even local energy.

    Returns:
        ``(B, 4, C, 33)`` float32, 0 or more: the logarithm of one plus the power in units of what
        an image without any lattice has on average.
    """
    across = (channels[..., 1:] - channels[..., :-1]).abs().clamp(max=_LARGEST_STEP)
    down = (channels[..., 1:, :] - channels[..., :-1, :]).abs().clamp(max=_LARGEST_STEP)
    signals = (even, even.abs().clamp(max=_LARGEST_RESIDUAL), across, down)
    return torch.stack([_lattice_power(signal) for signal in signals], 1)


def _lattice_power(signal: Tensor) -> Tensor:
    B, C = signal.shape[:2]
    rows, columns = (length // _PERIOD for length in signal.shape[2:])
    whole = signal[..., : rows * _PERIOD, : columns * _PERIOD]
    # Rows first, in which numbers that are added lie side by side with others that are.
    column_sums = whole.reshape(B, C, rows, _PERIOD, -1).sum(2)
    period = column_sums.view(B, C, _PERIOD, columns, _PERIOD).sum(3) / (rows * columns)
    spectrum = torch.fft.fft2(period - period.mean((2, 3), keepdim=True))
    power = (spectrum.real.square() + spectrum.imag.square()) / _PERIOD**2
    # White noise of variance v has v / (rows * columns) on average.
    variance = (signal - signal.mean((2, 3), keepdim=True)).square().mean((2, 3), keepdim=True)
    strength = power * (rows * columns) / (variance + _EPS)
    y, x = torch.tensor(_FREQUENCIES, device=signal.device).T
    return torch.log1p(strength[..., y, x])
