import json

import pytest

from modelprint.decision import Candidate, Identification, Verification
from modelprint.records import ImageFacts, Provenance

PROVENANCE = Provenance((ImageFacts("PNG", 640, 480),), "3" * 64, 2, 20, "4" * 64)


def identification(**changes):
    fields = {
        "decision": "match",
        "label": "sdxl",
        "level": "model",
        "related": None,
        "candidates": (Candidate("sdxl", 8.0, 1e-4, 6.5, 0.9), Candidate("flux", 1.0, None)),
        "families": (),
        "reason_code": "match",
        "reason": "p 0.0001 is within the allowed 0.01",
        "fpr": 0.01,
        "p_threshold": 0.005,
        "calibration_source": "made up",
        "image": "a.png",
        "image_sha256": "0" * 64,
        "extractor_digest": "1" * 64,
        "provenance": PROVENANCE,
        "warnings": ("small",),
    }
    return Identification(**{**fields, **changes})


def verification(**changes):
    fields = {
        "decision": "match",
        "score": 8.0,
        "p_value": 1e-4,
        "llr": 6.5,
        "claim": "made by sdxl",
        "label": "sdxl",
        "reason_code": "match",
        "reason": "p 0.0001 is within the allowed 0.01",
        "fpr": 0.01,
        "calibration_source": "made up",
        "images": ("a.png", "b.png"),
        "image_sha256s": ("0" * 64, "1" * 64),
        "extractor_digest": "2" * 64,
        "provenance": PROVENANCE,
    }
    return Verification(**{**fields, **changes})


@pytest.mark.parametrize("answer", [identification(), verification()])
def test_the_audit_record_holds_every_field_and_survives_json(answer):
    record = answer.to_dict()
    assert list(record) == ["schema_version", "kind", *type(answer).__dataclass_fields__]
    assert record["kind"] == type(answer).__name__.lower()
    assert json.loads(json.dumps(record)) == record


def test_a_candidate_is_a_plain_dict():
    candidate = identification().candidates[0]
    assert candidate.to_dict() == {
        "label": "sdxl",
        "score": 8.0,
        "p_value": 1e-4,
        "llr": 6.5,
        "share": 0.9,
    }


def test_answers_print_as_one_readable_line_whatever_the_file_is_called():
    assert str(identification()) == "a.png: match sdxl (p 0.0001 is within the allowed 0.01)"
    family = identification(label="sd", level="family")
    assert str(family).startswith("a.png: match sd family (")
    unknown = identification(decision="unknown", label=None, image="two\nlines\udc80.png")
    assert str(unknown).startswith("two\\nlines\\udc80.png: unknown (")
    str(unknown).encode()
    assert str(verification()).startswith("a.png, b.png: match, made by sdxl (")
    assert str(Candidate("sdxl", 8.0, 1e-4)) == "sdxl: score 8.000, p 0.0001"
    assert str(Candidate("sdxl", 0.5, None)) == "sdxl: score 0.500, not calibrated"


def test_only_a_match_is_accepted():
    decisions = ("match", "no_match", "inconclusive")
    assert [verification(decision=d).accepted for d in decisions] == [True, False, False]
