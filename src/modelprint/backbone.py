"""Images of one size -> raw features: the part of the extractor that has weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelprint.errors import InvalidOptionError
from modelprint.features.common_scale import common_scale, shrunk
from modelprint.features.crops import crop_starts, cut
from modelprint.features.recompression import recompressed
from modelprint.features.residual_statistics import residual_statistics, statistics_count
from modelprint.features.resnet import ResNet
from modelprint.residual import high_pass
from modelprint.scoring.views import Views

AT_OWN_SCALE, AT_COMMON_SCALE = 0, 1
_QUALITIES = (75, 90)
# Of a whitened fingerprint: the image, two recompressed copies, one at the common scale.
_VIEWS = Views(weights=(5.0, 1.0, 2.0, 2.0), copies=(1, 2))
PARTS = len(_VIEWS.weights)


class Backbone(nn.Module, ABC):
    """Maps images to features; row i of the output depends on image i alone.

    Attributes:
        dim: Length D of the output.
        views: Which views of an image the output consists of.
        matrices: Names of the weights that files keep with 8 bits a number.
    """

    dim: int
    views = Views()
    matrices: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` float32 RGB in [0, 1], sides of 32 or more, to ``(B, D)`` float32."""


class WhitenedStatistics(Backbone):
    """Residual statistics of four views of an image, whitened: a closed form, no gradient anywhere.

    What differs between images of one model is noise to attribution. Dividing by its covariance
    makes a small but steady difference between models count more than a large accidental one (the
    idea of Fisher's discriminant and of WCCN in speaker recognition).

    What happens to an image on its way changes its statistics, but a second time changes little: a
    JPEG of a JPEG is nearly the same image. So two recompressed copies and one at a common scale
    have a part of the fingerprint each. Recompressed and resized images meet their originals there.

    Args:
        dim: Length D of the output, of four parts of equal length.

    Attributes:
        mean, deviation: ``(2, F)`` of each statistic over synthetic images: at their own scale, and
            at the common one.
        projection: ``(F, D / 4)`` whitening, then the directions in which models differ most.

    Raises:
        InvalidOptionError: ``dim`` is no multiple of 4, below 4, or above 4 F, F being the number
            of statistics.
    """

    mean: Tensor
    deviation: Tensor
    projection: Tensor
    views = _VIEWS
    matrices = ("projection",)
    # Beyond eight deviations a statistic says "broken", not "how much".
    _CLIP = 8.0

    def __init__(self, dim: int = 5120) -> None:
        super().__init__()
        check_parts(dim)
        self.dim = dim
        self.register_buffer("mean", torch.zeros(2, statistics_count()))
        self.register_buffer("deviation", torch.ones(2, statistics_count()))
        self.register_buffer("projection", torch.zeros(statistics_count(), dim // PARTS))

    def forward(self, images: Tensor) -> Tensor:
        """See ``Backbone.forward``."""
        at_own_scale = [self._part(residual_statistics(v)) for v in own_scale_views(images)]
        scale = common_scale(*images.shape[-2:])
        small = self._part(residual_statistics(shrunk(images, scale)), AT_COMMON_SCALE)
        return torch.cat([*at_own_scale, small], 1)

    def standardise(self, statistics: Tensor, scale: int = AT_OWN_SCALE) -> Tensor:
        """``(..., F)`` statistics in deviations from the mean at a scale, clipped at 8."""
        deviations = (statistics - self.mean[scale]) / self.deviation[scale]
        return deviations.clamp(-self._CLIP, self._CLIP)

    def _part(self, statistics: Tensor, scale: int = AT_OWN_SCALE) -> Tensor:
        return F.normalize(self.standardise(statistics, scale) @ self.projection, dim=1)


def own_scale_views(images: Tensor) -> list[Tensor]:
    """The images as they are, and two recompressed copies, each ``(B, 3, H, W)``."""
    return [images, *(recompressed(images, quality) for quality in _QUALITIES)]


def check_parts(dim: int) -> None:
    """Refuse a length that cannot be that of a ``WhitenedStatistics``.

    Raises:
        InvalidOptionError: See there.
    """
    if dim % PARTS or not PARTS <= dim <= PARTS * statistics_count():
        raise InvalidOptionError(
            f"expected dim to be a multiple of {PARTS} between {PARTS} and "
            f"{PARTS * statistics_count()}, {PARTS} times the statistics of an image, got {dim}"
        )


class SpectrumResNet(Backbone):
    """Residual -> |2-D Fourier transform| -> ResNet, averaged over a 3 x 3 grid of crops.

    The input path of Yang et al. 2025 (arXiv 2307.15977), with our high-pass residual in place of
    their denoiser, whose weights are not free.

    Args:
        depth: Layers of the ResNet; 50 in the paper.
        width: Channels of its first stage; 64 in the paper.
        log: Whether magnitudes are taken as logarithms, which the paper does not do.
    """

    _CROP_PX = 128

    def __init__(self, depth: int = 50, width: int = 64, log: bool = False) -> None:
        super().__init__()
        self._log = log
        self.input_norm = nn.BatchNorm2d(3)
        self.resnet = ResNet(depth, 3, width)
        self.dim = self.resnet.features

    def forward(self, images: Tensor) -> Tensor:
        """See ``Backbone.forward``."""
        height, width = images.shape[-2:]
        side = min(self._CROP_PX, height // 2 * 2, width // 2 * 2)
        tops, lefts = (crop_starts(length, side, side // 2, most=3) for length in (height, width))
        crops = cut(high_pass(images), side, tops, lefts)
        magnitudes = torch.fft.fftshift(torch.fft.fft2(crops.flatten(0, 1)).abs(), dim=(-2, -1))
        magnitudes = torch.log(magnitudes + 1e-3) if self._log else magnitudes / side
        features: Tensor = self.resnet(self.input_norm(magnitudes))
        return features.view(len(images), -1, self.dim).mean(1)


BACKBONES: dict[str, type[Backbone]] = {
    "whitened-statistics": WhitenedStatistics,
    "spectrum-resnet": SpectrumResNet,
}


def build_backbone(name: str, options: Mapping[str, Any]) -> Backbone:
    """A backbone with fresh weights.

    Args:
        name: One of ``BACKBONES``.
        options: Its keyword arguments.

    Raises:
        InvalidOptionError: An unknown name, or an option that is missing, unknown, of another type
            or out of range.
    """
    if name not in BACKBONES:
        raise InvalidOptionError(f"expected a backbone in {sorted(BACKBONES)}, got {name!r}")
    parameters = signature(BACKBONES[name]).parameters
    types = {option: type(parameter.default) for option, parameter in parameters.items()}
    if {option: type(value) for option, value in options.items()} != types:
        wanted = ", ".join(f"{option}: {kind.__name__}" for option, kind in types.items())
        raise InvalidOptionError(f"expected the {name} options {wanted}, got {dict(options)}")
    return BACKBONES[name](**options)
