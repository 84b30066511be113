"""Image files made here, whole ones and damaged ones, for fuzzing to start from."""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image

HEIGHT_PX, WIDTH_PX = 40, 48
_HEADER_BYTES = 120
_ORIENTATION, _DESCRIPTION, _ICC = 0x0112, 0x010E, "icc_profile"


def picture() -> Image.Image:
    """A picture of 40 x 48 pixels, the upper half a ramp, the lower half noise."""
    array = np.random.default_rng(7).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    array[: HEIGHT_PX // 2] = np.linspace(0, 255, WIDTH_PX).astype(np.uint8)[None, :, None]
    return Image.fromarray(array)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """A picture as a file of one format, with Pillow's options of saving."""
    # A copy: saving leaves settings of the encoder on the image.
    file = io.BytesIO()
    image.copy().save(file, kind, **options)
    return file.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file, with its length and its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(tags: dict[int, int | tuple[int, int]], data: bytes) -> bytes:
    """A TIFF of one page whose values are 32-bit numbers, or (count, place) of many of them."""
    pairs = [
        (tag, value if isinstance(value, tuple) else (1, value)) for tag, value in tags.items()
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, *pair) for tag, pair in pairs)
    return struct.pack("<2sHIH", b"II", 42, 8, len(pairs)) + entries + bytes(4) + data


def big_tiff(strips: int = 1) -> bytes:
    """A grey picture as a BigTIFF, which older Pillows cannot write.

    Args:
        strips: how many it says there are, none of which but the first is in the file.
    """
    start = 16 + 8 + 20 * 9 + 8
    tags = {256: WIDTH_PX, 257: HEIGHT_PX, 258: 8, 259: 1, 262: 1, 273: start, 277: 1}
    tags |= {278: HEIGHT_PX, 279: WIDTH_PX * HEIGHT_PX}
    counts = {273: strips, 279: strips}
    entries = b"".join(
        struct.pack("<HHQQ", tag, 16, counts.get(tag, 1), value) for tag, value in tags.items()
    )
    head = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, len(tags))
    return head + entries + bytes(8) + picture().convert("L").tobytes()


@cache
def intact_files() -> dict[str, bytes]:
    """Files of every format and of the modes that matter, each of 40 x 48 pixels."""
    rgb, grey = picture(), picture().convert("L")
    exif = Image.Exif()
    exif[_ORIENTATION], exif[_DESCRIPTION] = 6, "description"
    several = {"save_all": True, "append_images": [rgb.rotate(180)]}
    few = rgb.quantize(16)
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    profile = {_ICC: bytes(range(128)) * 4}
    rgba = Image.merge("RGBA", (*rgb.split(), grey))
    return {
        "png": encoded(rgb, "PNG", exif=exif),
        "png, palette": encoded(few, "PNG", transparency=bytes(range(0, 160, 10))),
        "png, alpha": encoded(Image.merge("LA", (grey, grey)), "PNG"),
        "png, 1 bit": encoded(grey.convert("1"), "PNG"),
        "png, 16 bits": encoded(wide, "PNG"),
        "png, icc": encoded(rgb, "PNG", **profile),
        "png, animated": encoded(rgb, "PNG", **several),
        "jpeg": encoded(rgb, "JPEG", exif=exif),
        "jpeg, progressive": encoded(rgb, "JPEG", progressive=True),
        "jpeg, grey": encoded(grey, "JPEG"),
        "jpeg, cmyk": encoded(rgb.convert("CMYK"), "JPEG", **profile),
        "mpo": encoded(rgb, "MPO", **several),
        "webp": encoded(rgb, "WEBP", exif=exif, **profile),
        "webp, lossless": encoded(rgba, "WEBP", lossless=True),
        "webp, animated": encoded(rgb, "WEBP", **several),
        "gif": encoded(few, "GIF"),
        "gif, transparent": encoded(few, "GIF", transparency=3),
        "gif, animated": encoded(few, "GIF", save_all=True, append_images=[few.rotate(180)]),
        "tiff": encoded(rgb, "TIFF", exif=exif),
        "tiff, 16 bits": encoded(wide, "TIFF"),
        "tiff, lzw": encoded(rgb, "TIFF", compression="tiff_lzw", exif=exif),
        "tiff, deflate": encoded(rgba, "TIFF", compression="tiff_adobe_deflate"),
        "tiff, jpeg": encoded(rgb, "TIFF", compression="jpeg"),
        "tiff, cmyk": encoded(rgb.convert("CMYK"), "TIFF"),
        "tiff, big": big_tiff(),
        "tiff, pages": encoded(picture(), "TIFF", save_all=True, append_images=[picture()]),
        "bmp": encoded(rgb, "BMP"),
        "bmp, palette": encoded(few, "BMP"),
    }


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A file with something wrong with it: cut, overwritten, flipped, spliced, or misdeclared."""
    damaged = bytearray(data)
    way = rng.randrange(6)
    if way == 0:
        del damaged[rng.randrange(1, len(damaged)) :]
    elif way == 1:
        for _ in range(rng.randrange(1, 8)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    elif way == 2:
        for _ in range(rng.randrange(1, 8)):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    elif way == 3:  # headers, with the values that break parsers
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(min(len(damaged), _HEADER_BYTES))] = rng.choice(
                [0, 1, 127, 128, 255]
            )
    elif way == 4:  # a length or a size that is far off, in either order of bytes
        number = rng.choice([0, 1, 31, 32, 65_535, 2**24 - 1, 2**31 - 1, 2**32 - 1])
        at = rng.randrange(min(len(damaged), _HEADER_BYTES) - 4)
        damaged[at : at + 4] = struct.pack(rng.choice("<>") + "I", number)
    else:
        start = rng.randrange(len(damaged))
        damaged[start : start + rng.randrange(16)] = rng.randbytes(rng.randrange(16))
    return bytes(damaged)


def jpeg_of_many_scans(scans: int) -> bytes:
    """A progressive JPEG that repeats its last scan: each costs a pass over the whole picture."""
    data = encoded(picture(), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * scans + data[end:]


def tiff_of_many_strips(strips: int) -> bytes:
    """A grey TIFF of 64 x 64 pixels with far more strips than rows, all at the same place."""
    tags: dict[int, int | tuple[int, int]] = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1}
    table = 8 + 2 + 12 * 9 + 4
    tags |= {273: (strips, table), 277: 1, 278: 1, 279: (strips, table)}
    return tiff(tags, struct.pack("<I", 64) * strips)


def tiff_of_large_tiles(side_px: int) -> bytes:
    """A grey TIFF of 64 x 64 pixels in tiles that are far larger."""
    tags: dict[int, int | tuple[int, int]] = {256: 64, 257: 64, 258: 8, 259: 5, 262: 1}
    tags |= {277: 1, 322: side_px, 323: side_px, 324: 8 + 2 + 12 * 10 + 4, 325: 64}
    return tiff(tags, bytes(64))
