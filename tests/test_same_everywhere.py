"""A fingerprint depends on the image and the weights, and on nothing else."""

import golden
import pytest
import torch
import torch.nn.functional as F

from modelprint.extractor import FingerprintExtractor, bundled_extractor

# One minus the cosine of two fingerprints that should be the same.
SAME = 1e-4
AGAIN = "was it changed on purpose? Then run `python -m tests.golden`"


def apart(a, b):
    """The largest difference between rows that should be the same."""
    return (1 - F.cosine_similarity(a.double(), b.double(), dim=1)).max().item()


@pytest.fixture(scope="module")
def extractor():
    return bundled_extractor()


@pytest.fixture(scope="module")
def images():
    return golden.pictures()


@pytest.fixture(scope="module")
def fingerprints(extractor, images):
    return extractor.embed(images)


@pytest.fixture(scope="module")
def kept():
    return golden.read()


# As they were when the golden file was written, on another machine perhaps


def test_the_pictures_are_those_of_the_golden_file(images, kept):
    pixels = torch.cat([image.flatten()[::997] for image in images])
    assert torch.equal(pixels, kept[1]["pixels"])


def test_statistics_are_what_they_were(images, kept):
    found, expected = golden.statistics(images), kept[1]["statistics"]
    assert found.shape == expected.shape, AGAIN
    # A pixel that lies on a border between two patterns may fall to either side.
    assert (found - expected).abs().max() < 0.02, AGAIN
    assert (found - expected).abs().mean() < 1e-4, AGAIN


def test_fingerprints_are_what_they_were(extractor, fingerprints, kept):
    digest, expected = kept
    assert extractor.digest == digest, f"other weights: {AGAIN}"
    assert apart(fingerprints, expected["fingerprints"]) < SAME, AGAIN


def test_a_jpeg_file_is_what_it_was_whatever_decodes_it(extractor, kept):
    image = golden.decoded(kept[1]["jpeg"])
    assert (image.pixels.int() - kept[1]["jpeg_pixels"].int()).abs().max() <= 2
    assert apart(extractor.embed(image), kept[1]["jpeg_fingerprint"]) < 1e-2, AGAIN


def test_the_golden_pictures_are_told_apart(fingerprints):
    """Or nothing above could fail."""
    cosines = fingerprints @ fingerprints.T - torch.eye(len(fingerprints))
    assert cosines.max() < 0.9


# Here and now, whatever surrounds it


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_neither_batch_size_nor_order_matters(extractor, batch_size):
    batch = [golden.pictures()[1]] * 3 + golden.pictures()[:3]
    expected = torch.cat([extractor.embed(image) for image in batch])
    assert apart(extractor.embed(batch, batch_size=batch_size), expected) < SAME
    assert apart(extractor.embed(batch[::-1], batch_size=batch_size).flip(0), expected) < SAME


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_does_not_matter(extractor, images, fingerprints, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert apart(extractor.embed(images), fingerprints) < SAME
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_device_does_not_matter(extractor, images):
    results = [
        FingerprintExtractor.from_weights(extractor.to_weights(), device=device).embed(images)
        for device in ("cpu", "cuda")
    ]
    assert apart(*results) < SAME


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_callers_autocast_does_not_matter(extractor, images, fingerprints, dtype):
    with torch.autocast("cpu", dtype=dtype):
        assert apart(extractor.embed(images), fingerprints) < SAME


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float16, 1e-4), (torch.bfloat16, 2e-3)])
def test_half_precision_stays_within_its_bound(extractor, images, fingerprints, dtype, bound):
    """Statistics and weights at half precision, from residuals at full precision."""
    if extractor.config.backbone != "whitened-statistics":
        pytest.skip("the weights are of a network")
    rounded = golden.statistics(images).to(dtype).float()
    halves = FingerprintExtractor.from_weights(extractor.to_weights(), device="cpu").backbone
    for buffer in halves.buffers():
        buffer.copy_(buffer.to(dtype).float())
    found = (halves.standardise(rounded).to(dtype) @ halves.projection.to(dtype)).float()
    assert 0 < apart(found, fingerprints[:, : found.shape[1]]) < bound
