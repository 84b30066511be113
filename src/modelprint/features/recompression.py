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
    """JPEG copies of images, at Pillow's defaults: chroma at half resolution.

    Args:
        images: ``(B, 3, H, W)`` float32 RGB in [0, 1], rounded to 8 bits here if they are not.
        quality: Of libjpeg's scale, 1 to 100.

    Returns:
        ``(B, 3, H, W)`` float32 in [0, 1], where the images are. A codec has no gradient: that of a
        copy is taken for that of its image (a straight-through estimate).
    """
    pixels = (255 * images.detach()).round().to("cpu", torch.uint8).permute(0, 2, 3, 1)
    pictures = [
        through_codec(Image.fromarray(rows), "JPEG", quality)
        for rows in pixels.contiguous().numpy()
    ]
    copies = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))
    copies = copies.permute(0, 3, 1, 2).to(images.device).float() / 255
    return images + (copies - images).detach() if images.requires_grad else copies


def through_codec(picture: Image.Image, codec: str, quality: int) -> Image.Image:
    """An RGB picture written by one of Pillow's lossy codecs, at its defaults, and read again."""
    file = io.BytesIO()
    picture.save(file, codec, quality=quality)
    return Image.open(file).convert("RGB")
