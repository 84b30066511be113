import threading
import weakref

import numpy as np
import pytest
from fakes import CosineEmbedder, filled_gallery, picture, pictures

import modelprint.batches
from modelprint.errors import InvalidImageError
from modelprint.gallery import Gallery
from modelprint.images import load_image


@pytest.fixture
def gallery():
    return filled_gallery()


def test_many_answers_equal_single_ones_in_order_with_bad_files_in_place(gallery, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    images = [picture(1 + i % 3, 100 + i) for i in range(40)]
    images[3], images[17], images[39] = "missing.png", broken, np.zeros((4, 4))
    answers = list(gallery.identify_many(iter(images)))
    assert len(answers) == 40
    for i, (image, answer) in enumerate(zip(images, answers, strict=True)):
        if i in (3, 17, 39):
            assert (answer.decision, answer.label) == ("inconclusive", None)
            assert answer.candidates == ()
            assert answer.image_sha256 is None
            assert answer.error.startswith(answer.image)
            with pytest.raises(InvalidImageError):
                gallery.identify(image)
        else:
            alone = gallery.identify(image)
            assert answer.error is None
            assert answer.image == f"image {i}"
            assert (answer.label, answer.image_sha256) == (alone.label, alone.image_sha256)
            assert [c.label for c in answer.candidates] == [c.label for c in alone.candidates]
            for one, other in zip(answer.candidates, alone.candidates, strict=True):
                assert one.score == pytest.approx(other.score, abs=1e-5)


def test_only_bad_files_and_no_files_are_answered_too(gallery):
    assert [a.error is None for a in gallery.identify_many(["missing.png"] * 20)] == [False] * 20
    assert list(gallery.identify_many([])) == []


@pytest.fixture
def live(monkeypatch):
    """Counts decoded images in memory: now, and at most."""
    count = {"now": 0, "most": 0}

    def gone():
        count["now"] -= 1

    def counting(source, **options):
        image = load_image(source, **options)
        weakref.finalize(image.pixels, gone)
        count["now"] += 1
        count["most"] = max(count["most"], count["now"])
        return image

    monkeypatch.setattr(modelprint.batches, "load_image", counting)
    return count


def test_memory_does_not_grow_with_the_number_of_images(gallery, live):
    taken = []
    source = (taken.append(i) or picture(1, 100 + i) for i in range(100))
    answers = gallery.identify_many(source)
    assert taken == []
    next(answers)
    assert len(taken) == modelprint.batches.BATCH_IMAGES
    assert sum(1 for _ in answers) == 99
    assert gallery.enroll("new", (picture(9, i) for i in range(100))) == 100
    assert live["now"] == 0
    assert live["most"] <= modelprint.batches.BATCH_IMAGES + 1


def test_large_images_come_in_smaller_batches(gallery, live, monkeypatch):
    monkeypatch.setattr(modelprint.batches, "BATCH_PIXELS", 3 * 64 * 64)
    assert sum(1 for _ in gallery.identify_many(pictures(1, range(100, 130)))) == 30
    assert live["most"] == 3
    assert gallery.extractor.embedded[-10:] == [3] * 10


def test_an_endless_stream_can_be_left(gallery):
    def endless():
        i = 100
        while True:
            i += 1
            yield picture(1, i)

    answers = gallery.identify_many(endless())
    assert [next(answers).label for _ in range(20)] == ["sdxl"] * 20


def test_a_question_is_answered_by_the_gallery_of_its_time(gallery):
    answers = gallery.identify_many(pictures(1, range(100, 140)))
    next(answers)
    gallery.enroll("new", pictures(9, range(3)))
    gallery.remove("flux")
    assert {len(answer.candidates) for answer in answers} == {3}
    assert {c.label for c in gallery.identify(picture(1, 99)).candidates} == {
        "sdxl",
        "pixart",
        "new",
    }


def test_enrolments_from_many_threads_are_all_kept():
    gallery = Gallery(CosineEmbedder())
    errors = []

    def enroll(model):
        try:
            gallery.enroll(f"model {model}", pictures(model, range(2)))
            gallery.enroll("all", pictures(model, range(2, 4)))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=enroll, args=(model,)) for model in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(gallery) == 9
    assert repr(gallery) == "Gallery(9 models, 32 images)"
