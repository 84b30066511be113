"""Images -> JPEG copies of them, by the codec that most JPEGs meet.

Not computed with tensors, though that would be quick: copies that round a coefficient or a colour
in another way than libjpeg does look the same and have quite another fingerprint.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def recompressed(images: Tensor, quality: int) -> Tensor:
    """JPEG copies of images, with chroma at half resolution.

    Args:
        images: ``(B, 3, H, W)`` float32 RGB in [0, 1], rounded to 8 bits here if they are not.
        quality: Of libjpeg's scale, 1 to 100.

    Returns:
        ``(B, 3, H, W)`` float32 in [0, 1], where the images are.
    """
    pixels = (255 * images).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
    copies = np.stack([_jpeg(np.ascontiguousarray(picture), quality) for picture in pixels])
    return torch.from_numpy(copies).permute(0, 3, 1, 2).to(images.device).float() / 255


def _jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(file) as copy:
        return np.asarray(copy)
