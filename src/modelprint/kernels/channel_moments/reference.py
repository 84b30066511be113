"""What the operation computes, in plain PyTorch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Mean and variance over the pixels, per image and channel: ``(K, C)`` float32 each.

    The variance is that of the pixels themselves (divided by their number, not by one less), so
    that maps of a single pixel have one. Float64 maps have float64 moments.
    """

    mean: Tensor
    variance: Tensor


def channel_moments_reference(x: Tensor) -> Moments:
    """Moments of ``x`` ``(K, C, H, W)``, computed in float32 or better."""
    x = x if x.dtype == torch.float64 else x.float()
    variance, mean = torch.var_mean(x, (2, 3), correction=0)
    return Moments(mean, variance)
