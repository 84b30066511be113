import dataclasses

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from modelprint.embedder import check_embedder
from modelprint.errors import (
    InvalidImageError,
    InvalidOptionError,
)
from modelprint.extractor import FingerprintExtractor
from modelprint.hub import WeightsFolder


@pytest.fixture(scope="module")
def extractor() -> FingerprintExtractor:
    return tiny.extractor()


def changed(weights: WeightsFolder, **tensors: torch.Tensor) -> WeightsFolder:
    return dataclasses.replace(weights, tensors={**weights.tensors, **tensors})


# --- embed


def test_fingerprints_are_unit_float_rows_on_the_cpu(extractor):
    check_embedder(extractor)
    rows = extractor.embed(tiny.photos(5))
    assert rows.shape == (5, tiny.DIM) == (5, extractor.dim)
    assert rows.dtype == torch.float32
    assert rows.device.type == "cpu"
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(5))
    assert (rows @ rows.T).fill_diagonal_(0).max() < 0.999, "and they differ"


@pytest.mark.parametrize("make", [tiny.weights, tiny.network_weights])
def test_row_i_depends_on_image_i_alone(make):
    extractor = FingerprintExtractor.from_weights(make())
    images = [*tiny.photos(3), *tiny.photos(20, 33, 47), *tiny.photos(2, 40, 36, seed=1)]
    together = extractor.embed(images)
    for arguments in ({"batch_size": 1}, {"batch_size": 4}, {"batch_size": 1000}):
        other = extractor.embed(images, **arguments)
        torch.testing.assert_close(other, together, atol=1e-4, rtol=0)
    backwards = extractor.embed(images[::-1]).flip(0)
    torch.testing.assert_close(backwards, together, atol=1e-4, rtol=0)
    alone = torch.cat([extractor.embed([image]) for image in images])
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=0)


def test_every_kind_of_image_gives_the_same_fingerprint(extractor, tmp_path):
    pixels = tiny.photos(1)[0]
    picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    picture.save(tmp_path / "a.png")
    kinds = [pixels, pixels.float() / 255, picture, np.asarray(picture), tmp_path / "a.png"]
    rows = extractor.embed(kinds)
    # Within rounding: a row's place in a batch decides which of its sums are vectorised how.
    torch.testing.assert_close(rows, rows[:1].expand(len(rows), -1), atol=1e-5, rtol=0)
    for source in (tmp_path, picture, (image for image in kinds[:1])):
        torch.testing.assert_close(extractor.embed(source), rows[:1], atol=1e-5, rtol=0)


def test_progress_counts_every_image_once(extractor):
    seen: list[int] = []
    extractor.embed(tiny.photos(37), progress=seen.append)
    assert sum(seen) == 37
    assert len(seen) > 1


def test_no_images_give_no_rows(extractor):
    assert extractor.embed([]).shape == (0, tiny.DIM)


def test_a_caller_may_write_into_fingerprints_and_learn_on_them(extractor):
    rows = extractor.embed(tiny.photos(2))
    rows *= 2
    layer = torch.nn.Linear(tiny.DIM, 1)
    layer(rows).sum().backward()


def test_a_flat_image_has_a_fingerprint(extractor):
    rows = extractor.embed(torch.full((1, 3, 64, 64), 128, dtype=torch.uint8))
    assert rows.norm().item() == pytest.approx(1, abs=1e-4)


def test_bad_input_is_a_clear_error(extractor):
    with pytest.raises(InvalidOptionError, match="batch_size >= 1, got 0"):
        extractor.embed(tiny.photos(1), batch_size=0)
    with pytest.raises(InvalidImageError):
        extractor.embed([tiny.photos(1)[0], "no such file.png"])


# --- compare


def resemblance(extractor: FingerprintExtractor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of the views of an image; `test_views` has the truth about it."""
    views = extractor.backbone.views
    return views.resemblance(views.take_apart(a), views.take_apart(b))


@pytest.mark.parametrize("cohort", [2, 20, 250])
def test_scores_are_the_symmetric_normalisation_of_the_resemblance(cohort):
    extractor = tiny.extractor(cohort=cohort)
    a, b = tiny.unit_rows(4, seed=7), tiny.unit_rows(3, seed=8)
    scores = extractor.compare(a, b)
    assert scores.shape == (4, 3)
    alike = resemblance(extractor, a, b)
    for i, j in np.ndindex(4, 3):
        normalised = []
        for one in (a[i], b[j]):
            levels = resemblance(extractor, one[None], extractor.cohort)[0].tolist()
            above = alike[i, j].item() - np.mean(levels)
            normalised.append(above / (np.std(levels, ddof=1) + 1e-4))
        assert scores[i, j].item() == pytest.approx(np.mean(normalised), rel=1e-3, abs=1e-3)


def test_scores_are_symmetric_and_grow_with_likeness(extractor):
    rows = extractor.embed(tiny.photos(6))
    scores = extractor.compare(rows, rows)
    torch.testing.assert_close(scores, scores.T, atol=1e-3, rtol=1e-3)
    alike = tiny.extractor(cohort=0).compare(rows, rows)
    assert (alike.diagonal()[:, None] >= alike - 1e-3).all()


def test_a_score_does_not_depend_on_what_else_is_compared(extractor):
    a, b = tiny.unit_rows(4, seed=7), tiny.unit_rows(3, seed=8)
    one = extractor.compare(a[1:2], b[2:3])
    torch.testing.assert_close(one[0, 0], extractor.compare(a, b)[1, 2], atol=1e-4, rtol=1e-4)


def test_without_a_cohort_scores_are_resemblances():
    extractor = tiny.extractor(cohort=0)
    a, b = tiny.unit_rows(4, seed=7), tiny.unit_rows(3, seed=8)
    torch.testing.assert_close(extractor.compare(a, b), resemblance(extractor, a, b))


# --- digest


def test_the_digest_is_a_sha256_that_does_not_change(extractor):
    assert len(extractor.digest) == 64
    assert extractor.digest == tiny.extractor().digest
    extractor.embed(tiny.photos(1))
    assert FingerprintExtractor.from_weights(extractor.to_weights()).digest == extractor.digest


@pytest.mark.parametrize(
    "name", ["mean", "deviation", "projection", "projection.scale", "cohort", "cohort.scale"]
)
def test_any_changed_weight_changes_the_digest(name, extractor):
    weights = tiny.weights()
    value = weights.tensors[name].clone()
    value.view(-1)[-1] += 0.25 if value.is_floating_point() else 1
    other = FingerprintExtractor.from_weights(changed(weights, **{name: value}))
    assert other.digest != extractor.digest


def test_an_option_that_has_no_weights_changes_the_digest():
    weights = tiny.network_weights()
    options = {**weights.config["options"], "log": True}
    other = dataclasses.replace(weights, config={**weights.config, "options": options})
    digests = {FingerprintExtractor.from_weights(each).digest for each in (weights, other)}
    assert len(digests) == 2


def test_another_preprocessing_changes_the_digest(extractor, monkeypatch):
    monkeypatch.setattr("modelprint.extractor.PREPROCESSING_VERSION", 99)
    weights = tiny.weights()
    config = {**weights.config, "preprocessing_version": 99}
    other = FingerprintExtractor.from_weights(dataclasses.replace(weights, config=config))
    assert other.digest != extractor.digest


def test_card_and_calibration_are_not_part_of_the_digest(extractor):
    other = dataclasses.replace(tiny.weights(), card="another")
    assert FingerprintExtractor.from_weights(other).digest == extractor.digest
