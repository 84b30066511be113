"""How local energy in one band goes with that in another."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from modelprint.features.subband_energy import subband_energy


def noise(n: int, side: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 3, side, side))).float()


def band_of(y: int, x: int) -> int:
    if y == 0:
        return 0 if x <= 2 else 1
    if x == 0:
        return 2 if y <= 2 else 3
    return 4 if y + x <= 4 else 5 if y + x <= 8 else 6


def slow(crop: np.ndarray) -> np.ndarray:
    rows = []
    for channel in crop:
        maps = [[] for _ in range(7)]
        for top in range(0, channel.shape[0] - 7, 3):
            for left in range(0, channel.shape[1] - 7, 3):
                block = np.abs(dctn(channel[top : top + 8, left : left + 8], norm="ortho")) + 1e-4
                values = [[] for _ in range(7)]
                for y in range(8):
                    for x in range(8):
                        if (y, x) != (0, 0):
                            values[band_of(y, x)].append(block[y, x])
                for band in range(7):
                    maps[band].append(np.log(np.mean(values[band])))
        rows += maps
    energy = np.array(rows)
    deviation = energy.std(axis=1) + 1e-3
    centred = energy - energy.mean(axis=1, keepdims=True)
    correlation = centred @ centred.T / energy.shape[1] / np.outer(deviation, deviation)
    return np.concatenate([correlation[np.triu_indices(21, 1)], np.log(deviation)])


@pytest.mark.parametrize("side", [16, 33])
def test_it_is_what_slow_loops_over_cosine_transforms_give(side):
    crops = noise(2, side) * torch.linspace(0.1, 1, side)
    expected = np.stack([slow(crop.double().numpy()) for crop in crops])
    np.testing.assert_allclose(subband_energy(crops).numpy(), expected, atol=2e-3)


def test_energy_that_goes_together_is_correlated_and_noise_is_not():
    plain = noise(1, 96)
    patches = torch.ones(1, 1, 96, 96)
    patches[..., :48, :48] = patches[..., 48:, 48:] = 8
    alone, together = subband_energy(plain)[0, :210], subband_energy(plain * patches)[0, :210]
    assert alone.abs().mean() < 0.1
    assert together.mean() > 0.8


def test_a_scale_changes_nothing_and_flat_crops_are_finite():
    crops = noise(2, 48)
    torch.testing.assert_close(
        subband_energy(40 * crops), subband_energy(80 * crops), atol=1e-3, rtol=0
    )
    assert subband_energy(torch.zeros(1, 3, 32, 32)).isfinite().all()


def test_a_crop_alone_is_the_crop_in_a_batch():
    crops = noise(5, 40)
    torch.testing.assert_close(
        subband_energy(crops)[3:4], subband_energy(crops[3:4]), atol=1e-4, rtol=0
    )
