"""The lattice of 8 pixels, against slow float64 loops and against what it is there to catch."""

import numpy as np
import pytest
import torch

from modelprint.features.periodicity import periodicity
from modelprint.residual import even_out, high_pass


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


def slow_lattice(plane: np.ndarray) -> np.ndarray:
    """Log power of every frequency of the 8 x 8 mean, on the full plane, with loops."""
    rows, columns = plane.shape[0] // 8, plane.shape[1] // 8
    mean = np.zeros((8, 8))
    for y, x in np.ndindex(rows * 8, columns * 8):
        mean[y % 8, x % 8] += plane[y, x] / (rows * columns)
    power = np.abs(np.fft.fft2(mean - mean.mean())) ** 2 / 64
    return np.log1p(power * rows * columns / (plane.var(ddof=1) + 1e-8))


@pytest.mark.parametrize("size", [(32, 32), (41, 66)])
def test_it_is_the_power_of_the_folded_image(size):
    channels, even = 0.05 * noise(2, 3, *size), noise(2, 3, *size, seed=1)
    found = periodicity(channels, even).double().numpy()
    assert found.shape == (2, 4, 3, 33)
    for image, channel in np.ndindex(2, 3):
        plane = channels[image, channel].double().numpy()
        residual = even[image, channel].double().numpy()
        signals = [
            residual,
            np.minimum(np.abs(residual), 3),
            np.minimum(np.abs(np.diff(plane, axis=1)), 0.1),
            np.minimum(np.abs(np.diff(plane, axis=0)), 0.1),
        ]
        for number, signal in enumerate(signals):
            expected = slow_lattice(signal)
            # Row by row of the half plane, column 0 first: a few of them by hand.
            values = found[image, number, channel]
            for place, (y, x) in {0: (1, 0), 3: (4, 0), 4: (0, 1), 11: (7, 1), 32: (4, 4)}.items():
                np.testing.assert_allclose(values[place], expected[y, x], rtol=1e-3, atol=1e-4)


def test_noise_without_a_lattice_has_one_unit_of_power_on_average():
    power = periodicity(noise(8, 3, 128, 128), noise(8, 3, 128, 128, seed=1))[:, 0].expm1()
    assert power.mean().item() == pytest.approx(1, abs=0.1)


def test_a_lattice_far_below_the_content_shows_the_more_the_larger_the_image():
    strengths = []
    for side in (64, 256):
        residual = noise(1, 3, side, side)
        residual[..., ::8, ::8] *= 1.5  # one pixel in 64 is larger, none is shifted
        strengths.append(periodicity(residual, residual)[:, 1].median().item())
        plain = periodicity(noise(1, 3, side, side), noise(1, 3, side, side))[:, 1]
        assert strengths[-1] > plain.median().item()
    assert strengths[1] > strengths[0] + 1


def test_flat_images_have_none():
    flat = torch.full((1, 3, 32, 32), 0.4)
    assert periodicity(flat, even_out(high_pass(flat))).abs().max() < 1e-2
