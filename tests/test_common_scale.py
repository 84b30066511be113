import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from modelprint.features.common_scale import common_scale, shrunk


@pytest.mark.parametrize(
    ("side", "common"),
    [(32, 32), (64, 64), (65, 64), (128, 64), (129, 128), (192, 128), (256, 128), (1000, 512)],
)
def test_the_smaller_side_becomes_the_power_of_two_below_it(side, common):
    assert side * common_scale(side, 3 * side) == pytest.approx(common)
    assert common_scale(3 * side, side) == common_scale(side, 3 * side)


@pytest.mark.parametrize("factor", [0.55, 0.75, 0.95])
def test_an_image_and_its_resized_copy_meet_at_the_common_scale(factor):
    image = tiny.photos(1, 256, 320)[0]
    size = round(320 * factor), round(256 * factor)
    picture = Image.fromarray(image.permute(1, 2, 0).numpy()).resize(size, Image.Resampling.BICUBIC)
    resized = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    met = [shrunk(x[None].float() / 255, common_scale(*x.shape[1:]))[0] for x in (image, resized)]
    assert met[0].shape == met[1].shape == (3, 128, 160)
    assert (met[0] - met[1]).abs().mean() < 0.25 * met[0].std()


def test_shrunk_is_what_pillow_makes_of_it():
    image = tiny.photos(1, 100, 90)[0]
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    expected = np.array(picture.resize((60, 67), Image.Resampling.BICUBIC))
    smaller = 255 * shrunk(image[None].float() / 255, 2 / 3)[0]
    # Pillow rounds and clips between rows and columns as well.
    difference = np.abs(smaller.permute(1, 2, 0).numpy() - expected)
    assert difference.mean() < 0.5
    assert np.quantile(difference, 0.99) <= 2


def test_at_scale_1_nothing_happens():
    image = tiny.photos(1, 50, 64).float() / 255
    assert torch.equal(shrunk(image, 1.0), image)
