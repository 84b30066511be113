"""The extractor of Yang et al. 2025 as their public code runs it, random weights: for its cost.

9 crops of 128 px; each goes through a denoiser (DnCNN of 17 layers, Zhang et al. 2017, arXiv
1608.03981), its residual through a Fourier transform, the magnitudes through a ResNet-50, twice.
What the weights are does not change what it takes, so none are needed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelprint.features.crops import crop_starts, cut
from modelprint.features.resnet import ResNet

CROP_PX = 128
CROPS = 3
ENCODER_RUNS = 2


class DnCNN(nn.Module):
    """Image -> noise, by `layers` convolutions of `width` channels."""

    def __init__(self, layers: int = 17, width: int = 64) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(layers - 2):
            convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
            parts += [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*parts, nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to ``(B, 3, H, W)``."""
        noise: Tensor = self.layers(images)
        return noise


class PaperPipeline(nn.Module):
    """Images to features, averaged over a 3 x 3 grid of crops."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.denoiser, self.encoder = DnCNN(), ResNet(50, 3, 64)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` float32 in [0, 1], sides of 128 or more, to ``(B, 2048)``."""
        starts = [
            crop_starts(length, CROP_PX, max(1, (length - CROP_PX) // 2), CROPS)
            for length in images.shape[-2:]
        ]
        crops = cut(images, CROP_PX, *starts).flatten(0, 1)
        magnitudes = torch.fft.fftshift(torch.fft.fft2(self.denoiser(crops)).abs(), dim=(-2, -1))
        for _ in range(ENCODER_RUNS):
            features: Tensor = self.encoder(magnitudes)
        return features.view(len(images), -1, features.shape[-1]).mean(1)
