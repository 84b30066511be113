"""Image -> residual: what is left when the content that a blur explains is taken away."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.features.box_filter import box_sum

# Of the taps 1, 4, 6, 4, 1 of the blur, in both directions.
_BINOMIAL_SUM = 16**2
# Half a grey level: keeps flat crops, whose median residual is 0, from being blown up to noise.
_FLOOR = 0.5 / 255
_AROUND_PX = 9


def opponent_channels(images: Tensor) -> Tensor:
    """RGB to G, R - G, B - G: one channel of detail, two of what colour handling leaves.

    Args:
        images: ``(B, 3, H, W)`` float32 RGB in [0, 1].

    Returns:
        ``(B, 3, H, W)`` float32; the first in [0, 1], the others in [-1, 1].
    """
    red, green, blue = images.unbind(1)
    return torch.stack([green, red - green, blue - green], 1)


def high_pass(channels: Tensor) -> Tensor:
    """Each channel minus its 5 x 5 binomial blur; borders are reflected.

    Args:
        channels: ``(B, C, H, W)`` float32, sides of 3 pixels or more.

    Returns:
        ``(B, C, H, W)`` float32.
    """
    blurred = F.pad(channels, (2, 2, 2, 2), mode="reflect")
    for axis in (-2, -1):
        # As shifted slices, which on a CPU are several times faster than a grouped convolution.
        length = blurred.shape[axis] - 4
        taps = [blurred.narrow(axis, start, length) for start in range(5)]
        blurred = 4 * (taps[1] + taps[3]) + 6 * taps[2] + taps[0] + taps[4]
    return channels - blurred / _BINOMIAL_SUM


def even_out(residual: Tensor) -> Tensor:
    """Residual in units of its local root mean square, over 9 x 9 pixels.

    Every part of an image then counts alike, texture as much as a smooth wall: what remains is how
    neighbouring pixels hang together, and less of what the image shows.

    Args:
        residual: ``(B, C, H, W)`` float32, sides of 9 pixels or more.

    Returns:
        ``(B, C, H, W)`` float32.
    """
    energy = box_sum(F.pad(residual.square(), [_AROUND_PX // 2] * 4), _AROUND_PX)
    rows, columns = (_pixels_around(length, residual) for length in residual.shape[-2:])
    return residual / torch.sqrt(energy / (rows[:, None] * columns) + _FLOOR**2)


def _pixels_around(length: int, like: Tensor) -> Tensor:
    """How many pixels of a line lie in the window around each of them, ``(length,)``."""
    place = torch.arange(length, device=like.device)
    inside = torch.minimum(place, length - 1 - place).clamp(max=_AROUND_PX // 2)
    return (inside + _AROUND_PX // 2 + 1).clamp(max=length).to(like.dtype)


def normalise(residual: Tensor) -> Tensor:
    """Residual in units of its own median magnitude, per crop and channel.

    The median makes the scale that of the texture, whatever edges a crop contains, and so makes
    crops of flat and of busy content comparable.

    Args:
        residual: ``(B, C, H, W)`` float32.

    Returns:
        ``(B, C, H, W)`` float32.
    """
    return residual / (_median(residual.abs().flatten(2))[..., None, None] + _FLOOR)


def _median(values: Tensor) -> Tensor:
    """The lower median along the last axis."""
    if values.device.type != "cpu" or values.requires_grad:
        return values.median(-1).values
    # The same number, eight times faster.
    middle = (values.shape[-1] - 1) // 2
    return torch.from_numpy(np.partition(values.numpy(), middle)[..., middle])
