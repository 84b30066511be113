"""What is fuzzed: bytes go in, and nothing but an answer or the promised error may come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from fuzz.gallery_files import FixedEmbedder, around, header_in, intact_gallery
from fuzz.image_files import intact_files
from modelprint.errors import ExtractorMismatchError, InvalidGalleryFileError, InvalidImageError
from modelprint.gallery import Gallery
from modelprint.images import load_image

_RAW, _HEADER = b"r", b"h"


@dataclass(frozen=True)
class Target:
    """Something that reads files.

    Attributes:
        attempt: Takes bytes and the path of a file that it may write; raises what it should not.
        seeds: Whole files to start from.
        most_bytes: Longest input.
    """

    attempt: Callable[[bytes, Path], None]
    seeds: Callable[[], Iterable[bytes]]
    most_bytes: int


def load_an_image(data: bytes, path: Path) -> None:
    """Any file is an image with sides of 32 pixels or more, or refused."""
    path.write_bytes(data)
    try:
        image = load_image(path, max_pixels=200_000)
    except InvalidImageError:
        return
    assert image.side_px >= 32
    assert image.pixels.shape[1] * image.pixels.shape[2] <= 200_000


def load_a_gallery(data: bytes, path: Path) -> None:
    """Any file is a gallery that can be looked at, or refused.

    After an ``r`` come the bytes of a file, after an ``h`` those of a header in a file whose
    framing is right, which chance would hardly find.
    """
    path.write_bytes(around(data[1:]) if data[:1] == _HEADER else data[1:])
    try:
        gallery = Gallery.load(path, FixedEmbedder())
    except (InvalidGalleryFileError, ExtractorMismatchError):
        return
    assert len(gallery) == len(gallery.labels)
    assert len(gallery.digest) == 64


def _gallery_seeds() -> list[bytes]:
    gallery = intact_gallery()
    return [_RAW + gallery, _HEADER + header_in(gallery)]


TARGETS = {
    "images": Target(load_an_image, lambda: intact_files().values(), 16_384),
    "galleries": Target(load_a_gallery, _gallery_seeds, 4096),
}
