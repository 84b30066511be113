import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, features

from modelprint.decoding import image_decoding
from modelprint.errors import InvalidImageError
from modelprint.images import load_image

ALPHA = image_decoding.DROPPED_ALPHA
TAG_ORIENTATION = 0x0112


def picture(height=40, width=48):
    array = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    array[: height // 2] = np.linspace(0, 255, width).astype(np.uint8)[None, :, None]
    return array


def encoded(image, kind, **options):
    # A copy: saving leaves settings of the encoder on the image.
    file = io.BytesIO()
    image.copy().save(file, kind, **options)
    return file.getvalue()


def png(pixels, bits, colour_type, chunks=b""):
    """A PNG of (H, W) or (H, W, C) integers, for what Pillow cannot write."""
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2" if bits == 16 else "u1").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + chunks + end


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.fixture
def load(tmp_path):
    def load_bytes(data, **options):
        path = tmp_path / "image"
        path.write_bytes(data)
        return load_image(path, **options)

    return load_bytes


def pixels(image):
    return image.pixels.permute(1, 2, 0).numpy()


# Orientation -------------------------------------------------------------------------------------

# What EXIF 2.32, table 6 says: which side of the picture the stored row 0 and column 0 are.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
    9: lambda a: a,  # no such orientation
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "TIFF LZW", "JPEG"])
def test_exif_orientation_is_applied(load, kind, orientation):
    if kind == "TIFF LZW" and orientation == 9:
        pytest.skip("libtiff does not write it")
    exif = Image.Exif()
    exif[TAG_ORIENTATION] = orientation
    options = {"WEBP": {"lossless": True}, "TIFF LZW": {"compression": "tiff_lzw"}}.get(kind, {})
    data = encoded(Image.fromarray(picture()), kind.split()[0], exif=exif, **options)
    stored = picture()
    if kind == "JPEG":
        stored = np.asarray(Image.open(io.BytesIO(data)))
    image = load(data)
    assert np.array_equal(pixels(image), UPRIGHT[orientation](stored))
    assert image.warnings == ()
    pil = Image.open(io.BytesIO(data))
    assert load_image(pil).sha256 == image.sha256
    assert load_image(pil).sha256 == image.sha256  # the image itself was not turned


def test_orientation_of_16_bit_images_is_applied(load):
    exif = Image.Exif()
    exif[TAG_ORIENTATION] = 6
    grey = picture()[:, :, 0]
    image = load(encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG", exif=exif))
    assert np.array_equal(pixels(image)[:, :, 2], np.rot90(grey, -1))


def test_damaged_exif_counts_as_upright(load):
    data = png(picture(), 8, 2, chunk(b"eXIf", b"nonsense, not a TIFF header"))
    image = load(data)
    assert np.array_equal(pixels(image), picture())
    assert image.warnings == (image_decoding.DAMAGED_EXIF,)


# Alpha -------------------------------------------------------------------------------------------


def over_white(colour, alpha):
    share = alpha.astype(float)[..., None] / 255
    return colour * share + 255 * (1 - share)


def test_alpha_is_laid_over_white(load):
    alpha = np.random.default_rng(1).integers(0, 256, (40, 48), dtype=np.uint8)
    rgba = Image.fromarray(np.dstack([picture(), alpha]))
    image = load(encoded(rgba, "PNG"))
    assert image.warnings == (ALPHA,)
    assert np.abs(pixels(image) - over_white(picture(), alpha)).max() <= 0.5 + 1e-9
    assert load_image(rgba).sha256 == image.sha256
    assert load_image(rgba).warnings == (ALPHA,)
    grey = load(encoded(rgba.convert("LA"), "PNG"))
    expected = over_white(np.asarray(rgba.convert("L"))[..., None], alpha)
    assert grey.warnings == (ALPHA,)
    assert np.abs(pixels(grey) - expected).max() <= 0.5 + 1e-9


def test_opaque_alpha_is_no_loss(load):
    image = load(encoded(Image.fromarray(picture()).convert("RGBA"), "PNG"))
    assert image.warnings == ()
    assert image.sha256 == load_image(picture()).sha256


@pytest.mark.parametrize("premultiplied", ["RGBa", "La"])
def test_premultiplied_alpha(premultiplied):
    straight = Image.new({"RGBa": "RGBA", "La": "LA"}[premultiplied], (40, 40))
    straight.paste({"RGBa": (200, 100, 50, 255), "La": (200, 255)}[premultiplied], (0, 0, 20, 40))
    image = load_image(straight.convert(premultiplied))
    assert image.warnings == (ALPHA,)
    assert image.sha256 == load_image(straight).sha256
    assert pixels(image)[0, 39].tolist() == [255, 255, 255]


def palette_image():
    image = Image.fromarray((np.arange(40 * 48).reshape(40, 48) % 4).astype(np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 100, 110, 120, 200, 150, 100, 0, 0, 0])
    return image


PALETTE = np.array([[10, 20, 30], [100, 110, 120], [200, 150, 100], [0, 0, 0]])
INDEX = np.arange(40 * 48).reshape(40, 48) % 4


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP"])
def test_palettes_become_their_colours(load, kind):
    image = load(encoded(palette_image(), kind))
    assert np.array_equal(pixels(image), PALETTE[INDEX])
    assert image.warnings == ()


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_entry_is_white(load, kind):
    image = load(encoded(palette_image(), kind, transparency=1))
    expected = PALETTE.copy()
    expected[1] = 255
    assert np.array_equal(pixels(image), expected[INDEX])
    assert image.warnings == (ALPHA,)


def test_palette_with_partial_alpha_is_laid_over_white(load):
    alphas = np.array([255, 0, 128, 7])
    data = encoded(palette_image(), "PNG", transparency=bytes(alphas.tolist()))
    image = load(data)
    expected = over_white(PALETTE, alphas)[INDEX]
    assert np.abs(pixels(image) - expected).max() <= 0.5 + 1e-9
    assert image.warnings == (ALPHA,)


def test_unused_transparency_is_no_loss(load):
    image = load(png(picture() | 1, 8, 2, chunk(b"tRNS", struct.pack(">3H", 0, 0, 0))))
    assert image.warnings == ()
    assert np.array_equal(pixels(image), picture() | 1)
    wide = picture()[:, :, 0].astype(np.uint16) | 1
    assert load(png(wide, 16, 0, chunk(b"tRNS", struct.pack(">H", 0)))).warnings == ()


def test_transparent_colour_and_grey_are_white(load):
    array = picture()
    array[5:9, 5:9] = (1, 2, 3)
    expected = array.copy()
    expected[5:9, 5:9] = 255
    image = load(png(array, 8, 2, chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))))
    assert np.array_equal(pixels(image), expected)
    assert image.warnings == (ALPHA,)
    grey = picture()[:, :, 0].astype(np.uint16) * 256
    for bits, key in ((8, int(grey[3, 30]) >> 8), (16, int(grey[3, 30]))):
        stored = grey >> (16 - bits)
        expected = np.where(stored == key, 255, grey >> 8)
        image = load(png(stored, bits, 0, chunk(b"tRNS", struct.pack(">H", key))))
        assert np.array_equal(pixels(image)[:, :, 1], expected)
        assert image.warnings == (ALPHA,)


# Depths and colour spaces ------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [256, 257])
def test_16_bits_give_back_the_8_bits_they_came_from(load, factor):
    wide = picture().astype(np.uint16) * factor
    grey = load_image(np.dstack([picture()[:, :, 0]] * 3)).sha256
    assert load(png(wide, 16, 2)).sha256 == load_image(picture()).sha256
    assert load(png(wide[:, :, 0], 16, 0)).sha256 == grey
    little = Image.fromarray(wide[:, :, 0])
    big = Image.frombytes("I;16B", (48, 40), wide[:, :, 0].astype(">u2").tobytes())
    for image in (little, big):
        assert load_image(image).sha256 == grey
        assert load(encoded(image, "TIFF")).sha256 == grey


def test_16_bits_keep_their_high_byte(load):
    wide = np.random.default_rng(3).integers(0, 65536, (40, 48, 3), dtype=np.uint16)
    assert np.array_equal(pixels(load(png(wide, 16, 2))), wide >> 8)
    assert np.array_equal(pixels(load(png(wide[:, :, 0], 16, 0)))[:, :, 0], wide[:, :, 0] >> 8)


def test_12_bit_tiff_keeps_its_high_eight_bits(load):
    values = np.random.default_rng(3).integers(0, 4096, (32, 32))
    packed = b"".join(
        struct.pack(">I", (int(a) << 12 | int(b)) << 8)[:3] for a, b in values.reshape(-1, 2)
    )
    tags = ((256, 32), (257, 32), (258, 12), (259, 1), (262, 1), (273, 0), (277, 1), (278, 32))
    tags += ((279, len(packed)),)
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", t, 4, 1, start if t == 273 else v) for t, v in tags)
    data = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + b"\0" * 4 + packed
    assert np.array_equal(pixels(load(data))[:, :, 0], values >> 4)


@pytest.mark.parametrize(("mode", "kind"), [("I", "integer"), ("F", "float")])
def test_32_bit_pixels_are_refused(load, mode, kind):
    image = Image.new(mode, (40, 40), 1)
    for attempt in (lambda: load_image(image), lambda: load(encoded(image, "TIFF"))):
        with pytest.raises(InvalidImageError, match=f"got 32-bit {kind} pixels .* Scale them"):
            attempt()


def test_grey_and_one_bit_images(load):
    grey = Image.fromarray(picture()[:, :, 0])
    image = load(encoded(grey, "PNG"))
    assert np.array_equal(pixels(image), np.dstack([picture()[:, :, 0]] * 3))
    bits = Image.fromarray(picture()[:, :, 0] > 99)
    assert bits.mode == "1"
    expected = np.dstack([np.where(picture()[:, :, 0] > 99, 255, 0)] * 3)
    assert np.array_equal(pixels(load(encoded(bits, "PNG"))), expected)


@pytest.mark.parametrize(
    ("mode", "colour", "rgb"),
    [
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("CMYK", (0, 0, 0, 0), (255, 255, 255)),
        ("HSV", (85, 255, 255), (0, 255, 0)),
        ("YCbCr", (128, 128, 128), (128, 128, 128)),
        ("RGBX", (1, 2, 3, 9), (1, 2, 3)),
        ("LAB", (255, 128, 128), (255, 255, 255)),
    ],
)
def test_other_colour_spaces(mode, colour, rgb):
    if mode == "LAB" and not features.check("littlecms2"):
        pytest.skip("this Pillow has no LittleCMS")
    found = pixels(load_image(Image.new(mode, (40, 33), colour)))
    assert found.shape == (33, 40, 3)
    assert np.abs(found.astype(int) - rgb).max() <= 1


def test_cmyk_files(load):
    ink = Image.new("CMYK", (40, 40), (255, 0, 255, 0))
    assert (pixels(load(encoded(ink, "TIFF"))) == (0, 255, 0)).all()
    jpeg = pixels(load(encoded(ink, "JPEG", quality=100)))
    assert np.abs(jpeg.astype(int) - (0, 255, 0)).max() <= 3


# Several frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "MPO"])
def test_the_first_frame_counts(load, kind):
    first = Image.new("RGB", (48, 40), (250, 0, 0))
    frames = {"save_all": True, "append_images": [Image.new("RGB", (48, 40), (0, 0, 250))]}
    data = encoded(first, kind, **frames)
    image = load(data)
    assert image.warnings == (image_decoding.FIRST_FRAME,)
    assert image.format == kind
    assert np.abs(pixels(image).astype(int) - (250, 0, 0)).max() <= 6
    pil = Image.open(io.BytesIO(data))
    assert load_image(pil).sha256 == image.sha256
    pil.seek(1)
    second = load_image(pil)
    assert second.warnings == (image_decoding.CURRENT_FRAME,)
    assert np.abs(pixels(second).astype(int) - (0, 0, 250)).max() <= 6
