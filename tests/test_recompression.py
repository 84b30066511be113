"""Copies made with tensors against those of libjpeg, through Pillow."""

import io

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from modelprint.features.recompression import recompressed


def by_pillow(image: torch.Tensor, quality: int) -> torch.Tensor:
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)


@pytest.mark.parametrize("quality", [10, 50, 75, 90, 98])
@pytest.mark.parametrize("size", [(64, 64), (65, 47), (33, 90)])
def test_copies_look_as_those_of_a_codec_do(quality, size):
    image = tiny.photos(1, *size)[0]
    expected = by_pillow(image, quality).float()
    copy = 255 * recompressed(image[None].float() / 255, quality)[0]
    assert copy.shape == image.shape
    assert torch.equal(copy, copy.round())
    lost = (image - expected).abs().mean()
    # Integer arithmetic rounds some coefficients to the next step.
    assert (copy - expected).abs().mean() < max(0.8, 0.25 * lost)
    assert abs((copy - expected).mean()) < 0.3


@pytest.mark.parametrize("quality", [75, 90])
def test_a_second_time_changes_little(quality):
    image = tiny.photos(1, 96, 96)[0]
    once = recompressed(by_pillow(image, quality)[None].float() / 255, quality)[0]
    again = (255 * once - by_pillow(image, quality)).abs().mean()
    first = (by_pillow(image, quality) - image.float()).abs().mean()
    assert again < 0.35 * first


def test_a_copy_depends_on_its_image_alone_and_leaves_it_as_it_is():
    batch = tiny.photos(3, 40, 56).float() / 255
    before = batch.clone()
    copies = recompressed(batch, 75)
    assert torch.equal(batch, before)
    for number in range(3):
        assert torch.equal(recompressed(batch[number : number + 1], 75)[0], copies[number])
