"""Images -> the same images at a scale that many sizes of them share.

A resized image keeps most of its fingerprint, but at other frequencies. If it and the original are
both shrunk until the smaller side is a power of two, they meet there again, so long as no such
power lies between their sizes.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_LEAST_PX = 64


def common_scale(height_px: int, width_px: int) -> float:
    """The factor in [0.5, 1] that shrinks a size to the common scale.

    The smaller side becomes the largest power of two below it; sides of up to 64 stay.
    """
    side_px = min(height_px, width_px)
    common_px = max(_LEAST_PX, 1 << (side_px - 1).bit_length() - 1)
    return min(1.0, common_px / side_px)


def shrunk(images: Tensor, scale: float) -> Tensor:
    """Images resized by a bicubic filter that does not alias, rounded to 8 bits as a file would be.

    Args:
        images: ``(B, 3, H, W)`` float32 in [0, 1].
        scale: New size by old size, at most 1.

    Returns:
        ``(B, 3, H', W')`` float32 in [0, 1], whole multiples of 1 / 255.
    """
    size = [round(length * scale) for length in images.shape[-2:]]
    smaller = F.interpolate(images, size, mode="bicubic", align_corners=False, antialias=True)
    return (smaller.clamp(0, 1) * 255).round() / 255
