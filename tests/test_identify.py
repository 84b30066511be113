import numpy as np
import pytest
from fakes import MODELS, CalibratedEmbedder, CosineEmbedder, filled_gallery, picture, pictures
from PIL import Image

from modelprint.asking import identify
from modelprint.errors import (
    EmptyGalleryError,
    ImageNotFoundError,
    InvalidOptionError,
)
from modelprint.gallery import Gallery
from modelprint.images import load_image


@pytest.fixture
def gallery():
    return filled_gallery()


def test_each_model_is_found_and_a_stranger_is_not(gallery):
    for label, model in MODELS.items():
        answer = gallery.identify(picture(model, 99))
        assert (answer.decision, answer.label) == ("match", label)
        assert answer.candidates[0].label == label
    stranger = gallery.identify(picture(77, 0))
    assert (stranger.decision, stranger.label) == ("unknown", None)
    assert identify(picture(77, 0), gallery) == stranger


def test_the_answer_is_complete(gallery):
    image = load_image(picture(2, 99), name="x.png")
    answer = gallery.identify(image, fpr=0.05)
    assert sorted(c.label for c in answer.candidates) == sorted(MODELS)
    scores = [c.score for c in answer.candidates]
    assert scores == sorted(scores, reverse=True)
    calibration = gallery.extractor.calibration
    assert [c.p_value for c in answer.candidates] == [calibration.p_value(s, 4, 64) for s in scores]
    assert (answer.fpr, answer.image, answer.image_sha256) == (0.05, "x.png", image.sha256)
    assert answer.extractor_digest == gallery.extractor.digest
    assert answer.error is None
    assert gallery.identify(image).fpr == calibration.default_fpr


def test_strangers_pass_at_the_rate_that_was_asked_for():
    gallery = Gallery(CalibratedEmbedder())
    for model in range(8):
        gallery.enroll(f"model {model}", pictures(model, range(4)))
    strangers = [picture(1000 + i, 0) for i in range(600)]
    answers = list(gallery.identify_many(strangers, fpr=0.2))
    share = np.mean([answer.decision == "match" for answer in answers])
    # Uncorrected for the eight models it would be 1 - 0.8^8 = 0.83.
    assert share == pytest.approx(0.2, abs=0.06)


def test_a_calibration_too_coarse_for_the_gallery_makes_no_claim():
    gallery = Gallery(CalibratedEmbedder(comparisons=120))
    for model in range(5):
        gallery.enroll(f"model {model}", pictures(model, range(4)))
    answer = gallery.identify(picture(3, 99))
    assert (answer.decision, answer.label) == ("inconclusive", None)
    assert "too coarse for 5 enrolled" in answer.reason
    assert gallery.identify(picture(3, 99), fpr=0.1).label == "model 3"


def test_without_a_calibration_models_are_ranked_and_nothing_is_decided():
    gallery = Gallery(CosineEmbedder())
    for label, model in MODELS.items():
        gallery.enroll(label, pictures(model, range(4)))
    answer = gallery.identify(picture(2, 99))
    assert (answer.decision, answer.label, answer.fpr) == ("inconclusive", None, None)
    assert answer.reason == "not calibrated"
    assert answer.candidates[0].label == "flux"
    assert 0.5 < answer.candidates[0].score <= 1
    assert {c.p_value for c in answer.candidates} == {None}
    assert gallery.verify(picture(2, 99), "flux").decision == "inconclusive"


def test_a_nearly_flat_image_gets_no_claim(gallery):
    strips = np.repeat(picture(2, 99)[:1, ::4], 640, axis=1).repeat(64, axis=0)
    answer = gallery.identify(strips)
    assert (answer.decision, answer.reason_code) == ("inconclusive", "too_flat")
    assert "nearly flat" in answer.reason


def test_a_small_image_gets_no_claim(gallery):
    answer = gallery.identify(picture(2, 99, side_px=48))
    assert (answer.decision, answer.reason_code) == ("inconclusive", "too_small")
    assert "48 x 48 px, fewer than 64 a side" in answer.reason
    assert gallery.verify(picture(2, 99, side_px=48), "flux").reason_code == "too_small"


def test_enrolled_images_are_warned_of(gallery):
    assert gallery.identify(picture(2, 99)).warnings == ()
    assert "itself enrolled as flux" in gallery.identify(picture(2, 1)).warnings[0]
    assert "itself enrolled as flux" in gallery.verify(picture(2, 1), "sdxl").warnings[0]


def test_warnings_from_decoding_reach_the_answer(gallery):
    transparent = Image.fromarray(np.dstack([picture(2, 99), np.full((64, 64), 200, np.uint8)]))
    assert load_image(transparent).warnings
    assert gallery.identify(transparent).warnings


@pytest.mark.parametrize("ask", ["identify", "identify_many"])
def test_an_empty_gallery_and_an_impossible_rate_are_refused_at_the_call(gallery, ask):
    with pytest.raises(EmptyGalleryError, match="enroll"):
        getattr(Gallery(CosineEmbedder()), ask)(picture(1, 0))
    for fpr in (0, 1, -1, "0.01"):
        with pytest.raises(InvalidOptionError, match="fpr"):
            getattr(gallery, ask)(picture(1, 0), fpr=fpr)


def test_identify_raises_for_an_image_that_cannot_be_read(gallery, tmp_path):
    with pytest.raises(ImageNotFoundError):
        gallery.identify(tmp_path / "missing.png")
