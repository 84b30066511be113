import numpy as np
import pytest
import torch

from modelprint.features.crops import crop_starts, cut
from modelprint.residual import even_out, high_pass, normalise, opponent_channels


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))


def slow_high_pass(plane: np.ndarray) -> np.ndarray:
    """Loops, in float64, over a plane mirrored at its edge pixels."""
    binomial = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    padded = np.pad(plane, 2, mode="reflect")
    result = np.empty_like(plane)
    for row, column in np.ndindex(*plane.shape):
        window = padded[row : row + 5, column : column + 5]
        result[row, column] = plane[row, column] - (window * binomial).sum()
    return result


def test_opponent_channels_are_green_and_what_differs_from_it():
    image = noise(2, 3, 4, 5)
    channels = opponent_channels(image)
    assert torch.equal(channels[:, 0], image[:, 1])
    assert torch.equal(channels[:, 1], image[:, 0] - image[:, 1])
    assert torch.equal(channels[:, 2], image[:, 2] - image[:, 1])


def test_the_high_pass_is_each_channel_minus_its_binomial_blur():
    image = noise(2, 3, 7, 9)
    residual = high_pass(image)
    for number, channel in np.ndindex(2, 3):
        expected = slow_high_pass(image[number, channel].double().numpy())
        np.testing.assert_allclose(residual[number, channel], expected, atol=1e-6)


def test_the_high_pass_works_from_3_pixels_and_on_any_number_of_channels():
    assert high_pass(noise(1, 1, 3, 3)).shape == (1, 1, 3, 3)
    assert high_pass(noise(1, 5, 3, 8)).shape == (1, 5, 3, 8)


def test_the_high_pass_of_a_slope_is_nothing_inside():
    ramp = (torch.arange(20)[:, None] * 0.01 + torch.arange(30) * 0.02).expand(1, 1, 20, 30)
    torch.testing.assert_close(
        high_pass(ramp)[..., 2:-2, 2:-2], torch.zeros(1, 1, 16, 26), atol=1e-6, rtol=0
    )


def test_normalised_residuals_are_in_units_of_their_median_magnitude():
    residual = torch.stack([noise(3, 9, 9) - 0.5, 4 * noise(3, 9, 9, seed=1) - 2])
    normalised = normalise(residual)
    for number, channel in np.ndindex(2, 3):
        plane = residual[number, channel].double().numpy()
        expected = plane / (np.median(np.abs(plane)) + 0.5 / 255)
        np.testing.assert_allclose(normalised[number, channel], expected, rtol=1e-5, atol=1e-6)


def test_a_flat_residual_is_not_blown_up():
    residual = torch.zeros(1, 1, 8, 8)
    residual[0, 0, 3, 3] = 0.5 / 255
    assert normalise(residual).abs().max() <= 1


@pytest.mark.parametrize("length", [*range(32, 70), 128, 129, 131, 200, 255, 256, 300, 1000, 5000])
@pytest.mark.parametrize(("side", "most"), [(32, 12), (32, 3), (128, 12), (128, 3)])
def test_crops_lie_inside_begin_on_even_pixels_and_reach_both_edges(length, side, most):
    if length < side:
        return
    starts = crop_starts(length, side, side // 2, most)
    assert 1 <= len(starts) <= most
    assert all(start % 2 == 0 for start in starts)
    assert starts == sorted(set(starts))
    assert starts[0] >= 0
    assert starts[-1] + side <= length
    if len(starts) > 1:
        assert starts[0] == 0
        assert starts[-1] + side >= length - 1


def test_a_single_crop_is_taken_from_the_middle():
    assert crop_starts(42, 32, 64, 3) == [4]


def test_cutting_goes_row_by_row():
    image = torch.arange(2 * 1 * 6 * 8).view(2, 1, 6, 8)
    crops = cut(image, 4, [0, 2], [0, 2, 4])
    assert crops.shape == (2, 6, 1, 4, 4)
    assert torch.equal(crops[1, 4], image[1, :, 2:6, 2:6])


def test_an_evened_residual_is_in_units_of_its_surroundings():
    residual = 0.1 * (noise(2, 3, 12, 15) - 0.5)
    evened = even_out(residual)
    for number, channel in np.ndindex(2, 3):
        plane = residual[number, channel].double().numpy()
        for row, column in np.ndindex(*plane.shape):
            # At a border the mean is over what there is.
            near = plane[max(0, row - 4) : row + 5, max(0, column - 4) : column + 5]
            unit = np.sqrt((near**2).mean() + (0.5 / 255) ** 2)
            np.testing.assert_allclose(
                evened[number, channel, row, column],
                plane[row, column] / unit,
                rtol=1e-4,
                atol=1e-6,
            )


def test_loud_and_quiet_parts_count_alike_once_evened_out():
    residual = noise(1, 1, 32, 64) - 0.5
    residual[..., 32:] *= 0.1
    evened = even_out(residual)
    ratio = evened[..., :24].std() / evened[..., 40:].std()
    assert ratio.item() == pytest.approx(1, abs=0.1)
