"""An old record is confirmed, or what differs is named; a wrong question is refused."""

import copy
import json
import os
import re

import pytest
from fakes import CalibratedEmbedder, filled_gallery, picture, pictures
from PIL import Image

from modelprint.asking import verify
from modelprint.audit.record_differences import SCORE_TOLERANCE
from modelprint.audit.replaying import replay
from modelprint.errors import (
    ExtractorMismatchError,
    InvalidImageError,
    InvalidRecordError,
    RecordMismatchError,
)
from modelprint.gallery import Gallery
from modelprint.records import canonical_json

IMAGE, OTHER = picture(1, 9), picture(1, 8)


@pytest.fixture
def gallery():
    return filled_gallery()


@pytest.fixture
def record(gallery):
    return gallery.identify(IMAGE, fpr=0.02).to_dict()


def changed(record, *path, to):
    """A copy of the record with one value changed."""
    copied = copy.deepcopy(record)
    place = copied
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return copied


def test_a_record_is_confirmed_however_it_comes(gallery, record, tmp_path):
    text = canonical_json(record)
    path = tmp_path / "record.json"
    path.write_text(text, encoding="utf-8")
    for form in (record, text, json.dumps(record, indent=1), path, str(path)):
        found = replay(form, IMAGE, gallery)
        assert found.confirmed
        assert found.differences == found.notes == ()
        assert found.largest_score_difference == 0
        assert found.answer == gallery.identify(IMAGE, fpr=0.02)
        assert str(found).startswith("confirmed")
    plain = found.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["confirmed"] is True


def test_verifications_are_confirmed(gallery):
    claim = gallery.verify(IMAGE, "flux", fpr=0.05).to_dict()
    assert replay(claim, IMAGE, gallery).confirmed
    pair = verify(IMAGE, OTHER, extractor=gallery.extractor).to_dict()
    assert replay(pair, (IMAGE, OTHER), gallery).confirmed
    assert replay(pair, [IMAGE, OTHER], Gallery(CalibratedEmbedder())).confirmed
    with pytest.raises(RecordMismatchError):
        replay(pair, (OTHER, IMAGE), gallery)
    for one in (IMAGE, (IMAGE,), (IMAGE, OTHER, OTHER)):
        with pytest.raises(InvalidImageError, match="expected both"):
            replay(pair, one, gallery)


@pytest.mark.parametrize(
    ("path", "to", "named"),
    [
        (("decision",), "unknown", "decision"),
        (("label",), "flux", "label"),
        (("reason_code",), "none_similar", "reason_code"),
        (("reason",), "the maker confessed", "reason"),
        (("time",), "noon", "time"),
        (("fpr",), 1e-9, "decision"),
        (("candidates", 0, "score"), 1.0, "candidates.sdxl.score"),
        (("candidates", 0, "p_value"), 0.5, "candidates.sdxl.p_value"),
        (("candidates", 2, "label"), "dalle", "candidates.dalle.label"),
        (("calibration_source",), "hearsay", "calibration_source"),
        (("provenance", "calibration_digest"), "0" * 64, "provenance.calibration_digest"),
        (("provenance", "gallery_images"), 99, "provenance.gallery_images"),
        (("provenance", "images", 0, "width_px"), 65, "provenance.images.0.width_px"),
        (("warnings",), ["beware"], "warnings.0"),
        (("p_threshold",), 0.01, "p_threshold"),
        (("signed_by",), "me", "signed_by"),
        (("extractor_note",), None, "extractor_note"),
    ],
)
def test_a_record_that_says_something_else_is_not_confirmed(gallery, record, path, to, named):
    found = replay(changed(record, *path, to=to), IMAGE, gallery)
    assert not found.confirmed
    assert named in {difference.field for difference in found.differences}
    assert named in str(found)


def test_the_difference_holds_both_values(gallery, record):
    (difference,) = replay(changed(record, "label", to="flux"), IMAGE, gallery).differences
    assert (difference.recorded, difference.found) == ("flux", "sdxl")


def test_scores_may_differ_by_rounding_and_no_more(gallery, record):
    score = record["candidates"][1]["score"]
    for shift, confirmed in ((0.9, True), (1.1, False)):
        moved = score + shift * SCORE_TOLERANCE
        found = replay(changed(record, "candidates", 1, "score", to=moved), IMAGE, gallery)
        assert found.confirmed == confirmed
        assert found.largest_score_difference == pytest.approx(shift * SCORE_TOLERANCE)


def test_the_numbers_of_a_sentence_are_compared_as_numbers(gallery, record):
    found = re.search(r"p (\d\S*),", record["reason"])
    for factor, confirmed in ((1.1, True), (2.0, False)):
        number = f"{float(found[1]) * factor:.2g}"
        sentence = record["reason"].replace(found[1], number)
        assert sentence != record["reason"]
        replayed = replay(changed(record, "reason", to=sentence), IMAGE, gallery)
        assert replayed.confirmed == confirmed


def test_the_order_of_models_that_are_alike_does_not_count(gallery, record):
    candidates = record["candidates"][::-1]
    assert replay(changed(record, "candidates", to=candidates), IMAGE, gallery).confirmed


def test_a_model_that_stands_twice_hides_nothing(gallery, record):
    first = record["candidates"][0]
    candidates = [{**first, "score": 99.0}, *record["candidates"]]
    assert not replay(changed(record, "candidates", to=candidates), IMAGE, gallery).confirmed
    assert not replay(changed(record, "candidates", to=[first] * 3), IMAGE, gallery).confirmed
    assert not replay(changed(record, "candidates", to=[]), IMAGE, gallery).confirmed


def test_what_need_not_matter_is_noted(gallery, record, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "moved.png")
    old = changed(record, "provenance", "library_version", to="0.0.9")
    found = replay(old, tmp_path / "moved.png", gallery)
    assert found.confirmed
    assert len(found.notes) == 2
    assert "0.0.9" in found.notes[0]
    assert "array" in found.notes[1]
    assert "PNG" in found.notes[1]


def test_warnings_name_the_image_as_it_was_called_then(gallery, tmp_path):
    for name in ("then.png", "now.png"):
        see_through = Image.fromarray(IMAGE)
        see_through.putalpha(200)
        see_through.save(tmp_path / name)
    record = gallery.identify(tmp_path / "then.png").to_dict()
    assert "then.png" in str(record["warnings"])
    assert replay(record, tmp_path / "now.png", gallery).confirmed


def test_another_image_gallery_or_extractor_is_refused_and_nothing_changes(gallery, record):
    with pytest.raises(RecordMismatchError, match="not the image of the record"):
        replay(record, OTHER, gallery)
    with pytest.raises(ExtractorMismatchError, match="extractor of then"):
        replay(record, IMAGE, Gallery(CalibratedEmbedder("another")))
    gallery.enroll("new", pictures(5, range(2)))
    digest = gallery.digest
    with pytest.raises(RecordMismatchError, match=r"3 models and 12 images.*4 models"):
        replay(record, IMAGE, gallery)
    assert gallery.digest == digest
    assert gallery.labels == ("sdxl", "flux", "pixart", "new")


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (("schema_version",), 2, "schema version 2"),
        (("schema_version",), "1", "schema version '1'"),
        (("schema_version",), True, "schema version True"),
        (("kind",), "evidence", "kind 'evidence'"),
        (("kind",), "verification", "the record's images is nothing"),
        (("error",), "damaged", "could not be read"),
        (("candidates",), 3, "candidates is 3"),
        (("fpr",), "0.01", "fpr is '0.01'"),
        (("fpr",), 7.0, "cannot be asked"),
        (("provenance",), [], "provenance is"),
        (("provenance", "images"), None, "images is None"),
        (("image_sha256",), None, "image_sha256 is None"),
    ],
)
def test_a_record_of_another_kind_or_schema_is_refused(gallery, record, path, to, message):
    with pytest.raises(InvalidRecordError, match=message):
        replay(changed(record, *path, to=to), IMAGE, gallery)


def test_a_claim_about_an_unknown_label_was_changed(gallery):
    record = gallery.verify(IMAGE, "flux").to_dict()
    with pytest.raises(InvalidRecordError, match="cannot be asked"):
        replay(changed(record, "label", to="dalle"), IMAGE, gallery)
    pair = verify(IMAGE, OTHER, extractor=gallery.extractor).to_dict()
    with pytest.raises(InvalidRecordError, match="names 1 images"):
        replay(changed(pair, "images", to=["a.png"]), (IMAGE, OTHER), gallery)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ('{"schema_version": NaN}', "NaN is no JSON"),
        ("missing.json", "No such file"),
        (os.devnull, "expected a file, got a folder, pipe or device"),
        ("{}", "expected an audit record"),
    ],
)
def test_what_is_no_record_is_refused(gallery, text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRecordError, match=message):
        replay(text, IMAGE, gallery)


def test_a_file_that_holds_something_else_is_refused(gallery, tmp_path):
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    for name, message in (("list.json", "got list"), ("binary.json", "cannot be read")):
        with pytest.raises(InvalidRecordError, match=message):
            replay(tmp_path / name, IMAGE, gallery)
