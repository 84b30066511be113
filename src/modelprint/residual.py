"""Image -> residual: what is left when the content that a blur explains is taken away."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)
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
    c = channels.shape[1]
    taps = channels.new_tensor(_BINOMIAL) / sum(_BINOMIAL)
    row = taps.view(1, 1, 1, 5).expand(c, -1, -1, -1)
    column = row.transpose(2, 3)
    padded = F.pad(channels, (2, 2, 2, 2), mode="reflect")
    blurred = F.conv2d(F.conv2d(padded, row, groups=c), column, groups=c)
    return channels - blurred


def even_out(residual: Tensor) -> Tensor:
    """Residual in units of its local root mean square, over 9 x 9 pixels.

    Every part of an image then counts alike, texture as much as a smooth wall: what remains is how
    neighbouring pixels hang together, and less of what the image shows.

    Args:
        residual: ``(B, C, H, W)`` float32, sides of 9 pixels or more.

    Returns:
        ``(B, C, H, W)`` float32.
    """
    energy = F.avg_pool2d(residual.square(), _AROUND_PX, 1, _AROUND_PX // 2, False, False)
    return residual / torch.sqrt(energy + _FLOOR**2)


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
