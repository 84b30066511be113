"""Files that are damaged, hostile, or no images: an image or `InvalidImageError`, nothing else."""

import io
import os
import random
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from modelprint.decoding.image_decoding import _open_without_blocking
from modelprint.decoding.pillow_guard import _without_pillow_warnings
from modelprint.errors import ImageNotFoundError, InvalidImageError
from modelprint.images import load_image


def picture():
    array = np.random.default_rng(7).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    array[:20] = np.linspace(0, 255, 48).astype(np.uint8)[None, :, None]
    return Image.fromarray(array)


def encoded(image, kind, **options):
    # A copy: saving leaves settings of the encoder on the image.
    file = io.BytesIO()
    image.copy().save(file, kind, **options)
    return file.getvalue()


def intact_files():
    rgb, grey = picture(), picture().convert("L")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "description"
    several = {"save_all": True, "append_images": [rgb.rotate(180)]}
    few = rgb.quantize(16)
    return {
        "png": encoded(rgb, "PNG", exif=exif),
        "png, palette": encoded(few, "PNG", transparency=bytes(range(0, 160, 10))),
        "png, alpha": encoded(Image.merge("LA", (grey, grey)), "PNG"),
        "png, 16 bits": encoded(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "PNG"),
        "png, animated": encoded(rgb, "PNG", **several),
        "jpeg": encoded(rgb, "JPEG", exif=exif),
        "jpeg, progressive": encoded(rgb, "JPEG", progressive=True),
        "jpeg, cmyk": encoded(rgb.convert("CMYK"), "JPEG"),
        "mpo": encoded(rgb, "MPO", **several),
        "webp": encoded(rgb, "WEBP", exif=exif),
        "webp, lossless": encoded(Image.merge("RGBA", (*rgb.split(), grey)), "WEBP", lossless=True),
        "webp, animated": encoded(rgb, "WEBP", **several),
        "gif": encoded(few, "GIF"),
        "gif, animated": encoded(few, "GIF", save_all=True, append_images=[few.rotate(180)]),
        "tiff": encoded(rgb, "TIFF", exif=exif),
        "tiff, lzw": encoded(rgb, "TIFF", compression="tiff_lzw", exif=exif),
        "tiff, jpeg": encoded(rgb, "TIFF", compression="jpeg"),
        "tiff, pages": encoded(picture(), "TIFF", save_all=True, append_images=[picture()]),
        "bmp": encoded(rgb, "BMP"),
        "bmp, palette": encoded(few, "BMP"),
    }


INTACT = intact_files()


@pytest.fixture
def load(tmp_path):
    def load_bytes(data, **options):
        path = tmp_path / "image"
        path.write_bytes(data)
        return load_image(path, name="x.png", **options)

    return load_bytes


@pytest.mark.parametrize("kind", INTACT)
def test_every_file_is_readable_before_it_is_damaged(load, kind):
    assert sorted(load(INTACT[kind]).pixels.shape) == [3, 40, 48]


@pytest.mark.parametrize("kind", INTACT)
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_truncated_files_are_refused(load, kind, share):
    with pytest.raises(InvalidImageError, match=r"^x\.png: expected .*\. (Get an|Convert it)"):
        load(INTACT[kind][: max(4, int(len(INTACT[kind]) * share))])


def mutated(data, rng):
    data = bytearray(data)
    way = rng.randrange(4)
    if way == 0:
        del data[rng.randrange(1, len(data)) :]
    elif way == 1:
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif way == 2:  # headers, with the values that break parsers
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(min(len(data), 120))] = rng.choice([0, 1, 127, 128, 255])
    else:
        start = rng.randrange(len(data))
        data[start : start + rng.randrange(16)] = rng.randbytes(rng.randrange(16))
    return bytes(data)


@pytest.mark.parametrize("kind", INTACT)
def test_mutated_files_give_an_image_or_our_error(load, kind):
    rng = random.Random(kind)
    messages = []
    # Recorded: as an error, a warning would be turned into InvalidImageError and go unseen.
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        for _ in range(40):
            try:
                image = load(mutated(INTACT[kind], rng), max_pixels=2_000_000)
            except InvalidImageError as error:
                messages.append(str(error))
            else:
                assert min(image.pixels.shape[1:]) >= 32
    assert leaked == []
    assert messages
    assert all(message.startswith("x.png: expected ") for message in messages)


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


def test_too_small_files_are_refused(load):
    assert load(encoded(Image.new("RGB", (32, 32)), "PNG")).pixels.shape == (3, 32, 32)
    with pytest.raises(InvalidImageError, match="at least 32 pixels a side, got 31 x 900"):
        load(encoded(Image.new("RGB", (31, 900)), "PNG"))


def test_pillow_limits_neither_warn_nor_change(load, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 48 - 1)
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        for data in INTACT.values():
            load(data)
    assert leaked == []
    assert Image.MAX_IMAGE_PIXELS == 40 * 48 - 1
    assert truncated is ImageFile.LOAD_TRUNCATED_IMAGES


def png_that_pillow_warns_about():
    chunk = b"acTL" + bytes(8)  # an animation without frames
    chunk = struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return INTACT["png"][:33] + chunk + INTACT["png"][33:]


def test_pillow_warnings_are_kept_from_the_caller(load):
    data = png_that_pillow_warns_about()
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(io.BytesIO(data)).load()
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        assert load(data).sha256 == load(INTACT["png"]).sha256
    assert leaked == []


def test_overlapping_threads_leave_no_filter_behind():
    filters = list(warnings.filters)
    first, second = _without_pillow_warnings(), _without_pillow_warnings()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        one.submit(first.__enter__).result()
        other.submit(second.__enter__).result()
        one.submit(first.__exit__, None, None, None).result()
        other.submit(second.__exit__, None, None, None).result()
    assert warnings.filters == filters


def test_only_pillow_is_silenced():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with _without_pillow_warnings():
            warnings.warn("from somewhere else", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in heard] == ["from somewhere else"]


def test_many_threads_at_once(tmp_path):
    paths = []
    for i in range(24):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(png_that_pillow_warns_about() if i % 2 else INTACT["png"])
    filters = list(warnings.filters)
    with ThreadPoolExecutor(6) as pool:
        assert len({image.sha256 for image in pool.map(load_image, paths)}) == 1
    assert warnings.filters == filters


FOREIGN = {
    "one byte": b"x",
    "zeros": bytes(99),
    "sound": b"RIFF\4\0\0\0WAVE",
    "pdf": b"%PDF-1.7\n",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "photoshop": b"8BPS\0\1" + bytes(60),
    "ppm, which Pillow alone would open": encoded(picture(), "PPM"),
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_image_is_refused(load, data):
    with pytest.raises(InvalidImageError, match=r"^x\.png: expected a PNG, .* that begins with b"):
        load(data)


@pytest.mark.parametrize(
    "data", [b"BM", b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF\4\0\0\0WEBP"]
)
def test_mere_beginnings_are_refused(load, data):
    with pytest.raises(InvalidImageError, match=r"^x\.png: expected an image that can be decoded"):
        load(data)


def test_paths_that_cannot_be_images(tmp_path):
    empty = tmp_path / "empty.png"
    empty.touch()
    with pytest.raises(InvalidImageError, match=r"empty\.png: expected .* got an empty file"):
        load_image(empty)
    with pytest.raises(InvalidImageError, match="expected one image file, got a folder"):
        load_image(tmp_path)
    for path in (tmp_path / "none.png", empty / "below.png", ""):
        with pytest.raises(ImageNotFoundError, match=r"there is no such file\. Expected"):
            load_image(path)
    with pytest.raises(FileNotFoundError):
        load_image("nowhere.png")
    for path in ("a\0b.png", "x" * 5000):
        with pytest.raises(InvalidImageError, match="the file cannot be opened"):
            load_image(path)


def test_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    path.write_bytes(INTACT["png"])

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # file modes do not stop an administrator
    with pytest.raises(InvalidImageError, match=r"cannot be opened .*Permission denied"):
        load_image(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
def test_pipes_and_devices_do_not_block(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    found = []

    def attempt():
        for path in (pipe, Path("/dev/zero"), Path("/dev/null")):
            try:
                load_image(path)
            except InvalidImageError as error:
                found.append(str(error))
        os.close(_open_without_blocking(str(pipe), os.O_RDONLY))
        found.append("opened")

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert len(found) == 4
    assert all("expected a regular file, got a pipe, socket or device" in e for e in found[:3])


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux counts open files")
def test_files_are_closed(load):
    folder = Path("/proc/self/fd")
    before = len(list(folder.iterdir()))
    for data in INTACT.values():
        load(data)
        with pytest.raises(InvalidImageError):
            load(data[: len(data) // 3])
    assert len(list(folder.iterdir())) == before


def test_closed_and_damaged_pillow_images_are_refused():
    closed = picture()
    closed.close()
    damaged = Image.open(io.BytesIO(INTACT["jpeg"][:700]))
    strange = picture()
    strange.info["transparency"] = "nonsense"
    for image in (closed, damaged, strange):
        with pytest.raises(InvalidImageError, match=r"^<PIL image>: expected an image that can be"):
            load_image(image)


def test_empty_pillow_image_is_refused():
    with pytest.raises(InvalidImageError, match="at least 32 pixels a side, got 0 x 0"):
        load_image(Image.new("RGB", (0, 0)))


def test_the_cause_is_kept(load):
    with pytest.raises(InvalidImageError) as caught:
        load(INTACT["jpeg"][:700])
    assert isinstance(caught.value.__cause__, OSError)
    assert "truncated" in str(caught.value)
