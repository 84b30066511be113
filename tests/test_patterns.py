"""Regular patterns: they repeat, they are mostly upright, and they stay within their canvas."""

import numpy as np
import pytest

from modelprint.draws import Draws
from modelprint.synthesis.patterns import add_pattern

SIDE = 128
PALETTE = np.linspace(20, 235, 24, dtype=np.float32).reshape(8, 3)
SEEDS = range(60)


def patterned(seed: int) -> np.ndarray:
    canvas = np.full((SIDE, SIDE, 3), 128, np.float32)
    add_pattern(Draws("pattern", seed), canvas, PALETTE)
    return canvas


@pytest.fixture(scope="module")
def canvases() -> list[np.ndarray]:
    return [patterned(seed) for seed in SEEDS]


def test_a_pattern_depends_on_its_draws_alone(canvases):
    assert np.array_equal(patterned(3), canvases[3])
    assert len({canvas.tobytes() for canvas in canvases}) > 0.9 * len(canvases)


def test_colours_stay_near_those_of_the_palette(canvases):
    for canvas in canvases:
        assert canvas.dtype == np.float32
        assert canvas.min() >= 0
        # Cells may be lit by up to 15 % more than their colour.
        assert canvas.max() < 1.15 * PALETTE.max()


def test_some_cover_everything_and_others_a_part(canvases):
    untouched = np.array([(canvas == 128).all(2).mean() for canvas in canvases])
    assert (untouched == 0).sum() >= 5
    assert (untouched > 0.2).sum() >= 5


def test_patterns_repeat_as_pictures_without_do_not(canvases):
    """Lines in the spectrum: a few frequencies hold most of what there is."""
    window = np.outer(*[np.hanning(SIDE)] * 2)

    def concentration(canvas: np.ndarray) -> float:
        grey = canvas.mean(2)
        power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
        power[:3, :3] = power[-2:, :3] = 0
        return np.sort(power.ravel())[-20:].sum() / (power.sum() + 1e-6)

    noise = np.random.default_rng(0).normal(size=(SIDE, SIDE, 3))
    found = np.array([concentration(canvas) for canvas in canvases])
    assert np.median(found) > 10 * concentration(noise)


def test_most_patterns_are_upright_or_level(canvases):
    """Energy of a gradient along one axis against that along both diagonals."""
    upright = 0
    for canvas in canvases:
        down, across = np.gradient(canvas.mean(2))
        angle = np.arctan2(down, across)
        weight = np.hypot(down, across) ** 2
        # 1 where all edges are upright or level, -1 where all are oblique.
        upright += (weight * np.cos(4 * angle)).sum() > 0.5 * weight.sum()
    assert upright > 0.4 * len(canvases)
