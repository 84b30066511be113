"""Where an image is cut into square crops: a regular, overlapping grid from edge to edge."""

from __future__ import annotations

import torch
from torch import Tensor


def crop_starts(length_px: int, side_px: int, stride_px: int, most: int) -> list[int]:
    """First pixels of the crops along one axis, evenly spread from edge to edge.

    Args:
        length_px: Length of the axis, at least ``side_px``.
        side_px: Side of a crop.
        stride_px: About the distance of neighbouring crops, as far as ``most`` allows.
        most: Most crops along the axis, so that the cost of a huge image is bounded.

    Returns:
        Even numbers, so that the crops of the image at half resolution begin on whole pixels.
    """
    spare = length_px - side_px
    n = min(round(spare / stride_px) + 1, most)
    if n == 1:
        return [spare // 4 * 2]
    return [spare * i // (n - 1) // 2 * 2 for i in range(n)]


def cut(x: Tensor, side_px: int, tops: list[int], lefts: list[int]) -> Tensor:
    """Cut ``(B, C, H, W)`` into ``(B, N, C, side_px, side_px)``, row by row."""
    rows = [x[..., top : top + side_px, :] for top in tops]
    return torch.stack([row[..., left : left + side_px] for row in rows for left in lefts], 1)
