"""What one synthetic model computes: photographs in, its rendering of them out.

encoder -> bottleneck -> trunk -> decoder stages -> output convolution -> non-linearity -> finish

All weights are random but those of the output convolution, which ``fit`` solves in closed form so
that the model reconstructs pictures. Weights come by name from ``Parameters``, so this file is the
whole definition of a model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.errors import InvalidOptionError
from modelprint.synthesis.blocks import (
    ACTIVATIONS,
    NORMS,
    UPSAMPLERS,
    batch_norm,
    convolve,
    look_up,
    pad,
)
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.space import Architecture, Stage, Whole

# Output non-linearities with their inverses; the inverse sees targets well inside the open range.
_OUTPUTS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "linear": (lambda y: y, lambda p: p),
    "tanh": (torch.tanh, torch.atanh),
    "sigmoid": (lambda y: 2 * torch.sigmoid(y) - 1, lambda p: torch.logit((p + 1) / 2)),
    "sine": (torch.sin, torch.asin),
}
_INVERTIBLE = 0.95
_RIDGE = 1e-4
_FIT_ROWS = 6000
_NOISE_PX = 192
_MOST_CHANNELS = 96


def render(architecture: Architecture, parameters: Parameters, photos: Tensor) -> Tensor:
    """Render photographs with a fitted model.

    Args:
        architecture: What the model is made of.
        parameters: Its numbers, after ``fit``.
        photos: ``(K, 3, H, W)`` float32 in [0, 1], any size from 32 pixels a side.

    Returns:
        ``(K, 3, H, W)`` float32 in [0, 1].
    """
    height, width = photos.shape[-2:]
    multiple = 2 ** len(architecture.stages)
    # Reflected margins make any size work; the margin is cut off again.
    right, bottom = -width % multiple, -height % multiple
    x = F.pad(photos * 2 - 1, (0, right, 0, bottom), mode="reflect")
    features = _features(architecture, parameters, x)
    kernel = architecture.whole.output_kernel
    weight = parameters.measured("output", _unfitted)
    taps = weight[:, 1:].reshape(3, -1, kernel, kernel)
    y = F.conv2d(pad(features, kernel // 2, "replicate"), taps, weight[:, 0])
    y = _OUTPUTS[architecture.whole.output][0](y)
    y = _finish(architecture.whole.finish, parameters, y)
    return ((y[..., :height, :width] + 1) / 2).clamp(0, 1)


def fit(architecture: Architecture, parameters: Parameters, pictures: Tensor) -> None:
    """Solve the output convolution by ridge regression, so that the model reconstructs.

    Random features carry enough of the picture for a linear last layer to reconstruct it
    recognisably; what it cannot reconstruct is the model's fingerprint. Also freezes the statistics
    of the batch norms.

    Args:
        architecture: What the model is made of.
        parameters: Its numbers; gains the value ``output`` ``(3, 1 + C * k * k)``, bias first.
        pictures: ``(K, 3, H, W)`` float32 in [0, 1], sides divisible by 16.
    """
    x = pictures * 2 - 1
    features = _features(architecture, parameters, x)
    target = _OUTPUTS[architecture.whole.output][1](x.clamp(-_INVERTIBLE, _INVERTIBLE))
    kernel = architecture.whole.output_kernel

    def solve() -> Tensor:
        patches = pad(features, kernel // 2, "replicate").unfold(2, kernel, 1).unfold(3, kernel, 1)
        total = target.shape[0] * target.shape[2] * target.shape[3]
        # Every pixel gives an equation; a stride prime to the image sides spreads those we take.
        step = max(1, total // _FIT_ROWS) | 1
        rows = torch.arange(0, total, step)
        k, i, j = _positions(rows, *target.shape[2:])
        design = patches[k, :, i, j].flatten(1)
        design = torch.cat([torch.ones_like(design[:, :1]), design], 1)
        wanted = target[k, :, i, j]
        gram = (design.T @ design).double()
        moments = (design.T @ wanted).double()
        gram.diagonal().add_(_RIDGE * gram.diagonal().mean() + 1e-6)
        factor = torch.linalg.cholesky(gram)
        return torch.cholesky_solve(moments, factor).T.float().contiguous()

    parameters.measured("output", solve)


def _positions(rows: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    image, pixel = rows // (height * width), rows % (height * width)
    return image, pixel // width, pixel % width


def _unfitted() -> Tensor:
    raise InvalidOptionError("expected a fitted model, got one without an output layer; call fit")


def _features(architecture: Architecture, parameters: Parameters, x: Tensor) -> Tensor:
    """Features at full resolution, ``(K, C, H, W)``, that the output convolution reads."""
    whole, stages = architecture.whole, architecture.stages
    tone = _tone(x, 2 ** len(stages))
    x, skips = _encode(whole, stages, parameters, x)
    x = _bottleneck(whole.bottleneck, parameters, x)
    for layer in range(whole.trunk):
        inner = parameters.scope(f"trunk{layer}")
        x = x + _layer(stages[0], inner, x, x.shape[1]) * 0.5
    for depth, stage in enumerate(stages):
        scope = parameters.scope(f"stage{depth}")
        # Channels double with every halving, so that the picture fits through the bottleneck.
        doublings = len(stages) - 1 - depth
        x = _stage(stage, scope, x, min(_MOST_CHANNELS, stage.channels * 2**doublings))
        # The skip to full resolution is left out: it would hand the picture to the output as it is.
        if whole.skip and depth < len(stages) - 1:
            x = torch.cat([x, skips[-2 - depth]], 1)
    return torch.cat([x, tone], 1)


def _tone(x: Tensor, factor: int) -> Tensor:
    """The picture at the bottleneck's resolution, smoothly enlarged.

    A trained model gets brightness and colour right even through an instance norm. Too smooth to
    carry a fingerprint, this gives the solved layer the means to do so.
    """
    small = F.avg_pool2d(x, factor)
    return F.interpolate(small, scale_factor=factor, mode="bilinear", align_corners=False)


def _encode(
    whole: Whole, stages: tuple[Stage, ...], parameters: Parameters, x: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Halve the resolution once per stage; also returns the features at each halved resolution."""
    halved = []
    for depth, stage in enumerate(reversed(stages)):
        scope = parameters.scope(f"encoder{depth}")
        if whole.encoder == "average":
            x = F.avg_pool2d(x, 2)
        elif whole.encoder == "space_to_depth":
            x = F.pixel_unshuffle(x, 2)
        elif whole.encoder == "strided":
            x = convolve(x, scope.scope("down"), max(16, x.shape[1]), 3, "zeros")[..., ::2, ::2]
        else:
            raise InvalidOptionError(
                f"expected encoder 'average', 'strided' or 'space_to_depth', got {whole.encoder!r}"
            )
        for layer in ("conv0", "conv1"):
            inner = scope.scope(layer)
            width = min(_MOST_CHANNELS, stage.channels * 2 ** (depth + 1))
            x = batch_norm(F.leaky_relu(convolve(x, inner, width, 3, "zeros"), 0.2), inner)
        halved.append(x)
    return x, halved


def _bottleneck(kind: str, parameters: Parameters, x: Tensor) -> Tensor:
    if kind == "quantize":  # finite scalar quantisation, the simplest form of a VQ codebook
        return torch.round(torch.tanh(x) * 3) / 3
    if kind == "noise":  # as the latents of a denoising model: a fixed draw, so renderings repeat
        gains = parameters.drawn("latent gains", 1, x.shape[1], 1, 1, bound=0.4)
        return x + gains * _noise_plane(parameters, x)
    if kind == "none":
        return x
    raise InvalidOptionError(f"expected bottleneck 'none', 'quantize' or 'noise', got {kind!r}")


def _stage(stage: Stage, parameters: Parameters, x: Tensor, channels: int) -> Tensor:
    shape = x.shape
    x = look_up(UPSAMPLERS, "upsampler", stage.upsampler)(x, parameters)
    if x.shape != (shape[0], shape[1], 2 * shape[2], 2 * shape[3]):
        raise InvalidOptionError(
            f"expected upsampler {stage.upsampler!r} to double height and width and keep the rest "
            f"of {tuple(shape)}, got {tuple(x.shape)}"
        )
    for depth in range(stage.layers):
        scope = parameters.scope(f"layer{depth}")
        y = _layer(stage, scope, x, channels)
        if stage.residual == "add" and depth > 0:
            y = x + y
        elif stage.residual == "dense":
            y = torch.cat([y, x[:, :channels]], 1)
        x = y
    if stage.noise > 0:
        x = x + stage.noise * _noise_plane(parameters, x)
    return x


def _noise_plane(parameters: Parameters, x: Tensor) -> Tensor:
    """The model's own noise in [-1, 1), ``(1, 1, H, W)``, the same for every photograph."""
    height, width = x.shape[-2:]
    plane = parameters.drawn("noise", 1, 1, _NOISE_PX, _NOISE_PX, bound=1.0)
    repeats = (1, 1, -(-height // _NOISE_PX), -(-width // _NOISE_PX))
    return plane.repeat(repeats)[..., :height, :width]


def _layer(stage: Stage, parameters: Parameters, x: Tensor, channels: int) -> Tensor:
    norm = look_up(NORMS, "norm", stage.norm)
    activation = look_up(ACTIVATIONS, "activation", stage.activation)
    if stage.order == "conv-norm-act":
        x = convolve(x, parameters, channels, stage.kernel, stage.padding)
        return activation(norm(x, parameters), parameters)
    if stage.order == "norm-act-conv":
        x = activation(norm(x, parameters), parameters)
        return convolve(x, parameters, channels, stage.kernel, stage.padding)
    raise InvalidOptionError(
        f"expected order 'conv-norm-act' or 'norm-act-conv', got {stage.order!r}"
    )


def _finish(kind: str, parameters: Parameters, y: Tensor) -> Tensor:
    """Restore what a least-squares reconstruction loses: high frequencies, in the model's own way.

    Models trained against a discriminator or a perceptual loss have the contrast of real detail.
    """
    if kind == "none":
        return y
    if kind == "sharpen":
        amount = 0.3 + 1.5 * (parameters.drawn("amount", 1, bound=0.5) + 0.5)
        return y + amount * (y - F.avg_pool2d(pad(y, 1, "replicate"), 3, 1))
    if kind == "filter":
        taps = parameters.drawn("filter", 3, 1, 5, 5, bound=0.08)
        return y + F.conv2d(
            pad(y, 2, "replicate"), taps - taps.mean((2, 3), keepdim=True), groups=3
        )
    raise InvalidOptionError(f"expected finish 'none', 'sharpen' or 'filter', got {kind!r}")
