"""A fused layer by stock PyTorch, in the fastest way measured; no gradients.

Measured on a CPU with AVX-512, one thread, float32, K = 4, 128 px out, 32 and 64 channels, as the
share of the reference's time: channels-last with the convolution's own zero padding and a norm of
one pass 0.84 and 0.88; nearest upsampling by phases 0.51 and 0.47 (3x3), 0.42 and 0.39 (5x5), 0.37
and 0.34 (7x7); before a 1x1 kernel, convolving first, 0.35 and 0.33; circular padding that stays
channels-last 0.65 and 0.72; tanh by way of the sigmoid 0.62 and 0.71; mish by way of the
exponential 0.72 and 0.81. A 3x3 convolution of 32 channels then runs at 200 GFLOP/s.

Tried and not kept: four phases as one convolution to 4 C' channels and a copy (1.3 times as long as
the transposed one), one image at a time (1.1 to 1.4), several models as groups of one convolution
(1.2 to 3), bilinear upsampling by phases (no fewer products). bfloat16 halves the time of a
convolution but is not float32; a caller who wants it passes bfloat16 features.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.kernels.fused_layer.plan import PHASES, effective_padding, mode
from modelprint.kernels.fused_layer.reference import POINTWISE, FusedLayer, upsample


def fused_layer_torch(layer: FusedLayer) -> Tensor:
    """The layer by PyTorch operations; see ``fused_layer_reference``.

    Returns:
        ``(K, C', s H, s W)``, channels-last (a map of a single pixel has no format of its own).
    """
    _keep_freed_memory()
    x = layer.x.contiguous(memory_format=torch.channels_last)
    if layer.upsampler == "bilinear" and not layer.activate_first:
        return _convolve(_activate(upsample(x, "bilinear"), layer), layer)
    x = _activate(x, layer)
    if layer.upsampler == "nearest":
        if layer.weight.shape[-1] == 1:
            return upsample(F.conv2d(x, layer.weight, layer.bias), "nearest")
        if mode(layer) == PHASES and x.device.type == "cpu":
            return _convolve_by_phases(x, layer)
    return _convolve(upsample(x, layer.upsampler), layer)


def _activate(x: Tensor, layer: FusedLayer) -> Tensor:
    if layer.scale is None or layer.shift is None:
        return fast_pointwise(x, layer.activation)
    return _in_place(scaled(x, layer.scale, layer.shift), layer.activation)


def scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``x * scale + shift`` of ``x`` ``(K, C, H, W)``, in its dtype; factors ``(1 or K, C)``."""
    if x.dtype != torch.bfloat16 or x.device.type != "cpu":
        scale, shift = scale.to(x.dtype), shift.to(x.dtype)
        return torch.addcmul(shift[..., None, None], x, scale[..., None, None])
    # On a CPU only the batch norm has a fast loop over bfloat16; it computes in float32.
    zeros, ones = torch.zeros(x.shape[1]), torch.ones(x.shape[1])
    parts = [
        F.batch_norm(part, zeros, ones, gain.float(), offset.float(), eps=0.0)
        for part, gain, offset in zip(
            torch.split(x, len(x) // len(scale)), scale, shift, strict=True
        )
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def fast_pointwise(x: Tensor, activation: str) -> Tensor:
    """``POINTWISE[activation](x)`` in the fastest way measured; no gradients.

    On a CPU, tanh and mish are exact to a few units in the last place of 1, or of the value where
    that is larger; ``POINTWISE`` itself is more exact for values near zero.
    """
    if x.device.type == "cpu" and activation in ("tanh", "mish"):
        return _in_place(x.clone(), activation)
    return POINTWISE[activation](x)


def _in_place(x: Tensor, activation: str) -> Tensor:
    """The activation of values that nobody else needs."""
    if activation == "tanh" and x.device.type == "cpu":
        return x.mul_(2).sigmoid_().mul_(2).sub_(1)
    if activation == "mish" and x.device.type == "cpu":
        # tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); beyond 20 the quotient is 1.
        e = x.clamp(max=20).exp_()
        n = (e + 2).mul_(e)
        return x.mul_(torch.div(n, n.add(2), out=e))
    if activation in _IN_PLACE:
        return _IN_PLACE[activation](x)
    return POINTWISE[activation](x)


_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2, inplace=True),
    "elu": lambda x: F.elu(x, inplace=True),
    "selu": lambda x: F.selu(x, inplace=True),
    "silu": lambda x: F.silu(x, inplace=True),
    "hardswish": lambda x: F.hardswish(x, inplace=True),
    "sigmoid": torch.sigmoid_,
    "sine": torch.sin_,
}


@lru_cache(maxsize=1)
def _keep_freed_memory() -> None:
    """Make the C library of Linux reuse freed maps instead of returning each to the system.

    It returns what exceeds twice the largest block freed so far, up to 32 MiB; fetching that again,
    page by page, took half of a layer's time. So one large block is allocated, never touched and
    freed. Elsewhere this does nothing.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


def _convolve(x: Tensor, layer: FusedLayer) -> Tensor:
    margin = layer.weight.shape[-1] // 2
    padding = effective_padding(layer)
    if padding == "zeros":
        return F.conv2d(x, layer.weight, layer.bias, padding=margin)
    return F.conv2d(_pad(x, margin, padding), layer.weight, layer.bias)


def _convolve_by_phases(x: Tensor, layer: FusedLayer) -> Tensor:
    """Convolution of the map enlarged by "nearest", at 4 / 9 of the multiplications (3x3).

    Taps that fall on one pixel of the small map are added up beforehand. What is left is a
    transposed convolution of stride 2, whose kernel is one tap longer.
    """
    weight, kernel = layer.weight, layer.weight.shape[-1]
    # Sums are exact enough, and rounded once, in float32 or better.
    exact = torch.promote_types(weight.dtype, torch.float32)
    taps = (weight.flatten(2).to(exact) @ _sums_of_taps(kernel).to(exact)).to(weight.dtype)
    taps = taps.view(*weight.shape[:2], kernel + 1, kernel + 1).transpose(0, 1)
    padding = effective_padding(layer)
    margin = 0 if padding == "zeros" else (kernel // 2 + 1) // 2
    x = _pad(x, margin, padding)
    cut = kernel // 2 + 2 * margin
    return F.conv_transpose2d(x, taps, layer.bias, stride=2, padding=cut)


@lru_cache
def _sums_of_taps(kernel: int) -> Tensor:
    """``(k * k, (k + 1)**2)``: which taps a tap of the transposed convolution is the sum of."""
    sums = torch.zeros(kernel, kernel, kernel + 1, kernel + 1)
    for row in range(kernel):
        for column in range(kernel):
            # A transposed convolution turns its kernel around.
            down, right = kernel - 1 - row, kernel - 1 - column
            sums[row, column, down : down + 2, right : right + 2] = 1
    return sums.view(kernel * kernel, -1)


def _pad(x: Tensor, margin: int, padding: str) -> Tensor:
    if margin == 0:
        return x
    if padding != "circular":
        return F.pad(x, [margin] * 4, mode=padding)
    # F.pad would return another memory format, in which the convolution takes several times longer.
    images, channels, height, width = x.shape
    shape = images, channels, height + 2 * margin, width + 2 * margin
    padded = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    middle = padded[..., margin:-margin, :]
    middle[..., margin:-margin] = x
    middle[..., :margin], middle[..., -margin:] = x[..., -margin:], x[..., :margin]
    padded[..., :margin, :] = padded[..., height : height + margin, :]
    padded[..., -margin:, :] = padded[..., margin : 2 * margin, :]
    return padded
