"""Images are decoded in small batches, so that memory does not grow with their number or size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias, TypeVar

from modelprint.errors import InvalidImageError
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
    return _batches(load_image(source, name=name) for name, source in iter_sources(images))


def readable_batches(images: Images) -> Iterator[list[LoadedImage | Unreadable]]:
    """Decode images in order, with an `Unreadable` in place of each that cannot be read.

    Raises:
        InvalidImageError: At the call, if `images` is nothing of the kind.
    """
    return _batches(_decode(name, source) for name, source in iter_sources(images))


def _decode(name: str, source: OneImage) -> LoadedImage | Unreadable:
    try:
        return load_image(source, name=name)
    except InvalidImageError as error:
        return Unreadable(name, str(error))


def _batches(images: Iterator[Decoded]) -> Iterator[list[Decoded]]:
    batch: list[Decoded] = []
    pixels = 0
    for image in images:
        batch.append(image)
        pixels += image.pixels[0].numel() if isinstance(image, LoadedImage) else 0
        if len(batch) == BATCH_IMAGES or pixels >= BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
