"""Files that ask for more memory or time than a picture is worth are refused before decoding."""

import os
import struct
import zlib

import pytest

from fuzz.image_files import (
    big_tiff,
    intact_files,
    jpeg_of_many_scans,
    picture,
    tiff_of_large_tiles,
    tiff_of_many_strips,
)
from modelprint.errors import InvalidImageError
from modelprint.images import load_image

INTACT = intact_files()


def patched(data, offset, form, *values):
    patch = struct.pack(form, *values)
    return data[:offset] + patch + data[offset + len(patch) :]


def bombs():
    side = 65_000
    png, jpeg = INTACT["png"], INTACT["jpeg"]
    header = patched(png[12:29], 4, ">II", side, side)
    yield "PNG", patched(png, 12, ">17sI", header, zlib.crc32(header))
    yield "JPEG", patched(jpeg, jpeg.index(b"\xff\xc0") + 5, ">HH", side, side)
    yield "GIF", patched(INTACT["gif"], 6, "<HH", side, side)
    yield "BMP", patched(INTACT["bmp"], 18, "<ii", side, side)


@pytest.mark.parametrize(("kind", "data"), list(bombs()))
def test_bombs_are_refused_by_their_header(load, kind, data):
    with pytest.raises(InvalidImageError, match="at most 100,000,000 pixels, got 65000 x 65000"):
        load(data)


def test_webp_bombs_are_refused(load):
    data = INTACT["webp, animated"]
    assert data[12:16] == b"VP8X"
    canvas = struct.pack("<I", 40_000 - 1)[:3] * 2
    with pytest.raises(InvalidImageError, match=r"^x\.png: expected .*(at most|limit)"):
        load(data[:24] + canvas + data[30:])


def test_a_jpeg_may_not_go_over_its_picture_again_and_again(load):
    assert load(jpeg_of_many_scans(80)).pixels.shape == (3, 40, 48)
    with pytest.raises(InvalidImageError, match="at most 100 scans, got more"):
        load(jpeg_of_many_scans(101))
    # What looks like a scan in metadata or behind the picture is none.
    comment = b"\xff\xfe" + struct.pack(">H", 2002) + b"\xff\xda" * 1000
    data = INTACT["jpeg"]
    assert load(data[:2] + comment + data[2:] + b"\xff\xda\0\2" * 1000).sha256 == load(data).sha256


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_tiff_may_not_have_more_strips_than_any_picture(load, order):
    assert load(tiff_of_many_strips(64)).pixels.shape == (3, 64, 64)
    data = tiff_of_many_strips(100_001)
    if order == "big":  # only as far as it is read
        head = struct.unpack("<2sHIH", data[:10])
        entries = [struct.unpack("<HHII", data[at : at + 12]) for at in range(10, 118, 12)]
        data = struct.pack(">2sHIH", b"MM", *head[1:])
        data += b"".join(struct.pack(">HHII", *entry) for entry in entries)
    with pytest.raises(InvalidImageError, match=r"at most 100,000 strips .*, got 100,001"):
        load(data)


def test_big_tiffs_may_not_have_more_strips_either(load):
    grey = load_image(picture().convert("L"))
    assert load(big_tiff()).sha256 == grey.sha256
    with pytest.raises(InvalidImageError, match="got 1,099,511,627,776"):
        load(big_tiff(2**40))


def test_tiles_of_a_tiff_count_as_a_picture(load):
    with pytest.raises(InvalidImageError, match=r"tiles of at most 4,096 pixels, got tiles of 65"):
        load(tiff_of_large_tiles(65), max_pixels=4096)
    with pytest.raises(InvalidImageError, match="got tiles of 20000 x 20000"):
        load(tiff_of_large_tiles(20_000))


@pytest.mark.parametrize(
    ("kind", "most"), [("gif", 1), ("jpeg", 2), ("webp", 4), ("png", 8), ("tiff", 8), ("bmp", 8)]
)
def test_files_far_larger_than_their_picture_are_refused_unread(tmp_path, kind, most):
    path = tmp_path / "image"
    path.write_bytes(INTACT[kind])
    allowed = 16 * 2**20 + most * 2000
    os.truncate(path, allowed + 1)  # sparse: it takes no space
    with pytest.raises(InvalidImageError, match=f"at most {allowed:,} bytes in a {kind.upper()}"):
        load_image(path, max_pixels=2000)
