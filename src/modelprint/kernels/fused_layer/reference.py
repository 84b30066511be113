"""What a fused layer computes, in plain PyTorch: the truth that the fast ways are held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

POINTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "sine": torch.sin,
}
UPSAMPLERS = ("none", "nearest", "bilinear")
PADDINGS = ("zeros", "reflect", "replicate", "circular")


@dataclass(frozen=True, eq=False)
class FusedLayer:
    """One layer of one model: ``convolve(pad(upsample(activate(x * scale + shift))))``.

    Args:
        x: ``(K, C, H, W)`` features of K images, floating point. Any strides; channels-last is
            read fastest.
        weight: ``(C', C, k, k)``, k odd, of the dtype of ``x``.
        bias: ``(C',)``, of the dtype of ``x``.
        scale: ``(1, C)`` or ``(K, C)``: the normalisation as one multiply-add; ``None``: no
            normalisation. Of the dtype of ``x`` or float32.
        shift: Like ``scale``; both or neither are given.
        activation: A key of ``POINTWISE``.
        upsampler: ``"none"``, ``"nearest"`` or ``"bilinear"`` (``align_corners=False``); the last
            two double height and width.
        activate_first: Whether normalisation and activation come before the upsampling, or after.
        padding: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``, of the upsampled
            map by ``k // 2`` a side. A map too small to reflect or wrap into is replicated.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None
    activation: str = "none"
    upsampler: str = "none"
    activate_first: bool = True
    padding: str = "zeros"

    @property
    def factor(self) -> int:
        """By how much height and width grow: 1 or 2."""
        return 1 if self.upsampler == "none" else 2


def fused_layer_reference(layer: FusedLayer) -> Tensor:
    """The layer step by step, in the dtype of ``layer.x``.

    Returns:
        ``(K, C', s H, s W)`` with s = ``layer.factor``.
    """
    x = layer.x
    if layer.activate_first:
        x = upsample(activate(x, layer), layer.upsampler)
    else:
        x = activate(upsample(x, layer.upsampler), layer)
    return F.conv2d(pad(x, layer.weight.shape[-1] // 2, layer.padding), layer.weight, layer.bias)


def activate(x: Tensor, layer: FusedLayer) -> Tensor:
    """Normalisation and activation of the layer, applied to ``x``."""
    if layer.scale is not None and layer.shift is not None:
        scale, shift = layer.scale.to(x.dtype), layer.shift.to(x.dtype)
        x = x * scale[..., None, None] + shift[..., None, None]
    return POINTWISE[layer.activation](x)


def upsample(x: Tensor, upsampler: str) -> Tensor:
    """``x`` of twice the height and width, or as it is."""
    if upsampler == "none":
        return x
    align = None if upsampler == "nearest" else False
    return F.interpolate(x, scale_factor=2, mode=upsampler, align_corners=align)


def pad(x: Tensor, width_px: int, mode: str) -> Tensor:
    """Pad all four sides; a map too small to reflect or wrap into is replicated instead.

    Args:
        x: ``(K, C, H, W)`` features.
        width_px: Pixels to add on each side.
        mode: One of ``PADDINGS``.
    """
    if width_px == 0:
        return x
    if mode == "zeros":
        return F.pad(x, [width_px] * 4)
    if min(x.shape[-2:]) <= width_px:
        mode = "replicate"
    return F.pad(x, [width_px] * 4, mode=mode)
