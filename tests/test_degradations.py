"""What happens to images on their way."""

import pytest
import tiny
import torch

from modelprint.draws import Draws
from modelprint.features import degradations
from modelprint.features.degradations import degrade, degraded_copy
from modelprint.images import load_image


def test_degradations_vary_and_repeat_with_their_draws():
    image = tiny.photos(1, 48, 48)[0]
    copies = [degrade(image, Draws("degrade", number)) for number in range(60)]
    assert all(copy.dtype == torch.uint8 and copy.shape[0] == 3 for copy in copies)
    assert all(min(copy.shape[1:]) >= 32 for copy in copies)
    assert len({tuple(copy.shape) for copy in copies}) > 5, "some are resized"
    assert sum(torch.equal(copy, image) for copy in copies) < 6
    again = [degrade(image, Draws("degrade", number)) for number in range(60)]
    assert all(map(torch.equal, copies, again))


@pytest.mark.parametrize("number", range(60))
def test_resizing_keeps_the_shape_and_the_smallest_side_that_can_be_used(number):
    height, width = degrade(tiny.photos(1, 40, 160)[0], Draws("degrade", number)).shape[1:]
    assert height >= 32
    assert height == 32 or abs(width / height - 4) < 0.1


def test_the_copy_of_a_picture_depends_on_the_picture_alone():
    one, other = tiny.photos(2, 48, 64)
    copy = degraded_copy(load_image(one, name="a.png"))
    again = degraded_copy(load_image(one.clone(), name="b.png"))
    assert torch.equal(copy.pixels, again.pixels)
    assert copy.name == "a.png, degraded"
    assert not torch.equal(copy.pixels, one)
    kinds = {tuple(degraded_copy(load_image(picture)).pixels.shape) for picture in tiny.photos(30)}
    assert len(kinds) > 3, "some are resized"
    assert copy.sha256 != degraded_copy(load_image(other)).sha256


def test_of_a_huge_picture_the_middle_is_degraded(monkeypatch):
    monkeypatch.setattr(degradations, "_MOST_PX", 40)
    monkeypatch.setattr(degradations, "degrade", lambda pixels, _: pixels)
    picture = tiny.photos(1, 36, 91)[0]
    assert torch.equal(degraded_copy(load_image(picture)).pixels, picture[:, :, 25:65])
