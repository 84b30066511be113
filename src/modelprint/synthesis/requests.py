"""What a model asks for while it computes: the heavy operations, done by whoever runs the model.

A model is a generator that yields requests and is sent the answers. So the same definition runs
alone, or among thousands of others whose like requests are answered by one launch (operation
batching on the fly: Neubig, Goldberg and Dyer 2017, arXiv 1705.07860).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.kernels.channel_moments import (
    Moments,
    channel_moments,
    channel_moments_reference,
)
from modelprint.kernels.fused_layer import (
    POINTWISE,
    FusedLayer,
    fast_pointwise,
    fused_layer_reference,
    run_layers,
    scaled,
    supported,
)
from modelprint.kernels.grouping import by_group

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ChannelMoments:
    """Mean and variance of every image and channel of ``x`` ``(K, C, H, W)``: ``Moments``."""

    x: Tensor


@dataclass(frozen=True, eq=False)
class Transposed:
    """``conv_transpose2d(activate(x * scale + shift), weight, bias, stride=2)``, cut to twice x.

    Args:
        x: ``(K, C, H, W)``.
        weight: ``(C, C', k, k)``, k from 2 to 8.
        bias: ``(C',)`` or ``None``.
        scale: ``(1, C)`` or ``(K, C)``, or ``None``.
        shift: Like ``scale``.
        activation: A key of ``POINTWISE``.

    The answer is ``(K, C', 2 H, 2 W)``.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None = None
    scale: Tensor | None = None
    shift: Tensor | None = None
    activation: str = "none"


@dataclass(frozen=True, eq=False)
class ToPictures:
    """A convolution of features and tone to three channels, replicated beyond the border.

    Args:
        features: ``(K, C, H, W)``, float32 or bfloat16.
        tone: ``(K, 3, H, W)``, of the dtype of ``weight``.
        weight: ``(3, C + 3, k, k)``, k odd.
        bias: ``(3,)``.

    The answer is ``(K, 3, H, W)``.
    """

    features: Tensor
    tone: Tensor
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class Equations:
    """The solution ``(F, T)`` of ``gram @ solution = moments``, ``gram`` positive definite.

    Args:
        gram: ``(F, F)`` float64.
        moments: ``(F, T)`` float64.
    """

    gram: Tensor
    moments: Tensor


Request: TypeAlias = FusedLayer | ChannelMoments | Transposed | ToPictures | Equations
Answer: TypeAlias = Tensor | Moments
# A model under way: yields requests, is sent answers, returns T.
Steps: TypeAlias = Generator[Request, Any, T]


def answer_all(requests: Sequence[Request], backend: str) -> list[Answer]:
    """Answers in the order of the requests; like ones are computed together where that is faster.

    Args:
        requests: Of any models.
        backend: ``"torch"`` or ``"triton"``.
    """
    return by_group(requests, type, lambda alike: _ANSWERS[type(alike[0])](alike, backend))


def _layers(asked: Sequence[FusedLayer], backend: str) -> list[Tensor]:
    if all(map(supported, asked)):
        return run_layers(asked, backend)
    together = iter(run_layers([layer for layer in asked if supported(layer)], backend))
    return [next(together) if supported(layer) else fused_layer_reference(layer) for layer in asked]


def _moments(asked: Sequence[ChannelMoments], backend: str) -> list[Moments]:
    return channel_moments([request.x for request in asked], backend)


def _transposed(asked: Sequence[Transposed], backend: str) -> list[Tensor]:
    if backend == "torch":
        return [transpose(request) for request in asked]
    layers = _layers([as_convolution(request) for request in asked], backend)
    return [F.pixel_shuffle(y, 2) for y in layers]


def _pictures(asked: Sequence[ToPictures], backend: str) -> list[Tensor]:
    if backend == "torch":
        return [to_pictures(request) for request in asked]
    return _layers([_as_layer(request) for request in asked], backend)


def _as_layer(request: ToPictures) -> FusedLayer:
    x = torch.cat([request.features.to(request.tone.dtype), request.tone], 1)
    return FusedLayer(x, request.weight, request.bias, padding="replicate")


def joined(features: Tensor, tone: Tensor, margin_px: int) -> Tensor:
    """What ``ToPictures`` reads: features and tone side by side, replicated beyond the border.

    Written once, where a conversion, a concatenation and a padding would each write it anew.

    Returns:
        ``(K, C + 3, H + 2 margin, W + 2 margin)``, of the dtype of ``tone``, channels-last.
    """
    (K, C, H, W), m = features.shape, margin_px
    y = torch.empty(
        (K, C + tone.shape[1], H + 2 * m, W + 2 * m),
        dtype=tone.dtype,
        device=tone.device,
        memory_format=torch.channels_last,
    )
    rows = y[:, :, m : m + H]
    rows[:, :C, :, m : m + W], rows[:, C:, :, m : m + W] = features, tone
    if m:
        rows[..., :m], rows[..., -m:] = rows[..., m : m + 1], rows[..., -m - 1 : -m]
        y[:, :, :m], y[:, :, -m:] = y[:, :, m : m + 1], y[:, :, -m - 1 : -m]
    return y


def to_pictures(request: ToPictures) -> Tensor:
    """The answer to ``request`` by PyTorch.

    A vector unit works on 16 output channels at a time, and three leave most of it idle. So four
    neighbouring pixels are computed as the 12 channels of a convolution of stride 4: half the time
    on a CPU with AVX-512 (3x3, 35 channels).
    """
    weight, kernel = request.weight, request.weight.shape[-1]
    K, _, H, W = request.tone.shape
    C = weight.shape[1]
    if weight.device.type != "cpu" or kernel == 1 or W % 4:
        return fused_layer_reference(_as_layer(request))
    wide = weight.new_zeros(4, 3, C, kernel, kernel + 3)
    for number in range(4):
        wide[number, :, :, :, number : number + kernel] = weight
    padded = joined(request.features, request.tone, kernel // 2)
    y = F.conv2d(padded, wide.view(12, C, kernel, kernel + 3), request.bias.repeat(4), (1, 4))
    # In channels-last order the 12 numbers are those of four pixels side by side.
    return y.permute(0, 2, 3, 1).reshape(K, H, W, 3).permute(0, 3, 1, 2)


def _solved(asked: Sequence[Equations], _: str) -> list[Tensor]:
    return by_group(asked, lambda request: len(request.gram), _solved_alike)


def _solved_alike(asked: Sequence[Equations]) -> Sequence[Tensor]:
    factor = torch.linalg.cholesky(torch.stack([request.gram for request in asked]))
    return torch.cholesky_solve(torch.stack([r.moments for r in asked]), factor).unbind()


_ANSWERS: dict[type[Request], Callable[[Any, str], Sequence[Answer]]] = {
    FusedLayer: _layers,
    ChannelMoments: _moments,
    Transposed: _transposed,
    ToPictures: _pictures,
    Equations: _solved,
}


def answer_plainly(request: Request) -> Answer:
    """The answer by plain, differentiable PyTorch: what training goes through."""
    if isinstance(request, ChannelMoments):
        return channel_moments_reference(request.x)
    if isinstance(request, Transposed):
        return transpose(request)
    if isinstance(request, Equations):
        return _solved([request], "torch")[0]
    if isinstance(request, ToPictures):
        request = _as_layer(request)
    return fused_layer_reference(request)


def transpose(request: Transposed) -> Tensor:
    """The answer to ``request`` by PyTorch's transposed convolution."""
    x = applied(request.x, request.scale, request.shift, request.activation)
    kernel = request.weight.shape[-1]
    padding = _padding(kernel)
    return F.conv_transpose2d(
        x,
        request.weight,
        request.bias,
        stride=2,
        padding=padding,
        output_padding=2 * padding + 2 - kernel,
    )


def applied(x: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str) -> Tensor:
    """``POINTWISE[activation](x * scale + shift)``; in the fastest way unless in training."""
    if scale is not None and shift is not None:
        x = scaled(x, scale, shift)
    return POINTWISE[activation](x) if torch.is_grad_enabled() else fast_pointwise(x, activation)


def _padding(kernel: int) -> int:
    return max(0, (kernel - 1) // 2)


def as_convolution(request: Transposed) -> FusedLayer:
    """The convolution to 4 C' channels that becomes the transposed one by a pixel shuffle.

    Output pixel 2 i + phase sees input i + offset through tap phase - 2 offset + padding.
    """
    c, channels, k, _ = request.weight.shape
    padding = _padding(k)
    reach = max((padding + 1) // 2, (k - 1 - padding) // 2)
    side = 2 * reach + 1
    weight = request.weight.new_zeros(channels, 2, 2, c, side, side)
    taps = request.weight.permute(1, 0, 2, 3)
    for row in range(k):
        down, phase = _offset(row, padding)
        for column in range(k):
            right, across = _offset(column, padding)
            weight[:, phase, across, :, reach + down, reach + right] = taps[:, :, row, column]
    bias = weight.new_zeros(channels) if request.bias is None else request.bias
    return FusedLayer(
        request.x,
        weight.view(4 * channels, c, side, side),
        bias.repeat_interleave(4),
        request.scale,
        request.shift,
        request.activation,
    )


def _offset(tap: int, padding: int) -> tuple[int, int]:
    phase = (tap - padding) % 2
    return (phase - tap + padding) // 2, phase
