"""The parts that synthetic models are made of, by name: upsamplers, activations, norms, outputs.

A part is a function ``part(x, parameters) -> y`` on ``(K, C, H, W)`` float32 features. Whatever
weights it needs it draws by name from ``parameters``. Registering a function makes its name usable
in every design space::

    @register_upsampler("zero_insertion")
    def zero_insertion(x, parameters):
        y = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        y[..., ::2, ::2] = x
        return y
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.errors import InvalidOptionError
from modelprint.synthesis.parameters import Parameters

Part: TypeAlias = Callable[[Tensor, Parameters], Tensor]

UPSAMPLERS: dict[str, Part] = {}
ACTIVATIONS: dict[str, Part] = {}
NORMS: dict[str, Part] = {}


def _registrar(table: dict[str, Part], kind: str) -> Callable[[str], Callable[[Part], Part]]:
    def register(name: str) -> Callable[[Part], Part]:
        if name in table:
            raise InvalidOptionError(
                f"expected a new {kind} name, got {name!r}, which is registered already; "
                f"taken are {sorted(table)}"
            )

        def add(part: Part) -> Part:
            table[name] = part
            return part

        return add

    return register


register_upsampler = _registrar(UPSAMPLERS, "upsampler")
register_activation = _registrar(ACTIVATIONS, "activation")
register_norm = _registrar(NORMS, "norm")


def look_up(table: dict[str, Part], kind: str, name: str) -> Part:
    """The part called ``name``.

    Raises:
        InvalidOptionError: No such part; the message lists the registered ones.
    """
    try:
        return table[name]
    except KeyError:
        raise InvalidOptionError(
            f"expected a registered {kind}, got {name!r}; use one of {sorted(table)} or register it"
        ) from None


def convolve(x: Tensor, parameters: Parameters, channels: int, kernel: int, padding: str) -> Tensor:
    """Convolve with weights drawn by name, keeping height and width.

    Args:
        x: ``(K, C, H, W)`` features.
        parameters: Where ``weight`` ``(channels, C, kernel, kernel)`` and ``bias`` come from.
        channels: Output channels.
        kernel: Odd side of the kernel in pixels.
        padding: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
    """
    weight = parameters.drawn("weight", channels, x.shape[1], kernel, kernel)
    bias = parameters.drawn("bias", channels, bound=0.1)
    return F.conv2d(pad(x, kernel // 2, padding), weight, bias)


def pad(x: Tensor, width_px: int, mode: str) -> Tensor:
    """Pad all four sides; a map too small to reflect or wrap into is replicated instead."""
    if width_px == 0:
        return x
    if mode == "zeros":
        return F.pad(x, [width_px] * 4)
    if min(x.shape[-2:]) <= width_px:
        mode = "replicate"
    return F.pad(x, [width_px] * 4, mode=mode)


def _interpolation(mode: str) -> Part:
    def upsample(x: Tensor, _: Parameters) -> Tensor:
        align = None if mode == "nearest" else False
        return F.interpolate(x, scale_factor=2, mode=mode, align_corners=align)

    return upsample


def _transposed(kernel: int) -> Part:
    def upsample(x: Tensor, parameters: Parameters) -> Tensor:
        channels = x.shape[1]
        # Each output pixel sees about (kernel / 2)**2 taps per channel: that is the fan-in.
        fan_in = max(1, channels * kernel * kernel // 4)
        weight = parameters.drawn("up", channels, channels, kernel, kernel, fan_in=fan_in)
        padding = max(0, (kernel - 1) // 2)
        extra = 2 * padding + 2 - kernel
        return F.conv_transpose2d(x, weight, stride=2, padding=padding, output_padding=extra)

    return upsample


for _mode in ("nearest", "bilinear", "bicubic"):
    register_upsampler(_mode)(_interpolation(_mode))
for _kernel in (2, 3, 4, 5, 6):
    register_upsampler(f"transposed{_kernel}")(_transposed(_kernel))


@register_upsampler("pixel_shuffle")
def pixel_shuffle(x: Tensor, parameters: Parameters) -> Tensor:
    """Sub-pixel convolution (Shi et al. 2016): a convolution to 4 C channels, then rearranged."""
    return F.pixel_shuffle(convolve(x, parameters.scope("up"), 4 * x.shape[1], 3, "zeros"), 2)


@register_upsampler("fir")
def fir(x: Tensor, _: Parameters) -> Tensor:
    """Zero insertion and the [1, 3, 3, 1] low-pass of the StyleGAN family."""
    taps = x.new_tensor([1.0, 3.0, 3.0, 1.0]) / 4
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 4, 4)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


_POINTWISE: dict[str, Callable[[Tensor], Tensor]] = {
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


def _pointwise(function: Callable[[Tensor], Tensor]) -> Part:
    def activate(x: Tensor, _: Parameters) -> Tensor:
        return function(x)

    return activate


for _name, _function in _POINTWISE.items():
    register_activation(_name)(_pointwise(_function))


@register_norm("none")
def no_norm(x: Tensor, _: Parameters) -> Tensor:
    """No normalisation."""
    return x


@register_norm("batch")
def batch_norm(x: Tensor, parameters: Parameters) -> Tensor:
    """Batch normalisation as at inference: statistics are measured once and then frozen."""
    mean = parameters.measured("mean", lambda: x.mean((0, 2, 3), keepdim=True))
    std = parameters.measured("std", lambda: x.std((0, 2, 3), keepdim=True) + 1e-3)
    return (x - mean) / std


@register_norm("instance")
def instance_norm(x: Tensor, _: Parameters) -> Tensor:
    """Instance normalisation (per image and channel)."""
    # Not F.instance_norm, which refuses maps of a single pixel.
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + 1e-4)


@register_norm("group")
def group_norm(x: Tensor, _: Parameters) -> Tensor:
    """Group normalisation with four channels to a group, as far as the channels divide."""
    groups = max(1, x.shape[1] // 4)
    return F.group_norm(x, groups if x.shape[1] % groups == 0 else 1, eps=1e-4)


@register_norm("pixel")
def pixel_norm(x: Tensor, _: Parameters) -> Tensor:
    """Pixel normalisation of ProGAN: every pixel's channel vector to unit mean square."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-4)
