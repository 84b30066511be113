"""What a picture may cost: checked on what files say of themselves, before any of it is decoded.

Small files can ask for much: a header declares a size, a tile of a TIFF may be larger than its
picture and its strips more than its rows, a progressive JPEG of some kilobytes goes over the whole
picture once per scan. And large files hold little: WebP is read as a whole, and junk in a GIF is
skipped byte by byte.
"""

from __future__ import annotations

import re
from typing import IO, Literal

from PIL import Image, TiffImagePlugin

from modelprint.errors import InvalidImageError

MIN_SIDE_PX = 32
# As many as libtiff allows for a JPEG inside of a TIFF; encoders make about ten.
MOST_SCANS = 100
# Metadata, thumbnails and what phones append.
_SPARE_BYTES = 16 * 2**20
# The most that pixels take, in bytes per pixel: 16-bit RGBA, or 8-bit noise that did not compress.
_BYTES_PER_PIXEL = {"GIF": 1, "JPEG": 2, "WEBP": 4}
_MOST_BYTES_PER_PIXEL = 8
_TILE_WIDTH_TAG, _TILE_LENGTH_TAG = 322, 323
# A million strips keep libtiff busy for twelve seconds; a picture has no more strips than rows.
MOST_NUMBERS = 100_000
_TEXT_OR_BYTES = (1, 2, 6, 7)  # types of TIFF that Pillow keeps as they are
_MOST_TAGS = 65_535
# Anything between markers is skipped, and so are stuffed zeros and restarts inside of a scan.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA


def check_size(height_px: int, width_px: int, *, name: str, max_pixels: int) -> None:
    """Refuse pictures too small to carry a fingerprint, or too large to decode.

    Raises:
        InvalidImageError: a side is under `MIN_SIDE_PX`, or there are more than `max_pixels`.
    """
    if min(height_px, width_px) < MIN_SIDE_PX:
        raise InvalidImageError(
            f"{name}: expected at least {MIN_SIDE_PX} pixels a side, got {width_px} x {height_px} "
            "(width x height). Use the image in its original size; do not enlarge it."
        )
    if height_px * width_px > max_pixels:
        raise InvalidImageError(
            f"{name}: expected at most {max_pixels:,} pixels, got {width_px} x {height_px} "
            "(width x height). Crop the image, do not resize it; or raise max_pixels of "
            "modelprint.images.load_image and pass on what it returns."
        )


def check_bytes(size_bytes: int, kind: str, *, name: str, max_pixels: int) -> None:
    """Refuse a file longer than `max_pixels` pixels of its format can be.

    Args:
        size_bytes: of the whole file.
        kind: "PNG", "JPEG", "WEBP", "GIF", "TIFF" or "BMP".
        name: what the error calls the image.
        max_pixels: allowed in a picture.

    Raises:
        InvalidImageError: the file is longer.
    """
    most = _SPARE_BYTES + max_pixels * _BYTES_PER_PIXEL.get(kind, _MOST_BYTES_PER_PIXEL)
    if size_bytes > most:
        raise InvalidImageError(
            f"{name}: expected at most {most:,} bytes in a {kind} file of up to {max_pixels:,} "
            f"pixels, got {size_bytes:,}. Save the first frame alone, as PNG; or raise max_pixels "
            "of modelprint.images.load_image and pass on what it returns."
        )


def check_scans(jpeg: bytes, *, name: str) -> None:
    """Refuse a JPEG that goes over its picture more than `MOST_SCANS` times.

    Args:
        jpeg: the whole file.
        name: what the error calls the image.

    Raises:
        InvalidImageError: it has more scans.
    """
    at = scans = 0
    while found := _JPEG_MARKER.search(jpeg, at):
        at, marker = found.end(), found[1][0]
        if marker == _END_OF_IMAGE:
            return
        if marker != _START_OF_IMAGE:
            at += int.from_bytes(jpeg[at : at + 2], "big")
        scans += marker == _START_OF_SCAN
        if scans > MOST_SCANS:
            raise InvalidImageError(
                f"{name}: expected a JPEG of at most {MOST_SCANS} scans, got more; each would be "
                "decoded over the whole picture. Get the original, or save it again as PNG."
            )


def check_numbers(tiff: IO[bytes], *, name: str) -> None:
    """Refuse a TIFF with more than `MOST_NUMBERS` numbers, such as places of strips, in one tag.

    Args:
        tiff: the file, which is left somewhere in its first page.
        name: what the error calls the image.

    Raises:
        InvalidImageError: it has more.
    """
    head = tiff.read(16)
    order: Literal["little", "big"] = "little" if head.startswith(b"II") else "big"
    # BigTIFF has wider fields: where a page begins, how many tags it has, how many values a tag.
    big = b"+" in head[2:4]
    place, tags, entry, count = (8, 8, 20, 8) if big else (4, 2, 12, 4)
    tiff.seek(int.from_bytes(head[place : 2 * place], order))
    many = min(int.from_bytes(tiff.read(tags), order), _MOST_TAGS)
    page = tiff.read(many * entry)
    for at in range(0, len(page), entry):
        kind = int.from_bytes(page[at + 2 : at + 4], order)
        numbers = int.from_bytes(page[at + 4 : at + 4 + count], order)
        if kind not in _TEXT_OR_BYTES and numbers > MOST_NUMBERS:
            raise InvalidImageError(
                f"{name}: expected a TIFF with at most {MOST_NUMBERS:,} strips or other numbers in "
                f"one tag, got {numbers:,}. Save it again as PNG, or with larger strips."
            )


def check_tiles(image: Image.Image, *, name: str, max_pixels: int) -> None:
    """Refuse a TIFF whose tiles, which are decoded one by one as a whole, are too large.

    Raises:
        InvalidImageError: a tile has more than `max_pixels` pixels, or no number as its size.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    width, length = (image.tag_v2.get(tag, 0) for tag in (_TILE_WIDTH_TAG, _TILE_LENGTH_TAG))
    if not (isinstance(width, int) and isinstance(length, int) and width * length <= max_pixels):
        raise InvalidImageError(
            f"{name}: expected a TIFF with tiles of at most {max_pixels:,} pixels, got tiles of "
            f"{width} x {length}. Get an intact copy, or save it again as PNG."
        )
