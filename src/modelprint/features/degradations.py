"""What happens to an image on its way: recompression, resizing, blur, noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from modelprint.draws import Draws
from modelprint.features.recompression import through_codec
from modelprint.images import MIN_SIDE_PX, LoadedImage, load_image

# Of a huge image the middle says as much about what degrading moves, in bounded time and memory.
_MOST_PX = 1024


def degraded_copy(image: LoadedImage) -> LoadedImage:
    """A degraded copy of an image, of at most its middle 1 024 x 1 024 pixels.

    The same picture gives the same copy.
    """
    middle = image.pixels
    for axis in (1, 2):
        spare = max(0, middle.shape[axis] - _MOST_PX)
        middle = middle.narrow(axis, spare // 2, middle.shape[axis] - spare)
    copy = degrade(middle, Draws("degraded copy", image.sha256))
    return load_image(copy, name=f"{image.name}, degraded")


def degrade(image: Tensor, draws: Draws) -> Tensor:
    """One random degradation, followed by JPEG in a quarter of the cases.

    Args:
        image: ``(3, H, W)`` uint8.
        draws: Where the choices come from.

    Returns:
        ``(3, H', W')`` uint8; the size changes where the image was resized.
    """
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    picture = draws.choice(_DEGRADATIONS)(picture, draws)
    if draws.number() < 0.25:
        picture = _jpeg(picture, draws)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def _jpeg(picture: Image.Image, draws: Draws) -> Image.Image:
    return through_codec(picture, "JPEG", 55 + draws.integer(43))


def _webp(picture: Image.Image, draws: Draws) -> Image.Image:
    return through_codec(picture, "WEBP", 55 + draws.integer(43))


def _resize(picture: Image.Image, draws: Draws) -> Image.Image:
    factor = draws.number(0.65, 1.3)
    width, height = (max(MIN_SIDE_PX, round(side * factor)) for side in picture.size)
    kernels = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    return picture.resize((width, height), draws.choice(kernels))


def _blur(picture: Image.Image, draws: Draws) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(draws.number(0.3, 1.2)))


def _noise(picture: Image.Image, draws: Draws) -> Image.Image:
    pixels = np.asarray(picture, np.float32)
    noise = draws.bell(*pixels.shape) * 3**0.5 * draws.number(0.5, 4.0)
    return Image.fromarray(np.rint(np.clip(pixels + noise, 0, 255)).astype(np.uint8))


_DEGRADATIONS: tuple[Callable[[Image.Image, Draws], Image.Image], ...] = (
    _jpeg,
    _webp,
    _resize,
    _blur,
    _noise,
)
