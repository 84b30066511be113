"""JPEG copies of tensors."""

import io

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from modelprint.features.recompression import recompressed


@pytest.mark.parametrize("quality", [10, 75, 90])
@pytest.mark.parametrize("size", [(64, 64), (65, 47), (33, 90)])
def test_copies_are_what_pillow_makes_by_default(quality, size):
    images = tiny.photos(2, *size)
    copies = recompressed(images.float() / 255, quality)
    assert copies.dtype == torch.float32
    for image, copy in zip(images, copies, strict=True):
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        expected = np.array(Image.open(file))
        np.testing.assert_array_equal((255 * copy).round().permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("quality", [75, 90])
def test_a_second_time_changes_little(quality):
    image = tiny.photos(1, 96, 96).float() / 255
    once = recompressed(image, quality)
    again = (recompressed(once, quality) - once).abs().mean()
    assert again < 0.2 * (once - image).abs().mean()


def test_the_images_stay_as_they_are():
    batch = tiny.photos(3, 40, 56).float() / 255
    before = batch.clone()
    recompressed(batch, 75)
    assert torch.equal(batch, before)


def test_the_gradient_of_a_copy_is_that_of_its_image():
    images = (tiny.photos(2, 32, 40).float() / 255).requires_grad_()
    copies = recompressed(images, 75)
    torch.testing.assert_close(copies, recompressed(images.detach(), 75))
    weights = tiny.numbers(*copies.shape, seed=1)
    (gradient,) = torch.autograd.grad((copies * weights).sum(), images)
    torch.testing.assert_close(gradient, weights)
