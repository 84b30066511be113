"""`modelprint.discover` end to end: pictures of enrolled models, of others, and what is no use."""

import json

import numpy as np
import pytest
import torch
from fakes import CalibratedEmbedder, CosineEmbedder, filled_gallery, picture, pictures
from PIL import Image

from modelprint import discover
from modelprint.discovery import discovering
from modelprint.errors import InvalidImageError, InvalidOptionError
from modelprint.gallery import Gallery
from modelprint.images import load_image

KNOWN = pictures(1, range(20, 26))  # enrolled as sdxl
STRANGERS = [pictures(model, range(20, 28)) for model in (7, 8, 9)]
LONE = [picture(50 + i, 0) for i in range(6)]
EVERYTHING = [*KNOWN, *(image for model in STRANGERS for image in model), *LONE]


@pytest.fixture(scope="module")
def gallery():
    return filled_gallery()


@pytest.fixture(scope="module")
def found(gallery):
    return discover(EVERYTHING, gallery)


def numbers(images):
    """Places in the input, from names such as "image 3"."""
    return [int(image.name.split()[1]) for image in images]


def test_known_ones_are_named_and_others_grouped(found):
    assert {answer.label for answer in found.matched} == {"sdxl"}
    assert len(found.matched) == 6
    assert sorted(sorted(numbers(group.images)) for group in found.groups) == [
        list(range(first, first + 8)) for first in (6, 14, 22)
    ]
    assert numbers(found.singles) == list(range(30, 36))
    assert found.left_out == ()


def test_what_a_group_says(found, gallery):
    assert [group.name for group in found.groups] == ["unknown-1", "unknown-2", "unknown-3"]
    for group in found.groups:
        scores = [image.score for image in group.images]
        assert scores == sorted(scores, reverse=True)
        rows = gallery.extractor.embed(list(map(load_image, group.proposal.images)))
        among = gallery.extractor.compare(rows, rows).numpy()
        others = (among.sum(axis=1) - among.diagonal()) / (len(rows) - 1)
        assert scores == pytest.approx(others, abs=1e-4)
        assert group.cohesion == pytest.approx(others.mean(), abs=1e-4)
        means = [
            np.mean([c.score for answer in answers for c in answer.candidates if c.label == label])
            for answers in [list(gallery.identify_many(group.proposal.images))]
            for label in gallery.labels
        ]
        assert group.nearest.score == pytest.approx(max(means), abs=1e-4)
        assert group.nearest.label == gallery.labels[int(np.argmax(means))]
        assert group.nearest.p_value > found.fpr
        assert group.name in str(group)
        assert "\n" not in str(group)


def test_proposals_can_be_enrolled(found):
    gallery = filled_gallery()
    for group in found.groups:
        assert gallery.enroll(*group.proposal) == 8
    new = pictures(8, range(60, 64))
    assert {answer.label for answer in gallery.identify_many(new)} <= {
        group.name for group in found.groups
    }
    again = discover([*EVERYTHING, *new], gallery)
    assert len(again.matched) == 6 + 24 + 4
    assert again.groups == ()


def test_names_are_free(found):
    gallery = filled_gallery()
    gallery.enroll("unknown-2", pictures(30, range(3)))
    again = discover(EVERYTHING, gallery)
    assert [group.name for group in again.groups] == ["unknown-1", "unknown-3", "unknown-4"]


def test_nothing_needs_to_be_enrolled():
    found = discover(EVERYTHING, Gallery(CalibratedEmbedder()))
    assert found.matched == ()
    assert [len(group.images) for group in found.groups] == [8, 8, 8, 6]
    assert {group.nearest for group in found.groups} == {None}
    assert {group.related for group in found.groups} == {None}


def test_images_that_nothing_can_be_said_about_are_left_out(gallery):
    flat, small = np.full((64, 64, 3), 90, np.uint8), picture(7, 99)[:40, :48]
    enrolled = picture(40, 0)
    widened = filled_gallery()
    widened.enroll("sdxl", [enrolled])  # no more like the others of sdxl than a stranger's
    images = [flat, *STRANGERS[0], small, STRANGERS[0][3], enrolled]
    found = discover(images, widened)
    assert [(numbers([image])[0], image.reason_code) for image in found.left_out] == [
        (0, "too_flat"),
        (9, "too_small"),
        (10, "copy"),
        (11, "enrolled"),
    ]
    assert "image 4" in found.left_out[2].reason
    assert "as sdxl" in found.left_out[3].reason
    assert sorted(numbers(found.groups[0].images)) == list(range(1, 9))
    empty = discover(images[:-1], Gallery(CalibratedEmbedder()))
    assert [image.reason_code for image in empty.left_out] == ["too_flat", "too_small", "copy"]


def test_a_folder(gallery, tmp_path):
    for number, image in enumerate([*STRANGERS[0], *KNOWN[:2]]):
        Image.fromarray(image).save(tmp_path / f"{number:02}.png")
    (tmp_path / "05b.png").write_bytes(b"no picture")
    steps = []
    found = discover(tmp_path, gallery, progress=steps.append)
    assert sum(steps) == 11
    assert len(found.matched) == 2
    (group,) = found.groups
    assert sorted(group.proposal.images) == [str(tmp_path / f"{i:02}.png") for i in range(8)]
    (damaged,) = found.left_out
    assert (damaged.name, damaged.sha256, damaged.reason_code) == (
        str(tmp_path / "05b.png"),
        None,
        "unreadable",
    )
    assert filled_gallery().enroll(*group.proposal) == 8


def test_any_iterable_and_a_stack(gallery, found):
    one_by_one = discover(iter(EVERYTHING), gallery)
    stack = torch.from_numpy(np.stack(EVERYTHING)).permute(0, 3, 1, 2)
    stacked = discover(stack, gallery)
    for other in (one_by_one, stacked):
        assert [group.images for group in other.groups] == [group.images for group in found.groups]
        assert other.singles == found.singles
    assert discover([], gallery).groups == ()


def test_siblings_of_an_enrolled_model_are_related(gallery):
    def sibling(number):
        blend = 0.4 * picture(2, number) + 0.6 * picture(33, number)
        return blend.round().astype(np.uint8)

    siblings = [sibling(number) for number in range(20, 34)]
    found = discover([*siblings, *STRANGERS[0]], gallery)
    assert {group.related: len(group.images) for group in found.groups} == {"flux": 14, None: 8}
    related = [image.related for image in found.groups[0].images]
    assert 7 < related.count("flux") < 14, "most of them decide, not all"
    assert "related to flux" in str(found)


def test_records_hold_no_pixels(found):
    record = found.to_dict()
    text = json.dumps(record)
    assert json.loads(text) == record
    assert record["kind"] == "discovery"
    assert [len(group["images"]) for group in record["groups"]] == [8, 8, 8]
    assert record["matched"][0]["label"] == "sdxl"
    assert 0 < record["pair_rate"] < 1
    assert record["extractor_digest"] == found.extractor_digest
    first, *lines = str(found).splitlines()
    assert first == "6 of enrolled models, 24 in 3 groups, 6 single, 0 left out"
    assert [line.split(":")[0] for line in lines] == ["unknown-1", "unknown-2", "unknown-3"]


def test_fpr_is_that_of_a_match(gallery):
    assert discover(EVERYTHING, gallery).fpr == 0.01
    strict = discover(EVERYTHING, gallery, fpr=0.0005)
    assert strict.fpr == 0.0005
    assert len(strict.matched) <= 6


def test_what_is_refused(gallery, monkeypatch):
    with pytest.raises(InvalidOptionError, match="CosineEmbedder without calibration"):
        discover(EVERYTHING, Gallery(CosineEmbedder()))
    with pytest.raises(InvalidOptionError, match="fpr is 2"):
        discover(EVERYTHING, gallery, fpr=2)
    with pytest.raises(InvalidImageError):
        discover(7, gallery)
    monkeypatch.setattr(discovering, "MOST_UNKNOWN", 12)
    assert len(discover(EVERYTHING[:18], gallery).groups) == 2
    with pytest.raises(InvalidOptionError, match="more than 12 images are of no enrolled model"):
        discover(EVERYTHING[:19], gallery)


def test_each_image_is_embedded_once():
    gallery = filled_gallery()
    before = sum(gallery.extractor.embedded)
    discover(EVERYTHING, gallery)
    assert sum(gallery.extractor.embedded) - before == len(EVERYTHING)
