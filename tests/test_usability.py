import io
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from modelprint.answers.usability import usability_of
from modelprint.decoding.compression import jpeg_quality, quality_of_table
from modelprint.decoding.jpeg_tables import scaled_table
from modelprint.images import load_image
from modelprint.synthesis.pictures import draw_pictures


@cache
def drawn():
    return draw_pictures(3, seed=5, size_px=160)


def encoded(pixels, quality, kind="JPEG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file, kind, quality=quality, **options)
    file.seek(0)
    return file


def compressed(pixels, quality, **options):
    decoded = np.asarray(Image.open(encoded(pixels, quality, **options)).convert("RGB"))
    return torch.from_numpy(decoded.copy()).permute(2, 0, 1)


@pytest.mark.parametrize("quality", [10, 27, 30, 31, 60, 75])
def test_the_quality_is_read_off_the_pixels(quality):
    assert [jpeg_quality(compressed(x, quality)) for x in drawn()] == [quality] * 3


def test_it_is_seen_in_crops_and_under_a_second_compression():
    for pixels in drawn():
        whole = compressed(pixels, 25)
        assert jpeg_quality(whole[:, 3:, 5:]) == 25
        assert jpeg_quality(whole[:, 16:-7, 1:-2]) == 25
        assert jpeg_quality(compressed(whole, 90)) == 25
        assert jpeg_quality(compressed(pixels, 25, subsampling=0)) == 25


def test_nothing_is_seen_where_there_was_no_compression():
    generator = np.random.default_rng(0)
    noise = torch.from_numpy(generator.integers(0, 256, (3, 96, 96), np.uint8))
    flat = torch.full((3, 64, 64), 90, dtype=torch.uint8)
    ramp = torch.arange(128, dtype=torch.uint8).expand(3, 64, 128)
    for pixels in (*drawn(), noise, flat, ramp, noise[:, :32, :32]):
        assert jpeg_quality(pixels) is None


def test_the_middle_of_a_large_image_is_enough():
    large = compressed(drawn()[0].repeat(1, 8, 8), 40)
    assert large.shape[1] == 1280
    assert jpeg_quality(large) == 40


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 95])
def test_the_tables_are_those_of_the_encoder(quality):
    with Image.open(encoded(drawn()[0], quality)) as image:
        assert sorted(image.quantization[0]) == sorted(scaled_table(quality).ravel().tolist())
        assert quality_of_table(image.quantization[0]) == quality
        assert load_image(image).jpeg_quality == quality


def test_a_files_tables_count_where_the_pixels_say_nothing(tmp_path):
    path = tmp_path / "grey.jpg"
    flat = torch.full((3, 96, 96), 120, dtype=torch.uint8)
    flat[:, :, ::2] += 4  # gone after strong compression
    path.write_bytes(encoded(flat, 12).getvalue())
    image = load_image(path)
    assert image.jpeg_quality == 12
    assert jpeg_quality(image.pixels) is None
    assert load_image(drawn()[0]).jpeg_quality is None
    Image.open(path).save(tmp_path / "grey.png")
    assert load_image(tmp_path / "grey.png").jpeg_quality is None


def test_strong_compression_cannot_be_judged_and_some_is_warned_of(tmp_path):
    for quality, expected in ((30, "too_recompressed"), (31, None), (75, None), (95, None)):
        usable = usability_of(load_image(compressed(drawn()[0], quality), name="x"))
        assert (usable.problem and usable.problem.code) == expected
        assert len(usable.warnings) == (quality in (31, 75))
    assert "JPEG of quality 75" in usability_of(load_image(compressed(drawn()[0], 75))).warnings[0]
    path = tmp_path / "file.jpg"
    path.write_bytes(encoded(drawn()[0], 20).getvalue())
    assert usability_of(load_image(path)).problem.text.endswith("JPEG quality 20")


@pytest.mark.parametrize(("side", "small"), [(63, True), (64, False)])
def test_small_images_cannot_be_judged(side, small):
    for pixels in (drawn()[0][:, :side], drawn()[0][:, :, :side]):
        problem = usability_of(load_image(pixels)).problem
        assert (problem is not None and problem.code == "too_small") == small


@pytest.mark.parametrize(("flat_columns", "flat"), [(160, True), (157, True), (150, False)])
def test_nearly_flat_images_cannot_be_judged(flat_columns, flat):
    pixels = drawn()[1].clone()
    pixels[:, :, :flat_columns] = 70
    problem = usability_of(load_image(pixels)).problem
    assert (problem is not None and problem.code == "too_flat") == flat


def test_an_image_without_fault_is_usable():
    assert usability_of(load_image(drawn()[0])) == (None, ())
