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
from modelprint.kernels.channel_moments import Moments, channel_moments_reference
from modelprint.kernels.fused_layer import POINTWISE, pad, scaled
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.requests import Transposed, transpose

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


def weights(
    parameters: Parameters, inputs: int, channels: int, kernel: int
) -> tuple[Tensor, Tensor]:
    """Weight ``(channels, inputs, kernel, kernel)`` and bias ``(channels,)``, drawn by name."""
    weight = parameters.drawn("weight", channels, inputs, kernel, kernel)
    return weight, parameters.drawn("bias", channels, bound=0.1)


def convolve(x: Tensor, parameters: Parameters, channels: int, kernel: int, padding: str) -> Tensor:
    """Convolve with weights drawn by name, keeping height and width.

    Args:
        x: ``(K, C, H, W)`` features.
        parameters: Where ``weight`` ``(channels, C, kernel, kernel)`` and ``bias`` come from.
        channels: Output channels.
        kernel: Odd side of the kernel in pixels.
        padding: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
    """
    weight, bias = weights(parameters, x.shape[1], channels, kernel)
    return F.conv2d(pad(x, kernel // 2, padding), weight, bias)


def _interpolation(mode: str) -> Part:
    def upsample(x: Tensor, _: Parameters) -> Tensor:
        align = None if mode == "nearest" else False
        return F.interpolate(x, scale_factor=2, mode=mode, align_corners=align)

    return upsample


class TransposedUpsampler:
    """A transposed convolution of stride 2 that keeps the channels.

    Args:
        kernel: Side of the kernel in pixels.
    """

    def __init__(self, kernel: int) -> None:
        self.kernel = kernel

    def weight(self, channels: int, parameters: Parameters) -> Tensor:
        """``(C, C, k, k)``, drawn by name."""
        # Each output pixel sees about (kernel / 2)**2 taps per channel: that is the fan-in.
        fan_in = max(1, channels * self.kernel**2 // 4)
        shape = (channels, channels, self.kernel, self.kernel)
        return parameters.drawn("up", *shape, fan_in=fan_in)

    def __call__(self, x: Tensor, parameters: Parameters) -> Tensor:
        """Features ``(K, C, 2 H, 2 W)`` of features ``(K, C, H, W)``."""
        return transpose(Transposed(x, self.weight(x.shape[1], parameters)))


for _mode in ("nearest", "bilinear", "bicubic"):
    register_upsampler(_mode)(_interpolation(_mode))
for _kernel in (2, 3, 4, 5, 6):
    register_upsampler(f"transposed{_kernel}")(TransposedUpsampler(_kernel))


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


def _pointwise(function: Callable[[Tensor], Tensor]) -> Part:
    def activate(x: Tensor, _: Parameters) -> Tensor:
        return function(x)

    return activate


for _name, _function in POINTWISE.items():
    register_activation(_name)(_pointwise(_function))


@register_norm("none")
def no_norm(x: Tensor, _: Parameters) -> Tensor:
    """No normalisation."""
    return x


class MomentNorm:
    """A norm that is a multiply-add per channel, taken from the means and variances of channels.

    Registered by ``@register_norm("name")`` above ``@MomentNorm``, it is computed within the
    convolution that follows.

    Args:
        factors: Of the ``Moments`` of ``(K, C, H, W)`` features, scale and shift: ``(K, C)`` or
            ``(1, C)`` each.
        frozen: Whether they are found once, in the first pass, and then kept.
    """

    def __init__(
        self, factors: Callable[[Moments], tuple[Tensor, Tensor]], *, frozen: bool = False
    ) -> None:
        self._factors = factors
        self._frozen = frozen

    def needs_moments(self, parameters: Parameters) -> bool:
        """Whether the next features have to be measured."""
        return not self._frozen or parameters.known("scale") is None

    def factors(self, moments: Moments | None, parameters: Parameters) -> tuple[Tensor, Tensor]:
        """Scale and shift, ``(K or 1, C)``; ``moments`` may be absent where none are needed."""
        if moments is None:
            return parameters.measured("scale", _missing), parameters.measured("shift", _missing)
        scale, shift = self._factors(moments)
        if self._frozen:
            parameters.keep("scale", scale)
            parameters.keep("shift", shift)
        return scale, shift

    def __call__(self, x: Tensor, parameters: Parameters) -> Tensor:
        """Normalised features of the shape of ``x``."""
        needs = self.needs_moments(parameters)
        moments = channel_moments_reference(x) if needs else None
        return scaled(x, *self.factors(moments, parameters))


def _missing() -> Tensor:
    raise AssertionError("asked for statistics that were never measured")


def _batch_norm(moments: Moments) -> tuple[Tensor, Tensor]:
    mean = moments.mean.mean(0, keepdim=True)
    variance = (moments.variance + (moments.mean - mean).square()).mean(0, keepdim=True)
    scale = 1 / (variance.sqrt() + 1e-3)
    return scale, -mean * scale


# As at inference: statistics are measured once and then frozen.
batch_norm = MomentNorm(_batch_norm, frozen=True)
register_norm("batch")(batch_norm)


@register_norm("instance")
@MomentNorm
def instance_norm(moments: Moments) -> tuple[Tensor, Tensor]:
    """Instance normalisation (per image and channel)."""
    scale = torch.rsqrt(moments.variance + 1e-4)
    return scale, -moments.mean * scale


@register_norm("group")
@MomentNorm
def group_norm(moments: Moments) -> tuple[Tensor, Tensor]:
    """Group normalisation with four channels to a group, as far as the channels divide."""
    K, C = moments.mean.shape
    groups = max(1, C // 4)
    groups = groups if C % groups == 0 else 1
    means = moments.mean.view(K, groups, -1)
    mean = means.mean(2, keepdim=True)
    variance = (moments.variance.view_as(means) + (means - mean).square()).mean(2, keepdim=True)
    scale = torch.rsqrt(variance + 1e-4)
    return (
        scale.expand_as(means).reshape(K, C),
        (-mean * scale).expand_as(means).reshape(K, C),
    )


@register_norm("pixel")
def pixel_norm(x: Tensor, _: Parameters) -> Tensor:
    """Pixel normalisation of ProGAN: every pixel's channel vector to unit mean square."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-4)
