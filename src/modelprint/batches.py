"""Images are decoded in small batches, so that memory does not grow with their number or size.

Threads decode the files of a folder or a list ahead, so that the network does not wait for them. A
generator is asked for one image at a time instead, and that is decoded at once: it may fill the
same buffer, or write the same file, again and again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import torch
from torch import Tensor

from modelprint.ahead import in_order
from modelprint.errors import InvalidImageError, InvalidOptionError
from modelprint.images import ImageSource, LoadedImage, iter_sources, load_image

OneImage: TypeAlias = ImageSource | LoadedImage
Images: TypeAlias = OneImage | Iterable[OneImage]

BATCH_IMAGES = 16
BATCH_PIXELS = 64_000_000


class Unreadable(NamedTuple):
    """Stands for an image that could not be decoded: its name, and why."""

    name: str
    error: str


Decoded = TypeVar("Decoded", LoadedImage, LoadedImage | Unreadable)


def decoded_batches(images: Images) -> Iterator[list[LoadedImage]]:
    """Decode images in order.

    Raises:
        InvalidImageError: At the call, if `images` is nothing of the kind; then for the first image
            that cannot be read.
    """
    return _batches(_decoded(images, _load))


def readable_batches(images: Images) -> Iterator[list[LoadedImage | Unreadable]]:
    """Decode images in order, with an `Unreadable` in place of each that cannot be read.

    Raises:
        InvalidImageError: At the call, if `images` is nothing of the kind.
    """
    return _batches(_decoded(images, _load_or_say_why))


def embedded(
    images: Images,
    embed: Callable[[list[LoadedImage], int], Tensor],
    dim: int,
    *,
    batch_size: int,
    progress: Callable[[int], None] | None,
) -> Tensor:
    """What an embedder makes of images, decoded as above.

    Args:
        images: Of any kind.
        embed: Makes `(n, D)` of n images, at most so many at once as its second argument says.
        dim: D.
        batch_size: That number.
        progress: Called with the number of images done since the last call.

    Returns:
        `(N, D)`.

    Raises:
        InvalidImageError: An image cannot be read; the message names it.
        InvalidOptionError: `batch_size` is below 1.
    """
    if batch_size < 1:
        raise InvalidOptionError(f"expected batch_size >= 1, got {batch_size}")
    rows: list[Tensor] = []
    for batch in decoded_batches(images):
        rows.append(embed(batch, batch_size))
        if progress is not None:
            progress(len(batch))
    return torch.cat(rows) if rows else torch.empty(0, dim)


def _load(named: tuple[str, OneImage]) -> LoadedImage:
    name, source = named
    return load_image(source, name=name)


def _load_or_say_why(named: tuple[str, OneImage]) -> LoadedImage | Unreadable:
    try:
        return _load(named)
    except InvalidImageError as error:
        return Unreadable(named[0], str(error))


def _decoded(
    images: Images, decode: Callable[[tuple[str, OneImage]], Decoded]
) -> Iterator[Decoded]:
    sources = iter_sources(images)
    files = isinstance(images, str | os.PathLike) or (
        isinstance(images, Sequence) and all(isinstance(x, str | os.PathLike) for x in images)
    )
    if not files:
        return map(decode, sources)
    return in_order(decode, sources, _pixels, most=2 * BATCH_IMAGES, most_size=BATCH_PIXELS)


def _pixels(image: LoadedImage | Unreadable) -> int:
    return image.pixels[0].numel() if isinstance(image, LoadedImage) else 0


def _batches(images: Iterator[Decoded]) -> Iterator[list[Decoded]]:
    batch: list[Decoded] = []
    pixels = 0
    for image in images:
        batch.append(image)
        pixels += _pixels(image)
        if len(batch) == BATCH_IMAGES or pixels >= BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
