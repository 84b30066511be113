"""The statistics against slow float64 loops, and against what they are there to catch."""

import numpy as np
import pytest
import torch

from modelprint.features import residual_statistics as module
from modelprint.features.residual_statistics import residual_statistics, statistics_count


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))


def signal(n: int, side: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(seed).normal(size=(n, 3, side, side)).astype(np.float32)
    )


def slow_power(crops: np.ndarray) -> np.ndarray:
    """Welch's estimate over ``(N, 3, S, S)``, on the full plane of frequencies."""
    side = crops.shape[-1]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side)
    window = np.outer(hann, hann)
    return (np.abs(np.fft.fft2(crops * window)) ** 2).mean(0) / (window**2).sum()


def slow_cells(plane: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Mean of a plane of frequencies over each of ``rows * columns`` cells of its right half."""
    side = len(plane)
    cells: list[list[list[float]]] = [[[] for _ in range(columns)] for _ in range(rows)]
    for y in range(-(side // 2), side // 2):
        for x in range(side // 2 + 1):
            row = (y + side // 2) * rows // side
            column = min(columns - 1, x * 2 * columns // side)
            cells[row][column].append(plane[y, x % side])
    return np.array([[np.mean(cell) for cell in row] for row in cells])


@pytest.mark.parametrize(
    "size", [(32, 32), (33, 47), (47, 48), (63, 65), (64, 300), (129, 131), (300, 200)]
)
def test_every_size_has_the_same_number_of_finite_statistics(size):
    statistics = residual_statistics(noise(2, 3, *size))
    assert statistics.shape == (2, statistics_count())
    assert statistics.dtype == torch.float32
    assert statistics.isfinite().all()


@pytest.mark.parametrize("side", range(32, 130, 7))
def test_every_side_of_a_crop_gives_finite_statistics(side):
    assert residual_statistics(noise(1, 3, side, side)).isfinite().all()


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_flat_image_has_finite_statistics(value):
    assert residual_statistics(torch.full((1, 3, 40, 40), value)).isfinite().all()


def test_row_i_depends_on_image_i_alone():
    images = noise(4, 3, 40, 56)
    images[3] = 0.5
    together = residual_statistics(images)
    for number in range(4):
        alone = residual_statistics(images[number : number + 1])
        torch.testing.assert_close(alone[0], together[number], atol=1e-4, rtol=1e-4)
    backwards = residual_statistics(images.flip(0)).flip(0)
    torch.testing.assert_close(backwards, together, atol=1e-4, rtol=1e-4)


def test_brightness_and_slopes_are_content_and_leave_no_trace():
    image = 0.3 * noise(1, 3, 64, 64)
    ramp = torch.linspace(0, 0.3, 64)[:, None].expand(64, 64)
    statistics = residual_statistics(image)
    torch.testing.assert_close(residual_statistics(image + 0.2), statistics, atol=5e-2, rtol=0)
    # The mirrored border of a slope has a residual, so a few pixels do change.
    change = (residual_statistics(image + ramp) - statistics).abs()
    other = (residual_statistics(0.3 * noise(1, 3, 64, 64, seed=1)) - statistics).abs()
    assert change.mean() < 0.3 * other.mean()


def test_a_larger_image_gives_a_less_noisy_estimate():
    small = residual_statistics(noise(8, 3, 128, 128))
    large = residual_statistics(noise(8, 3, 256, 256, seed=1))
    assert large.std(0).median() < 0.6 * small.std(0).median()
    drift = (large.mean(0) - small.mean(0)).abs()
    assert drift.median() < small.std(0).median(), "and of the same numbers"


def test_two_kinds_of_image_lie_further_apart_than_two_images_of_a_kind():
    white = noise(6, 3, 96, 96)
    smoothed = torch.nn.functional.avg_pool2d(noise(6, 3, 98, 98, seed=1), 3, 1)
    groups = [residual_statistics(white), residual_statistics(smoothed)]
    within = torch.stack([group.std(0) for group in groups]).mean()
    assert (groups[0].mean(0) - groups[1].mean(0)).abs().mean() > within


@pytest.mark.parametrize("side", [32, 48, 112])
def test_power_is_welchs_estimate_averaged_over_cells(side):
    crops = signal(3, side)
    log_power = module._spectral(crops[None], (12, 6))[0]
    power = slow_power(crops.double().numpy())
    for channel in range(3):
        expected = np.log(slow_cells(power[channel], 12, 6) + module._EPS)
        # A bin on the border of two cells may fall into either, as rounding has it.
        close = np.abs(log_power[0, channel].numpy() - expected) < 1e-3
        assert close.all() if side % 24 == 0 and side % 48 else close.mean() > 0.5


def test_power_of_white_noise_is_its_variance_whatever_the_crops_side():
    for side in (32, 64, 128):
        level = module._spectral(2 * signal(16, side)[None], (12, 6))[0].exp()
        assert level.mean().item() == pytest.approx(4, rel=0.1)


def test_coherence_is_one_for_equal_and_near_zero_for_unrelated_channels():
    crops = signal(24, 64)
    crops[:, 1] = -2 * crops[:, 0]
    coherence = module._spectral(crops[None], (12, 6))[1][0]
    torch.testing.assert_close(coherence[0], -torch.ones_like(coherence[0]), atol=1e-3, rtol=0)
    assert coherence[1].abs().mean() < 0.2


@pytest.mark.parametrize(("y", "x"), [(0, 1), (1, 0), (2, 3), (7, 1), (5, 2), (4, 4)])
def test_a_planted_wave_is_a_peak_at_its_harmonic_alone(y, x):
    side = 64
    crops = 0.3 * signal(6, side)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    crops[:, 0] += torch.cos(2 * torch.pi * (y * rows + x * columns) / 8)
    peaks = module._spectral(crops[None], (12, 6))[2][0]
    planted = module._HARMONICS.index((y, x))
    assert peaks[0].argmax() == planted
    others = torch.cat([peaks[0, :planted], peaks[0, planted + 1 :], peaks[1], peaks[2]])
    assert peaks[0, planted] > others.max() + 1.5


def test_harmonics_are_the_ratio_of_3_by_3_bins_to_the_ring_of_40_around_them():
    side = 32
    crops = signal(2, side)
    power = slow_power(crops.double().numpy())
    peaks = module._spectral(crops[None], (12, 6))[2][0]
    for number, (y, x) in enumerate(module._HARMONICS):
        near = range(-1, 2)
        for channel in range(3):
            plane = np.roll(power[channel], (3 - y * side // 8, 3 - x * side // 8), (0, 1))[:7, :7]
            peak = sum(plane[3 + i, 3 + j] for i in near for j in near)
            expected = np.log((peak / 9 + module._EPS) / ((plane.sum() - peak) / 40 + module._EPS))
            assert peaks[channel, number].item() == pytest.approx(expected, abs=1e-3)


def test_a_grid_of_period_8_in_an_image_shows_in_its_statistics():
    """As a network that upsamples three times by two leaves it."""
    plain, other, marked = (0.4 + 0.1 * noise(8, 3, 128, 128, seed=seed) for seed in range(3))
    marked[..., ::8, ::8] += 0.1
    plain, other, marked = (residual_statistics(images) for images in (plain, other, marked))
    found = (marked.mean(0) - plain.mean(0)).abs() / (plain.std(0) + 1e-3)
    by_chance = (other.mean(0) - plain.mean(0)).abs() / (plain.std(0) + 1e-3)
    assert (found > 4).sum() > 30 + 5 * (by_chance > 4).sum()


def test_tails_are_shares_of_pixels():
    residual = 4 * signal(2, 16)
    tails = module._tails(residual)
    for position, limit in enumerate(module._TAILS):
        expected = (np.abs(residual.numpy()) > limit).mean((2, 3))
        np.testing.assert_allclose(tails[..., position], expected, rtol=1e-6)


def test_patterns_are_counted_one_by_one():
    residual = signal(2, 9)
    patterns = module._patterns(residual)
    ternary = np.where(residual.numpy() > module._TERNARY, 2, 1)
    ternary = np.where(residual.numpy() < -module._TERNARY, 0, ternary)
    for number in range(2):
        expected = []
        for dy, dx in module._STEPS:
            for channel in range(3):
                counts = np.zeros(27)
                for row, column in np.ndindex(9 - 2 * dy, 9 - 2 * dx):
                    a, b, c = (
                        ternary[number, channel, row + i * dy, column + i * dx] for i in range(3)
                    )
                    counts[9 * a + 3 * b + c] += 1
                expected.append(counts / counts.sum())
        counts = np.zeros(27)
        for row, column in np.ndindex(9, 9):
            a, b, c = ternary[number, :, row, column]
            counts[9 * a + 3 * b + c] += 1
        expected.append(counts / counts.sum())
        np.testing.assert_allclose(patterns[number], np.array(expected), atol=1e-6)
