"""What one synthetic model computes: photographs in, its rendering of them out.

encoder -> bottleneck -> trunk -> decoder stages -> output convolution -> non-linearity -> finish

All weights are random but those of the output convolution, which ``fitting`` finds. Weights come by
name from ``Parameters``, so this file is the whole definition of a model. Its functions are
generators: they yield the heavy operations as requests and go on with the answers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.errors import InvalidOptionError
from modelprint.kernels.fused_layer import PADDINGS, POINTWISE, pad
from modelprint.synthesis.blocks import (
    ACTIVATIONS,
    NORMS,
    UPSAMPLERS,
    MomentNorm,
    Part,
    TransposedUpsampler,
    batch_norm,
    look_up,
    pixel_shuffle,
    weights,
)
from modelprint.synthesis.inputs import Inputs
from modelprint.synthesis.maps import FeatureMap, composed
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.requests import ChannelMoments, Steps, ToPictures
from modelprint.synthesis.space import Architecture, Stage, Whole

# Output non-linearities with their inverses; the inverse sees targets well inside the open range.
OUTPUTS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "linear": (lambda y: y, lambda p: p),
    "tanh": (torch.tanh, torch.atanh),
    "sigmoid": (lambda y: 2 * torch.sigmoid(y) - 1, lambda p: torch.logit((p + 1) / 2)),
    "sine": (torch.sin, torch.asin),
}
# What each choice may be that is not looked up among the registered parts.
_CHOICES: dict[str, tuple[str, ...]] = {
    "encoder": ("average", "strided", "space_to_depth"),
    "bottleneck": ("none", "quantize", "noise"),
    "output": tuple(OUTPUTS),
    "finish": ("none", "sharpen", "filter"),
    "order": ("conv-norm-act", "norm-act-conv"),
    "padding": PADDINGS,
    "residual": ("none", "add", "dense"),
}
_FUSED_UPSAMPLERS = ("nearest", "bilinear")
_NOISE_PX = 192
_MOST_CHANNELS = 96


def render(
    architecture: Architecture,
    parameters: Parameters,
    inputs: Inputs,
    size: tuple[int, int],
    dtype: torch.dtype = torch.float32,
) -> Steps[Tensor]:
    """Render photographs with a fitted model.

    Args:
        architecture: What the model is made of.
        parameters: Its numbers, with an output layer ``output`` ``(3, 1 + C * k * k)``, bias first.
        inputs: The photographs, with their margins.
        size: Height and width without the margins.
        dtype: In which features are computed; the output convolution always is in float32.

    Returns:
        ``(K, 3, H, W)`` float32 in [0, 1].
    """
    height, width = size
    y = yield from reconstruct(architecture, parameters, inputs, dtype)
    y = _finish(architecture.whole.finish, parameters, y)
    return ((y[..., :height, :width] + 1) / 2).clamp(0, 1)


def reconstruct(
    architecture: Architecture,
    parameters: Parameters,
    inputs: Inputs,
    dtype: torch.dtype = torch.float32,
) -> Steps[Tensor]:
    """What the model makes of pictures before it finishes them, ``(K, 3, H, W)`` in [-1, 1]."""
    whole = architecture.whole
    features = yield from features_of(architecture, parameters, inputs, dtype)
    weight = parameters.measured("output", _unfitted)
    y = yield from convolve_output(whole, weight, features, inputs.tone)
    return OUTPUTS[whole.output][0](y)


def convolve_output(whole: Whole, weight: Tensor, features: Tensor, tone: Tensor) -> Steps[Tensor]:
    """The output convolution with ``weight`` ``(3, 1 + (C + 3) * k * k)``, bias first."""
    kernel = whole.output_kernel
    taps = weight[:, 1:].reshape(3, -1, kernel, kernel)
    y: Tensor = yield ToPictures(features, tone, taps, weight[:, 0])
    return y


def features_of(
    architecture: Architecture,
    parameters: Parameters,
    inputs: Inputs,
    dtype: torch.dtype = torch.float32,
) -> Steps[Tensor]:
    """Features at full resolution, ``(K, C, H, W)``, that the output reads beside the tone.

    The first pass freezes the statistics of the batch norms.

    Args:
        architecture: What the model is made of.
        parameters: Its numbers.
        inputs: Pictures, for models with so many stages.
        dtype: In which they are computed and returned.
    """
    whole, stages = architecture.whole, architecture.stages
    _check(whole)
    for stage in stages:
        _check(stage)
    features, skips = yield from _encode(whole, stages, parameters, inputs, dtype)
    features = _bottleneck(whole.bottleneck, parameters, features)
    for layer in range(whole.trunk):
        features = features.plain()
        inner = parameters.scope(f"trunk{layer}")
        y = yield from _layer(stages[0], inner, features, features.x.shape[1])
        features = FeatureMap(features.x + y.settled() * 0.5)
    for depth, stage in enumerate(stages):
        scope = parameters.scope(f"stage{depth}")
        # Channels double with every halving, so that the picture fits through the bottleneck.
        doublings = len(stages) - 1 - depth
        channels = min(_MOST_CHANNELS, stage.channels * 2**doublings)
        features = yield from _stage(stage, scope, features, channels)
        # The skip to full resolution is left out: it would hand the picture to the output as it is.
        if whole.skip and depth < len(stages) - 1:
            features = FeatureMap(torch.cat([features.settled(), skips[-2 - depth].settled()], 1))
    return features.settled()


def _check(part: Whole | Stage) -> None:
    for axis, value in vars(part).items():
        if axis in _CHOICES and value not in _CHOICES[axis]:
            raise InvalidOptionError(
                f"expected {axis} to be one of {_CHOICES[axis]}, got {value!r}"
            )
        if axis in ("kernel", "output_kernel") and (value < 1 or value % 2 == 0):
            raise InvalidOptionError(f"expected an odd {axis} of 1 or more, got {value!r}")


def _unfitted() -> Tensor:
    raise InvalidOptionError("expected a fitted model, got one without an output layer; call fit")


def _encode(
    whole: Whole,
    stages: tuple[Stage, ...],
    parameters: Parameters,
    inputs: Inputs,
    dtype: torch.dtype,
) -> Steps[tuple[FeatureMap, list[FeatureMap]]]:
    """Halve the resolution once per stage; also returns the features at each halved resolution."""
    halved: list[FeatureMap] = []
    features = FeatureMap(inputs.x.to(dtype))
    for depth, stage in enumerate(reversed(stages)):
        scope = parameters.scope(f"encoder{depth}")
        x = features.settled()
        if whole.encoder == "average":
            halves = F.avg_pool2d(x, 2) if depth else inputs.halved.to(dtype)
            features = FeatureMap(halves)
        elif whole.encoder == "space_to_depth":
            features = FeatureMap(F.pixel_unshuffle(x, 2))
        else:
            layer = weights(scope.scope("down"), x.shape[1], max(16, x.shape[1]), 3)
            y = yield from FeatureMap(x).convolved(*layer, "zeros")
            features = FeatureMap(y[..., ::2, ::2])
        for name in ("conv0", "conv1"):
            inner = scope.scope(name)
            width = min(_MOST_CHANNELS, stage.channels * 2 ** (depth + 1))
            layer = weights(inner, features.x.shape[1], width, 3)
            y = yield from features.convolved(*layer, "zeros")
            features = yield from _normalise(batch_norm, inner, FeatureMap(F.leaky_relu_(y, 0.2)))
        halved.append(features)
    return features, halved


def _bottleneck(kind: str, parameters: Parameters, features: FeatureMap) -> FeatureMap:
    if kind == "none":
        return features
    x = features.settled()
    if kind == "quantize":  # finite scalar quantisation, the simplest form of a VQ codebook
        return FeatureMap(torch.round(torch.tanh(x) * 3) / 3)
    # As the latents of a denoising model: a fixed draw, so renderings repeat.
    gains = parameters.drawn("latent gains", 1, x.shape[1], 1, 1, bound=0.4)
    return FeatureMap(x + gains.to(x.dtype) * _noise_plane(parameters, x))


def _stage(
    stage: Stage, parameters: Parameters, features: FeatureMap, channels: int
) -> Steps[FeatureMap]:
    first = parameters.scope("layer0")
    upsampler = look_up(UPSAMPLERS, "upsampler", stage.upsampler)
    start, dense = 0, stage.residual == "dense"
    if _composes(stage, upsampler) and not dense:
        features = yield from _composed_layer(stage, parameters, features, channels)
        start = 1
    else:
        features = yield from _upsample(stage.upsampler, upsampler, parameters, features)
    for depth in range(start, stage.layers):
        scope = first if depth == 0 else parameters.scope(f"layer{depth}")
        if dense or (stage.residual == "add" and depth > 0):
            features = features.plain()
        x = features.x
        features = yield from _layer(stage, scope, features, channels)
        if stage.residual == "add" and depth > 0:
            features = FeatureMap(x + features.settled())
        elif dense:
            features = FeatureMap(torch.cat([features.settled(), x[:, :channels]], 1))
    if stage.noise > 0:
        x = features.settled()
        features = FeatureMap(x + stage.noise * _noise_plane(parameters, x))
    return features


def _composes(stage: Stage, upsampler: Part) -> bool:
    """Whether the upsampling and the first convolution are one transposed convolution."""
    return (
        isinstance(upsampler, TransposedUpsampler)
        and upsampler.kernel == 2
        and stage.order == "conv-norm-act"
        and stage.padding == "zeros"
        and stage.layers > 0
    )


def _composed_layer(
    stage: Stage, parameters: Parameters, features: FeatureMap, channels: int
) -> Steps[FeatureMap]:
    inner = parameters.scope("layer0")
    inputs = features.x.shape[1]
    up = TransposedUpsampler(2).weight(inputs, parameters)
    weight, bias = weights(inner, inputs, channels, stage.kernel)
    y = yield from features.transposed(composed(up, weight), bias)
    return (yield from _normalise_and_activate(stage, inner, FeatureMap(y)))


def _upsample(
    name: str, upsampler: Part, parameters: Parameters, features: FeatureMap
) -> Steps[FeatureMap]:
    if name in _FUSED_UPSAMPLERS:
        # An upsampling that is still outstanding belongs to a stage without layers.
        features = features if features.upsampler == "none" else features.plain()
        return features._replace(upsampler=name)
    if isinstance(upsampler, TransposedUpsampler):
        weight = upsampler.weight(features.x.shape[1], parameters)
        return FeatureMap((yield from features.transposed(weight)))
    if upsampler is pixel_shuffle:
        channels = features.x.shape[1]
        layer = weights(parameters.scope("up"), channels, 4 * channels, 3)
        return FeatureMap(F.pixel_shuffle((yield from features.convolved(*layer, "zeros")), 2))
    x = features.settled()
    y = upsampler(x, parameters)
    if y.shape != (x.shape[0], x.shape[1], 2 * x.shape[2], 2 * x.shape[3]):
        raise InvalidOptionError(
            f"expected upsampler {name!r} to double height and width and keep the rest "
            f"of {tuple(x.shape)}, got {tuple(y.shape)}"
        )
    return FeatureMap(y)


def _noise_plane(parameters: Parameters, x: Tensor) -> Tensor:
    """The model's own noise in [-1, 1), ``(1, 1, H, W)``, the same for every photograph."""
    height, width = x.shape[-2:]
    plane = parameters.drawn("noise", 1, 1, _NOISE_PX, _NOISE_PX, bound=1.0)
    repeats = (1, 1, -(-height // _NOISE_PX), -(-width // _NOISE_PX))
    return plane.repeat(repeats)[..., :height, :width].to(x.dtype)


def _layer(
    stage: Stage, parameters: Parameters, features: FeatureMap, channels: int
) -> Steps[FeatureMap]:
    layer = weights(parameters, features.x.shape[1], channels, stage.kernel)
    if stage.order == "conv-norm-act":
        y = yield from features.convolved(*layer, stage.padding)
        return (yield from _normalise_and_activate(stage, parameters, FeatureMap(y)))
    features = yield from _normalise_and_activate(stage, parameters, features)
    return FeatureMap((yield from features.convolved(*layer, stage.padding)))


def _normalise_and_activate(
    stage: Stage, parameters: Parameters, features: FeatureMap
) -> Steps[FeatureMap]:
    norm = look_up(NORMS, "norm", stage.norm)
    activation = look_up(ACTIVATIONS, "activation", stage.activation)
    if isinstance(norm, MomentNorm):
        features = yield from _normalise(norm, parameters, features)
    elif stage.norm != "none":
        features = _by_itself("norm", stage.norm, norm, parameters, features)
    if stage.activation not in POINTWISE:
        return _by_itself("activation", stage.activation, activation, parameters, features)
    if stage.activation == "none":
        return features
    return features.activated(stage.activation)


def _normalise(norm: MomentNorm, parameters: Parameters, features: FeatureMap) -> Steps[FeatureMap]:
    features = features.applied()
    moments = None
    if norm.needs_moments(parameters):
        if features.upsampler == "bilinear":
            features = features.plain()
        # Pixels that "nearest" repeats have the moments of those that it repeats.
        moments = yield ChannelMoments(features.x)
    return features.normalised(*norm.factors(moments, parameters))


def _by_itself(
    kind: str, name: str, part: Part, parameters: Parameters, features: FeatureMap
) -> FeatureMap:
    x = features.settled()
    y = part(x, parameters)
    if y.shape != x.shape:
        raise InvalidOptionError(
            f"expected {kind} {name!r} to keep the shape {tuple(x.shape)}, got {tuple(y.shape)}"
        )
    return FeatureMap(y)


def _finish(kind: str, parameters: Parameters, y: Tensor) -> Tensor:
    """Restore what a least-squares reconstruction loses: high frequencies, in the model's own way.

    Models trained against a discriminator or a perceptual loss have the contrast of real detail.
    """
    if kind == "none":
        return y
    if kind == "sharpen":
        amount = 0.3 + 1.5 * (parameters.drawn("amount", 1, bound=0.5) + 0.5)
        return y + amount * (y - F.avg_pool2d(pad(y, 1, "replicate"), 3, 1))
    taps = parameters.drawn("filter", 3, 1, 5, 5, bound=0.08)
    taps = taps - taps.mean((2, 3), keepdim=True)
    return y + F.conv2d(pad(y, 2, "replicate"), taps, groups=3)
