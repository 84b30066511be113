"""Small generators of several kinds in plain PyTorch, none of them from modelprint's synthesizer.

Each takes pictures `(K, 3, H, W)` in [0, 1] and gives its own rendering of them. Those with a
`fit` learn for a few seconds to reconstruct pictures, as decoders of real generators do.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 24


class Generator(nn.Module):
    """Encoder and decoder; the decoder leaves the fingerprint."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, pictures: Tensor) -> Tensor:
        rendered: Tensor = self.decoder(self.encoder(pictures * 2 - 1))
        return rendered / 2 + 0.5


def down(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1), nn.SiLU())


def gan_decoder() -> nn.Module:
    """Transposed convolutions with batch norm, as in DCGAN."""
    encoder = nn.Sequential(down(3, CHANNELS), down(CHANNELS, 2 * CHANNELS))
    decoder = nn.Sequential(
        nn.ConvTranspose2d(2 * CHANNELS, CHANNELS, 4, 2, 1),
        nn.BatchNorm2d(CHANNELS),
        nn.ReLU(),
        nn.ConvTranspose2d(CHANNELS, 3, 4, 2, 1),
        nn.Tanh(),
    )
    return Generator(encoder, decoder)


def super_resolution() -> nn.Module:
    """A small picture is enlarged by sub-pixel convolution, as in ESPCN."""
    decoder = nn.Sequential(
        nn.Conv2d(3, 2 * CHANNELS, 5, padding=2),
        nn.Tanh(),
        nn.Conv2d(2 * CHANNELS, CHANNELS, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(CHANNELS, 12, 3, padding=1),
        nn.PixelShuffle(2),
    )
    return Generator(nn.AvgPool2d(2), decoder)


def nearest_autoencoder() -> nn.Module:
    """Nearest-neighbour upsampling before convolutions with group norm, as in latent diffusion."""
    encoder = nn.Sequential(down(3, CHANNELS), down(CHANNELS, 2 * CHANNELS))
    decoder = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(2 * CHANNELS, CHANNELS, 3, padding=1),
        nn.GroupNorm(4, CHANNELS),
        nn.SiLU(),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(CHANNELS, 3, 3, padding=1),
    )
    return Generator(encoder, decoder)


class Quantise(nn.Module):
    """Rounds bounded features to seven levels: finite scalar quantisation instead of a codebook."""

    def forward(self, x: Tensor) -> Tensor:
        bounded = 3 * torch.tanh(x)
        # The gradient passes straight through the rounding.
        return (bounded + (bounded.round() - bounded).detach()) / 3


def quantising_autoencoder() -> nn.Module:
    """Discrete features between encoder and decoder, as in VQ-VAE, and bilinear upsampling."""
    encoder = nn.Sequential(down(3, CHANNELS), nn.Conv2d(CHANNELS, 8, 3, padding=1), Quantise())
    decoder = nn.Sequential(
        nn.Conv2d(8, CHANNELS, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(CHANNELS, 3, 5, padding=2),
    )
    return Generator(encoder, decoder)


class BicubicSharpener(nn.Module):
    """Bicubic enlargement, then a network that adds the missing detail, as in SRCNN."""

    def __init__(self) -> None:
        super().__init__()
        self.detail = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 7, padding=3),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, 3, 5, padding=2),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        small = F.interpolate(pictures, scale_factor=0.5, mode="area")
        large = F.interpolate(small, scale_factor=2, mode="bicubic")
        detail: Tensor = self.detail(large)
        return large + detail


class StyleFilter(nn.Module):
    """Random convolutions with instance norm restyle the picture; nothing is learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 5, padding=2, padding_mode="reflect"),
            nn.InstanceNorm2d(CHANNELS),
            nn.ELU(),
            nn.Conv2d(CHANNELS, 3, 3, padding=1, padding_mode="reflect"),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        return 0.6 * pictures + 0.4 * torch.sigmoid(self.filter(pictures))


class SkipCascade(nn.Module):
    """3x3 transposed convolutions of stride 2 with skips from smaller pictures, as in U-Nets."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.ConvTranspose2d(3, CHANNELS, 3, 2, 1, output_padding=1)
        self.second = nn.ConvTranspose2d(CHANNELS + 3, CHANNELS, 3, 2, 1, output_padding=1)
        self.last = nn.Conv2d(CHANNELS, 3, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        half, quarter = F.avg_pool2d(pictures, 2), F.avg_pool2d(pictures, 4)
        x = F.gelu(self.first(quarter))
        x = F.gelu(self.second(torch.cat([x, half], 1)))
        rendered: Tensor = self.last(x)
        return rendered


ENROLLED: dict[str, Callable[[], nn.Module]] = {
    "gan-decoder": gan_decoder,
    "super-resolution": super_resolution,
    "nearest-autoencoder": nearest_autoencoder,
    "quantising-autoencoder": quantising_autoencoder,
    "bicubic-sharpener": BicubicSharpener,
}
STRANGERS: dict[str, Callable[[], nn.Module]] = {
    "style-filter": StyleFilter,
    "skip-cascade": SkipCascade,
}


def build(make: Callable[[], nn.Module], pictures: Tensor, *, seed: int, steps: int) -> nn.Module:
    """Make a generator and let it learn to reconstruct pictures `(K, 3, H, W)` in [0, 1]."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = make()
        if isinstance(generator, StyleFilter):
            return generator.eval()
        optimizer = torch.optim.Adam(generator.parameters(), lr=4e-3)
        for _ in range(steps):
            batch = pictures[torch.randint(len(pictures), (4,))]
            loss = F.l1_loss(generator(batch), batch)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return generator.eval()


@torch.inference_mode()
def render(generator: nn.Module, pictures: Tensor) -> Tensor:
    """8-bit images `(K, 3, H, W)`, as a generator would save them."""
    rendered: Tensor = generator(pictures)
    return (rendered.clamp(0, 1) * 255).round().to(torch.uint8)
