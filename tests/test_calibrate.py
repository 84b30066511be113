import numpy as np
import pytest
from fakes import (
    MODELS,
    CalibratedEmbedder,
    CosineEmbedder,
    LikelyEmbedder,
    filled_gallery,
    picture,
    pictures,
)

from modelprint.embedder import adapted_scorer
from modelprint.errors import (
    DuplicateImageError,
    EmptyGalleryError,
    ImageNotFoundError,
    InvalidOptionError,
)
from modelprint.features.degradations import degraded_copy
from modelprint.gallery import Gallery

STRANGERS = {f"stranger {i}": pictures(100 + i, range(10)) for i in range(20)}


def uncalibrated_gallery(models=4, images=4):
    gallery = Gallery(CosineEmbedder())
    for model in range(models):
        gallery.enroll(f"model {model}", pictures(model, range(images)))
    return gallery


@pytest.fixture
def gallery():
    return filled_gallery()


# A rate alone


def test_a_default_rate_replaces_that_of_the_extractor(gallery):
    before = gallery.calibration
    gallery.calibrate(fpr=0.2)
    assert gallery.calibration.default_fpr == 0.2
    assert gallery.calibration.tables == before.tables
    assert gallery.extractor.calibration.default_fpr == 0.01
    answer = gallery.identify(picture(77, 0))
    assert (answer.fpr, answer.warnings) == (0.2, ())
    gallery.enroll("more", pictures(9, range(4)))
    assert gallery.identify(picture(77, 0)).warnings == ()


# Negatives


def test_an_extractor_without_calibration_gets_one_from_negatives():
    gallery = uncalibrated_gallery()
    assert gallery.calibration is None
    gallery.calibrate(STRANGERS, fpr=0.05)
    calibration = gallery.calibration
    assert calibration.default_fpr == 0.05
    assert calibration.source == (
        "200 images of 20 models that are not enrolled, against the enrolled ones"
    )
    assert [(table.enrolled, table.side_px) for table in calibration.tables] == [
        (1, 64),
        (3, 64),
        (4, 64),
    ]
    assert {table.comparisons for table in calibration.tables} == {4 * 200}
    answer = gallery.identify(picture(2, 99))
    assert (answer.decision, answer.label) == ("match", "model 2")
    assert answer.candidates[0].llr > 0 > answer.candidates[1].llr
    assert answer.calibration_source.startswith(calibration.source)
    assert answer.warnings == ()


def test_impostor_and_genuine_scores_are_those_of_slow_loops():
    gallery = uncalibrated_gallery()
    gallery.calibrate(STRANGERS, fpr=0.05)
    reference = gallery._reference

    def score(image, others, by=reference.score):
        rows = gallery.extractor.embed(list(map(load, [image, *others])))
        mean = rows[1:].double().mean(0)
        return by(rows[:1], (mean / mean.norm()).float()[None]).item()

    def adapted_without(place):
        """Adapted to the images of each model that are at odd places, or at even ones."""
        enrolled = [(m, n) for m in range(4) for n in range(4) if n % 2 != place % 2]
        images = [load(pictures(m, range(4))[n]) for m, n in enrolled]
        rows = gallery.extractor.embed(images)
        degraded = gallery.extractor.embed(list(map(degraded_copy, images)))
        return adapted_scorer(gallery.extractor, rows, [m for m, _ in enrolled], degraded)

    from modelprint.images import load_image as load

    impostors = [
        score(stranger, pictures(model, range(3)))
        for images in STRANGERS.values()
        for stranger in images
        for model in range(4)
    ]
    table = gallery.calibration.tables[1]
    assert (table.scores[0], table.scores[-1]) == pytest.approx((min(impostors), max(impostors)))
    for at in np.quantile(impostors, [0.1, 0.5, 0.9, 0.99]):
        share = (1 + sum(s >= at for s in impostors)) / (1 + len(impostors))
        assert table.p_value(at) == pytest.approx(share, rel=0.15)
    genuine = [
        score(images[i], [images[j] for j in range(4) if j != i], adapted_without(i))
        for images in (pictures(model, range(4)) for model in range(4))
        for i in range(4)
    ]
    fitted = table.likelihood
    assert fitted.genuine == len(genuine)
    # What a logistic fit keeps: the mean probability of the genuine is that of the targets.
    p = 1 / (1 + np.exp(-np.array([fitted(s) for s in (*genuine, *impostors)])))
    weight = np.r_[np.full(16, 1 / 16), np.full(800, 1 / 800)]
    target = np.r_[np.full(16, 17 / 18), np.full(800, 1 / 802)]
    assert (weight * p).sum() == pytest.approx((weight * target).sum(), abs=1e-4)


def test_fresh_strangers_pass_at_the_rate_that_was_asked_for():
    gallery = uncalibrated_gallery(models=6)
    gallery.calibrate({f"s{i}": [picture(500 + i, 0)] for i in range(400)}, fpr=0.05)
    answers = gallery.identify_many(picture(2000 + i, 0) for i in range(600))
    share = np.mean([answer.decision == "match" for answer in answers])
    assert share == pytest.approx(0.05, abs=0.03)


def test_models_of_one_image_have_no_genuine_scores():
    gallery = uncalibrated_gallery(images=1)
    gallery.calibrate(STRANGERS, fpr=0.05)
    assert {table.likelihood for table in gallery.calibration.tables} == {None}
    assert gallery.identify(picture(2, 99)).candidates[0].llr is None


def test_a_model_with_far_more_images_than_the_others_does_not_prevent_it():
    gallery = uncalibrated_gallery()
    gallery.enroll("large", pictures(50, range(60)))
    gallery.calibrate(STRANGERS, fpr=0.01)
    assert [table.enrolled for table in gallery.calibration.tables] == [1, 3]
    assert gallery.identify(picture(50, 99)).label == "large"


def test_image_sizes_get_tables_of_their_own_where_there_are_enough():
    gallery = uncalibrated_gallery()
    small = {f"s{i}": [picture(500 + i, 0, 80)] for i in range(40)}
    large = {f"l{i}": [picture(600 + i, 0, 144)] for i in range(40)}
    gallery.calibrate({**small, **large}, fpr=0.1)
    assert {table.side_px for table in gallery.calibration.tables} == {80, 144}
    gallery.calibrate({**small, **dict(list(large.items())[:5])}, fpr=0.1)
    assert {table.side_px for table in gallery.calibration.tables} == {80}


def test_answers_warn_when_the_enrolment_has_changed_since(gallery):
    gallery.calibrate(STRANGERS, fpr=0.05)
    gallery.enroll("new", pictures(9, range(4)))
    calibration = gallery.calibration
    for answer in (gallery.identify(picture(9, 50)), gallery.verify(picture(9, 50), "new")):
        assert "calibrated for another enrolment" in answer.warnings[0]
    gallery.remove("new")
    assert gallery.identify(picture(9, 50)).warnings == ()
    assert gallery.calibration == calibration


def test_a_calibration_survives_a_file(gallery, tmp_path):
    gallery.calibrate(STRANGERS, fpr=0.05)
    gallery.save(tmp_path / "g")
    loaded = Gallery.load(tmp_path / "g", CalibratedEmbedder())
    assert loaded.identify(picture(1, 99)) == gallery.identify(picture(1, 99))
    assert loaded.calibration == gallery.calibration
    loaded.enroll("new", pictures(9, range(4)))
    assert loaded.identify(picture(9, 50)).warnings


# What is refused


FLAT = np.full((64, 64, 3), 90, np.uint8)


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({}, InvalidOptionError, "got neither"),
        ({"fpr": 0}, InvalidOptionError, "between 0 and 1"),
        ({"fpr": 1e-6}, InvalidOptionError, "for 3 enrolled models.*no less than 0.00015"),
        ({"negatives": pictures(9, range(200))}, InvalidOptionError, "got list"),
        ({"negatives": {"a": pictures(9, range(200))}}, InvalidOptionError, "got 1: one model"),
        (
            {"negatives": {"a": pictures(8, range(50)), "b": pictures(9, range(49))}},
            InvalidOptionError,
            "99 usable images are too few for fpr 0.01: expected at least 100",
        ),
        ({"negatives": STRANGERS, "fpr": 0.004}, InvalidOptionError, "at least 250"),
        ({"negatives": {**STRANGERS, "flux": []}}, InvalidOptionError, "'flux' is enrolled"),
        ({"negatives": {**STRANGERS, "": []}}, InvalidOptionError, "label ''"),
        ({"negatives": {**STRANGERS, "none": []}}, InvalidOptionError, "no image of 'none'"),
        ({"negatives": {**STRANGERS, "flat": FLAT}}, InvalidOptionError, "no image of 'flat'"),
        ({"negatives": {**STRANGERS, "x": picture(2, 1)}}, DuplicateImageError, "as 'flux'"),
        (
            {"negatives": {**STRANGERS, "x": [picture(100, 3)]}},
            DuplicateImageError,
            "as 'stranger 0'",
        ),
        ({"negatives": {**STRANGERS, "x": "missing.png"}}, ImageNotFoundError, "missing.png"),
    ],
)
def test_what_cannot_be_calibrated_on_leaves_the_gallery_as_it_was(gallery, options, error, why):
    before, calibration = gallery.digest, gallery.calibration
    with pytest.raises(error, match=why):
        gallery.calibrate(**options)
    assert gallery.digest == before
    assert gallery.calibration == calibration


def test_a_rate_that_is_too_fine_for_so_many_models_is_refused():
    gallery = Gallery(CalibratedEmbedder(comparisons=120))
    for model in range(5):
        gallery.enroll(f"model {model}", pictures(model, range(4)))
    with pytest.raises(InvalidOptionError, match="for 5 enrolled models"):
        gallery.calibrate(fpr=0.02)
    gallery.calibrate(fpr=0.1)


def test_enrolled_images_that_are_no_more_alike_than_strangers_are_refused():
    gallery = Gallery(LikelyEmbedder())
    for number in range(3):  # every image is by a model of its own
        gallery.enroll(f"mixed {number}", [picture(300 + 10 * number + i, 0) for i in range(3)])
    before = gallery.digest
    twins = {f"s{i}": [picture(300 + i, 1)] for i in range(40)}
    with pytest.raises(InvalidOptionError, match="check the labels"):
        gallery.calibrate(twins, fpr=0.05)
    assert gallery.digest == before


def test_an_empty_gallery_has_nothing_to_calibrate(gallery):
    with pytest.raises(EmptyGalleryError):
        Gallery(CalibratedEmbedder()).calibrate(STRANGERS)
    with pytest.raises(InvalidOptionError, match="not calibrated"):
        Gallery(CosineEmbedder()).calibrate(fpr=0.1)
    assert list(MODELS) == list(gallery.labels)
