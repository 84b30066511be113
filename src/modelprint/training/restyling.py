"""Other ways in which a picture could have been taken or finished: what content varies in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor

from modelprint.draws import Draws


def restyle(picture: Tensor, draws: Draws) -> Tensor:
    """A variation of a picture: enlarged, other colours and light, sharper, softer, grainier.

    Images of one generator vary in all of this from prompt to prompt, so none of it may count as a
    fingerprint. Unlike a degradation, this happens to the picture before a model renders it.

    Args:
        picture: ``(3, S, S)`` uint8.
        draws: Where the choices come from.

    Returns:
        ``(3, S, S)`` uint8.
    """
    image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    if draws.number() < 0.5:
        image = _enlarge(image, draws)
    image = ImageEnhance.Color(image).enhance(draws.number(0.2, 1.8))
    image = ImageEnhance.Contrast(image).enhance(draws.number(0.6, 1.5))
    image = ImageEnhance.Brightness(image).enhance(draws.number(0.7, 1.3))
    image = draws.choice(_FINISHES)(image, draws)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def mirror(picture: Tensor, number: int) -> Tensor:
    """Every other picture flipped, the others transposed: content has no preferred direction."""
    return picture.flip(-1) if number % 2 else picture.transpose(-1, -2)


def _enlarge(image: Image.Image, draws: Draws) -> Image.Image:
    """A random part of the picture, up to 1.4 times larger."""
    side = round(image.width * draws.number(1.0, 1.4))
    kernels = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    left, top = (draws.integer(side - image.width + 1) for _ in range(2))
    larger = image.resize((side, side), draws.choice(kernels))
    return larger.crop((left, top, left + image.width, top + image.height))


def _plain(image: Image.Image, _: Draws) -> Image.Image:
    return image


def _soften(image: Image.Image, draws: Draws) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(draws.number(0.3, 1.5)))


def _sharpen(image: Image.Image, draws: Draws) -> Image.Image:
    return image.filter(ImageFilter.UnsharpMask(draws.number(0.7, 2.5), 30 + draws.integer(120), 0))


def _paint(image: Image.Image, _: Draws) -> Image.Image:
    return image.filter(ImageFilter.MedianFilter(3))


def _grain(image: Image.Image, draws: Draws) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    channels = draws.choice((1, 3))
    grain = draws.bell(*pixels.shape[:2], channels) * 3**0.5 * draws.number(0.5, 6.0)
    return Image.fromarray(np.rint(np.clip(pixels + grain, 0, 255)).astype(np.uint8))


_FINISHES: tuple[Callable[[Image.Image, Draws], Image.Image], ...] = (
    _plain,
    _plain,
    _soften,
    _sharpen,
    _paint,
    _grain,
)
