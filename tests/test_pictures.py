import numpy as np
import pytest
import torch

from modelprint.draws import Draws
from modelprint.errors import InvalidOptionError
from modelprint.synthesis.pictures import crops, draw_pictures


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return draw_pictures(16, seed=2, size_px=64)


def test_pictures_are_bytes_of_the_size_asked_for(pictures):
    assert pictures.shape == (16, 3, 64, 64)
    assert pictures.dtype == torch.uint8
    assert draw_pictures(1, seed=2, size_px=33).shape == (1, 3, 33, 33)


def test_picture_i_is_the_same_whatever_else_is_drawn(pictures):
    assert torch.equal(draw_pictures(3, seed=2, size_px=64, first=5), pictures[5:8])


def test_pictures_seeds_and_sizes_differ(pictures):
    assert len({picture.numpy().tobytes() for picture in pictures}) == 16
    assert not torch.equal(draw_pictures(1, seed=3, size_px=64), pictures[:1])


def test_pictures_have_something_in_them(pictures):
    deviations = pictures.float().std((2, 3)).mean(1)
    assert deviations.min() > 1
    assert deviations.median() > 15
    assert 60 < pictures.float().mean() < 190


def test_pictures_are_coloured(pictures):
    saturation = (pictures.float().amax(1) - pictures.float().amin(1)).mean((1, 2))
    assert saturation.median() > 5


def test_their_spectrum_falls_as_that_of_photographs_does():
    """Amplitude about 1 / f: power falls with an exponent around -2 (Field 1987)."""
    grey = draw_pictures(24, seed=4, size_px=96).double().mean(1).numpy()
    window = np.outer(np.hanning(96), np.hanning(96))
    grey = (grey - grey.mean((1, 2), keepdims=True)) * window
    power = (np.abs(np.fft.fft2(grey)) ** 2).mean(0)
    radius = np.hypot(*np.meshgrid(*[np.fft.fftfreq(96) * 96] * 2))
    rings = np.array([4, 6, 8, 12, 16, 24])
    level = [power[(radius > ring - 1) & (radius < ring + 1)].mean() for ring in rings]
    slope = np.polyfit(np.log(rings), np.log(level), 1)[0]
    assert -3.5 < slope < -1.2


def test_nobody_elses_random_state_is_touched():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    draw_pictures(1, seed=0, size_px=32)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n": 0}, "at least 1 picture, got n=0"),
        ({"n": 1, "size_px": 31}, "size_px between 32 and 1024, got 31"),
        ({"n": 1, "size_px": 1025}, "size_px between 32 and 1024, got 1025"),
    ],
)
def test_a_bad_argument_is_a_clear_error(arguments, said):
    with pytest.raises(InvalidOptionError, match=said):
        draw_pictures(seed=0, **arguments)


def test_crops_are_windows_of_the_pictures_half_of_them_mirrored():
    numbered = torch.arange(2 * 9 * 8).view(2, 1, 9, 8).expand(-1, 3, -1, -1)
    mirrored, places = 0, set()
    for crop in crops(numbered, Draws("crops"), 400, 5):
        if crop[0, 0, 1] < crop[0, 0, 0]:
            crop, mirrored = crop.flip(-1), mirrored + 1
        picture, place = divmod(crop[0, 0, 0].item(), 72)
        top, left = divmod(place, 8)
        assert torch.equal(crop, numbered[picture, :, top : top + 5, left : left + 5])
        places.add((picture, top, left))
    assert len(places) == 2 * 5 * 4, "every window comes up, those at the edges too"
    assert 150 < mirrored < 250


def test_crops_depend_on_their_draws_alone(pictures):
    one = torch.stack(list(crops(pictures, Draws("a"), 4, 32)))
    assert torch.equal(torch.stack(list(crops(pictures, Draws("a"), 4, 32))), one)
    assert not torch.equal(torch.stack(list(crops(pictures, Draws("b"), 4, 32))), one)


def test_built_scenes_are_other_pictures_of_the_same_kind(pictures):
    built = draw_pictures(16, seed=2, size_px=64, built=True)
    assert built.shape == pictures.shape
    assert torch.equal(built, draw_pictures(16, seed=2, size_px=64, built=True))
    assert not any(torch.equal(one, other) for one, other in zip(built, pictures, strict=True))
