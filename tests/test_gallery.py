import numpy as np
import pytest
import torch
from fakes import MODELS, CalibratedEmbedder, CosineEmbedder, filled_gallery, picture, pictures
from PIL import Image

from modelprint.errors import (
    DuplicateImageError,
    ExtractorMismatchError,
    ImageNotFoundError,
    InvalidOptionError,
    NothingToEnrollError,
    UnknownLabelError,
)
from modelprint.gallery import Gallery
from modelprint.images import load_image


@pytest.fixture
def gallery():
    return filled_gallery()


def test_enrolments_add_up_and_labels_keep_their_order(gallery):
    assert gallery.enroll("sdxl", pictures(1, range(10, 12))) == 2
    assert gallery.labels == ("sdxl", "flux", "pixart")
    assert len(gallery) == 3
    assert "flux" in gallery
    assert "dalle" not in gallery
    assert repr(gallery) == "Gallery(3 models, 14 images)"


def test_a_template_is_the_mean_of_its_images_whatever_their_order():
    embedder = CalibratedEmbedder()  # its scores, ten times the cosine, adapt to no gallery
    images = pictures(1, range(5))
    at_once, in_two = Gallery(embedder), Gallery(embedder)
    at_once.enroll("a", images)
    in_two.enroll("a", images[3:])
    in_two.enroll("b", pictures(2, range(2)))
    in_two.enroll("a", images[:3])
    mean = embedder.embed([load_image(image) for image in images]).double().mean(0)
    probe = picture(1, 99)
    expected = embedder.embed([load_image(probe)])[0].double() @ (mean / mean.norm())
    for gallery in (at_once, in_two):
        scores = {c.label: c.score for c in gallery.identify(probe).candidates}
        assert scores["a"] == pytest.approx(10 * expected.item(), abs=1e-5)


def test_all_kinds_of_images_can_be_enrolled(gallery, tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        Image.fromarray(picture(50, i)).save(path)
    assert gallery.enroll("folder", tmp_path) == 3
    assert gallery.enroll("one", picture(51, 0)) == 1
    assert gallery.enroll("pil", [Image.fromarray(picture(51, 1))]) == 1
    assert gallery.enroll("stack", np.stack(pictures(52, range(3)))) == 3
    assert gallery.enroll("generator", (picture(53, i) for i in range(20))) == 20
    tensors = torch.from_numpy(np.stack(pictures(54, range(2)))).permute(0, 3, 1, 2)
    assert gallery.enroll("tensors", tensors) == 2
    assert gallery.enroll("decoded", [load_image(picture(55, 0))]) == 1


@pytest.mark.parametrize("at", [0, 5, 20])
def test_a_bad_image_leaves_the_gallery_as_it_was(gallery, at):
    before = gallery.digest
    images = pictures(9, range(25))
    images[at] = "missing.png"
    with pytest.raises(ImageNotFoundError, match=r"missing\.png"):
        gallery.enroll("new", images)
    assert gallery.digest == before
    assert "new" not in gallery
    assert gallery.enroll("new", pictures(9, range(25))) == 25


def test_an_image_is_enrolled_once_only_under_any_label_from_any_file(gallery, tmp_path):
    before = gallery.digest
    path = tmp_path / "copy.png"
    Image.fromarray(picture(2, 1)).save(path)
    for label in ("flux", "other"):
        with pytest.raises(DuplicateImageError, match=r"copy\.png.*'flux', from image 1"):
            gallery.enroll(label, [picture(8, 0), path])
    with pytest.raises(DuplicateImageError, match=r"image 2.*from image 0"):
        gallery.enroll("new", [picture(8, 0), picture(8, 1), picture(8, 0)])
    assert gallery.digest == before


def test_a_duplicate_is_found_before_its_batch_is_embedded(gallery):
    gallery.extractor.embedded.clear()
    with pytest.raises(DuplicateImageError):
        gallery.enroll("again", pictures(1, range(4)))
    assert gallery.extractor.embedded == []


def test_only_the_file_name_of_an_image_is_kept(tmp_path):
    Image.fromarray(picture(1, 0)).save(tmp_path / "a.png")
    gallery = Gallery(CosineEmbedder())
    gallery.enroll("a", tmp_path)
    gallery.save(tmp_path / "g")
    assert str(tmp_path).encode() not in (tmp_path / "g").read_bytes()


@pytest.mark.parametrize("images", [[], iter(()), np.zeros((0, 64, 64, 3), np.uint8)])
def test_an_enrolment_without_images_is_refused(gallery, images):
    with pytest.raises(NothingToEnrollError, match="'new'"):
        gallery.enroll("new", images)
    assert "new" not in gallery


@pytest.mark.parametrize(
    "label", ["", "  ", " sdxl", "a\n", "a\x00b", "a\u2028b", "\udc80", 3, None]
)
def test_unusable_labels_are_refused(gallery, label):
    with pytest.raises(InvalidOptionError, match="label"):
        gallery.enroll(label, pictures(9, range(2)))


def test_labels_may_be_in_any_language(gallery):
    gallery.enroll("模型 5/größer 🖼", pictures(9, range(2)))
    assert gallery.identify(picture(9, 50)).label == "模型 5/größer 🖼"


def test_progress_counts_every_image_once(gallery):
    steps = []
    gallery.enroll("new", pictures(9, range(37)), progress=steps.append)
    assert sum(steps) == 37
    assert len(steps) == 3


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_a_failing_embedder_leaves_the_gallery_as_it_was(gallery, monkeypatch, error):
    before, embed = gallery.digest, gallery.extractor.embed

    def fails_late(images, **options):
        if len(gallery.extractor.embedded) >= 5:
            raise error
        return embed(images, **options)

    monkeypatch.setattr(gallery.extractor, "embed", fails_late)
    with pytest.raises(type(error)):
        gallery.enroll("new", pictures(9, range(60)))
    assert gallery.digest == before


def test_remove_forgets_a_model_and_its_images(gallery):
    without = Gallery(CalibratedEmbedder())
    for label in ("sdxl", "pixart"):
        without.enroll(label, pictures(MODELS[label], range(4)))
    assert gallery.remove("flux") == 4
    assert gallery.labels == ("sdxl", "pixart")
    assert gallery.digest == without.digest
    assert gallery.enroll("flux again", pictures(2, range(4))) == 4


def test_removing_an_unknown_label_names_the_known_ones(gallery):
    with pytest.raises(UnknownLabelError, match="'flx'; enrolled: sdxl, flux, pixart"):
        gallery.remove("flx")
    with pytest.raises(UnknownLabelError, match="none"):
        Gallery(CosineEmbedder()).remove("sdxl")


def test_merge_adds_models_and_images(gallery):
    other = Gallery(CalibratedEmbedder())
    other.enroll("kandinsky", pictures(4, range(3)))
    other.enroll("flux", pictures(2, range(10, 12)))
    together = Gallery(CalibratedEmbedder())
    together.enroll("kandinsky", pictures(4, range(3)))
    together.enroll("flux", pictures(2, [*range(4), 10, 11]))
    for label in ("sdxl", "pixart"):
        together.enroll(label, pictures(MODELS[label], range(4)))
    assert gallery.merge(other) == 5
    assert gallery.labels == ("sdxl", "flux", "pixart", "kandinsky")
    assert gallery.digest == together.digest
    assert len(other) == 2
    assert gallery.merge(Gallery(CalibratedEmbedder())) == 0


def test_merging_galleries_that_share_an_image_is_refused_as_a_whole(gallery):
    before = gallery.digest
    other = Gallery(CalibratedEmbedder())
    other.enroll("fresh", pictures(4, range(3)))
    other.enroll("leaked", [picture(2, 1)])
    for twin in (other, gallery):
        with pytest.raises(DuplicateImageError, match="enrolled already as"):
            gallery.merge(twin)
    assert gallery.digest == before


def test_galleries_of_two_extractors_are_not_merged(gallery):
    with pytest.raises(ExtractorMismatchError, match=gallery.extractor.digest[:12]):
        gallery.merge(Gallery(CosineEmbedder("another")))


def test_digest_depends_on_what_is_enrolled_and_not_on_how():
    one, two = Gallery(CosineEmbedder()), Gallery(CosineEmbedder())
    one.enroll("a", pictures(1, range(3)))
    one.enroll("b", pictures(2, range(2)))
    two.enroll("b", pictures(2, range(2))[::-1])
    two.enroll("a", (load_image(image, name="x") for image in pictures(1, range(3))))
    assert one.digest == two.digest
    one.remove("b")
    assert one.digest != two.digest
    one.enroll("c", pictures(2, range(2)))
    assert one.digest != two.digest
    assert Gallery(CosineEmbedder()).digest != Gallery(CosineEmbedder("another")).digest
