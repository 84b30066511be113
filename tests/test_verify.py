import numpy as np
import pytest
from fakes import CalibratedEmbedder, CosineEmbedder, filled_gallery, picture, pictures

import modelprint.batches
import modelprint.gallery
from modelprint.asking import verify
from modelprint.errors import (
    EmptyGalleryError,
    UnknownLabelError,
)
from modelprint.gallery import Gallery
from modelprint.images import load_image


@pytest.fixture
def gallery():
    return filled_gallery()


def test_a_claim_holds_for_its_maker_only(gallery):
    image = load_image(picture(2, 99), name="x.png")
    right, wrong = gallery.verify(image, "flux"), gallery.verify(image, "sdxl")
    assert (right.decision, right.accepted) == ("match", True)
    assert (wrong.decision, wrong.accepted) == ("no_match", False)
    scores = {c.label: c for c in gallery.identify(image).candidates}
    for answer, label in ((right, "flux"), (wrong, "sdxl")):
        assert answer.score == pytest.approx(scores[label].score, abs=1e-5)
        assert answer.p_value == pytest.approx(scores[label].p_value, rel=1e-3)
    assert (right.images, right.image_sha256s) == (("x.png",), (image.sha256,))
    assert (right.claim, right.fpr) == ("made by flux", 0.01)


def test_a_claim_about_one_model_is_not_corrected_for_the_others():
    gallery = Gallery(CalibratedEmbedder())
    for model in range(30):
        gallery.enroll(f"model {model}", pictures(model, range(2)))
    image = picture(3, 99)
    p_value = gallery.verify(image, "model 3").p_value
    assert gallery.verify(image, "model 3", fpr=2 * p_value).decision == "match"
    assert gallery.identify(image, fpr=2 * p_value).decision != "match"


def test_unknown_labels_and_empty_galleries_have_nothing_to_verify(gallery):
    with pytest.raises(UnknownLabelError, match="'dalle'"):
        gallery.verify(picture(1, 0), "dalle")
    with pytest.raises(EmptyGalleryError):
        Gallery(CosineEmbedder()).verify(picture(1, 0), "sdxl")


def test_two_images_of_one_model_are_told_from_two_of_two():
    extractor = CalibratedEmbedder()
    same = verify(picture(1, 0), picture(1, 1), extractor=extractor)
    different = verify(picture(1, 0), picture(2, 0), extractor=extractor)
    assert (same.decision, different.decision) == ("match", "no_match")
    assert len(same.images) == len(set(same.image_sha256s)) == 2
    assert same.warnings == ()
    swapped = verify(picture(1, 1), picture(1, 0), extractor=extractor)
    assert swapped.score == pytest.approx(same.score, abs=1e-5)


def test_one_picture_given_twice_is_no_evidence():
    answer = verify(picture(1, 0), picture(1, 0), extractor=CalibratedEmbedder())
    assert "same picture" in answer.warnings[0]


def test_one_flat_image_of_two_is_enough_for_no_claim():
    flat = np.full((64, 64, 3), 90, np.uint8)
    for pair in ((flat, picture(1, 0)), (picture(1, 0), flat)):
        assert verify(*pair, extractor=CalibratedEmbedder()).decision == "inconclusive"


def test_the_bundled_extractor_is_loaded_once(monkeypatch):
    loaded = []
    fake = CalibratedEmbedder()
    monkeypatch.setattr(
        modelprint.extractor.FingerprintExtractor,
        "from_pretrained",
        lambda: loaded.append(1) or fake,
    )
    modelprint.extractor.bundled_extractor.cache_clear()
    try:
        for i in range(3):
            assert verify(picture(1, i), picture(1, i + 1)).extractor_digest == fake.digest
    finally:
        modelprint.extractor.bundled_extractor.cache_clear()
    assert loaded == [1]
