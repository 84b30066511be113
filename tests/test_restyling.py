"""Variations of pictures before any model renders them."""

import torch

from modelprint.draws import Draws
from modelprint.synthesis.pictures import draw_pictures
from modelprint.training.restyling import mirror, restyle

PICTURE = draw_pictures(1, seed=3, size_px=48)[0]


def test_a_restyled_picture_is_a_variation_that_its_draws_decide():
    seen = [restyle(PICTURE, Draws("restyle", n)) for n in range(12)]
    for picture in seen:
        assert picture.shape == PICTURE.shape
        assert picture.dtype == torch.uint8
    for number, picture in enumerate(seen):
        assert torch.equal(picture, restyle(PICTURE, Draws("restyle", number)))
        assert not any(torch.equal(picture, other) for other in seen[:number])
        # Still a picture: restyling must not wash it out or blow it up.
        assert picture.float().std() > 0.2 * PICTURE.float().std()


def test_mirroring_shows_the_same_pixels_another_way_round():
    for number in (0, 1):
        mirrored = mirror(PICTURE, number)
        assert not torch.equal(mirrored, PICTURE)
        assert torch.equal(mirror(mirrored, number), PICTURE)
