"""The models of the paper's space as anybody would write them: modules of plain PyTorch, NCHW.

They share nothing with `modelprint.synthesis.network` but the numbers, so that they are both what
speed is compared with and an independent check of what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.space import Architecture, Stage

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
_MOST_CHANNELS = 96


class PlainModel(nn.Module):
    """One fitted model of the paper's space.

    Args:
        architecture: Of the space "paper".
        parameters: Its numbers, after the fit.
    """

    def __init__(self, architecture: Architecture, parameters: Parameters) -> None:
        super().__init__()
        stages = architecture.stages
        self.factor = 2 ** len(stages)
        encoder: list[nn.Module] = []
        channels = 3
        for depth, stage in enumerate(reversed(stages)):
            scope = parameters.scope(f"encoder{depth}")
            encoder.append(nn.AvgPool2d(2))
            for name in ("conv0", "conv1"):
                width = min(_MOST_CHANNELS, stage.channels * 2 ** (depth + 1))
                inner = scope.scope(name)
                encoder += [_convolution(inner, channels, width), nn.LeakyReLU(0.2)]
                encoder.append(_batch_norm(inner, width))
                channels = width
        decoder: list[nn.Module] = []
        for depth, stage in enumerate(stages):
            scope = parameters.scope(f"stage{depth}")
            width = min(_MOST_CHANNELS, stage.channels * 2 ** (len(stages) - 1 - depth))
            decoder.append(_upsampler(stage, scope, channels))
            for layer in range(stage.layers):
                decoder += _layer(stage, scope.scope(f"layer{layer}"), channels, width)
                channels = width
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)
        self.output = nn.Conv2d(channels + 3, 3, 3, padding=1, padding_mode="replicate")
        solved = _known(parameters, "output")
        _set(self.output, solved[:, 1:].reshape(3, -1, 3, 3), solved[:, 0])

    def forward(self, photos: Tensor) -> Tensor:
        """Photographs `(K, 3, H, W)` in [0, 1] -> `(K, 3, H, W)` in [0, 1]; sides divide by 4."""
        x = photos * 2 - 1
        small = F.avg_pool2d(x, self.factor)
        tone = F.interpolate(small, scale_factor=self.factor, mode="bilinear", align_corners=False)
        y = self.output(torch.cat([self.decoder(self.encoder(x)), tone], 1))
        rendered: Tensor = ((y + 1) / 2).clamp(0, 1)
        return rendered


def _layer(stage: Stage, scope: Parameters, inputs: int, outputs: int) -> list[nn.Module]:
    convolution = _convolution(scope, inputs, outputs)
    before = stage.order == "norm-act-conv"
    norms: dict[str, nn.Module] = {
        "none": nn.Identity(),
        "instance": nn.InstanceNorm2d(inputs if before else outputs, eps=1e-4),
    }
    norm = norms.get(stage.norm) or _batch_norm(scope, inputs if before else outputs)
    activation = _ACTIVATIONS[stage.activation]()
    return [norm, activation, convolution] if before else [convolution, norm, activation]


def _upsampler(stage: Stage, scope: Parameters, channels: int) -> nn.Module:
    if stage.upsampler == "transposed2":
        module = nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)
        _set(module, scope.drawn("up", channels, channels, 2, 2, fan_in=channels))
        return module
    align = None if stage.upsampler == "nearest" else False
    return nn.Upsample(scale_factor=2, mode=stage.upsampler, align_corners=align)


def _convolution(scope: Parameters, inputs: int, outputs: int) -> nn.Conv2d:
    module = nn.Conv2d(inputs, outputs, 3, padding=1)
    _set(module, _known(scope, "weight"), _known(scope, "bias"))
    return module


def _batch_norm(scope: Parameters, channels: int) -> nn.BatchNorm2d:
    module = nn.BatchNorm2d(channels, eps=0).eval()
    _set(module, _known(scope, "scale")[0], _known(scope, "shift")[0])
    return module


def _known(parameters: Parameters, name: str) -> Tensor:
    value = parameters.known(name)
    assert value is not None, f"{name} of a model that was not fitted"
    return value


def _set(module: nn.Module, *values: Tensor) -> None:
    for parameter, value in zip(module.parameters(), values, strict=True):
        parameter.data = value.detach().clone()


def as_bytes(rendered: Tensor) -> Tensor:
    """Images in [0, 1] as 8-bit files hold them."""
    return (rendered * 255).round().to(torch.uint8)


def one_by_one(models: Sequence[nn.Module], photos: Tensor) -> Tensor:
    """(a) One model and one photograph at a time: `(M, K, 3, H, W)` uint8 on the CPU."""
    return torch.stack(
        [torch.cat([as_bytes(model(photo[None])) for photo in photos]).cpu() for model in models]
    )


def model_by_model(models: Sequence[nn.Module], photos: Tensor) -> Tensor:
    """(b) One model at a time, all photographs at once."""
    return torch.stack([as_bytes(model(photos)).cpu() for model in models])


class Stacked:
    """(c) Models of one architecture at once, by `torch.func.vmap`, which groups convolutions.

    Args:
        models: M of them.
        architectures: Of each; equal ones are stacked.
    """

    def __init__(self, models: Sequence[nn.Module], architectures: Sequence[Architecture]) -> None:
        alike: dict[Architecture, list[int]] = {}
        for number, architecture in enumerate(architectures):
            alike.setdefault(architecture, []).append(number)
        self._groups = [
            (numbers, models[numbers[0]], stack_module_state([models[n] for n in numbers]))
            for numbers in alike.values()
        ]
        self._count = len(models)

    def __call__(self, photos: Tensor) -> Tensor:
        """`(M, K, 3, H, W)` uint8 on the CPU."""
        images = torch.empty(self._count, *photos.shape, dtype=torch.uint8)
        for numbers, module, (weights, buffers) in self._groups:

            def run(
                weights: dict[str, Tensor], buffers: dict[str, Tensor], module: nn.Module = module
            ) -> Tensor:
                rendered: Tensor = functional_call(module, (weights, buffers), (photos,))
                return rendered

            images[numbers] = as_bytes(vmap(run)(weights, buffers)).cpu()
        return images
