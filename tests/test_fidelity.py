"""From a model's images to its spectrum, and what the metrics make of sets of spectra."""

import numpy as np
import pytest
import torch

from modelprint.errors import InvalidOptionError
from modelprint.features.residual_spectrum import model_spectrum, ring_frequencies, ring_powers
from modelprint.metrics import diversity, frechet_frequency_distance
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.space import DesignSpace
from modelprint.synthesis.synthesizer import ModelSynthesizer


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))


def slow_ring_powers(image: np.ndarray) -> np.ndarray:
    """The definition, written out for one (3, 64, 64) image in float64."""
    taps = np.array([1, 4, 6, 4, 1]) / 16
    window = np.array([0.5 - 0.5 * np.cos(2 * np.pi * i / 64) for i in range(64)])
    window = np.outer(window, window)
    power = np.zeros((64, 64))
    for channel in image.astype(np.float64):
        padded = np.pad(channel, 2, mode="reflect")
        blurred = sum(
            taps[i] * taps[j] * padded[i : i + 64, j : j + 64] for i in range(5) for j in range(5)
        )
        power += np.abs(np.fft.fft2((channel - blurred) * window)) ** 2 / 3
    power = power / (window**2).sum() + 1 / (12 * 255**2)
    rings: dict[int, list[float]] = {ring: [] for ring in range(1, 46)}
    for i in range(64):
        for j in range(64):
            radius = round(np.hypot(min(i, 64 - i), min(j, 64 - j)))
            if radius > 0:
                rings[radius].append(power[i, j])
    mean = np.mean([value for values in rings.values() for value in values])
    return np.array([np.mean(values) for values in rings.values()]) / mean


def test_the_spectrum_is_what_its_definition_says():
    image = draw_pictures(1, seed=3, size_px=64).float() / 255
    np.testing.assert_allclose(
        ring_powers(image)[0].numpy(), slow_ring_powers(image[0].numpy()), rtol=1e-3
    )


def test_a_model_is_described_by_the_decibels_of_its_mean_power():
    images = noise(3, 3, 96, 80)
    spectrum = model_spectrum(images)
    assert spectrum.shape == ring_frequencies().shape == (45,)
    powers = ring_powers(images)
    assert powers.shape == (3, 45)
    np.testing.assert_allclose(spectrum, 10 * np.log10(powers.mean(0).numpy()), atol=1e-4)
    for number in range(3):
        alone = ring_powers(images[number : number + 1])[0]
        torch.testing.assert_close(alone, powers[number])


def test_bytes_floats_batches_and_images_of_several_sizes_are_all_accepted():
    images = draw_pictures(4, seed=1, size_px=80)
    spectrum = model_spectrum(images)
    np.testing.assert_allclose(model_spectrum(images.double() / 255), spectrum, atol=1e-4)
    np.testing.assert_allclose(model_spectrum(iter(images)), spectrum, atol=1e-6)
    others = [images[0], images[1][:, :64, :70], noise(3, 100, 64)]
    mean = torch.cat([ring_powers(image[None].float() / 255) for image in others[:2]])
    mean = torch.cat([mean, ring_powers(others[2][None])]).mean(0)
    np.testing.assert_allclose(model_spectrum(others), 10 * np.log10(mean.numpy()), atol=1e-4)


def test_an_image_without_residual_has_the_white_spectrum_of_its_rounding():
    flat = torch.full((1, 3, 70, 64), 99, dtype=torch.uint8)
    np.testing.assert_allclose(model_spectrum(flat), np.zeros(45), atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "columns", "frequency"),
    [(2, 2, np.sqrt(0.5)), (1, 2, 0.5), (1, 4, 0.25), (4, 4, np.sqrt(0.125))],
)
def test_a_grid_is_a_peak_at_its_frequency(rows, columns, frequency):
    y, x = torch.meshgrid(torch.arange(96), torch.arange(96), indexing="ij")
    wave = torch.cos(2 * np.pi * (y / rows + x / columns))
    spectrum = model_spectrum((0.5 + 0.2 * wave + 0.01 * noise(96, 96)).expand(1, 3, 96, 96))
    assert ring_frequencies()[spectrum.argmax()] == pytest.approx(frequency, abs=0.5 / 64)


def test_contrast_of_the_content_does_not_count():
    images = draw_pictures(4, seed=2, size_px=96).float() / 255
    faint = model_spectrum(0.4 + 0.5 * (images - 0.4))
    # All but for the rounding, which is larger beside a fainter residual.
    assert np.abs(faint - model_spectrum(images)).max() < 0.5


@pytest.fixture(scope="module")
def rendered() -> torch.Tensor:
    """Images (M, K, ...) of models with three upsamplers."""
    options = {"channels": (6,), "upsampler": ("nearest", "transposed4", "pixel_shuffle")}
    synthesizer = ModelSynthesizer(DesignSpace("fidelity test", (1,), options, {}), seed=0)
    return synthesizer.generate(synthesizer.sample(6), draw_pictures(8, seed=4, size_px=128))


def test_an_architecture_is_found_again_by_the_spectrum_of_other_images(rendered):
    one, other = (
        np.stack([model_spectrum(images) for images in half])
        for half in (rendered[:, :4], rendered[:, 4:])
    )
    # Both halves show the same contents for all models: what these add is common to them.
    one, other = one - one.mean(0), other - other.mean(0)
    distances = np.sqrt(((one[:, None] - other) ** 2).mean(2))
    # Models i and i + 3 differ in their weights alone, which shows less.
    assert (distances.argmin(1) % 3 == np.arange(6) % 3).all()
    assert np.diag(distances).mean() < 0.5 * distances.mean()


def test_sets_of_spectra_can_be_measured(rendered):
    spectra = np.stack([model_spectrum(images) for images in rendered])
    assert frechet_frequency_distance(spectra, spectra) == pytest.approx(0, abs=1e-6)
    shifted = frechet_frequency_distance(spectra, spectra + 2.0)
    assert shifted == pytest.approx(45 * 4.0, rel=1e-6)
    repeated = np.concatenate([spectra[:3], spectra[:3]])
    assert diversity(repeated) < diversity(spectra[:3])


def test_the_distance_of_like_sets_falls_with_the_number_of_models():
    """What is left is bias: only figures from equally many models can be compared."""
    generator = np.random.default_rng(0)
    smooth = np.cos(np.outer(np.arange(5), np.linspace(0, np.pi, 45)))

    def models(n: int) -> np.ndarray:
        return generator.normal(size=(n, 5)) * [4, 2, 1, 0.5, 0.25] @ smooth

    few, many = (
        np.mean([frechet_frequency_distance(models(n), models(4 * n)) for _ in range(20)])
        for n in (20, 200)
    )
    assert 0 < many < 0.2 * few


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.zeros(0, 3, 64, 64), "at least one image"),
        ([], "at least one image"),
        (torch.zeros(3, 64, 64), r"got \(3, 64, 64\)"),
        (torch.zeros(1, 1, 64, 64), r"got \(1, 1, 64, 64\)"),
        (torch.zeros(2, 3, 64, 63), "64 pixels or more.*leave smaller images out"),
        ([torch.zeros(3, 64, 64), torch.zeros(3, 48, 64)], r"got \(1, 3, 48, 64\)"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.int32), r"torch\.int32"),
    ],
)
def test_images_without_a_spectrum_are_refused(images, said):
    with pytest.raises(InvalidOptionError, match=said):
        model_spectrum(images)
