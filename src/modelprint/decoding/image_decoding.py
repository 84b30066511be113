"""From a file or a Pillow image to RGB planes: everything modelprint knows about image formats.

A file must be a regular file, and its first bytes must be those of a PNG, JPEG (also MPO, as phones
write it), WebP, GIF, TIFF or BMP; its suffix does not count. What decoding it would cost is checked
before a pixel is decoded (`modelprint.decoding.limits`). Pixels become 8-bit RGB like this:

| pixels                                | rule                                                   |
|---------------------------------------|--------------------------------------------------------|
| 1-bit, grey, palette                  | widened without loss                                   |
| CMYK, YCbCr, LAB, HSV                 | Pillow's conversion                                    |
| 16-bit grey, 16-bit RGB               | the high byte, `>> 8`: exact for widened 8-bit images  |
| 12-bit grey (TIFF)                    | the high eight bits, `>> 4`                            |
| alpha, transparent palette or colour  | laid over white; a warning where anything shone        |
|                                       | through                                                |
| 32-bit integer or float               | refused: they have no agreed range                     |
| several frames or pages               | a file's first, a Pillow image's current one; a        |
|                                       | warning                                                |
| EXIF orientation                      | applied; damaged EXIF counts as upright, with a        |
|                                       | warning                                                |
| ICC profile, gamma                    | ignored: a fingerprint lies in the stored numbers      |

Pillow's settings (`LOAD_TRUNCATED_IMAGES`, `MAX_IMAGE_PIXELS`) are obeyed where Pillow looks at
them and never changed. None of its warnings reaches the caller; what libtiff itself writes to
standard error about a damaged TIFF cannot be caught from Python.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import IO, BinaryIO

import numpy as np
import torch
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from torch import Tensor

from modelprint.decoding.compression import quality_of_table
from modelprint.decoding.limits import (
    check_bytes,
    check_numbers,
    check_scans,
    check_size,
    check_tiles,
)
from modelprint.decoding.pillow_guard import pillow_errors_as_ours
from modelprint.errors import ImageNotFoundError, InvalidImageError

DROPPED_ALPHA = "transparency was dropped over white"
DAMAGED_EXIF = "the EXIF data is damaged: the image was taken as upright"
FIRST_FRAME = "the file holds several frames or pages: only the first was used"
CURRENT_FRAME = "the image holds several frames or pages: only the current one was used"

# The plugins are called directly because Image.open looks at sizes with limits and warnings of its
# own, before we could name the size in an error.
_Opener = Callable[[IO[bytes], str], Image.Image]
_OPENERS: tuple[tuple[tuple[bytes, ...], str, _Opener], ...] = (
    ((b"\x89PNG\r\n\x1a\n",), "PNG", PngImagePlugin.PngImageFile),
    ((b"\xff\xd8\xff",), "JPEG", JpegImagePlugin.jpeg_factory),
    ((b"RIFF",), "WEBP", WebPImagePlugin.WebPImageFile),
    ((b"GIF87a", b"GIF89a"), "GIF", GifImagePlugin.GifImageFile),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF", TiffImagePlugin.TiffImageFile),
    ((b"BM",), "BMP", BmpImagePlugin.BmpImageFile),
)

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE_TAG = 258


def decode_file(
    path: str, *, name: str, max_pixels: int
) -> tuple[Tensor, str, tuple[str, ...], int | None]:
    """Read one image file.

    Args:
        path: a regular file; anything else is refused without being opened.
        name: what errors call the image.
        max_pixels: refuse larger pictures by the size in their header, and longer files than such
            pictures need.

    Returns:
        `(3, H, W)` uint8 RGB pixels, the format ("PNG", "JPEG", ...), the warnings, and a JPEG's
        quality by its tables.

    Raises:
        ImageNotFoundError: there is no such file.
        InvalidImageError: it is no image file, damaged, too small or too large.
    """
    with _open_regular(path, name) as file, pillow_errors_as_ours(name):
        head = file.read(16)
        known = next((known for known in _OPENERS if head.startswith(known[0])), None)
        if known is None or (head.startswith(b"RIFF") and head[8:12] != b"WEBP"):
            raise InvalidImageError(
                f"{name}: expected a PNG, JPEG, WebP, GIF, TIFF or BMP file, got one that begins "
                f"with {head!r}. Convert it to PNG first."
            )
        _, kind, opener = known
        size_bytes = os.fstat(file.fileno()).st_size
        check_bytes(size_bytes, kind, name=name, max_pixels=max_pixels)
        if kind == "JPEG":
            check_scans(head + file.read(size_bytes), name=name)
        file.seek(0)
        if kind == "TIFF":
            check_numbers(file, name=name)
            file.seek(0)
        image = opener(file, "")  # an empty name, so that Pillow does not map the file
        pixels, found = _decode(image, name, max_pixels, several_frames=FIRST_FRAME)
        return pixels, str(image.format), found, _jpeg_quality(image)


def decode_pil(
    image: Image.Image, *, name: str, max_pixels: int
) -> tuple[Tensor, tuple[str, ...], int | None]:
    """Read one Pillow image, which is loaded if it was lazy, and otherwise left as it is.

    Args:
        image: any mode but "I" and "F".
        name: what errors call the image.
        max_pixels: refuse larger pictures.

    Returns:
        `(3, H, W)` uint8 RGB pixels, the warnings, and a JPEG's quality by its tables.

    Raises:
        InvalidImageError: closed, damaged, too small, too large, or of a mode without agreed range.
    """
    with pillow_errors_as_ours(name):
        return *_decode(image, name, max_pixels, several_frames=CURRENT_FRAME), _jpeg_quality(image)


def _open_regular(path: str, name: str) -> BinaryIO:
    # Looked at before it is opened: opening a device can act on it.
    try:
        status = os.stat(path)  # noqa: PTH116 - Path("") would be the current folder
        if stat.S_ISDIR(status.st_mode):
            raise InvalidImageError(
                f"{name}: expected one image file, got a folder. Name one file in it, or give the "
                "folder by itself where several images are accepted."
            )
        if not stat.S_ISREG(status.st_mode):
            raise InvalidImageError(
                f"{name}: expected a regular file, got a pipe, socket or device. Copy its content "
                "into a file first."
            )
        if status.st_size == 0:
            raise InvalidImageError(
                f"{name}: expected an image file, got an empty file. Copy or download it again."
            )
        return open(path, "rb", opener=_open_without_blocking)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageNotFoundError(
            f"{name}: there is no such file. Expected the path of a local image file."
        ) from error
    except InvalidImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InvalidImageError(
            f"{name}: the file cannot be opened ({error}). Expected a readable image file: check "
            "its path and permissions."
        ) from error


def _open_without_blocking(path: str, flags: int) -> int:
    # Were the file replaced by a pipe since we looked, a plain open would wait for a writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _decode(
    image: Image.Image, name: str, max_pixels: int, *, several_frames: str
) -> tuple[Tensor, tuple[str, ...]]:
    found: list[str] = []
    check_size(image.height, image.width, name=name, max_pixels=max_pixels)
    if getattr(image, "is_animated", False):
        found.append(several_frames)
    check_tiles(image, name=name, max_pixels=max_pixels)
    image.load()
    # After load: only then has PNG read its last chunks, and TIFF turned the image by itself.
    try:
        method = _UPRIGHT.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # EXIF is parsed by Python code that raises whatever it stumbles over
        method = None
        found.append(DAMAGED_EXIF)
    plain, transparent = _to_grey_or_rgb(image, name)
    if transparent:
        found.append(DROPPED_ALPHA)
    if method is not None:
        plain = plain.transpose(method)
    pixels = torch.empty((3, plain.height, plain.width), dtype=torch.uint8)
    # Band by band: np.asarray of an RGB image takes six times as long.
    planes = pixels.numpy()
    if plain.mode == "L":
        planes[:] = np.asarray(plain)
    else:
        for plane, band in zip(planes, plain.split(), strict=True):
            plane[:] = np.asarray(band)
    return pixels, tuple(found)


def _jpeg_quality(image: Image.Image) -> int | None:
    """By the first table, that of the luma."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or not image.quantization:
        return None
    return quality_of_table(image.quantization[min(image.quantization)])


def _to_grey_or_rgb(image: Image.Image, name: str) -> tuple[Image.Image, bool]:
    """The image in mode "L" or "RGB", and whether anything shone through."""
    mode = image.mode
    if mode in ("I", "F"):
        kind = "integer" if mode == "I" else "float"
        raise InvalidImageError(
            f"{name}: expected 8- or 16-bit pixels, got 32-bit {kind} pixels (Pillow mode "
            f"{mode!r}), which have no agreed range. Scale them to 8 bits first."
        )
    if mode.startswith("I;16"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        # Pillow knows no way from La to RGBA.
        rgba = image.convert("LA").convert("RGBA") if mode == "La" else image.convert("RGBA")
        if rgba.getchannel("A").getextrema() == (255, 255):
            return rgba.convert("RGB"), False
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba)
        return white, True
    return image if mode in ("L", "RGB") else image.convert("RGB"), False


def _from_16_bits(image: Image.Image) -> tuple[Image.Image, bool]:
    values = np.asarray(image)
    bits = 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = 12 if image.tag_v2.get(_BITS_PER_SAMPLE_TAG) == (12,) else 16
    grey = (values >> (bits - 8)).astype(np.uint8)
    key = image.info.get("transparency")  # PNG: one grey value that is to be transparent
    if not isinstance(key, int):
        return Image.fromarray(grey), False
    clear = values == key
    grey[clear] = 255
    return Image.fromarray(grey), bool(clear.any())
