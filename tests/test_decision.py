import json

import pytest

from modelprint.decision import (
    Candidate,
    Identification,
    Verification,
    corrected_p,
    decide_claim,
    decide_identity,
    size_warnings,
)

OK = {"fpr": 0.01, "finest_p": 1e-5, "flat_share": 0.1}


def gallery_of(models, best_p):
    others = [Candidate(f"model {i}", 1.0, 0.5) for i in range(models - 1)]
    return [Candidate("best", 9.0, best_p), *others]


@pytest.mark.parametrize("p", [1.0, 0.5, 0.01, 1e-4])
@pytest.mark.parametrize("n", [1, 2, 20])
def test_correction_is_the_chance_that_any_of_n_is_as_extreme(p, n):
    none_of_them = 1.0
    for _ in range(n):
        none_of_them *= 1 - p
    assert corrected_p(p, n) == pytest.approx(1 - none_of_them, rel=1e-9)


def test_correction_keeps_digits_that_plain_arithmetic_loses():
    assert corrected_p(1e-20, 1000) == pytest.approx(1e-17)


def test_a_match_needs_more_evidence_in_a_larger_gallery():
    assert decide_identity(gallery_of(1, 0.009), **OK).decision == "match"
    assert decide_identity(gallery_of(2, 0.009), **OK).decision == "unknown"
    per_model = 1 - (1 - 0.01) ** (1 / 20)
    assert decide_identity(gallery_of(20, per_model * 0.999), **OK).decision == "match"
    assert decide_identity(gallery_of(20, per_model * 1.001), **OK).decision == "unknown"


def test_a_p_value_equal_to_the_rate_passes():
    assert decide_claim(0.01, **OK).decision == "match"
    assert decide_claim(0.0101, **OK).decision == "no_match"


def test_nothing_is_decided_without_a_calibration():
    verdict = decide_identity(gallery_of(3, None), **{**OK, "fpr": None})
    assert verdict == ("inconclusive", "not calibrated")
    assert decide_claim(None, **OK) == ("inconclusive", "not calibrated")


@pytest.mark.parametrize(("flat_share", "flat"), [(1.0, True), (0.981, True), (0.98, False)])
def test_nothing_is_decided_about_a_nearly_flat_image(flat_share, flat):
    verdict = decide_identity(gallery_of(3, 1e-4), **{**OK, "flat_share": flat_share})
    assert verdict.decision == ("inconclusive" if flat else "match")
    assert ("nearly flat" in verdict.reason) == flat


def test_a_calibration_too_coarse_for_the_gallery_says_so_instead_of_unknown():
    coarse = {**OK, "finest_p": 1e-3}
    verdict = decide_identity(gallery_of(100, 1e-3), **coarse)
    assert verdict.decision == "inconclusive"
    assert "too coarse for 100 enrolled" in verdict.reason
    # Away from the floor the image is to blame, and at the floor of a small gallery it matches.
    assert decide_identity(gallery_of(100, 2e-3), **coarse).decision == "unknown"
    assert decide_identity(gallery_of(5, 1e-3), **coarse).decision == "match"
    assert decide_claim(1e-3, **{**coarse, "fpr": 1e-4}).decision == "inconclusive"


def test_unknown_names_the_nearest_model_but_does_not_claim_it():
    verdict = decide_identity(gallery_of(3, 0.2), **OK)
    assert verdict.decision == "unknown"
    assert verdict.reason.startswith("best is the nearest")


def test_small_images_are_warned_of():
    assert size_warnings("x", 64, 64) == ()
    assert "200 x 63 px" in size_warnings("x", 63, 200)[0]
    assert size_warnings("x", 200, 63)


def identification(**changes):
    fields = {
        "decision": "match",
        "label": "sdxl",
        "candidates": (Candidate("sdxl", 8.0, 1e-4), Candidate("flux", 1.0, None)),
        "reason": "p 0.0001 is within the allowed 0.01",
        "fpr": 0.01,
        "image": "a.png",
        "image_sha256": "0" * 64,
        "extractor_digest": "1" * 64,
        "warnings": ("small",),
    }
    return Identification(**{**fields, **changes})


def verification(**changes):
    fields = {
        "decision": "match",
        "score": 8.0,
        "p_value": 1e-4,
        "claim": "made by sdxl",
        "reason": "p 0.0001 is within the allowed 0.01",
        "fpr": 0.01,
        "images": ("a.png", "b.png"),
        "image_sha256s": ("0" * 64, "1" * 64),
        "extractor_digest": "2" * 64,
    }
    return Verification(**{**fields, **changes})


@pytest.mark.parametrize(
    "answer", [identification(), verification(), identification().candidates[1]]
)
def test_the_audit_record_holds_every_field_and_survives_json(answer):
    record = answer.to_dict()
    assert list(record) == list(type(answer).__dataclass_fields__)
    assert json.loads(json.dumps(record)) == record


def test_answers_print_as_one_readable_line_whatever_the_file_is_called():
    assert str(identification()) == "a.png: match sdxl (p 0.0001 is within the allowed 0.01)"
    unknown = identification(decision="unknown", label=None, image="two\nlines\udc80.png")
    assert str(unknown).startswith("two\\nlines\\udc80.png: unknown (")
    str(unknown).encode()
    assert str(verification()).startswith("a.png, b.png: match, made by sdxl (")
    assert str(Candidate("sdxl", 8.0, 1e-4)) == "sdxl: score 8.000, p 0.0001"
    assert str(Candidate("sdxl", 0.5, None)) == "sdxl: score 0.500, not calibrated"


def test_only_a_match_is_accepted():
    decisions = ("match", "no_match", "inconclusive")
    assert [verification(decision=d).accepted for d in decisions] == [True, False, False]
