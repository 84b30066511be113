"""What every model of one depth sees of the same photographs: computed once for all of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Inputs(NamedTuple):
    """Pictures as models read them, float32.

    Attributes:
        x: ``(K, 3, H, W)`` in [-1, 1], sides divisible by 2 to the number of stages.
        halved: ``(K, 3, H / 2, W / 2)``, the means of four pixels each.
        tone: ``(K, 3, H, W)``, the pictures at the bottleneck's resolution, smoothly enlarged. A
            trained model gets brightness and colour right even through an instance norm. Too
            smooth to carry a fingerprint, this gives the solved layer the means to do so.
    """

    x: Tensor
    halved: Tensor
    tone: Tensor


def inputs_of(x: Tensor, stages: int) -> Inputs:
    """Inputs of models with so many stages, of pictures ``x`` ``(K, 3, H, W)`` in [-1, 1]."""
    factor = 2**stages
    halved = F.avg_pool2d(x, 2)
    small = halved if factor == 2 else F.avg_pool2d(x, factor)
    tone = F.interpolate(small, scale_factor=factor, mode="bilinear", align_corners=False)
    return Inputs(x, halved, tone)


def photographs(photos: Tensor, stages: int) -> Inputs:
    """Inputs of photographs ``(K, 3, H, W)`` in [0, 1] of any size from 32 pixels a side.

    Reflected margins on the right and at the bottom make any size divisible.
    """
    x = photos * 2 - 1
    right, bottom = (-side % 2**stages for side in (x.shape[3], x.shape[2]))
    if right or bottom:
        x = F.pad(x, (0, right, 0, bottom), mode="reflect")
    return inputs_of(x.contiguous(memory_format=torch.channels_last), stages)
