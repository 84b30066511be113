"""Images -> what a JPEG of them would look like, computed with tensors.

The steps of a baseline encoder and decoder (ITU-T T.81, as libjpeg and Pillow do them by default):
luma and chroma, chroma at half resolution, cosine transform of blocks of 8 x 8, rounding to
multiples of the quantisation tables, and back. Entropy coding loses nothing and is left out. So the
copy is made where the images are, many at once, and is the same whatever codec is installed.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.decoding.jpeg_tables import BLOCK_PX, CHROMA, LUMA, cosines, scaled_table


def recompressed(images: Tensor, quality: int) -> Tensor:
    """JPEG copies of images, blocks counted from the upper left corner.

    Args:
        images: ``(B, 3, H, W)`` float32 RGB in [0, 1].
        quality: Of libjpeg's scale, 1 to 100.

    Returns:
        ``(B, 3, H, W)`` float32 in [0, 1], whole multiples of 1 / 255.
    """
    height, width = images.shape[-2:]
    # Chroma has half the resolution: whole blocks of it take 16 pixels.
    padding = (0, -width % (2 * BLOCK_PX), 0, -height % (2 * BLOCK_PX))
    red, green, blue = (255 * F.pad(images, padding, mode="replicate")).unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = torch.stack([(blue - luma) / 1.772, (red - luma) / 1.402], 1)
    luma = _through_blocks(luma.round()[:, None] - 128, _steps("luma", quality)) + 128
    chroma = _through_blocks(F.avg_pool2d(chroma.round(), 2).round(), _steps("chroma", quality))
    # Bilinear is what libjpeg calls fancy upsampling.
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    luma, (blue, red) = luma[:, 0], chroma.unbind(1)
    decoded = torch.stack(
        [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], 1
    )
    return decoded[..., :height, :width].round().clamp(0, 255) / 255


def _through_blocks(planes: Tensor, table: Tensor) -> Tensor:
    """Planes ``(B, C, H, W)`` of levels around 0, each block of them rounded in frequency."""
    B, C, H, W = planes.shape
    basis, table = _basis().to(planes.device), table.to(planes.device)
    blocks = planes.view(B, C, H // BLOCK_PX, BLOCK_PX, W // BLOCK_PX, BLOCK_PX).transpose(3, 4)
    steps = (basis @ blocks @ basis.T / table).round()
    blocks = basis.T @ (steps * table) @ basis
    return blocks.transpose(3, 4).reshape(B, C, H, W).round().clamp(-128, 127)


@lru_cache(maxsize=1)
def _basis() -> Tensor:
    return torch.from_numpy(cosines()).float()


@lru_cache(maxsize=16)
def _steps(channel: str, quality: int) -> Tensor:
    table = LUMA if channel == "luma" else CHROMA
    return torch.from_numpy(scaled_table(table, quality)).float()
