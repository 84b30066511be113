"""One text for one record, and what every record says about where it comes from."""

import hashlib
import json
from datetime import datetime, timedelta, timezone

import pytest
from fakes import CosineEmbedder, filled_gallery, picture, pictures

import modelprint
from modelprint.asking import verify
from modelprint.errors import InvalidRecordError
from modelprint.gallery import Gallery
from modelprint.records import canonical_json, record_digest
from modelprint.version import __version__

ODD = {"name": "a\udcffé\n", "scores": [0.1, 1e-300, -0.0, 3], "z": None, "a": {"b": True}}


def test_canonical_json_is_one_text_for_one_record():
    assert canonical_json(ODD) == (
        '{"a":{"b":true},"name":"a\\udcffé\\n","scores":[0.1,1e-300,-0.0,3],"z":null}'
    )
    assert canonical_json(dict(reversed(ODD.items()))) == canonical_json(ODD)
    assert json.loads(canonical_json(ODD)) == ODD
    assert record_digest(ODD) == hashlib.sha256(canonical_json(ODD).encode("utf-8")).hexdigest()
    assert record_digest(ODD) != record_digest({**ODD, "z": 0})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1}, b"x"])
def test_what_json_has_no_word_for_is_refused(value):
    with pytest.raises(InvalidRecordError, match="expected what to_dict"):
        canonical_json({"score": value})


def answers(gallery):
    return [
        gallery.identify(picture(1, 9)),
        gallery.identify(picture(7, 0)),
        gallery.verify(picture(1, 9), "sdxl"),
        verify(picture(1, 8), picture(1, 9), extractor=gallery.extractor),
        *gallery.identify_many([picture(2, 9), "missing.png"]),
    ]


def test_the_same_question_gives_the_same_record_but_for_the_time():
    first, second = ([a.to_dict() for a in answers(filled_gallery())] for _ in range(2))
    times = [record["provenance"].pop("time") for record in (*first, *second)]
    assert [*map(canonical_json, first)] == [*map(canonical_json, second)]
    assert len(set(times)) == len(times)
    now = datetime.now(timezone.utc)
    for time in times:
        assert time.endswith("+00:00")
        assert timedelta(0) <= now - datetime.fromisoformat(time) < timedelta(minutes=5)


def test_a_record_says_what_it_was_made_from():
    gallery = filled_gallery()
    answer = gallery.identify(picture(1, 9, 96))
    record = answer.to_dict()
    assert record == json.loads(canonical_json(record))
    assert (record["schema_version"], record["kind"]) == (1, "identification")
    calibration = gallery.extractor.calibration
    assert record["extractor_digest"] == gallery.extractor.digest
    assert record["calibration_source"].startswith(calibration.source)
    assert record["provenance"] | {"time": None} == {
        "images": [{"format": "array", "width_px": 96, "height_px": 96}],
        "gallery_digest": gallery.digest,
        "gallery_models": 3,
        "gallery_images": 12,
        "calibration_digest": record_digest(calibration.to_dict()),
        "library_version": modelprint.__version__,
        "time": None,
    }
    labels = [candidate["label"] for candidate in record["candidates"]]
    assert sorted(labels) == ["flux", "pixart", "sdxl"]
    assert record["fpr"] == 0.01
    # Of three models, each may take a little more than a third of the whole answer's rate.
    assert record["p_threshold"] == pytest.approx(1 - 0.99 ** (1 / 3))


def test_the_gallery_of_then_is_named_after_it_has_changed():
    gallery = filled_gallery()
    digest = gallery.digest
    answer = gallery.identify(picture(1, 9))
    gallery.enroll("new", pictures(5, range(2)))
    assert answer.to_dict()["provenance"]["gallery_digest"] == digest != gallery.digest
    again = gallery.identify(picture(1, 9)).to_dict()["provenance"]
    assert (again["gallery_digest"], again["gallery_models"]) == (gallery.digest, 4)


def test_other_kinds_of_answers_have_records_too():
    kinds = [answer.to_dict() for answer in answers(filled_gallery())]
    claim, pair, unreadable = kinds[2], kinds[3], kinds[-1]
    assert (claim["kind"], claim["label"]) == ("verification", "sdxl")
    assert (pair["kind"], pair["label"]) == ("verification", None)
    assert len(pair["provenance"]["images"]) == 2
    assert pair["provenance"]["gallery_digest"] is None
    assert unreadable["provenance"]["images"] == []
    assert unreadable["error"]
    uncalibrated = Gallery(CosineEmbedder())
    uncalibrated.enroll("sdxl", pictures(1, range(2)))
    record = uncalibrated.identify(picture(1, 9)).to_dict()
    assert record["provenance"]["calibration_digest"] is None
    assert record["fpr"] is record["p_threshold"] is record["calibration_source"] is None


def test_answers_that_differ_in_time_alone_are_equal():
    gallery = filled_gallery()
    assert gallery.identify(picture(1, 9)) == gallery.identify(picture(1, 9))


def test_there_is_one_version():
    assert modelprint.__version__ == __version__
